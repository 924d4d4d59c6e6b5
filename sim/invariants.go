package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// judge knows everything that happens in a world, and holds it against what Primacy promises.
type judge struct {
	world *world

	completions map[writtenRow]completedWrite // what a server completed for a client, last
	promised    history                       // answered with OK, and durable by the policy: must never be lost
	unpromised  []gtid.GTID                   // answered with OK while no policy promised anything, where that may change
	barriers    []string                      // changes of the rules that were counted
	durable     history                       // completed with the acknowledgements that are wanted: readers may have seen it
	read        []int64                       // rows that a reader of an open primary saw
	readOf      map[int64]bool
	refused     []int64       // rows of which their clients heard errors and nothing else
	answeredAt  time.Duration // when a write was last answered that enough servers hold

	completers map[uint32]gtid.UUID // by term: who completed writes under it
	latest     uint32               // the highest term under which a write was completed
	heard      uint32               // and under which a client heard of one

	// excused says until when answers without acknowledgements are not ours to prevent: somebody set a finite timeout,
	// opened a replica, or had MySQL stop in order with commits waiting.
	excused time.Duration
	kept    bool               // an operator decided that what nobody is without stays, cancelled or not
	opened  []topology.Address // by hand or by their own settings: what they answer without acknowledgements is nobody's promise
	fewest  int                // the least number of acks that any ruleset of this world wants
	// unfenced is a world in which a primary that nothing stops may be replaced: it goes on under its own term, and what
	// it writes meanwhile is nobody's promise.
	unfenced bool

	established  map[uint32]change // by term: whose marker was acknowledged
	finished     map[uint32]bool   // those of them that an elector saw through
	asked        map[uint32]bool   // by term: changes that somebody asked for, and that were not undone
	idle         map[uint32]bool   // by term: changes that began while no server was open
	acknowledges time.Duration     // when an operator last lifted a window; negative for never
	forgotten    time.Duration     // when the store last lost what it knew; negative for never
	beyond       bool              // nothing is claimed any more: see unknowable
	conduct      *conduct
}

// writtenRow is a row on the server to which it was written. A client that has heard nothing may write it to several.
type writtenRow struct {
	row    int64
	server int // in hosts.all
}

// completedWrite is a client's commit at the moment at which its server completed it.
type completedWrite struct {
	gtid   gtid.GTID
	server topology.Address
	uuid   gtid.UUID
	term   uint32 // the highest that the server had executed
	latest uint32 // the highest under which anybody had completed a write by then
	acks   int
	needed int  // by what its server waited for, where rules change; else 0
	judged bool // by who completed it
}

// change is a change of the primary that reached establishment.
type change struct {
	at   time.Duration
	term uint32
	kind reparent.Kind
	to   *server
	life int // of its process
}

// holds tells whether the new primary has a transaction.
func (c change) holds(g gtid.GTID) bool { return c.to != nil && c.to.position().Has(g) }

func newJudge(w *world) *judge {
	j := &judge{
		world: w, completions: emptied(&w.clock.slabs().completions), readOf: map[int64]bool{}, completers: map[uint32]gtid.UUID{}, established: map[uint32]change{}, finished: map[uint32]bool{},
		asked: map[uint32]bool{}, idle: map[uint32]bool{}, excused: -1, acknowledges: -1, forgotten: -1, fewest: leastAcks(w.ruleset), unfenced: w.ruleset.Policy.AllowUnfenced,
	}
	w.hosts.startedOpen = j.startedOpen
	w.hosts.completed, w.hosts.opening, j.conduct = j.completed, j.opening, newConduct(w)
	if w.options.Trace {
		w.hosts.happened = func(s *server, what string, t *transaction) {
			if t != nil {
				w.tell(string(s.address), "%s %s", what, t.gtid)
			} else {
				w.tell(string(s.address), "%s", what)
			}
		}
	}
	return j
}

