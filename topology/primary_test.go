package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// verdict is what the analysis has to say about an unreached primary A.
type verdict struct {
	code    topology.Code
	remedy  topology.Remedy
	certain bool
}

var (
	deadForSure    = verdict{topology.PrimaryDead, topology.RemedyEmergency, true}
	deadProbably   = verdict{topology.PrimaryDead, topology.RemedyEmergency, false}
	frozen         = verdict{topology.PrimaryFrozen, topology.RemedyEmergency, false}
	suspect        = verdict{topology.PrimarySuspect, topology.RemedyNone, false}
	unreachableBy  = verdict{topology.PrimaryUnreachableByUs, topology.RemedyNone, false}
	deniedNotDead  = verdict{topology.PrimaryDenied, topology.RemedyNone, false}
	shortly        = 500 * time.Millisecond
	forLong        = 10 * time.Second
	ackers         = []topology.Address{"B", "C", "D", "E"}
	everyoneLostIt = func(b *topologytest.Builder) *topologytest.Builder { return b.Connecting(2013, ackers...) }
)

// pointedTo has a receiver try its first connection for so long.
func pointedTo(ago time.Duration) func(*observation) {
	return func(o *observation) { o.Connecting = o.At.Add(-ago) }
}

// TestAReceiverThatNeverWasConnectedProvesNothingByNotBeingConnectedYet goes through the sights of a server.
func TestAReceiverThatNeverWasConnectedProvesNothingByNotBeingConnectedYet(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	from := func(source topology.Address, receiver topology.Thread, errno int) *topology.Replication {
		return &topology.Replication{Source: source, Receiver: receiver, ReceiverErrno: errno}
	}
	off, on, trying := from("A", topology.ThreadOff, 0), from("A", topology.ThreadOn, 0), from("A", topology.ThreadConnecting, 0)
	failed, elsewhere := from("A", topology.ThreadConnecting, 2003), from("B", topology.ThreadOn, 0)
	restarted := from("A", topology.ThreadConnecting, 0) // in another process
	for name, row := range map[string]struct {
		sights []*topology.Replication
		since  int // the sight since which it is connecting; 0 is none
	}{
		"it was started":             {[]*topology.Replication{off, trying}, 2},
		"it was started a while ago": {[]*topology.Replication{off, trying, trying, trying}, 2},
		"it was pointed there":       {[]*topology.Replication{elsewhere, trying}, 2},
		"it replicated from nobody":  {[]*topology.Replication{nil, trying}, 2},
		"it was connected":           {[]*topology.Replication{on, trying, trying}, 0},
		"it failed":                  {[]*topology.Replication{off, trying, failed}, 0},
		"it failed and tries again":  {[]*topology.Replication{off, failed, trying}, 0},
		"it is connected":            {[]*topology.Replication{off, trying, on}, 0},
		"it was not seen before":     {[]*topology.Replication{trying, trying}, 1},
		"its server was started":     {[]*topology.Replication{on, restarted, restarted}, 2},
	} {
		var seen topology.Observation
		for i, r := range row.sights {
			o := topology.Observation{At: start.Add(time.Duration(i+1) * time.Second), Reach: topology.ReachOK, Replication: r}
			if r == restarted {
				o.Incarnation = "2"
			}
			o.Connecting = o.ConnectingSince(&seen)
			seen = o
		}
		want := time.Time{}
		if row.since > 0 {
			want = start.Add(time.Duration(row.since) * time.Second)
		}
		if !seen.Connecting.Equal(want) {
			t.Errorf("%s: since %v, want %v", name, seen.Connecting, want)
		}
	}
}

