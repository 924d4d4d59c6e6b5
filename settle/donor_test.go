package settle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

const (
	uuidA = "aaaaaaaa-0000-0000-0000-000000000000"
	uuidB = "bbbbbbbb-0000-0000-0000-000000000000"
	uuidC = "cccccccc-0000-0000-0000-000000000000"
	uuidD = "dddddddd-0000-0000-0000-000000000000"
)

// shop is a primary, a, with the replicas b and c, and x, which is to be cloned; d serves where five are needed.
func shop(t *testing.T, acks int, change func(map[topology.Address]*topology.Observation, *topology.Snapshot)) topology.Snapshot {
	t.Helper()
	s := topology.Snapshot{Cluster: "shop", Ruleset: topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: acks}}}
	uuids := map[topology.Address]string{"a": uuidA, "b": uuidB, "c": uuidC, "x": uuidD}
	for _, a := range []topology.Address{"a", "b", "c", "x"} {
		s.Ruleset.Members = append(s.Ruleset.Members, topology.Member{Address: a, Zone: map[topology.Address]string{"c": "east", "x": "east"}[a]})
		o := topology.Observation{Address: a, Reach: topology.ReachOK, Version: "9.7.4-2", Executed: set(t, uuidA+":1-10,"+uuidD+":1-4")}
		u, err := gtid.ParseUUID(uuids[a])
		if err != nil {
			t.Fatal(err)
		}
		o.UUID = u
		if a != "a" {
			o.Replication = &topology.Replication{Source: "a", Receiver: topology.ThreadOn, Applier: topology.ThreadOn}
			o.SemiSync.ReplicaEnabled = true
		}
		s.Servers = append(s.Servers, o)
	}
	servers := map[topology.Address]*topology.Observation{}
	for i := range s.Servers {
		servers[s.Servers[i].Address] = &s.Servers[i]
	}
	servers["x"].Replication = nil
	if change != nil {
		change(servers, &s)
	}
	return s
}

func set(t *testing.T, text string) gtid.Set {
	t.Helper()
	s, err := gtid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestACloneIsTakenFromAServerThatThePrimaryCanDoWithout(t *testing.T) {
	type servers = map[topology.Address]*topology.Observation
	rows := []struct {
		name   string
		acks   int
		rules  settle.DonorRules
		change func(servers, *topology.Snapshot)
		errant topology.Address
		want   topology.Address
		why    string // a part of the reasons when there is none
		failed map[topology.Address]int
	}{
		{name: "another one than that which failed, even of another zone", acks: 1, want: "b", failed: map[topology.Address]int{"c": 1}},
		{name: "the one that failed less often", acks: 1, want: "c", failed: map[topology.Address]int{"b": 2, "c": 1}},
		{name: "the primary once both others have failed", acks: 1, rules: settle.DonorRules{FromPrimary: true}, want: "a", failed: map[topology.Address]int{"b": 1, "c": 1}},
		{name: "the one in the same zone", acks: 1, want: "c"},
		{name: "the one that lags less, within a zone", acks: 1, change: func(m servers, s *topology.Snapshot) {
			for i := range s.Ruleset.Members {
				s.Ruleset.Members[i].Zone = ""
			}
			m["b"].Replication.Lag, m["c"].Replication.Lag = time.Second, time.Minute
		}, want: "b"},
		{name: "nobody while both are needed for acknowledgements", acks: 2, why: "clone.from_needed_acker"},
		{name: "one that is needed where that is allowed", acks: 2, rules: settle.DonorRules{FromNeeded: true}, want: "c"},
		{name: "the primary where only that is allowed", acks: 2, rules: settle.DonorRules{FromPrimary: true}, want: "a"},
		{name: "a needed one before the primary", acks: 2, rules: settle.DonorRules{FromPrimary: true, FromNeeded: true}, want: "c"},
		{name: "not one that is not reached", acks: 0, change: func(m servers, _ *topology.Snapshot) { m["c"].Reach = topology.ReachSilent }, want: "b"},
		{name: "not one in maintenance", acks: 1, change: func(_ servers, s *topology.Snapshot) { s.Maintenance = topology.Servers("c") }, want: "b"},
		{name: "not one with errant transactions", acks: 1, errant: "c", want: "b"},
		{name: "not one whose applier stands", acks: 1, change: func(m servers, _ *topology.Snapshot) { m["c"].Replication.Applier = topology.ThreadOff }, want: "b"},
		{name: "not one that lacks what the recipient wrote as a primary", acks: 1, change: func(m servers, _ *topology.Snapshot) {
			m["c"].Executed = set(t, uuidA+":1-10,"+uuidD+":1-3")
		}, want: "b"},
		{name: "not one that lacks what the primary has purged", acks: 1, change: func(m servers, _ *topology.Snapshot) {
			m["a"].Purged, m["c"].Executed = set(t, uuidA+":1-8"), set(t, uuidA+":1-7,"+uuidD+":1-4")
		}, want: "b"},
		{name: "one that merely lags behind the primary's own transactions", acks: 1, change: func(m servers, _ *topology.Snapshot) {
			m["c"].Executed = set(t, uuidA+":1-7,"+uuidD+":1-4")
		}, want: "c"},
		{name: "not one of another series", acks: 1, change: func(m servers, _ *topology.Snapshot) { m["c"].Version = "8.4.3" }, want: "b"},
		{name: "nobody without a primary to compare with", acks: 1, change: func(m servers, _ *topology.Snapshot) { m["a"].Reach = topology.ReachRefused }, why: "not reached"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var found []topology.Finding
			if row.errant != "" {
				found = append(found, topology.Finding{Code: topology.Errant, Server: row.errant})
			}
			got, why := settle.Donor(shop(t, row.acks, row.change), found, "a", "x", row.rules, row.failed)
			if got != row.want || !strings.Contains(strings.Join(why, "; "), row.why) {
				t.Errorf("%q, %q; expected %q, %q", got, why, row.want, row.why)
			}
		})
	}
}