func leastAcks(r topology.Ruleset) int {
	fewest := len(r.Members)
	for _, m := range r.Members {
		fewest = min(fewest, r.AcksNeeded(m.Address))
	}
	return fewest
}

// completed notes what a server completes.
func (j *judge) completed(s *server, t *transaction, acks int) {
	if t.decision != nil && acks >= j.wanted(s) { // with fewer it was let go, as by a fence
		j.marked(s, t)
	}
	if t.row == 0 {
		return
	}
	done := completedWrite{gtid: t.gtid, server: s.address, uuid: s.uuid, term: s.done.term, latest: j.latest, acks: acks}
	if j.world.options.Rules { // how many are needed changes, and what was let go with fewer is nobody's promise
		done.needed = j.wanted(s)
	}
	if j.enough(done) {
		j.durable.add(t.gtid)
	}
	if acks >= j.wanted(s) && t.row < spareRows && !slices.Contains(j.opened, s.address) { // whether or not its client hears of it
		done.judged = true
		j.one(done)
	}
	j.completions[writtenRow{t.row, s.number}] = done
}

// enough tells whether a write has the acknowledgements that make it a promise.
func (j *judge) enough(done completedWrite) bool { return done.acks >= max(j.fewest, done.needed) }

// wanted is how many acknowledgements a commit needs to count that no client has heard of: as many as its server waits for, and
// none where no policy of this world asks for any.
func (j *judge) wanted(s *server) int {
	if j.fewest == 0 {
		return 0
	}
	return max(j.fewest, s.semi.acks)
}

// told takes in that a client heard OK.
func (j *judge) told(c *client, row int64) {
	w := j.world
	done, known := j.completions[writtenRow{row, w.hosts.at(c.server).number}]
	if !known {
		w.violated(NothingLost, "%s was told OK for row %d, which no server completed", c.name, row)
		return
	}
	if w.options.Trace {
		w.tell(c.name, "row %d is answered by %s (%s, %d acks, term %d)", row&0xffffffff, done.server, done.gtid, done.acks, done.term)
	}
	byHand := slices.Contains(j.opened, done.server)
	if j.enough(done) { // by whoever was opened: a primary that somebody closed and opened again goes on leading
		j.answeredAt = w.clock.now
	}
	if !j.enough(done) || byHand {
		w.report.Unprotected++
		if w.clock.now > j.excused && !byHand && !j.fellBack(done.server) {
			w.violated(NothingLost, "%s answered OK for %s with %d acks", done.server, done.gtid, done.acks)
		}
		return
	}
	if !done.judged { // its server had stopped to wait for as many as it should
		j.one(done)
	}
	j.heard = max(j.heard, done.term)
	if j.fewest == 0 { // that one server alone holds it was the wish of who chose the policy
		if w.options.Rules {
			j.unpromised = append(j.unpromised, done.gtid)
		}
		return
	}
	j.promised.add(done.gtid)
}

// fellBack tells whether a server still answers without acknowledgements because its timeout was finite for a while: it
// waits again only once a replica has caught up.
func (j *judge) fellBack(a topology.Address) bool {
	s := j.world.hosts.at(a)
	return s.semi.source && !s.semi.active && slices.ContainsFunc(j.world.report.Faults, func(f Fault) bool { return f.Kind == Fallback })
}

// one claims that one server completes writes in a term, and none of an earlier term once a later one has. What a later
// leader has taken over may complete late: its acknowledgements were on their way when those who sent them were frozen.
func (j *judge) one(done completedWrite) {
	// Where commits need no acknowledgement, a primary that is out of reach is only known from the record, and goes on when
	// that was lost: the servers that are left have nothing of it.
	unstopped := j.unfenced || j.fewest == 0 && j.conduct.forgot()
	if leads, marked := j.established[done.term]; unstopped && marked && leads.to.address != done.server {
		return // it goes on under its own term, and has merely received the marker of a later one
	}
	if done.term < done.latest && !unstopped {
		if j.tookOver(done) {
			return
		}
		j.world.violated(OneCompleter, "%s completed %s under term %d after one was completed under term %d", done.server, done.gtid, done.term, done.latest)
	}
	if by, known := j.completers[done.term]; known && by != done.uuid {
		j.world.violated(OneCompleter, "term %d: both %s and %s completed writes", done.term, by, done.server)
	}
	j.completers[done.term] = done.uuid
	j.latest = max(j.latest, done.term)
}

