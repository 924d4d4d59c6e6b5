package main

import (
	"time"

	"github.com/primacydb/primacy/api"
)

// noon is when the examples were looked at.
var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func of[T any](v T) *T { return &v }

func exampleServer(address, role, zone, source string) api.Server {
	s := api.Server{
		Address: address, Role: role, Zone: zone, Promotion: "neutral", Reachable: true, Reach: "ok", ReadOnly: true, SuperReadOnly: true,
		Source: source, Receiver: "on", Applier: "on", LagMS: of[int64](0), Behind: of[int64](0), Term: 7, Version: "9.7.4", ProbedAt: noon,
		SemiSync: api.Semi{Acker: true, ReplicaEnabled: true, ReplicaActive: true, Acks: 1},
	}
	if role == "primary" {
		s.ReadOnly, s.SuperReadOnly, s.Receiver, s.Applier, s.LagMS = false, false, "none", "none", nil
		s.SemiSync = api.Semi{SourceEnabled: true, SourceActive: true, Acks: 1, Clients: 2}
	}
	return s
}

func exampleCluster() api.Cluster {
	return api.Cluster{
		Name: "shop", Term: 7, State: "healthy", Primary: "db1:3306", Automation: true, Elector: "elector-1", Leading: true, ProbedAt: noon,
		Durability: api.Durability{Policy: "semi_sync", Acks: 1, Ruleset: 1, AcksNeeded: 1},
		Servers: []api.Server{
			exampleServer("db1:3306", "primary", "a", ""), exampleServer("db2:3306", "replica", "b", "db1:3306"), exampleServer("db3:3306", "replica", "c", "db1:3306"),
		},
	}
}

// troubledCluster has a replica below a replica, one that is gone, one in maintenance, and names of real length.
func troubledCluster() api.Cluster {
	c := exampleCluster()
	c.State, c.AutomationNote, c.Automation = "degraded", &api.Note{By: "ada", Reason: "migration of rack 3"}, false
	const long = "orders-primary-01.mysql.eu-central-1.internal.example.org:3306"
	c.Primary, c.Servers[0].Address, c.Servers[1].Source = long, long, long
	c.Servers[1].LagMS, c.Servers[1].Behind = of[int64](1250), of[int64](4711)
	c.Servers[1].Maintenance = &api.Note{By: "grace", Reason: "new disk"}
	c.Servers[2].Source, c.Servers[2].SemiSync.Acker, c.Servers[2].Applier = "db2:3306", false, "off"
	c.Servers[2].LagMS, c.Servers[2].Errors = nil, []string{"applier: 1062 Worker 1 failed executing transaction 4b35649f-e544-11f1-ac09-02fc00000001:17; Duplicate entry '1' for key 't.PRIMARY'"}
	gone := api.Server{
		Address: "db4:3306", Role: "unreachable", Zone: "c", Reach: "refused", Source: "", Receiver: "none", Applier: "none",
		Failing: noon.Add(-95 * time.Second), Errors: []string{"probe: db4:3306: dial tcp db4:3306: connect: connection refused"},
	}
	errant := exampleServer("db5:3306", "quarantined", "a", "db3:3306")
	errant.Errant, errant.SemiSync.Acker = 3, false
	c.Servers = append(c.Servers, gone, errant)
	c.Findings = []api.Finding{
		{
			Code: "errant_transactions", Severity: "critical", Server: "db5:3306", Since: noon.Add(-3 * time.Hour),
			Message:  "db5:3306 holds 3 transactions (e6b53e19-e544-11f1-b3c1-02fc00000003:1-3) that the history of db1:3306 does not contain",
			Evidence: []api.Evidence{{Server: "db5:3306", By: "probe", Fact: "holds 3 transactions, written by db5:3306, probed 0.2 s ago", At: noon}},
			WhyNot:   "errant transactions are never dropped on suspicion: rewind or clone the server if they were provably never acknowledged, else export them and decide",
		},
		{
			Code: "server_unreachable", Severity: "warning", Server: "db4:3306", Since: noon.Add(-95 * time.Second), Message: "db4:3306 is not reached",
			Evidence: []api.Evidence{{By: "probe", Fact: "its host refuses the connection"}}, Remedy: "reconcile",
		},
	}
	c.Antiflap = api.Antiflap{
		Open: true, Until: noon.Add(4 * time.Minute), LeftMS: 252_000, Reason: "an emergency change to db1:3306 opened a window of 5m0s (the first of late); no automatic change before 12:04:12 UTC",
		Lift: "find out why, then `primacy ack shop`; it also ends when the primary has served well for long enough",
	}
	return c
}

