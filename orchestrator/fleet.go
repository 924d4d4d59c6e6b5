package orchestrator

import (
	"context"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Fleet is the one seam to servers. mysqld implements it for real ones, sim for simulated ones.
// Failure is data on both sides: an unreachable server is an observation, a lost reply is Unknown.
type Fleet interface {
	// Watch says which servers to keep connections to and to probe; it replaces what was said before
	// for that cluster. It returns at once.
	Watch(cluster string, servers []topology.Address)
	// Observe probes the servers of a cluster now, all at once, and returns what each said, in the order
	// of Watch. It returns within the probe timeout even when none answers.
	Observe(ctx context.Context, cluster string) []topology.Observation
	// Signals says whom to tell of a server whose kept connection broke, the moment it does, so that the loop probes
	// its cluster at once instead of at the next tick. tell never blocks.
	Signals(tell func(Signal))
	// Do runs the commands of one step: those to different servers in parallel, those to one server in
	// order and only as long as each is a Yes. Results come back in the order of the commands.
	Do(ctx context.Context, batch Batch) []reparent.Result
	// Journal reads the decisions that a server holds, newest first; none when it has no journal.
	Journal(ctx context.Context, server topology.Address) ([]topology.Decision, error)
	// Probe observes any server, watched or not: discovery asks servers that are no members yet.
	Probe(ctx context.Context, server topology.Address) topology.Observation
}

// Signal says that something happened to a kept connection.
type Signal struct {
	Cluster string
	Server  topology.Address
	At      time.Time
}

// Batch is the commands of one step with when to stop waiting for them.
type Batch struct {
	Commands []reparent.Command
	// Enough is asked each time a result arrives (unfinished ones are Unknown with ReasonAbandoned);
	// once true, the rest gets Grace and is then abandoned: it may still take effect. nil waits for all.
	// It is called from one goroutine at a time.
	Enough func([]reparent.Result) bool
	Grace  time.Duration
	// Kind and Phase say of which change, and of which step of it, the commands are; both are empty for repairs. Nothing
	// is done differently for them: they tell whoever stands between the loop and its servers where the loop is.
	Kind  reparent.Kind
	Phase reparent.Phase
}