// tookOver tells whether whoever completed writes under the latest term by then holds a write, or another server that has that
// term's marker: the leader itself may have lost its data since. What its own server holds says nothing.
func (j *judge) tookOver(done completedWrite) bool {
	later, marked := j.established[done.latest]
	if !marked || later.holds(done.gtid) {
		return marked
	}
	d := j.conduct.decided[done.latest]
	return d != nil && slices.ContainsFunc(j.world.hosts.all, func(s *server) bool {
		has := s.position()
		return s.address != done.server && has.Has(d.Marker().GTID()) && has.Has(done.gtid)
	})
}

// anew has a term begin that was used before, and of whose first leadership nobody can know any more: who completed writes
// under it then, and when it was established, says nothing about who leads under it now.
func (j *judge) anew(term uint32) {
	delete(j.completers, term)
	delete(j.established, term)
	delete(j.finished, term)
}

// seen takes in what a reader of an open server saw. What the server itself completed without the acknowledgements that
// are wanted is nobody's promise, nor is what is seen where somebody opened a server by hand, or under a policy that may
// lose it.
func (j *judge) seen(on *server, row int64) {
	done, known := j.completions[writtenRow{row, on.number}]
	if j.fewest == 0 || j.unfenced || j.readOf[row] || known && !j.enough(done) || slices.Contains(j.opened, on.address) {
		return
	}
	j.readOf[row] = true
	j.read = append(j.read, row)
}

// readOutside counts the rows that readers saw and that a position does not hold.
func (j *judge) readOutside(position gtid.Set) int {
	n := 0
	for _, row := range j.read {
		t := j.world.hosts.rows[row]
		for t != nil && !position.Has(t.gtid) {
			t = t.twin
		}
		if t == nil {
			n++
		}
	}
	return n
}

// unseen claims that an open server shows whatever was promised before: in its own term, or under an earlier one than that
// it leads under.
func (j *judge) unseen(s *server, row int64) {
	if s.readOnly || s.offline || slices.Contains(j.opened, s.address) {
		return
	}
	for by := range j.world.hosts.all {
		done, known := j.completions[writtenRow{row, by}]
		if known && j.promised.has(done.gtid) && (done.term < s.done.term || done.uuid == s.uuid) {
			j.world.violated(NoVanishingRead, "row %d was answered under term %d, and %s, open under term %d, does not show it",
				row&0xffffffff, done.term, s.address, s.done.term)
		}
	}
}

// marked claims that whoever has its term's marker acknowledged holds all that was promised: it is about to be opened.
func (j *judge) marked(s *server, t *transaction) {
	j.conduct.marked(s, t.decision)
	for later := range j.established {
		if later > t.decision.Term { // it was fenced, and completes what nobody waits for
			return
		}
	}
	j.opened = slices.DeleteFunc(j.opened, func(a topology.Address) bool { return a == s.address })
	if _, again := j.established[t.decision.Term]; !again {
		j.established[t.decision.Term] = change{j.world.clock.now, t.decision.Term, reparent.Kind(t.decision.Kind), s, s.life}
	}
	if lost := j.promised.all().Subtract(s.position()); !lost.IsEmpty() && !j.unknowable(s) {
		j.world.violated(NothingLost, "%s leads under term %d without %s, which clients were told is committed", s.address, t.decision.Term, lost)
	}
}

