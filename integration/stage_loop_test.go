package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

var _ scenario.Looped = (*stage)(nil)

// loop is Primacy itself, as it runs over the servers of a stage.
type loop struct {
	plane   *plane
	gate    *gate
	store   string               // its directory
	outside *outsideStore        // the store instead, if it is to fall silent or to be put back; else nil
	known   []reparent.Operation // what was on record when it was read last
	answers []string
	struck  int    // what happened before a step of a change
	failed  error  // and what did not
	crowd   *crowd // nil while nobody writes all the time
}

// gate lets a control plane see and do nothing between two lines of a scenario, as if it had been stopped there.
type gate struct {
	orchestrator.Fleet
	mu   sync.Mutex
	open chan struct{} // closed while it may go on

	steps int           // of changes, until something happens before one of them; 0 for never
	then  func()        // it
	ended chan struct{} // closed when it has happened; nil while it has not begun
}

// count lets happen what was to happen before this step of a change.
func (g *gate) count() {
	g.mu.Lock()
	then := g.then
	if g.steps--; g.steps != 0 {
		then = nil
	}
	ended := make(chan struct{})
	if then != nil {
		g.ended = ended
	}
	g.mu.Unlock()
	if then != nil {
		then()
		close(ended)
	}
}

// awaitHappened waits until what happens before a step has happened, so that the next line finds it done.
func (g *gate) awaitHappened() {
	g.mu.Lock()
	ended := g.ended
	g.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

// before has something happen before a step of a change.
func (g *gate) before(steps int, then func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.steps, g.then = steps, then
}

func (g *gate) let(pass bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if !pass {
			g.open = make(chan struct{})
		}
	default:
		if pass {
			close(g.open)
		}
	}
}

func (g *gate) wait(ctx context.Context) {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
	case <-ctx.Done():
	}
}

func (g *gate) Observe(ctx context.Context, cluster string) []topology.Observation {
	g.wait(ctx)
	return g.Fleet.Observe(ctx, cluster)
}

func (g *gate) Do(ctx context.Context, batch orchestrator.Batch) []reparent.Result {
	g.wait(ctx)
	if batch.Enough != nil {
		g.count()
	}
	return g.Fleet.Do(ctx, batch)
}

// Loop implements scenario.Looped.
func (s *stage) Loop(d time.Duration) (scenario.Course, error) {
	if err := s.startLoop(); err != nil {
		return scenario.Course{}, err
	}
	s.loop.gate.let(true)
	err := s.pass(d)
	s.loop.gate.let(false)
	s.loop.gate.awaitHappened()
	if err != nil {
		return scenario.Course{}, err
	}
	v, err := s.loop.plane.view()
	if err != nil {
		return scenario.Course{}, err
	}
	ops, err := s.loop.recoveries()
	s.loop.gate.mu.Lock()
	defer s.loop.gate.mu.Unlock()
	return scenario.Course{
		Operations: ops, Findings: v.Findings, Refusal: v.Refusal, Obstacle: v.Obstacle, Answers: s.loop.answers, Struck: s.loop.struck,
	}, errors.Join(err, s.loop.failed)
}

// recoveries are the changes in their order. While the store is silent, they are those that were on record, and what was
// begun since.
func (l *loop) recoveries() ([]reparent.Operation, error) {
	if l.outside == nil || !l.outside.silent {
		ops, err := l.plane.recoveries()
		slices.Reverse(ops) // the latest came first
		l.known = ops
		return ops, err
	}
	ops := slices.Clone(l.known)
	for _, e := range l.plane.events() {
		if e.Recovery != nil && !slices.ContainsFunc(ops, func(o reparent.Operation) bool { return o.ID == e.Recovery.ID }) {
			ops = append(ops, *e.Recovery)
		}
	}
	return ops, nil
}

// pass lets time go by, and the crowd write. It ends early when nothing has changed for so long that nothing will.
func (s *stage) pass(d time.Duration) error {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	if s.loop.crowd != nil {
		s.loop.crowd.gather(ctx)
		defer s.loop.crowd.dismiss()
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var seen string
	for since := time.Now(); time.Since(since) < quiet; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return s.ctx.Err()
		}
		if err := s.loop.outside.backUp(); err != nil {
			return err
		}
		if now := s.loop.told(); now != seen {
			seen, since = now, time.Now()
		}
	}
	return nil
}