func TestTheWitnessesDecideOverAnUnreachedPrimary(t *testing.T) {
	refused := func(failing time.Duration) *topologytest.Builder {
		return cluster().Probe("A", topology.ReachRefused, failing)
	}
	reset := func(failing time.Duration) *topologytest.Builder {
		return cluster().Probe("A", topology.ReachReset, failing)
	}
	silent := func(failing time.Duration) *topologytest.Builder {
		return cluster().Probe("A", topology.ReachSilent, failing)
	}
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		want verdict
		says string
	}{
		{"refused a moment ago and all lost it", everyoneLostIt(refused(0)), deadForSure, "lost it too"},
		{"refused, one acker has not noticed", everyoneLostIt(refused(shortly)).Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, 600*time.Millisecond
		}), suspect, "C has its receiver on"},
		{"refused, one acker heard it right after the kill, out of its buffers", everyoneLostIt(refused(shortly)).Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, 400*time.Millisecond
		}), suspect, "C has its receiver on"},
		{"refused for us, heard by an acker all the time", everyoneLostIt(refused(forLong)).Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), unreachableBy, "no failover: C still receives from it, heartbeat 0.6 s ago"},
		{"refused, one acker still reads what lies in its buffer", everyoneLostIt(refused(forLong)).Positions("A:1-100, t1", "B", "D", "E").Positions("A:1-40, t1", "C").Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), deadForSure, "C reads what was sent before: it lacks 60 transactions that B"},
		{"refused, one acker still hears it and is ahead of those who lost it", everyoneLostIt(refused(forLong)).Positions("A:1-40, t1", "B", "D", "E").Positions("A:1-100, t1", "C").Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), unreachableBy, "C still receives from it"},
		{"silent, one acker with a backlog still hears it", everyoneLostIt(silent(forLong)).Positions("A:1-100, t1", "B", "D", "E").Positions("A:1-40, t1", "C").Replication("C", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), unreachableBy, "C still receives from it"},
		{"refused, receivers half open without a heartbeat", refused(forLong).Heartbeat(3*time.Second, ackers...), deadForSure, "lost it too"},
		{"refused, one acker stopped by hand, the others lost it", everyoneLostIt(refused(shortly)).Stopped("C"), deadForSure, "stopped by hand"},
		{"refused a moment ago, all ackers stopped by hand", refused(shortly).Stopped(ackers...), suspect, "failing for 0.5 s"},
		{"refused for long, all ackers stopped by hand", refused(forLong).Stopped(ackers...), deadForSure, "no acker can say more"},
		{"refused a moment ago, no acker reached", refused(shortly).Silent(ackers...), suspect, "a witness"},
		{"refused for long, no acker reached", refused(forLong).Silent(ackers...), deadForSure, "no acker can say more"},
		{"refused, the ackers follow something else", followOthers(refused(shortly)), suspect, ""},
		{"refused, the ackers' account is refused too, which is a living server's answer", refused(shortly).Connecting(1045, ackers...), suspect, "error 1045"},

		{"cut and all lost it", everyoneLostIt(reset(shortly)), deadProbably, "it cut our connection"},
		{"cut and nobody can tell", reset(shortly).Stopped(ackers...), suspect, ""},
		{"cut for us only", reset(forLong), unreachableBy, "B still receives"},

		{"silent for long, for the ackers too", silent(forLong).Heartbeat(forLong, ackers...), frozen, "B, C, D and E lost it too"},
		{"silent for long, receivers gave up", everyoneLostIt(silent(forLong)), frozen, "error 2013"},
		{"silent for a moment, receivers gave up", everyoneLostIt(silent(shortly)), suspect, "2.0 s are needed without a refused connection"},
		{"silent for long, one acker hears it", everyoneLostIt(silent(forLong)).Replication("E", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), unreachableBy, "only E can acknowledge and 2 must"},
		{"silent for long, one heartbeat neither fresh nor overdue", silent(2200*time.Millisecond).Heartbeat(1900*time.Millisecond, ackers...), suspect, "settles nothing yet"},
		{"silent for long, heartbeats are sent every 30 s only", silent(forLong).Heartbeat(forLong, "B").Replication("B", func(r *channel) {
			r.HeartbeatEvery = 30 * time.Second
		}).Silent("C", "D", "E"), suspect, "B has its receiver on"},
		{"silent for long, a receiver that knows no heartbeat", silent(forLong).Heartbeat(-1, "B").Connecting(2003, "C", "D", "E"), suspect, "knows of no heartbeat"},
		{"silent for long, a receiver was pointed to it a moment ago", silent(forLong).Connecting(0, "B").Edit("B", pointedTo(shortly)).Connecting(2003, "C", "D", "E"), suspect, "B was first seen connecting to it 0.5 s before"},
		{"silent for long, a receiver was pointed to it as long ago", silent(forLong).Connecting(0, "B").Edit("B", pointedTo(forLong)).Connecting(2003, "C", "D", "E"), frozen, "B, C, D and E lost it too"},
		{"silent for long, one acker left and it lost it", silent(forLong).Heartbeat(forLong, ackers...).Silent("C", "D", "E"), frozen, "B lost it too"},
		{"silent for long, no acker reached", silent(forLong).Silent(ackers...), suspect, "it may still reach B, C, D and E"},
		{"silent for long, so many stopped that it cannot complete", silent(forLong).Stopped("B", "C", "D").Silent("E"), frozen, "too few of its ackers"},
		{"silent for long, too few stopped to say so", silent(forLong).Stopped("B", "C").Silent("D", "E"), suspect, "it may still reach D and E"},
		{"silent for long under policy none, a follower hears it", noPromise(silent(forLong)), unreachableBy, "B still receives"},
		{"silent for long under policy none, followers lost it", noPromise(everyoneLostIt(silent(forLong))), frozen, "lost it too"},
		{"silent for long under policy none, nobody to ask", noPromise(silent(forLong)).Stopped(ackers...), suspect, "no replica that follows it can be asked"},
		{"its name is gone and the ackers lost it", everyoneLostIt(cluster().Probe("A", topology.ReachUnresolved, forLong)), frozen, "its name or route is unknown"},

		{"another elector reaches it", cluster().Silent("A").Word("elector-2", "A", topology.ReachOK, shortly), unreachableBy, "elector-2 reached it 0.5 s ago"},
		{"another elector is refused a login by it", cluster().Silent("A").Word("elector-2", "A", topology.ReachDenied, shortly), unreachableBy, "elector-2"},
		{"another elector's word is old", cluster().Silent("A").Word("elector-2", "A", topology.ReachOK, 3*time.Second), frozen, ""},
		{"another elector's clock is an hour ahead", cluster().Silent("A").Word("elector-2", "A", topology.ReachOK, -time.Hour), frozen, ""},
		{"another elector does not reach it either", cluster().Silent("A").Word("elector-2", "A", topology.ReachSilent, shortly), frozen, ""},
		{"another elector speaks of another server", cluster().Silent("A").Word("elector-2", "B", topology.ReachOK, shortly), frozen, ""},
		{"another elector reached it before it died", cluster().Dead("A").Word("elector-2", "A", topology.ReachOK, time.Second), deadForSure, ""},

		{"too many connections", cluster().Denied("A", 1040), deniedNotDead, "max_connections"},
		{"a grant is missing, and the ackers lost it too", cluster().Denied("A", 1227).Connecting(2003, ackers...), deniedNotDead, "privilege"},
		{"never probed", cluster().Probe("A", topology.ReachUnknown, 0), suspect, "not been probed"},

		{"a server of its zone still hears it, no acker does", crossZone().Silent("A").Replication("B", func(r *channel) {
			r.Receiver, r.HeartbeatAge = topology.ThreadOn, shortly
		}), frozen, "C, D and E lost it too"},
	} {
		found := analyze(row.b)
		f := mustFindPrimary(t, row.name, found)
		if got := (verdict{f.Code, f.Remedy, f.Certain}); got != row.want {
			t.Errorf("%s: %+v, not %+v: %s %s", row.name, got, row.want, f.Message, f.WhyNot)
		}
		checkWords(t, row.name, f, row.says)
		if f.Remedy == topology.RemedyNone && !strings.HasPrefix(f.WhyNot, "no failover") {
			t.Errorf("%s: does not say why nothing is done: %q", row.name, f.WhyNot)
		}
	}
}

