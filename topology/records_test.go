package topology_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// whole is a decision with every field set.
func whole() topology.Decision {
	return topology.Decision{
		Cluster: "shop", Term: 7, Kind: "emergency", Primary: "B", PrimaryUUID: topologytest.UUID("B"), Incarnation: "B/1", Ruleset: 3,
		Base: gtid.MustParse("aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa:1-5"), Reached: topology.Servers("B", "C"), Elector: "elector-1",
		DecidedAt: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("", 3600)), Previous: "ab12",
	}.Sealed()
}

func TestADecisionIsIntactUntilOneFieldChanges(t *testing.T) {
	if !whole().Intact() || (topology.Decision{}).Intact() {
		t.Fatal("only a sealed decision is intact")
	}
	for name, change := range map[string]func(*topology.Decision){
		"cluster":      func(d *topology.Decision) { d.Cluster = "other" },
		"term":         func(d *topology.Decision) { d.Term++ },
		"kind":         func(d *topology.Decision) { d.Kind = "planned" },
		"primary":      func(d *topology.Decision) { d.Primary = "C" },
		"primary uuid": func(d *topology.Decision) { d.PrimaryUUID = topologytest.UUID("C") },
		"incarnation":  func(d *topology.Decision) { d.Incarnation = "B/2" },
		"ruleset":      func(d *topology.Decision) { d.Ruleset++ },
		"base":         func(d *topology.Decision) { d.Base = gtid.Set{} },
		"reached":      func(d *topology.Decision) { d.Reached = d.Reached.With("D") },
		"elector":      func(d *topology.Decision) { d.Elector = "elector-2" },
		"time":         func(d *topology.Decision) { d.DecidedAt = d.DecidedAt.Add(time.Microsecond) },
		"previous":     func(d *topology.Decision) { d.Previous = "ab13" },
		"hash":         func(d *topology.Decision) { d.Hash = "00" + d.Hash[2:] },
	} {
		d := whole()
		change(&d)
		if d.Intact() {
			t.Errorf("a changed %s is not noticed", name)
		}
	}
}

func TestADecisionSurvivesJSONAndAnotherTimeZone(t *testing.T) {
	text, err := json.Marshal(topology.Leadership{Decision: whole()})
	var back topology.Leadership
	if err != nil || json.Unmarshal(text, &back) != nil || !back.Intact() || back.Marker() != whole().Marker() || back.Established() {
		t.Errorf("%v: %+v was read back from %s", err, back, text)
	}
	moved := whole()
	moved.DecidedAt = moved.DecidedAt.In(time.FixedZone("", -7200))
	if !moved.Intact() {
		t.Error("the same moment in another time zone changes the hash")
	}
}

func TestMarkersAreReadOutOfPositions(t *testing.T) {
	m := whole().Marker()
	if got, ok := topology.MarkerOf(m.GTID().UUID); !ok || got != m || m.Hash == 0 {
		t.Errorf("%v was read back as %v", m, got)
	}
	if got := m.GTID().UUID.String()[:18]; got != "7072696d-0000-0007" {
		t.Errorf("the marker of term 7 starts %s", got)
	}
	position := whole().Base.Union(m.Set()).Union(topology.Marker{Term: 300, Hash: 1}.Set()).Union(topology.Marker{Term: 9, Hash: 1 << 63}.Set())
	if highest, ok := topology.HighestMarker(position); !ok || highest.Term != 300 || len(topology.Markers(position)) != 3 {
		t.Errorf("highest of %v is %v", topology.Markers(position), highest)
	}
	if _, ok := topology.HighestMarker(whole().Base); ok {
		t.Error("an ordinary server's transactions are no marker")
	}
}

func TestTheCurrentLeadershipIsTheLatestEstablished(t *testing.T) {
	h := cluster().Term(3, "A", "").Term(4, "B", "").Intent(5, "C", "").History()
	if l, ok := h.Current(); !ok || l.Term != 4 {
		t.Errorf("current is term %d", l.Term)
	}
	if _, ok := cluster().Intent(5, "C", "").History().Current(); ok {
		t.Error("an intent is no leadership")
	}
}

