package sim

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

func TestAReportNamesWhomEachFaultMetOnTheClockOfTheTrace(t *testing.T) {
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	r := Live(1, Options{Cluster: &cluster, Electors: 1, Trace: true, Faults: []Fault{
		{Number: 0, Kind: Freeze, At: 2 * time.Second, Target: OnServer, Server: 1, For: time.Second},
		{Number: 1, Kind: CutPair, At: 6 * time.Second, Target: OnServer, Server: 1, Other: 2, For: time.Second},
		{Number: 2, Kind: Crash, At: 20 * time.Second, Target: OnPrimary, Server: 2, For: 1500 * time.Millisecond},
		{Number: 3, Kind: PauseElector, At: 20 * time.Second, Step: -2, Target: OnActor, Server: 4, For: time.Second},
		{Number: 4, Kind: Purge, At: 22 * time.Second, Target: OnServer, Server: 2},
	}})
	text := r.Text()
	for _, want := range []string{"servers A in a, B in b, C in c\n", "adopted at " + r.Adopted.Round(time.Millisecond).String()} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	for i, want := range []string{
		" on B for 1s", " on B and C for 1s", " on the primary A for 1.5s", " on elector-1 for 1s, 2 calls to the store after it was due", " on C",
	} {
		f := r.Faults[i]
		if line := "fault #" + string(rune('0'+i)) + " " + string(f.Kind) + " at " + f.Happened.Round(time.Millisecond).String() + want + "\n"; !strings.Contains(text, line) {
			t.Errorf("it does not say %q:\n%s", line, text)
		}
		told := func(e Entry) bool {
			return e.Who == "fault" && e.At == f.Happened && strings.HasPrefix(e.Text, string(f.Kind))
		}
		if f.Step == 0 && f.Happened != r.Adopted+f.At || !slices.ContainsFunc(r.Trace, told) {
			t.Errorf("%s: the trace has it at another time, or it was not when it was due", f)
		}
	}
}

func TestAReportSaysWhatAPolicyAboutZonesCosts(t *testing.T) {
	cluster, err := EvenCluster(6, topology.Policy{Kind: topology.PolicyZones, Acks: 1, Zones: 4})
	if err != nil {
		t.Fatal(err)
	}
	text := Live(1, Options{Cluster: &cluster, Kinds: []Kind{}}).Text()
	for _, want := range []string{
		"6 servers, zones with 1 ack in 4 zones, ",
		"while C leads MySQL, which knows no zones, waits for any 5 of A, B, D, E, F, although A, B, D would do: any 4 could be A, B, E, F\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	cluster.Ruleset.Policy = topology.Policy{Kind: topology.PolicyCrossZone, Acks: 1}
	cluster.Ruleset.Members[1].Promotion = topology.PromotionNever
	if text := strings.Join(ClusterText(cluster.Ruleset), "\n"); text != "servers A in a, B in b (never), C in c, D in d, E in a, F in b" {
		t.Error(text)
	}
}