// opening claims that a server that is opened for writes holds all that was promised. What was answered under a leadership
// that began after the statement was sent is left out: a process that stood still reads the statement when it goes on, though
// whoever sent it gave up long ago. It is then what a primary is that was opened just before it stood still: one of an earlier
// term, that can complete nothing.
func (j *judge) opening(s *server, sent time.Duration) {
	lost := j.promised.all().Subtract(s.position())
	if !lost.IsEmpty() {
		lost = lost.Subtract(j.ledSince(sent))
	}
	if !lost.IsEmpty() && !j.unknowable(s) {
		j.world.violated(NothingLost, "%s is opened for writes without %s, which clients were told is committed", s.address, lost)
	}
}

// ledSince is what was completed under leaderships that began after a moment.
func (j *judge) ledSince(moment time.Duration) gtid.Set {
	var later []gtid.GTID
	for _, done := range j.completions {
		if j.established[done.term].at > moment {
			later = append(later, done.gtid)
		}
	}
	return gtid.Of(later...)
}

// startedOpen takes in that a server takes writes as soon as it has started.
func (j *judge) startedOpen(s *server) {
	j.opened = append(j.opened, s.address)
}

// excuse notes that until then plus a while answers without acknowledgements are not Primacy's to prevent.
func (j *judge) excuse(until time.Duration) { j.excused = max(j.excused, until) }

// acknowledged notes that an operator lifts the window.
func (j *judge) acknowledged() { j.acknowledges = j.world.clock.now }

// event hears what an elector tells.
func (j *judge) event(e *elector, ev orchestrator.Event) {
	w := j.world
	j.conduct.event(e, ev)
	switch ev.Kind {
	case orchestrator.EventProbed:
		w.number(e)
		return
	case orchestrator.EventRecoveryStarted:
		w.report.Attempts++
		if ev.Recovery != nil && ev.Recovery.Kind != reparent.KindRules { // which changes no term
			j.begins(*ev.Recovery)
		}
	case orchestrator.EventRecoveryFinished:
		if ev.Recovery != nil && ev.Recovery.Kind == reparent.KindRules {
			j.ruled(*ev.Recovery)
			break
		}
		if ev.Recovery != nil && (ev.State == reparent.StateUndone || ev.State == reparent.StateBlocked) {
			delete(j.asked, ev.Recovery.Term)
		}
		if ev.Recovery != nil && !ev.Recovery.Established.IsZero() {
			j.changed(*ev.Recovery)
		}
	case orchestrator.EventFindingOpened, orchestrator.EventFindingClosed, orchestrator.EventRecoveryStage, orchestrator.EventRefused,
		orchestrator.EventRepair, orchestrator.EventLeading, orchestrator.EventNotLeading, orchestrator.EventPrimaryChanged,
		orchestrator.EventOperator, orchestrator.EventStore:
	}
	if w.options.Trace {
		w.tell(e.name, "%s: %s", ev.Kind, ev.Text)
	}
}

// begins notes what an operation finds when it begins. A primary that was replaced while nobody reached it is open still,
// and completes nothing; nor does one that everybody has left.
func (j *judge) begins(op reparent.Operation) {
	open := slices.ContainsFunc(j.world.members(), func(s *server) bool {
		return s.state == processUp && !s.readOnly && !s.offline && !j.replaced(s) && !j.deserted(s)
	})
	j.asked[op.Term] = j.asked[op.Term] || !op.Automatic
	j.idle[op.Term] = j.idle[op.Term] || !open
}

// replaced tells whether a later term was established than any that a server has heard of.
func (j *judge) replaced(s *server) bool {
	for term := range j.established {
		if term > s.done.term {
			return true
		}
	}
	return false
}

// deserted tells whether commits of a server wait for more acknowledgements than there are replicas that give one.
func (j *judge) deserted(s *server) bool {
	heard := 0
	for _, x := range j.world.members() {
		if x.state == processUp && x.hears(s) {
			heard++
		}
	}
	return s.semi.source && s.semi.active && heard < s.semi.acks
}

