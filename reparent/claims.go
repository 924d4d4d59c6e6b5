package reparent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Standing is how a claim of a certificate came off.
type Standing string

// The standings.
const (
	Holds    Standing = "holds"    // it follows from the rest of the file
	Accepted Standing = "accepted" // a loss was possible, and somebody or the policy answers for it
	Untold   Standing = "untold"   // the file does not hold what it would take to tell
	Refuted  Standing = "refuted"  // it does not follow, or the file was altered
)

// Claim is one thing that a certificate says, and whether it follows from what else is in it.
type Claim struct {
	Name     string   `json:"name"`
	Standing Standing `json:"standing"`
	Detail   string   `json:"detail"`
}

// Stands tells whether no claim is refuted.
func Stands(all []Claim) bool {
	return !slices.ContainsFunc(all, func(c Claim) bool { return c.Standing == Refuted })
}

func holds(name, format string, args ...any) Claim {
	return Claim{name, Holds, fmt.Sprintf(format, args...)}
}

func untold(name, format string, args ...any) Claim {
	return Claim{name, Untold, fmt.Sprintf(format, args...)}
}

func refuted(name, format string, args ...any) Claim {
	return Claim{name, Refuted, fmt.Sprintf(format, args...)}
}

// Claims re-computes what a certificate says, from the evidence in it and by the very functions that decided then. A change
// that was not made is examined like one that was: was it rightly not made?
func (c Certificate) Claims() []Claim {
	op := c.Operation.judged()
	claims := []Claim{c.seal(), op.wellFormed(), op.lineage()}
	if claims[1].Standing == Refuted { // the functions below count on what no change is without
		return claims
	}
	switch op.Kind {
	case KindEmergency:
		return append(claims, op.emergencyClaims()...)
	case KindPlanned:
		return append(claims, op.plannedClaims()...)
	case KindAdoption:
		return append(claims, op.adoptionClaims()...)
	case KindReopening:
		return append(claims, op.reopeningClaims()...)
	case KindRules:
		return append(claims, op.rulesClaim())
	}
	return append(claims, refuted("kind", "this release knows no change of kind %q", op.Kind))
}

// judged is the operation with what its choice rests on in place of later answers.
func (op Operation) judged() Operation {
	op.Progress = maps.Clone(op.Progress)
	for a, p := range op.Progress {
		p.Reading = cmp.Or(p.Judged, p.Reading)
		op.Progress[a] = p
	}
	return op
}

func (c Certificate) seal() Claim {
	const name = "seal"
	switch {
	case c.digest != c.Operation.Digest:
		return refuted(name, "it was altered: it says that its digest is %s, and it is %s", cmp.Or(c.Operation.Digest, "none"), c.digest)
	case c.strange != "":
		return refuted(name, "%s holds what this release cannot read: if a later one made it, take that one", c.strange)
	}
	return holds(name, "the digest is that of the rest: %s", c.digest)
}

// wellFormed asks what holds of every change that has ended.
func (op Operation) wellFormed() Claim {
	const name = "form"
	if err := op.Ruleset.Validate(); err != nil {
		return refuted(name, "its rules could not have been in force: %v", err)
	}
	for _, wrong := range []struct {
		is  bool
		why string
	}{
		{op.Cluster == "" || op.Term == 0 || op.ID != OperationID(op.Cluster, op.Term), "its name is not that of its cluster and term"},
		{op.Phase != PhaseDone, fmt.Sprintf("it stands in phase %s: it has not ended", op.Phase)},
		{op.SessionTerm != 0 && op.SessionTerm < op.Term, "it was taken over under an earlier term than its own"},
		{op.strangers() != "", string(op.strangers()) + " is no member of the cluster, and part of the change"},
		{!op.ended(), fmt.Sprintf("it cannot have ended as %s with what it says it did", op.State)},
		{op.disordered() != "", op.disordered()},
	} {
		if wrong.is {
			return refuted(name, "%s", wrong.why)
		}
	}
	return holds(name, "a change that can have ended so; it went by ruleset %d: %s", op.Ruleset.Number, policyWords(op.Ruleset))
}

