package mysqld_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

const primary, replica, other = 0, 1, 2

// The subtests follow each other on one fleet; each leaves it as it found it.
func TestAProbeTellsWhatARealFleetIs(t *testing.T) {
	w := newWorld(t, local.Spec{Schema: []string{
		"CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY AUTO_INCREMENT, note VARCHAR(100))"}})
	for _, claim := range []struct {
		name string
		test func(*world)
	}{
		{"a primary shows who it is and what it promises", primaryIsDescribed},
		{"a replica shows its channel", replicaIsDescribed},
		{"observations come in the order of Watch", orderIsThatOfWatch},
		{"what is received and not applied is lag", unappliedIsLag},
		{"an applier that fails says why", failedApplierSaysWhy},
		{"a stopped receiver is off", stoppedReceiverIsOff},
		{"commits without acknowledgements are waiters and no storage stall", ackWaitIsNoStorageStall},
		{"a persisted setting is what the next boot does", persistedSettingsCount},
		{"it is foreseen whether a restart makes a server acknowledge", acksAtBootAreForeseen},
		{"the journal is seen when it is there", journalIsSeen},
		{"a server without semi-sync plugins is observed", pluginsMayBeMissing},
		{"a server without GTIDs is observed", gtidsMayBeOff},
		{"a wrong password is denied and never shown", wrongPasswordIsDenied},
		{"a full server is denied by number", fullServerIsDenied},
		{"a missing privilege is named and the rest is read", missingPrivilegeIsNamed},
		{"without performance_schema nothing can be trusted", missingPositionIsNoReading},
		{"a name that nobody knows is unresolved", unknownNameIsUnresolved},
	} {
		ok := t.Run(claim.name, func(t *testing.T) {
			sub := *w
			sub.T = t
			claim.test(&sub)
		})
		if !ok {
			t.FailNow()
		}
	}
}

func primaryIsDescribed(w *world) {
	w.admin(primary, "INSERT shop.orders (note) VALUES ('first')")
	o := w.see(primary)
	id := o.UUID.String()
	for claim, holds := range map[string]bool{
		"it answers":                     o.OK() && o.Error == "" && o.FailingSince.IsZero(),
		"its version is MySQL's":         strings.Count(o.Version, ".") == 2,
		"its identity is set":            o.ServerID == 1 && o.UUID != w.see(replica).UUID,
		"its incarnation names it":       strings.HasPrefix(o.Incarnation, id+"/"),
		"it started a moment ago":        time.Since(o.StartedAt) < 5*time.Minute && time.Since(o.StartedAt) > 0,
		"the probe took some time":       o.Latency > 0 && o.Latency < time.Second,
		"it takes writes":                o.Writable() && !o.SuperReadOnly,
		"its write is executed":          o.Executed.String() == id+":1",
		"it receives nothing":            o.Received.IsEmpty() && o.Replication == nil,
		"a commit there really waits":    o.SemiSync.Verified() && o.SemiSync.Acks == 1,
		"both replicas acknowledge":      o.SemiSync.Clients == 2 && o.SemiSync.Waiters == 0,
		"plugins are there":              o.SemiSync.Installed && o.SemiSync.ReplicaEnabled,
		"nothing waits":                  o.Stall == topology.Stall{},
		"no privilege is missing":        len(o.Missing) == 0,
		"GTIDs are on":                   o.Settings.GTIDMode == "ON" && o.Settings.EnforceGTIDConsistency == "ON",
		"the binary log is complete":     o.Settings.LogBin && o.Settings.LogReplicaUpdates && o.Settings.BinlogFormat == "ROW" && o.Settings.BinlogRowImage == "FULL",
		"it is durable":                  o.Settings.SyncBinlog == 1 && o.Settings.FlushLogAtCommit == 1,
		"boot settings are read":         o.Settings.SkipReplicaStart && !o.Settings.RelayLogRecovery && !o.Settings.RelayLogUnsynced && o.Settings.PreserveOrder,
		"the receiver's timeout is read": o.Settings.ReplicaNetTimeout == 4*time.Second,
		"there is no journal yet":        !o.Settings.JournalPresent,
	} {
		if !holds {
			w.Errorf("%s: %+v", claim, o)
		}
	}
	// The list of replicas is learned rarely, so a fleet that comes later is sure to have it.
	want := []topology.Address{w.server(replica), w.server(other)}
	slices.Sort(want)
	for deadline := time.Now().Add(20 * time.Second); ; {
		listed := w.watching(w.settings()).Probe(w.Context(), w.server(primary)).Replicas
		if slices.Equal(listed, want) { // they may be connecting still
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("replicas %v, want %v", listed, want)
		}
	}
}

