package api

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Recovery is one change of the primary, under way or ended.
type Recovery struct {
	ID         string    `json:"id" example:"shop-0000000003"`
	Cluster    string    `json:"cluster"`
	Kind       string    `json:"kind" enum:"adoption,planned,emergency,reopening,rules"`
	Cause      string    `json:"cause"`
	Term       uint32    `json:"term"`
	From       string    `json:"from" doc:"The primary before; empty when there was none."`
	To         string    `json:"to" doc:"The new primary; empty while none is chosen."`
	State      string    `json:"state" enum:"running,succeeded,undone,blocked,failed"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Stages     []Stage   `json:"stages" nullable:"false"`
	// Certificate is the evidence on which the change rests.
	Rules       *Rules      `json:"rules,omitempty" doc:"Of a change of the rules: the new ones."`
	Certificate Certificate `json:"certificate"`

	Phase       string    `json:"phase" doc:"Where it stands; done when it has ended."`
	Automatic   bool      `json:"automatic" doc:"Nobody asked for it."`
	By          string    `json:"by,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Elector     string    `json:"elector"`
	Clearance   string    `json:"clearance" doc:"Why anti-flapping let it happen."`
	Obstacle    *Obstacle `json:"obstacle,omitempty" doc:"Why it did not succeed."`
	Established time.Time `json:"established_at,omitzero" doc:"When the term marker was acknowledged."`
	GapMS       *int64    `json:"gap_ms,omitempty" doc:"How long Primacy kept writes from completing."`
	DurationMS  int64     `json:"duration_ms"`
}

// Stage is one line of a recovery's timeline.
type Stage struct {
	Name       string    `json:"name" example:"revoke"`
	StartedAt  time.Time `json:"started_at"`
	DurationMS int64     `json:"duration_ms"`
	DurationUS int64     `json:"duration_us" doc:"The same in microseconds, for stages are often shorter than a millisecond."`
	Outcome    string    `json:"outcome" enum:"ok,failed,blocked,undone"`
	Detail     string    `json:"detail"`
	Evidence   []string  `json:"evidence" nullable:"false"`
}

// Certificate is what a change rests on: the rules, who could have been leading, and what each server showed.
type Certificate struct {
	Ruleset Rules             `json:"ruleset"`
	Leaders []Leader          `json:"leaders" nullable:"false" doc:"Servers that may have been completing writes, and had to be revoked."`
	Servers []Witness         `json:"servers" nullable:"false" doc:"What was done to each server, and what it showed."`
	Barred  map[string]string `json:"barred" doc:"Servers that could not be candidates, and why."`
	Chosen  string            `json:"chosen" doc:"The history that is honoured."`
	Floor   string            `json:"floor" doc:"What was seen as committed; no choice goes below it."`
	// AcceptLoss, KeepErrant and CertifiedDown are what an operator answered for.
	AcceptLoss    bool      `json:"accept_loss"`
	KeepErrant    bool      `json:"keep_errant"`
	CertifiedDown []string  `json:"certified_down" nullable:"false"`
	Decision      *Decision `json:"decision,omitempty"`
}

// Rules are the durability policy and the members under which a change was made.
type Rules struct {
	Number        uint64   `json:"number"`
	Policy        string   `json:"policy"`
	Acks          int      `json:"acks"`
	Zones         int      `json:"zones,omitempty"`
	AllowUnfenced bool     `json:"allow_unfenced,omitempty"`
	Members       []Member `json:"members" nullable:"false"`
}

// Member is one server of the rules.
type Member struct {
	Address   string `json:"address"`
	Zone      string `json:"zone"`
	Promotion string `json:"promotion"`
	Source    string `json:"source,omitempty" doc:"The member that it replicates from by the rules, instead of from the primary."`
}

// Leader is a server that may have been completing writes.
type Leader struct {
	Address   string `json:"address"`
	Term      uint32 `json:"term"`
	Acks      int    `json:"acks" doc:"How many acknowledgements its commits wait for."`
	Certified bool   `json:"certified" doc:"An operator vouches that it is powered off."`
	Why       string `json:"why,omitempty"`
}

