package local

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testBinary is a real server; without one these tests say nothing, so they fail.
func testBinary(t *testing.T) Binary {
	t.Helper()
	binary, err := Find("")
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}

func startFleet(t *testing.T, spec Spec) *Fleet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	spec.Log = testLog{t}
	fleet, err := Start(ctx, testBinary(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	return fleet
}

func TestSmoke(t *testing.T) {
	fleet := startFleet(t, Spec{})
	_ = fleet
}
