package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// ErrantSettings say what is done about servers with errant transactions.
type ErrantSettings struct {
	Policy    settle.Policy // what is done by itself where they were provably never answered; quarantine when empty
	RowsMax   int           // how many rows are decoded, put on record and undone; 0 takes settle.RowsMax
	ExportDir string        // where transcripts go that are too large for the store; empty for nowhere
}

// stint is one step of a settlement while somebody works on it, or the judging before one is begun by itself.
type stint struct {
	id     string           // of the settlement; empty while it is judged whether there is to be one
	server topology.Address // that is worked on
	cancel context.CancelFunc
}

// worked is what came of a stint.
type worked struct {
	stint     *stint
	result    settle.Result
	judgement judgement
	err       error // of judging
}

// passed is a server whose errant transactions were judged, and left alone.
type passed struct {
	set    gtid.Set
	term   uint32
	kind   settle.Kind // that was refused; empty when none may be tried at all
	next   time.Time   // when it may be tried again; never when zero
	failed int
}

// settleErrant goes on with the settlement that is under way, or begins one where that is configured. There is one at a
// time in a cluster, so that no more than one server is missing because of it.
func (c *cluster) settleErrant(ctx context.Context, now time.Time) {
	if c.o.settings.Bench == nil {
		return
	}
	c.witness()
	s := c.lineage.Settling
	switch {
	case s == nil && c.narrow(ctx):
	case s == nil && c.record.Halting != nil: // no second server is taken out
	case s == nil && c.stint == nil:
		c.settleByItself(ctx, now)
	case s == nil:
	case c.stint != nil:
		if s.Automatic && s.Step != settle.StepAdmit && c.unwanted(s.Server) != "" {
			c.stint.cancel()
		}
	default:
		c.goOn(ctx, *s, now)
	}
}

// goOn hands the next step out, unless something has to be waited for or has changed.
func (c *cluster) goOn(ctx context.Context, s settle.Settlement, now time.Time) {
	if now.Before(s.NextAt) {
		return
	}
	if why := c.outdated(s, now); why != "" {
		c.concluded(ctx, s.End(settle.StateCancelled, why, now))
		return
	}
	if why := c.hindered(s); why != "" {
		if s.Detail != why {
			s.Detail = why
			c.lineage.Settling = &s
		}
		return
	}
	if s.Kind == settle.KindClone && !c.chooseDonor(ctx, &s, now) {
		return
	}
	if s.Step.IntoHistory() && !c.takenIn(ctx, s) {
		return
	}
	c.work(s)
}

// takenIn puts on record that the transactions are about to belong to the history of the leadership, before the primary
// gets any of them: else every server that had them from it would be errant if it died right then. False when that could
// not be saved.
func (c *cluster) takenIn(ctx context.Context, s settle.Settlement) bool {
	current, _ := c.lineage.History.Current()
	if current.Accepted[s.Server].Contains(s.Set) {
		return true
	}
	before := c.lineage
	c.lineage.History.Leaderships = []topology.Leadership{current.Accepting(s.Server, s.Set)} // the only one: see unsteady
	if err := c.saveLineage(ctx); err != nil {
		c.lineage = before
		return false
	}
	return true
}

// narrowAfter is how long what was taken into the history stays there after the last settlement has ended, or after we began to
// act: by then whoever was to commit it on the primary has done so, waits there for acknowledgements, or was ended.
const narrowAfter = time.Minute

// narrow takes out of the history what was to become part of it and never did, as when a keep was refused half-way: whoever
// holds it by himself is errant. It tells whether there was something.
func (c *cluster) narrow(ctx context.Context) bool {
	current, led := c.lineage.History.Current()
	primary := c.snapshot.Server(current.Primary)
	switch {
	case !led, len(current.Accepted) == 0, c.unsteady(c.findings) != "", primary.UUID != current.PrimaryUUID, primary.SemiSync.Waiters > 0,
		c.stint != nil, c.snapshot.At.Before(c.ledSince.Add(narrowAfter)), c.snapshot.At.Before(c.concludedAt.Add(narrowAfter)):
		return false
	}
	holding := current.Holding(primary.Executed)
	if holding.Accepts().Equal(current.Accepts()) {
		return false
	}
	before := c.lineage
	c.lineage.History.Leaderships = []topology.Leadership{holding} // the only one: see unsteady
	if err := c.saveLineage(ctx); err != nil {
		c.lineage = before
	}
	return true
}

