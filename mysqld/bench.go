package mysqld

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

var _ orchestrator.Bench = (*Fleet)(nil)

// job is one step of a settlement while it is carried out, on the fenced session of its server. It holds the session's
// turn: other commands of the same term wait, those of a higher one end it.
type job struct {
	*act
	task settle.Task
	tell func(settle.Progress)
	// applied is the part of the set that the server has executed, once that was read.
	applied gtid.Set
}

// Work implements orchestrator.Bench.
func (f *Fleet) Work(ctx context.Context, cluster string, term uint32, t settle.Task, tell func(settle.Progress)) settle.Result {
	begun := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	r := f.work(ctx, cluster, term, t, tell)
	r.Took = time.Since(begun)
	return r
}

func (f *Fleet) work(ctx context.Context, cluster string, term uint32, t settle.Task, tell func(settle.Progress)) settle.Result {
	if t.Step == settle.StepExport {
		return f.export(ctx, t)
	}
	tenure, err := f.tenure(cluster, term)
	if err != nil {
		return failedStep(ctx, err)
	}
	s, err := tenure.session(t.Server)
	if err != nil {
		return failedStep(ctx, err)
	}
	if r := beginStep(ctx, s, t); r.Outcome != reparent.Yes {
		return r
	}
	defer s.finish()
	command := reparent.Command{Verb: reparent.Verb(t.Step), Server: t.Server, Cluster: cluster, Term: term}
	j := &job{act: &act{session: s, command: command}, task: t, tell: tell}
	return j.do(ctx)
}

// sessionTime bounds how long a step waits for its session: on a server that accepts connections and answers none it would
// wait for ever, for the loop sets no bound of its own.
const sessionTime = 15 * time.Second

func beginStep(ctx context.Context, s *session, t settle.Task) settle.Result {
	ctx, cancel := context.WithTimeout(ctx, sessionTime)
	defer cancel()
	err := s.begin(ctx)
	if err == nil {
		return settle.Result{Outcome: reparent.Yes}
	}
	r := failedStep(ctx, err)
	if awaitsStart(t, r) {
		return awaitedStart(t, r.Detail)
	}
	return r
}

// do picks who carries the step out: each kind has a file of its own.
func (j *job) do(ctx context.Context) settle.Result {
	switch j.task.Kind {
	case settle.KindRewind:
		return j.stepped(ctx, j.rewindStep)
	case settle.KindClone:
		return j.clone(ctx)
	case settle.KindKeep:
		return j.stepped(ctx, j.keepStep)
	case settle.KindDiscard:
		return j.stepped(ctx, j.discardStep)
	}
	return settle.NotAvailable(j.task)
}

// failedStep tells what a step's error means: what MySQL or a condition refused is a No, anything else was cut off.
func failedStep(ctx context.Context, err error) settle.Result {
	r := answer(ctx, topology.Observation{}, true, err)
	return settle.Result{Outcome: r.Outcome, Code: string(r.Reason), Detail: r.Detail}
}

// refusedStep is a step that no further try would do.
func refusedStep(code, format string, args ...any) settle.Result {
	return settle.Result{Outcome: reparent.No, Final: true, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// doneStep is a step that was done.
func doneStep(format string, args ...any) settle.Result {
	return settle.Result{Outcome: reparent.Yes, Detail: fmt.Sprintf(format, args...)}
}
