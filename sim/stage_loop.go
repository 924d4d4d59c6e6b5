package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

// stagedLoop is the loop of a stage: its electors are those of the world.
type stagedLoop struct {
	begun      bool
	operations []reparent.Operation // that they have told of
	answers    []string             // to operators
	skew       time.Duration        // of the clock of the next elector that is started
	sleeper    *elector             // stands still while the others run
	statements fuse                 // that electors send, until something happens
	steps      fuse                 // the same of steps of changes
	struck     int                  // what happened then
	asked      func(*fleet)         // watches steps of changes
}

// fuse lets something happen, once, before an elector does a thing for the nth time from now on.
type fuse struct {
	left int // 0 for never
	do   func(*elector)
}

// burn counts one more, and tells whether the time has come.
func (f *fuse) burn() bool {
	if f.left == 0 {
		return false
	}
	f.left--
	return f.left == 0
}

// Loop implements scenario.Looped. Between two lines the electors stand still, as if they had been stopped.
func (s *Stage) Loop(d time.Duration) (scenario.Course, error) {
	s.awaken()
	c := s.world.clock
	c.runUntil(c.now+d, nil)
	s.halt()
	return s.passed(), nil
}

// awaken lets all electors go on that live and do not sleep. When none lives another one is started.
func (s *Stage) awaken() {
	w := s.world
	if !s.loop.begun {
		s.loop.begun, s.loop.asked, w.hosts.sent, w.hosts.stepping = true, w.hosts.stepping, s.sent, s.stepping
		_ = s.ElectorDies()
	}
	for _, e := range w.electors {
		if !e.process.dead && e != s.loop.sleeper {
			e.process.thaw()
		}
	}
	if !slices.ContainsFunc(w.electors, func(e *elector) bool { return !e.process.dead }) {
		s.hire(s.desk, w.ruleset)
	}
}

// halt stops all electors where they are.
func (s *Stage) halt() {
	for _, e := range s.world.electors {
		e.process.pause()
	}
}

// hire starts another elector at a place in the network, configured with some rules.
func (s *Stage) hire(at place, rules topology.Ruleset) {
	w, known := s.world, s.world.ruleset
	w.judge.fewest = min(w.judge.fewest, leastAcks(rules))
	e := &elector{world: w, name: fmt.Sprintf("elector-%d", len(w.electors)+1), place: at, skew: s.loop.skew}
	w.electors = append(w.electors, e)
	w.ruleset, s.loop.skew = rules, 0
	s.start(e)
	w.ruleset = known
}

// start begins a life of an elector.
func (s *Stage) start(e *elector) {
	e.start()
	e.fleet.finished = s.finished
}

// acting is the elector that holds the lock or, when none does, the first that lives.
func (s *Stage) acting() (*elector, error) {
	var some *elector
	holder := s.world.store.cell(clusterName).holder
	for _, e := range s.world.electors {
		switch {
		case e.process.dead:
		case holder != nil && holder.session.client.process == e.process:
			return e, nil
		case some == nil:
			some = e
		}
	}
	if some == nil {
		return nil, errors.New("no elector runs: the loop has to run first")
	}
	return some, nil
}

// passed is what has come of the loop.
func (s *Stage) passed() scenario.Course {
	for _, e := range s.world.electors {
		s.listen(e)
	}
	slices.SortStableFunc(s.loop.operations, func(a, b reparent.Operation) int { return int(a.Term) - int(b.Term) })
	course := scenario.Course{Operations: slices.Clone(s.loop.operations), Answers: slices.Clone(s.loop.answers), Struck: s.loop.struck}
	if e, err := s.acting(); err == nil {
		v := e.view()
		course.Findings, course.Refusal, course.Obstacle = v.Findings, v.Refusal, v.Obstacle
	}
	return course
}

// listen takes in what an elector has told.
func (s *Stage) listen(e *elector) {
	for _, ev := range e.loop.Events().Recent() {
		if ev.Kind == orchestrator.EventRecoveryStarted || ev.Kind == orchestrator.EventRecoveryFinished {
			s.take(*ev.Recovery)
		}
	}
	if running := e.view().Running; running != nil {
		s.take(*running)
	}
}

// take keeps the latest that was told of an operation: one that another elector took over ends with that one.
func (s *Stage) take(op reparent.Operation) {
	all := s.loop.operations
	i := slices.IndexFunc(all, func(o reparent.Operation) bool { return o.ID == op.ID })
	switch {
	case i < 0:
		s.loop.operations = append(s.loop.operations, op)
	case all[i].Running() || !op.Running():
		all[i] = op
	}
}

// sent is told of each statement that an elector of the loop is about to send.
func (s *Stage) sent(f *fleet, server topology.Address, verb reparent.Verb, statement int) {
	s.watched(f, server, verb, statement)
	s.comes(&s.loop.statements, f)
}

// stepping is told of each step of a change that an elector of the loop is about to take.
func (s *Stage) stepping(f *fleet) {
	s.loop.asked(f)
	s.comes(&s.loop.steps, f)
}

// comes lets happen what was to happen then.
func (s *Stage) comes(b *fuse, f *fleet) {
	if !b.burn() {
		return
	}
	for _, e := range s.world.electors {
		if e.fleet == f {
			s.loop.struck++
			b.do(e)
		}
	}
}