func mustFindPrimary(t *testing.T, name string, found []topology.Finding) topology.Finding {
	t.Helper()
	var all []topology.Finding
	for _, f := range found {
		switch f.Code {
		case topology.PrimaryDead, topology.PrimaryFrozen, topology.PrimarySuspect, topology.PrimaryUnreachableByUs, topology.PrimaryDenied:
			all = append(all, f)
		}
	}
	if len(all) != 1 || all[0].Server != "A" {
		t.Fatalf("%s: wants one verdict on A, found %v", name, codesOf(all))
	}
	return all[0]
}

func noPromise(b *topologytest.Builder) *topologytest.Builder {
	return b.Policy(topology.Policy{Kind: topology.PolicyNone})
}

func followOthers(b *topologytest.Builder) *topologytest.Builder {
	for _, a := range ackers {
		b.Replication(a, func(r *channel) {
			r.Source, r.Receiver = "elsewhere:3306", topology.ThreadConnecting
			r.SourceUUID = topologytest.UUID("F")
		})
	}
	return b
}

func TestAReceiverThatFollowsThePrimaryUnderAnotherNameIsAWitness(t *testing.T) {
	b := cluster().Unreachable("A")
	for _, a := range ackers {
		b.Replication(a, func(r *channel) { r.Source = "alias-of-A:3306" })
	}
	mustFind(t, analyze(b), topology.PrimaryUnreachableByUs, "A")
	for _, a := range ackers {
		b.Replication(a, func(r *channel) { r.Source = "B" }) // a member, so the uuid is a leftover
	}
	mustFind(t, analyze(b), topology.PrimaryFrozen, "A") // nobody receives from it, so it cannot complete
}

