package mysqld

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/primacydb/primacy/topology"
)

// memory is what earlier readings of a server add to the next one. It is shared by the keeper of the
// server and the fenced sessions on it, and never locked while anyone waits for an answer.
type memory struct {
	mu    sync.Mutex
	facts facts
	texts setTexts
	waits waits

	incarnation string
	startedAt   time.Time
	// relayed bytes were written to relay logs at relayedAt; more at the next reading means that the
	// source was heard in between, also in the middle of a huge transaction.
	relayed   int64
	relayedAt time.Time
	contact   topology.Contact
	// ahead is how far the server's clock is ahead of ours.
	ahead        time.Duration
	failingSince time.Time
}

// read is a full first-hand reading on a given connection, in one round trip when the facts are fresh.
// An error shows in Reach, Errno and Error.
func (f *Fleet) read(ctx context.Context, q queryer, server topology.Address) topology.Observation {
	m := f.memoryOf(server)
	asked := topology.Observation{Address: server, At: time.Now()}
	r, known, err := m.ask(ctx, q)
	if err != nil {
		return failure(asked, err)
	}
	r.Address = server
	r.skew = m.aheadOf(f.memoryOf(r.channel.Source))
	o := m.observation(r, known)
	if o.Stall.OldestCommit >= stuckAfter {
		o.Stall.DiskFull = waitsForDisk(ctx, q, o.Stall)
	}
	return o
}

// skewMin is how far apart two clocks must be before it counts: below it, what a probe sees of a clock
// is mostly the network's delay.
const skewMin = 50 * time.Millisecond

// aheadOf is how far the server's clock is ahead of another's; 0 when either was never read.
func (m *memory) aheadOf(source *memory) time.Duration {
	skew := m.clock() - source.clock()
	if m.process() == "" || source.process() == "" || skew.Abs() < skewMin {
		return 0
	}
	return skew
}

func (m *memory) clock() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ahead
}

// ask takes a reading with the facts that are known, and once more with new ones when these have
// become stale or wrong: another process, a plugin or privilege that came or went.
func (m *memory) ask(ctx context.Context, q queryer) (reading, facts, error) {
	m.mu.Lock()
	known := m.facts
	m.mu.Unlock()
	if time.Since(known.at) < factsMax {
		r, err := m.timed(ctx, q, known)
		if err == nil && r.incarnation() == known.process {
			return r, known, nil
		}
		if err != nil && !lacksPrivilege(err) && mysqlErrno(err) != errUnknownVariable {
			return r, known, err
		}
	}
	return m.study(ctx, q)
}

// study learns the facts anew and takes a reading with them.
func (m *memory) study(ctx context.Context, q queryer) (reading, facts, error) {
	known, err := learn(ctx, q)
	if err != nil {
		return reading{}, known, err
	}
	r, err := m.timed(ctx, q, known)
	if err != nil {
		return r, known, err
	}
	known.process = r.incarnation()
	m.learned(&known)
	return r, known, nil
}

// learned keeps facts. Where a value at start came from is forgotten by the server once it is changed,
// so what was seen of the same process before that still counts.
func (m *memory) learned(known *facts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.facts.process == known.process {
		known.bootReadOnly = known.bootReadOnly || m.facts.bootReadOnly
		known.bootAcksOff = known.bootAcksOff || m.facts.bootAcksOff
	}
	m.facts = *known
}

func (m *memory) timed(ctx context.Context, q queryer, known facts) (reading, error) {
	sent := time.Now()
	r, err := known.ask(ctx, q, &m.texts)
	r.At, r.Latency = sent, time.Since(sent)
	return r, err
}

// incarnation names the process: the server, the second in which it started, and its number. NOW and
// Uptime are taken from one look at the clock, so their difference is the same in every reading, also
// after the clock was set.
func (r *reading) incarnation() string {
	return fmt.Sprintf("%s/%d/%s", r.UUID, r.now/1_000_000-r.uptime, r.process)
}

// observation completes a reading with facts and with what earlier readings tell.
func (m *memory) observation(r reading, known facts) topology.Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := r.Observation
	o.Incarnation = r.incarnation()
	o.StartedAt = m.start(o.Incarnation, r)
	o.Reach = topology.ReachOK
	if known.vital {
		o.Reach, o.Errno = topology.ReachDenied, errTableAccessDenied
		o.Error = fmt.Sprintf("account lacks %s", strings.Join(known.denied, ", "))
	}
	o.Missing, o.Replicas = known.missing, known.replicas
	o.Undone = known.undone.Intersect(o.Executed)
	o.Settings.JournalPresent = o.Settings.JournalPresent || known.journal
	o.SemiSync.Installed = known.has["rpl_semi_sync_source_enabled"] && known.has["rpl_semi_sync_replica_enabled"]
	known.boot(&o.Settings, r.persisted)
	o.Stall = m.stall(r)
	o.Replication = m.replication(r)
	m.ahead = time.UnixMicro(r.now).Sub(r.At.Add(r.Latency / 2))
	return o
}

