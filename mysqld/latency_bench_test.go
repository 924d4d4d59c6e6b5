package mysqld_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// BenchmarkPlannedChange moves the leadership from the first server to the second and back, command by
// command, and reports the median of each in microseconds. What stands between Demote and Open is the
// write gap.
func BenchmarkPlannedChange(b *testing.B) {
	w := realStage(b)
	f, took := w.elector("elector-1"), map[string][]time.Duration{}
	w.must(f, w.command(reparent.CreateJournal, 0, w.term()))
	w.caughtUp()
	for from := 0; b.Loop(); from = 1 - from {
		w.change(f, from, 1-from, took)
	}
	for name, all := range took {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds()), name+"-us")
	}
	b.ReportMetric(0, "ns/op")
}

// change is a planned change with the third server as the acker of both.
func (w *stage) change(f *mysqld.Fleet, from, to int, took map[string][]time.Duration) {
	term := w.term()
	run := func(name string, c reparent.Command) reparent.Result {
		r := w.must(f, c)
		took[name] = append(took[name], r.Took)
		return r
	}
	with := func(verb reparent.Verb, i int) reparent.Command {
		c := w.command(verb, i, term)
		c.Acks = 1
		return c
	}
	run("fence", with(reparent.AwaitApplied, from))
	run("fence", with(reparent.AwaitApplied, to))
	run("freeze", w.freeze(2, term))
	run("prepare_source", with(reparent.PrepareSource, to))
	run("follow", w.follow(2, to, term))
	run("await_ackers", with(reparent.AwaitAckers, to))
	w.mustWrite(from)

	begun := time.Now()
	final := run("demote", with(reparent.Demote, from)).Observation.Executed
	await := with(reparent.AwaitApplied, to)
	await.Set = final
	run("await_applied", await)
	o := f.Probe(context.Background(), w.address(to))
	decision := topology.Decision{
		Cluster: cluster, Term: term, Kind: string(reparent.KindPlanned), Primary: w.address(to), PrimaryUUID: o.UUID,
		Incarnation: o.Incarnation, Base: final, Elector: "elector-1", DecidedAt: time.Now(),
	}.Sealed()
	run("enable_source", with(reparent.EnableSource, to))
	run("mark", w.mark(to, term, decision))
	run("open", with(reparent.Open, to))
	took["gap"] = append(took["gap"], time.Since(begun))

	run("detach", with(reparent.Detach, to))
	run("follow_of_the_old_primary", w.follow(from, to, term))
	w.mustWrite(to)
}