// outdated says why a settlement does not fit its server any more. What a clone leaves of a server's GTIDs while it runs
// is its own business, and so is what a server shows that is not reached.
func (c *cluster) outdated(s settle.Settlement, now time.Time) string {
	if _, member := c.record.Ruleset.Member(s.Server); !member {
		return fmt.Sprintf("%s is no member any more", s.Server)
	}
	if s.Step == settle.StepAdmit { // which is not left half done
		return ""
	}
	if s.Automatic {
		if why := c.unwanted(s.Server); why != "" {
			return why
		}
	}
	if s.Step == settle.StepClone {
		return ""
	}
	if more := c.errantSets(now)[s.Server].Subtract(s.Set); !more.IsEmpty() {
		return fmt.Sprintf("%s holds %s besides, which nobody has decided about", s.Server, more)
	}
	return ""
}

// unwanted says why nothing is done to a server without being asked for.
func (c *cluster) unwanted(a topology.Address) string {
	if sw := c.automation(); !sw.On {
		return fmt.Sprintf("automatic changes are switched off (%s %s)", sw.By, sw.Reason)
	}
	if note, under := c.record.Maintenance[a]; under {
		return fmt.Sprintf("%s is under maintenance (%s %s)", a, note.By, note.Reason)
	}
	if c.record.Held != nil {
		return fmt.Sprintf("the cluster is under maintenance (%s %s)", c.record.Held.By, c.record.Held.Reason)
	}
	return ""
}

// hindered says why a settlement that fits has to wait. A server that is on its way back does not wait for acknowledgements:
// it may be the one that is to give them.
func (c *cluster) hindered(s settle.Settlement) string {
	current, _ := c.lineage.History.Current()
	back := s.Step.BringsBack() && s.Server != current.Primary
	findings := c.findings
	if back && c.snapshot.Server(current.Primary).SemiSync.Acks < topology.PoisonAcks {
		findings = slices.DeleteFunc(slices.Clone(findings), func(f topology.Finding) bool { return f.Code == topology.SemiSyncBlocked })
	}
	if why := c.unsteady(findings); why != "" || back {
		return why
	}
	if c.rulesOutdated() { // who else may hold what is taken away, and who may acknowledge, is not known
		return "it waits until somebody has said which rules are in force"
	}
	return settle.Needed(c.snapshot, current.Primary, s.Server)
}

// unsteady says why nothing is done to any server now.
func (c *cluster) unsteady(findings []topology.Finding) string {
	current, led := c.lineage.History.Current()
	switch {
	case !led, !topology.Serves(findings), !c.snapshot.Server(current.Primary).Writable():
		return "it waits for a primary that serves"
	case len(c.lineage.History.Leaderships) > 1, c.lineage.History.Recovered:
		return "it waits until it is settled who leads"
	}
	return ""
}

// chooseDonor fills in from whom is cloned, anew as long as nothing is: false when nobody will do.
func (c *cluster) chooseDonor(ctx context.Context, s *settle.Settlement, now time.Time) bool {
	if s.Donor != "" && s.Step != settle.StepExport && s.Step != settle.StepCheck {
		o := c.snapshot.Server(s.Donor)
		if s.Step != settle.StepClone || o.OK() {
			return true
		}
	}
	current, _ := c.lineage.History.Current()
	donor, why := c.donor(current.Primary, *s)
	if donor == "" && s.Step != settle.StepExport {
		c.concluded(ctx, s.Apply(settle.Result{Outcome: reparent.No, Code: "no_donor", Detail: fmt.Sprintf("there is nobody to clone from: %v", why)}, now))
		return false
	}
	s.Donor = donor
	return true
}

// work begins the step that a settlement stands at, under the lock and the term that this elector acts under.
func (c *cluster) work(s settle.Settlement) {
	ctx, cancel := context.WithCancel(c.lease.Context())
	at := &stint{id: s.ID, server: s.Server, cancel: cancel}
	c.stint, c.lineage.Settling = at, &s
	task, term, bench := c.task(s), c.sessionTerm, c.o.settings.Bench
	c.workers.Go(func() {
		defer cancel()
		c.inbox.work(worked{stint: at, result: bench.Work(ctx, c.name, term, task, c.tellProgress)})
	})
}