func replicaIsDescribed(w *world) {
	source := w.see(primary)
	o := w.eventually(replica, "a heartbeat and everything applied", func(o topology.Observation) bool {
		return o.Replication != nil && o.Replication.HeartbeatAge >= 0 && o.Executed.Contains(source.Executed)
	})
	c := o.Replication
	for claim, holds := range map[string]bool{
		"it takes no writes":              o.ReadOnly && o.SuperReadOnly && !o.Writable(),
		"it has received what it applied": o.Received.Equal(source.Executed),
		"it follows the primary":          c.Source == w.server(primary) && c.SourceUUID == source.UUID && c.AutoPosition,
		"with the replicas' account":      c.User == w.local.Users.Replica.Name,
		"both threads run":                c.Receiver == topology.ThreadOn && c.Applier == topology.ThreadOn,
		"without an error":                c.ReceiverErrno == 0 && c.ReceiverError == "" && c.ApplierErrno == 0 && c.ApplierError == "",
		"heartbeats are as configured":    c.HeartbeatEvery > 0 && c.HeartbeatAge < c.HeartbeatEvery+time.Second,
		"nothing is left to apply":        c.Lag == 0,
		"its side of semi-sync works":     o.SemiSync.ReplicaEnabled && o.SemiSync.ReplicaActive && !o.SemiSync.SourceEnabled,
		"the retry period is read":        o.Settings.ReplicaRetryPeriod > 0,
	} {
		if !holds {
			w.Errorf("%s: %+v %+v", claim, o, c)
		}
	}
}

func orderIsThatOfWatch(w *world) {
	order := []topology.Address{w.server(other), w.server(primary), w.server(replica)}
	w.fleet.Watch("turned", order)
	defer w.fleet.Watch("turned", nil)
	for i, o := range w.fleet.Observe(w.Context(), "turned") {
		if o.Address != order[i] || !o.OK() {
			w.Errorf("place %d: %s %s", i, o.Address, o.Reach)
		}
	}
}

func unappliedIsLag(w *world) {
	w.admin(replica, "STOP REPLICA SQL_THREAD")
	defer w.admin(replica, "START REPLICA SQL_THREAD")
	w.admin(primary, "INSERT shop.orders (note) VALUES ('late')")
	o := w.eventually(replica, "received, not applied, more than a second old", func(o topology.Observation) bool {
		return !o.Unapplied().IsEmpty() && o.Replication.Lag > time.Second
	})
	if o.Replication.Applier != topology.ThreadOff || o.Replication.ApplierErrno != 0 {
		w.Errorf("applier: %+v", o.Replication)
	}
}

func failedApplierSaysWhy(w *world) {
	w.admin(replica, "SET GLOBAL super_read_only = OFF")
	w.withoutLog(replica, "INSERT shop.orders (id, note) VALUES (1000, 'stray')")
	w.admin(primary, "INSERT shop.orders (id, note) VALUES (1000, 'proper')")
	const duplicateKey = 1062
	w.eventually(replica, "the applier fails, and which row it is stands in the worker's error", func(o topology.Observation) bool {
		c := o.Replication // between the workers' table and the coordinator's the failure may come: then that one's error alone is seen, which names no row
		return c.Applier == topology.ThreadOff && c.ApplierErrno == duplicateKey && strings.Contains(c.ApplierError, "1000")
	})
	w.withoutLog(replica, "DELETE FROM shop.orders WHERE id = 1000")
	w.admin(replica, "SET GLOBAL super_read_only = ON", "START REPLICA SQL_THREAD")
	w.eventually(replica, "it applies again", func(o topology.Observation) bool {
		return o.Replication.Applier == topology.ThreadOn && o.Replication.Lag == 0 && o.Unapplied().IsEmpty()
	})
}

func stoppedReceiverIsOff(w *world) {
	w.admin(replica, "STOP REPLICA IO_THREAD")
	if c := w.see(replica).Replication; c.Receiver != topology.ThreadOff || c.Applier != topology.ThreadOn {
		w.Errorf("%+v", c)
	}
	w.admin(replica, "START REPLICA IO_THREAD")
	w.eventually(replica, "it is on again", func(o topology.Observation) bool { return o.Replication.Receiver == topology.ThreadOn })
}

