package failpoint

import (
	"context"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

// Fleet puts the trap between the loop and its servers.
func (t *Trap) Fleet(f orchestrator.Fleet) orchestrator.Fleet { return &servers{f, t} }

type servers struct {
	orchestrator.Fleet
	trap *Trap
}

// Do lets the steps of changes by, repairs and the adoption unseen.
func (s *servers) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	if batch.Phase == "" || batch.Kind == reparent.KindAdoption {
		return s.Fleet.Do(ctx, batch)
	}
	step := string(batch.Phase)
	s.trap.at(batch.Kind, Before, step)
	if enough := batch.Enough; enough != nil {
		batch.Enough = func(results []reparent.Result) bool {
			s.trap.at(batch.Kind, During, step)
			return enough(results)
		}
	}
	results := s.Fleet.Do(ctx, batch)
	s.trap.at(batch.Kind, After, step)
	return results
}

// EndTerm passes on what a fleet may offer besides: the loop has to find it behind the trap as well.
func (s *servers) EndTerm(cluster string, term uint32) {
	if f, keeps := s.Fleet.(interface{ EndTerm(string, uint32) }); keeps {
		f.EndTerm(cluster, term)
	}
}