func TestTheFloorRisesOnlyWithWhatWasSurelyAcknowledged(t *testing.T) {
	b := cluster()
	before, after := b.Set("A:1-90,t1"), b.Set("A:1-100,t1")
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		at   topology.Address
		want gtid.Set
	}{
		{"the established process, each commit waits", cluster(), "A", after},
		{"more acks than the policy needs", semi(func(s *topology.SemiSync) { s.Acks = 3 }), "A", after},
		{"another process of the server", cluster().Restarted("A"), "A", before},
		{"another server at the address", cluster().Edit("A", func(o *observation) { o.UUID = topologytest.UUID("F") }), "A", before},
		{"a replica", cluster(), "B", before},
		{"not reached", cluster().Silent("A"), "A", before},
		{"fell back to async", semi(func(s *topology.SemiSync) { s.SourceActive = false }), "A", before},
		{"a finite timeout", semi(func(s *topology.SemiSync) { s.Timeout = 10 * time.Second }), "A", before},
		{"fewer acks than the policy needs", semi(func(s *topology.SemiSync) { s.Acks = 1 }), "A", before},
		{"no acks at all", unpromising(), "A", before},
		{"it follows the one chosen next, whose marker waits", cluster().Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100,t1").Executed("A", "A:1-100,t1,t2"), "A", before},
	} {
		l, _ := row.b.History().Current()
		if got := topology.Floor(before, *row.b.Snapshot().Server(row.at), l, row.b.Ruleset()); !got.Equal(row.want) {
			t.Errorf("%s: %s", row.name, got)
		}
	}
	intent := cluster().Intent(1, "A", "").History().Leaderships[0]
	if got := topology.Floor(before, *cluster().Snapshot().Server("A"), intent, b.Ruleset()); !got.Equal(before) {
		t.Error("a leadership that may not be established raises no floor")
	}
}

// TestAnAdoptionThatWasInterruptedIsMadeAgain has the adoption of A on record, and nothing of how it ended.
func TestAnAdoptionThatWasInterruptedIsMadeAgain(t *testing.T) {
	led := func(b *topologytest.Builder) *topologytest.Builder {
		return b.Term(2, "A", "A:1-100").Positions("A:1-100, t2", "A", "B", "C")
	}
	rows := []struct {
		name   string
		kind   string
		change func(*topologytest.Builder)
		code   topology.Code
		remedy topology.Remedy
	}{
		{"it serves, and nobody shows its marker", "adoption", func(*topologytest.Builder) {}, topology.NotAdopted, topology.RemedyAdopt},
		{"it restarted and is open", "adoption", func(b *topologytest.Builder) { b.Restarted("A").Writable("A") }, topology.NotAdopted, topology.RemedyAdopt},
		{"it serves, and a replica does not follow", "adoption", func(b *topologytest.Builder) { b.Stopped("C") }, topology.NotAdopted, topology.RemedyNone},
		{"it is gone", "adoption", func(b *topologytest.Builder) { b.Dead("A") }, topology.LeadershipUnsettled, topology.RemedyEmergency},
		{"it is closed", "adoption", func(b *topologytest.Builder) { b.ReadOnly("A") }, topology.LeadershipUnsettled, topology.RemedyEmergency},
		{"another server takes writes in its place", "adoption", func(b *topologytest.Builder) { b.ReadOnly("A").Writable("B") }, topology.LeadershipUnsettled, topology.RemedyEmergency},
		{"it led before by the journals, and serves", "adoption", func(b *topologytest.Builder) { led(b).Recovered() }, topology.NotAdopted, topology.RemedyAdopt},
		{"it led before by the journals, and restarted", "adoption", func(b *topologytest.Builder) { led(b).Recovered().Restarted("A") }, topology.LeadershipUnsettled, topology.RemedyEmergency},
		{"it led before by a record that was never lost", "adoption", func(b *topologytest.Builder) { led(b) }, topology.LeadershipUnsettled, topology.RemedyEmergency},
		{"it was no adoption", "emergency", func(*topologytest.Builder) {}, topology.LeadershipUnsettled, topology.RemedyEmergency},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1).Positions("A:1-100", "A", "B", "C")
			row.change(b)
			b.Intent(3, "A", "A:1-100")
			h := b.History()
			last := &h.Leaderships[len(h.Leaderships)-1]
			last.Kind = row.kind
			last.Decision = last.Sealed()
			for _, f := range topology.Analyze(b.Snapshot(), h, topologytest.Limits, topologytest.Now, nil) {
				if f.Remedy == topology.RemedyEmergency && row.remedy != topology.RemedyEmergency {
					t.Errorf("%s asks for another primary: %s", f.Code, f.Message)
				}
				if f.Code == row.code && f.Remedy == row.remedy {
					return
				}
			}
			t.Errorf("no %s with remedy %q", row.code, row.remedy)
		})
	}
}
