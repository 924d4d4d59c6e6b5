package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is one way in which a world goes wrong, or in which people work on it.
type Kind string

// The kinds of faults.
const (
	Crash        Kind = "crash"         // kill -9 of a mysqld, which comes back after a while
	Shutdown     Kind = "shutdown"      // an orderly stop, and a start after a while
	HostDown     Kind = "host_down"     // power: the process dies and nothing answers at the address
	Freeze       Kind = "freeze"        // SIGSTOP, SIGCONT after a while
	DiskStall    Kind = "disk_stall"    // what needs the disk hangs
	DiskFull     Kind = "disk_full"     // commits wait for space
	SlowApplier  Kind = "slow_applier"  // a replica applies slowly
	StopApplier  Kind = "stop_applier"  // a hand stops it, and starts it again
	StopReceiver Kind = "stop_receiver" // a hand stops it
	Errant       Kind = "errant"        // somebody writes on a replica as root
	Wipe         Kind = "wipe"          // the data directory is lost; the server starts empty, as a new one
	Purge        Kind = "purge"         // binary logs are purged
	HugeWrite    Kind = "huge_write"    // a transaction that takes long to apply
	Fallback     Kind = "fallback"      // somebody sets a finite semi-sync timeout on the primary
	OpenByHand   Kind = "open_by_hand"  // somebody makes a replica writable
	CloseByHand  Kind = "close_by_hand" // somebody makes the primary read-only

	CutPair     Kind = "cut_pair"     // two servers do not hear each other
	CutOneWay   Kind = "cut_one_way"  // what one server sends the other does not hear
	Isolate     Kind = "isolate"      // a server is cut off from everybody
	Split       Kind = "split"        // the servers fall into two halves, the electors too
	Blind       Kind = "blind"        // an elector does not hear a server
	BlindAll    Kind = "blind_all"    // an elector hears no server
	BlindOneWay Kind = "blind_oneway" // an elector is heard by a server that it does not hear
	SlowLink    Kind = "slow_link"    // what two nodes say to each other takes long
	CutZone     Kind = "cut_zone"     // the servers of a zone hear each other, and clients, and nobody else

	KillElector  Kind = "kill_elector"  // and start it again
	StopElector  Kind = "stop_elector"  // in order, and start it again
	PauseElector Kind = "pause_elector" // a collection of garbage of a minute
	CutStore     Kind = "cut_store"     // an elector does not reach the store
	LoseReply    Kind = "lose_reply"    // the store does what an elector asks, and the answer is lost
	StopStore    Kind = "stop_store"    // no majority
	EndLease     Kind = "end_lease"     // the store lets a lease expire before its time
	OldStore     Kind = "old_store"     // the store is restored from a backup
	EmptyStore   Kind = "empty_store"   // the store starts empty

	WishPlanned   Kind = "wish_planned"   // an operator asks for a planned change
	WishEmergency Kind = "wish_emergency" // and for an emergency one
	Acknowledge   Kind = "acknowledge"    // an operator lifts the anti-flapping window
	Maintain      Kind = "maintain"       // a server is taken out of candidacy for a while
	Reconfigure   Kind = "reconfigure"    // the electors are started again with another ruleset
)

// Kinds lists all kinds of faults.
func Kinds() []Kind {
	return []Kind{
		Crash, Shutdown, HostDown, Freeze, DiskStall, DiskFull, SlowApplier, StopApplier, StopReceiver, Errant, Wipe, Purge,
		HugeWrite, Fallback, OpenByHand, CloseByHand, CutPair, CutOneWay, Isolate, Split, Blind, BlindAll, BlindOneWay, SlowLink, CutZone,
		KillElector, StopElector, PauseElector, CutStore, LoseReply, StopStore, EndLease, OldStore, EmptyStore,
		WishPlanned, WishEmergency, Acknowledge, Maintain, Reconfigure,
	}
}

// weight is how often a kind is drawn, beside the others that its seed switched on.
func (k Kind) weight() int {
	switch k {
	case Crash:
		return 20
	case WishPlanned:
		return 8
	case Freeze, Isolate, CutPair, PauseElector, KillElector:
		return 4
	case HostDown, DiskStall, CutOneWay, Blind, CutStore, LoseReply, StopStore, Split, SlowApplier, WishEmergency:
		return 2
	case Shutdown, DiskFull, StopApplier, StopReceiver, Errant, Wipe, Purge, HugeWrite, Fallback, OpenByHand, CloseByHand,
		BlindAll, BlindOneWay, SlowLink, StopElector, EndLease, OldStore, EmptyStore, Acknowledge, Maintain, Reconfigure, CutZone:
		return 1
	}
	return 1
}

