package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// The numbers of MySQL's errors that servers answer with, beside those that fleets know.
const (
	errDuplicateRow mysqlError = 1062
	errNoTable      mysqlError = 1146
	errOffline      mysqlError = 3032
	errNoSource     mysqlError = 13114 // the source cannot send what is asked for
	errReplicaFatal mysqlError = 13117 // for example: source and replica have one identity
	errNoConnection mysqlError = 2003
	errLostSource   mysqlError = 2013
)

// errAwaitTimeout is WAIT_FOR_EXECUTED_GTID_SET that returned 1: the time is over.
var errAwaitTimeout = errors.New("not executed in time")

// commit is a transaction from its place in the binary log to its end.
type commit struct {
	*transaction
	place   int
	since   time.Duration // in the binary log
	guest   *guest        // nil for the applier and for local work
	applied bool          // it is the applier's
	done    func(error)

	server *server // that it is entered on
	synced func()  // it is in the binary log
}

// blank is the commit's memory for the next one.
func (c *commit) blank() { *c = commit{synced: c.synced} }

// write is a client's insert of a row.
func (s *server) write(on *guest, row int64, done func(error)) { s.writeHuge(on, row, 0, done) }

// writeHuge is one that takes long to apply elsewhere.
func (s *server) writeHuge(on *guest, row int64, size time.Duration, done func(error)) {
	t := s.clock.slabs().transactions.one()
	t.row, t.size = row, size
	s.execute(on, t, done)
}

// mark inserts a decision into the journal under its marker's GTID. A marker that is committed here is skipped; one that
// another session is committing is waited for.
func (s *server) mark(on *guest, d topology.Decision, done func(error)) {
	s.execute(on, &transaction{gtid: d.Marker().GTID(), decision: &d}, done)
}

// createJournal makes schema and table where the table is missing: two statements, so two transactions.
func (s *server) createJournal(on *guest, done func(error)) {
	if s.journal {
		done(nil)
		return
	}
	s.createTable(on, &transaction{journal: true}, done)
}

// createRules makes the schema once more, and the table of the rules.
func (s *server) createRules(on *guest, done func(error)) {
	s.createTable(on, &transaction{rules: true}, done)
}

func (s *server) createTable(on *guest, table *transaction, done func(error)) {
	s.execute(on, &transaction{}, func(err error) {
		if err != nil {
			done(err)
			return
		}
		s.execute(on, table, done)
	})
}

// barrier inserts the rules that are about to be put on record, which nobody reads back.
func (s *server) barrier(on *guest, done func(error)) { s.execute(on, &transaction{}, done) }

// errant is a write by somebody local, root, that no protocol knows of; force switches super_read_only off for it.
func (s *server) errant(row int64, force bool) (*transaction, error) {
	if s.state != processUp || s.closed() && !force || len(s.closings) > 0 || s.disk.stuck() {
		return nil, errReadOnlyOption
	}
	t := &transaction{row: row, origin: s.serverID, committed: s.wall()}
	c := &commit{transaction: t, done: func(error) {}}
	s.enlist(c)
	s.flush(c)
	return t, nil
}

// closed tells whether super_read_only is in force: a SET that still waits is not, and where read_only is off nothing is
// looked at.
func (s *server) closed() bool { return s.readOnly && s.superReadOnly && len(s.closings) == 0 }

// execute runs a transaction of a session, up to its commit.
func (s *server) execute(on *guest, t *transaction, done func(error)) {
	switch {
	case s.closed(), s.readOnly && on.who == accountApp:
		done(errReadOnlyOption)
	case len(s.closings) > 0:
		s.block(on, func() { s.execute(on, t, done) }, done)
	case t.decision != nil && s.done.has(t.gtid):
		done(nil)
	case t.decision != nil && s.owned(t.gtid.UUID):
		s.awaitExecuted(on, gtid.Of(t.gtid), forEver, done)
	default:
		if err := s.conflict(t); err != nil {
			done(err)
			return
		}
		if s.locked(t) {
			s.awaitRowOf(on, t.row, done)
			return
		}
		t.origin, t.committed = s.serverID, s.wall()
		c := s.clock.slabs().commits.one()
		c.transaction, c.guest, c.done = t, on, done
		s.enter(c)
	}
}

// forEver is longer than any world lasts.
const forEver = 1000 * time.Hour

// conflict is why the engine refuses a transaction.
func (s *server) conflict(t *transaction) error {
	if t.decision != nil && !s.journal {
		return errNoTable
	}
	if t.row != 0 {
		for other := s.hosts.rows[t.row]; other != nil; other = other.twin {
			if other != t && s.done.has(other.gtid) {
				return errDuplicateRow
			}
		}
	}
	return nil
}

// enter begins a commit: from here on nothing ends it but the end of the process.
func (s *server) enter(c *commit) {
	s.enlist(c)
	c.since = s.clock.now
	if c.guest != nil {
		c.guest.doing, c.guest.commit = committing, c
	}
	if c.decision != nil {
		s.marking = append(s.marking, c.gtid)
	}
	if c.server = s; c.synced == nil {
		c.synced = func() { c.server.flush(c) }
	}
	s.onDisk(s.syncTime(), c.synced)
}

