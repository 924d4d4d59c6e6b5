package reparent

import (
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// back is a primary that restarted and came up closed: five servers, of whom two have to acknowledge.
func back() *topologytest.Builder {
	return topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Restarted("A").ReadOnly("A").
		Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled, o.SemiSync.SourceActive = false, false })
}

// reopening begins with the memory of the healthy cluster.
func reopening(b *topologytest.Builder) Operation {
	in := intentOf(b)
	for a, seen := range topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).History().LastSeen {
		in.History.LastSeen[a] = seen
	}
	return Reopening(clearance(false), in, topologytest.Now)
}

// readIn carries the step out in which everybody is read, and shows what a cluster looks like by then.
func (op Operation) readIn(b *topologytest.Builder) Operation {
	s := b.Snapshot()
	var results []Result
	for _, c := range op.Next().Commands {
		r := Result{Outcome: Yes, Observation: *s.Server(c.Server)}
		if !r.Observation.OK() {
			r = Result{Outcome: No, Reason: ReasonUnreachable}
		}
		results = append(results, r)
	}
	return op.Apply(results, topologytest.Now)
}

func TestAPrimaryThatOnlyRestartedIsOpenedAgainByAMarkerAlone(t *testing.T) {
	op := reopening(back()).readIn(back())
	if !op.Running() || op.To != "A" || op.Phase != PhasePropagating {
		t.Fatalf("%s %s: %+v", op.State, op.Phase, op.Obstacle)
	}
	if d := op.Decision; d.Primary != "A" || d.Term != 2 || d.Kind != "reopening" || d.Incarnation != "A/2" || !d.Base.Equal(back().Snapshot().Server("A").Executed) {
		t.Errorf("%+v", d)
	}
	var verbs []string
	for op.Running() {
		var results []Result
		for _, c := range op.Next().Commands {
			verbs = append(verbs, string(c.Server)+" "+string(c.Verb))
			results = append(results, Result{Outcome: Yes})
		}
		op = op.Apply(results, topologytest.Now)
	}
	want := "A prepare_source, A await_applied, B follow, C follow, D follow, E follow, A await_ackers, A enable_source, A mark, A open, A detach"
	if got := strings.Join(verbs, ", "); got != want || op.State != StateSucceeded {
		t.Errorf("%s: %s", op.State, got)
	}
}

