package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

// lookEvery is how often an elector is asked what it shows of all clusters: nothing is measured more exactly.
const lookEvery = 20 * time.Millisecond

// elect is what `primacy serve` does, but for the servers and the API.
func (p part) elect(ctx context.Context, tell *json.Encoder) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	memory, err := store.Open(ctx, store.Settings{Endpoints: []string{p.Endpoint}, LeaseTTL: p.Lease, Elector: p.Name, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	fleet := newCalmFleet(p.Clusters)
	loop := orchestrator.New(p.settings(fleet, memory, log), fleet, memory.Seam(), orchestrator.NewStream(log))
	var running sync.WaitGroup
	running.Go(func() { loop.Run(ctx) })
	err = p.show(ctx, loop, fleet, tell)
	running.Wait()
	return err
}

func (p part) settings(fleet *calmFleet, memory *store.Store, log *slog.Logger) orchestrator.Settings {
	s := orchestrator.Settings{
		Elector: p.Name, ProbeInterval: p.Probe, TenureMin: p.Tenure, Automation: true, Antiflap: antiflap.Defaults(), Log: log,
		Limits:  topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.5},
		Company: memory.Company().Seam(),
	}
	for name, h := range fleet.households {
		s.Clusters = append(s.Clusters, orchestrator.ClusterSettings{Name: name, Ruleset: h.ruleset})
	}
	return s
}

// show tells what the elector shows of each cluster whenever that changes.
func (p part) show(ctx context.Context, loop *orchestrator.Orchestrator, fleet *calmFleet, tell *json.Encoder) error {
	shown := map[string]sight{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := time.Now(); ctx.Err() == nil; {
		r := report{At: time.Now()}
		for _, v := range loop.Clusters() {
			if s := (sight{Cluster: v.Name, Leading: v.Leading, Elector: v.Elector}); shown[v.Name] != s {
				shown[v.Name], r.Sights = s, append(r.Sights, s)
			}
		}
		if len(r.Sights) > 0 || r.At.Sub(last) > time.Second {
			last, r.Commands, r.CPU = r.At, fleet.commands.Load(), used()
			if err := tell.Encode(r); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// used is the processor time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
