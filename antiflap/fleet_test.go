package antiflap

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

func ask(t *testing.T, f Fleet, cluster string, at time.Time) (Clearance, bool) {
	t.Helper()
	c, _, ok := Defaults().Clear(Request{Cluster: cluster, Automatic: true, Now: at}, Cluster{}, f)
	return c, ok
}

func TestAChangeCountsForTheBrakeFromTheMomentItBegins(t *testing.T) {
	var f Fleet
	for i := range 3 {
		c, ok := ask(t, f, fmt.Sprintf("shop-%d", i), noon)
		if !ok {
			t.Fatalf("change %d was refused", i)
		}
		f = f.Started(c)
	}
	if _, ok := ask(t, f, "shop-3", after(time.Second)); ok {
		t.Error("a fourth one was cleared while three are under way")
	}
	if _, ok := ask(t, f, "shop-1", after(time.Second)); !ok {
		t.Error("a cluster was refused because of its own change that is under way")
	}
	if _, ok := ask(t, f.Ended("shop-0"), "shop-3", after(time.Second)); !ok {
		t.Error("refused after one of the three had failed")
	}
	done := f.Established(Change{Cluster: "shop-0", Term: 2, Kind: Emergency, At: after(time.Second)}, Defaults())
	if b := done.Brake(after(2*time.Second), Defaults()); !b.On || b.Changes != 3 {
		t.Errorf("establishing one of the three: %+v, want the brake on with 3", b)
	}
}

func TestChangesByHandAndPlannedOnesDoNotCountForTheBrake(t *testing.T) {
	var f Fleet
	for i := range uint64(5) {
		f = f.Established(Change{Cluster: "a", Term: i + 1, Kind: Emergency, At: noon, Operator: "ada"}, Defaults())
		f = f.Established(Change{Cluster: "b", Term: i + 1, Kind: Planned, At: noon}, Defaults())
		c, _, _ := Defaults().Clear(Request{Cluster: "c", Operator: "ada", Now: noon}, Cluster{}, f)
		f = f.Started(c).Started(Clearance{})
	}
	if b := f.Brake(noon, Defaults()); b.Changes != 0 {
		t.Errorf("counted %d", b.Changes)
	}
}

func TestAChangeThatIsToldTwiceCountsOnce(t *testing.T) {
	f := Fleet{}.Established(emergency(2, noon), Defaults()).Established(emergency(2, noon), Defaults())
	if b := f.Brake(noon, Defaults()); b.Changes != 1 {
		t.Errorf("counted %d", b.Changes)
	}
}

func TestTheBrakeSaysWhenThereIsRoomAgain(t *testing.T) {
	var f Fleet
	for i := range 4 {
		f.Changes = append(f.Changes, emergency(uint64(i), after(time.Duration(i)*time.Minute)))
	}
	b := f.Brake(after(5*time.Minute), Defaults())
	if !b.On || !b.Until.Equal(after(11*time.Minute)) {
		t.Fatalf("got %+v, want it on until the second of four has left", b)
	}
	if !f.Brake(b.Until.Add(-time.Millisecond), Defaults()).On || f.Brake(b.Until, Defaults()).On {
		t.Error("the brake does not let go at the moment that it told")
	}
}

func TestOldChangesAreForgotten(t *testing.T) {
	f := Fleet{}.Established(emergency(2, noon), Defaults()).Established(emergency(3, after(10*time.Minute)), Defaults())
	if len(f.Changes) != 1 || f.Changes[0].Term != 3 {
		t.Errorf("kept %+v", f.Changes)
	}
}

func TestAClockThatJumpsBackHoldsTheBrakeNoLongerThanItsTime(t *testing.T) {
	f := Fleet{Begun: []Start{{Cluster: "x", At: noon}}}
	for i := range 3 {
		f.Changes = append(f.Changes, emergency(uint64(i), noon))
	}
	back := after(-time.Hour)
	if b := f.Brake(back, Defaults()); b.Until.After(back.Add(10 * time.Minute)) {
		t.Errorf("on until %s", b.Until)
	}
	if b := f.Rebased(back).Brake(back.Add(10*time.Minute), Defaults()); b.On {
		t.Errorf("rebased: still on after its time: %+v", b)
	}
}

func TestAFleetIsNotChangedUnderThoseWhoHoldIt(t *testing.T) {
	f := Fleet{Changes: make([]Change, 0, 8)}.Established(emergency(2, noon), Defaults())
	c, _ := ask(t, f, "x", noon)
	f = f.Started(c)
	before, _ := json.Marshal(f)
	f.Established(emergency(3, after(time.Hour)), Defaults())
	f.Ended("x")
	f.Rebased(after(-time.Hour))
	if after, _ := json.Marshal(f); string(after) != string(before) {
		t.Errorf("was %s, is %s", before, after)
	}
	var back Fleet
	if err := json.Unmarshal(before, &back); err != nil || !reflect.DeepEqual(back, f) {
		t.Errorf("read back %+v (%v), want %+v", back, err, f)
	}
}