// start keeps the first estimate of a process, so that one process has one start.
func (m *memory) start(incarnation string, r reading) time.Time {
	if m.incarnation != incarnation {
		m.incarnation = incarnation
		m.startedAt = r.At.Add(-time.Duration(r.uptime) * time.Second)
		m.waits, m.relayedAt = nil, time.Time{}
	}
	return m.startedAt
}

// boot puts what the next start will read in place of what this one did.
func (f *facts) boot(s *topology.Settings, persisted string) {
	s.BootReadOnly, s.BootAcksOff, s.SkipReplicaStart = f.bootReadOnly, f.bootAcksOff, f.bootStopped
	if !f.loadPersisted {
		return
	}
	for setting := range strings.SplitSeq(persisted, ",") {
		name, text, _ := strings.Cut(setting, "=")
		switch on := (cell{text: text}).on(); name {
		case "super_read_only":
			s.BootReadOnly = on
		case "skip_replica_start":
			s.SkipReplicaStart = on
		case "relay_log_recovery": // this process has dropped what it had received, or the next one will
			s.RelayLogRecovery = s.RelayLogRecovery || on
		case "rpl_semi_sync_replica_enabled":
			s.BootAcksOff = s.BootAcksOff && !on
		}
	}
}

func (m *memory) stall(r reading) topology.Stall {
	stall := m.waits.add(r.At, waitersOf(r.waiting))
	stall.Committing, stall.ReadOnlyWait, stall.ApplierWaits = r.Stall.Committing, r.Stall.ReadOnlyWait, r.Stall.ApplierWaits
	return stall
}

func waitsForDisk(ctx context.Context, q queryer, stall topology.Stall) bool {
	rows, err := q.query(ctx, diskFull, int64((stall.OldestCommit+stuckAfter)/time.Second))
	return err == nil && rows[0][0].number() > 0
}

// replication is what the server says of its channel; nil when it has none.
func (m *memory) replication(r reading) *topology.Replication {
	if r.channel.Source == "" {
		m.contact.Note(r.At, nil)
		return nil
	}
	c := r.channel
	c.HeartbeatAge = m.heartbeatAge(r)
	m.contact.Note(r.At, &c)
	c.Lag = r.lag()
	return &c
}

// heartbeatAge goes by the replica's own clock, and by the growth of its relay logs: while a huge
// transaction arrives there are neither heartbeats nor queued transactions.
func (m *memory) heartbeatAge(r reading) time.Duration {
	age := time.Duration(-1)
	if r.heard > 0 {
		age = max(0, time.Duration(r.now-r.heard)*time.Microsecond)
	}
	grown := !m.relayedAt.IsZero() && r.relayed > m.relayed && r.channel.Receiver == topology.ThreadOn
	if since := r.At.Sub(m.relayedAt); grown && (age < 0 || since < age) {
		age = since
	}
	m.relayed, m.relayedAt = r.relayed, r.At
	return age
}

// lag is the age of the transaction that is being applied, by the replica's clock against the source's,
// as far as the two are known to differ. When none is, the next one is younger than the last applied.
func (r *reading) lag() time.Duration {
	if r.Executed.Contains(r.Received) {
		return 0
	}
	for _, committed := range []int64{r.applying, r.processing, r.applied} {
		if committed > 0 {
			return max(0, time.Duration(r.now-committed)*time.Microsecond-r.skew)
		}
	}
	return -1
}

// judge completes an observation with how long probes have been failing.
func (m *memory) judge(o topology.Observation) topology.Observation {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case o.OK():
		m.failingSince = time.Time{}
	case o.Reach != topology.ReachUnknown && m.failingSince.IsZero():
		m.failingSince = o.At
	}
	o.FailingSince = m.failingSince
	return o
}

// aging tells whether the facts are due to be learned again.
func (m *memory) aging() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Since(m.facts.at) > factsFor
}

func (m *memory) failing() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.failingSince.IsZero()
}

// process is the incarnation of the last reading.
func (m *memory) process() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.incarnation
}