func TestAServerIsSettledOnlyWhileCommitsCompleteWithoutIt(t *testing.T) {
	rows := []struct {
		name   string
		acks   int
		server topology.Address
		change func(map[topology.Address]*topology.Observation, *topology.Snapshot)
		why    string
	}{
		{name: "a server apart is free", acks: 2, server: "x"},
		{name: "a replica beside enough others is free", acks: 1, server: "c"},
		{name: "a replica without which too few acknowledge is not", acks: 2, server: "c", why: "only b can give them"},
		{name: "the primary is not", acks: 1, server: "a", why: "is the primary"},
		{name: "one that others replicate from is not", acks: 1, server: "x", change: func(m map[topology.Address]*topology.Observation, _ *topology.Snapshot) {
			m["x"].Replicas = []topology.Address{"y"}
		}, why: "y replicates from x"},
		{name: "one that others have left since it was asked is", acks: 1, server: "x", change: func(m map[topology.Address]*topology.Observation, _ *topology.Snapshot) {
			m["x"].Replicas = []topology.Address{"c"}
		}},
		{name: "whose receiver is down does not count among the others", acks: 1, server: "c", change: func(m map[topology.Address]*topology.Observation, _ *topology.Snapshot) {
			m["b"].Replication.Receiver = topology.ThreadConnecting
		}, why: "would wait"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got := settle.Needed(shop(t, row.acks, row.change), "a", row.server)
			if (got == "") != (row.why == "") || !strings.Contains(got, row.why) {
				t.Errorf("%q; expected %q", got, row.why)
			}
		})
	}
}

func TestVersionsThatCloneToEachOther(t *testing.T) {
	rows := []struct {
		donor, recipient string
		clones           bool
	}{
		{"9.7.4-2", "9.7.4-2", true}, {"9.7.4", "9.7.1", true}, {"9.7.4", "9.6.4", false}, {"8.4.3", "8.4.0", true},
		{"8.0.36-28", "8.0.36-28", true}, {"8.0.36", "8.0.35", false}, {"8.0.37", "8.0.36", false}, {"8.0.40", "8.0.37", true}, {"8.4.0", "8.0.40", false},
	}
	for _, row := range rows {
		if got := settle.Unlike(row.donor, row.recipient); (got == "") != row.clones {
			t.Errorf("%s to %s: %q", row.donor, row.recipient, got)
		}
	}
}
