package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// charge is a server with errant transactions, and what its cluster knows that helps to judge them. The loop makes it;
// it is judged outside of the loop, for that asks servers and the store.
type charge struct {
	c       *cluster
	server  topology.Address
	set     gtid.Set
	term    uint32 // of the leadership whose history does not contain them
	seen    topology.Sightings
	fenced  map[topology.Address]string
	lax     map[topology.Address]string
	limits  settle.Limits
	decoded map[topology.Address]settle.Transcript
}

// judgement is what judging came to.
type judgement struct {
	server     topology.Address
	set        gtid.Set
	term       uint32
	transcript settle.Transcript
	verdict    settle.Verdict
}

func (c *cluster) charge(server topology.Address, set gtid.Set) charge {
	current, _ := c.lineage.History.Current()
	return charge{
		c: c, server: server, set: set, term: current.Term, seen: c.lastSeen, fenced: maps.Clone(c.record.Fenced), lax: maps.Clone(c.record.Lax),
		limits: settle.Limits{Rows: c.o.settings.Errant.RowsMax}, decoded: map[topology.Address]settle.Transcript{},
	}
}

// errantSets are the errant transactions of the latest round, by server.
func (c *cluster) errantSets(now time.Time) map[topology.Address]gtid.Set {
	return topology.ErrantSets(c.snapshot, c.history(), c.o.settings.Limits, now)
}

// judge reads what the transactions did, and asks the changes on record whether they were provably never answered.
func (ch charge) judge(ctx context.Context) (judgement, error) {
	j := judgement{server: ch.server, set: ch.set, term: ch.term, verdict: settle.Verdict{Set: ch.set}}
	t, err := ch.c.o.settings.Bench.Decode(ctx, ch.server, ch.set, ch.limits)
	if err != nil {
		return j, fmt.Errorf("read the binary log of %s: %w", ch.server, err)
	}
	j.transcript, ch.decoded[ch.server] = t, t
	chain, err := ch.chain(ctx)
	if err != nil {
		return j, err
	}
	v := reparent.Acquit(chain, ch.set, func(led topology.Leadership, part gtid.Set) string { return ch.author(ctx, led, part) })
	j.verdict.Never, j.verdict.Why, j.verdict.Term = v.Never, v.Why, v.Term
	return j, nil
}

// chainMost bounds how far back it is looked for the change that made an author a leader.
const chainMost = 200

// chain are the established changes from the current leadership back.
func (ch charge) chain(ctx context.Context) ([]reparent.Operation, error) {
	all, err := ch.c.listed(ctx, chainMost)
	if err != nil {
		return nil, err
	}
	var chain []reparent.Operation
	for _, op := range all {
		if !op.Established.IsZero() && (len(chain) > 0 || op.Term == ch.term) {
			chain = append(chain, op)
		}
	}
	return chain, nil
}

// author says why it is not certain that the process which led wrote transactions and let nobody go who waited.
func (ch charge) author(ctx context.Context, led topology.Leadership, part gtid.Set) string {
	if ch.lax[led.Primary] == led.Incarnation {
		return fmt.Sprintf("%s was seen to take writes under term %d without waiting for acknowledgements as it should", led.Primary, led.Term)
	}
	seen := ch.seen.Of(led.Primary)
	if seen.UUID != led.PrimaryUUID {
		return fmt.Sprintf("%s, which wrote them, is not reached: how its process ended is not known", led.Primary)
	}
	t, why := ch.transcriptOf(ctx, led.Primary, part)
	if why != "" {
		return why
	}
	if missing := part.Intersect(t.Missing); !missing.IsEmpty() {
		return fmt.Sprintf("the binary log of %s, which wrote them, holds %s no more", led.Primary, missing)
	}
	if !wroteAll(t, part, func(p settle.Process) bool { return startedWith(led, p) }) {
		if t, why = ch.besideMarker(ctx, led, part); why != "" {
			return why
		}
	}
	for _, p := range processes(t, part) {
		if why := ch.ended(led, p, *seen); why != "" {
			return why
		}
	}
	return ""
}

// processes are those that wrote a part.
func processes(t settle.Transcript, part gtid.Set) (all []settle.Process) {
	for _, x := range t.Transactions {
		if g, err := gtid.ParseGTID(x.GTID); err == nil && part.Has(g) {
			all = append(all, x.Process)
		}
	}
	return all
}

func wroteAll(t settle.Transcript, part gtid.Set, is func(settle.Process) bool) bool {
	return !slices.ContainsFunc(processes(t, part), func(p settle.Process) bool { return !is(p) })
}

// startedWith tells whether a process began when the one did that led: by its error log, which says so before anything is
// recovered, or else by its binary log, which is opened after that.
func startedWith(led topology.Leadership, p settle.Process) bool {
	second, known := startOf(led.Incarnation)
	began := p.Began
	if began.IsZero() {
		began = p.StartedAt
	}
	return known && p.Known && began.Sub(second).Abs() <= startMargin
}

