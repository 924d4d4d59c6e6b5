package halt

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// Do is what a halt asks for.
type Do string

// What a halt can ask for.
const (
	DoNothing Do = ""     // but to put on record how it stands, where that is new
	DoMove    Do = "move" // begin a planned change that takes the primary from the server
	DoWork    Do = "work" // carry out the task
)

// Action is what to do now, and how the halt stands before that. Whom it keeps under maintenance stands there too.
type Action struct {
	Do   Do
	Then Halt
}

// Sight is what the next step is decided by.
type Sight struct {
	Snapshot topology.Snapshot
	Findings []topology.Finding
	// Leader is the established leadership; Led is false when there is none, and Unsettled set while it is open who leads.
	Leader         topology.Leadership
	Led, Unsettled bool
	// Change is what became of the planned change that the halt has begun; nil when nothing is known of it.
	Change *reparent.Operation
	// Settling is a server with errant transactions that somebody is at work on; empty when there is none.
	Settling topology.Address
}

// Next says what to do now. It is asked while no change of the primary is under way, and nobody is at work for the halt.
func (h Halt) Next(s Sight, now time.Time) Action {
	if now.Before(h.NextAt) {
		return Action{Then: h}
	}
	if why := h.overtaken(s); why != "" {
		return Action{Then: h.failed(why, now)}
	}
	switch h.Step {
	case StepCheck:
		return h.check(s, now)
	case StepMove:
		return h.move(s, now)
	case StepHold:
		return h.hold(s, now)
	case StepQuiesce:
		return h.quiesce(s, now)
	case StepStop:
		return h.stop(s, now)
	case StepStart:
		return h.start(s, now)
	case StepJoin:
		return h.join(s, now)
	}
	return Action{Then: h.failed(fmt.Sprintf("this release knows no step %q", h.Step), now)}
}

// overtaken says what has happened that nobody reckoned with who asked for the halt.
func (h Halt) overtaken(s Sight) string {
	_, member := s.Snapshot.Ruleset.Member(h.Server())
	closing := h.Step == StepQuiesce || h.Step == StepStop
	switch {
	case !member:
		return "it is no member any more"
	case s.Led && s.Leader.Term != h.Term && h.Step != StepMove:
		return fmt.Sprintf("the leadership has changed meanwhile: %s leads under term %d; look at the cluster, and ask for it again", s.Leader.Primary, s.Leader.Term)
	case closing && h.Held != "" && !s.Snapshot.Maintenance.Has(h.Held):
		return "somebody has ended its maintenance, or it ran out"
	}
	return ""
}

// pending waits for something, for as long as a step may take.
func (h Halt) pending(code, why string, now time.Time) Action {
	if now.Sub(h.StepAt) >= h.Terms.Wait {
		return Action{Then: h.failed(fmt.Sprintf("waited %s in vain: %s", span(h.Terms.Wait), why), now)}
	}
	h.Code, h.Detail = code, why
	return Action{Then: h}
}

// working hands the step out, for as long as it may take.
func (h Halt) working(now time.Time) Action {
	if now.Sub(h.StepAt) >= h.Terms.Wait {
		return Action{Then: h.failed(fmt.Sprintf("it was not done within %s: %s", span(h.Terms.Wait), h.Detail), now)}
	}
	return Action{Do: DoWork, Then: h}
}

func (h Halt) check(s Sight, now time.Time) Action {
	if why := h.Hindered(s); why != "" {
		return h.pending("unready", why, now)
	}
	return h.working(now)
}

// Hindered says why the server at which it stands cannot be stopped now; empty when it can.
func (h Halt) Hindered(s Sight) string {
	if why := unsteady(s); why != "" {
		return why
	}
	a := h.Server()
	if !s.Snapshot.Server(a).OK() {
		return fmt.Sprintf("%s does not answer", a)
	}
	if h.Kind == KindRestart && s.Snapshot.Held != nil {
		return "the whole cluster is under maintenance: nothing would attach the server again"
	}
	if h.Kind == KindRestart {
		for _, m := range s.Snapshot.Ruleset.Members {
			if why := s.unwell(m.Address); why != "" {
				return why
			}
		}
	}
	if a == s.Leader.Primary {
		return ""
	}
	return settle.Indispensable(s.Snapshot, s.Leader.Primary, a)
}

// unsteady says why nothing is done to any server now.
func unsteady(s Sight) string {
	switch {
	case !s.Led, !topology.Serves(s.Findings), !s.Snapshot.Server(s.Leader.Primary).Writable():
		return "there is no primary that serves"
	case s.Unsettled:
		return "it is open who leads"
	case s.Settling != "":
		return fmt.Sprintf("%s is being settled, and no second server is taken out meanwhile", s.Settling)
	}
	return ""
}

