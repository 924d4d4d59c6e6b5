package topology_test

import (
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// trouble is a cluster in which a finding fires, what it has to say, and neighbours in which it must not fire.
type trouble struct {
	code   topology.Code
	server topology.Address
	name   string
	fires  *topologytest.Builder
	says   string
	not    map[string]*topologytest.Builder
}

type (
	clusters    = map[string]*topologytest.Builder
	observation = topology.Observation
	channel     = topology.Replication
)

// halfRewound is a cluster in which a rewind of B has undone something that its GTIDs tell of.
func halfRewound(undone string) *topologytest.Builder {
	b := cluster()
	return b.Edit("B", func(o *observation) { o.Undone = b.Set(undone) })
}

var troubles = []trouble{
	{topology.PrimaryDead, "A", "refused, and every acker lost it", cluster().Dead("A"), "B, C, D and E lost it too", clusters{
		"nothing is wrong":           cluster(),
		"only nothing comes back":    cluster().Silent("A"),
		"the ackers still hear it":   cluster().Probe("A", topology.ReachRefused, 10*time.Second),
		"another server is the dead": cluster().Dead("B"),
	}},
	{topology.PrimaryFrozen, "A", "silent for everyone", cluster().Silent("A"), "A is silent, and B, C, D and E lost it too", clusters{
		"we alone do not hear it": cluster().Unreachable("A"),
		"it is refused":           cluster().Dead("A"),
		"the silence is short":    cluster().Silent("A").Edit("A", func(o *observation) { o.FailingSince = o.At.Add(-time.Second) }),
	}},
	{topology.PrimaryStuck, "A", "disk stalled", stalled(6*time.Second, 3), "cannot complete commits", clusters{
		"the stall is short":          stalled(4*time.Second, 3),
		"nobody commits":              stalled(6*time.Second, 0),
		"commits queue behind ackers": stalled(6*time.Second, 3).Edit("A", func(o *observation) { o.SemiSync.Waiters = 1 }),
		"a replica stalls":            cluster().Edit("B", func(o *observation) { o.Stall.OldestCommit, o.Stall.Committing = time.Hour, 1 }),
	}},
	{topology.PrimaryStuck, "A", "disk full, even while commits wait for acks", cluster().Edit("A", func(o *observation) { o.Stall.DiskFull, o.SemiSync.Waiters = true, 2 }),
		"disk is full", clusters{"a replica's disk is full": cluster().Edit("B", func(o *observation) { o.Stall.DiskFull = true })}},
	{topology.PrimaryUnreachableByUs, "A", "the ackers still hear it", cluster().Unreachable("A"), "no failover: B still receives from it, heartbeat 0.3 s ago", clusters{
		"it answers":            cluster(),
		"the ackers lost it":    cluster().Silent("A"),
		"a heartbeat is stale":  cluster().Unreachable("A").Heartbeat(3*time.Second, "B", "C", "D", "E"),
		"it refuses our login":  cluster().Denied("A", 1045),
		"a replica is the lost": cluster().Unreachable("B"),
	}},
	{topology.PrimarySuspect, "A", "refused while receivers have not noticed", cluster().Probe("A", topology.ReachRefused, 100*time.Millisecond),
		"settles nothing yet", clusters{"the receivers noticed": cluster().Dead("A"), "it answers": cluster()}},
	{topology.PrimaryDenied, "A", "wrong password", cluster().Denied("A", 1045), "wrong user or password", clusters{
		"a replica refuses": cluster().Denied("B", 1045), "nothing comes back": cluster().Silent("A")}},
	{topology.PrimaryReadOnly, "A", "closed by hand", cluster().ReadOnly("A"), "no client can write", clusters{
		"it is writable": cluster(), "a replica is read-only": cluster().ReadOnly("B"), "it is dead": cluster().Dead("A")}},
	{topology.PrimaryReadOnly, "A", "restarted under its boot settings", cluster().Restarted("A").ReadOnly("A"), "restarted and is read-only", nil},
	{topology.PrimaryReadOnly, "A", "offline", cluster().Edit("A", func(o *observation) { o.OfflineMode = true }), "in offline mode", nil},
	{topology.PrimaryReplaced, "A", "a wiped server at the same address", impostor(), "answers a server with server_uuid", clusters{
		"it is the same server": cluster(), "it restarted": cluster().Restarted("A")}},
	{topology.PrimaryUnverified, "A", "restarted and writable", cluster().Restarted("A"), "takes writes without verification", clusters{
		"it is the established process": cluster(), "a replica restarted": cluster().Restarted("B"),
		"it came back read-only": cluster().Restarted("A").ReadOnly("A")}},
	{topology.NoPrimary, "", "nothing on record, all read-only", cluster().Unadopted().ReadOnly("A"), "no server is writable", clusters{
		"one is writable": cluster().Unadopted(), "a leadership is on record": cluster().ReadOnly("A")}},
	{topology.NotAdopted, "A", "nothing on record, A leads", cluster().Unadopted(), "no term is on record", clusters{
		"a leadership is on record": cluster(), "two are writable": cluster().Unadopted().Writable("B"),
		"a marker is found": cluster().Unadopted().Executed("B", "A:1-100,t4")}},
	{topology.NotAdopted, "A", "known from journals only", cluster().Recovered(), "from the servers' journals only", clusters{
		"it was established since": cluster(), "its primary is dead": cluster().Recovered().Dead("A"), "it restarted": cluster().Recovered().Restarted("A"),
		"B is writable too":                          cluster().Recovered().Writable("B"),
		"fewer acknowledge than the policy asks for": cluster().Recovered().Edit("A", func(o *observation) { o.SemiSync.Clients, o.SemiSync.Acks = 1, 1 }),
		"nobody acknowledges":                        cluster().Recovered().Edit("A", func(o *observation) { o.SemiSync.Clients = 0 }),
	}},
	{topology.TwoWritable, "", "B is writable too", cluster().Writable("B"), "A and B are all writable", clusters{
		"one is": cluster(), "B is reached no more": cluster().Writable("B").Silent("B")}},
	{topology.TwoWritable, "", "nothing on record and two writable", cluster().Unadopted().Writable("B"), "no leadership is on record", nil},
	{topology.StalePrimary, "A", "the old primary is back and writable", secondTerm().Writable("A"), "has to be fenced", clusters{
		"it has joined":   secondTerm(),
		"it never led":    cluster().Primary("C").Writable("A"),
		"it is not there": secondTerm().Writable("A").Dead("A"),
		"it leads":        cluster(),
	}},
	{topology.StalePrimary, "A", "the old primary is back, read-only", secondTerm().Edit("A", func(o *observation) { o.Replication = nil }), "has not joined C", nil},
	{topology.StalePrimary, "A", "its source side is on", secondTerm().Edit("A", func(o *observation) { o.SemiSync.SourceEnabled = true }), "source side of semi-sync is on", nil},
	{topology.ClusterMaintenance, "", "an operator has taken the cluster", cluster().Held("ada", "switches", 90*time.Minute), "ada: switches), which ends in 90 min", clusters{
		"only a server is out": cluster().MaintenanceFor("B", time.Hour)}},
	{topology.StoreBehind, "", "a term that no record names", cluster().Executed("B", "A:1-100,t1,t7"), "not on record", clusters{
		"the term is on record":  cluster(),
		"it is an earlier term":  cluster().Term(5, "A", "").Executed("B", "A:1-100,t5,t2"),
		"its outcome is unknown": cluster().Term(1, "A", "").Intent(2, "C", "A:1-100").Positions("A:1-100,t1", "A", "B", "D", "E"),
	}},
	{topology.StoreBehind, "", "another leadership of the same term", cluster().Received("B", "77777777-7777-7777-7777-777777777777:1").Edit("B", func(o *observation) {
		o.Received = o.Received.Union(topology.Marker{Term: 1, Hash: 99}.Set())
	}), "B knows of a leadership that is not on record", nil},
	{topology.LeadershipUnsettled, "C", "begun, marker written, outcome unknown", cluster().Term(1, "A", "").Intent(2, "C", "A:1-100").Positions("A:1-100,t1", "A", "B", "D", "E"),
		"has to be finished", clusters{
			"it was established": cluster().Primary("C").Term(1, "A", "").Term(2, "C", "A:1-100"),
		}},
	{topology.LeadershipUnsettled, "C", "begun, and nobody shows the marker, which may wait in C's binary log",
		cluster().Term(1, "A", "").Intent(2, "C", "A:1-100").Positions("A:1-100,t1", "A", "B", "C", "D", "E"), "proves nothing", nil},
	{topology.SemiSyncBlocked, "A", "too few ackers attached", fewAckers(), "Missing: C is not reached", clusters{
		"enough are attached":           clients(2),
		"a few short waits":             waiters(4*time.Second, 4),
		"it already fell back to async": clients(1).Edit("A", func(o *observation) { o.SemiSync.SourceActive = false }),
		"no ack is needed":              unpromising(),
	}},
	{topology.SemiSyncBlocked, "A", "waits on though all are attached", waiters(6*time.Second, 4), "although 4 ackers are attached", nil},
	{topology.SemiSyncBlocked, "A", "left poisoned", cluster().Edit("A", func(o *observation) { o.SemiSync.Acks = topology.PoisonAcks }), "wait_for_replica_count=2", nil},
	{topology.SemiSyncAsync, "A", "fell back", cluster().Edit("A", func(o *observation) { o.SemiSync.SourceActive = false }), "fell back to asynchronous", clusters{
		"it waits": cluster(), "nobody asks it to": unpromising()}},
	{topology.SemiSyncAsync, "A", "switched off", cluster().Edit("A", func(o *observation) { o.SemiSync.SourceEnabled = false }), "is off", nil},
	{topology.SemiSyncSettings, "A", "finite timeout", semi(func(s *topology.SemiSync) { s.Timeout = 10 * time.Second }), "after 10 s without", clusters{
		"all is set right": cluster(), "nobody asks it to": unpromising(), "it was left poisoned": semi(func(s *topology.SemiSync) { s.Acks = topology.PoisonAcks }),
		"a replica's source side is unset": cluster().Edit("B", func(o *observation) { o.SemiSync.Timeout = time.Second })}},
	{topology.SemiSyncSettings, "A", "one ack where two are needed", semi(func(s *topology.SemiSync) { s.Acks = 1 }), "the policy needs 2", nil},
	{topology.SemiSyncSettings, "A", "three acks where two are needed", semi(func(s *topology.SemiSync) { s.Acks = 3 }), "the policy needs 2", nil},
	{topology.SemiSyncSettings, "A", "gives up without replicas", semi(func(s *topology.SemiSync) { s.WaitNoReplica = false }), "wait_no_replica=ON", nil},
	{topology.SemiSyncSettings, "A", "it waits where the policy asks for nothing", unpromising().Edit("A", sources), "the durability policy asks for none", clusters{
		"it does not wait": unpromising(), "it is poisoned": unpromising().Edit("A", sources).Edit("A", func(o *observation) { o.SemiSync.Acks = topology.PoisonAcks })}},
	{topology.SemiSyncSettings, "A", "visible before acked", semi(func(s *topology.SemiSync) { s.AfterSync = false }), "AFTER_SYNC", nil},
	{topology.AckerDisabled, "B", "replica side off", cluster().Edit("B", func(o *observation) { o.SemiSync.ReplicaEnabled, o.SemiSync.ReplicaActive = false, false }), "does not acknowledge", clusters{
		"it is on": cluster(), "it must not ack": crossZone().Edit("B", func(o *observation) { o.SemiSync.ReplicaEnabled = false }),
		"it does not receive at all": cluster().Stopped("B").Edit("B", func(o *observation) { o.SemiSync.ReplicaActive = false })}},
	{topology.AckerBehind, "B", "much to apply", backlogOf(10001, "B"), "10001 transactions received and not applied", clusters{
		"as much as it may have": backlogOf(10000, "B"), "it is needed": backlogOf(10001, "B").Silent("C", "D"), "commits wait": backlogOf(10001, "B").Edit("A", func(o *observation) {
			o.Stall.OldestAckWait = time.Second
		})}},
	{topology.AckerBehind, "B", "nothing is applied", backlogOf(1, "B").Replication("B", func(r *channel) { r.Applier, r.ApplierErrno = topology.ThreadOff, 1062 }), "applies nothing", clusters{
		"nothing is left": applier(topology.ThreadOff, 1062)}},
	{topology.AckerBehind, "B", "delayed on purpose", lag(0, 60), "with a delay of 60 s", clusters{"not delayed": cluster()}},
	{topology.AckerDisabled, "B", "enabled too late", cluster().Edit("B", func(o *observation) { o.SemiSync.ReplicaActive = false }), "has to be restarted", nil},
	{topology.UnknownAcker, "B", "a server of the primary's zone acks", crossZone().Edit("B", func(o *observation) { o.SemiSync.ReplicaEnabled = true }), "must not count", clusters{
		"its acks count": cluster(), "it does not ack": crossZone()}},
	{topology.UnknownAcker, "B", "a server of the primary's zone might ack after a restart", crossZone().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart = false }), "after a restart", clusters{
		"its acks count":               cluster().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart = false }),
		"its option file has them off": crossZone().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart, o.Settings.BootAcksOff = false, true }),
		"nobody asks for acks":         unpromising().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart = false })}},
	{topology.UnknownAcker, "A", "more attached than there are members", clients(5), "at most 4 can be members", clusters{
		"exactly the members": clients(4), "one is not reached and may be attached": clients(4).Silent("B")}},
	{topology.ServerUnreachable, "B", "nothing comes back", cluster().Silent("B"), "nothing comes back", clusters{
		"it answers": cluster(), "it refuses our login": cluster().Denied("B", 1045)}},
	{topology.ServerUnreachable, "A", "an unadopted cluster's only writable server is gone", cluster().Unadopted().Dead("A"), "last answered 0.8 s ago", clusters{
		"the established primary has findings of its own": cluster().Dead("A")}},
	{topology.ServerDenied, "B", "too many connections", cluster().Denied("B", 1040), "raise max_connections", clusters{
		"it answers": cluster(), "nothing comes back": cluster().Silent("B"), "the primary refuses": cluster().Denied("A", 1040)}},
	{topology.GrantMissing, "B", "a privilege lacks", cluster().Edit("B", func(o *observation) { o.Missing = []string{"CONNECTION_ADMIN"} }), "GRANT CONNECTION_ADMIN", clusters{
		"all are granted": cluster()}},
	{topology.NotReplicating, "B", "no channel", cluster().Edit("B", func(o *observation) { o.Replication = nil }), "does not replicate", clusters{
		"it replicates": cluster(), "its threads are off": cluster().Stopped("B"), "it led before": secondTerm().Edit("B", func(o *observation) { o.UUID, o.Replication = topologytest.UUID("A"), nil })}},
	{topology.WrongSource, "B", "follows another replica", from("C"), "replicates from C, not from A", clusters{
		"it follows the primary": cluster(), "under another name of the primary": from("alias:3306")}},
	{topology.WrongSource, "E", "follows neither its intermediate nor the primary", cascade().Replication("E", func(r *channel) { r.Source = "C" }), "replicates from C, not from B", clusters{
		"it follows its intermediate":                    cascade(),
		"it follows the primary":                         cascade().Replication("E", home),
		"it follows its intermediate under another name": cascade().Replication("E", func(r *channel) { r.Source = "alias:3306" })}},
	{topology.IntermediateUnfit, "E", "its intermediate is dead", cascade().Dead("B"), "E is to replicate from B, which is not reached", clusters{
		"its intermediate is well": cascade(), "it follows the primary": cascade().Dead("B").Replication("E", home), "another replica is dead": cascade().Dead("C"),
		"its intermediate leads": cascade().Primary("B").Term(1, "A", "").Term(2, "B", "A:1-100").Dead("A")}},
	{topology.IntermediateUnfit, "E", "its intermediate holds errant transactions", cascade().Executed("B", "A:1-100,t1,B:1"), "holds errant transactions", nil},
	{topology.IntermediateUnfit, "E", "its intermediate has purged what it lacks", cascade().Purged("B", "A:1-50").Positions("A:1-40,t1", "E").Replication("E", func(r *channel) { r.Receiver = topology.ThreadOff }),
		"has purged 10 transactions", clusters{"it receives": cascade().Purged("B", "A:1-50").Positions("A:1-40,t1", "E")}},
	{topology.IntermediateUnfit, "E", "it does not get through to its intermediate", cascade().Replication("E", func(r *channel) { r.Receiver, r.ReceiverErrno = topology.ThreadConnecting, 2003 }), "E does not receive from it (error 2003)", nil},
	{topology.HalfRewound, "B", "the primary has by now what was undone there", halfRewound("A:7"), "and a rewind has undone it there", clusters{
		"nothing was undone": cluster(), "it is being settled": halfRewound("A:7").Settling("B"), "it is not reached": halfRewound("A:7").Dead("B")}},
	{topology.HalfRewound, "B", "it is errant all the same", halfRewound("B:1").Executed("B", "A:1-100,t1,B:1"), "goes on from there when it is asked for again", nil},
	{topology.CascadeRehomed, "E", "its intermediate is dead", cascade().Dead("B").Replication("E", home), "goes back when B has been fit for", clusters{
		"its intermediate is well": cascade().Replication("E", home), "it is at its intermediate": cascade().Dead("B")}},
	{topology.CascadeReturning, "E", "its intermediate is well", cascade().Replication("E", home), "B, its intermediate, could feed it", clusters{
		"its intermediate is dead": cascade().Dead("B").Replication("E", home), "it is at its intermediate": cascade()}},
	{topology.UnknownAcker, "E", "a cascaded replica would ack for its intermediate", cascade().Edit("E", func(o *observation) { o.SemiSync.ReplicaEnabled = true }), "would when that led", clusters{"it would not": cascade()}},
	{topology.WrongSource, "B", "follows the old primary's name with a stale uuid", secondTerm().Replication("B", func(r *channel) { r.Source = "A" }), "replicates from A, not from C", nil},
	{topology.WrongSource, "A", "a circle", cluster().Edit("A", func(o *observation) { o.Replication = &channel{Source: "B", Receiver: topology.ThreadOn} }), "a member of its own cluster", clusters{
		"the channel is a leftover": cluster().Edit("A", func(o *observation) { o.Replication = &channel{Source: "B", Receiver: topology.ThreadOff} }),
		"the cluster follows another one": cluster().Edit("A", func(o *observation) {
			o.Replication = &channel{Source: "upstream:1", Receiver: topology.ThreadOn, AutoPosition: true}
		}),
	}},
	{topology.ReceiverStopped, "B", "stopped by hand", cluster().Stopped("B"), "stopped without an error", clusters{
		"it receives": cluster(), "it stopped with an error": receiverError(topology.ThreadOff, 1236)}},
	{topology.ReceiverFailed, "B", "wrong password", receiverError(topology.ThreadConnecting, 1045), "replication.password_file", clusters{
		"it receives": cluster(), "it was stopped": cluster().Stopped("B"), "the primary is the dead one": cluster().Dead("A"),
		"an error of the past": receiverError(topology.ThreadOn, 2003)}},
	{topology.ReceiverFailed, "B", "no way to the primary", receiverError(topology.ThreadConnecting, 2003), "firewall", nil},
	{topology.ReplicaOffline, "B", "it starts in offline mode", cluster().Edit("B", func(o *observation) { o.OfflineMode = true }), "no client can read", nil},
	{topology.ReceiverFailed, "B", "no way to the primary, and no attempts left", receiverError(topology.ThreadOff, 2003), "firewall", nil},
	{topology.ReceiverFailed, "B", "an end for which MySQL has no number of its own", receiverError(topology.ThreadOff, 13117), "cannot read", nil},
	{topology.ReceiverConnecting, "B", "trying", receiverError(topology.ThreadConnecting, 0), "is connecting to A", clusters{
		"it receives": cluster(), "the primary is the dead one": cluster().Dead("A").Connecting(0, "B"), "it fails": receiverError(topology.ThreadConnecting, 2003)}},
	{topology.ApplierStopped, "B", "stopped by hand", applier(topology.ThreadOff, 0), "stopped without an error", clusters{
		"it applies": cluster(), "it failed": applier(topology.ThreadOff, 1062)}},
	{topology.ApplierFailed, "B", "duplicate key", applier(topology.ThreadOff, 1062), "diverged", clusters{
		"it applies": cluster(), "it was stopped": applier(topology.ThreadOff, 0), "an error of the past": applier(topology.ThreadOn, 1062)}},
	{topology.Lagging, "B", "a minute behind", lag(time.Minute, 0), "60 s old", clusters{
		"it keeps up": lag(9*time.Second, 0), "its lag is unknown": lag(-1, 0), "it is delayed on purpose": lag(time.Minute, 60)}},
	{topology.Errant, "B", "someone wrote on B", cluster().Executed("B", "A:1-100,t1,B:1-3"), "3 transactions", clusters{
		"nothing is foreign": cluster(), "the primary has it too": cluster().Executed("B", "A:1-100,t1,E:7").Executed("A", "A:1-100,t1,E:7")}},
	{topology.PurgedOnSource, "B", "down for too long", purgedFor("A:1-50"), "clone it", clusters{
		"it has what was purged": purgedFor("A:1-90"), "it receives": cluster().Purged("A", "A:1-80").Positions("A:1-50,t1", "B"),
		"nothing was purged": cluster().Positions("A:1-50,t1", "B").Stopped("B")}},
	{topology.WritableReplica, "B", "read_only off", cluster().Writable("B"), "will be errant", clusters{
		"it is read-only": cluster(), "it is the primary": cluster().Primary("B"), "it led before": secondTerm().Edit("B", func(o *observation) {
			o.UUID, o.ReadOnly, o.SuperReadOnly = topologytest.UUID("A"), false, false
		})}},
	{topology.WritableReplica, "B", "super_read_only off", cluster().Edit("B", func(o *observation) { o.SuperReadOnly = false }), "privileged accounts", nil},
	{topology.WritableReplica, "B", "super_read_only stands alone", cluster().Edit("B", func(o *observation) { o.ReadOnly = false }), "will be errant", nil},
	{topology.WrongSettings, "B", "relay_log_recovery on", setting(func(s *topology.Settings) { s.RelayLogRecovery = true }), "SET PERSIST_ONLY relay_log_recovery=OFF", clusters{
		"all is set right": cluster(), "nothing was read": setting(func(s *topology.Settings) { *s = topology.Settings{} }),
		"it is not reached": setting(func(s *topology.Settings) { s.SyncBinlog = 0 }).Silent("B")}},
	{topology.JournalMissing, "A", "no table", cluster().Edit("A", func(o *observation) { o.Settings.JournalPresent = false }), "cannot be recorded", clusters{
		"it is there": cluster(), "nothing was read": cluster().Edit("A", func(o *observation) { o.Settings = topology.Settings{} }),
		"its leadership has only just begun and may have written it since": cluster().EstablishedAgo(5*time.Second).Edit("A", func(o *observation) { o.Settings.JournalPresent = false }),
		"not adopted yet": cluster().Unadopted().Edit("A", func(o *observation) { o.Settings.JournalPresent = false })}},
	{topology.RulesetDiffers, "", "the configured rules are not in force", cluster().RulesRefused("B would no longer acknowledge for A"), "B would no longer acknowledge for A", clusters{
		"they are": cluster()}},
	{topology.RulesOutdated, "", "a leadership was decided under later rules than those on record", cluster().DecidedUnder(cluster().Ruleset().Number + 2), "decided under ruleset", clusters{
		"under those on record": cluster().DecidedUnder(cluster().Ruleset().Number), "nobody counts changes of rules here": cluster()}},
	{topology.StoreUnavailable, "", "etcd is away", cluster().StoreSilent(time.Minute), "it changes nothing by itself", clusters{"it answers": cluster()}},
	{topology.ElectorIsolated, "", "half of a fleet lost", cluster().Silent("A").Lost(50, 100), "50 of the 100", clusters{
		"fewer are lost":                     cluster().Silent("A").Lost(49, 100),
		"a real failure of a single cluster": topologytest.Cluster("A", "B", "C").Silent("A", "B"),
		"too few are watched":                topologytest.Cluster("A", "B").Silent("A", "B"),
	}},
	{topology.ElectorIsolated, "", "all of a single cluster lost", topologytest.Cluster("A", "B", "C").Silent("A", "B", "C"), "stands down", nil},
	{topology.WouldBlock, "A", "an acker short for whoever comes next", topologytest.Cluster("A", "B", "C").Silent("C"), "A could still complete writes with C", clusters{
		"all are there": topologytest.Cluster("A", "B", "C"), "one of four may be missing": cluster().Silent("B")}},
	{topology.WouldBlock, "A", "one that might ack after a restart is not reached", crossZone().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart = false }).Silent("B"), "A could still complete writes with B", clusters{
		"it would not": crossZone().Silent("B")}},
	{topology.WouldBlock, "A", "nobody may be promoted", cluster().Promotion(topology.PromotionNever, "B", "C", "D", "E"), "no other server may be promoted", nil},
	{topology.WouldBlock, "A", "nothing can stop the primary", cluster().Policy(topology.Policy{Kind: topology.PolicyNone}), "allow_unfenced", clusters{
		"a loss is accepted": unpromising()}},
	{topology.WouldBlock, "A", "the primary waits for nobody", cluster().Edit("A", func(o *observation) { o.SemiSync.SourceActive = false }), "does not wait for acknowledgements", nil},
	{topology.DuplicateIdentity, "C", "one uuid twice", cluster().Edit("C", func(o *observation) { o.UUID = topologytest.UUID("B") }), "B and C both have server_uuid", clusters{
		"all differ": cluster(), "one is not reached": cluster().Edit("C", func(o *observation) { o.UUID = topologytest.UUID("B") }).Silent("B")}},
	{topology.DuplicateIdentity, "C", "one server_id twice", cluster().Edit("C", func(o *observation) { o.ServerID = 2 }), "server_id 2", clusters{
		"the ids were not read": cluster().Edit("B", func(o *observation) { o.ServerID = 0 }).Edit("C", func(o *observation) { o.ServerID = 0 })}},
}

