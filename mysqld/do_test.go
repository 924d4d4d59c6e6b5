package mysqld_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/internal/stopwatchtest"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestASequenceEndsAtItsFirstFailureAndOtherServersGoOn(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	bad, later := w.command(reparent.Antidote, 1, term), w.command(reparent.Freeze, 1, term)
	results := f.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{
		in(bad), in(w.command(reparent.Read, 2, term)), in(later), in(w.command(reparent.AwaitApplied, 2, term)),
	}})
	var outcomes []string
	for _, r := range results {
		outcomes = append(outcomes, string(r.Outcome))
	}
	if got := strings.Join(outcomes, " "); got != "no yes skipped yes" {
		t.Error(got)
	}
	w.receiving(1)
}

func in(c reparent.Command) reparent.Command {
	c.Cluster, c.Deadline = cluster, 10*time.Second
	return c
}

func TestABatchThatHasEnoughWaitsForNobodyBeyondItsGrace(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	slow := in(w.command(reparent.AwaitApplied, 1, term))
	slow.Set = topology.Marker{Term: 1}.Set()
	watch := stopwatchtest.Start(t)
	results := f.Do(t.Context(), orchestrator.Batch{
		Commands: []reparent.Command{slow, in(w.freeze(1, term)), in(w.command(reparent.AwaitApplied, 2, term))},
		Enough:   func(results []reparent.Result) bool { return results[2].Done() },
		Grace:    20 * time.Millisecond,
	})
	if took := watch.Took(); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	if results[0].Outcome != reparent.Unknown || results[0].Reason != reparent.ReasonAbandoned || results[1].Outcome != reparent.Skipped || !results[2].Done() {
		t.Errorf("%+v", results)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	w.receiving(1)
}

func TestASequenceThatWasAbandonedBeginsNothingMore(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.caughtUp()
	source := gtid.Source{UUID: f.Probe(t.Context(), w.address(0)).UUID}
	slow := in(w.command(reparent.AwaitApplied, 1, term))
	slow.Set = gtid.Range(source, 1, w.executed(0).Next(source))
	f.Do(t.Context(), orchestrator.Batch{
		Commands: []reparent.Command{slow, in(w.freeze(1, term)), in(w.command(reparent.AwaitApplied, 2, term))},
		Enough:   func(results []reparent.Result) bool { return results[2].Done() },
	})
	w.mustWrite(0) // now the abandoned command succeeds
	w.caughtUp()
	w.stand(f, 1, term) // its turn comes after the abandoned one's
	w.receiving(1)
}

func TestACallerWhoLosesItsLeaseCutsItsCommandsOff(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stand(f, 1, term)
	ctx, cancel := context.WithCancel(t.Context())
	slow := in(w.command(reparent.AwaitApplied, 1, term))
	slow.Set, slow.Deadline = topology.Marker{Term: 1}.Set(), time.Minute
	results := make(chan []reparent.Result, 1)
	go func() {
		results <- f.Do(ctx, orchestrator.Batch{Commands: []reparent.Command{slow, in(w.freeze(1, term))}})
	}()
	w.eventually(1, "1", "SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_info LIKE 'SELECT WAIT_FOR_EXECUTED%' AND processlist_id <> CONNECTION_ID()")
	cancel()
	if r := <-results; r[0].Outcome != reparent.No || r[1].Outcome != reparent.Skipped {
		t.Errorf("%+v", r)
	}
	w.receiving(1)
}

func TestAClosedFleetLeavesNothingBehind(t *testing.T) {
	w := realStage(t)
	ignore := goleak.IgnoreCurrent()
	f, term := w.elector("elector-1"), w.term()
	slow := in(w.command(reparent.AwaitApplied, 1, term))
	slow.Set, slow.Deadline = topology.Marker{Term: 1}.Set(), time.Hour
	f.Do(t.Context(), orchestrator.Batch{
		Commands: []reparent.Command{slow, in(w.freeze(2, term))},
		Enough:   func(results []reparent.Result) bool { return results[1].Done() },
	})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore)
	if r := f.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{in(w.freeze(1, term))}})[0]; r.Outcome != reparent.Skipped {
		t.Errorf("a closed fleet: %+v", r)
	}
}