func ackWaitIsNoStorageStall(w *world) {
	w.admin(replica, "STOP REPLICA IO_THREAD")
	w.admin(other, "STOP REPLICA IO_THREAD")
	first := w.meanwhile(primary, "INSERT shop.orders (note) VALUES ('unheard')")
	w.eventually(primary, "one waits", func(o topology.Observation) bool { return o.SemiSync.Waiters == 1 })
	second := w.meanwhile(primary, "INSERT shop.orders (note) VALUES ('behind it')")
	o := w.eventually(primary, "both wait for more than a second", func(o topology.Observation) bool {
		return o.Stall.OldestAckWait > time.Second && o.Stall.Committing == 1
	})
	if o.Stall.OldestCommit != 0 || o.Stall.DiskFull || !strings.Contains(o.Stall.OldestWaiter, "root") || o.Stall.ReadOnlyWait {
		w.Errorf("%+v", o.Stall)
	}
	closing := w.meanwhile(primary, "SET GLOBAL super_read_only = ON")
	w.eventually(primary, "the closing waits too", func(o topology.Observation) bool { return o.Stall.ReadOnlyWait })
	w.admin(replica, "START REPLICA IO_THREAD")
	w.admin(other, "START REPLICA IO_THREAD")
	for _, ended := range []func() error{first, second, closing} {
		if err := ended(); err != nil {
			w.Error(err)
		}
	}
	w.admin(primary, "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF")
	w.eventually(primary, "all is well", func(o topology.Observation) bool { return o.Stall == topology.Stall{} && o.SemiSync.Clients == 2 })
}

func persistedSettingsCount(w *world) {
	w.admin(other, "SET PERSIST_ONLY super_read_only = ON", "SET PERSIST_ONLY skip_replica_start = OFF")
	if s := w.see(other).Settings; !s.BootReadOnly || s.SkipReplicaStart {
		w.Errorf("persisted: %+v", s)
	}
	w.admin(other, "RESET PERSIST super_read_only", "RESET PERSIST skip_replica_start")
	if s := w.see(other).Settings; !s.SkipReplicaStart {
		w.Errorf("reset: %+v", s)
	}
}

func acksAtBootAreForeseen(w *world) {
	for _, row := range []struct {
		statement string
		off       bool
		because   string
	}{
		{"DO 0", false, "the option file has it on"},
		{"SET GLOBAL rpl_semi_sync_replica_enabled = OFF", false, "what is set now ends with the process"},
		{"SET PERSIST rpl_semi_sync_replica_enabled = OFF", false, "what is persisted is applied when the receiver connects already"},
		{"RESET PERSIST rpl_semi_sync_replica_enabled", false, "nothing shows what the option file says"},
	} {
		w.admin(other, row.statement)
		for how, o := range map[string]topology.Observation{
			"watched for long": w.see(other), "seen for the first time": w.watching(w.settings()).Probe(w.Context(), w.server(other)),
		} {
			if o.Settings.BootAcksOff != row.off {
				w.Errorf("%s, %s: %t, but %s", row.statement, how, o.Settings.BootAcksOff, row.because)
			}
		}
	}
}

func journalIsSeen(w *world) {
	w.admin(primary, "CREATE DATABASE _primacy", "CREATE TABLE _primacy.journal (term INT PRIMARY KEY)")
	defer w.admin(primary, "DROP DATABASE _primacy")
	if !w.see(primary).Settings.JournalPresent {
		w.Error("the next probe does not see it")
	}
}

func pluginsMayBeMissing(w *world) {
	w.see(other)
	w.admin(other, "SET GLOBAL super_read_only = OFF", "STOP REPLICA")
	w.admin(other, "UNINSTALL PLUGIN rpl_semi_sync_source", "UNINSTALL PLUGIN rpl_semi_sync_replica")
	o := w.see(other)
	if !o.OK() || o.SemiSync != (topology.SemiSync{}) {
		w.Errorf("%s %s %+v", o.Reach, o.Error, o.SemiSync)
	}
	w.admin(other, "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'", "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
		"SET GLOBAL rpl_semi_sync_replica_enabled = ON", "SET GLOBAL super_read_only = ON", "START REPLICA")
	if o := w.watching(w.settings()).Probe(w.Context(), w.server(other)); !o.SemiSync.Installed {
		w.Errorf("installed again: %+v", o.SemiSync)
	}
}