func policyWords(r topology.Ruleset) string {
	return fmt.Sprintf("%s, %s, %d servers", r.Policy.Kind, acks(r.Policy.Acks), len(r.Members))
}

// strangers is a server that takes part and is no member; empty when none does.
func (op Operation) strangers() topology.Address {
	members := op.Ruleset.Servers()
	named := slices.Concat(slices.Collect(maps.Keys(op.Known)), slices.Collect(maps.Keys(op.Progress)), slices.Collect(maps.Keys(op.Barred)),
		op.Silent.List(), op.Prepared.List(), op.Followers.List(), op.Excluded.List())
	if op.To != "" {
		named = append(named, op.To)
	}
	slices.Sort(named)
	for _, a := range named {
		if !members.Has(a) {
			return a
		}
	}
	return ""
}

// ended tells whether an operation can have come to the state that it is in.
func (op Operation) ended() bool {
	decided, established, stopped := op.Decision != nil, !op.Established.IsZero(), op.Obstacle != nil
	switch op.State {
	case StateSucceeded:
		if op.Kind == KindRules {
			return !decided && !established && !stopped && op.Ending == ""
		}
		return decided && established && !op.MarkedAt.IsZero() && (op.MarkSent || op.SessionTerm != 0) && !stopped && op.Ending == ""
	case StateBlocked, StateUndone:
		return !decided && !established && stopped && op.Ending == op.State && !op.MarkSent && op.MarkedAt.IsZero()
	case StateFailed:
		return !established && stopped && (decided && op.Ending == "" || op.Obstacle.Code == codeFenced)
	case StateRunning:
	}
	return false
}

// disordered says what happened before something that comes earlier; empty when nothing did. Electors' clocks differ, so
// nothing is said of a change that was taken over.
func (op Operation) disordered() string {
	if op.SessionTerm != 0 {
		return ""
	}
	last := op.StartedAt
	for _, at := range []time.Time{op.MarkedAt, op.Established, op.FinishedAt} {
		switch {
		case at.IsZero():
		case at.Before(last):
			return "its times are not in order"
		default:
			last = at
		}
	}
	return ""
}

// lineage asks whether the leaderships that it goes by are a chain, each as it was decided.
func (op Operation) lineage() Claim {
	const name = "lineage"
	var before topology.Leadership
	for i, l := range op.History.Leaderships {
		switch {
		case !l.Intact():
			return refuted(name, "the decision of term %d that it goes by is not the one with that hash", l.Term)
		case l.Cluster != op.Cluster:
			return refuted(name, "the decision of term %d is that of cluster %s", l.Term, l.Cluster)
		case l.Term >= op.Term || l.Term <= before.Term:
			return refuted(name, "the terms are not in order: %d after %d", max(l.Term, op.Term), l.Term)
		case !slices.Contains(op.History.Leaders, l.PrimaryUUID):
			return refuted(name, "%s led under term %d, and is not among the servers that led", l.Primary, l.Term)
		case i > 0 && !op.History.Recovered && l.Previous != before.Hash:
			return refuted(name, "the decision of term %d does not follow that of term %d", l.Term, before.Term)
		}
		before = l
	}
	current, led := op.History.Current()
	switch {
	case op.Kind != KindAdoption && op.From != current.Primary:
		return refuted(name, "%q is not who led before", op.From)
	case !led:
		return holds(name, "no leadership was established before")
	case op.History.Recovered:
		return holds(name, "%s led before, under term %d, as servers' journals said: the store had lost its record", current.Primary, current.Term)
	}
	return holds(name, "%s led before, under term %d; that decision is intact", current.Primary, current.Term)
}

