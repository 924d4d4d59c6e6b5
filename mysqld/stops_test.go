package mysqld

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/settle"
)

func TestAProcessBeganWithTheLastStartBeforeItsBinaryLog(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Unix(1000, 0).Add(time.Duration(seconds * float64(time.Second)))
	}
	start := func(s float64) said { return said{at(s), startsCode} }
	for name, row := range map[string]struct {
		log  []said
		want time.Time
	}{
		"it opened its log at once":                       {[]said{start(-90), start(-0.5), start(60)}, at(-0.5)},
		"within the second to which the log's is cut":     {[]said{start(0.9), start(60)}, at(0.9)},
		"it recovered for minutes":                        {[]said{start(-900), start(-300), {at(-200), "MY-010232"}}, at(-300)},
		"the one before it began a moment earlier":        {[]said{start(-304), start(-300)}, time.Time{}},
		"the next one began a moment later":               {[]said{start(-1), start(3)}, time.Time{}},
		"its start is not in the log":                     {[]said{start(60)}, time.Time{}},
		"it was told to stop when it ended, and it is on": {[]said{start(-0.5), {at(50), stopsCode}}, at(-0.5)},
		"nothing": {nil, time.Time{}},
	} {
		if got := beganOf(settle.Process{Known: true, StartedAt: at(0)}, row.log); !got.Equal(row.want) {
			t.Errorf("%s: %s, not %s", name, got, row.want)
		}
	}
	if got := beganOf(settle.Process{StartedAt: at(0)}, []said{start(-1)}); !got.IsZero() {
		t.Errorf("the beginning of its binary log is gone: %s", got)
	}
}

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