// flush writes a transaction to the binary log, from where replicas get it at once, and has it wait for their
// acknowledgements before the engine commits it.
func (s *server) flush(c *commit) {
	if c.gtid == (gtid.GTID{}) {
		s.name(c.transaction, s.nextGTID())
	}
	if c.decision != nil && s.hosts.deciding != nil {
		s.hosts.deciding(s, c.decision)
	}
	c.place, c.since = s.log.end(), s.clock.now
	s.log.entries = append(s.log.entries, c.transaction)
	s.register(c.transaction)
	if s.semi.source && s.semi.active || len(s.commits) > 0 {
		s.await(c)
	} else {
		s.unacknowledged()
		s.complete(c, 0)
	}
	s.pump()
}

// register makes a row known to readers, once.
func (s *server) register(t *transaction) {
	if t.row == 0 || t.registered {
		return
	}
	t.registered = true
	t.twin = s.hosts.rows[t.row]
	s.hosts.rows[t.row] = t
}

// name gives a transaction its name. A server whose data is another's again, or which lost what it had not executed, may
// give one that was given before: everybody takes the second for the first.
func (s *server) name(t *transaction, g gtid.GTID) {
	t.gtid = g
	if _, given := s.hosts.named[g]; given {
		s.hosts.reused = append(s.hosts.reused, g)
		return
	}
	s.hosts.named[g], t.first = t, true
}

// under is what a server executed under a name; nil when nothing.
func (s *server) under(g gtid.GTID) *transaction {
	if !s.done.has(g) {
		return nil
	}
	if t := s.second[g]; t != nil {
		return t
	}
	return s.hosts.named[g]
}

// nextGTID is the lowest number of our own that is free.
func (s *server) nextGTID() gtid.GTID {
	g := gtid.GTID{UUID: s.uuid, Number: s.nextNumber}
	for s.done.has(g) || s.waits(g) {
		g.Number++
	}
	s.nextNumber = g.Number + 1
	return g
}

func (s *server) waits(g gtid.GTID) bool {
	return slices.ContainsFunc(s.commits, func(c *commit) bool { return c.gtid == g })
}

// owned tells whether a commit of this UUID is under way (gtid_owned).
func (s *server) owned(u gtid.UUID) bool {
	return slices.ContainsFunc(s.commits, func(c *commit) bool { return c.gtid.UUID == u }) ||
		slices.ContainsFunc(s.marking, func(g gtid.GTID) bool { return g.UUID == u })
}

// await queues a commit behind those that wait for acknowledgements already. Only the first counts as waiting.
func (s *server) await(c *commit) {
	s.commits = append(s.commits, c)
	if s.together == 0 {
		s.lead()
	}
}

// complete commits in the engine, after which everybody sees it, and tells the client.
func (s *server) complete(c *commit, acks int) {
	s.engine(c.transaction)
	if c.decision != nil {
		s.marking = slices.DeleteFunc(s.marking, func(g gtid.GTID) bool { return g == c.gtid })
	}
	if s.hosts.completed != nil && !c.applied {
		s.hosts.completed(s, c.transaction, acks)
	}
	if c.guest != nil {
		c.guest.commit = nil
	}
	c.done(nil)
	s.strike(c)
	s.executedMore()
}

// engine makes a transaction part of the data.
func (s *server) engine(t *transaction) {
	s.done.add(t.gtid)
	if !t.first && s.hosts.named[t.gtid] != nil {
		if s.second == nil {
			s.second = map[gtid.GTID]*transaction{}
		}
		s.second[t.gtid] = t
	}
	s.journal, s.ruled = s.journal || t.journal, s.ruled || t.rules
	if t.decision != nil {
		s.decided = append(s.decided, t.decision)
	}
}

// executedMore lets go on what waits for commits to end.
func (s *server) executedMore() {
	if len(s.awaited) > 0 {
		s.keepPromises()
	}
	if s.inFlight == 0 && len(s.closings) > 0 {
		s.closeNow()
	}
}

// closing is SET super_read_only=ON while it waits for the commits that are under way.
type closing struct {
	guest *guest
	super bool // it is on super_read_only, and not on read_only alone
	// readOnly tells that read_only was off when it began: it is switched on as well, and else left as it then is.
	readOnly bool
	done     func(error)
	timer    timer
}

// closeUp is SET super_read_only = ON and SET read_only = ON, one after the other: the first alone leaves a server open
// where super_read_only stands alone.
func (s *server) closeUp(on *guest, lockWait time.Duration, done func(error)) {
	s.closeForWrites(on, lockWait, func(err error) {
		if err != nil {
			done(err)
			return
		}
		s.setReadOnlyOn(on, lockWait, done)
	})
}