// decided asks whether the decision on record is the one that follows from the evidence: the very same hash, which is in the
// name of its term marker and in the journal of every server.
func (op Operation) decided(base gtid.Set, reached topology.ServerSet) Claim {
	const name = "decision"
	d := *op.Decision
	if !d.Intact() {
		return refuted(name, "the decision is not the one with that hash")
	}
	if op.SessionTerm == 0 && d.Elector != op.Elector {
		return refuted(name, "%s decided, and %s is said to have", d.Elector, op.Elector)
	}
	again := op
	again.PhaseAt, again.Elector = d.DecidedAt, d.Elector
	if again = again.sealed(base, reached); again.Decision.Hash != d.Hash {
		return refuted(name, "the evidence leads to another decision: %s", differs(*again.Decision, d))
	}
	return holds(name, "marker %s, hash %s", d.Marker().GTID(), d.Hash)
}

// differs names what two decisions differ in.
func differs(computed, told topology.Decision) string {
	var words []string
	for _, f := range []struct{ name, computed, told string }{
		{"cluster", computed.Cluster, told.Cluster}, {"term", fmt.Sprint(computed.Term), fmt.Sprint(told.Term)},
		{"kind", computed.Kind, told.Kind}, {"primary", string(computed.Primary), string(told.Primary)},
		{"primary_uuid", computed.PrimaryUUID.String(), told.PrimaryUUID.String()}, {"incarnation", computed.Incarnation, told.Incarnation},
		{"ruleset", fmt.Sprint(computed.Ruleset), fmt.Sprint(told.Ruleset)}, {"base", computed.Base.String(), told.Base.String()},
		{"reached", computed.Reached.String(), told.Reached.String()}, {"previous_hash", computed.Previous, told.Previous},
	} {
		if f.computed != f.told {
			words = append(words, fmt.Sprintf("%s %q instead of %q", f.name, f.computed, f.told))
		}
	}
	return cmp.Or(strings.Join(words, ", "), "it was made at another time")
}

// emergencyClaims asks the four questions of an emergency again.
func (op Operation) emergencyClaims() []Claim {
	claims := []Claim{op.whoMayLead()}
	if op.Decision == nil {
		return append(claims, op.rightlyNot())
	}
	proof, obstacle := op.revoked()
	if obstacle != nil {
		return append(claims, refuted("revocation", "%s", obstacle.Message))
	}
	claims = append(claims, op.revocationClaim(proof))
	chosen, contradiction := op.chooseHistory()
	claims = append(claims, op.historyClaim(chosen, contradiction))
	losses, obstacle := op.bearable(chosen.history, contradiction == nil)
	claims = append(claims, op.lossClaim(chosen, losses, obstacle))
	if contradiction != nil {
		return claims
	}
	winner, obstacle := op.elect(chosen)
	claims = append(claims, op.electionClaim(winner, obstacle), op.decided(op.Chosen.Union(op.pendingMarkers(op.To)), op.frozen()), op.establishment())
	if obstacle == nil {
		claims = append(claims, op.account(proof, settlement{choice: chosen, candidate: winner, losses: losses}))
	}
	return claims
}

// whoMayLead asks whether everybody who might have been completing writes was counted, and none for more patient than the
// rules make it.
func (op Operation) whoMayLead() Claim {
	const name = "leaders"
	history := op.History
	history.LastSeen = nil
	all := leaders(&Intent{Snapshot: topology.Snapshot{Ruleset: op.Ruleset}, History: history, CertifiedDown: op.Silent})
	same := slices.EqualFunc(all, op.Leaders, func(a, b Leader) bool {
		return a.Address == b.Address && a.Term == b.Term && a.Certified == b.Certified && b.Acks <= a.Acks && b.Acks >= 0
	})
	if !same {
		return refuted(name, "by what is on record %s may have been leading, and it went by %s", leaderWords(all), leaderWords(op.Leaders))
	}
	for i, l := range op.Leaders {
		if l.Acks < all[i].Acks && l.Why == "" || l.Acks == all[i].Acks && l.Why != "" && !strings.Contains(l.Why, "only") {
			return refuted(name, "%s is said to have waited for %s, and why is not", l.Address, acks(l.Acks))
		}
	}
	return holds(name, "whoever may have been leading by record: %s", leaderWords(op.Leaders))
}

