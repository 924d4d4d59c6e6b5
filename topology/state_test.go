package topology_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

func TestAClusterInOneWord(t *testing.T) {
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		want topology.ClusterState
	}{
		{"nothing is wrong", cluster(), topology.StateHealthy},
		{"a note", cluster().Edit("B", func(o *observation) { o.Settings.BinlogRowImage = "MINIMAL" }), topology.StateHealthy},
		{"ready for adoption", cluster().Unadopted(), topology.StateHealthy},
		{"a replica is down", cluster().Dead("B"), topology.StateDegraded},
		{"a replica is down for maintenance", cluster().Dead("B").Maintenance("B"), topology.StateHealthy},
		{"a replica is writable", cluster().Writable("B"), topology.StateDegraded},
		{"we alone do not see the primary", cluster().Unreachable("A"), topology.StateDegraded},
		{"the primary refuses us", cluster().Denied("A", 1045), topology.StateDegraded},
		{"a failover would not work", topologytest.Cluster("A", "B", "C").Dead("C"), topology.StateDegraded},
		{"the primary is dead", cluster().Dead("A"), topology.StatePrimaryFailed},
		{"the primary came back read-only", cluster().Restarted("A").ReadOnly("A"), topology.StatePrimaryFailed},
		{"a change is unfinished", cluster().Term(1, "A", "").Intent(2, "C", "A:1-100"), topology.StatePrimaryFailed},
		{"the primary is dead and too few can be reached", cluster().Dead("A").Silent("B", "C"), topology.StateBlocked},
		{"writes wait for acks", fewAckers(), topology.StateBlocked},
		{"the store is behind", cluster().Executed("B", "t7"), topology.StateBlocked},
		{"none leads", cluster().Unadopted().ReadOnly("A"), topology.StateBlocked},
		{"a change is running", cluster().Dead("A").Reparenting(), topology.StateReparenting},
		{"the primary may be dead", cluster().Probe("A", topology.ReachRefused, 0), topology.StateUnknown},
		{"all is lost", cluster().Silent("A", "B", "C", "D", "E"), topology.StateUnknown},
		{"the primary lives at an unknown address", cluster().Edit("A", func(o *observation) { o.UUID = topologytest.UUID("F") }), topology.StateBlocked},
		{"much of the fleet is lost", cluster().Silent("A").Lost(60, 100), topology.StateUnknown},
		{"nothing is probed yet", topologytest.Cluster("A").Probe("A", topology.ReachUnknown, 0), topology.StateUnknown},
	} {
		found := analyze(row.b)
		if got := topology.State(found, row.b.Snapshot()); got != row.want {
			t.Errorf("%s: %s, not %s: %v", row.name, got, row.want, codesOf(found))
		}
	}
}

func TestTheRoleOfEachServer(t *testing.T) {
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		at   topology.Address
		want topology.ServerRole
	}{
		{"it leads", cluster(), "A", topology.RolePrimary},
		{"it leads and is closed", cluster().ReadOnly("A"), "A", topology.RolePrimary},
		{"it is the only writable one", cluster().Unadopted(), "A", topology.RolePrimary},
		{"it follows", cluster(), "B", topology.RoleReplica},
		{"it follows with its threads off", cluster().Stopped("B"), "B", topology.RoleReplica},
		{"it led and has joined", secondTerm(), "A", topology.RoleReplica},
		{"it led and has not joined", secondTerm().Writable("A"), "A", topology.RoleQuarantined},
		{"it holds errant transactions", cluster().Executed("B", "A:1-100,t1,B:1"), "B", topology.RoleQuarantined},
		{"it is dead", cluster().Dead("B"), "B", topology.RoleUnreachable},
		{"the primary is dead", cluster().Dead("A"), "A", topology.RoleUnreachable},
		{"it refuses us", cluster().Denied("B", 1045), "B", topology.RoleUnknown},
		{"it was never probed", cluster().Probe("B", topology.ReachUnknown, 0), "B", topology.RoleUnknown},
		{"it has no channel", cluster().Edit("B", func(o *observation) { o.Replication = nil }), "B", topology.RoleUnknown},
		{"another server sits at the primary's address", impostor(), "A", topology.RoleUnknown},
	} {
		if got := topology.Role(row.b.Snapshot().Server(row.at), row.b.History(), analyze(row.b)); got != row.want {
			t.Errorf("%s: %s, not %s", row.name, got, row.want)
		}
	}
}