// closeForWrites is SET super_read_only = ON. It waits for the commits that are under way, and new ones queue behind it;
// it gives up with 1205 after lockWait, or with 1317 when it is killed, and leaves nothing behind then. While it waits
// super_read_only reads 1 and read_only 0, unless that was on before.
func (s *server) closeForWrites(on *guest, lockWait time.Duration, done func(error)) {
	switch {
	case s.superInForce():
		done(nil) // it changes nothing, read_only included
		return
	case s.inFlight == 0:
		s.readOnly, s.superReadOnly = true, true
		done(nil)
		return
	}
	s.superReadOnly = s.superReadOnly || !s.readOnly
	s.awaitClosing(&closing{guest: on, super: true, readOnly: !s.readOnly, done: done}, lockWait)
}

// setReadOnlyOn is SET read_only = ON, which waits like SET super_read_only = ON; read_only reads 0 meanwhile.
func (s *server) setReadOnlyOn(on *guest, lockWait time.Duration, done func(error)) {
	if s.readOnly || s.inFlight == 0 {
		s.readOnly = true
		done(nil)
		return
	}
	s.awaitClosing(&closing{guest: on, readOnly: true, done: done}, lockWait)
}

// superInForce tells whether super_read_only is ON, and not only reads so because of a SET that still waits.
func (s *server) superInForce() bool {
	return s.superReadOnly && !slices.ContainsFunc(s.closings, func(c *closing) bool { return c.super })
}

func (s *server) awaitClosing(c *closing, lockWait time.Duration) {
	on := c.guest
	s.closings = append(s.closings, c)
	on.doing = closingWrites
	on.cancel = func(err error) { s.giveUpClosing(c, err) }
	c.timer = s.later(lockWait, func() { s.giveUpClosing(c, errLockWaitTimeout) })
}

func (s *server) giveUpClosing(c *closing, err error) {
	c.timer.cancel()
	s.closings = slices.DeleteFunc(s.closings, func(o *closing) bool { return o == c })
	s.superReadOnly = s.superReadOnly && !c.super // also when others wait
	if len(s.closings) == 0 {
		s.unblock()
	}
	c.done(err)
}

// closeNow grants the lock to all who wait for it.
func (s *server) closeNow() {
	granted := s.closings
	s.closings = nil
	for _, c := range granted {
		s.superReadOnly, s.readOnly = s.superReadOnly || c.super, s.readOnly || c.readOnly
	}
	for _, c := range granted {
		c.timer.cancel()
		c.done(nil)
	}
	s.unblock()
}

// blocked is a write that waits for the global read lock.
type blocked struct {
	again func()
}

// block queues a session's write behind SET super_read_only; KILL ends it.
func (s *server) block(on *guest, again func(), done func(error)) {
	b := &blocked{again}
	s.blocked = append(s.blocked, b)
	on.doing = querying
	on.cancel = func(err error) {
		s.blocked = slices.DeleteFunc(s.blocked, func(o *blocked) bool { return o == b })
		done(err)
	}
	b.again = func() { on.cancel = nil; again() }
}

func (s *server) unblock() {
	all := s.blocked
	s.blocked = nil
	for _, b := range all {
		b.again()
	}
}

// setReadOnlyOff is SET read_only = OFF, which takes super_read_only along where that is in force, and leaves alone what
// a SET that still waits lets read.
func (s *server) setReadOnlyOff() {
	s.readOnly = false
	if s.superInForce() {
		s.superReadOnly = false
	}
}

// setSuperReadOnlyOff is SET super_read_only = OFF.
func (s *server) setSuperReadOnlyOff() { s.superReadOnly = false }

// setOffline is SET offline_mode. ON cuts clients, whose commits go on without them, and replicas unless their account
// is exempt.
func (s *server) setOffline(on bool) {
	s.offline = on
	if !on {
		return
	}
	for _, g := range slices.Clone(s.guests) {
		if g.who == accountApp && !g.killed {
			g.end()
		}
	}
	if !s.options.ReplicasExempt {
		for _, d := range slices.Clone(s.dumps) {
			s.cutDump(d)
		}
	}
}

// awaited is WAIT_FOR_EXECUTED_GTID_SET.
type awaited struct {
	set   gtid.Set
	done  func(error)
	timer timer
}

// awaitExecuted waits until a set is executed; errAwaitTimeout when the time is over.
func (s *server) awaitExecuted(on *guest, set gtid.Set, atMost time.Duration, done func(error)) {
	if s.done.all().Contains(set) {
		done(nil)
		return
	}
	a := &awaited{set: set, done: done}
	s.awaited = append(s.awaited, a)
	on.doing = querying
	on.cancel = func(err error) { s.endAwaited(a, err) }
	a.timer = s.later(atMost, func() { s.endAwaited(a, errAwaitTimeout) })
}

func (s *server) endAwaited(a *awaited, err error) {
	a.timer.cancel()
	s.awaited = slices.DeleteFunc(s.awaited, func(o *awaited) bool { return o == a })
	a.done(err)
}

func (s *server) keepPromises() {
	executed := s.done.all()
	for _, a := range slices.Clone(s.awaited) {
		if executed.Contains(a.set) {
			s.endAwaited(a, nil)
		}
	}
}

// hasRow tells whether readers see a row.
func (s *server) hasRow(row int64) bool {
	for t := s.hosts.rows[row]; t != nil; t = t.twin {
		if s.done.has(t.gtid) && s.under(t.gtid) == t {
			return true
		}
	}
	return false
}