// Witness is what a change did to one server and learned from it. Outcomes are yes, no, unknown, or empty when
// nothing of the kind was tried.
type Witness struct {
	Address     string    `json:"address"`
	Frozen      string    `json:"frozen,omitempty" doc:"It acknowledges nothing more."`
	Silenced    string    `json:"silenced,omitempty" doc:"It completes no writes."`
	With        string    `json:"silenced_with,omitempty"`
	Attached    string    `json:"attached,omitempty" doc:"It follows the new primary."`
	Applied     string    `json:"applied,omitempty" doc:"It has applied the chosen history."`
	Released    string    `json:"released,omitempty"`
	Note        string    `json:"note,omitempty"`
	Executed    string    `json:"gtid_executed,omitempty" doc:"First-hand, read after it was frozen or silenced."`
	Received    string    `json:"gtid_received,omitempty"`
	Term        uint32    `json:"term,omitempty"`
	Incarnation string    `json:"incarnation,omitempty" doc:"Which process it was."`
	LeftOut     string    `json:"left_out,omitempty" doc:"Of what it showed, what is not in the history that is honoured: cancelled by this change, or errant before it."`
	ReadAt      time.Time `json:"read_at,omitzero"`
}

// leftOut is what a server held beyond the history that a change made the cluster's. Only a change of the primary that took
// place leaves anything out.
func leftOut(op reparent.Operation, p reparent.Progress) gtid.Set {
	replaces := op.Kind == reparent.KindEmergency || op.Kind == reparent.KindPlanned
	seen := cmp.Or(p.Judged, p.Reading)
	if seen == nil || op.State != reparent.StateSucceeded || !replaces {
		return gtid.Set{}
	}
	return seen.Position().Subtract(op.Chosen)
}

// Decision is what was put on record before the new primary was made, and what its term marker repeats.
type Decision struct {
	Term        uint32    `json:"term"`
	Kind        string    `json:"kind"`
	Primary     string    `json:"primary"`
	PrimaryUUID string    `json:"primary_uuid"`
	Incarnation string    `json:"incarnation"`
	Ruleset     uint64    `json:"ruleset"`
	Base        string    `json:"base"`
	Reached     []string  `json:"reached" nullable:"false"`
	Elector     string    `json:"elector"`
	DecidedAt   time.Time `json:"decided_at"`
	Previous    string    `json:"previous_hash"`
	Hash        string    `json:"hash"`
	Marker      string    `json:"marker" doc:"The GTID of the term marker."`
}

// Step is one step that a change would take.
type Step struct {
	Phase     string   `json:"phase"`
	Title     string   `json:"title"`
	Commands  []string `json:"commands" nullable:"false"`
	SaveFirst bool     `json:"save_first" doc:"The change is saved before this step is taken."`
}

func recoveryOf(op reparent.Operation) Recovery {
	r := Recovery{
		ID: op.ID, Cluster: op.Cluster, Kind: string(op.Kind), Cause: op.Cause, Term: op.Term, From: string(op.From), To: string(op.To),
		State: string(op.State), StartedAt: stamp(begun(op)), FinishedAt: stamp(op.FinishedAt), Stages: []Stage{}, Certificate: certificateOf(op),
		Phase: string(op.Phase), Automatic: op.Automatic, By: op.By, Reason: op.Reason, Elector: op.Elector, Clearance: op.Clearance,
		Obstacle: obstacleOf(op.Obstacle), Established: stamp(op.Established), DurationMS: lasted(op).Milliseconds(),
	}
	for _, s := range op.Stages {
		r.Stages = append(r.Stages, stageOf(s))
	}
	if op.Rules != nil {
		rules := rulesOf(*op.Rules)
		r.Rules = &rules
	}
	if !op.GapFrom.IsZero() && !op.GapTo.IsZero() {
		gap := op.GapTo.Sub(op.GapFrom).Milliseconds()
		r.GapMS = &gap
	}
	return r
}

