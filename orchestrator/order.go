package orchestrator

import (
	"context"
	"fmt"
	"slices"

	"github.com/primacydb/primacy/reparent"
)

// Whoever loses an answer repeats the call, and must not have done a second thing by that:
//
//	(1) all calls of a cluster are taken by one loop, one after the other, of the elector that acts for it;
//	(2) what a call changes and the call's key are saved in one write: with the operation, or with the record. So the key
//	    is known whenever something was done, to every elector that acts later, and never when nothing was;
//	(3) before anything is done for a call, its key is looked for where (2) has put it. Where it cannot be looked for,
//	    nothing is done.
//
// An operation that has begun here and is not saved yet is in memory. If the elector dies then, it has done nothing: what
// an operation does comes after its save.

// callsKept is how many changes of a cluster, and how many other calls, are looked through for a key.
const callsKept = 20

// begun finds the operation that a wish has been granted already. It refuses a wish that was meant for another state of the
// cluster, but not because of what the first call of it has brought about.
func (c *cluster) begun(ctx context.Context, w Wish) (op reparent.Operation, found bool, err error) {
	if w.Call != (reparent.Call{}) && !w.DryRun {
		if op, found, err = c.granting(ctx, w.Call); found || err != nil {
			return op, found, err
		}
	}
	return op, false, c.meant(w)
}

// meant refuses what was asked for in another state of the cluster.
func (c *cluster) meant(w Wish) error {
	if w.Term == nil && len(w.Revisions) == 0 {
		return nil
	}
	v := c.current()
	if w.Term != nil && *w.Term != v.Term {
		return fmt.Errorf("%w: cluster %s is in term %d, not %d", ErrOtherTerm, c.name, v.Term, *w.Term)
	}
	return at(v, w.Revisions)
}

// granting looks for a call among the operations.
func (c *cluster) granting(ctx context.Context, call reparent.Call) (reparent.Operation, bool, error) {
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	all, err := c.listed(ctx, callsKept)
	if err != nil {
		return reparent.Operation{}, false, err
	}
	if running := c.inFlight(); running != nil {
		all = append(all, *running)
	}
	for _, op := range slices.Backward(all) {
		if op.Call.Key == call.Key {
			return op, true, same(op.Call, call)
		}
	}
	return reparent.Operation{}, false, nil
}

// done tells whether an order has been carried out already, or is refused.
func (c *cluster) done(o Order) (bool, error) {
	i := slices.IndexFunc(c.record.Calls, func(earlier reparent.Call) bool { return earlier.Key == o.Call.Key })
	if i >= 0 {
		return true, same(c.record.Calls[i], o.Call)
	}
	if len(o.Revisions) == 0 {
		return false, nil
	}
	return false, at(c.current(), o.Revisions)
}

func same(earlier, call reparent.Call) error {
	if earlier.Digest != call.Digest {
		return fmt.Errorf("%w: what was asked for under it before was not this", ErrCallReused)
	}
	return nil
}

// current is the view as it is now, and not as it was when the loop last told.
func (c *cluster) current() View {
	c.publish(c.snapshot.At)
	return c.view()
}

// at refuses what is meant for another revision.
func at(v View, wanted []string) error {
	now := v.Revision()
	if len(wanted) == 0 || slices.Contains(wanted, now) {
		return nil
	}
	return fmt.Errorf("%w: cluster %s is at revision %s now", ErrOtherRevision, v.Name, now)
}

// called keeps a call with what it has changed.
func (r record) called(call reparent.Call) record {
	if call == (reparent.Call{}) {
		return r
	}
	kept := append(slices.Clone(r.Calls), call)
	r.Calls = kept[max(len(kept)-callsKept, 0):]
	return r
}