// finishes tells whether a change completes one that somebody asked for after another one: nobody led since.
func (j *judge) finishes(before, now change) bool {
	for term, asked := range j.asked {
		if asked && before.term < term && term < now.term {
			return j.idle[now.term]
		}
	}
	return false
}

// changed takes in a change that was established. Several electors may tell of the same one, and a paused one much later.
func (j *judge) changed(op reparent.Operation) {
	if j.finished[op.Term] {
		return
	}
	j.finished[op.Term] = true
	if op.Kind != reparent.KindAdoption && op.Kind != reparent.KindReopening {
		j.world.report.Changes++
	}
	now, marked := j.established[op.Term]
	before, changed := j.before(op.Term)
	if marked && changed && op.Automatic && op.Kind == reparent.KindEmergency && knew(op, before) {
		j.window(before, now)
	}
}

// knew tells whether the one before was on record when an operation began: else nobody could know of its window.
func knew(op reparent.Operation, before change) bool {
	current, led := op.History.Current()
	return led && current.Term >= before.term
}

// before is the change before a term: the last one that an elector saw through, or after which writes were completed. A
// planned one counts once it is established: it ends the window. That a primary was opened again changes nothing about it.
func (j *judge) before(term uint32) (latest change, found bool) {
	for t, c := range j.established {
		if t < term && t > latest.term && c.kind != reparent.KindReopening && (c.kind == reparent.KindPlanned || j.finished[t] || j.completers[t] != gtid.UUID{}) {
			latest, found = c, true
		}
	}
	return latest, found
}

// savedWithin is how soon after a store lost what it knew an elector has its lock again and can save.
const savedWithin = 5 * time.Second

// window claims that an automatic change kept to the anti-flapping window that the one before it opened, unless
// something lifted it. What may lift it is judged here by what really happened, and generously.
func (j *judge) window(before, now change) {
	s, length := j.world.cluster.Antiflap, j.windowOf(before)
	if before.kind != reparent.KindEmergency || now.at-before.at >= length {
		return
	}
	gone := before.to.state != processUp || before.to.life != before.life
	unsaved := j.forgotten >= 0 && before.at-j.forgotten < savedWithin // it was lost, or its elector had lost the lock with the store
	lifted, age := j.acknowledges >= before.at || unsaved, now.at-before.at
	if lifted || j.finishes(before, now) || gone && s.ReplaceGonePrimary && age >= s.ProvenAfter || age >= max(s.ProvenAfter, length/2) {
		return
	}
	j.world.violated(AntiflapObeyed, "term %d was established %s after term %d, inside a window of %s that nothing lifted",
		now.term, now.at-before.at, before.term, length)
}

// uncounting are the faults after which an emergency change may not have been counted, or not by itself.
var uncounting = []Kind{
	KillElector, StopElector, PauseElector, CutStore, LoseReply, StopStore, EndLease, OldStore, EmptyStore, Reconfigure,
}

// windowOf is how long the window was that a change opened: longer than the one before it, up to a bound. Where it is not
// certain that those before it were counted, and still are, it was at least as long as the first.
func (j *judge) windowOf(c change) time.Duration {
	s, usual := j.world.cluster.Antiflap, antiflap.Defaults()
	if s.Decay > 0 && s.Decay < j.world.clock.now || slices.ContainsFunc(j.world.report.Faults, func(f Fault) bool { return slices.Contains(uncounting, f.Kind) }) {
		return s.Window
	}
	length, factor, most := float64(s.Window), cmp.Or(s.Factor, usual.Factor), float64(cmp.Or(s.WindowMax, usual.WindowMax))
	for term, earlier := range j.established {
		if term < c.term && j.finished[term] && earlier.kind == reparent.KindEmergency {
			length *= max(factor, 1)
		}
	}
	return time.Duration(min(length, most))
}

