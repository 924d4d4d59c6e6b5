package orchestrator

import (
	"context"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// reopen opens the established primary again where it only restarted. That is a repair and no change of the primary: it is
// made within a window, and with automatic changes switched off. What it cannot show to be safe is left to an emergency
// change, and so is what has just failed; whether there can be such a change is another question, so it is tried again. The
// text says why it is not begun, where the primary did restart.
func (c *cluster) reopen(ctx context.Context, now time.Time) (begun bool, why because) {
	current, _ := c.lineage.History.Current()
	restarted := slices.IndexFunc(c.findings, func(f topology.Finding) bool {
		return f.Code == topology.PrimaryReadOnly && f.Remedy == topology.RemedyEmergency
	})
	if restarted < 0 || c.snapshot.Server(c.findings[restarted].Server).Incarnation == current.Incarnation {
		return false, because{}
	}
	if now.Before(c.reopenings.next) {
		return false, because{"reopening_failed", "; to open it again as it is has just failed"}
	}
	request, intent := antiflap.Request{Cluster: c.name, Operator: "primacy", Now: now}, c.intent(c.findings[restarted], now)
	clearance, _, _ := c.o.settings.Antiflap.Clear(request, c.record.Antiflap, c.brake)
	if forecast := reparent.Reopening(clearance, intent, now); !forecast.Running() {
		return false, because{obstruction(forecast.Obstacle), "; " + forecast.Obstacle.Message}
	}
	c.launch(ctx, request, intent, reparent.Reopening, now)
	return c.busy, because{"reopening_not_begun", "; it could not be begun to open it again"}
}

// countReopening puts the next attempt off after one that failed.
func (c *cluster) countReopening(op reparent.Operation, now time.Time) {
	if !op.Established.IsZero() {
		c.reopenings, c.floor = attempts{}, op.Chosen
		return
	}
	if interrupted(op) {
		return
	}
	c.reopenings.failed++
	c.reopenings.next = now.Add(min(time.Second<<min(c.reopenings.failed, 10), repairBackoffMax))
}