func exampleRecovery() api.Recovery {
	stage := func(name string, began, took time.Duration, detail string, evidence ...string) api.Stage {
		return api.Stage{Name: name, StartedAt: noon.Add(began), DurationMS: took.Milliseconds(), DurationUS: took.Microseconds(), Outcome: "ok", Detail: detail, Evidence: evidence}
	}
	return api.Recovery{
		ID: "shop-0000000008", Cluster: "shop", Kind: "emergency", Term: 8, From: "db1:3306", To: "db2:3306", State: "succeeded", Phase: "done",
		Cause: "primary_dead: db1:3306 is dead: its host refuses the connection, and all ackers that are reached have lost it", Automatic: true,
		Elector: "elector-1", Clearance: "no window is open", StartedAt: noon, FinishedAt: noon.Add(180 * time.Millisecond), DurationMS: 180, GapMS: of[int64](96),
		Stages: []api.Stage{
			stage("detect", 0, 62*time.Millisecond, "primary_dead: db1:3306 is dead", "db1:3306 (by probe): its host refuses the connection", "db2:3306: lost its source 12 ms ago"),
			stage("revoke", 62*time.Millisecond, 21*time.Millisecond, "no earlier primary can complete a write; db2:3306, db3:3306 frozen"),
			stage("choose", 83*time.Millisecond, 120*time.Microsecond, "db2:3306: promotion prefer, zone b, 0 left to apply"),
			stage("propagate", 83*time.Millisecond, 34*time.Millisecond, "db2:3306 has applied the chosen history; db3:3306 follows it"),
			stage("establish", 117*time.Millisecond, 12*time.Millisecond, "the marker of term 8 is acknowledged: everything before it is durable", "marker 7072696d-0000-0008-77cc-6b4bd39d962e:1"),
			stage("open", 129*time.Millisecond, 4*time.Millisecond, "db2:3306 takes writes"),
			stage("reconcile", 133*time.Millisecond, 47*time.Millisecond, "db3:3306 follows db2:3306"),
		},
		Certificate: api.Certificate{
			Leaders:  []api.Leader{{Address: "db1:3306", Term: 7, Acks: 1}},
			Servers:  []api.Witness{{Address: "db1:3306", Frozen: "no", Note: "unreachable"}, {Address: "db2:3306", Frozen: "yes", Applied: "yes"}, {Address: "db3:3306", Frozen: "yes", Attached: "yes"}},
			Decision: &api.Decision{Term: 8, Primary: "db2:3306", Reached: []string{"db2:3306", "db3:3306"}, Base: "4b35649f-e544-11f1-ac09-02fc00000001:1-1234567"},
		},
	}
}

func blockedRecovery() api.Recovery {
	r := exampleRecovery()
	r.ID, r.State, r.Kind, r.Automatic, r.By, r.Reason = "shop-0000000009", "blocked", "planned", false, "ada", "rack 3 moves"
	r.Stages, r.Certificate, r.GapMS, r.To = r.Stages[:1], api.Certificate{}, nil, ""
	r.Stages[0].Outcome = "blocked"
	r.Obstacle = &api.Obstacle{
		Code: "not_revoked", Message: "db1:3306 could still complete writes with db3:3306, which is not reached",
		Needs: [][]string{{"db1:3306"}, {"db3:3306", "db4:3306"}}, Remedy: "bring one of the named sets back, or accept the loss knowingly: primacy emergency shop --accept-loss --reason …",
	}
	return r
}