func TestRemediesAreWithdrawnWithAReason(t *testing.T) {
	for _, row := range []struct {
		name   string
		b      *topologytest.Builder
		code   topology.Code
		server topology.Address
		why    string // why not; empty when the remedy stays
	}{
		{"dead", cluster().Dead("A"), topology.PrimaryDead, "A", ""},
		{"dead, and the elector lost half of its fleet", cluster().Dead("A").Lost(50, 100), topology.PrimaryDead, "A", "no failover: this elector has lost 50 of the 100 servers that it watches"},
		{"dead, with two of three lost and nothing else watched", topologytest.Cluster("A", "B", "C").Dead("A").Silent("B"), topology.PrimaryDead, "A", ""},
		{"dead in maintenance", cluster().Dead("A").Maintenance("A"), topology.PrimaryDead, "A", "A is in maintenance"},
		{"read-only in maintenance", cluster().ReadOnly("A").Maintenance("A"), topology.PrimaryReadOnly, "A", "A is in maintenance"},
		{"dead while a change runs", cluster().Dead("A").Reparenting(), topology.PrimaryDead, "A", "a leadership change is running"},
		{"dead while the store is behind", cluster().Dead("A").Executed("B", "t7"), topology.PrimaryDead, "A", "the record is older than what the servers know: see store_behind"},
		{"dead while the store is away", cluster().Dead("A").StoreSilent(time.Minute), topology.PrimaryDead, "A", "the store does not answer this elector: see store_unavailable"},
		{"writable replica while the store is away", cluster().Writable("B").StoreSilent(time.Minute), topology.WritableReplica, "B", "the store does not answer this elector: see store_unavailable"},
		{"writable replica", cluster().Writable("B"), topology.WritableReplica, "B", ""},
		{"writable replica of a fleet half lost", cluster().Writable("B").Lost(50, 100), topology.WritableReplica, "B", ""},
		{"writable replica under an unfinished term", cluster().Term(1, "A", "").Intent(2, "C", "A:1-100").Writable("B"), topology.WritableReplica, "B", "a later term has to be settled first: see leadership_unsettled"},
		{"wrong source in an unadopted cluster", cluster().Unadopted().Replication("B", func(r *channel) { r.Source = "C" }), topology.WrongSource, "B", "the cluster is not adopted yet"},
		{"the primary under a second address", cluster().Writable("B").Edit("B", func(o *observation) { o.UUID = topologytest.UUID("A") }), topology.WritableReplica, "B",
			"it has the server_uuid of the primary and may be the primary itself: see duplicate_identity"},
		{"applier met a deadlock", applier(topology.ThreadOff, 1213), topology.ApplierFailed, "B", ""},
		{"stopped", cluster().Stopped("B"), topology.ReceiverStopped, "B", ""},
		{"stopped and errant", cluster().Stopped("B").Executed("B", "A:1-100,t1,B:1"), topology.ReceiverStopped, "B", "it holds errant transactions, which have to be settled first"},
		{"stopped while the primary is dead", cluster().Stopped("B").Dead("A"), topology.ReceiverStopped, "B", "nothing is attached to a primary that does not serve"},
		{"stopped while nobody knows whether the primary is dead", cluster().Stopped("B").Probe("A", topology.ReachRefused, 0), topology.ReceiverStopped, "B", "nothing is attached to a primary that does not serve"},
		{"semi-sync off on a primary that came back", cluster().Restarted("A").Edit("A", func(o *observation) { o.SemiSync.SourceEnabled = false }), topology.SemiSyncAsync, "A", "nothing is attached to a primary that does not serve"},
		{"semi-sync off", cluster().Edit("A", func(o *observation) { o.SemiSync.SourceEnabled = false }), topology.SemiSyncAsync, "A", ""},
		{"writable replica while the primary is dead", cluster().Writable("B").Dead("A"), topology.WritableReplica, "B", ""},
		{"stopped in maintenance", cluster().Stopped("B").Maintenance("B"), topology.ReceiverStopped, "B", "B is in maintenance"},
		{"adoption", cluster().Unadopted(), topology.NotAdopted, "A", ""},
		{"adoption again", cluster().Recovered(), topology.NotAdopted, "A", ""},
		{"poisoned by a change that nobody knows any more", poisoned(cluster().Recovered()), topology.SemiSyncBlocked, "A", ""},
		{"poisoned in vain", poisoned(cluster()), topology.SemiSyncBlocked, "A",
			"the change has to be finished or undone; by hand: SET GLOBAL rpl_semi_sync_source_wait_for_replica_count=2"},
		{"adoption before all are reached", cluster().Unadopted().Dead("C"), topology.NotAdopted, "A", "not adopted before the cluster is healthy: C is not reached: its host refuses the connection, so no process listens"},
		{"adoption of a server that was written to", cluster().Unadopted().Executed("C", "A:1-100,C:1"), topology.NotAdopted, "A",
			"not adopted before the cluster is healthy: C holds errant 1 transaction (cccccccc-cccc-cccc-cccc-cccccccccccc:1)"},
	} {
		f := mustFind(t, analyze(row.b), row.code, row.server)
		if f.WhyNot != row.why || (f.Remedy == topology.RemedyNone) != (row.why != "") {
			t.Errorf("%s: remedy %q, why not: %q", row.name, f.Remedy, f.WhyNot)
		}
	}
}