// atTheEnd looks at a world that had time to become whole.
func (j *judge) atTheEnd() {
	w := j.world
	if why := w.store.violation(); why != "" {
		w.violated(LeaseObeyed, "%s", why)
	}
	if j.undecided() {
		return
	}
	p := j.final()
	if p == nil {
		w.violated(Progress, "%s after all faults were mended no server takes writes: %s", w.clock.now-w.mendAt, w.state())
		return
	}
	if j.answeredAt < w.mendAt {
		w.violated(Progress, "no write was answered in %s after all faults were mended: %s", w.clock.now-w.mendAt, w.state())
	}
	if lost := j.promised.all().Subtract(p.executed()); !lost.IsEmpty() {
		w.violated(NothingLost, "%s leads at the end without %s, which clients were told is committed", p.address, lost)
	}
	for _, row := range j.read {
		if !p.hasRow(row) {
			w.violated(NoVanishingRead, "row %d was read on an open primary and is not in the final history", row&0xffffffff)
		}
	}
	j.nowhere(w.members())
	for _, s := range w.members() {
		j.joined(s, p)
	}
	if w.options.Rules {
		j.inForce(p)
	}
	for _, g := range w.hosts.reused {
		j.same(g, p)
	}
	j.conduct.atTheEnd(p, w.members())
}

// nowhere claims that no server has a row that was refused, as often as it was tried.
func (j *judge) nowhere(members []*server) {
	for _, row := range j.refused {
		if j.world.hosts.rows[row] == nil { // it never was in any binary log
			continue
		}
		if i := slices.IndexFunc(members, func(s *server) bool { return s.hasRow(row) }); i >= 0 {
			j.world.violated(EverywhereOrGone, "row %d was refused, and %s has it at the end", row&0xffffffff, members[i].address)
		}
	}
}

// same claims that all servers that have executed a name executed the same transaction under it.
func (j *judge) same(g gtid.GTID, p *server) {
	for _, s := range j.world.members() {
		if mine, theirs := p.under(g), s.under(g); mine != nil && theirs != nil && mine != theirs {
			j.world.violated(EverywhereOrGone, "%s and the primary %s have executed different transactions under %s", s.address, p.address, g)
		}
	}
}

// final is the server that is open at the end; nil unless it is one.
func (j *judge) final() *server {
	var open *server
	for _, s := range j.world.members() {
		if s.state == processUp && !s.readOnly && !s.offline {
			if open != nil {
				j.world.violated(NothingLeftBehind, "%s and %s both take writes at the end", open.address, s.address)
				return nil
			}
			open = s
		}
	}
	return open
}

// joined claims that a server has found its place: it holds what the primary holds, follows it, and takes no writes.
func (j *judge) joined(s, p *server) {
	w := j.world
	switch {
	case s == p:
		if why := w.amissLeading(p); why != "" {
			w.violated(NothingLeftBehind, "%s at the end: %s", s.address, why)
		}
	case s.state != processUp:
		w.violated(NothingLeftBehind, "%s does not run at the end", s.address)
	case !s.executed().Equal(p.executed()):
		extra, missing := s.executed().Subtract(p.executed()), p.executed().Subtract(s.executed())
		w.violated(EverywhereOrGone, "at the end %s has [%s] that the primary %s lacks, and lacks [%s]: %s", s.address, extra, p.address, missing, w.state())
	default:
		if why := w.amissFollowing(s, p); why != "" {
			w.violated(NothingLeftBehind, "%s at the end: %s", s.address, why)
		}
	}
}

// rules is the ruleset that Primacy goes by: the configured one, unless that may not follow the one before by itself.
func (w *world) rules() topology.Ruleset {
	if e := w.actor(); e != nil {
		if r := e.view().Ruleset; r.Number > 0 {
			return r
		}
	}
	return w.ruleset
}

