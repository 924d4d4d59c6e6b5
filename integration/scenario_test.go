package integration

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent/scenario"
)

// notReal lists the scenarios that are not played on real servers, and why.
var notReal = map[string]string{
	"21-the-disk-is-full": "a full disk takes a file system of its own, which only root can mount",
	"23-the-payload":      "a commit that hangs for ever takes a full disk, and that takes a file system of its own, which only root can mount",
}

// What no scenario can bring about here, and why.
const (
	oneLoop  = "one elector runs here, in the test's own process and with a store of its own; such as die, pause and compete are in tests of their own"
	oneWay   = "one way of a network is cut below TCP, which only root can do"
	oneClock = "all servers have the clock of this machine"
	noCrowd  = "clients that write all the time are in tests of their own"
)

// neverReal are those reasons. They hold for whatever file asks for such a thing.
var neverReal = []string{oneLoop, oneWay, oneClock, noCrowd}

// TestScenariosOnRealServers plays every scenario on mysqld, as many at a time as tests may run in parallel.
func TestScenariosOnRealServers(t *testing.T) {
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	theatres := pool{t: t}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			th := theatres.take(5)
			defer theatres.give(th)
			err := th.play(t, f)
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && (reason.Reason == notReal[f.Name] || slices.Contains(neverReal, reason.Reason)) {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if notReal[f.Name] != "" {
				t.Errorf("it can be played: %s", notReal[f.Name])
			}
		})
	}
}

// pool keeps theatres that nobody plays in. It opens one when there is none; all of them end with its test.
type pool struct {
	t    *testing.T
	mu   sync.Mutex
	free []*theatre
}

func (p *pool) take(servers int) *theatre {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		th := p.free[n-1]
		p.free = p.free[:n-1]
		return th
	}
	return openTheatre(p.t, servers)
}

func (p *pool) give(th *theatre) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, th)
}

func (th *theatre) play(t *testing.T, f scenario.File) error {
	var last *stage
	end := func() {
		if last == nil {
			return
		}
		if err := last.close(); err != nil {
			t.Error(err)
		}
	}
	defer end()
	return f.Play(func() (scenario.Stage, error) {
		end()
		last = th.stage(t.Context())
		return last, nil
	})
}

func cleared() antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Automatic: true}, antiflap.Cluster{}, antiflap.Fleet{})
	return c
}