func leaderWords(all []Leader) string {
	words := make([]string, len(all))
	for i, l := range all {
		words[i] = fmt.Sprintf("%s (term %d, %s)", l.Address, l.Term, acks(l.Acks))
	}
	return cmp.Or(strings.Join(words, ", "), "nobody")
}

// rightlyNot asks whether a change that was given up could not have been made.
func (op Operation) rightlyNot() Claim {
	const name = "obstacle"
	switch op.Obstacle.Code {
	case Interrupted:
		return untold(name, "it ended with its elector, before anything was decided")
	case codeFenced:
		return untold(name, "a newer term owned a server: it stopped before anything was decided")
	}
	_, obstacle := op.settle()
	if obstacle == nil {
		return refuted(name, "it is said not to have been possible (%s), and by the evidence it was", op.Obstacle.Code)
	}
	if o := obstacle.worded(); !o.same(*op.Obstacle) {
		return refuted(name, "by the evidence it was not possible for another reason: %s", o.Message)
	}
	return holds(name, "it was rightly not made: %s", op.Obstacle.Message)
}

// same tells whether one obstacle is another one, which may tell first what else was tried.
func (o Obstacle) same(told Obstacle) bool {
	return o.Code == told.Code && strings.HasSuffix(told.Message, o.Message) && o.Remedy == told.Remedy &&
		slices.EqualFunc(o.Needs, told.Needs, topology.ServerSet.Equal) && maps.EqualFunc(o.Branches, told.Branches, gtid.Set.Equal)
}

func (op Operation) revocationClaim(proof Revoked) Claim {
	if len(proof.How()) == 0 {
		return refuted("revocation", "nobody was revoked")
	}
	return holds("revocation", "%s", strings.Join(proof.How(), "; "))
}

func (op Operation) historyClaim(c choice, contradiction *Obstacle) Claim {
	const name = "history"
	switch {
	case contradiction != nil:
		return refuted(name, "no history follows from what was read: %s", contradiction.Message)
	case !c.history.Equal(op.Chosen):
		return refuted(name, "what was read leads to another history; it has more of %s, and less of %s", orNothing(c.history.Subtract(op.Chosen)), orNothing(op.Chosen.Subtract(c.history)))
	}
	return holds(name, "the highest marker among %d servers read is that of %s, and what they hold under it is what was honoured", len(c.read), markerWord(c.marker))
}

func orNothing(s gtid.Set) string { return cmp.Or(s.String(), "nothing") }

// lossClaim asks whether everything that was acknowledged is certain to lie within the history.
func (op Operation) lossClaim(c choice, losses []string, obstacle *Obstacle) Claim {
	const name = "nothing_lost"
	switch {
	case obstacle != nil:
		return refuted(name, "%s", obstacle.Message)
	case len(losses) > 0:
		return Claim{name, Accepted, strings.Join(losses, "; ")}
	}
	return holds(name, "whatever any earlier primary completed lies on a server that was read, and nothing seen as committed is missing (floor %s)", orNothing(op.legit(op.floor()).Intersect(c.history)))
}

func (op Operation) electionClaim(winner candidacy, obstacle *Obstacle) Claim {
	const name = "election"
	switch {
	case obstacle != nil:
		return refuted(name, "%s", obstacle.Message)
	case winner.address != op.To:
		return refuted(name, "by the evidence %s was the best, and not %s", winner.address, op.To)
	case winner.source != op.Source || !winner.followers.Equal(op.Followers):
		return refuted(name, "by the evidence %s was to fetch from %q, and %s could follow it", winner.address, winner.source, winner.followers)
	}
	return holds(name, "%s: %s", op.To, op.reasonToPromote(winner))
}

