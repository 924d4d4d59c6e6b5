package orchestrator

import (
	"context"
	"errors"
	"time"
)

// ErrStoreSilent: the store does not answer this elector, so it can hold no lock and changes nothing.
var ErrStoreSilent = errors.New("the store does not answer this elector")

// storeSilence is since when the store has not answered this elector, and what the last attempt met; a zero time while it
// does answer, and where nobody listens for it.
func (o *Orchestrator) storeSilence() (since time.Time, why string) {
	if o.settings.Silence == nil {
		return time.Time{}, ""
	}
	since, err := o.settings.Silence(o.settings.Runtime.Now())
	if err != nil {
		why = err.Error()
	}
	return since, why
}

func (o *Orchestrator) storeSilent() bool {
	since, _ := o.storeSilence()
	return !since.IsZero()
}

// recollectEvery is how often the servers are asked for what they remember of their leaders, while nothing better is
// known.
const recollectEvery = 5 * time.Second

// recollect learns from the servers' journals who leads, for as long as the store does not answer: an elector that was
// restarted meanwhile has routers and people to tell. Nothing is put on record.
func (c *cluster) recollect(ctx context.Context, now time.Time) {
	if c.lease != nil || c.busy || c.snapshot.StoreSilent.IsZero() || !c.storeBehind() || now.Sub(c.recollected) < recollectEvery {
		return
	}
	c.recollected = now
	c.fromJournals(ctx, now)
}

// fromJournals takes over, in memory, what the servers know of a leadership that is not on record; the text says why it
// could not be. How many terms it leaves out goes with it: when the store answers, what is on record there counts again.
func (c *cluster) fromJournals(ctx context.Context, now time.Time) (why string) {
	found, doubt := c.journaled(ctx, now)
	if doubt.text != "" {
		return doubt.text
	}
	c.lineage = found
	c.diagnose(now)
	return ""
}
