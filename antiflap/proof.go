package antiflap

import "time"

// gapMax is how long the primary may go unseen, at least, before its good service counts from the start again: what
// nobody watched proves nothing.
const gapMax = 10 * time.Second

// Proved takes note that now the established primary completes writes and its ackers follow. To be called on every
// round that saw this; it changes the value only now and then.
//
// Two things come of it. After ProvenAfter of it the primary has proved itself: it may be replaced inside the window if
// it is certainly gone. When it has lasted for half the window (and not less than ProvenAfter), the window ends early.
// The second takes longer than the first because a primary that works for a minute and stalls in the next is exactly
// what a window is for, and because a longer window should ask for a longer proof.
func (c Cluster) Proved(now time.Time) Cluster {
	if !c.wantsProof(now) {
		return c
	}
	now = wall(now)
	c = c.seenServing(now)
	run := now.Sub(c.Proving)
	if run >= c.proveFor() && c.Proven.IsZero() {
		c.Proven = now
	}
	if run >= max(c.proveFor(), c.length()/2) {
		return c.ended(now, named(c.Last.To)+" proved itself")
	}
	return c
}

// Doubted takes note that the primary was seen not completing writes, or not followed by its ackers. Its good service
// counts from the start again; a proof that was complete stays one.
func (c Cluster) Doubted() Cluster {
	c.Proving, c.ProvingTo = time.Time{}, time.Time{}
	return c
}

// wantsProof is false once a proof can change nothing more.
func (c Cluster) wantsProof(now time.Time) bool { return c.isOpen(now) }

// seenServing extends the run of good service, or starts one. The run's end is moved in steps of a quarter of the gap
// that would break it, so that a caller that saves each difference saves now and then and not on every probe.
func (c Cluster) seenServing(now time.Time) Cluster {
	unseen, gap := now.Sub(c.ProvingTo), max(gapMax, c.proveFor()/2)
	switch {
	case c.Proving.IsZero() || unseen < 0 || unseen > gap:
		c.Proving, c.ProvingTo = now, now
	case unseen >= gap/4:
		c.ProvingTo = now
	}
	return c
}

func (c Cluster) proveFor() time.Duration { return time.Duration(c.ProveForMS) * time.Millisecond }
