package orchestrator

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// toldBench reads a binary log in which every transaction was written by one process, but for the markers.
type toldBench struct {
	*deskBench
	process settle.Process
	markers *settle.Process // nil where they were purged
	asked   []gtid.Set
}

func (b *toldBench) Decode(_ context.Context, _ topology.Address, set gtid.Set, _ settle.Limits) (settle.Transcript, error) {
	b.asked = append(b.asked, set)
	t := settle.Transcript{Set: set}
	for s := range set.Sources() {
		p := b.process
		if _, marker := topology.MarkerOf(s.UUID); marker {
			if b.markers == nil {
				t.Missing = set.Only(func(o gtid.Source) bool { return o == s })
				continue
			}
			p = *b.markers
		}
		t.Transactions = append(t.Transactions, settle.Transaction{GTID: gtid.GTID{UUID: s.UUID, Number: 1}.String(), Process: p})
	}
	return t, nil
}

// TestTheProcessThatLedIsKnownByItsStart has A lead in a process that began at a certain second, and be killed.
func TestTheProcessThatLedIsKnownByItsStart(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	wrote := func(opened, logged time.Duration) settle.Process {
		p := settle.Process{Number: 3, Known: true, StartedAt: began.Add(opened), Stop: settle.StopNotTold}
		if logged != 0 {
			p.Began = began.Add(logged)
		}
		return p
	}
	another := &settle.Process{Number: 2, Known: true, StartedAt: began.Add(-time.Hour), Stop: settle.StopNotTold}
	same := wrote(3*time.Minute, 0)
	for _, row := range []struct {
		name    string
		process settle.Process
		markers *settle.Process
		why     string
	}{
		{"its binary log began with it", wrote(time.Second, 0), nil, ""},
		{"it recovered for minutes, and its error log says when it began", wrote(3*time.Minute, 700*time.Millisecond), nil, ""},
		{"it recovered for minutes, and wrote its marker", same, &same, ""},
		{"it recovered for minutes, and nothing else is known of it", same, nil, "another process"},
		{"it recovered for minutes, and another one wrote the marker", same, another, "another process"},
		{"its binary log began with the one that led, and by its error log it is another one", wrote(time.Second, -time.Minute), nil, "another process"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
			bench := &toldBench{process: row.process, markers: row.markers}
			d.o.settings.Bench = bench
			d.look(t)
			led, _ := d.lineage.History.Current()
			led.Incarnation = fmt.Sprintf("%s/%d/7", led.PrimaryUUID, began.Unix())
			part := gtid.Range(gtid.Source{UUID: led.PrimaryUUID}, 1, 1)
			ch := d.charge("A", part)
			ch.seen = topology.Sightings{"A": &d.servers[0]}
			why := ch.author(t.Context(), led, part)
			if (why == "") != (row.why == "") || !strings.Contains(why, row.why) {
				t.Errorf("%q, not %q", why, row.why)
			}
		})
	}
}