// establishment asks whether who led then could be acknowledged.
func (op Operation) establishment() Claim {
	const name = "establishment"
	can := op.Ruleset.CanComplete(op.To, op.attached())
	switch {
	case op.State == StateFailed:
		return untold(name, "whether the marker of term %d was acknowledged is not known; the change after it settles that", op.Term)
	case op.SessionTerm != 0:
		return untold(name, "the change was taken over: that the marker was acknowledged was seen on %s itself", op.To)
	case op.Kind == KindPlanned && !can: // the old primary may attach while the marker waits for it, and be lost soon after
		return untold(name, "%s answered that its marker was acknowledged, %s needed; who gave it is not recorded", op.To, acks(op.Ruleset.AcksNeeded(op.To)))
	case op.Kind != KindAdoption && (op.Progress[op.To].Applied != Yes || !can):
		return refuted(name, "%s is not said to have applied the history, or too few servers follow it for %s: %s", op.To, acks(op.Ruleset.AcksNeeded(op.To)), only(op.attached()))
	}
	return holds(name, "%s answered that its marker was acknowledged, %s needed", op.To, acks(op.Ruleset.AcksNeeded(op.To)))
}

// account asks whether the story that is told of a change is the one that the evidence tells.
func (op Operation) account(proof Revoked, s settlement) Claim {
	c := s.candidate
	told := []Stage{
		{Name: "revoke", Detail: fmt.Sprintf("no earlier primary can complete a write; %s frozen", op.frozen()), Evidence: append(proof.How(), op.notes()...)},
		{Name: "choose", Detail: fmt.Sprintf("%s: %s", c.address, op.reasonToPromote(c)), Evidence: slices.Concat([]string{op.because(s.choice)}, s.losses, op.ranked(c.others))},
	}
	return op.tells(append(told, op.markedStages()...))
}

// markedStages are what is told of a marker that was acknowledged; a change that was taken over may not tell it.
func (op Operation) markedStages() []Stage {
	if op.State != StateSucceeded || op.SessionTerm != 0 {
		return nil
	}
	return []Stage{{
		Name: "establish", Detail: fmt.Sprintf("the marker of term %d is acknowledged: everything before it is durable", op.Term),
		Evidence: []string{"decision " + op.Decision.Hash, "marker " + op.Decision.Marker().GTID().String()},
	}}
}

// tells asks whether stages are told as they follow from the evidence, each where its name stands last.
func (op Operation) tells(expected []Stage) Claim {
	const name = "account"
	for _, e := range expected {
		i := len(op.Stages) - 1
		for i >= 0 && op.Stages[i].Name != e.Name {
			i--
		}
		if i < 0 {
			return refuted(name, "nothing is told of the stage %s", e.Name)
		}
		if s := op.Stages[i]; s.Detail != e.Detail || !slices.Equal(s.Evidence, e.Evidence) || s.Outcome != "ok" {
			return refuted(name, "of the stage %s something else is told than follows from the evidence", e.Name)
		}
	}
	return holds(name, "what is told of its stages follows from the evidence")
}

// plannedClaims asks again what a planned change rests on: that the one primary closed, and where it stood then.
func (op Operation) plannedClaims() []Claim {
	if op.Decision == nil {
		return []Claim{untold("obstacle", "nothing was decided; what the servers showed while it was prepared is not part of it: %s", op.Obstacle.Message)}
	}
	return []Claim{op.steppedDown(), op.finalPosition(), op.pickClaim(),
		op.decided(op.Chosen.Union(op.pendingMarkers(op.To)), topology.Servers(op.From, op.To).Union(op.Prepared)), op.establishment(), op.plannedAccount()}
}

func (op Operation) steppedDown() Claim {
	const name = "revocation"
	p := op.Progress[op.From]
	current, _ := op.History.Current()
	switch known := op.Known[op.From]; {
	case op.unsettled() != "":
		return refuted(name, "%s, and nobody asked that one to step down", op.unsettled())
	case len(op.Leaders) > 0:
		return refuted(name, "a planned change revokes nobody but the primary")
	case p.Silenced != Yes || p.With != Demote || p.Reading == nil:
		return refuted(name, "%s is not said to have stepped down", op.From)
	case !p.Reading.OK() || !p.Reading.Closed() || p.Reading.SemiSync.Waiters > 0:
		return refuted(name, "%s does not show that it was closed, with nothing waiting on it", op.From)
	case p.Reading.Incarnation != known.Incarnation || p.Reading.UUID != known.UUID || known.UUID != current.PrimaryUUID:
		return refuted(name, "who answered at %s is not the process that led", op.From)
	}
	return holds(name, "%s closed for writes, nothing waited on it, and it is the process that led", op.From)
}

