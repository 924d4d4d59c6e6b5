package orchestrator

import (
	"context"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// Bench is where errant servers are worked on; mysqld implements it. An orchestrator without one settles nothing: what
// is errant stays quarantined. Every call ends with its context, and may be made again.
type Bench interface {
	// Decode reads what a server's binary log says of transactions. It changes nothing and needs no term.
	Decode(ctx context.Context, server topology.Address, set gtid.Set, limits settle.Limits) (settle.Transcript, error)
	// Work does one step, on a session of its own that is fenced by the term like those of a change. tell hears how far
	// it has got, from one goroutine at a time.
	Work(ctx context.Context, cluster string, term uint32, t settle.Task, tell func(settle.Progress)) settle.Result
}
