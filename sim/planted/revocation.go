package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// revocationBugs let a leadership change go on although an earlier leader can still complete writes, or although what
// it completed may have escaped.
var revocationBugs = []bug{
	{
		name: "revocation-skipped",
		what: "a change goes on with whatever servers were reached, without asking whether the old primary can still complete writes or what it completed was found",
		edits: []edit{
			{"reparent/revocation.go", "case loose.Len() < l.Acks:", "case loose.Len() >= 0:"},
			{"reparent/revocation.go", "op.shows(l, history) || unread.Len() < l.Acks {", "op.shows(l, history) || unread.Len() >= 0 {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Split, sim.Isolate, sim.CutPair, sim.Crash, sim.Freeze),
	},
	{
		name: "sent-counts-as-frozen",
		what: "a server to which Freeze was sent counts as frozen although its answer was lost",
		edits: []edit{
			{"reparent/revocation.go", "return op.where(func(p Progress) bool { return p.Frozen == Yes })", "return op.where(func(p Progress) bool { return maybe(p.Frozen) })"},
			{"reparent/revocation.go", `return "its position was not read"`, `return ""`},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Freeze, sim.Blind, sim.Split, sim.Isolate, sim.CutPair, sim.BlindOneWay),
	},
	{
		name: "refused-counts-as-frozen",
		what: "a server that could not be reached counts as frozen: who does not answer us is taken to be dead",
		edits: []edit{
			{"reparent/revocation.go", "return op.where(func(p Progress) bool { return p.Frozen == Yes })", "return op.where(func(p Progress) bool { return p.Frozen != \"\" })"},
			{"reparent/revocation.go", `return "its position was not read"`, `return ""`},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Split, sim.Isolate, sim.CutPair, sim.Crash, sim.Freeze),
	},
	{
		name: "one-ack-too-many",
		what: "a leader that needs k acks counts as revoked while exactly k of its ackers are loose",
		edits: []edit{
			{"reparent/revocation.go", "case loose.Len() < l.Acks:", "case loose.Len() <= l.Acks:"},
			{"reparent/revocation.go", "op.shows(l, history) || unread.Len() < l.Acks {", "op.shows(l, history) || unread.Len() <= l.Acks {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(four, sim.Split, sim.Isolate, sim.CutPair),
	},
	{
		name: "zones-instead-of-servers",
		what: "revocation is computed on zones: one frozen server stands for all of its zone",
		edits: []edit{
			{"reparent/revocation.go", "return op.mayAck(l.Address).Minus(op.frozen())", "return op.mayAck(l.Address)" + loosely("op.frozen()")},
			{"reparent/revocation.go", "unread := op.mayAck(l.Address).Minus(evidence)\n\tif op.readsFromLeader", "unread := op.mayAck(l.Address)" + loosely("evidence") + "\n\tif op.readsFromLeader"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: within(crossZone, sim.Split, sim.Isolate, sim.CutPair, sim.Crash, sim.Freeze),
	},
	{
		name:   "half-established-not-revoked",
		what:   "only the established primary is revoked, and not that of a later term whose outcome is unknown",
		edits:  []edit{{"reparent/revocation.go", "for _, l := range in.History.Leaderships {", "for _, l := range in.History.Leaderships[:min(1, len(in.History.Leaderships))] {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: scripted(four, 2,
			on(0, sim.Crash, 5*time.Second, 1500*time.Millisecond),  // D is elected
			actor(sim.CutStore, 5*time.Second, 46),                  // its marker is written, and nobody records more
			on(0, sim.Split, 5200*time.Millisecond, 20*time.Second), // C and D here, A and B there
			actor(sim.KillElector, 5400*time.Millisecond, 0)),
	},
	{
		name:    "absence-from-the-robbed",
		what:    "a server that lost its relay log or its data proves by what it lacks that nothing was there",
		edits:   []edit{{"reparent/revocation.go", `return op.frozen().Where(func(a topology.Address) bool { return op.doubt(a, l, begun) == "" })`, "_ = begun\n\treturn op.frozen()"}},
		breaks:  []sim.Invariant{sim.NothingLost},
		options: scripted(seldom, 1, robbed()...),
	},
	{
		name: "poison-counts-when-lost",
		what: "a leader to which poison was sent counts as unable to complete although the answer was lost",
		edits: []edit{
			{"reparent/revocation.go", "case op.Progress[l.Address].Silenced == Yes:", "case maybe(op.Progress[l.Address].Silenced):"},
			{"reparent/revocation.go", "if op.readsFromLeader(l.Address) || op.shows", "if op.readsFromLeader(l.Address) || op.Progress[l.Address].Silenced == Unknown || op.shows"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: within(four, sim.WishEmergency, sim.Split, sim.Isolate, sim.Blind),
	},
	{
		name: "rules-say-who-acks",
		what: "only those count as able to acknowledge whom the ruleset names, though MySQL counts whoever has the replica side on; and nobody keeps others from it after a restart",
		edits: []edit{
			{"reparent/revocation.go", "return op.Ruleset.Ackers(leader).Union(acking).Without(leader)", "return op.Ruleset.Ackers(leader).Union(acking.Minus(acking)).Without(leader)"},
			unhushed,
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: scripted(crossZone, 1, acksUninvited(1)...),
	},
	{
		name: "boot-settings-not-asked",
		what: "a server that was seen not to acknowledge counts as one that does not, whatever a restart makes of it; and nobody keeps it from it",
		edits: []edit{
			{"reparent/revocation.go", "return !seen || known.Acking || known.AcksAlone", "return !seen || known.Acking"},
			unhushed,
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: scripted(crossZone, 1, acksUninvited(0)...),
	},
	{
		name: "process-not-compared",
		what: "whether a server's process is the one that was seen before is not asked, so one that dropped its relay log while nobody watched proves absence",
		edits: []edit{
			{"reparent/revocation.go", "return op.changedSince(a, now) || l.SeenAt.IsZero() || !now.StartedAt.Add(startMargin).Before(l.SeenAt)", "return op.Known[a].Incarnation == l.Why && now.OK() && l.Acks < 0"},
			{"reparent/revocation.go", "return before.Restarted || before.Incarnation != now.Incarnation\n", "return before.Replaced && now.OK()\n"},
			{"reparent/revocation.go", "case op.lossySince(l, a):", "case l.Acks < 0 && op.lossySince(l, a):"},
			{"reparent/revocation.go", `case op.recovers(a, now) && (before.Restarted || before.Incarnation != "" && before.Incarnation != now.Incarnation):`, `case before.Replaced && op.recovers(a, now):`},
		},
		breaks: []sim.Invariant{sim.NothingLost},
		options: scripted(seldom, 1,
			on(1, sim.SlowApplier, 4900*time.Millisecond, 60*time.Second),
			on(2, sim.HostDown, 5*time.Second, 5*time.Second),
			on(0, sim.HostDown, 6500*time.Millisecond, 20*time.Second),
			on(1, sim.Crash, 6600*time.Millisecond, 100*time.Millisecond)),
	},
}

// loosely is a filter on servers: those in whose zone none of some others is.
func loosely(frozen string) string {
	return `.Where(func(a topology.Address) bool {
		m, _ := op.Ruleset.Member(a)
		return ` + frozen + `.Where(func(b topology.Address) bool {
			n, _ := op.Ruleset.Member(b)
			return n.Zone == m.Zone
		}).IsEmpty()
	})`
}

// robbed is an acker that loses its data with all that it alone acknowledged, while the primary is away and the other
// acker was.
func robbed() []sim.Fault {
	return []sim.Fault{
		on(2, sim.HostDown, 5*time.Second, 5*time.Second),
		on(0, sim.HostDown, 6500*time.Millisecond, 20*time.Second),
		on(1, sim.Wipe, 7*time.Second, time.Second),
	}
}

// unhushed leaves a server that must not acknowledge as it is, though it would after a restart.
var unhushed = edit{"sim/verbs_replica.go", "if a.command.Acker || !o.AcksAlone() {", "if a.command.Acker || o.OK() {"}

// acksUninvited is a server of the primary's own zone that restarts, and acknowledges if its option file says so. After so
// many commands the two are cut off from all others: as soon as it is seen and before it is mended, or before it can be seen.
func acksUninvited(step int) []sim.Fault {
	const at = 3 * time.Second
	faults := []sim.Fault{
		on(3, sim.Crash, at, 100*time.Millisecond),
		between(3, 0, sim.Blind, at, step),
		between(0, 0, sim.Blind, at, step),
	}
	for _, here := range []int{0, 3} {
		for _, there := range []int{1, 2, 4, 5} {
			faults = append(faults, between(here, there, sim.CutPair, at, step))
		}
	}
	return faults
}
