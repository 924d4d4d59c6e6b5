package reparent_test

import (
	"errors"
	"testing"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
)

// cannot lists the scenarios that servers which exist only here cannot play, and why.
var cannot = map[string]string{
	"20-only-we-cannot-see-the-primary":             noLoop,
	"20b-neither-we-nor-the-ackers-see-the-primary": noLoop,
	"23-the-payload":                         noLoop,
	"29d-the-loop-and-lost-acknowledgements": noLoop,
}

const noLoop = "Primacy's loop does not run here"

// TestScenarios plays every scenario on the servers of world_test.go.
func TestScenarios(t *testing.T) {
	files, err := scenario.Files()
	if err != nil || len(files) < 48 {
		t.Fatalf("found %d scenarios, error %v", len(files), err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			err := f.Play(func() (scenario.Stage, error) { return &stage{}, nil })
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == cannot[f.Name] {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if cannot[f.Name] != "" {
				t.Errorf("it can be played: %s", cannot[f.Name])
			}
		})
	}
}

// stage is a world on which a scenario is played.
type stage struct{ *reparent.World }

func (s *stage) Build(set scenario.Setting) (scenario.Cast, error) {
	s.World = reparent.NewWorld(set.Ruleset, set.Adopted)
	cast := scenario.Cast{Ruleset: set.Ruleset}
	if l, led := s.Leadership(); led {
		cast.Leadership = &l
	}
	return cast, nil
}

func (s *stage) Happen(h scenario.Happening) error {
	number := int64(h.Acks) + int64(h.Term) + int64(h.Delay) // each kind has one of them
	if !s.World.Happen(string(h.Kind), h.Server, h.Source, number, h.Set, h.Text) {
		return scenario.Cannot("servers that exist only in a test do not know %q", h.Kind)
	}
	return nil
}

func (s *stage) Do(orders []scenario.Order) ([]reparent.Result, error) {
	commands, fates := make([]reparent.Command, len(orders)), make([]string, len(orders))
	for i, o := range orders {
		commands[i], fates[i] = o.Command, string(o.Fate)
	}
	return s.World.Do(commands, fates), nil
}
