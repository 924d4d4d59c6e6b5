package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Options say what is simulated. What they leave out is drawn from the seed.
type Options struct {
	// Cluster is the cluster with its policy and the settings of its electors; nil draws one.
	Cluster *Cluster
	// Cascade draws, from a stream of its own, a member that replicates from another one than the primary by the rules. What
	// is drawn otherwise stays as it is. A given cluster says itself what it has.
	Cascade bool
	// Rules has the rules changed in ways that take a barrier too, by the file and by hand, and more often: what is drawn for
	// that comes from a stream of its own. Without it such changes are refused, as by a control plane that makes none.
	Rules bool
	// Electors is how many there are; 0 draws it.
	Electors int
	// Length is how long clients write and things go wrong; default 50 s. Then all faults are mended, and the world has
	// to become whole.
	Length time.Duration
	// Kinds are the faults that may be drawn; nil is all of them.
	Kinds []Kind
	// Faults are what goes wrong; nil draws it from the seed, which then decides on everything else only.
	Faults []Fault
	// Only keeps, of the faults that the seed draws, those with these numbers; nil keeps all.
	Only []int
	// Trace records what happens, for people to read.
	Trace bool
}

// Cluster is what is known of a cluster before its life begins.
type Cluster struct {
	Ruleset       topology.Ruleset
	Limits        topology.Limits
	Antiflap      antiflap.Settings
	Timing        reparent.Timing
	ProbeInterval time.Duration
}

// Invariant names a promise that every moment of every lifetime is checked against.
type Invariant string

// The invariants.
const (
	NothingLost       Invariant = "nothing_lost"        // no acknowledged row is missing from the final history
	OneCompleter      Invariant = "one_completer"       // per term one server completes writes, and none of an older term
	EverywhereOrGone  Invariant = "everywhere_or_gone"  // after reconciliation a transaction is on all servers or on none
	NoVanishingRead   Invariant = "no_vanishing_read"   // what a reader of the primary saw stays
	AntiflapObeyed    Invariant = "antiflap_obeyed"     // no automatic change inside a window that nothing lifts
	FencedStaysOut    Invariant = "fenced_stays_out"    // no session of an older term changes a server after a newer one came
	LeaseObeyed       Invariant = "lease_obeyed"        // nothing is written to the store under a lost lock; no term twice
	Progress          Invariant = "progress"            // after the faults stop, writes complete within the published time
	NothingLeftBehind Invariant = "nothing_left_behind" // and no server is left stopped, or writable by mistake
	NoNeedlessChange  Invariant = "no_needless_change"  // a primary that completes writes is not replaced because an elector does not see it
	NoCrash           Invariant = "no_crash"            // the control plane does not crash
)

// Invariants lists all invariants.
func Invariants() []Invariant {
	return []Invariant{
		NothingLost, OneCompleter, EverywhereOrGone, NoVanishingRead, AntiflapObeyed, FencedStaysOut, LeaseObeyed, Progress,
		NothingLeftBehind, NoNeedlessChange, NoCrash,
	}
}

// Violation is a promise that was broken.
type Violation struct {
	Invariant Invariant
	At        time.Duration
	Text      string
}

// String is the violation in a line.
func (v Violation) String() string {
	return fmt.Sprintf("%s at %s: %s", v.Invariant, v.At.Round(time.Microsecond), v.Text)
}

// Entry is one line of a trace.
type Entry struct {
	At   time.Duration
	Who  string
	Text string
}

// String is the entry in a line.
func (e Entry) String() string {
	return fmt.Sprintf("%12.6fs  %-10s %s", e.At.Seconds(), e.Who, e.Text)
}

// Report is what came of a lifetime.
type Report struct {
	Seed     uint64
	Ruleset  topology.Ruleset
	Electors int
	// Adopted is when the cluster's first term was on record: the faults' own times count from then.
	Adopted time.Duration
	Faults  []Fault // those that happened
	// Missed are those that Options.Only asked for and that did not happen: they would have met nobody, or no promise
	// covers what they do.
	Missed     []Fault
	Violations []Violation
	Trace      []Entry
	// Digest is the same whenever the same seed and options are run with the same program.
	Digest  uint64
	Virtual time.Duration // how long the world lived
	// Changes are the changes of the primary that were established, Attempts the operations that were begun.
	Changes, Attempts int
	// Writes are what clients asked for, Answered those that got OK, Refused those that got an error, Unknown all others: nothing
	// says how they ended. Unprotected are those answered though the policy was not met, through a fault that MySQL cannot be
	// kept from.
	Writes, Answered, Refused, Unknown, Unprotected int
	// Ruled are the changes of the rules that took a barrier and came into force.
	Ruled int
}