func gtidsMayBeOff(w *world) {
	w.admin(other, "STOP REPLICA", "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 0")
	for _, mode := range []string{"ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"} {
		w.admin(other, "SET GLOBAL gtid_mode = "+mode)
	}
	o := w.see(other)
	if !o.OK() || o.Settings.GTIDMode != "OFF" || o.Replication.AutoPosition {
		w.Errorf("%s %s %+v", o.Reach, o.Error, o.Settings)
	}
	for _, mode := range []string{"OFF_PERMISSIVE", "ON_PERMISSIVE", "ON"} {
		w.admin(other, "SET GLOBAL gtid_mode = "+mode)
	}
	w.admin(other, "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION = 1", "START REPLICA")
}

func wrongPasswordIsDenied(w *world) {
	settings := w.settings()
	settings.Password = func() (string, error) { return "s3cret-guess", nil }
	o := w.watching(settings).Probe(w.Context(), w.server(primary))
	if o.Reach != topology.ReachDenied || o.Errno != 1045 || strings.Contains(o.Error, "s3cret") || o.FailingSince.IsZero() {
		w.Errorf("%+v", o)
	}
}

func fullServerIsDenied(w *world) {
	db := w.open(other)
	defer db.Close()
	root, err := db.Conn(w.Context()) // a way back in
	if err != nil {
		w.Fatal(err)
	}
	defer root.Close()
	w.exec(root, "SET GLOBAL max_connections = 1")
	defer w.exec(root, "SET GLOBAL max_connections = 150")
	late := w.watching(w.settings()).Probe(w.Context(), w.server(other))
	if late.Reach != topology.ReachDenied || late.Errno != 1040 {
		w.Errorf("a new connection: %+v", late)
	}
	if o := w.see(other); !o.OK() {
		w.Errorf("the kept connection: %+v", o)
	}
}

func missingPrivilegeIsNamed(w *world) {
	w.user(primary, "narrow", "GRANT SELECT ON performance_schema.* TO narrow@'%'", "GRANT REPLICATION SLAVE ON *.* TO narrow@'%'")
	o := w.as("narrow").Probe(w.Context(), w.server(primary))
	if !o.OK() || o.Executed.IsEmpty() || !slices.Contains(o.Missing, "PROCESS ON *.*") || slices.Contains(o.Missing, "SELECT ON performance_schema.*") {
		w.Errorf("%+v", o)
	}
}

func missingPositionIsNoReading(w *world) {
	w.user(replica, "blind", "GRANT PROCESS ON *.* TO blind@'%'")
	o := w.as("blind").Probe(w.Context(), w.server(replica))
	if o.Reach != topology.ReachDenied || o.Errno != 1142 || !slices.Contains(o.Missing, "SELECT ON performance_schema.*") {
		w.Errorf("%+v", o)
	}
	if o.Version == "" || o.UUID != w.see(replica).UUID {
		w.Errorf("the rest was not read: %+v", o)
	}
}

func unknownNameIsUnresolved(w *world) {
	o := w.fleet.Probe(w.Context(), "no-such-server.invalid:3306")
	if o.Reach != topology.ReachUnresolved {
		w.Errorf("%+v", o)
	}
}

// withoutLog changes a server behind the back of replication.
func (w *world) withoutLog(i int, statement string) {
	w.Helper()
	db := w.open(i)
	defer db.Close()
	conn, err := db.Conn(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	w.exec(conn, "SET sql_log_bin = 0", "SET GLOBAL super_read_only = OFF", statement)
}

// user makes an account with password "pw" on one server only.
func (w *world) user(i int, name string, grants ...string) {
	w.Helper()
	readOnly := w.number(i, "SELECT @@super_read_only")
	w.withoutLog(i, "CREATE USER "+name+"@'%' IDENTIFIED BY 'pw'")
	for _, grant := range grants {
		w.withoutLog(i, grant)
	}
	if readOnly == 1 {
		w.admin(i, "SET GLOBAL super_read_only = ON")
	}
}

func (w *world) as(name string) *mysqld.Fleet {
	settings := w.settings()
	settings.User, settings.Password = name, func() (string, error) { return "pw", nil }
	return w.watching(settings)
}
