package antiflap

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func emergency(term uint64, at time.Time) Change {
	return Change{Cluster: "shop", Term: term, Kind: Emergency, At: at, From: "a:3306", To: "b:3306"}
}

func planned(term uint64, at time.Time) Change {
	return Change{Cluster: "shop", Term: term, Kind: Planned, At: at, From: "a:3306", To: "b:3306", Operator: "ada"}
}

// served reports good service on every second from one moment to another.
func served(c Cluster, from, to time.Time) Cluster {
	for t := from; !t.After(to); t = t.Add(time.Second) {
		c = c.Proved(t)
	}
	return c
}

func TestWhatOpensAWindowAndHowLongItLasts(t *testing.T) {
	s := Defaults()
	proven := func(c Cluster) Cluster { c.Proven = c.Opened; return c }
	rows := []struct {
		name string
		c    Cluster
		at   time.Time
		left time.Duration
	}{
		{"a cluster that never changed has none", Cluster{}, noon, 0},
		{"an emergency change opens one of the base length", Cluster{}.Established(emergency(2, noon), s), noon, 5 * time.Minute},
		{"time passes", Cluster{}.Established(emergency(2, noon), s), after(2 * time.Minute), 3 * time.Minute},
		{"it ends by itself when the new primary is proven", proven(Cluster{}.Established(emergency(2, noon), s)), after(5 * time.Minute), 0},
		{"a planned change opens none", Cluster{}.Established(planned(2, noon), s), noon, 0},
		{"a planned change ends the one that is open",
			Cluster{}.Established(emergency(2, noon), s).Established(planned(3, after(time.Minute)), s), after(time.Minute), 0},
		{"an emergency change by hand opens one too",
			Cluster{}.Established(Change{Cluster: "shop", Term: 2, Kind: Emergency, At: noon, Operator: "ada"}, s), noon, 5 * time.Minute},
		{"a kind that is not known is treated as an emergency",
			Cluster{}.Established(Change{Cluster: "shop", Term: 2, Kind: "other", At: noon}, s), noon, 5 * time.Minute},
		{"the second within a day lasts twice as long",
			Cluster{}.Established(emergency(2, noon), s).Established(emergency(3, after(time.Hour)), s), after(time.Hour), 10 * time.Minute},
		{"a change that is told twice opens one window",
			Cluster{}.Established(emergency(2, noon), s).Established(emergency(2, after(time.Hour)), s), noon, 5 * time.Minute},
		{"one day later the first is forgotten",
			Cluster{}.Established(emergency(2, noon), s).Established(emergency(3, after(24*time.Hour)), s), after(24 * time.Hour), 5 * time.Minute},
		{"a planned change in between does not make the repeats forgotten",
			Cluster{}.Established(emergency(2, noon), s).Established(planned(3, after(time.Hour)), s).Established(emergency(4, after(2*time.Hour)), s),
			after(2 * time.Hour), 10 * time.Minute},
		{"an acknowledged one is over",
			Cluster{}.Established(emergency(2, noon), s).Acknowledge("ada", "replaced the disk", after(time.Second)), after(2 * time.Second), 0},
		{"failed attempts open none", Cluster{}.AttemptFailed(noon).AttemptFailed(noon), noon, 0},
		{"failed attempts lengthen none", Cluster{}.Established(emergency(2, noon), s).AttemptFailed(after(time.Minute)), after(time.Minute), 4 * time.Minute},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			w := r.c.Window(r.at)
			if w.Left != r.left || w.Open != (r.left > 0) {
				t.Errorf("open %v with %s left, want %s left (%s)", w.Open, w.Left, r.left, w.Reason)
			}
			if w.Open && !w.Until.Equal(r.at.Add(r.left)) {
				t.Errorf("until %s, want %s", w.Until, r.at.Add(r.left))
			}
		})
	}
}