// Failed tells whether a promise was broken.
func (r Report) Failed() bool { return len(r.Violations) > 0 }

// Text is the report for people: what was simulated, what went wrong in it, and what was broken. All times are those of
// the trace.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s, %s, %s, %s of virtual time\n", r.Seed, counted(len(r.Ruleset.Members), "server"),
		PolicyText(r.Ruleset.Policy), counted(r.Electors, "elector"), r.Virtual.Round(time.Millisecond))
	for _, line := range ClusterText(r.Ruleset) {
		fmt.Fprintf(&b, "%s\n", line)
	}
	fmt.Fprintf(&b, "%s of the primary in %s, %d of %s answered, %d refused, %d unknown\n", counted(r.Changes, "change"), counted(r.Attempts, "attempt"),
		r.Answered, counted(r.Writes, "write"), r.Refused, r.Unknown)
	if r.Ruled > 0 {
		fmt.Fprintf(&b, "%s of the rules that took a barrier\n", counted(r.Ruled, "change"))
	}
	if r.Adopted > 0 {
		fmt.Fprintf(&b, "  adopted at %s\n", r.Adopted.Round(time.Millisecond))
	}
	for _, f := range r.Faults {
		fmt.Fprintf(&b, "  fault %s\n", f)
	}
	for _, f := range r.Missed {
		fmt.Fprintf(&b, "  fault %s, did not happen: it means nothing there and then, or no promise covers it\n", f)
	}
	for _, v := range r.Violations {
		fmt.Fprintf(&b, "  BROKEN %s\n", v)
	}
	return b.String()
}

// PolicyText is a policy in a few words.
func PolicyText(p topology.Policy) string {
	text := string(p.Kind)
	if p.Kind != topology.PolicyNone {
		text += " with " + counted(p.Acks, "ack")
	}
	if p.Kind == topology.PolicyZones {
		text += " in " + counted(p.Zones, "zone")
	}
	if p.AllowUnfenced {
		text += ", allow_unfenced"
	}
	return text
}

// ClusterText says who the servers of a cluster are and, where that is more than the policy asks for, what MySQL waits
// for: it counts acknowledgements and knows no zones.
func ClusterText(r topology.Ruleset) []string {
	var members []string
	for _, m := range r.Members {
		text := string(m.Address)
		if m.Zone != "" {
			text += " in " + m.Zone
		}
		if m.Promotion != "" && m.Promotion != topology.PromotionNeutral {
			text += " (" + string(m.Promotion) + ")"
		}
		members = append(members, text)
	}
	all := []string{"servers " + strings.Join(members, ", ")}
	if e, found := strictest(r); found {
		all = append(all, fmt.Sprintf("while %s leads MySQL, which knows no zones, waits for any %d of %s, although %s would do: any %d could be %s",
			e.Primary, e.Acks, e.Ackers, e.Spread, e.Acks-1, e.Crowd))
	}
	return all
}

// strictest is the leadership under which MySQL has to wait for most more than the policy asks for; false when there is
// none.
func strictest(r topology.Ruleset) (worst topology.Expression, found bool) {
	for _, e := range r.Expressions() {
		if !e.Exact && (!found || e.Acks-e.Spread.Len() > worst.Acks-worst.Spread.Len()) {
			worst, found = e, true
		}
	}
	return worst, found
}

// missed are the faults that were asked for and did not happen.
func (w *world) missed() []Fault {
	if w.options.Only == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(Drawn(w.report.Seed, w.options)), func(f Fault) bool {
		happened := func(h Fault) bool { return h.Number == f.Number }
		return !slices.Contains(w.options.Only, f.Number) || slices.ContainsFunc(w.report.Faults, happened)
	})
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