func (op Operation) finalPosition() Claim {
	if p := op.Progress[op.From]; p.Reading == nil || !p.Reading.Executed.Equal(op.Chosen) {
		return refuted("history", "what was honoured is not what %s had executed when it had closed", op.From)
	}
	if below := op.belowFloor(op.Chosen); below != nil {
		return refuted("history", "%s", below.Message)
	}
	return holds("history", "what was honoured is what %s had executed when it had closed, and nothing seen as committed is missing", op.From)
}

// pickClaim asks what can be asked of the candidate of a planned change; how the others stood then is not on record.
func (op Operation) pickClaim() Claim {
	const name = "election"
	m, _ := op.Ruleset.Member(op.To)
	able := op.Ruleset.CanComplete(op.To, op.Followers.With(op.From))
	switch {
	case op.To == op.From || op.Barred[op.To] != "" || m.Promotion == topology.PromotionNever || op.Wanted != "" && op.Wanted != op.To || op.Excluded.Has(op.To):
		return refuted(name, "%s was no candidate", op.To)
	case !able || !op.Followers.Contains(op.Prepared) || op.Followers.Has(op.To) || op.Followers.Has(op.From):
		return refuted(name, "%s could not have been followed by enough servers", op.To)
	}
	return holds(name, "%s was allowed to lead, and enough servers could follow it", op.To)
}

func (op Operation) plannedAccount() Claim {
	return op.tells(append([]Stage{{
		Name: "revoke", Detail: fmt.Sprintf("%s stepped down at its final position", op.From), Evidence: []string{"final position " + op.Chosen.String()},
	}}, op.markedStages()...))
}

// adoptionClaims asks again what an adoption rests on: one server took writes, and nobody led beside it.
func (op Operation) adoptionClaims() []Claim {
	if op.Decision == nil {
		return []Claim{op.rightlyNotAdopted()}
	}
	reached := op.Ruleset.Servers().Where(func(a topology.Address) bool { return op.Known[a].Reached })
	return []Claim{op.soleWriter(), op.adopted(), op.decided(op.Chosen.Union(op.pendingMarkers(op.To)), reached), op.establishment()}
}

func (op Operation) rightlyNotAdopted() Claim {
	return untold("obstacle", "nothing was decided: %s", op.Obstacle.Message)
}

func (op Operation) soleWriter() Claim {
	const name = "revocation"
	current, led := op.History.Current()
	p := op.Progress[op.To]
	others := op.Ruleset.Servers().Without(op.To).Where(func(a topology.Address) bool { return op.Known[a].Writable })
	switch {
	case op.From != op.To || p.Reading == nil || !p.Reading.Writable():
		return refuted(name, "%s is not said to have taken writes", op.To)
	case !others.IsEmpty():
		return refuted(name, "%s took writes too", others)
	case led && (!op.History.Recovered || current.Primary != op.To):
		return refuted(name, "%s led already", current.Primary)
	}
	return holds(name, "%s took writes, and no other server that answered did: nobody had to be revoked", op.To)
}

func (op Operation) adopted() Claim {
	if p := op.Progress[op.To]; p.Reading == nil || !p.Reading.Executed.Equal(op.Chosen) {
		return refuted("history", "what was honoured is not what %s had executed", op.To)
	}
	return holds("history", "what was honoured is what %s had executed", op.To)
}

// Recorded is a history with what an operation has decided in it, so that its candidate counts as a possible leader from the
// moment before its marker is sent, and with what it has established.
func (op Operation) Recorded(h topology.History) topology.History {
	kept := slices.DeleteFunc(slices.Clone(h.Leaderships), func(k topology.Leadership) bool { return k.Term == op.Term })
	led, decided := op.Leadership()
	if decided {
		kept = append(kept, led)
		if !slices.Contains(h.Leaders, led.PrimaryUUID) {
			h.Leaders = append(slices.Clone(h.Leaders), led.PrimaryUUID)
		}
	}
	if led.Established() {
		kept, h.Recovered = []topology.Leadership{led}, false
	}
	h.Leaderships = kept
	return h
}