func TestRepeatsDoubleTheWindowUpToTheCap(t *testing.T) {
	var c Cluster
	want := []time.Duration{5, 10, 20, 40, 60, 60, 60}
	for i, minutes := range want {
		at := after(time.Duration(i) * 2 * time.Hour)
		c = c.Established(emergency(uint64(i+2), at), Defaults())
		if left := c.Window(at).Left; left != minutes*time.Minute {
			t.Errorf("window %d: %s, want %s", i+1, left, minutes*time.Minute)
		}
	}
}

func TestAnOpenWindowSaysWhyAndHowToLiftIt(t *testing.T) {
	w := Cluster{}.Established(emergency(7, noon), Defaults()).Window(after(time.Minute))
	for _, want := range []string{"emergency", "a:3306", "b:3306", "term 7", "2026-03-01T12:00:00Z", "2026-03-01T12:05:00Z", "5m0s"} {
		if !strings.Contains(w.Reason, want) {
			t.Errorf("reason lacks %q: %s", want, w.Reason)
		}
	}
	if !strings.Contains(w.Lift, "primacy ack shop") {
		t.Errorf("lift: %s", w.Lift)
	}
}

func TestAnAcknowledgementIsRemembered(t *testing.T) {
	c := Cluster{}.Established(emergency(2, noon), Defaults()).Acknowledge("ada", "replaced the disk", after(time.Minute))
	if c.AcknowledgedBy != "ada" || c.AcknowledgedReason != "replaced the disk" || !c.AcknowledgedAt.Equal(after(time.Minute)) {
		t.Errorf("got %+v", c)
	}
	if next := c.Established(emergency(3, after(time.Hour)), Defaults()); next.AcknowledgedBy != "" || !next.Window(after(time.Hour)).Open {
		t.Errorf("the acknowledgement of one window must not lift the next: %+v", next)
	}
}

func TestAnAcknowledgementWithoutAWindowChangesNothing(t *testing.T) {
	if c := (Cluster{}).Acknowledge("ada", "just in case", noon); c != (Cluster{}) {
		t.Errorf("got %+v", c)
	}
}

func TestStateSurvivesARestartAsJSON(t *testing.T) {
	local := time.FixedZone("east", 3*3600)
	c := Cluster{}.Established(emergency(2, noon.In(local)), Defaults())
	c = served(c, after(time.Second), after(90*time.Second)).AttemptFailed(time.Now())
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Cluster
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back != c {
		t.Errorf("read back\n%+v\nwant\n%+v", back, c)
	}
	if w := back.Window(after(2 * time.Minute)); w.Left != 3*time.Minute {
		t.Errorf("%s left after the restart, want 3m", w.Left)
	}
}

func TestAClockThatJumpsBackNeverMakesAWindowLongerThanItWas(t *testing.T) {
	c := Cluster{}.Established(emergency(2, noon), Defaults())
	back := after(-time.Hour)
	if w := c.Window(back); !w.Open || w.Left != 5*time.Minute {
		t.Errorf("open %v, %s left, want the window's own 5m", w.Open, w.Left)
	}
	c = c.Rebased(back)
	if w := c.Window(back.Add(4 * time.Minute)); w.Left != time.Minute {
		t.Errorf("rebased: %s left four minutes later, want 1m", w.Left)
	}
	if c.Rebased(back.Add(time.Minute)) != c {
		t.Error("rebasing again changed the state")
	}
}

func TestAClockThatJumpsForwardEndsAProvenWindow(t *testing.T) {
	c := served(Cluster{}.Established(emergency(2, noon), Defaults()), noon, after(time.Minute))
	if w := c.Window(after(time.Hour)); w.Open {
		t.Errorf("still open: %s", w.Reason)
	}
}

func TestRebasingChangesNothingWhileClocksBehave(t *testing.T) {
	c := Cluster{}.Established(emergency(2, noon), Defaults()).AttemptFailed(after(time.Second))
	if got := c.Rebased(after(time.Second)); got != c {
		t.Errorf("got %+v, want %+v", got, c)
	}
}

