package antiflap

import (
	"strings"
	"testing"
	"time"
)

func automatic(at time.Time) Request { return Request{Cluster: "shop", Automatic: true, Now: at} }

func gone(at time.Time) Request {
	return Request{Cluster: "shop", Automatic: true, PrimaryCertainlyGone: true, Now: at}
}

func finishing(term uint64, at time.Time) Request {
	return Request{Cluster: "shop", Automatic: true, Begun: term, Now: at}
}

func TestTheZeroClearancePermitsNothing(t *testing.T) {
	if (Clearance{}).Valid() {
		t.Error("it is valid")
	}
}

func TestWhatIsClearedAndWhatIsRefused(t *testing.T) {
	s := Defaults()
	keep := Defaults()
	keep.ReplaceGonePrimary = false
	fresh := Cluster{}.Established(emergency(2, noon), s)
	proven := served(fresh, noon, after(time.Minute))
	braked := Fleet{Changes: []Change{emergency(1, noon), emergency(2, noon), emergency(3, noon)}}
	rows := []struct {
		name    string
		s       Settings
		r       Request
		c       Cluster
		f       Fleet
		refused string
		until   time.Time
	}{
		{"the first failure of a cluster", s, automatic(noon), Cluster{}, Fleet{}, "", time.Time{}},
		{"inside a window", s, automatic(after(time.Minute)), fresh, Fleet{}, WindowOpen, after(5 * time.Minute)},
		{"inside a window, primary proven and then silent or stuck", s, automatic(after(2 * time.Minute)), proven, Fleet{}, WindowOpen, after(5 * time.Minute)},
		{"inside a window, primary proven and then certainly gone", s, gone(after(2 * time.Minute)), proven, Fleet{}, "", time.Time{}},
		{"inside a window, primary certainly gone and never proven", s, gone(after(2 * time.Minute)), fresh, Fleet{}, WindowOpen, after(5 * time.Minute)},
		{"inside a window, proven and gone, but the rule is off", keep, gone(after(2 * time.Minute)), proven, Fleet{}, WindowOpen, after(5 * time.Minute)},
		{"after the window, primary was proven", s, automatic(after(5 * time.Minute)), proven, Fleet{}, "", time.Time{}},
		{"after the window, the primary never completed writes: one change, then stop", s, automatic(after(100 * time.Hour)), fresh, Fleet{}, Unproven, time.Time{}},
		{"after the window, never proven, but certainly gone", s, gone(after(5 * time.Minute)), fresh, Fleet{}, "", time.Time{}},
		{"inside a window, to finish a change that was begun in it", s, finishing(3, after(time.Minute)), fresh, Fleet{}, "", time.Time{}},
		{"inside a window, to finish the change that opened it", s, finishing(2, after(time.Minute)), fresh, Fleet{}, WindowOpen, after(5 * time.Minute)},
		{"after the window, never proven, to finish a change that was begun since", s, finishing(3, after(time.Hour)), fresh, Fleet{}, "", time.Time{}},
		{"to finish a change that was begun, right after an attempt failed", s, finishing(3, after(time.Minute)), fresh.AttemptFailed(after(time.Minute)), Fleet{}, RetryBackoff, after(time.Minute + time.Second)},
		{"to finish a change that was begun, while the fleet brake is on", s, finishing(3, after(time.Minute)), fresh, braked, FleetBrake, after(10 * time.Minute)},
		{"never proven, acknowledged by an operator", s, automatic(after(time.Minute)), fresh.Acknowledge("ada", "seen", after(time.Second)), Fleet{}, "", time.Time{}},
		{"after a planned change", s, automatic(after(time.Second)), Cluster{}.Established(planned(2, noon), s), Fleet{}, "", time.Time{}},
		{"right after a failed attempt", s, automatic(noon), Cluster{}.AttemptFailed(noon), Fleet{}, RetryBackoff, after(time.Second)},
		{"a second after a failed attempt", s, automatic(after(time.Second)), Cluster{}.AttemptFailed(noon), Fleet{}, "", time.Time{}},
		{"the back-off holds for a primary that is gone as well", s, gone(after(2 * time.Minute)), proven.AttemptFailed(after(2 * time.Minute)), Fleet{}, RetryBackoff, after(2*time.Minute + time.Second)},
		{"while the fleet brake is on", s, automatic(after(time.Minute)), Cluster{}, braked, FleetBrake, after(10 * time.Minute)},
		{"the brake holds for a primary that is gone as well", s, gone(after(2 * time.Minute)), proven, braked, FleetBrake, after(10 * time.Minute)},
		{"when the fleet brake has let go", s, automatic(after(10 * time.Minute)), Cluster{}, braked, "", time.Time{}},
		{"with another cluster's history", s, Request{Cluster: "bank", Automatic: true, Now: noon}, fresh, Fleet{}, WrongCluster, time.Time{}},
		{"with another cluster's history, by hand", s, Request{Cluster: "bank", Now: noon}, fresh, Fleet{}, WrongCluster, time.Time{}},
		{"for no cluster at all", s, Request{Automatic: true, Now: noon}, Cluster{}, Fleet{}, WrongCluster, time.Time{}},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			clearance, refusal, ok := r.s.Clear(r.r, r.c, r.f)
			if ok != (r.refused == "") || clearance.Valid() != ok || refusal.Code != r.refused {
				t.Fatalf("ok %v, valid %v, refused %q (%s), want %q", ok, clearance.Valid(), refusal.Code, refusal.Reason, r.refused)
			}
			if !refusal.Until.Equal(r.until) {
				t.Errorf("until %s, want %s", refusal.Until, r.until)
			}
			if ok && (clearance.Cluster() != "shop" || !clearance.At().Equal(r.r.Now) || clearance.Why() == "" || !clearance.Automatic()) {
				t.Errorf("clearance %+v", clearance)
			}
			if !ok && refusal.Reason == "" {
				t.Error("a refusal without a reason")
			}
		})
	}
}