func TestAPrimaryIsOpenedAgainOnlyWhereItIsCertainThatItMayLeadOn(t *testing.T) {
	for name, row := range map[string]struct {
		b    *topologytest.Builder
		want string // why not; empty when it is
	}{
		"all is well":                                            {back(), ""},
		"one acker less than it may lack":                        {back().Silent("E"), ""},
		"as many ackers are out of reach as it needs":            {back().Silent("D", "E"), "D, E may hold more of its history"},
		"an acker may have lost what it had received":            {back().Silent("E").Edit("D", func(o *topology.Observation) { o.Incarnation, o.Settings.RelayLogRecovery = "D/2", true }), "D, E may hold more of its history"},
		"an acker holds more":                                    {back().Executed("B", "A:1-101, t1"), "B holds"},
		"an acker has received more":                             {back().Received("B", "A:1-101, t1"), "B holds"},
		"an acker knows of a later term":                         {back().Received("B", "A:1-100, t1, t7"), "B holds the marker"},
		"another decision has used its term":                     {back().Received("B", "A:1-100, t1, 7072696d-0000-0001-0000-000000000007:1"), "B holds the marker"},
		"a quarantined server holds what was cancelled":          {back().Executed("B", "A:1-100, t1, C:1"), ""},
		"its process is the one that was established":            {back().Edit("A", func(o *topology.Observation) { o.Incarnation = topologytest.Incarnation("A") }), "is the one that was established"},
		"another server answers at its address":                  {back().Edit("A", func(o *topology.Observation) { o.UUID[0]++ }), "another server answers"},
		"it does not answer":                                     {back().Dead("A"), "it does not answer"},
		"it came up open":                                        {back().Writable("A"), "it is not closed"},
		"somebody is about to open it":                           {back().Edit("A", func(o *topology.Observation) { o.SuperReadOnly = false }), "it is not closed"},
		"it lacks what it was seen to hold":                      {back().Executed("A", "A:1-99, t1"), "it no longer holds what it was seen to hold"},
		"it lacks its own marker":                                {back().Executed("A", "A:1-100"), "it does not show the marker of its own term"},
		"it holds what nobody wrote who led":                     {back().Executed("A", "A:1-100, t1, E:1"), "no part of its leadership's history"},
		"it has received what it has not applied":                {back().Received("A", "A:1-101, t1"), "received transactions are not applied"},
		"its binary log is not written to disk with each commit": {back().Edit("A", func(o *topology.Observation) { o.Settings.SyncBinlog = 0 }), "sync_binlog"},
		"its disk is full":                                       {back().Edit("A", func(o *topology.Observation) { o.Stall.DiskFull = true }), "its disk is full"},
		"commits wait there":                                     {back().Edit("A", func(o *topology.Observation) { o.SemiSync.Waiters = 1 }), "commits wait"},
		"a later change was begun":                               {back().Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1").Primary("A"), "the outcome of a later change is not known"},
		"the record was taken over from journals":                {back().Recovered(), "taken over from journals"},
		"it is in maintenance":                                   {back().Maintenance("A"), "it is in maintenance"},
		"another server is open":                                 {back().Writable("B"), "B is open for writes"},
		"nobody can follow it":                                   {runsOlder(back()), "no server can follow it"},
		"the policy asks for nothing, and everybody is read":     {back().Policy(topology.Policy{Kind: topology.PolicyNone}), ""},
		"the policy asks for nothing, and one is out of reach":   {back().Policy(topology.Policy{Kind: topology.PolicyNone}).Silent("E"), "complete writes by themselves: E"},
	} {
		t.Run(name, func(t *testing.T) {
			for when, op := range map[string]Operation{"before": reopening(row.b), "by what is read": reopening(back()).readIn(row.b)} {
				if row.b == nil || when == "by what is read" && (strings.Contains(name, "policy") || strings.Contains(name, "record") || strings.Contains(name, "change was begun") || strings.Contains(name, "maintenance")) {
					continue // which is known from the beginning
				}
				switch {
				case row.want == "" && op.Obstacle != nil:
					t.Errorf("%s: %s", when, op.Obstacle.Message)
				case row.want != "" && (op.State != StateBlocked && op.Ending != StateBlocked || op.Decision != nil || !strings.Contains(op.Obstacle.Message, row.want)):
					t.Errorf("%s: %s %+v, want %q", when, op.State, op.Obstacle, row.want)
				}
			}
		})
	}
}

// In zones x, x, x, y, y, z servers in x need two acknowledgements from elsewhere. A server of y and two of x that are out of
// reach could lead by themselves, although too few are for the primary's own writes.
func TestWhoIsOutOfReachMayBeALeaderNobodyKnowsOf(t *testing.T) {
	b := topologytest.Cluster("A", "B", "C", "D", "E", "F", "G").Policy(topology.Policy{Kind: topology.PolicyCrossZone, Acks: 2}).
		Zone("x", "A", "B", "C").Zone("y", "D", "E").Zone("z", "F", "G").Restarted("A").ReadOnly("A").
		Edit("A", func(o *topology.Observation) { o.SemiSync.SourceEnabled = false })
	begun := func() Operation { return Reopening(clearance(false), intentOf(b), topologytest.Now) }
	if b.Silent("D"); !begun().Running() {
		t.Errorf("%+v", begun().Obstacle)
	}
	b.Silent("B", "C")
	if op := begun(); op.Running() || !strings.Contains(op.Obstacle.Message, "could complete writes by themselves") {
		t.Errorf("%s: %+v", op.State, op.Obstacle)
	}
}

// runsOlder has all replicas run a release series that cannot replicate from the primary's.
func runsOlder(b *topologytest.Builder) *topologytest.Builder {
	for _, a := range []topology.Address{"B", "C", "D", "E"} {
		b.Edit(a, func(o *topology.Observation) { o.Version = "8.4.0" })
	}
	return b
}

func TestWhoeverHasRestartedOnceMoreIsNotOpened(t *testing.T) {
	again := back().Edit("A", func(o *topology.Observation) { o.Incarnation = "A/3" })
	if op := reopening(back()).readIn(again); op.Ending != StateBlocked || !strings.Contains(op.Obstacle.Message, "once more") {
		t.Errorf("%s: %+v", op.State, op.Obstacle)
	}
}

func TestWhoCannotBeOpenedAgainIsLeftAsItWas(t *testing.T) {
	op := reopening(back()).readIn(back())
	for range propagateTries {
		op = op.Apply(nil, topologytest.Now)
	}
	if op.Phase != PhaseReleasing || op.Decision != nil || op.To != "A" {
		t.Fatalf("%s %s", op.State, op.Phase)
	}
	if op = op.Apply(nil, topologytest.Now); op.Running() && op.Phase != PhaseReleasing {
		t.Errorf("%s %s", op.State, op.Phase)
	}
}

func TestAMarkerIsNotSentBeforeAckersAreThere(t *testing.T) {
	op := reopening(back()).readIn(back())
	for op.Phase == PhasePropagating {
		op = op.Apply(allDone(op.Next().Commands), topologytest.Now)
	}
	results := allDone(op.Next().Commands)
	results[0].Outcome = No // nobody is connected
	for i := range results[1:] {
		results[i+1].Outcome = Skipped
	}
	for range op.Timing.MarkTries {
		op = op.Apply(results, topologytest.Now)
	}
	if op.MarkSent || op.Phase != PhaseReleasing {
		t.Errorf("%s %s, marker sent: %t", op.State, op.Phase, op.MarkSent)
	}
}

func allDone(commands []Command) []Result {
	results := make([]Result, len(commands))
	for i := range results {
		results[i].Outcome = Yes
	}
	return results
}

func TestReadersAreKeptOutWhereAckersNeedNotBeLetIn(t *testing.T) {
	for clients, want := range map[int]bool{0: true, 1: true, 2: false} {
		b := back().Edit("A", func(o *topology.Observation) { o.OfflineMode, o.SemiSync.Clients = true, clients })
		lets := false
		for _, c := range reopening(b).readIn(b).Next().Commands {
			lets = lets || c.Verb == Antidote
		}
		if lets != want {
			t.Errorf("with %d ackers connected offline_mode is switched off before the marker: %t", clients, lets)
		}
	}
}

func TestWhatAnAckerOrAPrimaryMayHaveLostCountsForAReopening(t *testing.T) {
	restarted := func() *topologytest.Builder { return back().Silent("E") }
	for name, row := range map[string]struct {
		b    *topologytest.Builder
		want string // why not; empty when it is opened
	}{
		"nothing is lost": {restarted(), ""},
		"an acker that does not sync lacks what nobody answered, and did not restart": {
			restarted().Edit("D", func(o *topology.Observation) { o.Settings.RelayLogUnsynced = true }).Executed("A", "A:1-101, t1"), ""},
		"it restarted": {
			restarted().Edit("D", func(o *topology.Observation) {
				o.Settings.RelayLogUnsynced, o.Incarnation, o.StartedAt = true, "D/2", topologytest.Now
				o.Losses = o.LossesSince(&topology.Observation{})
			}), "D, E may hold more of its history"},
		"the primary did not sync its binary log when it restarted, and does now": {
			restarted().Edit("A", func(o *topology.Observation) { o.Losses.Executed = topologytest.Now }), "sync_binlog"},
	} {
		in := intentOf(row.b)
		in.History.Floor = row.b.Set("A:1-100, t1") // A's last row has been seen after its restart only
		op := Reopening(clearance(false), in, topologytest.Now)
		if op.Running() {
			op = op.readIn(row.b)
		}
		if opened := op.Running(); opened != (row.want == "") || !opened && !strings.Contains(op.Obstacle.Message, row.want) {
			t.Errorf("%s: %s, %+v", name, op.State, op.Obstacle)
		}
	}
}
