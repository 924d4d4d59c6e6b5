package sim

import (
	"errors"
	"testing"

	"github.com/primacydb/primacy/reparent/scenario"
)

// cannotSimulate lists the scenarios that are not played on simulated servers, and why.
var cannotSimulate = map[string]string{}

// TestScenarios plays every scenario in virtual time.
func TestScenarios(t *testing.T) {
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			err := simulated(f, 1)
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == cannotSimulate[f.Name] {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if cannotSimulate[f.Name] != "" {
				t.Errorf("it can be played: %s", cannotSimulate[f.Name])
			}
		})
	}
}

func simulated(f scenario.File, seed uint64) error {
	var last *Stage
	defer func() {
		if last != nil {
			last.Close()
		}
	}()
	return f.Play(func() (scenario.Stage, error) {
		if last != nil {
			last.Close()
		}
		last = NewStage(seed)
		return last, nil
	})
}
