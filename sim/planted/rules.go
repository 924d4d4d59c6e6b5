package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// rulesBugs change the rules of a cluster otherwise than in the proven order.
var rulesBugs = []bug{
	{
		name:    "rules-without-their-barrier",
		what:    "more acknowledgements are asked for and put on record at once: nobody looks whether what fewer had acknowledged is held by as many",
		edits:   []edit{{"reparent/rules.go", "return PhaseBarrier\n", "return PhaseRecording\n"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone},
		options: moreAcks(),
	},
	{
		name:    "rules-by-the-fewer-acks",
		what:    "on the way from fewer acknowledgements to more commits wait for the fewer",
		edits:   []edit{{"topology/transition.go", "return max(t.Old.AcksNeeded(t.Primary), t.Next.AcksNeeded(t.Primary))", "return min(t.Old.AcksNeeded(t.Primary), t.Next.AcksNeeded(t.Primary))"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: moreAcks(),
	},
	{
		name:    "removed-members-go-on-acknowledging",
		what:    "a server that is a member no more is not told to stop: what only it has acknowledged is looked for at others",
		edits:   []edit{{"reparent/rules.go", "for a := range t.Removed().Minus(op.Silent).All() {", "for a := range t.Removed().Minus(t.Removed()).All() {"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.NothingLeftBehind},
		options: changing(even(5, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}), sim.Reconfigure, sim.Crash, sim.Isolate),
	},
	{
		name:    "removed-ones-need-not-be-reached",
		what:    "a member that is not reached is removed without anybody's word that it is gone",
		edits:   []edit{{"reparent/rules.go", "if away := op.outgoing().Minus(in.Snapshot.Reached()); !away.IsEmpty() {", "if away := op.outgoing().Minus(in.Snapshot.Reached()); away.Len() > len(in.Snapshot.Servers) {"}, {"reparent/rules.go", "for _, r := range results {\n\t\tif !r.Done() {\n\t\t\treturn op.insist(\"disable\"", "for _, r := range results {\n\t\tif !r.Done() && r.Reason != ReasonUnreachable {\n\t\t\treturn op.insist(\"disable\""}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.NothingLeftBehind},
		options: changing(even(5, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}), sim.Reconfigure, sim.Crash, sim.Isolate, sim.Blind, sim.BlindAll),
	},
	{
		name:    "added-servers-are-not-probed", // this and the next one were found by the simulator
		what:    "a server that the file adds while a change is under way is a member, and no elector looks at it",
		edits:   []edit{{"orchestrator/rules.go", "\t\treturn\n\t}\n\tc.watch()\n", "\t\treturn\n\t}\n"}},
		breaks:  []sim.Invariant{sim.EverywhereOrGone, sim.NothingLeftBehind, sim.Progress},
		options: changing(nil, sim.Reconfigure, sim.Crash, sim.WishPlanned),
	},
	{
		name:    "nobody-is-removed-without-a-promise",
		what:    "under a policy that asks for no acknowledgements the primary is told to wait for none before a member is removed, and refuses",
		edits:   []edit{{"reparent/rules.go", "if t.PromisesNothing() {\n\t\top.Phase = op.stopping()\n\t}", ""}},
		breaks:  []sim.Invariant{sim.Progress},
		options: changing(even(4, topology.Policy{Kind: topology.PolicyNone}), sim.Reconfigure),
	},
}

// moreAcks has a second acknowledgement asked for while one server alone gets what is written, and then takes that server and
// the primary away, with the elector that has seen what they held.
func moreAcks() sim.Options {
	faults := []sim.Fault{{Kind: sim.Reconfigure, At: 5300 * time.Millisecond, Server: 1, For: 100 * time.Millisecond}}
	for _, late := range []int{2, 3, 4} {
		faults = append(faults, sim.Fault{Kind: sim.CutPair, At: 5 * time.Second, Target: sim.OnServer, Server: 0, Other: late, For: 2 * time.Second})
	}
	for _, lost := range []int{0, 1} {
		faults = append(faults, on(lost, sim.HostDown, 5800*time.Millisecond, 15*time.Second))
	}
	faults = append(faults, sim.Fault{Kind: sim.KillElector, At: 5790 * time.Millisecond, Target: sim.OnActor, For: 300 * time.Millisecond})
	o := scripted(five1, 1, faults...)
	o.Rules = true
	return o
}

// changing are options under which the rules are changed, by a barrier too, while things go wrong.
func changing(cluster *sim.Cluster, kinds ...sim.Kind) sim.Options {
	return sim.Options{Cluster: cluster, Rules: true, Length: 25 * time.Second, Kinds: kinds}
}