func (c *cluster) task(s settle.Settlement) settle.Task {
	current, _ := c.lineage.History.Current()
	e, clone := c.o.settings.Errant, c.o.settings.Clone
	return settle.Task{
		Settlement: s.ID, Kind: s.Kind, Step: s.Step, Cluster: c.name, Server: s.Server, Set: s.Set, Donor: s.Donor,
		Primary: current.Primary, PrimaryUUID: current.PrimaryUUID, Members: c.record.Ruleset.Servers().List(),
		AcceptReuse: s.Accepts(settle.AcceptReuse), AcceptIncomplete: s.Accepts(settle.AcceptIncomplete),
		AcceptUnverified: s.Accepts(settle.AcceptUnverified),
		Limits:           settle.Limits{Rows: e.RowsMax}, ExportDir: e.ExportDir,
		RateMax: clone.RateMax, StallMax: clone.StallMax, TimeMax: clone.TimeMax,
	}
}

func (c *cluster) tellProgress(p settle.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = &p
}

// endSettling gives the server under settlement free at once: a change of the primary goes first, and waits for nobody.
// What was begun stays on record, and is gone on with after the change.
func (c *cluster) endSettling() {
	if c.stint != nil {
		c.stint.cancel()
	}
}

// underSettlement tells whether a server is left to its settlement.
func (c *cluster) underSettlement(a topology.Address) bool {
	return c.lineage.Settling != nil && c.lineage.Settling.Server == a
}

// took takes in what came of a stint. While a change is under way only that writes the lineage, and without the lock
// nobody does: the step will be done again.
func (c *cluster) took(ctx context.Context, w worked) {
	c.mu.Lock()
	c.progress = nil
	c.mu.Unlock()
	if c.stint == w.stint {
		c.stint = nil
	}
	if c.busy || c.lease == nil {
		return
	}
	now := c.now()
	if w.stint.id == "" {
		c.judged(ctx, w, now)
		return
	}
	s := c.lineage.Settling
	if s == nil || s.ID != w.stint.id {
		return
	}
	next := s.Apply(w.result, now)
	if t := w.result.Transcript; t != nil && w.result.Outcome == reparent.Yes {
		next.ExportedTo = cmp.Or(t.File, exportKey(c.name, s.ID))
		c.concluded(ctx, next, exportDocument(c.name, s.ID, *t))
	} else {
		c.concluded(ctx, next)
	}
	c.alarm()
}

// concluded puts on record where a settlement stands now. What cannot be saved did not happen: the step is done again.
func (c *cluster) concluded(ctx context.Context, next settle.Settlement, more ...Document) {
	_ = c.conclude(ctx, next, more...)
}

// conclude is concluded for somebody who is waiting to hear of it.
func (c *cluster) conclude(ctx context.Context, next settle.Settlement, more ...Document) error {
	before := c.lineage
	c.lineage.Settling = &next
	if !next.Running() {
		c.lineage.Settling, c.concludedAt = nil, c.now()
	}
	if was := before.Settling; was == nil || was.Step != next.Step || was.Tries != next.Tries || !next.Running() {
		if err := c.saveLineage(ctx, append(more, settlementDocument(next))...); err != nil {
			c.lineage = before
			return err
		}
	}
	c.tellSettlement(before.Settling, next)
	if !next.Running() {
		c.putAside(next)
	}
	c.publish(c.snapshot.At)
	return nil
}

// putAside keeps what came of a settlement that was begun by itself.
func (c *cluster) putAside(s settle.Settlement) {
	if s.State == settle.StateSucceeded {
		delete(c.passed, s.Server)
		return
	}
	current, _ := c.lineage.History.Current()
	p := passed{set: s.Set, term: current.Term, kind: s.Kind}
	if s.State == settle.StateCancelled { // it may be wanted again
		p.next, p.kind = s.FinishedAt.Add(time.Minute), ""
	}
	if s.Set.IsEmpty() {
		p.next = s.FinishedAt.Add(time.Hour)
	}
	c.passed[s.Server] = p
}

func (c *cluster) tellSettlement(before *settle.Settlement, s settle.Settlement) {
	tell := func(text string) {
		c.o.events.Tell(Event{Kind: EventRepair, At: c.now(), Cluster: c.name, Server: s.Server, By: s.By, Text: text})
	}
	if before == nil {
		tell(fmt.Sprintf("%s: %s of %s begins: %s", s.Server, s.Kind, s.Set, s.Reason))
		return
	}
	for _, stage := range s.Stages[min(len(before.Stages), len(s.Stages)):] {
		tell(fmt.Sprintf("%s: %s, %s (%s): %s", s.Server, s.Kind, stage.Name, stage.Outcome, stage.Detail))
	}
	if !s.Running() {
		tell(fmt.Sprintf("%s: %s of %s ended %s: %s", s.Server, s.Kind, s.Set, s.State, s.Detail))
	}
}