// secondTerm is a cluster in which C took over from A, which has joined.
func secondTerm() *topologytest.Builder {
	return cluster().Primary("C").Term(1, "A", "").Term(2, "C", "A:1-100")
}

func stalled(oldest time.Duration, sessions int) *topologytest.Builder {
	return cluster().Edit("A", func(o *observation) { o.Stall.OldestCommit, o.Stall.Committing = oldest, sessions })
}

func clients(n int) *topologytest.Builder { return semi(func(s *topology.SemiSync) { s.Clients = n }) }

func sources(o *observation) {
	o.SemiSync.SourceEnabled, o.SemiSync.SourceActive, o.SemiSync.Acks = true, true, 1
}

func semi(change func(*topology.SemiSync)) *topologytest.Builder {
	return cluster().Edit("A", func(o *observation) { change(&o.SemiSync) })
}

func waiters(oldest time.Duration, attached int) *topologytest.Builder {
	return clients(attached).Edit("A", func(o *observation) { o.SemiSync.Waiters, o.Stall.OldestAckWait = 2, oldest })
}

func fewAckers() *topologytest.Builder {
	return waiters(time.Second, 1).Silent("C").Stopped("D").Edit("E", func(o *observation) { o.SemiSync.ReplicaEnabled = false })
}

// home attaches a cascaded replica to the primary.
func home(r *channel) { r.Source, r.SourceUUID = "A", topologytest.UUID("A") }

