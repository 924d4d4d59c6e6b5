package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// act does what the findings call for, one thing at a time: take over what was left, replace the primary,
// record the first term, set replication right.
func (c *cluster) act(ctx context.Context, now time.Time) {
	if c.lease == nil || c.busy {
		return
	}
	if !c.lease.Held(now) {
		c.follow("its time ran out")
		return
	}
	if !c.outbid(ctx, now) {
		return
	}
	c.audit(ctx, now)
	c.keepRecord(ctx, now)
	c.repay(ctx)
	if c.storeBehind() {
		c.catchUp(ctx, now)
		return
	}
	if c.lineage.Running != "" {
		c.retake(ctx, now)
		return
	}
	if c.leftUnsaved { // a store that refuses it keeps us from nothing that we can do without
		c.endOnRecord(ctx, now)
	}
	if c.evident(ctx, now) {
		return
	}
	wanted, found := c.wanted(topology.RemedyEmergency)
	if !found {
		c.refuse(because{}, nil, now)
	}
	switch adopt, unrecorded := c.wanted(topology.RemedyAdopt); {
	case found:
		begun, why := false, because{}
		if !c.rulesOutdated() {
			begun, why = c.reopen(ctx, now)
		}
		if !begun {
			c.emergency(ctx, wanted, why, now)
		}
		if !c.busy {
			c.repair(now)
		}
	case unrecorded && c.rulesOutdated():
		c.refuse(regarding(adopt, because{"rules_outdated", adopt.Message + ", but it is not adopted under rules that are older than those of its leadership"}), nil, now)
		c.repair(now)
	case unrecorded:
		c.adopt(ctx, adopt, now)
	default:
		c.repair(now)
		c.settleErrant(ctx, now)
		c.reorder(ctx, now)
	}
	c.goOnHalting(ctx, now)
}

// outbid draws a term above one that servers are acted on under, when ours is not: whoever holds the lock is the one to
// act, also after the store was restored from a backup that knows less than the servers' sessions do.
func (c *cluster) outbid(ctx context.Context, now time.Time) bool {
	if c.owner < c.sessionTerm {
		return true
	}
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	term, err := c.drawTerm(ctx, c.lease, c.owner)
	if err != nil {
		c.refuse(because{"no_term", fmt.Sprintf("servers are acted on under term %d and a higher one could not be drawn: %v", c.owner, err)}, nil, now)
		return false
	}
	c.sessionTerm = term
	return true
}

func (c *cluster) wanted(r topology.Remedy) (topology.Finding, bool) {
	for _, f := range c.findings {
		if f.Remedy == r {
			return f, true
		}
	}
	return topology.Finding{}, false
}

// retake takes up an operation of this elector that was interrupted while the lock stayed ours.
func (c *cluster) retake(ctx context.Context, now time.Time) {
	d, err := c.loadUnfinished(ctx, c.lineage.Running)
	if err != nil {
		return
	}
	if d == nil {
		c.dropRunning(ctx, "operation %s is not in the store any more, and is given up", now)
		return
	}
	c.takeOver(ctx, *d, now)
}

// takeOver goes on with what was left unfinished, unless the servers know more than the record that it stands in: that
// has to be caught up with first. What stands there as unfinished was over before this elector began a later change: to undo
// it now would open a primary that has been replaced since.
func (c *cluster) takeOver(ctx context.Context, op reparent.Operation, now time.Time) {
	if c.left.Term > op.Term {
		c.dropRunning(ctx, "operation %s was over before the last change of this elector began, which the store has forgotten: it was put back to an earlier state", now)
		return
	}
	sight := c.firstSight(ctx)
	if c.storeBehind() {
		return
	}
	if why := c.outlived(sight); why != "" {
		c.refuse(because{"unfinished " + op.ID, fmt.Sprintf("operation %s was left unfinished, and %s", op.ID, why)}, nil, now)
		return
	}
	if c.knowsBetter(op) {
		if !c.left.Running() {
			c.endOnRecord(ctx, now)
			return
		}
		op = c.left
	}
	c.begin(reparent.TakeOver(op, c.sessionTerm, c.o.settings.Elector, sight, now), c.lease)
}