func TestServiceProvesAPrimary(t *testing.T) {
	fresh := Cluster{}.Established(emergency(2, noon), Defaults())
	rows := []struct {
		name         string
		c            Cluster
		at           time.Time
		proven, open bool
	}{
		{"not before it lasted a minute", served(fresh, noon, after(59*time.Second)), after(59 * time.Second), false, true},
		{"after a minute", served(fresh, noon, after(60*time.Second)), after(60 * time.Second), true, true},
		{"half the window ends it", served(fresh, noon, after(150*time.Second)), after(150 * time.Second), true, false},
		{"not when doubted in between",
			served(served(fresh, noon, after(40*time.Second)).Doubted(), after(41*time.Second), after(80*time.Second)), after(80 * time.Second), false, true},
		{"a doubt after the proof does not take it back", served(fresh, noon, after(70*time.Second)).Doubted(), after(70 * time.Second), true, true},
		{"a doubt after the proof delays the early end",
			served(served(fresh, noon, after(70*time.Second)).Doubted(), after(71*time.Second), after(151*time.Second)), after(151 * time.Second), true, true},
		{"not by two looks an hour apart", fresh.Proved(noon).Proved(after(time.Hour)), after(time.Hour), false, true},
		{"not by looks on both sides of a clock that jumped back", fresh.Proved(after(2 * time.Minute)).Proved(noon), noon, false, true},
		{"by a minute of service after the clock jumped back",
			served(fresh.Proved(after(2*time.Minute)), noon, after(time.Minute)), after(time.Minute), true, true},
		{"also after the window's time has passed", served(fresh, after(time.Hour), after(time.Hour+time.Minute)), after(time.Hour + time.Minute), true, false},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if proven := !r.c.Proven.IsZero(); proven != r.proven {
				t.Errorf("proven %v, want %v", proven, r.proven)
			}
			if open := r.c.Window(r.at).Open; open != r.open {
				t.Errorf("open %v, want %v", open, r.open)
			}
		})
	}
}

func TestALongerWindowAsksForALongerProof(t *testing.T) {
	c := Cluster{}.Established(emergency(2, noon), Defaults()).Established(emergency(3, after(time.Hour)), Defaults())
	c = served(c, after(time.Hour), after(time.Hour+299*time.Second))
	if !c.Window(after(time.Hour + 299*time.Second)).Open {
		t.Error("a window of ten minutes ended before five minutes of service")
	}
	if c = c.Proved(after(time.Hour + 300*time.Second)); c.Window(after(time.Hour + 300*time.Second)).Open {
		t.Error("it did not end after five")
	}
}

func TestReportingServiceOftenChangesTheStateSeldom(t *testing.T) {
	c := Cluster{}.Established(emergency(2, noon), Defaults())
	saves := 0
	for ms := range 600_000 / 250 {
		next := c.Proved(after(time.Duration(ms) * 250 * time.Millisecond))
		if next != c {
			saves++
		}
		c = next
	}
	if saves > 25 {
		t.Errorf("%d saves in ten minutes of service", saves)
	}
}

func TestPausesAfterFailedAttemptsDoubleUpToHalfAMinute(t *testing.T) {
	var c Cluster
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
		c = c.AttemptFailed(noon)
		if left := c.retryLeft(noon); left != want*time.Second {
			t.Errorf("after %d failures: %s, want %s", i+1, left, want*time.Second)
		}
	}
	if left := c.AttemptsReset().retryLeft(noon); left != 0 {
		t.Errorf("after a reset: %s", left)
	}
	if left := c.retryLeft(after(-time.Hour)); left != 30*time.Second {
		t.Errorf("with the clock an hour back: %s", left)
	}
	if left := c.Rebased(after(-time.Hour)).retryLeft(after(-time.Hour + 20*time.Second)); left != 10*time.Second {
		t.Errorf("rebased, twenty seconds later: %s", left)
	}
}

func TestAnEstablishedChangeForgetsFailedAttempts(t *testing.T) {
	c := Cluster{}.AttemptFailed(noon).Established(planned(2, noon), Defaults())
	if c.Attempts != 0 || c.retryLeft(noon) != 0 {
		t.Errorf("got %+v", c)
	}
}