// bearable are findings about a server with which it replicates and acknowledges all the same.
var bearable = []topology.Code{topology.WrongSettings, topology.GrantMissing, topology.JournalMissing, topology.RulesetDiffers, topology.WouldBlock, topology.AckerBehind, topology.CascadeRehomed, topology.CascadeReturning}

// unwell says what a member lacks; empty when it leads, or replicates and acknowledges as it should.
func (s Sight) unwell(a topology.Address) string {
	for _, f := range s.Findings {
		if f.Server == a && !slices.Contains(bearable, f.Code) {
			return f.Message
		}
	}
	o := s.Snapshot.Server(a)
	switch r := o.Replication; {
	case s.Snapshot.Maintenance.Has(a):
		return fmt.Sprintf("%s is under maintenance", a)
	case !o.OK():
		return fmt.Sprintf("%s does not answer", a)
	case a == s.Leader.Primary:
		return ""
	case r == nil || r.Source != s.Leader.Primary && r.Source != s.intermediate(a) || r.Receiver != topology.ThreadOn || r.Applier != topology.ThreadOn:
		return fmt.Sprintf("%s does not replicate from %s", a, cmp.Or(s.intermediate(a), s.Leader.Primary))
	case s.mayAck(a) && !slices.ContainsFunc(s.Findings, func(f topology.Finding) bool { return f.Rests(o) }) && (!o.SemiSync.ReplicaEnabled || !o.SemiSync.ReplicaActive):
		return fmt.Sprintf("%s does not acknowledge", a)
	}
	return ""
}

// intermediate is from whom a cascaded replica is to replicate; empty when that is the primary.
func (s Sight) intermediate(a topology.Address) topology.Address {
	return s.Snapshot.Ruleset.Intermediate(a, s.Leader.Primary)
}

// mayAck tells whether the primary counts on a member's acknowledgements.
func (s Sight) mayAck(a topology.Address) bool {
	r := s.Snapshot.Ruleset
	return r.AcksNeeded(s.Leader.Primary) > 0 && r.Ackers(s.Leader.Primary).Has(a)
}

// move is over as soon as another server leads, whoever brought that about.
func (h Halt) move(s Sight, now time.Time) Action {
	switch {
	case unsteady(s) != "":
		return h.pending("unready", unsteady(s), now)
	case s.Leader.Primary == h.Server():
		return h.moved(s, now)
	case h.Change == "" && s.Leader.Term == h.Term: // it did not lead to begin with
		return Action{Then: h.passed(now)}
	}
	h.Term = s.Leader.Term
	return Action{Then: h.done(fmt.Sprintf("%s leads under term %d", s.Leader.Primary, s.Leader.Term), now)}
}

// moved begins the change, or counts the one that came to nothing.
func (h Halt) moved(s Sight, now time.Time) Action {
	if h.Change == "" {
		return h.working(now).as(DoMove)
	}
	h.Change = ""
	why := "the planned change came to nothing"
	if s.Change != nil && s.Change.Obstacle != nil {
		why = s.Change.Obstacle.Message
	}
	return Action{Then: h.missed("it leads, and the primary could not be moved: "+why, now)}
}

func (a Action) as(do Do) Action {
	if a.Do != DoNothing {
		a.Do = do
	}
	return a
}

// Moving notes which change was begun. One that was not has touched nothing, and what stands against it may pass.
func (h Halt) Moving(id string, err error, now time.Time) Halt {
	if err != nil {
		h.Code, h.Detail, h.NextAt = "blocked", "it leads, and the primary cannot be moved: "+err.Error(), now.Add(askAgain)
		return h
	}
	h.Change = id
	return h
}

// hold leaves the maintenance alone that somebody has set already.
func (h Halt) hold(s Sight, now time.Time) Action {
	if why := h.indispensable(s); why != "" {
		return h.pending("unready", why, now)
	}
	if s.Snapshot.Maintenance.Has(h.Server()) {
		return Action{Then: h.done("it is under maintenance already", now)}
	}
	h.Held = h.Server()
	return Action{Then: h.done(fmt.Sprintf("it is under maintenance for %s", span(h.Terms.Hold)), now)}
}

// indispensable says why the server must not go away now.
func (h Halt) indispensable(s Sight) string {
	if why := unsteady(s); why != "" {
		return why
	}
	return settle.Indispensable(s.Snapshot, s.Leader.Primary, h.Server())
}

func (h Halt) quiesce(s Sight, now time.Time) Action {
	if why := h.indispensable(s); why != "" {
		return h.missing(s, why, now)
	}
	return h.working(now)
}

