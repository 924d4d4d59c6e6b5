package topology

import (
	"reflect"
	"testing"
	"time"
)

func TestTheGlanceAtSettingsSeesWhatTheRequirementsSee(t *testing.T) {
	wellSet := func() *Observation {
		return &Observation{
			Settings: Settings{
				GTIDMode: "ON", EnforceGTIDConsistency: "ON", LogBin: true, LogReplicaUpdates: true, BinlogFormat: "ROW", BinlogRowImage: "FULL",
				SyncBinlog: 1, FlushLogAtCommit: 1, SkipReplicaStart: true, BootReadOnly: true, PreserveOrder: true,
			},
			Replication: &Replication{AutoPosition: true, HeartbeatEvery: time.Second},
		}
	}
	broken := func(o *Observation) (names []string) {
		for _, r := range requirements {
			if r.broken(o) {
				names = append(names, r.name)
			}
		}
		return names
	}
	if o := wellSet(); !fine(o) || len(broken(o)) > 0 {
		t.Fatalf("fine: %t, broken: %v", fine(o), broken(o))
	}
	seen := map[string]bool{}
	check := func(o *Observation) {
		names := broken(o)
		if fine(o) != (len(names) == 0) {
			t.Errorf("fine: %t, broken: %v in %+v, %+v", fine(o), names, o.Settings, o.Replication)
		}
		for _, name := range names {
			seen[name] = true
		}
	}
	for _, part := range []func(*Observation) reflect.Value{
		func(o *Observation) reflect.Value { return reflect.ValueOf(&o.Settings).Elem() },
		func(o *Observation) reflect.Value { return reflect.ValueOf(o.Replication).Elem() },
	} {
		for i := range part(wellSet()).NumField() {
			o := wellSet()
			switch f := part(o).Field(i); f.Kind() {
			case reflect.Bool:
				f.SetBool(!f.Bool())
			case reflect.String:
				f.SetString("another")
			case reflect.Int, reflect.Int64:
				f.SetInt(int64(time.Hour))
			default:
			}
			check(o)
		}
	}
	if len(seen) != requirementsMost {
		t.Errorf("only %d of %d requirements were broken: %v", len(seen), requirementsMost, seen)
	}
	o := wellSet()
	o.Replication = nil
	check(o)
}