func TestWhatAnOperatorAsksForIsNeverRefusedAndTheRecordSaysWhatStoodAgainstIt(t *testing.T) {
	s := Defaults()
	fresh := Cluster{}.Established(emergency(2, noon), s)
	braked := Fleet{Changes: []Change{emergency(1, noon), emergency(2, noon), emergency(3, noon)}}
	rows := []struct {
		name string
		at   time.Time
		c    Cluster
		f    Fleet
		open bool
		says string
	}{
		{"nothing stood against it", noon, Cluster{}, Fleet{}, false, "asked for by ada"},
		{"a window was open", after(time.Minute), fresh, Fleet{}, true, "opened a window of 5m0s"},
		{"a window was held for want of proof", after(time.Hour), fresh, Fleet{}, true, "has not completed writes"},
		{"an attempt had just failed", noon, Cluster{}.AttemptFailed(noon), Fleet{}, false, "attempt 1 failed"},
		{"the brake was on", after(time.Minute), Cluster{}, braked, false, "3 automatic changes"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			clearance, _, ok := s.Clear(Request{Cluster: "shop", Operator: "ada", Now: r.at}, r.c, r.f)
			if !ok || clearance.Automatic() || clearance.WindowOpen() != r.open || !strings.Contains(clearance.Why(), r.says) {
				t.Errorf("ok %v, automatic %v, window open %v, why %q, want %v and %q", ok, clearance.Automatic(), clearance.WindowOpen(), clearance.Why(), r.open, r.says)
			}
		})
	}
}

func TestARefusedReplacementOfADeadPrimarySaysWhyBeingDeadIsNotEnough(t *testing.T) {
	off := Defaults()
	off.ReplaceGonePrimary = false
	fresh := Cluster{}.Established(emergency(2, noon), off)
	if _, refusal, _ := Defaults().Clear(gone(after(time.Second)), fresh, Fleet{}); !strings.Contains(refusal.Reason, "had not proved itself") {
		t.Errorf("unproven: %s", refusal.Reason)
	}
	if _, refusal, _ := off.Clear(gone(after(time.Second)), fresh, Fleet{}); !strings.Contains(refusal.Reason, "antiflap.replace_gone_primary") {
		t.Errorf("switched off: %s", refusal.Reason)
	}
}

func TestTheZeroSettingsAreTheDefaultsButCarefulAboutGonePrimaries(t *testing.T) {
	want := Defaults()
	want.ReplaceGonePrimary = false
	if got := (Settings{}).filled(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