// strikes lets something befall the elector that acts: now, or before a statement that some elector is about to send.
func (s *Stage) strikes(before int, do func(*elector)) error {
	if before > 0 {
		s.loop.statements = fuse{before, do}
		return nil
	}
	e, err := s.acting()
	if err == nil {
		do(e)
	}
	return err
}

// backAt has a server start again in the midst of what an elector does, which goes on when it is up.
func (s *Stage) backAt(b *fuse) func(scenario.Happening) error {
	return func(h scenario.Happening) error {
		x := s.at(h.Server)
		*b = fuse{h.Acks, func(*elector) {
			x.boot()
			for x.state != processUp {
				s.world.clock.sleep(10 * time.Millisecond)
			}
		}}
		return nil
	}
}

// toTheLoop is what happens to electors and to their store.
func (s *Stage) toTheLoop() map[scenario.Kind]func(scenario.Happening) error {
	return map[scenario.Kind]func(scenario.Happening) error{
		scenario.HireElector: s.hireAnother,
		scenario.KillElector: func(h scenario.Happening) error {
			return s.strikes(h.Acks, func(e *elector) { s.listen(e); e.kill() })
		},
		scenario.PauseElector:    s.pauseElector,
		scenario.BackAtStatement: s.backAt(&s.loop.statements),
		scenario.BackAtStep:      s.backAt(&s.loop.steps),
		scenario.SkewElector: func(h scenario.Happening) error {
			s.loop.skew = h.Delay
			return nil
		},
		scenario.DeafenElector: s.simply(func(x *server) { s.world.network.cut(x.place, s.desk) }),
		scenario.Configure:     s.configure,
		scenario.EndLease: func(scenario.Happening) error {
			return s.strikes(0, func(e *elector) { s.world.store.endLeases(e.process) })
		},
		scenario.LoseStore:    func(scenario.Happening) error { s.world.store.empty(); return nil },
		scenario.RestoreStore: func(h scenario.Happening) error { s.world.store.restore(h.Delay); return nil },
		scenario.StopStore:    func(scenario.Happening) error { s.world.store.stop(true); return nil },
		scenario.StartStore:   func(scenario.Happening) error { s.world.store.stop(false); return nil },
		scenario.AskForChange: s.askForChange,
		scenario.LiftTheWindow: func(scenario.Happening) error {
			s.world.judge.acknowledged()
			return s.asks(func(ctx context.Context, e *elector) error {
				_, err := e.loop.Acknowledge(ctx, clusterName, orchestrator.Order{By: "alice", Reason: "test"})
				return err
			})
		},
	}
}

// hireAnother starts one elector more, at a place of its own.
func (s *Stage) hireAnother(h scenario.Happening) error {
	s.awaken()
	rules := s.world.ruleset
	if h.Acks > 0 {
		rules.Policy.Acks = h.Acks
	}
	s.hire(s.world.network.join("another elector"), rules)
	s.halt()
	return nil
}

// pauseElector has the others run on, if it is at once; else it sleeps when its statement comes.
func (s *Stage) pauseElector(h scenario.Happening) error {
	c := s.world.clock
	if h.Acks > 0 {
		return s.strikes(h.Acks, func(e *elector) {
			s.loop.sleeper = e
			e.process.pause()
			c.after(h.Delay, s.wake)
		})
	}
	if err := s.strikes(0, func(e *elector) { s.loop.sleeper = e }); err != nil {
		return err
	}
	s.awaken()
	c.runUntil(c.now+h.Delay, nil)
	s.halt()
	s.loop.sleeper = nil
	return nil
}

// wake ends the sleep of the one that sleeps, now if the others run.
func (s *Stage) wake() {
	e := s.loop.sleeper
	s.loop.sleeper = nil
	if e != nil && slices.ContainsFunc(s.world.electors, (*elector).alive) {
		e.process.thaw()
	}
}

// configure starts all electors again with other rules.
func (s *Stage) configure(h scenario.Happening) error {
	s.world.ruleset.Policy.Acks = h.Acks
	s.world.judge.fewest = min(s.world.judge.fewest, leastAcks(s.world.ruleset))
	for _, e := range s.world.electors {
		if !e.process.dead {
			s.listen(e)
			e.kill()
			s.start(e)
		}
	}
	s.halt()
	return nil
}

// askForChange has an operator ask the elector that acts.
func (s *Stage) askForChange(h scenario.Happening) error {
	return s.asks(func(ctx context.Context, e *elector) error {
		_, err := e.loop.Reparent(ctx, orchestrator.Wish{Cluster: clusterName, Kind: reparent.Kind(h.Text), To: h.Server, By: "alice", Reason: "test"})
		return err
	})
}

// asks has an operator ask for something and wait for the answer, while the loop runs.
func (s *Stage) asks(what func(context.Context, *elector) error) error {
	e, err := s.acting()
	if err != nil {
		return err
	}
	s.awaken()
	defer s.halt()
	operator := s.world.clock.newProcess("operator")
	defer operator.kill()
	return s.has(operator, func() {
		ctx, cancel := operator.Within(context.Background(), 10*time.Second)
		defer cancel()
		if err := what(ctx, e); err != nil {
			s.loop.answers = append(s.loop.answers, err.Error())
		}
	})
}
