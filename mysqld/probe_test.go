package mysqld

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// scripted answers statements by their beginning, and counts them.
type scripted struct {
	answers map[string]func() ([]row, error)
	asked   []string
}

func (s *scripted) query(_ context.Context, statement string, _ ...any) ([]row, error) {
	s.asked = append(s.asked, statement)
	for start, answer := range s.answers {
		if strings.HasPrefix(statement, start) {
			return answer()
		}
	}
	return nil, nil
}

func answered(texts ...string) func() ([]row, error) {
	one := make(row, len(texts))
	for i, text := range texts {
		one[i] = cell{text: text}
	}
	return func() ([]row, error) { return []row{one}, nil }
}

func TestMariaDBIsRefusedByName(t *testing.T) {
	unknown := func() ([]row, error) { return nil, &mysql.MySQLError{Number: errUnknownVariable} }
	q := &scripted{answers: map[string]func() ([]row, error){
		"SELECT @@GLOBAL.version":             unknown,
		"SELECT @@version, @@version_comment": answered("10.11.6-MariaDB", "Debian 12", "1", "1"),
	}}
	o := NewFleet(Settings{}).read(t.Context(), q, "db-1:3306")
	if o.Reach != topology.ReachDenied || !strings.Contains(o.Error, "MariaDB") {
		t.Errorf("%s: %s", o.Reach, o.Error)
	}
}

func TestAServerWithoutPerformanceSchemaIsRefusedWithTheRemedy(t *testing.T) {
	q := &scripted{answers: map[string]func() ([]row, error){"SELECT @@GLOBAL.version": answered("8.4.5", "MySQL", "0", "1")}}
	o := NewFleet(Settings{}).read(t.Context(), q, "db-1:3306")
	if o.Reach != topology.ReachDenied || !strings.Contains(o.Error, "performance_schema=ON") {
		t.Errorf("%s: %s", o.Reach, o.Error)
	}
}

func TestAGTIDSetThatMakesNoSenseIsNoReading(t *testing.T) {
	var r reading
	r.texts = &setTexts{}
	r.set(cell{text: "not a set"})
	if !errors.Is(r.err, errRefusedByUs) || reachOf(r.err) != topology.ReachDenied {
		t.Errorf("%v", r.err)
	}
}

func TestAHugeTransactionThatArrivesIsASignOfTheSource(t *testing.T) {
	const second = 1_000_000
	began := time.Now()
	reading := func(after time.Duration, relayed int64, state topology.Thread) reading {
		r := reading{heard: 100 * second, now: 100*second + after.Microseconds(), relayed: relayed}
		r.At = began.Add(after)
		r.channel = topology.Replication{Source: "a:1", Receiver: state}
		return r
	}
	var m memory
	for _, step := range []struct {
		name    string
		after   time.Duration
		relayed int64
		state   topology.Thread
		want    time.Duration
	}{
		{"the first reading goes by the heartbeat", 10 * time.Second, 1000, topology.ThreadOn, 10 * time.Second},
		{"nothing more has come", 11 * time.Second, 1000, topology.ThreadOn, 11 * time.Second},
		{"relay logs grow", 12 * time.Second, 2000, topology.ThreadOn, time.Second},
		{"and stand still again", 13 * time.Second, 2000, topology.ThreadOn, 13 * time.Second},
		{"they grow by the rotation of a receiver that finds nobody", 14 * time.Second, 2500, topology.ThreadConnecting, 14 * time.Second},
	} {
		if got := m.heartbeatAge(reading(step.after, step.relayed, step.state)); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

func TestAHeartbeatThatWasNeverHeardHasNoAge(t *testing.T) {
	var m memory
	if got := m.heartbeatAge(reading{now: 5}); got >= 0 {
		t.Errorf("%s", got)
	}
}

func TestLagIsTheAgeOfWhatIsBeingApplied(t *testing.T) {
	const second = 1_000_000
	received := gtid.MustParse("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-10")
	for name, row := range map[string]struct {
		reading reading
		want    time.Duration
	}{
		"all is applied, whatever was last":  {reading{applied: 10 * second}, 0},
		"a worker applies":                   {reading{applying: 97 * second, processing: 98 * second, applied: 90 * second}, 3 * time.Second},
		"the coordinator has just one":       {reading{processing: 98 * second, applied: 90 * second}, 2 * time.Second},
		"none is under way":                  {reading{applied: 90 * second}, 10 * time.Second},
		"nothing was ever applied":           {reading{}, -1},
		"the source's clock seems ahead":     {reading{applying: 105 * second}, 0},
		"the source's clock is known ahead":  {reading{applying: 105 * second, skew: -7 * time.Second}, 2 * time.Second},
		"the source's clock is known behind": {reading{applying: 87 * second, skew: 10 * time.Second}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := row.reading
			r.now, r.Received = 100*second, received
			if row.want == 0 && r.applying == 0 {
				r.Executed = received
			}
			if got := r.lag(); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		})
	}
}

func TestClocksThatAreKnownToDifferDoNotMakeLag(t *testing.T) {
	hour := &memory{incarnation: "x", ahead: time.Hour}
	right := &memory{incarnation: "y", ahead: 3 * time.Millisecond}
	for name, row := range map[string]struct {
		replica, source *memory
		want            time.Duration
	}{
		"the replica's is an hour ahead": {hour, right, time.Hour - 3*time.Millisecond},
		"the source's is an hour ahead":  {right, hour, 3*time.Millisecond - time.Hour},
		"within what a probe can tell":   {right, &memory{incarnation: "z"}, 0},
		"the source's was never read":    {hour, &memory{}, 0},
	} {
		if got := row.replica.aheadOf(row.source); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

func TestOnlyTheProcessDecidesTheIncarnation(t *testing.T) {
	first := reading{now: 1000_900_000, uptime: 100, process: "17"}
	later := reading{now: 1234_100_000, uptime: 334, process: "17"}
	again := reading{now: 1234_100_000, uptime: 3, process: "17"}
	other := reading{now: 1234_100_000, uptime: 334, process: "18"}
	if first.incarnation() != later.incarnation() {
		t.Errorf("%s became %s while it ran", first.incarnation(), later.incarnation())
	}
	for _, r := range []reading{again, other} {
		if r.incarnation() == later.incarnation() {
			t.Errorf("two processes are %s", r.incarnation())
		}
	}
}
