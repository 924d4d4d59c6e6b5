package mysqld

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/settle"
)

func TestAProcessWasToldToStopOrNotOnlyWhereItsErrorLogReachesFromStartToStart(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	start := func(s float64) said { return said{at(s), startsCode} }
	stop := func(s float64) said { return said{at(s), stopsCode} }
	for name, row := range map[string]struct {
		log  []said
		want settle.Stop
	}{
		"killed":                                {[]said{start(-0.5), start(60)}, settle.StopNotTold},
		"told":                                  {[]said{start(-0.5), stop(50), start(60)}, settle.StopTold},
		"recovered long before its binary log":  {[]said{start(-300), start(60)}, settle.StopNotTold},
		"the one before was told":               {[]said{start(-90), stop(-60), start(-1), start(60)}, settle.StopNotTold},
		"the one after was told":                {[]said{start(-1), start(60), stop(90), start(95)}, settle.StopNotTold},
		"told, and started within one second":   {[]said{start(0.1), stop(0.4), start(0.8), start(60)}, settle.StopTold},
		"its start is not in the log":           {[]said{start(60)}, ""},
		"its start is not in the log, its stop": {[]said{stop(50), start(60)}, ""},
		"no start after it":                     {[]said{start(-1), stop(50)}, ""},
		"nothing":                               {nil, ""},
	} {
		if got := stopOf(settle.Process{Known: true, StartedAt: at(0)}, row.log); got != row.want {
			t.Errorf("%s: %q, not %q", name, got, row.want)
		}
	}
	if got := stopOf(settle.Process{StartedAt: at(0)}, []said{start(-1), start(60)}); got != "" {
		t.Errorf("when it began is not known: %q", got)
	}
	if got := stopOf(settle.Process{Known: true, Running: true, StartedAt: at(0)}, []said{start(-1), start(60)}); got != "" {
		t.Errorf("it runs: %q", got)
	}
}