// Chain asks of a cluster's certificates, the earliest first, whether each goes by what the one before it left: its
// digest, and the leaderships that were on record then.
func Chain(all []Certificate) []Claim {
	var claims []Claim
	for i := range all {
		claims = append(claims, all[i].Operation.follows(all[:i]))
	}
	return claims
}

func (op Operation) follows(earlier []Certificate) Claim {
	name := op.ID
	if op.Follows == (Link{}) {
		if len(earlier) == 0 || op.History.Recovered || len(op.History.Leaderships) == 0 {
			return holds(name, "begins a chain: no certificate was on record before it")
		}
		return refuted(name, "it follows no certificate, and %s was made before it", earlier[len(earlier)-1].Operation.ID)
	}
	i := slices.IndexFunc(earlier, func(c Certificate) bool { return c.Operation.ID == op.Follows.ID })
	switch {
	case i < 0 && len(earlier) == 0:
		return untold(name, "it follows %s, which is not among these", op.Follows.ID)
	case i < 0:
		return refuted(name, "it follows %s, which is missing", op.Follows.ID)
	case earlier[i].Operation.Digest != op.Follows.Digest:
		return refuted(name, "it follows %s with another digest than that one has: one of them was altered", op.Follows.ID)
	case i < len(earlier)-1:
		return refuted(name, "it follows %s, and %s stands between them: one was put in, or made while the store did not answer", op.Follows.ID, earlier[len(earlier)-1].Operation.ID)
	}
	before := earlier[i].Operation
	if rules := before.Ruleset; !op.History.Recovered && (op.Ruleset.Number < rules.Number || op.Ruleset.Number == rules.Number && !op.Ruleset.Same(rules)) {
		return refuted(name, "its rules are not those that %s went by, and have no later number", before.ID)
	}
	if left := before.Recorded(before.History); !op.History.Recovered && !slices.EqualFunc(left.Leaderships, op.History.Leaderships, sameLeadership) {
		return refuted(name, "it does not go by the leaderships that %s left on record", before.ID)
	}
	return holds(name, "follows %s", op.Follows.ID)
}

func sameLeadership(a, b topology.Leadership) bool {
	return a.Hash == b.Hash && a.EstablishedAt.Equal(b.EstablishedAt)
}

// Journals are the decisions that servers hold, by server; those that were not read are not in it.
type Journals map[topology.Address][]topology.Decision

// Against asks the servers themselves, which nobody who alters files can: each keeps the decision of every term in its
// journal, and the marker of an established one is there wherever its history is.
func (c Certificate) Against(journals Journals) Claim {
	const name = "journals"
	op := c.Operation
	var holders, others []topology.Address
	for _, a := range slices.Sorted(maps.Keys(journals)) {
		for _, d := range journals[a] {
			switch {
			case d.Cluster != op.Cluster || d.Term != op.Term:
			case op.Decision != nil && d.Hash == op.Decision.Hash && d.Intact():
				holders = append(holders, a)
			default:
				others = append(others, a)
			}
		}
	}
	found, strange := topology.Servers(holders...), topology.Servers(others...)
	switch {
	case len(journals) == 0:
		return untold(name, "no server's journal was read")
	case !strange.IsEmpty():
		return refuted(name, "%s: another decision of term %d than the certificate's", strange, op.Term)
	case op.Decision == nil:
		return holds(name, "nothing was decided, and none of %d servers knows a decision of term %d", len(journals), op.Term)
	case found.IsEmpty() && op.State == StateSucceeded:
		return refuted(name, "none of %d servers holds the decision of term %d", len(journals), op.Term)
	case found.IsEmpty():
		return holds(name, "none of %d servers holds the decision of term %d: its marker was never acknowledged, or was cancelled since", len(journals), op.Term)
	}
	return holds(name, "the decision with that hash stands in the journals of %s (of %d read)", found, len(journals))
}