func poisoned(b *topologytest.Builder) *topologytest.Builder {
	return b.Edit("A", func(o *observation) { o.SemiSync.Acks, o.OfflineMode = topology.PoisonAcks, true })
}

func TestAServerInMaintenanceYieldsNotesOnly(t *testing.T) {
	for name, b := range map[string]*topologytest.Builder{
		"dead": cluster().Dead("B"), "writable": cluster().Writable("B"), "errant": cluster().Executed("B", "B:1"),
		"misconfigured": setting(func(s *topology.Settings) { s.GTIDMode = "OFF" }), "lagging": lag(time.Hour, 0),
	} {
		for _, f := range analyze(b.Maintenance("B")) {
			if f.Server == "B" && (f.Severity != topology.SeverityInfo || f.Remedy != topology.RemedyNone) {
				t.Errorf("%s: %s is %s with remedy %q", name, f.Code, f.Severity, f.Remedy)
			}
		}
	}
}

func TestARunningChangeIsNotReportedAsTroubleOfItsOwn(t *testing.T) {
	b := cluster().ReadOnly("A").Stopped("B", "C").Writable("D").Reparenting().Dead("E").
		Edit("A", func(o *observation) { o.SemiSync.Acks = topology.PoisonAcks })
	if got := codesOf(analyze(b)); len(got) != 1 || got[0] != "server_unreachable E" {
		t.Errorf("besides E's death, which is none of its doing: %v", got)
	}
}

func TestWhatWouldBlockIsSaidWithTheServersThatLack(t *testing.T) {
	for _, row := range []struct {
		name string
		b    *topologytest.Builder
		says string
		when topology.Severity
	}{
		{"one acker lost, and one is needed", topologytest.Cluster("A", "B", "C").Silent("C"), "bring back C", topology.SeverityWarning},
		{"two of four lost, two needed", cluster().Silent("B", "C"), "bring back B or C", topology.SeverityWarning},
		{"the primary is dead too", cluster().Silent("B", "C").Dead("A"), "the failover of A is blocked", topology.SeverityCritical},
		{"a stuck primary is stopped on itself, but nobody can follow", topologytest.Cluster("A", "B", "C").Silent("C").Edit("A", func(o *observation) { o.Stall.DiskFull = true }),
			"B could not get 1 acknowledgement: it would also need A or C", topology.SeverityCritical},
		{"two servers", topologytest.Cluster("A", "B"), "it would also need A", topology.SeverityWarning},
		{"all appliers failed", cluster().Edit("B", failApplier).Edit("C", failApplier).Edit("D", failApplier).Edit("E", failApplier), "B does not apply", topology.SeverityWarning},
		{"one acker lost and the primary waits for one less than it should", cluster().Silent("B").Edit("A", func(o *observation) { o.SemiSync.Acks = 1 }), "A could still complete writes with B", topology.SeverityWarning},
		{"all are errant", cluster().Positions("A:1-100,t1,F:1", ackers...), "B holds errant transactions", topology.SeverityWarning},
		{"two servers, and the primary has a leftover channel", topologytest.Cluster("A", "B").Edit("A", func(o *observation) {
			o.Replication = &channel{Source: "B", Receiver: topology.ThreadOff, Applier: topology.ThreadOn}
		}), "it would also need A", topology.SeverityWarning},
		{"all are in maintenance", cluster().Maintenance(ackers...), "B is in maintenance", topology.SeverityWarning},
		{"an unknown leadership's ackers are out of reach", cluster().Term(1, "A", "").Intent(2, "C", "A:1-100").Silent("C", "D", "E"), "C could still complete writes with D and E", topology.SeverityCritical},
	} {
		f := mustFind(t, analyze(row.b), topology.WouldBlock, "A")
		checkWords(t, row.name, f, row.says)
		if f.Severity != row.when {
			t.Errorf("%s: %s", row.name, f.Severity)
		}
	}
}

