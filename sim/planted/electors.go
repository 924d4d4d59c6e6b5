package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// electorBugs make an elector act when it must not, or forget what another one did.
var electorBugs = []bug{
	{
		name: "expired-lease",
		what: "an operation goes on after the lock was lost: neither its steps nor its commands ask the lease",
		edits: []edit{
			{"orchestrator/execute.go", "ctx := x.lease.Context() //", "ctx := context.Background() //"},
			{"orchestrator/execute.go", "if !x.lease.Held(now()) || ctx.Err() != nil {", "if ctx.Err() != nil {"},
			{"orchestrator/execute.go", "if !x.lease.Held(x.c.now()) {\n\t\treturn ErrNotLeading", "if ctx.Err() != nil {\n\t\treturn ErrNotLeading"},
		},
		breaks:  []sim.Invariant{sim.LeaseObeyed, sim.FencedStaysOut, sim.OneCompleter, sim.NothingLost},
		options: within(three, sim.PauseElector, sim.EndLease, sim.CutStore, sim.StopStore, sim.Crash, sim.Freeze, sim.WishPlanned),
	},
	{
		name: "acts-after-the-lock",
		what: "an elector that has lost its lock goes on to repair replicas",
		edits: []edit{
			{"orchestrator/lead.go", "c.lease = nil\n\tc.named(\"\")", "c.named(\"\")"},
			{"orchestrator/act.go", "if !c.lease.Held(now) {\n\t\tc.follow(\"its time ran out\")\n\t\treturn\n\t}", ""},
			{"orchestrator/repair.go", "results := c.o.fleet.Do(ctx, Batch{Commands: due})", "_ = ctx\n\tresults := c.o.fleet.Do(context.Background(), Batch{Commands: due})"},
		},
		breaks:  []sim.Invariant{sim.LeaseObeyed, sim.FencedStaysOut, sim.OneCompleter, sim.NothingLost, sim.NoCrash, sim.Progress},
		options: within(three, sim.PauseElector, sim.EndLease, sim.CutStore, sim.StopStore, sim.Crash, sim.Isolate, sim.Split),
	},
	{
		name:   "intent-not-awaited",
		what:   "an operation does not wait until what it is about to do is on record",
		edits:  []edit{{"orchestrator/execute.go", "if !step.SaveFirst {", "if !step.SaveFirst || step.SaveFirst {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.LeaseObeyed, sim.Progress},
		options: scripted(four, 2,
			on(0, sim.Crash, 5*time.Second, 1500*time.Millisecond),
			between(1, 3, sim.CutPair, 5*time.Second, 0), // B hears nothing of D
			actor(sim.CutStore, 5*time.Second, 1),        // D is elected, and nobody records it
			on(0, sim.Split, 5200*time.Millisecond, 20*time.Second),
			actor(sim.KillElector, 5400*time.Millisecond, 0)),
	},
	{
		name:   "decision-forgotten",
		what:   "an elector that takes a change over forgets the decision on record and undoes the change, although the marker may have been written",
		edits:  []edit{{"reparent/takeover.go", "case op.Decision == nil:", "case op.Decision == nil || op.Phase == PhaseMarking && op.Kind != KindAdoption:"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead, sim.EverywhereOrGone, sim.Progress},
		options: scripted(four, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			sim.Fault{Kind: sim.KillElector, At: 5 * time.Second, Step: 40, Target: sim.OnActor, For: time.Second}),
	},
	{
		name: "restart-counts-as-acknowledged",
		what: "an elector that takes a change over takes a marker for acknowledged that only a restart has completed",
		edits: []edit{
			{"reparent/takeover.go", "return o.OK() && o.Incarnation == op.Decision.Incarnation && verified &&\n\t\to.SemiSync.Acks >= op.Ruleset.AcksNeeded(op.To) &&", "return o.OK() && (verified || !verified) &&"},
			{"reparent/establish.go", "c.Acks, c.Incarnation = op.Ruleset.AcksNeeded(op.To), op.Decision.Incarnation", "c.Acks = 0"},
		},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.NoVanishingRead},
		options: scripted(three, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			between(1, 0, sim.CutPair, 5*time.Second, 36),
			between(1, 2, sim.CutPair, 5*time.Second, 36), // the marker waits
			sim.Fault{Kind: sim.KillElector, At: 5500 * time.Millisecond, Target: sim.OnActor, For: time.Second},
			on(1, sim.Crash, 5800*time.Millisecond, 50*time.Millisecond)),
	},
	{
		name:    "record-not-taken-over",
		what:    "an elector whose store was emptied or restored does not take the record over from the servers' journals",
		edits:   []edit{{"orchestrator/act.go", "if c.storeBehind() {\n\t\tc.catchUp(ctx, now)\n\t\treturn\n\t}", ""}},
		breaks:  []sim.Invariant{sim.Progress},
		options: within(nil, sim.EmptyStore, sim.OldStore, sim.Crash, sim.WishPlanned, sim.KillElector),
	},
	{
		name:   "window-ignored",
		what:   "the anti-flapping window does not keep automatic changes back",
		edits:  []edit{{"antiflap/clearance.go", "if r.Automatic && against {", "if r.Automatic && against && refusal.Code != WindowOpen && refusal.Code != Unproven {"}},
		breaks: []sim.Invariant{sim.AntiflapObeyed},
	},
	{
		name:   "establishments-not-counted",
		what:   "a change that was established opens no anti-flapping window",
		edits:  []edit{{"orchestrator/execute.go", "c.record.Antiflap = c.record.Antiflap.Established(change, c.o.settings.Antiflap)", "c.record.Antiflap = c.record.Antiflap.AttemptsReset()"}},
		breaks: []sim.Invariant{sim.AntiflapObeyed},
	},
	{
		name:    "attempts-counted",
		what:    "an attempt that failed opens an anti-flapping window, as if it had been a change",
		edits:   []edit{{"orchestrator/execute.go", "c.record.Antiflap = c.record.Antiflap.AttemptFailed(now)", "c.record.Antiflap = c.record.Antiflap.Established(antiflap.Change{Cluster: op.Cluster, Term: uint64(op.Term), Kind: antiflap.Emergency, At: now}, c.o.settings.Antiflap)"}},
		breaks:  []sim.Invariant{sim.AntiflapObeyed, sim.Progress},
		options: within(five, sim.Freeze, sim.DiskStall, sim.Isolate, sim.CutPair, sim.KillElector, sim.SlowApplier, sim.HugeWrite, sim.Crash),
	},
	{
		name: "witnesses-not-heard",
		what: "a primary that we do not reach is replaced although its replicas hear it",
		edits: []edit{
			{"topology/primary.go", "case t.lives():\n\t\treturn append(found, q.unreachableByUs(t))", "case t.lives() && q.failingFor() < q.l.SilentAfter:\n\t\treturn append(found, q.unreachableByUs(t))"},
			{"topology/primary.go", "return len(t.lost) > 0 || !q.s.Ruleset.CanComplete(q.leader, q.maybeReceiving())", "return len(t.lost) >= 0"},
		},
		breaks:  []sim.Invariant{sim.NoNeedlessChange},
		options: within(five, sim.Blind, sim.BlindOneWay),
	},
	{
		name: "lower-k-unrecorded",
		what: "a ruleset with fewer acks is put into force before it is on record, and another elector goes by the record and not by what the primary was seen to wait for",
		edits: []edit{
			{"orchestrator/rules.go", "if err := c.save(ctx); err != nil {\n\t\tc.record, c.rulesRefused = before,", "if err := ctx.Err(); err != nil {\n\t\tc.record, c.rulesRefused = before,"},
			{"reparent/revocation.go", "if !seen.OK() || l.Acks == 0 || closed(seen) {", "if seen.OK() || l.Acks == 0 || closed(seen) {"},
		},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: scripted(five, 3, lowered()...),
	},
	{
		name:    "any-rules-succeed",
		what:    "whatever ruleset is configured takes the place of the recorded one at once, also one that needs a barrier",
		edits:   []edit{{"orchestrator/rules.go", "if c.rulesRefused = c.record.Ruleset.Succeeds(wanted); c.rulesRefused != \"\" {", "if c.record.Ruleset.Same(wanted) {"}},
		breaks:  []sim.Invariant{sim.NothingLost, sim.OneCompleter},
		options: scripted(five1, 1, raised()...),
	},
	{
		name: "lease-not-asked-between-steps",
		what: "between two steps an operation does not ask whether the lock is still held",
		edits: []edit{
			{"orchestrator/execute.go", "if !x.lease.Held(now()) || ctx.Err() != nil {", "if ctx.Err() != nil {"},
			{"orchestrator/execute.go", "if !x.lease.Held(x.c.now()) {\n\t\treturn ErrNotLeading", "if ctx.Err() != nil {\n\t\treturn ErrNotLeading"},
		},
		breaks:  []sim.Invariant{sim.LeaseObeyed, sim.FencedStaysOut, sim.OneCompleter, sim.NothingLost},
		options: within(three, sim.PauseElector, sim.WishPlanned, sim.WishEmergency, sim.Crash),
	},
	{
		name: "used-term",
		what: "terms are drawn without asking the servers, so a store that was emptied or restored hands out used ones",
		edits: []edit{
			{"orchestrator/lead.go", "term, err := lease.NextTerm(ctx, uint64(above))", "term, err := lease.NextTerm(ctx, uint64(above-above))"},
		},
		breaks: []sim.Invariant{sim.LeaseObeyed, sim.Progress, sim.OneCompleter, sim.FencedStaysOut, sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone, sim.NothingLeftBehind},
		options: scripted(four, 1,
			on(1, sim.Crash, 5*time.Second, 1500*time.Millisecond),
			on(1, sim.WishPlanned, 2*time.Second, 0),
			between(0, 1, sim.CutPair, 5*time.Second, 37),
			between(0, 2, sim.CutPair, 5*time.Second, 37),
			between(0, 3, sim.CutPair, 5*time.Second, 37), // the marker waits on A, where nobody sees it
			sim.Fault{Kind: sim.EmptyStore, At: 5500 * time.Millisecond}),
	},
	{
		name:   "earlier-round-believed",
		what:   "the findings of a round of probes that began before the last change ended are acted upon",
		edits:  []edit{{"orchestrator/cluster.go", "if r.began.Before(c.settledAt) {", "if r.began.IsZero() {"}},
		breaks: []sim.Invariant{sim.AntiflapObeyed, sim.NothingLost, sim.OneCompleter, sim.Progress, sim.NoNeedlessChange},
		options: scripted(none, 1,
			on(3, sim.Freeze, 2*time.Second, 35*time.Second), // rounds of probes last
			on(1, sim.WishPlanned, 6*time.Second, 0),
			on(0, sim.WishPlanned, 7300*time.Millisecond, 0),
			on(1, sim.WishPlanned, 8700*time.Millisecond, 0),
			on(0, sim.WishPlanned, 10*time.Second, 0),
			on(1, sim.WishPlanned, 11500*time.Millisecond, 0),
			on(0, sim.WishPlanned, 13100*time.Millisecond, 0)),
	},
}

// lowered is a configuration with fewer acks that reaches one elector after the other. When the second one acts, the
// primary and one acker are cut off from all others.
func lowered() []sim.Fault {
	const apart = 13500 * time.Millisecond
	faults := []sim.Fault{
		on(0, sim.Reconfigure, 2*time.Second, 8*time.Second),
		on(0, sim.KillElector, apart, 20*time.Second), // the first one, which has lowered k
		on(5, sim.Blind, apart, 20*time.Second),       // the third one and A
		on(11, sim.Blind, apart, 20*time.Second),      // and B
	}
	return append(faults, cutOff(apart)...)
}

// raised is a configuration with more acks that comes when the primary and one acker are cut off from all others.
func raised() []sim.Fault {
	const apart = 6 * time.Second
	faults := []sim.Fault{
		on(0, sim.Blind, apart, 20*time.Second),
		on(1, sim.Blind, apart, 20*time.Second),
		on(1, sim.Reconfigure, apart+2*time.Second, 20*time.Second),
	}
	return append(faults, cutOff(apart)...)
}

// cutOff separates A and B from C, D and E.
func cutOff(at time.Duration) (faults []sim.Fault) {
	for _, here := range []int{0, 1} {
		for _, there := range []int{2, 3, 4} {
			faults = append(faults, between(here, there, sim.CutPair, at, 0))
		}
	}
	return faults
}