// steadyAfter is how long a leadership has to stand before anything is settled by itself.
const steadyAfter = 30 * time.Second

// settleByItself looks for a server whose errant transactions may be settled without anybody's asking.
func (c *cluster) settleByItself(ctx context.Context, now time.Time) {
	if server, donor, found := c.joining(now); found && c.worthJoining(server, now) {
		c.join(ctx, server, donor, now)
		return
	}
	if _, wanted := c.o.settings.Errant.Policy.Kind(); !wanted {
		return
	}
	current, led := c.lineage.History.Current()
	if !led || now.Sub(current.EstablishedAt) < steadyAfter || c.repairing {
		return
	}
	errant := c.errantSets(now)
	for _, a := range slices.Sorted(maps.Keys(errant)) {
		if c.worthJudging(a, errant[a], current, now) {
			c.judgeOne(a, errant[a])
			return
		}
	}
}

// worthJoining tells whether a server that lacks what nobody can send it has not been tried in vain just now.
func (c *cluster) worthJoining(a topology.Address, now time.Time) bool {
	p, known := c.passed[a]
	return !known || !p.next.IsZero() && !now.Before(p.next)
}

// join has a server filled by a clone that has nothing to be settled.
func (c *cluster) join(ctx context.Context, server, donor topology.Address, now time.Time) {
	current, _ := c.lineage.History.Current()
	c.concluded(ctx, settle.Begin(settle.Settlement{
		ID: settlementID(c.name, now), Cluster: c.name, Server: server, Donor: donor, Kind: settle.KindClone, Term: current.Term,
		Automatic: true, By: "primacy", Reason: "it lacks what no binary log of the others holds any more",
	}, now))
	c.alarm()
}

func (c *cluster) worthJudging(a topology.Address, set gtid.Set, current topology.Leadership, now time.Time) bool {
	if c.unwanted(a) != "" || c.hindered(settle.Settlement{Server: a}) != "" || !c.snapshot.Server(a).OK() {
		return false
	}
	p, known := c.passed[a]
	if !known || !p.set.Equal(set) || p.term != current.Term {
		return true
	}
	if !p.next.IsZero() {
		return !now.Before(p.next)
	}
	return p.kind == settle.KindRewind && c.o.settings.Errant.Policy == settle.PolicyAuto
}

// judgeTime bounds how long the binary logs may take that a verdict rests on.
const judgeTime = 5 * time.Minute

// judgeOne has a server judged, off the loop.
func (c *cluster) judgeOne(a topology.Address, set gtid.Set) {
	ctx, cancel := c.runtime().Within(c.lease.Context(), judgeTime)
	at := &stint{server: a, cancel: cancel}
	c.stint = at
	ch := c.charge(a, set)
	c.workers.Go(func() {
		defer cancel()
		j, err := ch.judge(ctx)
		c.inbox.work(worked{stint: at, judgement: j, err: err})
	})
}

// judged begins a settlement where nothing was answered for certain, and remembers who is left alone.
func (c *cluster) judged(ctx context.Context, w worked, now time.Time) {
	a, j := w.stint.server, w.judgement
	current, _ := c.lineage.History.Current()
	p := c.passed[a]
	if w.err != nil {
		p.failed++
		c.passed[a] = passed{set: j.set, term: j.term, failed: p.failed, next: now.Add(min(time.Minute<<min(p.failed-1, 6), time.Hour))}
		return
	}
	if !c.errantSets(now)[a].Equal(j.set) || current.Term != j.term {
		return
	}
	if !j.verdict.Never {
		c.passed[a] = passed{set: j.set, term: j.term}
		c.o.events.Tell(Event{
			Kind: EventRepair, At: now, Cluster: c.name, Server: a,
			Text: fmt.Sprintf("%s stays quarantined, for %s may have been answered to clients: %v", a, j.set, j.verdict.Why),
		})
		return
	}
	kind, _ := c.o.settings.Errant.Policy.Kind()
	if p.kind == settle.KindRewind && p.set.Equal(j.set) {
		kind = settle.KindClone
	}
	c.concluded(ctx, settle.Begin(settle.Settlement{
		ID: settlementID(c.name, now), Cluster: c.name, Server: a, Kind: kind, Set: j.set, Verdict: j.verdict, Term: j.term,
		Automatic: true, By: "primacy", Reason: "provably never answered to a client",
	}, now))
	c.alarm()
}

// settlementID orders by time.
func settlementID(cluster string, now time.Time) string {
	return cluster + "-" + now.UTC().Format("20060102T150405.000")
}
