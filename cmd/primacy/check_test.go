package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/topology"
)

func exampleCheck() checkReport {
	netTimeout := topology.Fix{Variable: "replica_net_timeout", Value: "4"}
	slow := func(server topology.Address) topology.Remark {
		return topology.Remark{Code: "replica_net_timeout", Severity: topology.SeverityWarning, Server: server, Message: "replica_net_timeout is 60 s",
			Permits: "it takes that long to notice a silent primary, and to stop a receiver that is connecting", Mend: "SET PERSIST replica_net_timeout=4", Fix: &netTimeout}
	}
	r := checkReport{
		Clusters: []checkedCluster{{
			Name: "shop", Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1},
			Servers: []checkedServer{
				{Address: "db1:3306", Reach: topology.ReachOK, Unread: []string{"disk: /var/lib/mysql/ is not on this machine, or not ours to see"}},
				{Address: "db2:3306", Reach: topology.ReachOK, Unread: []string{"disk: /var/lib/mysql/ is not on this machine, or not ours to see"}},
				{Address: "db3:3306", Reach: topology.ReachDenied},
			},
			Findings: []topology.Remark{
				{Code: "server_denied", Severity: topology.SeverityCritical, Server: "db3:3306", Message: "refuses our login: db3:3306: Error 1045 (28000): Access denied for user 'primacy'@'10.0.0.9' (using password: YES)",
					Permits: "nothing is known of its settings", Mend: "wrong user or password; mend mysql.user and mysql.password_file, or the account on the server"},
				slow("db1:3306"), slow("db2:3306"),
				{Code: "no_spare_acker", Severity: topology.SeverityWarning, Message: "while db1:3306 leads, every acker is needed", Permits: "writes stop when any of them does", Mend: "add a server, or ask for fewer acks"},
				{Code: "offline_mode", Severity: topology.SeverityInfo, Server: "db2:3306", Message: "offline_mode will be OFF after the next start", Permits: "readers see what nobody acknowledged", Mend: "SET PERSIST_ONLY offline_mode = ON"},
			},
		}},
		Configuration: []string{"primacy.yaml:3: mysql.password_file: everybody on this machine may read it; chmod 600"},
	}
	r.count("warning")
	return r
}

func TestWhatWasCheckedReadsWell(t *testing.T) {
	report := exampleCheck()
	wantGolden(t, "check", drawn(func(t *terminal) { t.checked(report, checkOptions{}) }))
	report.Settings = []checkedFix{
		{Server: "db1:3306", Statement: "SET PERSIST replica_net_timeout = 4", Done: true},
		{Server: "db2:3306", Statement: "SET PERSIST replica_net_timeout = 4", Error: "SET PERSIST replica_net_timeout = 4: db2:3306: Error 1227 (42000): Access denied; you need SYSTEM_VARIABLES_ADMIN"},
	}
	wantGolden(t, "check_fixed", drawn(func(t *terminal) { t.checked(report, checkOptions{fix: true}) }))
	report = checkReport{Clusters: []checkedCluster{{Name: "shop", Policy: report.Clusters[0].Policy, Servers: report.Clusters[0].Servers[:1]}}}
	wantGolden(t, "check_clean", drawn(func(t *terminal) { t.checked(report, checkOptions{}) }))
}

func TestACheckFailsFromTheSeverityThatIsNamed(t *testing.T) {
	for _, row := range []struct {
		severity topology.Severity
		failOn   string
		passed   bool
	}{
		{topology.SeverityInfo, "warning", true}, {topology.SeverityInfo, "info", false}, {topology.SeverityWarning, "critical", true},
		{topology.SeverityWarning, "warning", false}, {topology.SeverityCritical, "critical", false}, {topology.SeverityCritical, "never", true},
	} {
		r := checkReport{Clusters: []checkedCluster{{Findings: []topology.Remark{{Severity: row.severity}}}}}
		if r.count(row.failOn); r.Passed != row.passed {
			t.Errorf("%+v: passed is %v", row, r.Passed)
		}
	}
	r := checkReport{Settings: []checkedFix{{Error: "refused"}}}
	if r.count("never"); r.Passed {
		t.Error("a setting that could not be made passes")
	}
}

// checkFile is a configuration with these servers.
func checkFile(t *testing.T, account local.Account, servers ...string) string {
	t.Helper()
	text := fmt.Sprintf("mysql: {user: %s, password: %q}\nreplication: {user: replica, password: none}\nclusters:\n  - name: shop\n    durability: {policy: semi_sync, acks: 1}\n    servers:\n", account.Name, account.Password)
	for _, s := range servers {
		text += fmt.Sprintf("      - {address: %q}\n", s)
	}
	file := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestServersThatAreNotThereFailACheck(t *testing.T) {
	var gone []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, l.Addr().String())
		_ = l.Close()
	}
	file := checkFile(t, local.Account{Name: "primacy", Password: "x"}, gone...)
	runWith(t, "check", "--config", file).wants(t, exitFailed, "server_unreachable on all 3 servers", "3 critical")
	runWith(t, "check", "--config", file, "shop", "--fail-on", "never").wants(t, exitDone, "3 critical")
	runWith(t, "check", "--config", file, "shap").wants(t, exitUsage, `no cluster "shap"`)
	runWith(t, "check", "--config", file, "--fail-on", "much").wants(t, exitUsage, "critical, warning, info or never")
	runWith(t, "check", "--config", file, "--dry-run").wants(t, exitUsage, "give both")
	runWith(t, "check", "--config", "/nonexistent.yaml").wants(t, exitUsage, "--config")
}

// checkedJSON runs a check and leaves out what depends on this machine's disk.
func checkedJSON(t *testing.T, args ...string) (report checkReport, codes string) {
	t.Helper()
	r := runWith(t, append([]string{"check", "-o", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.errs)
	}
	var said []string
	for _, f := range report.Clusters[0].Findings {
		if f.Code != "disk" && f.Severity != topology.SeverityInfo {
			said = append(said, f.Code)
		}
	}
	return report, strings.Join(said, " ")
}

func TestACheckOfRealServersFindsAndMendsWhatIsWrong(t *testing.T) {
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{Servers: 3, PerServer: func(i int) map[string]string {
		return map[int]map[string]string{1: {"sync_relay_log": "10000"}, 2: {"replica_net_timeout": "60"}}[i]
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fleet.Close() })
	file := checkFile(t, fleet.Users.Primacy, fleet.Servers[0].Address(), fleet.Servers[1].Address(), fleet.Servers[2].Address())
	const wrong = "sync_relay_log replica_net_timeout"
	if _, said := checkedJSON(t, "--config", file); said != wrong {
		t.Errorf("as started: %q", said)
	}
	report, said := checkedJSON(t, "--config", file, "--fix", "--dry-run")
	if said != wrong || report.Settings[0].Done {
		t.Errorf("after a dry run: %q, %+v", said, report.Settings)
	}
	report, said = checkedJSON(t, "--config", file, "--fix")
	if said != "" || !report.Settings[0].Done || report.Passed != (report.Critical+report.Warnings == 0) {
		t.Errorf("after the fix: %q, %+v", said, report)
	}
	if report, _ = checkedJSON(t, "--config", file, "--fix"); len(report.Settings) > 0 {
		t.Errorf("set again: %+v", report.Settings)
	}
}
