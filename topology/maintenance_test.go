package topology_test

import (
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

func TestAHeldClusterIsJudgedAsEverAndNothingIsDoneAboutIt(t *testing.T) {
	for name, b := range map[string]func() []topology.Finding{
		"dead": func() []topology.Finding { return analyze(cluster().Dead("A").Held("ada", "switches", 90*time.Minute)) },
		"stopped": func() []topology.Finding {
			return analyze(cluster().Stopped("B").Held("ada", "switches", 90*time.Minute))
		},
		"not known":  func() []topology.Finding { return analyze(cluster().Term(0, "", "").Held("ada", "", 0)) },
		"all's well": func() []topology.Finding { return analyze(cluster().Held("ada", "switches", 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			told := false
			for _, f := range b() {
				told = told || f.Code == topology.ClusterMaintenance && strings.Contains(f.Message, "ada")
				if f.Remedy != topology.RemedyNone {
					t.Errorf("%s is to be mended by %s", f.Code, f.Remedy)
				}
				if f.Code == topology.PrimaryDead && (f.Severity != topology.SeverityCritical || f.WhyNot != "the cluster is in maintenance, which ends in 90 min") {
					t.Errorf("%s: %s", f.Severity, f.WhyNot)
				}
			}
			if !told {
				t.Error("nothing tells of the maintenance")
			}
		})
	}
}

func TestAServerInMaintenanceWithAnEndSaysWhen(t *testing.T) {
	for _, f := range analyze(cluster().Stopped("B").MaintenanceFor("B", 100*time.Second)) {
		if f.Code == topology.ReceiverStopped && f.WhyNot == "B is in maintenance, which ends in 100 s" {
			return
		}
	}
	t.Error("nothing says so")
}