// begun is when trouble was first seen, which is before the operation was made.
func begun(op reparent.Operation) time.Time {
	if len(op.Stages) > 0 && op.Stages[0].StartedAt.Before(op.StartedAt) {
		return op.Stages[0].StartedAt
	}
	return op.StartedAt
}

func lasted(op reparent.Operation) time.Duration {
	end := op.FinishedAt
	if end.IsZero() {
		end = op.PhaseAt
	}
	return max(end.Sub(begun(op)), 0)
}

func stageOf(s reparent.Stage) Stage {
	return Stage{
		Name: s.Name, StartedAt: stamp(s.StartedAt), DurationMS: s.Duration.Milliseconds(), DurationUS: s.Duration.Microseconds(),
		Outcome: s.Outcome, Detail: s.Detail, Evidence: append([]string{}, s.Evidence...),
	}
}

func certificateOf(op reparent.Operation) Certificate {
	c := Certificate{
		Ruleset: rulesOf(op.Ruleset), Leaders: []Leader{}, Servers: []Witness{}, Barred: map[string]string{},
		Chosen: op.Chosen.String(), Floor: op.Floor.String(), AcceptLoss: op.AcceptLoss, KeepErrant: op.KeepErrant,
		CertifiedDown: texts(op.Silent.List()), Decision: decisionOf(op.Decision),
	}
	for _, l := range op.Leaders {
		c.Leaders = append(c.Leaders, Leader{Address: string(l.Address), Term: l.Term, Acks: l.Acks, Certified: l.Certified, Why: l.Why})
	}
	for _, a := range slices.Sorted(maps.Keys(op.Progress)) {
		w := witnessOf(a, op.Progress[a])
		w.LeftOut = leftOut(op, op.Progress[a]).String()
		c.Servers = append(c.Servers, w)
	}
	for a, why := range op.Barred {
		c.Barred[string(a)] = why
	}
	return c
}

func rulesOf(r topology.Ruleset) Rules {
	rules := Rules{
		Number: r.Number, Policy: string(r.Policy.Kind), Acks: r.Policy.Acks, Zones: r.Policy.Zones,
		AllowUnfenced: r.Policy.AllowUnfenced, Members: []Member{},
	}
	for _, m := range r.Members {
		rules.Members = append(rules.Members, Member{Address: string(m.Address), Zone: m.Zone, Promotion: string(m.Promotion), Source: string(m.Source)})
	}
	return rules
}

func witnessOf(a topology.Address, p reparent.Progress) Witness {
	w := Witness{
		Address: string(a), Frozen: string(p.Frozen), Silenced: string(p.Silenced), With: string(p.With),
		Attached: string(p.Attached), Applied: string(p.Applied), Released: string(p.Released), Note: p.Note,
	}
	if o := p.Reading; o != nil {
		w.Executed, w.Received, w.Term = o.Executed.String(), o.Received.String(), o.Term()
		w.Incarnation, w.ReadAt = o.Incarnation, stamp(o.At)
	}
	return w
}

func decisionOf(d *topology.Decision) *Decision {
	if d == nil {
		return nil
	}
	told := &Decision{
		Term: d.Term, Kind: d.Kind, Primary: string(d.Primary), Incarnation: d.Incarnation, Ruleset: d.Ruleset, Base: d.Base.String(),
		Reached: texts(d.Reached.List()), Elector: d.Elector, DecidedAt: stamp(d.DecidedAt), Previous: d.Previous, Hash: d.Hash,
		Marker: d.Marker().GTID().String(),
	}
	if d.PrimaryUUID != (gtid.UUID{}) {
		told.PrimaryUUID = d.PrimaryUUID.String()
	}
	return told
}

func stepsOf(steps []reparent.Step) []Step {
	all := []Step{}
	for _, s := range steps {
		told := Step{Phase: string(s.Phase), Title: s.Title, Commands: []string{}, SaveFirst: s.SaveFirst}
		for _, c := range s.Commands {
			told.Commands = append(told.Commands, c.String())
		}
		all = append(all, told)
	}
	return all
}