// knowsBetter tells whether what the record calls unfinished was given up, or its marker acknowledged, under this very elector: the
// store or the lock was away when that was to be put on record. A decision that stands there was withdrawn, for its marker was
// never sent, and what was stopped may still have to be released; or it was seen to become durable, which stays true whoever
// can be reached by now. And a marker that may have been written is not undone because the store went back behind its decision.
// Of any other end the servers are asked anew.
func (c *cluster) knowsBetter(op reparent.Operation) bool {
	left := &c.left
	return left.ID == op.ID && left.Elector == op.Elector && left.SessionTerm == op.SessionTerm && left.Kind != reparent.KindRules &&
		(left.Decision == nil && (!left.Running() || left.Phase == reparent.PhaseReleasing) || !left.Established.IsZero() || left.MarkSent && op.Decision == nil)
}

// endOnRecord puts there how the last operation ended, or has it tried again. What was counted of it without the store is
// told to the brake now.
func (c *cluster) endOnRecord(ctx context.Context, now time.Time) {
	before := c.lineage
	c.lineage = c.lineage.with(c.left)
	if err := c.saveLineage(ctx, operationDocument(c.left)); err != nil {
		c.lineage = before
		return
	}
	c.leftUnsaved = false
	if c.brake.UnderWay(c.name) {
		c.updateBrake(ctx, func(f antiflap.Fleet) antiflap.Fleet {
			if c.left.Established.IsZero() {
				return f.Ended(c.name)
			}
			return f.Established(changeOf(c.left), c.o.settings.Antiflap)
		})
	}
	c.o.events.Tell(Event{
		Kind: EventStore, At: now, Cluster: c.name, RecoveryID: c.left.ID,
		Text: fmt.Sprintf("operation %s, which ended (%s) while the store was away, is on record now", c.left.ID, c.left.State),
	})
}

// dropRunning goes on without an operation of which the store, restored from a backup, does not know, or not that it is over.
// Whom it chose, if anybody, stays on record as a possible leader, and is revoked by the next change; replicas that it stopped
// are the repair's.
func (c *cluster) dropRunning(ctx context.Context, why string, now time.Time) {
	before := c.lineage
	c.lineage.Running = ""
	if err := c.saveLineage(ctx); err != nil {
		c.lineage = before
		return
	}
	c.o.events.Tell(Event{
		Kind: EventStore, At: now, Cluster: c.name, RecoveryID: before.Running,
		Text: fmt.Sprintf(why, before.Running),
	})
}

// keepRecord notes what must outlive this process: which processes were seen, and how the new primary
// is proving itself. It writes only when something changed.
func (c *cluster) keepRecord(ctx context.Context, now time.Time) {
	before := c.record.Antiflap
	c.record.Antiflap = c.record.Antiflap.Rebased(now)
	if _, led := c.lineage.History.Current(); led && servedBy(c.findings) {
		c.record.Antiflap = c.record.Antiflap.Proved(now)
	} else {
		c.record.Antiflap = c.record.Antiflap.Doubted()
	}
	changed := c.record.Antiflap != before || c.aged(now) || c.noted || c.expire(now)
	if c.sawOthers() {
		changed, c.record.Seen = true, c.processes()
	}
	if changed {
		c.noted = false
		c.saveRecord(ctx)
	}
}

// sawOthers tells whether other processes were seen than those on record, or the same otherwise.
func (c *cluster) sawOthers() bool {
	if len(c.lastSeen) != len(c.record.Seen) {
		return true
	}
	for a, known := range c.record.Seen {
		if o, seen := c.lastSeen[a]; !seen || known != identityOf(o) {
			return true
		}
	}
	return false
}

// processes are those that were last seen at each address.
func (c *cluster) processes() map[topology.Address]identity {
	seen := make(map[topology.Address]identity, len(c.lastSeen))
	for a, o := range c.lastSeen {
		seen[a] = identityOf(o)
	}
	return seen
}

// aged tells whether what is on record of an open window is so old that somebody who took over would start much of it
// again: times of another clock count from the moment at which they were saved.
func (c *cluster) aged(now time.Time) bool {
	w := c.record.Antiflap
	return now.Before(w.Until) && now.Sub(c.record.SavedAt) > w.Until.Sub(w.Opened)/8 && w.Window(now).Open
}

