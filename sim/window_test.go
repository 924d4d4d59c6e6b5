package sim

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestAWindowIsOpenOnlyWhereThePrimaryWasChangedWhoeverRemembersIt(t *testing.T) {
	for name, row := range map[string]struct {
		second reparent.Kind
		forgot bool
		broken bool
	}{
		"only adopted":                   {broken: true},
		"changed":                        {second: reparent.KindEmergency},
		"changed, then terms begin anew": {second: reparent.KindEmergency, forgot: true},
		"opened again":                   {second: reparent.KindReopening, broken: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			c, s := w.judge.conduct, w.hosts.all[0]
			says := func(term uint32, kind reparent.Kind, hash string) {
				d := &topology.Decision{Term: term, Kind: string(kind), Primary: s.address, Hash: hash}
				c.deciding(s, d)
				c.marked(s, d)
			}
			says(2, reparent.KindAdoption, "aa")
			if row.second != "" {
				says(3, row.second, "bb")
			}
			if row.forgot {
				w.report.Faults = append(w.report.Faults, Fault{Kind: EmptyStore})
				says(2, reparent.KindAdoption, "cc")
			}
			now := time.Now()
			var a antiflap.Cluster
			a = a.Established(antiflap.Change{Cluster: "shop", Term: 3, Kind: antiflap.Emergency, At: now}, antiflap.Settings{})
			c.windowed(&orchestrator.View{Antiflap: a, Told: now})
			if got := w.breaks(AntiflapObeyed); got != row.broken {
				t.Errorf("broken: %t", got)
			}
		})
	}
}