func TestAnApplierThatStandsStillBlocksNothing(t *testing.T) {
	b := cluster().Edit("B", stopApplier).Edit("C", stopApplier).Edit("D", stopApplier).Edit("E", stopApplier)
	if got := codesOf(analyze(b)); slices.ContainsFunc(got, func(code string) bool { return strings.HasPrefix(code, string(topology.WouldBlock)) }) {
		t.Errorf("it is started where it is needed: %v", got)
	}
}

func failApplier(o *observation) { stopApplier(o); o.Replication.ApplierErrno = 1062 }

func stopApplier(o *observation) { o.Replication.Applier = topology.ThreadOff }

func TestEachWrongSettingIsNamedWithItsLossAndItsMending(t *testing.T) {
	for name, change := range map[string]func(*topology.Settings){
		"gtid_mode":                      func(s *topology.Settings) { s.GTIDMode = "OFF_PERMISSIVE" },
		"enforce_gtid_consistency":       func(s *topology.Settings) { s.EnforceGTIDConsistency = "WARN" },
		"log_bin":                        func(s *topology.Settings) { s.LogBin = false },
		"log_replica_updates":            func(s *topology.Settings) { s.LogReplicaUpdates = false },
		"binlog_format":                  func(s *topology.Settings) { s.BinlogFormat = "MIXED" },
		"binlog_row_image":               func(s *topology.Settings) { s.BinlogRowImage = "MINIMAL" },
		"sync_binlog":                    func(s *topology.Settings) { s.SyncBinlog = 1000 },
		"innodb_flush_log_at_trx_commit": func(s *topology.Settings) { s.FlushLogAtCommit = 2 },
		"relay_log_recovery":             func(s *topology.Settings) { s.RelayLogRecovery = true },
		"sync_relay_log":                 func(s *topology.Settings) { s.RelayLogUnsynced = true },
		"skip_replica_start":             func(s *topology.Settings) { s.SkipReplicaStart = false },
		"super_read_only at boot":        func(s *topology.Settings) { s.BootReadOnly = false },
		"replica_preserve_commit_order":  func(s *topology.Settings) { s.PreserveOrder = false },
		"replica_net_timeout":            func(s *topology.Settings) { s.ReplicaNetTimeout = time.Minute },
		"SOURCE_CONNECT_RETRY":           func(s *topology.Settings) { s.ReplicaRetryPeriod = time.Minute },
	} {
		checkSetting(t, name, setting(change))
	}
	checkSetting(t, "SOURCE_HEARTBEAT_PERIOD", cluster().Replication("B", func(r *channel) { r.HeartbeatEvery = 30 * time.Second }))
	checkSetting(t, "SOURCE_HEARTBEAT_PERIOD", cluster().Replication("B", func(r *channel) { r.HeartbeatEvery = 0 }))
	checkSetting(t, "SOURCE_AUTO_POSITION", cluster().Replication("B", func(r *channel) { r.AutoPosition = false }))
}

func checkSetting(t *testing.T, name string, b *topologytest.Builder) {
	t.Helper()
	f := mustFind(t, analyze(b), topology.WrongSettings, "B")
	checkWords(t, name, f, "Mend: ")
	if len(f.Evidence) != 1 || f.Message != "B has 1 setting that permits a loss: "+name {
		t.Errorf("%s: %s, %v", name, f.Message, f.Evidence)
	}
}

