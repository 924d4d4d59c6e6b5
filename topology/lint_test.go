package topology_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// lintedCluster is a healthy cluster as the linter gets it.
func lintedCluster(b *topologytest.Builder) (topology.Ruleset, []topology.Inspection) {
	s := b.Snapshot()
	var seen []topology.Inspection
	for _, o := range s.Servers {
		seen = append(seen, topology.Inspection{Observation: o, Variables: map[string]topology.Variable{}})
	}
	return s.Ruleset, seen
}

var lints = []struct {
	name, code string
	severity   topology.Severity
	server     topology.Address
	cluster    *topologytest.Builder
	change     func(seen []topology.Inspection)
	says       string
}{
	{"two servers", "no_spare_acker", topology.SeverityWarning, "", topologytest.Cluster("A", "B"), nil, "while A or B leads"},
	{"two servers, one lost", "no_successor", topology.SeverityCritical, "", topologytest.Cluster("A", "B"), nil, "if A or B leads and is lost"},
	{"nobody acknowledges", "policy_none", topology.SeverityWarning, "", cluster().Policy(topology.Policy{Kind: topology.PolicyNone}), nil, "none"},
	{"a restart makes it acknowledge", "skip_replica_start", topology.SeverityCritical, "B", cluster().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart = false }), nil, "not certain to be OFF"},
	{"a restart makes it receive", "skip_replica_start", topology.SeverityWarning, "B",
		cluster().Edit("B", func(o *observation) { o.Settings.SkipReplicaStart, o.Settings.BootAcksOff = false, true }), nil, "skip_replica_start is OFF"},
	{"no plugins", "semi_sync_plugins", topology.SeverityCritical, "B", cluster().Edit("B", func(o *observation) { o.SemiSync.Installed = false }), nil, "plugins"},
	{"no binary log", "log_bin", topology.SeverityCritical, "B", cluster().Edit("B", func(o *observation) { o.Settings.LogBin = false }), nil, "log_bin is OFF"},
	{"a slow heartbeat", "heartbeat_too_slow", topology.SeverityWarning, "B", cluster().Replication("B", func(r *channel) { r.HeartbeatEvery = time.Second }), nil, "silent_after 1.5 s"},
	{"one identity twice", "duplicate_identity", topology.SeverityCritical, "B", cluster().Edit("B", func(o *observation) { o.UUID = topologytest.UUID("A") }), nil, "as A has"},
	{"the primary is newer", "version_order", topology.SeverityCritical, "A", cluster().Edit("A", func(o *observation) { o.Version = "10.1.0" }), nil, "and it leads"},
	{"a replica is newer", "version_order", topology.SeverityWarning, "B", cluster().Edit("B", func(o *observation) { o.Version = "10.1.0" }), nil, "10.1.0"},
	{"a replica that never leads is newer", "version_order", topology.SeverityInfo, "B",
		cluster().Promotion(topology.PromotionNever, "B").Edit("B", func(o *observation) { o.Version = "10.1.0" }), nil, "10.1.0"},
	{"what is persisted is ignored", "persisted_globals_load", topology.SeverityWarning, "A", cluster(),
		func(seen []topology.Inspection) {
			seen[0].Variables["persisted_globals_load"] = topology.Variable{Value: "OFF", Origin: "COMMAND_LINE"}
		}, "OFF"},
	{"a disk runs full", "disk", topology.SeverityWarning, "A", cluster(),
		func(seen []topology.Inspection) { seen[0].Disk = topology.Disk{Path: "/data", Free: 8, Total: 100} }, "92% full"},
	{"a disk is full", "disk", topology.SeverityCritical, "A", cluster(),
		func(seen []topology.Inspection) { seen[0].Disk = topology.Disk{Path: "/data", Free: 1, Total: 100} }, "99% full"},
	{"errors are skipped", "replica_skip_errors", topology.SeverityWarning, "A", cluster(),
		func(seen []topology.Inspection) {
			seen[0].Variables["replica_skip_errors"] = topology.Variable{Value: "1062", Origin: "GLOBAL"}
		}, "1062"},
	{"torn pages", "innodb_doublewrite", topology.SeverityWarning, "A", cluster(),
		func(seen []topology.Inspection) {
			seen[0].Variables["innodb_doublewrite"] = topology.Variable{Value: "DETECT_ONLY", Origin: "GLOBAL"}
		}, "DETECT_ONLY"},
	{"filters", "replication_filters", topology.SeverityCritical, "A", cluster(), func(seen []topology.Inspection) { seen[0].Filters = []string{"binlog_ignore_db=x"} }, "binlog_ignore_db=x"},
}