// missing waits until the server can be done without. One that is closed already may be the one whose acknowledgements are
// lacking: it is given free again, rather than to keep writes waiting for as long as a step may take.
func (h Halt) missing(s Sight, why string, now time.Time) Action {
	if o := s.Snapshot.Server(h.Server()); o.OK() && o.OfflineMode && Starved(s.Findings, now) {
		return Action{Then: h.failed("it was closed already and is given free again, for writes wait for acknowledgements", now)}
	}
	return h.pending("unready", why, now)
}

// starvedFor is how long commits wait for want of acknowledgements before a server is given free again for that.
const starvedFor = 3 * time.Second

// Starved tells whether commits of the primary wait for want of acknowledgements, and not for a blink only.
func Starved(findings []topology.Finding, now time.Time) bool {
	return slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Code == topology.SemiSyncBlocked && now.Sub(f.Since) >= starvedFor
	})
}

// stop is over when the process is gone. Before it was told to go nothing that is seen of it counts as that.
func (h Halt) stop(s Sight, now time.Time) Action {
	o := s.Snapshot.Server(h.Server())
	switch {
	case o.OK() && o.Incarnation != h.Process && h.Kind == KindStop:
		return Action{Then: h.failed("it is back as another process: something starts it again; stop it there, it is safe now", now)}
	case h.Told != "" && gone(o, h.Process):
		return Action{Then: h.done(fmt.Sprintf("it is gone (%s)", h.Told), now)}
	case h.Told != "":
		return h.pending("stopping", "it is shutting down", now)
	case o.Reach.Gone(), o.OK() && o.Incarnation != h.Process: // the answer was lost, or it was ended by somebody else
		h.Told = h.how()
		return Action{Then: h.done("it is gone; its answer was not heard", now)}
	case !o.OK():
		return h.pending("stopping", fmt.Sprintf("it does not answer, and may not have heard that it is to stop (%s)", o.Reach), now)
	}
	if why := h.indispensable(s); why != "" {
		return h.missing(s, why, now)
	}
	return h.working(now)
}

// how is how it is told to go where that is possible.
func (h Halt) how() string {
	if h.Kind == KindRestart && !h.Terms.Shutdown {
		return HowRestart
	}
	return HowShutdown
}

// gone tells whether a process that was told to go has.
func gone(o *topology.Observation, process string) bool {
	switch o.Reach {
	case topology.ReachRefused, topology.ReachSilent, topology.ReachUnresolved:
		return true
	case topology.ReachOK:
		return o.Incarnation != process
	case topology.ReachUnknown, topology.ReachReset, topology.ReachDenied:
	}
	return false
}

func (h Halt) start(s Sight, now time.Time) Action {
	o := s.Snapshot.Server(h.Server())
	switch {
	case o.OK() && o.UUID != h.UUID:
		return Action{Then: h.failed("another server answers at its address", now)}
	case o.OK() && o.Incarnation != h.Process:
		h.Goal, h.Held = s.Snapshot.Server(s.Leader.Primary).Executed, ""
		return Action{Then: h.done("it is back", now)}
	case h.Told == HowRestart:
		return h.pending("starting", "its supervisor is to start it; where it has none, start it", now)
	}
	return h.pending("start_it", "it is down: start it", now)
}

// join waits for the repairs, which have the server again.
func (h Halt) join(s Sight, now time.Time) Action {
	a := h.Server()
	o := s.Snapshot.Server(a)
	why := unsteady(s)
	if why == "" {
		why = s.unwell(a)
	}
	lacks := h.Goal.Subtract(o.Executed)
	if o.Replication != nil && o.Replication.ApplierDelayed > 0 {
		lacks = h.Goal.Subtract(o.Position())
	}
	if r := o.Replication; r != nil && r.Source == s.intermediate(a) { // which may be late on purpose
		lacks = lacks.Intersect(s.Snapshot.Server(r.Source).Executed)
	}
	if why == "" && !lacks.IsEmpty() {
		why = fmt.Sprintf("it catches up: %d transactions of those that were there when it came back", lacks.Count())
	}
	if why != "" {
		return h.pending("joining", why, now)
	}
	return Action{Then: h.done(joined(s, a), now)}
}

func joined(s Sight, a topology.Address) string {
	if s.mayAck(a) {
		return fmt.Sprintf("it replicates from %s and acknowledges", s.Leader.Primary)
	}
	source := s.Leader.Primary
	if r := s.Snapshot.Server(a).Replication; r != nil {
		source = r.Source
	}
	return fmt.Sprintf("it replicates from %s", source)
}