// amissLeading says what is wrong with a primary that takes writes.
func (w *world) amissLeading(p *server) string {
	needed := w.rules().AcksNeeded(p.address)
	switch {
	case p.channel != nil && p.channel.receiver.state != receiverOff:
		return fmt.Sprintf("it leads, and receives from %s", p.channel.source)
	case needed == 0:
	case p.semi.acks >= topology.PoisonAcks:
		return "it leads, and is poisoned"
	case !p.semi.source || p.semi.timeout < topology.TimeoutInfinite || p.semi.acks < needed:
		return fmt.Sprintf("it leads, and its commits do not wait for %d acknowledgements", needed)
	}
	return ""
}

// amissFollowing says what is wrong with a replica.
func (w *world) amissFollowing(s, p *server) string {
	if why := w.amiss(s, p); why != "" {
		return why
	}
	rules := w.rules()
	acker := rules.Ackers(p.address).Has(s.address)
	switch {
	case s.semi.source:
		return "it is no primary, and the source side of semi-sync is on"
	case acker && !s.channel.receiver.semi && !w.mayRest(s, p):
		return "it does not acknowledge"
	case !acker && s.channel.receiver.semi && rules.AcksNeeded(p.address) > 0:
		return "it acknowledges, and must not"
	}
	return ""
}

// mayRest tells whether a replica need not acknowledge: it has something left to apply, and enough others do.
func (w *world) mayRest(s, p *server) bool {
	var acking []topology.Address
	for _, x := range w.hosts.all {
		if c := x.channel; x.state == processUp && c != nil && c.source == p.address && c.receiver.semi && c.receiver.state == receiverOn {
			acking = append(acking, x.address)
		}
	}
	late := s.channel.applier.ails.delay > 0 || s.channel.relay.len() > 0
	return late && w.rules().CanCompleteWith(p.address, topology.Servers(acking...), w.rules().AcksNeeded(p.address)+1)
}

// amiss says what is wrong with how a server follows: the primary, or the intermediate that the rules name.
func (w *world) amiss(s, p *server) string {
	receiver, _ := s.receiver()
	applier, _ := s.applier()
	o := s.observe(epoch)
	switch {
	case !switchesOf(s).closed():
		return "it is no primary and not closed for writes"
	case s.offline:
		return "it is offline"
	case receiver != topology.ThreadOn:
		return fmt.Sprintf("its receiver is %s", receiver)
	case applier != topology.ThreadOn:
		return fmt.Sprintf("its applier is %s", applier)
	case w.misplaced(s, p, o.Replication.Source):
		return fmt.Sprintf("it follows %s and not %s", o.Replication.Source, cmp.Or(w.rules().Intermediate(s.address, p.address), p.address))
	}
	return ""
}

// whole tells whether there is nothing left to wait for.
func (w *world) whole() bool {
	e := w.actor()
	if e == nil || w.person.rebuilding > 0 || w.judge.answeredAt < w.mendAt+time.Second || w.options.Rules && w.wishful() {
		return false
	}
	v := e.view()
	p := w.hosts.at(v.Primary)
	if v.Running != nil || v.Primary == "" || p == nil || p.readOnly || p.offline || p.state != processUp || w.amissLeading(p) != "" {
		return false
	}
	for _, s := range w.members() {
		if s != p && (s.state != processUp || w.amissFollowing(s, p) != "" || !p.executed().Union(p.position()).Contains(s.executed())) {
			return false
		}
	}
	return true
}

// state is the world in a line, for people who wonder why it is not whole.
func (w *world) state() string {
	var text string
	if e := w.actor(); e == nil {
		text = "no elector acts"
	} else {
		v := e.view()
		text = fmt.Sprintf("%s acts: %s, primary %s, refusal %q", e.name, v.State, v.Primary, v.Refusal)
		for _, f := range v.Findings {
			if f.Severity != topology.SeverityInfo {
				text += fmt.Sprintf("; %s: %s", f.Code, f.Message)
			}
		}
	}
	return text
}