func TestAFailedPrimaryIsNotAlsoReportedAsEachReplicasTrouble(t *testing.T) {
	for name, b := range map[string]*topologytest.Builder{"dead": cluster().Dead("A"), "frozen": cluster().Silent("A")} {
		for _, f := range analyze(b) {
			if f.Server != "A" {
				t.Errorf("%s: %s of %s: %s", name, f.Code, f.Server, f.Message)
			}
		}
	}
}

func TestAPrimaryThatAnswersAndCannotServe(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		code   topology.Code
		remedy topology.Remedy
	}{
		{"read-only", cluster().ReadOnly("A"), topology.PrimaryReadOnly, topology.RemedyEmergency},
		{"restarted read-only", cluster().Restarted("A").ReadOnly("A"), topology.PrimaryReadOnly, topology.RemedyEmergency},
		{"restarted writable", cluster().Restarted("A"), topology.PrimaryUnverified, topology.RemedyEmergency},
		{"restarted where nothing is promised", unpromising().Restarted("A"), topology.PrimaryUnverified, topology.RemedyNone},
		{"stalled", stalled(forLong, 1), topology.PrimaryStuck, topology.RemedyEmergency},
		{"short of ackers", fewAckers(), topology.SemiSyncBlocked, topology.RemedyNone},
		{"waiting for a huge transaction", waiters(forLong, 4), topology.SemiSyncBlocked, topology.RemedyNone},
		{"replaced", impostor(), topology.PrimaryReplaced, topology.RemedyEmergency},
		{"replaced, but heard elsewhere", cluster().Edit("A", func(o *observation) { o.UUID = topologytest.UUID("F") }), topology.PrimaryReplaced, topology.RemedyNone},
	} {
		f := mustFind(t, analyze(row.b), row.code, "A")
		if f.Remedy != row.remedy {
			t.Errorf("%s: remedy %q, not %q", row.name, f.Remedy, row.remedy)
		}
		if f.Remedy == topology.RemedyNone && f.WhyNot == "" {
			t.Errorf("%s: nothing is done and nobody knows why", row.name)
		}
	}
}

func TestTheMissingAckersAreNamedWithTheirReasons(t *testing.T) {
	f := mustFind(t, analyze(fewAckers()), topology.SemiSyncBlocked, "A")
	for _, want := range []string{"C is not reached: nothing comes back", "D has its receiver stopped", "E has its replica side of semi-sync off"} {
		if !strings.Contains(f.Message, want) {
			t.Errorf("%q is not in: %s", want, f.Message)
		}
	}
	if strings.Contains(f.Message, "B ") {
		t.Errorf("B acknowledges and is named: %s", f.Message)
	}
}