// quiet is longer than any limit after which the loop comes to another opinion about servers that stay as they are.
const quiet = 8 * time.Second

// told is what the loop believes, as far as it matters.
func (l *loop) told() string {
	v, err := l.plane.view()
	if err != nil || v.Running != nil {
		return time.Now().String() // that is not the end of it
	}
	text := fmt.Sprint(v.Primary, v.Term, v.Refusal, v.State)
	for _, f := range v.Findings {
		text += fmt.Sprint(f.Code, f.Server, f.Remedy)
	}
	return text
}

// startLoop starts a control plane with an empty store, if none runs: it takes the record over from the servers' journals.
func (s *stage) startLoop() error {
	if s.loop.plane != nil {
		return nil
	}
	dir, err := os.MkdirTemp("", "stage-")
	if err != nil {
		return err
	}
	if err := s.elect.Close(); err != nil {
		return err
	}
	b := (&cluster{fleet: s.fleet, ruleset: s.rules, storeAt: dir}).blueprint()
	if s.loop.outside != nil {
		if err := s.loop.outside.start(); err != nil {
			return err
		}
		b.StoreDir, b.Etcd = "", s.loop.outside.endpoints()
	}
	b.Timing.Grace = time.Second // who is slow is waited for, or the choice would depend on how busy the machine is
	s.loop.store = dir
	s.loop.plane, err = b.start(s.ctx, func(f orchestrator.Fleet) orchestrator.Fleet {
		s.loop.gate = &gate{Fleet: f, open: make(chan struct{})}
		return s.loop.gate
	})
	return err
}

// loseStore ends the control plane, whose store is in its own process, and forgets what it had on record.
func (s *stage) loseStore() error {
	err := s.endLoop()
	return errors.Join(err, s.startLoop())
}

// close ends everything.
func (l *loop) close(s *stage) error {
	if l.crowd != nil {
		l.crowd.close()
	}
	return errors.Join(s.endLoop(), l.outside.end())
}

// endLoop stops the control plane, if one runs.
func (s *stage) endLoop() error {
	if s.loop.plane == nil {
		return nil
	}
	s.loop.gate.let(true)
	err := errors.Join(s.loop.plane.stop(), os.RemoveAll(s.loop.store))
	s.loop.plane = nil
	return err
}

// keepOn lets a crowd write whenever the loop runs.
func (s *stage) keepOn() (err error) {
	if s.loop.crowd == nil {
		s.loop.crowd, err = s.newCrowd()
	}
	return err
}

// backAt has a server start again just before a step of a change, which waits until it is up.
func (s *stage) backAt(h scenario.Happening) error {
	if err := s.startLoop(); err != nil {
		return err
	}
	g := s.loop.gate
	g.before(h.Acks, func() {
		err := s.actors[h.Server].revived(s.ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		s.loop.struck, s.loop.failed = s.loop.struck+1, errors.Join(s.loop.failed, err)
	})
	return nil
}

// ask is an operator's wish. What stands against it is what he is told.
func (s *stage) ask(h scenario.Happening) error {
	if err := s.startLoop(); err != nil {
		return err
	}
	s.loop.gate.let(true)
	_, err := s.loop.plane.reparent(orchestrator.Wish{Kind: reparent.Kind(h.Text), To: h.Server, By: "alice", Reason: "test"})
	if err != nil {
		s.loop.answers = append(s.loop.answers, err.Error())
	}
	return nil
}

// acknowledge is an operator's word that the last change was looked at.
func (s *stage) acknowledge() error {
	if err := s.startLoop(); err != nil {
		return err
	}
	s.loop.gate.let(true)
	return s.loop.plane.acknowledge()
}

// judged makes the claims about what the crowd was told.
func (s *stage) judged() {
	if s.loop.crowd == nil {
		return
	}
	lost, err := s.loop.crowd.judge()
	s.claim(err == nil, "%v", err)
	s.claim(len(lost) == 0, "rows of which clients were told OK are gone: %v", lost)
	s.claim(len(s.loop.crowd.told) > 0, "none of the clients that write all the time was ever answered")
}