// emergency replaces the primary by itself, if the switch, anti-flapping and the prospects permit. Besides is what a refusal
// says more: why it is not opened again as it is.
func (c *cluster) emergency(ctx context.Context, f topology.Finding, besides because, now time.Time) {
	if sw := c.automation(); !sw.On {
		text := fmt.Sprintf("%s, but automatic changes are switched off (%s %s)", f.Message, sw.By, sw.Reason)
		c.refuse(regarding(f, because{"switched_off", text}).and(besides), nil, now)
		return
	}
	if c.rulesOutdated() {
		text := fmt.Sprintf("%s, but the rules on record are older than those that it was made the primary under: what was acknowledged might be looked for at too few servers", f.Message)
		c.refuse(regarding(f, because{"rules_outdated", text}).and(besides), nil, now)
		return
	}
	request := antiflap.Request{Cluster: c.name, Automatic: true, PrimaryCertainlyGone: f.Certain, Begun: begun(c.lineage.History, c.snapshot), Now: now}
	clearance, refusal, ok := c.o.settings.Antiflap.Clear(request, c.record.Antiflap, c.brake)
	if !ok {
		c.refuse(regarding(f, because{refusal.Code, refusalText(f, refusal)}).and(besides), nil, now)
		return
	}
	intent := c.intent(f, now)
	if forecast := reparent.Emergency(clearance, intent, now); !forecast.Running() {
		why := because{obstruction(forecast.Obstacle), fmt.Sprintf("%s, but it cannot be replaced: %s", f.Message, forecast.Obstacle.Message)}
		c.refuse(regarding(f, why).and(besides), forecast.Obstacle, now)
		return
	}
	intent.Foreseen = true
	c.launch(ctx, request, intent, reparent.Emergency, now)
}

// begun is the term of a change that was begun and whose outcome is unknown, while nobody is seen to take writes: what it
// closed stays closed until it is finished. 0 when there is none. A chosen server that does not answer us may take them as long
// as a member receives from it.
func begun(h topology.History, s topology.Snapshot) uint64 {
	n := len(h.Leaderships)
	if n == 0 || h.Leaderships[n-1].Established() {
		return 0
	}
	last := h.Leaderships[n-1]
	seen := s.Server(last.Primary).OK()
	for i := range s.Servers {
		o := &s.Servers[i]
		if o.Writable() && !s.Deserted(o, last.Primary) || !seen && receivesFrom(o, last.Primary) {
			return 0
		}
	}
	return uint64(last.Term)
}

func receivesFrom(o *topology.Observation, source topology.Address) bool {
	return o.OK() && o.Replication != nil && o.Replication.Source == source && o.Replication.Receiver == topology.ThreadOn
}

func refusalText(f topology.Finding, r antiflap.Refusal) string {
	text := fmt.Sprintf("%s, but it is not replaced: %s", f.Message, r.Reason)
	if r.Lift != "" {
		text += "; to lift this: " + r.Lift
	}
	return text
}

func (c *cluster) intent(f topology.Finding, now time.Time) reparent.Intent {
	detected := c.snapshot.Server(f.Server).FailingSince
	if detected.IsZero() {
		detected = f.Since
	}
	return reparent.Intent{
		Elector: c.o.settings.Elector, Snapshot: c.snapshot, History: c.history(),
		Cause: string(f.Code) + ": " + f.Message, Evidence: f.Evidence, Timing: c.o.settings.Timing, DetectedAt: detected,
	}
}

type maker func(antiflap.Clearance, reparent.Intent, time.Time) reparent.Operation

// errBraked stops the update of the brake when it turns out to be on.
var errBraked = errors.New("the fleet brake is on")

