package integration

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent/scenario"
)

var _ scenario.Looped = (*stage)(nil)

// Loop implements scenario.Looped. On real servers the loop does not stand still between two lines: it runs from the
// first time that it is asked for.
func (s *stage) Loop(d time.Duration) (scenario.Course, error) {
	if s.plane == nil {
		if err := s.startLoop(); err != nil {
			return scenario.Course{}, err
		}
	}
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
		return scenario.Course{}, s.ctx.Err()
	}
	v, err := s.plane.view()
	if err != nil {
		return scenario.Course{}, err
	}
	ops, err := s.plane.recoveries()
	slices.Reverse(ops) // the latest came first
	return scenario.Course{Operations: ops, Findings: v.Findings, Refusal: v.Refusal}, err
}

// startLoop starts a control plane with an empty store: it takes the record over from the servers' journals.
func (s *stage) startLoop() error {
	dir, err := os.MkdirTemp("", "stage-")
	if err != nil {
		return err
	}
	if err := s.elect.Close(); err != nil {
		return err
	}
	b := (&cluster{fleet: s.fleet, ruleset: s.rules, storeAt: dir}).blueprint()
	s.plane, err = b.start(s.ctx, nil)
	s.store = dir
	return err
}

// endLoop stops the control plane, if one runs.
func (s *stage) endLoop() error {
	if s.plane == nil {
		return nil
	}
	return errors.Join(s.plane.stop(), os.RemoveAll(s.store))
}
