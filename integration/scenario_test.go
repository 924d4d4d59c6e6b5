package integration

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent/scenario"
)

// notReal lists the scenarios that are not played on real servers, and why.
var notReal = map[string]string{
	"13b-two-electors-and-an-empty-store":            oneElector,
	"13c-two-electors-and-a-store-that-was-put-back": oneElector,
	"14e-an-elector-with-an-older-configuration":     oneElector,
	"19b-the-lease-ends-in-the-midst-of-a-change":    oneElector,
	"23-the-payload": choking,
	"24d-the-elector-of-an-emergency-dies-at-each-statement":     atStatement,
	"24e-the-elector-of-a-planned-change-dies-at-each-statement": atStatement,
	"25b-the-loop-and-the-old-primary-in-the-midst":              atStatement,
	"29e-the-primary-hears-its-ackers-no-more":                   oneWay,
	"29f-the-ackers-hear-the-primary-no-more":                    oneWay,
	"30c-the-loop-and-a-clock-that-is-off":                       ownClock,
	"30d-the-clock-of-a-server-is-off":                           oneClock,
	"35d-the-elector-of-an-adoption-dies-at-each-statement":      atStatement,
	"51c-the-elector-dies-while-it-opens-the-primary-again":      atStatement,
	"45-two-dead-primaries-within-the-window":                    noFullDisk, // nor with one: A follows B, whose full binary log sends it nothing
	"44b-the-store-is-put-back-under-the-elector-that-acts":      oneElector,
}

// What no scenario can bring about here, and why. Electors that are killed, paused and outlived by others are processes of
// their own in killed_elector_test.go and paused_elector_test.go, which strike them before and after each step.
const (
	choking     = "a transaction on which whoever leads chokes, and nobody who follows, is not to be had"
	oneElector  = "one elector runs here, in the test's own process: it cannot be paused or killed by itself while another one goes on"
	atStatement = "an elector's statements cannot be counted from outside, and to play the story once for each would take an hour"
	ownClock    = "all electors have the clock of this process"
	oneWay      = "one way of a network is cut below TCP, where the servers of one machine cannot be told apart"
	oneClock    = "all servers have the clock of this machine"
)

// noFullDisk says why scenarios with a full disk are not played where nobody may make file systems.
const noFullDisk = "a full disk, behind which commits hang for ever, takes a file system of its own, which only root can make"

// TestScenariosOnRealServers plays every scenario on mysqld, as many at a time as tests may run in parallel.
func TestScenariosOnRealServers(t *testing.T) {
	files, err := scenario.Files()
	if err != nil {
		t.Fatal(err)
	}
	mountable := mountDisks(t, 1).none
	if mountable != nil {
		t.Logf("no scenario with a full disk is played: %v", mountable)
	}
	theatres, small := pool{t: t}, pool{t: t, small: true}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			from, servers := &theatres, 5
			if strings.Contains(f.Text, "\nthe disk of ") && notReal[f.Name] == "" && mountable == nil {
				from, servers = &small, 3
			}
			th := from.take(servers)
			defer from.give(th)
			err := th.play(t, f)
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == notReal[f.Name] {
				t.Log(err)
			} else if ok && reason.Reason == noFullDisk && mountable != nil {
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
	t     *testing.T
	small bool // its theatres have disks that can be filled
	mu    sync.Mutex
	free  []*theatre
}

func (p *pool) take(servers int) *theatre {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		th := p.free[n-1]
		p.free = p.free[:n-1]
		return th
	}
	var own disks
	if p.small {
		own = mountDisks(p.t, servers)
	}
	return openTheatre(p.t, servers, own)
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
		last.aged = strings.Contains(f.Text, " has relay_log_recovery\n")
		if strings.Contains(f.Text, "\nthe store does not answer") || strings.Contains(f.Text, "\nthe store is put back") {
			last.loop.outside = &outsideStore{t: t}
		}
		return last, nil
	})
}

func cleared() antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Automatic: true}, antiflap.Cluster{}, antiflap.Fleet{})
	return c
}