// Target says whom a fault meets.
type Target string

// The targets. Primary and the others are looked up when the fault happens.
const (
	OnServer  Target = "server"  // the one with the number
	OnPrimary Target = "primary" // whoever completes writes then
	OnActor   Target = "actor"   // the elector that acts then
)

// Fault is one thing that goes wrong at one time. The world's other draws do not depend on which faults there are, so a
// fault can be left out to see whether the others suffice.
type Fault struct {
	Number int           `json:"number"` // its place among those that the seed drew
	Kind   Kind          `json:"kind"`
	At     time.Duration `json:"at"`
	// Step, when given, is what the fault waits for from At on: that many commands to servers (or, when negative, that
	// many calls to the store) have been sent. So it falls between two steps of a change and not beside it.
	Step   int           `json:"step,omitempty"`
	Target Target        `json:"target"`
	Server int           `json:"server"` // number of a server or an elector
	Other  int           `json:"other"`  // number of a second one
	For    time.Duration `json:"for"`
	// Happened is when it did, on the clock of the trace, and Struck whom it met; both are for the report.
	Happened time.Duration `json:"-"`
	Struck   string        `json:"-"`
}

// String is the fault in words: what happened when to whom or, where it has not happened, when it was due.
func (f Fault) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s", f.Number, f.Kind)
	if f.Happened == 0 {
		fmt.Fprintf(&b, ", due %s after the adoption", f.At.Round(time.Millisecond))
		return b.String()
	}
	fmt.Fprintf(&b, " at %s", f.Happened.Round(time.Millisecond))
	if f.Struck != "" {
		fmt.Fprintf(&b, " on %s", f.Struck)
	}
	if f.lasts() {
		fmt.Fprintf(&b, " for %s", f.For.Round(time.Millisecond))
	}
	switch {
	case f.Step > 0:
		fmt.Fprintf(&b, ", %s after it was due", counted(f.Step, "command"))
	case f.Step < 0:
		fmt.Fprintf(&b, ", %s to the store after it was due", counted(-f.Step, "call"))
	}
	return b.String()
}

// lasts tells whether it means something how long a fault is to last; some are over when they have happened.
func (f Fault) lasts() bool {
	switch f.Kind {
	case StopReceiver, Errant, Purge, OpenByHand, CloseByHand, EndLease, EmptyStore, WishPlanned, WishEmergency, Acknowledge:
		return false
	}
	return true
}

// meets names whom a fault meets now.
func (w *world) meets(f Fault) string {
	switch f.Kind {
	case CutPair, CutOneWay:
		return fmt.Sprintf("%s and %s", w.who(f), w.hosts.all[f.Other%len(w.hosts.all)].address)
	case SlowLink:
		return fmt.Sprintf("%s, %s and %s", w.who(f), w.hosts.all[f.Other%len(w.hosts.all)].address, w.struck(f).name)
	case Blind, BlindOneWay:
		return fmt.Sprintf("%s and %s", w.struck(f).name, w.who(f))
	case BlindAll, KillElector, StopElector, PauseElector, CutStore, LoseReply, EndLease:
		return w.struck(f).name
	case Split, StopStore, OldStore, EmptyStore, Acknowledge, Reconfigure:
		return ""
	case WishPlanned, WishEmergency:
		if f.Other%2 != 0 {
			return "whoever is chosen"
		}
		return string(w.hosts.all[f.Server%len(w.hosts.all)].address)
	case Maintain:
		return string(w.hosts.all[f.Server%len(w.hosts.all)].address)
	}
	return w.who(f)
}

// who is the server that a fault meets.
func (w *world) who(f Fault) string {
	s := w.victim(f)
	if s == w.primary() {
		return "the primary " + string(s.address)
	}
	return string(s.address)
}

// serversDrawn is how many servers a cluster has at most that a seed draws.
const serversDrawn = 7