func TestWhatPermitsALossIsNamed(t *testing.T) {
	healthy, seen := lintedCluster(cluster())
	if found := topology.Lint(healthy, topology.LintLimits{SilentAfter: 1500 * time.Millisecond}, seen); len(found) > 0 {
		t.Fatalf("a healthy cluster: %+v", found)
	}
	for _, r := range lints {
		t.Run(r.name, func(t *testing.T) {
			rules, seen := lintedCluster(r.cluster)
			if r.change != nil {
				r.change(seen)
			}
			found := topology.Lint(rules, topology.LintLimits{SilentAfter: 1500 * time.Millisecond}, seen)
			i := slices.IndexFunc(found, func(f topology.Remark) bool {
				return f.Code == r.code && f.Severity == r.severity && f.Server == r.server
			})
			if i < 0 || !strings.Contains(found[i].Message, r.says) {
				t.Fatalf("got %+v", found)
			}
			if found[i].Permits == "" || found[i].Mend == "" {
				t.Errorf("it says neither what that costs nor what to do: %+v", found[i])
			}
			if !slices.Contains(topology.LintCodes(), r.code) {
				t.Errorf("%s is not listed", r.code)
			}
			for _, f := range found {
				if f.Server != r.server || f.Server != "" && f.Code != r.code {
					t.Errorf("also: %+v", f)
				}
			}
		})
	}
}

func TestTheWorstIsSaidFirst(t *testing.T) {
	rules, seen := lintedCluster(cluster().Edit("B", func(o *observation) { o.Settings.BinlogRowImage = "MINIMAL" }).Edit("C", func(o *observation) { o.Settings.GTIDMode = "OFF" }))
	found := topology.Lint(rules, topology.LintLimits{}, seen)
	if len(found) != 2 || found[0].Code != "gtid_mode" {
		t.Errorf("got %+v", found)
	}
}

func persisted(v string) *string { return &v }

func TestWhatARestartBringsIsForeseenAsFarAsItCanBeSeen(t *testing.T) {
	for name, r := range map[string]struct {
		v    topology.Variable
		code string
		says string
		fix  string
	}{
		"right by option file":           {v: topology.Variable{Value: "1", Origin: "GLOBAL"}},
		"right by default":               {v: topology.Variable{Value: "1", Origin: "COMPILED"}},
		"right and persisted":            {v: topology.Variable{Value: "1", Origin: "DYNAMIC", Persisted: persisted("1")}},
		"wrong":                          {topology.Variable{Value: "0", Origin: "GLOBAL"}, "sync_relay_log", "is 0", "SET PERSIST sync_relay_log = 1"},
		"wrong now, right from tomorrow": {topology.Variable{Value: "0", Origin: "GLOBAL", Persisted: persisted("1")}, "sync_relay_log", "and 1 is persisted", ""},
		"right now, wrong from tomorrow": {topology.Variable{Value: "1", Origin: "DYNAMIC", Persisted: persisted("0")}, "sync_relay_log", "will be 0 after the next start", "SET PERSIST sync_relay_log = 1"},
		"right now, nobody knows after":  {topology.Variable{Value: "1", Origin: "DYNAMIC"}, "not_persisted", "cannot be seen", "SET PERSIST_ONLY sync_relay_log = 1"},
		"was persisted, is no more":      {topology.Variable{Value: "1", Origin: "PERSISTED"}, "not_persisted", "cannot be seen", "SET PERSIST_ONLY sync_relay_log = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			rules, seen := lintedCluster(cluster())
			seen[1].Variables["sync_relay_log"] = r.v
			seen[1].Settings.RelayLogUnsynced = r.v.Value != "1" // which is not told twice
			found := topology.Lint(rules, topology.LintLimits{}, seen)
			if r.code == "" {
				if len(found) > 0 {
					t.Errorf("got %+v", found)
				}
				return
			}
			if len(found) != 1 || found[0].Code != r.code || !strings.Contains(found[0].Message, r.says) {
				t.Fatalf("got %+v", found)
			}
			if fix := found[0].Fix; (fix == nil) != (r.fix == "") || fix != nil && fix.Statement() != r.fix {
				t.Errorf("it would be mended by %+v", fix)
			}
		})
	}
}

func TestNothingIsMendedWherePersistedSettingsAreIgnored(t *testing.T) {
	rules, seen := lintedCluster(cluster().Edit("A", func(o *observation) { o.Settings.SyncBinlog = 0 }))
	seen[0].Variables["persisted_globals_load"] = topology.Variable{Value: "OFF"}
	for _, f := range topology.Lint(rules, topology.LintLimits{}, seen) {
		if f.Fix != nil {
			t.Errorf("%+v", f)
		}
	}
}

func TestWhatTheLinterSetsDoesNotNeedThought(t *testing.T) {
	var names []string
	for _, f := range topology.Fixes() {
		names = append(names, f.Variable)
	}
	for _, never := range []string{"gtid_mode", "enforce_gtid_consistency", "offline_mode", "read_only", "rpl_semi_sync_replica_enabled"} {
		if slices.Contains(names, never) {
			t.Errorf("%s would be set", never)
		}
	}
}
