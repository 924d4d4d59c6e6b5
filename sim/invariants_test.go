package sim

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/gtid"
)

// breaks tells whether a world has broken a promise.
func (w *world) breaks(i Invariant) bool {
	return slices.ContainsFunc(w.report.Violations, func(v Violation) bool { return v.Invariant == i })
}

// holding makes a row a part of a server's data, as if it had been completed elsewhere and replicated.
func holding(s *server, row int64, g gtid.GTID) *transaction {
	t := &transaction{row: row}
	s.name(t, g)
	s.register(t)
	s.engine(t)
	return t
}

func TestARowThatAReaderSawAndThatIsGoneIsAVanishedRead(t *testing.T) {
	for name, row := range map[string]struct {
		acks   int
		opened bool
		gone   bool
		broken bool
	}{
		"it is there at the end": {acks: 9},
		"it is gone":             {acks: 9, gone: true, broken: true},
		"it was completed without acknowledgements": {acks: 0, gone: true},
		"its server was opened by hand":             {acks: 9, gone: true, opened: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			p := w.hosts.all[0]
			seen := &transaction{row: 7, gtid: gtid.GTID{UUID: p.uuid, Number: 7}}
			w.judge.completed(p, seen, row.acks)
			if row.opened {
				w.judge.opened = append(w.judge.opened, p.address)
			}
			w.judge.seen(p, 7)
			if !row.gone {
				holding(p, 7, seen.gtid)
			}
			w.judge.atTheEnd()
			if got := w.breaks(NoVanishingRead); got != row.broken {
				t.Errorf("broken: %t; expected %t", got, row.broken)
			}
		})
	}
}

func TestACancelledRowIsBackUnderItsOwnNameOnly(t *testing.T) {
	for name, row := range map[string]struct{ number, cancelled int64 }{
		"the client wrote it again":   {number: 8},
		"the cancelled one is there":  {number: 7, cancelled: 7},
		"both the one and the other ": {number: 8, cancelled: 7},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(1, Options{})
			p, other := w.hosts.all[0], w.hosts.all[1]
			gone := holding(other, 7, gtid.GTID{UUID: other.uuid, Number: 7})
			w.judge.conduct.cancel(gtid.Set{}, gone)
			if row.cancelled > 0 {
				p.engine(gone)
			}
			if row.number != row.cancelled {
				holding(p, 7, gtid.GTID{UUID: p.uuid, Number: row.number})
			}
			w.judge.conduct.atTheEnd(p, nil)
			if got := w.breaks(EverywhereOrGone); got != (row.cancelled > 0) {
				t.Errorf("broken: %t", got)
			}
		})
	}
}

func TestWhoIsAnsweredIsToldOfTheServerThatItAsked(t *testing.T) {
	w := newWorld(1, Options{})
	first, second := w.hosts.all[0], w.hosts.all[1]
	c := &client{world: w, name: "client", server: second.address}
	w.judge.completed(second, &transaction{row: 7, gtid: gtid.GTID{UUID: second.uuid, Number: 1}}, 9)
	w.judge.completed(first, &transaction{row: 7, gtid: gtid.GTID{UUID: first.uuid, Number: 1}}, 0) // a fence lets it go meanwhile
	w.judge.told(c, 7)
	if len(w.report.Violations) > 0 || !w.judge.promised.has(gtid.GTID{UUID: second.uuid, Number: 1}) {
		t.Errorf("%v", w.report.Violations)
	}
}