func TestWaitingForFewerAcksThanThePolicyNeedsIsABreachNow(t *testing.T) {
	for acks, want := range map[int]topology.Severity{1: topology.SeverityCritical, 3: topology.SeverityWarning} {
		f := mustFind(t, analyze(semi(func(s *topology.SemiSync) { s.Acks = acks })), topology.SemiSyncSettings, "A")
		if f.Severity != want {
			t.Errorf("%d acks where 2 are needed is %s", acks, f.Severity)
		}
	}
}

func TestOnlyServersThatStillHaveTheLogsAreOfferedAsASource(t *testing.T) {
	f := mustFind(t, analyze(purgedFor("A:1-50").Purged("C", "A:1-80").Purged("D", "A:1-60").Executed("E", "A:1-40,t1")), topology.PurgedOnSource, "B")
	if f.WhyNot != "clone it from a healthy server" {
		t.Errorf("nobody has the logs: %s", f.WhyNot)
	}
	f = mustFind(t, analyze(purgedFor("A:1-50").Purged("C", "A:1-80")), topology.PurgedOnSource, "B")
	if !strings.Contains(f.WhyNot, "from D or E first, which still have the logs") {
		t.Errorf("D and E have the logs: %s", f.WhyNot)
	}
}

func TestOnlyWhatIsWrongWithThePrimarySpeaksAgainstItsService(t *testing.T) {
	rows := []struct {
		name   string
		change func(*topologytest.Builder)
		code   topology.Code // critical, and it holds
		serves bool
	}{
		{"an old primary is quarantined", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, B:1", "B") }, topology.Errant, true},
		{"it is dead", func(b *topologytest.Builder) { b.Dead("A") }, topology.PrimaryDead, false},
		{"it is closed", func(b *topologytest.Builder) { b.ReadOnly("A") }, topology.PrimaryReadOnly, false},
		{"its disk is full", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.Stall.DiskFull = true })
		}, topology.PrimaryStuck, false},
		{"it waits for nobody", func(b *topologytest.Builder) {
			b.Edit("A", func(o *topology.Observation) { o.SemiSync.SourceActive = false })
		}, topology.SemiSyncAsync, false},
		{"its commits wait for ackers that are gone", func(b *topologytest.Builder) {
			b.Stopped("B", "C").Edit("A", func(o *topology.Observation) { o.SemiSync.Clients, o.SemiSync.Waiters = 0, 1 })
		}, topology.SemiSyncBlocked, false},
		{"another server is open", func(b *topologytest.Builder) { b.Writable("B") }, topology.TwoWritable, false},
		{"a later term was begun", func(b *topologytest.Builder) { b.Term(1, "A", "A:1-10").Intent(2, "B", "A:1-100, t1") }, topology.LeadershipUnsettled, false},
		{"a later term is not on record", func(b *topologytest.Builder) { b.Positions("A:1-100, t1, t2", "B") }, topology.StoreBehind, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b := topologytest.Cluster("A", "B", "C").Acks(1)
			row.change(b)
			found := topology.Analyze(b.Snapshot(), b.History(), topologytest.Limits, topologytest.Now, nil)
			critical := slices.ContainsFunc(found, func(f topology.Finding) bool {
				return f.Code == row.code && f.Severity == topology.SeverityCritical
			})
			if !critical || topology.Serves(found) != row.serves {
				t.Errorf("%s is critical: %t, the primary serves: %t", row.code, critical, topology.Serves(found))
			}
		})
	}
}

func TestWithoutAPrimaryTheEvidenceNamesAllThatHasToBeSwitchedOff(t *testing.T) {
	for want, edit := range map[string]func(*observation){
		"is read-only":                     func(o *observation) { o.ReadOnly = true },
		"is in offline mode":               func(o *observation) { o.OfflineMode = true },
		"is read-only and in offline mode": func(o *observation) { o.ReadOnly, o.OfflineMode = true, true },
	} {
		f := mustFind(t, analyze(cluster().Unadopted().Edit("A", edit)), topology.NoPrimary, "")
		if got := f.Evidence[0].Fact; !strings.HasPrefix(got, want+",") {
			t.Errorf("A %s: %q", want, got)
		}
	}
}