func from(source topology.Address) *topologytest.Builder {
	return cluster().Replication("B", func(r *channel) { r.Source = source })
}

func receiverError(state topology.Thread, errno int) *topologytest.Builder {
	return cluster().Replication("B", func(r *channel) { r.Receiver, r.ReceiverErrno = state, errno })
}

func applier(state topology.Thread, errno int) *topologytest.Builder {
	return cluster().Replication("B", func(r *channel) { r.Applier, r.ApplierErrno = state, errno })
}

func lag(age time.Duration, delay int) *topologytest.Builder {
	return cluster().Replication("B", func(r *channel) { r.Lag, r.ApplierDelayed = age, delay })
}

// backlogOf has some servers receive what they do not apply.
func backlogOf(count int, names ...topology.Address) *topologytest.Builder {
	return behind(cluster(), count, names...)
}

func behind(b *topologytest.Builder, count int, names ...topology.Address) *topologytest.Builder {
	for _, a := range names {
		b = b.Edit(a, func(o *observation) { o.Received = b.Set(fmt.Sprintf("A:1-%d", 100+count)) })
	}
	return b
}

func purgedFor(position string) *topologytest.Builder {
	return cluster().Purged("A", "A:1-80").Positions(position+",t1", "B").Stopped("B")
}

func setting(change func(*topology.Settings)) *topologytest.Builder {
	return cluster().Edit("B", func(o *observation) { change(&o.Settings) })
}

func impostor() *topologytest.Builder {
	return cluster().Edit("A", func(o *observation) { o.UUID, o.Executed = topologytest.UUID("F"), gtid.Set{} }).Connecting(2003, "B", "C", "D", "E")
}
