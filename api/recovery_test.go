package api

import (
	"testing"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestWhatAChangeDidNotTakeOverIsToldOfEachServerThatShowedIt(t *testing.T) {
	const source = "3e11fa47-71ca-11e1-9e33-c80aa9429562:"
	later := topology.Observation{Executed: gtid.MustParse(source + "1-90")}
	op := reparent.Operation{
		Kind: reparent.KindEmergency, State: reparent.StateSucceeded, Chosen: gtid.MustParse(source + "1-40"),
		Progress: map[topology.Address]reparent.Progress{
			db1: {Reading: &topology.Observation{Executed: gtid.MustParse(source + "1-41"), Received: gtid.MustParse(source + "42")}},
			db2: {Reading: &later, Judged: &topology.Observation{Executed: gtid.MustParse(source + "1-40")}},
			db3: {},
		},
	}
	for name, row := range map[string]struct {
		kind  reparent.Kind
		state reparent.State
		want  string
	}{
		"a primary was replaced":                {reparent.KindEmergency, reparent.StateSucceeded, source + "41-42"},
		"nothing came of it":                    {reparent.KindEmergency, reparent.StateBlocked, ""},
		"a primary goes on and cancels nothing": {reparent.KindReopening, reparent.StateSucceeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			op.Kind, op.State = row.kind, row.state
			told := recoveryOf(op).Certificate.Servers
			if len(told) != 3 || told[0].LeftOut != row.want || told[1].LeftOut != "" || told[2].LeftOut != "" {
				t.Errorf("got %+v, want %q of the first alone", told, row.want)
			}
		})
	}
}
