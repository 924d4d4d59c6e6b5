package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
)

// stagedCourse is what electors have told of the changes that they carried out.
type stagedCourse struct {
	operations []reparent.Operation
	heard      map[*elector]uint64 // the last event of each that was taken in
}

// Loop implements scenario.Looped. Between two lines the electors stand still, as if they had been stopped.
func (s *Stage) Loop(d time.Duration) (scenario.Course, error) {
	w := s.world
	if len(w.electors) == 0 {
		if err := s.ElectorDies(); err != nil {
			return scenario.Course{}, err
		}
		w.hosts.sent = s.watched
		s.hire()
	}
	for _, e := range w.electors {
		if e.process.dead {
			s.start(e)
		}
		e.process.thaw()
	}
	w.clock.runUntil(w.clock.now+d, nil)
	for _, e := range w.electors {
		e.process.pause()
	}
	return s.passed(), nil
}

// hire adds an elector that runs the loop. The first sits where the scenario's own one sat.
func (s *Stage) hire() {
	w := s.world
	e := w.hire(fmt.Sprintf("elector-%d", len(w.electors)+1), s.chance())
	e.skew = 0
	if len(w.electors) == 0 {
		e.place, e.skew = s.desk, s.skew
	}
	w.electors = append(w.electors, e)
	s.start(e)
}

// start begins a life of an elector.
func (s *Stage) start(e *elector) {
	e.start()
	e.fleet.finished = s.finished
}

// passed is what has come of the loop.
func (s *Stage) passed() scenario.Course {
	w := s.world
	for _, e := range w.electors {
		s.listen(e)
	}
	course := scenario.Course{Operations: slices.Clone(s.course.operations)}
	e := w.electors[0]
	for _, other := range w.electors {
		if !other.process.dead && other.view().Leading {
			e = other
		}
	}
	v := e.view()
	course.Findings, course.Refusal = v.Findings, v.Refusal
	return course
}

// listen takes in what an elector has told since the last time.
func (s *Stage) listen(e *elector) {
	for _, ev := range e.loop.Events().Recent() {
		if ev.Kind == orchestrator.EventRecoveryStarted || ev.Kind == orchestrator.EventRecoveryFinished {
			s.course.take(*ev.Recovery)
		}
	}
	if running := e.view().Running; running != nil {
		s.course.take(*running)
	}
}

// take keeps the latest that was told of an operation.
func (c *stagedCourse) take(op reparent.Operation) {
	i := slices.IndexFunc(c.operations, func(o reparent.Operation) bool { return o.ID == op.ID })
	if i < 0 {
		c.operations = append(c.operations, op)
		return
	}
	if c.operations[i].Running() {
		c.operations[i] = op
	}
}