// besideMarker is for a binary log that was emptied after its process began, and does not tell that start any more: the
// process that led also wrote the marker of its term, so whatever the marker's process wrote, it did.
func (ch charge) besideMarker(ctx context.Context, led topology.Leadership, part gtid.Set) (settle.Transcript, string) {
	marker := led.Marker().Set()
	t, err := ch.c.o.settings.Bench.Decode(ctx, led.Primary, part.Union(marker), settle.Limits{Rows: 1})
	if err != nil {
		return t, fmt.Sprintf("%s, which wrote them, could not be asked how its process ended: %v", led.Primary, err)
	}
	wrote := processes(t, marker)
	if len(wrote) != 1 || !wroteAll(t, part, func(p settle.Process) bool { return p.Number == wrote[0].Number }) {
		return t, fmt.Sprintf("another process of %s wrote them than the one that led under term %d, as far as its binary log tells", led.Primary, led.Term)
	}
	return t, ""
}

// transcriptOf reads the author's own binary log: only that tells which of its processes wrote something.
func (ch charge) transcriptOf(ctx context.Context, author topology.Address, part gtid.Set) (settle.Transcript, string) {
	if t, known := ch.decoded[author]; known {
		return t, ""
	}
	t, err := ch.c.o.settings.Bench.Decode(ctx, author, part, settle.Limits{Rows: 1})
	if err != nil {
		return t, fmt.Sprintf("%s, which wrote them, could not be asked how its process ended: %v", author, err)
	}
	ch.decoded[author] = t
	return t, ""
}

// startMargin is how inexact the start of a process is known: its incarnation has it in whole seconds, and so has its binary log.
// A process that begins to recover, or opens its binary log, later than that is not taken for the one that led.
const startMargin = 2 * time.Second

// ended says why the process that led may have answered though nobody acknowledged: it was shut down in order, or it runs
// and was not fenced.
func (ch charge) ended(led topology.Leadership, p settle.Process, seen topology.Observation) string {
	switch {
	case p.Orderly:
		return fmt.Sprintf("%s was shut down in order, which tells whoever waits that all is well", led.Primary)
	case !p.Running && p.Stop == settle.StopTold:
		return fmt.Sprintf("%s was told to shut down and killed before it had: whoever waited may have been told that all is well", led.Primary)
	case !p.Running && p.Stop != settle.StopNotTold:
		return fmt.Sprintf("how the process of %s ended is not known: its error log (log_error has to name a file) does not reach back to its start", led.Primary)
	case p.Running && (ch.fenced[led.Primary] != led.Incarnation || seen.Incarnation != led.Incarnation):
		return fmt.Sprintf("%s still runs, and it is not on record that it was fenced before it let anybody go", led.Primary)
	}
	return ""
}

// startOf reads the second in which a process began from its incarnation, which is made of server_uuid, second and number.
func startOf(incarnation string) (time.Time, bool) {
	parts := strings.Split(incarnation, "/")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	second, err := strconv.ParseInt(parts[1], 10, 64)
	return time.Unix(second, 0), err == nil
}

// witness notes, where errant transactions are judged, that the established primary takes writes and does not wait for
// acknowledgements as it should: what it writes from then on may be answered whoever holds it.
func (c *cluster) witness() {
	current, led := c.lineage.History.Current()
	if c.o.settings.Bench == nil || !led || c.lease == nil {
		return
	}
	o := c.snapshot.Server(current.Primary)
	if !o.OK() || o.ReadOnly || o.Incarnation != current.Incarnation || c.record.Lax[o.Address] == o.Incarnation {
		return
	}
	needed := c.record.Ruleset.AcksNeeded(o.Address)
	others := c.record.Ruleset.Servers().Without(o.Address).Len()
	if needed > 0 && o.SemiSync.Verified() && o.SemiSync.Acks >= needed && o.SemiSync.Clients <= others {
		return
	}
	c.record.Lax, c.noted = withNote(c.record.Lax, o.Address, o.Incarnation), true
}

// fenced notes which process a repair has fenced.
func (c *cluster) fenced(m mend) {
	if c.o.settings.Bench == nil || m.command.Verb != reparent.Fence {
		return
	}
	process := cmp.Or(m.result.Observation.Incarnation, c.lastSeen.Of(m.command.Server).Incarnation)
	c.record.Fenced, c.noted = withNote(c.record.Fenced, m.command.Server, process), true
}

// withNote is a changed copy: what was published stays as it is.
func withNote(notes map[topology.Address]string, a topology.Address, text string) map[topology.Address]string {
	changed := map[topology.Address]string{a: text}
	for other, before := range notes {
		if other != a {
			changed[other] = before
		}
	}
	return changed
}
