package integration

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent/scenario"
)

// notReal lists the scenarios that are not played on real servers, and why.
var notReal = map[string]string{}

// TestScenariosOnRealServers plays every scenario on mysqld.
func TestScenariosOnRealServers(t *testing.T) {
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	th := openTheatre(t, 5)
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			begun := time.Now()
			err := th.play(t, f)
			t.Logf("%s", time.Since(begun).Round(time.Millisecond))
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == notReal[f.Name] {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if notReal[f.Name] != "" {
				t.Errorf("it can be played: %s", notReal[f.Name])
			}
		})
	}
}

func (th *theatre) play(t *testing.T, f scenario.File) error {
	var last *stage
	defer func() {
		if last != nil {
			last.close()
		}
	}()
	return f.Play(func() (scenario.Stage, error) {
		if last != nil {
			last.close()
		}
		last = th.stage(t.Context())
		return last, nil
	})
}

func cleared() antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Automatic: true}, antiflap.Cluster{}, antiflap.Fleet{})
	return c
}