// launch gets the final clearance against the shared brake and the term, both at once, and begins.
func (c *cluster) launch(ctx context.Context, request antiflap.Request, in reparent.Intent, make maker, now time.Time) {
	clearance, refusal, err := c.clear(ctx, request)
	if errors.Is(err, errBraked) {
		c.refuse(because{refusal.Code, refusal.Reason}, nil, now)
		return
	}
	if err != nil {
		c.refuse(unanswered(err), nil, now)
		return
	}
	op, err := c.operation(ctx, c.lease, clearance, in, make)
	if err != nil {
		c.refuse(unanswered(err), nil, now)
		return
	}
	if !op.Running() {
		c.refuse(because{obstruction(op.Obstacle), op.Obstacle.Message}, op.Obstacle, now)
		c.updateBrake(ctx, func(f antiflap.Fleet) antiflap.Fleet { return f.Ended(c.name) })
		return
	}
	c.begin(op, c.lease)
}

// operation draws the term and makes the operation that acts under it.
func (c *cluster) operation(ctx context.Context, lease Lease, clearance antiflap.Clearance, in reparent.Intent, make maker) (reparent.Operation, error) {
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	term, err := c.drawTerm(ctx, lease, c.usedTerm())
	if err != nil {
		return reparent.Operation{}, err
	}
	c.sessionTerm = term
	in.Term, in.ID = term, reparent.OperationID(c.name, term)
	return make(clearance, in, c.now()), nil
}

// usedTerm is the highest term that this elector knows of. That includes those under which it acted before it lost the lock,
// for a store that went back gives them out again, and that of the last change that was counted: once everybody has lost their
// data and the store was emptied nothing else shows it, and what is not above it is taken for old news.
func (c *cluster) usedTerm() uint32 {
	return max(c.owner, c.sessionTerm, c.lineage.highestTerm(), uint32(min(c.record.Antiflap.Last.Term, maxTerm)))
}

// clear asks anti-flapping with the brake as it is in the store, and counts the change there in the same
// transaction: when a rack dies, clusters ask at the same moment.
func (c *cluster) clear(ctx context.Context, request antiflap.Request) (antiflap.Clearance, antiflap.Refusal, error) {
	var clearance antiflap.Clearance
	var refusal antiflap.Refusal
	if !request.Automatic {
		clearance, _, _ = c.o.settings.Antiflap.Clear(request, c.record.Antiflap, c.brake)
		return clearance, refusal, nil
	}
	err := c.editBrake(ctx, func(f antiflap.Fleet) (antiflap.Fleet, error) {
		var ok bool
		if clearance, refusal, ok = c.o.settings.Antiflap.Clear(request, c.record.Antiflap, f); !ok {
			return f, errBraked
		}
		return f.Started(clearance), nil
	})
	return clearance, refusal, err
}

func (c *cluster) updateBrake(ctx context.Context, edit func(antiflap.Fleet) antiflap.Fleet) {
	err := c.editBrake(ctx, func(f antiflap.Fleet) (antiflap.Fleet, error) { return edit(f), nil })
	if err != nil && !c.o.storeSilent() {
		c.o.events.Tell(Event{Kind: EventStore, At: c.now(), Cluster: c.name, Text: fmt.Sprintf("save the fleet brake: %v", err)})
	}
}

func (c *cluster) editBrake(ctx context.Context, edit func(antiflap.Fleet) (antiflap.Fleet, error)) error {
	if c.lease == nil {
		return ErrNotLeading
	}
	ctx, cancel := c.runtime().Within(ctx, storeTimeout)
	defer cancel()
	return c.lease.Update(ctx, brakeKey, func(old []byte) ([]byte, error) {
		var f antiflap.Fleet
		if len(old) > 0 {
			var err error
			if f, err = decodeBrake(DocumentOf(brakeKey, old)); err != nil {
				return nil, err
			}
		}
		edited, err := edit(f.Rebased(c.now()))
		if err != nil {
			return nil, err
		}
		c.brake = edited
		return brakeDocument(edited).Text()
	})
}

// adopt records the first term of a healthy cluster.
func (c *cluster) adopt(ctx context.Context, f topology.Finding, now time.Time) {
	request := antiflap.Request{Cluster: c.name, Operator: "primacy", Now: now}
	c.launch(ctx, request, c.intent(f, now), func(cl antiflap.Clearance, in reparent.Intent, now time.Time) reparent.Operation {
		return reparent.Adoption(cl, in, f.Server, now)
	}, now)
}
