package main

import (
	"time"

	"github.com/primacydb/primacy/sim"
)

// foundBugs were not planted first: the simulator found them in the real code. Each is mended, and stands here as what the
// code was before, so that it would be found again.
var foundBugs = []bug{
	{
		name:   "unsettled-only-when-shown",
		what:   "a change of unknown outcome counts as unsettled only while somebody shows its marker, and one that waits for acknowledgements is shown by nobody",
		edits:  []edit{{"topology/leadership.go", "if !l.Established() && l.Term > q.lead.Term && (last == nil || l.Term > last.Term) {", "if !l.Established() && l.Term > q.lead.Term && (last == nil || l.Term > last.Term) && len(q.unsettledMarkers()) > 0 {"}},
		breaks: []sim.Invariant{sim.NothingLost, sim.OneCompleter, sim.EverywhereOrGone, sim.Progress},
		options: scripted(hurried, 1,
			sim.Fault{Kind: sim.Isolate, At: 5 * time.Second, Target: sim.OnServer, Server: 0, Other: 0, For: 5500 * time.Millisecond},
			between(3, 0, sim.CutPair, 5*time.Second, 37),
			between(3, 1, sim.CutPair, 5*time.Second, 37),
			between(3, 2, sim.CutPair, 5*time.Second, 37), // the marker waits on D
			between(3, 0, sim.Blind, 5*time.Second, 55)),  // where nobody sees it, and A is back
	},
	{
		name: "terms-are-not-outbid",
		what: "after the store was restored terms begin below those that sessions on the servers still act under, and every command is fenced off",
		edits: []edit{
			{"orchestrator/act.go", "if c.owner < c.sessionTerm {", "if c.owner < c.sessionTerm || c.sessionTerm > 0 {"},
			{"orchestrator/act.go", "max(c.owner, c.sessionTerm, ", "max(c.sessionTerm, "},
		},
		breaks:  []sim.Invariant{sim.Progress, sim.NothingLeftBehind},
		options: sim.Options{Kinds: []sim.Kind{sim.Crash, sim.OldStore, sim.EmptyStore, sim.StopReceiver, sim.EndLease, sim.Isolate}, Electors: 3},
	},
	{
		name:    "offline-replicas-stay-offline",
		what:    "a replica that starts in offline mode, or was fenced while it followed, is left offline",
		edits:   []edit{{"topology/replicas.go", "if !o.OfflineMode {\n\t\treturn found\n\t}", "if !o.OfflineMode || q.l.StuckAfter > 0 {\n\t\treturn found\n\t}"}},
		breaks:  []sim.Invariant{sim.NothingLeftBehind, sim.Progress},
		options: sim.Options{Kinds: []sim.Kind{sim.Crash, sim.Shutdown, sim.OpenByHand, sim.StopReceiver}},
	},
	{
		name:    "receivers-out-of-attempts-stay-off",
		what:    "a receiver that is off with an error of the network is left to MySQL, which has given up",
		edits:   []edit{{"topology/replicas.go", "if r.Receiver == ThreadOff && !hopelessReceiverErrno(r.ReceiverErrno) && sharedIdentity(from, o) == \"\" {", "if r.Receiver == ThreadConnecting && !hopelessReceiverErrno(r.ReceiverErrno) && sharedIdentity(from, o) == \"\" {"}},
		breaks:  []sim.Invariant{sim.EverywhereOrGone, sim.NothingLeftBehind, sim.Progress},
		options: sim.Options{Kinds: []sim.Kind{sim.StopReceiver, sim.Isolate, sim.CutPair, sim.Crash}},
	},
	{
		name:    "what-fencing-completes-is-a-floor",
		what:    "what a fenced leader completed by itself, when its waiting was switched off, counts as acknowledged, and no history without it may be chosen",
		edits:   []edit{{"reparent/history.go", "return leader.SemiSync.Verified() || op.Ruleset.AcksNeeded(leader.Address) == 0", "return leader.OK() || op.Ruleset.AcksNeeded(leader.Address) == 0"}},
		breaks:  []sim.Invariant{sim.Progress, sim.NothingLeftBehind, sim.EverywhereOrGone},
		options: scripted(four, 1, forgottenSinceTheFence()...),
	},
	{
		name:    "windows-by-another-clock",
		what:    "an elector takes the times of a window as its own clock's, and one whose clock is ahead finds it over",
		edits:   []edit{{"orchestrator/record.go", "r.Antiflap = r.Antiflap.Shifted(now.Sub(r.SavedAt))", "r.Antiflap = r.Antiflap.Shifted(0)"}},
		breaks:  []sim.Invariant{sim.AntiflapObeyed, sim.Progress},
		options: sim.Options{Kinds: []sim.Kind{sim.Crash, sim.HostDown, sim.PauseElector, sim.KillElector, sim.EndLease}, Electors: 3},
	},
	{
		name:   "uncounted-changes-open-no-window",
		what:   "a change that was established by an elector which died before it had counted it opens no window",
		edits:  []edit{{"orchestrator/lead.go", "uint64(l.Term) <= c.record.Antiflap.Last.Term {", "uint64(l.Term) > 0 {"}},
		breaks: []sim.Invariant{sim.AntiflapObeyed},
		options: scripted(wary, 1,
			on(0, sim.Crash, 5*time.Second, time.Second),
			sim.Fault{Kind: sim.KillElector, At: 5 * time.Second, Step: -7, Target: sim.OnActor, For: 100 * time.Millisecond}, // it is on record that D leads
			sim.Fault{Kind: sim.Crash, At: 9500 * time.Millisecond, Target: sim.OnPrimary, For: 20 * time.Second}),
	},
	{
		name:   "waiting-replicas-are-not-fenced",
		what:   "a replica on which commits wait for acknowledgements is told to follow, refuses, and is told again for ever",
		edits:  []edit{{"reparent/repair.go", "if (c.Verb == Follow || c.Verb == DisableSource && !c.Release) && o.SemiSync.Waiters > 0 {", "if (c.Verb == Follow || c.Verb == DisableSource && !c.Release) && o.SemiSync.Waiters > 1<<30 {"}},
		breaks: []sim.Invariant{sim.EverywhereOrGone, sim.NothingLeftBehind, sim.Progress},
		options: scripted(five1, 1,
			on(1, sim.DiskStall, 4990*time.Millisecond, 15500*time.Millisecond), // its marker comes to its binary log when nobody waits for it any more
			on(1, sim.WishPlanned, 5*time.Second, 0),
			sim.Fault{Kind: sim.KillElector, At: 12300 * time.Millisecond, Target: sim.OnActor, For: 300 * time.Millisecond},
			sim.Fault{Kind: sim.OldStore, At: 12400 * time.Millisecond, For: 32 * time.Second}), // nobody knows whom the last change chose, and the next begins without asking it
	},
	{
		name:   "forgotten-operations-are-waited-for",
		what:   "an operation that the store does not have, as it never came there or was forgotten, is waited for without end",
		edits:  []edit{{"orchestrator/act.go", "if d == nil {\n\t\tc.dropRunning(ctx, \"operation %s is not in the store any more, and is given up\", now)\n\t\treturn\n\t}", "if d == nil {\n\t\treturn\n\t}"}},
		breaks: []sim.Invariant{sim.Progress, sim.NothingLeftBehind, sim.EverywhereOrGone},
		options: scripted(three, 1,
			on(1, sim.WishEmergency, 5*time.Second, 0),
			// The operation never comes to the store, and the lease outlasts that.
			sim.Fault{Kind: sim.CutStore, At: 5 * time.Second, Step: -2, Target: sim.OnActor, For: 2200 * time.Millisecond},
			sim.Fault{Kind: sim.Crash, At: 12 * time.Second, Target: sim.OnPrimary, For: 20 * time.Second}),
	},
	{
		name:   "evidence-of-a-leader-is-ignored",
		what:   "a primary that completed its marker and takes writes is replaced, again and again, because a restored store does not know that it was established",
		edits:  []edit{{"orchestrator/act.go", "if c.evident(ctx, now) {", "if c.evident(ctx, now) && c.lease == nil {"}, {"orchestrator/catchup.go", "if len(all) == 0 || all[len(all)-1].Established() ||", "if len(all) >= 0 || all[len(all)-1].Established() ||"}},
		breaks: []sim.Invariant{sim.NoNeedlessChange, sim.Progress, sim.NothingLost, sim.NoVanishingRead, sim.EverywhereOrGone},
		options: scripted(four, 1,
			on(1, sim.WishPlanned, 5*time.Second, 0),
			on(1, sim.Freeze, 8*time.Second, 4*time.Second),
			on(0, sim.Blind, 8400*time.Millisecond, 9*time.Second), // too few are reached for a change
			on(2, sim.Blind, 8400*time.Millisecond, 9*time.Second),
			on(0, sim.EmptyStore, 8500*time.Millisecond, 0)),
	},
	{
		name:   "poisoned-in-vain",
		what:   "a primary that was poisoned by a command which reached it after its change had given up is left so",
		edits:  []edit{{"reparent/repair.go", "primary.SemiSync.Acks >= topology.PoisonAcks && primary.SemiSync.SourceEnabled &&", "primary.SemiSync.Acks > topology.PoisonAcks && primary.SemiSync.SourceEnabled &&"}},
		breaks: []sim.Invariant{sim.Progress, sim.NothingLeftBehind, sim.EverywhereOrGone},
		options: scripted(hasty, 1,
			on(1, sim.WishEmergency, 5*time.Second, 0),
			sim.Fault{Kind: sim.Freeze, At: 5 * time.Second, Step: 12, Target: sim.OnServer, Server: 0, For: 14 * time.Second}, // with the poison in its socket
			sim.Fault{Kind: sim.KillElector, At: 5 * time.Second, Step: 18, Target: sim.OnActor, For: 100 * time.Millisecond},
			on(1, sim.Maintain, 10500*time.Millisecond, 100*time.Second), // nobody else can lead
			on(2, sim.Maintain, 10500*time.Millisecond, 100*time.Second)),
	},
}

// forgottenSinceTheFence is a primary on which clients write what nobody acknowledges, and that lets it go when it is
// fenced. Then the store loses what it knew, and its successor restarts: nothing shows any more that it was established.
func forgottenSinceTheFence() []sim.Fault {
	away := on(0, sim.Isolate, 5*time.Second, 4*time.Second)
	away.Other = 1 // clients reach it
	return []sim.Fault{
		away,
		on(0, sim.EmptyStore, 10500*time.Millisecond, 0),
		{Kind: sim.Crash, At: 10500 * time.Millisecond, Target: sim.OnPrimary, For: 100 * time.Millisecond},
	}
}