// Drawn are the faults that a seed draws with these options, whether or not they then happen.
func Drawn(seed uint64, o Options) []Fault {
	if o.Faults != nil {
		return o.Faults
	}
	kinds, length := o.Kinds, o.Length
	if kinds == nil {
		kinds = Kinds()
	}
	if length <= 0 {
		length = lengthDefault
	}
	servers := serversDrawn
	if o.Cluster != nil {
		servers = max(servers, len(o.Cluster.Ruleset.Members))
	}
	faults := drawFaults(draws(seed, forFaults), withoutZones(kinds), length, servers)
	if slices.Contains(kinds, CutZone) {
		faults = append(faults, cutZones(draws(seed, forZones), length, servers, len(faults))...)
	}
	if o.Rules && slices.Contains(kinds, Reconfigure) {
		faults = append(faults, changes(draws(seed, forChanges), length, servers, len(faults))...)
	}
	return faults
}

// withoutZones are the kinds that are drawn beside each other: all but one, which has chance of its own.
func withoutZones(kinds []Kind) []Kind {
	return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return k == CutZone })
}

// cutZones draws, for one of eight lifetimes, that the primary's zone is cut off. That takes the primary and others away
// together, which faults that meet one server each hardly ever do.
func cutZones(r *rand.Rand, length time.Duration, servers, number int) []Fault {
	if r.IntN(8) > 0 {
		return nil
	}
	all := make([]Fault, 1+r.IntN(2))
	for i := range all {
		all[i] = drawFault(r, CutZone, length, servers)
		all[i].Number, all[i].Target = number+i, OnPrimary
	}
	return all
}

// drawFaults draws what goes wrong in a lifetime: a random part of the kinds is switched on, so that deep combinations of
// few kinds come up as well as a little of everything.
func drawFaults(r *rand.Rand, kinds []Kind, length time.Duration, servers int) []Fault {
	on := swarm(r, kinds)
	if len(on) == 0 {
		return nil
	}
	total := 0
	for _, k := range on {
		total += k.weight()
	}
	faults := make([]Fault, 1+r.IntN(24))
	for i := range faults {
		faults[i] = drawFault(r, pick(on, r.IntN(total)), length, servers)
	}
	faults = append(faults, turns(r, kinds, length, servers)...)
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	for i := range faults {
		faults[i].Number = i
	}
	return faults
}

// turns are reasons for changes of the primary, which most lifetimes have some of whatever else goes wrong in them: it is
// between and during changes that the other faults do harm.
func turns(r *rand.Rand, kinds []Kind, length time.Duration, servers int) []Fault {
	var all []Fault
	for range r.IntN(7) {
		f := drawFault(r, [...]Kind{WishPlanned, WishPlanned, Crash}[r.IntN(3)], length, servers)
		f.Target, f.Step, f.At = OnPrimary, 0, time.Duration(r.Int64N(int64(length)))
		if slices.Contains(kinds, f.Kind) {
			all = append(all, f)
		}
	}
	return all
}

func swarm(r *rand.Rand, kinds []Kind) []Kind {
	share := []float64{0.1, 0.25, 0.5, 1}[r.IntN(4)]
	var on []Kind
	for _, k := range kinds {
		if r.Float64() < share {
			on = append(on, k)
		}
	}
	if len(on) == 0 && len(kinds) > 0 {
		on = append(on, kinds[r.IntN(len(kinds))])
	}
	return on
}

func pick(on []Kind, n int) Kind {
	for _, k := range on {
		if n -= k.weight(); n < 0 {
			return k
		}
	}
	return on[len(on)-1]
}

// drawFault draws the particulars. Most faults meet whoever leads, and follow each other closely: what is rare in a
// fleet's life has to be common here.
func drawFault(r *rand.Rand, k Kind, length time.Duration, servers int) Fault {
	f := Fault{Kind: k, Target: OnServer, Server: r.IntN(servers), Other: r.IntN(servers)}
	f.At = time.Duration(r.Int64N(int64(length)))
	if r.Float64() < 0.5 { // soon after a round number, so that several fall together
		f.At = f.At.Truncate(length/4) + time.Duration(r.Int64N(int64(length/30)+1))
	}
	if r.Float64() < 0.6 {
		f.Target = OnPrimary
	}
	switch r.IntN(6) {
	case 0, 1:
		f.Step = 1 + r.IntN(40)
	case 2:
		f.Step = -1 - r.IntN(8)
	}
	f.For = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second, 3 * time.Second, 8 * time.Second, 20 * time.Second}[r.IntN(6)]
	f.For += time.Duration(r.Int64N(int64(f.For)))
	switch k {
	case KillElector, StopElector, PauseElector, CutStore, LoseReply, EndLease, Blind, BlindAll, BlindOneWay:
		if f.Target == OnPrimary {
			f.Target = OnActor
		}
	}
	return f
}
