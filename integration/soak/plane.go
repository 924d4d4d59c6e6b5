package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
)

const clusterName = "shop"

// plane is a control plane in this process, set up like `primacy serve` with errant.policy: auto.
type plane struct {
	orch   *orchestrator.Orchestrator
	stream *orchestrator.Stream
	fleet  *mysqld.Fleet
	store  *store.Store
	cancel context.CancelFunc
	ran    sync.WaitGroup
}

func startPlane(ctx context.Context, servers *local.Fleet, dir string) (*plane, error) {
	p := &plane{}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if p.store, err = store.Open(ctx, store.Settings{Dir: filepath.Join(dir, "store"), Elector: "soak", Log: quiet, Later: true}); err != nil {
		return nil, err
	}
	users := servers.Users
	p.fleet = mysqld.NewFleet(mysqld.Settings{
		User: users.Primacy.Name, Password: fixed(users.Primacy.Password), ReplicationUser: users.Replica.Name,
		ReplicationPassword: fixed(users.Replica.Password), Elector: "soak", Log: quiet,
	})
	p.stream = orchestrator.NewStream(quiet)
	p.orch = orchestrator.New(settingsOf(servers, p.fleet, dir, quiet), p.fleet, p.store.Seam(), p.stream)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	p.ran.Go(func() { p.orch.Run(run) })
	return p, nil
}

// settingsOf are the defaults but for two things. Servers are struck here every few seconds, and not a few times in a year:
// so the windows are short, a new primary has proved itself after 2 s and not after a minute, and the brake is off. And of
// three servers one is needed while another one is cloned.
func settingsOf(servers *local.Fleet, bench orchestrator.Bench, dir string, log *slog.Logger) orchestrator.Settings {
	windows := antiflap.Defaults()
	windows.Window, windows.WindowMax, windows.ProvenAfter, windows.FleetChangesMax = 10*time.Second, 20*time.Second, 2*time.Second, 1000000
	ruleset := topology.Ruleset{Number: 1, Policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	for i, s := range servers.Servers {
		ruleset.Members = append(ruleset.Members, topology.Member{Address: topology.Address(s.Address()), Zone: string(rune('a' + i))})
	}
	return orchestrator.Settings{
		Elector: "soak", Automation: true, Antiflap: windows, Timing: reparent.DefaultTiming(), Log: log, Bench: bench,
		Errant:   orchestrator.ErrantSettings{Policy: settle.PolicyAuto, ExportDir: dir},
		Clone:    orchestrator.CloneSettings{Join: true, Donors: settle.DonorRules{FromNeeded: true}},
		Limits:   topology.Limits{SilentAfter: 2 * time.Second, StuckAfter: 5 * time.Second, LagMax: 10 * time.Second, IsolatedShare: 0.5},
		Clusters: []orchestrator.ClusterSettings{{Name: clusterName, Ruleset: ruleset}},
	}
}

func fixed(password string) func() (string, error) {
	return func() (string, error) { return password, nil }
}

func (p *plane) view() (orchestrator.View, error) { return p.orch.Cluster(clusterName) }

func (p *plane) stop() error {
	p.cancel()
	p.ran.Wait()
	return errors.Join(p.fleet.Close(), p.store.Close())
}
