package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/store"
)

func TestTheServersGetEveryOptionOfReplicationTLS(t *testing.T) {
	c := config.Defaults()
	c.Replication.TLS = config.ReplicationTLS{Enabled: true, CAFile: "ca", CertFile: "cert", KeyFile: "key", SkipVerify: true}
	settings, err := serverSettings(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := mysqld.ReplicationTLS{Enabled: true, CAFile: "ca", CertFile: "cert", KeyFile: "key", SkipVerify: true}
	if settings.ReplicationTLS != want {
		t.Errorf("got %+v", settings.ReplicationTLS)
	}
}

var eventKind = regexp.MustCompile(`Event\w+\s+EventKind = "(\w+)"`)

// The configuration cannot ask the loop for the kinds, since neither imports the other. Rounds of probes are for
// metrics alone: a hook would be called several times a second.
func TestHooksCanAskForEveryKindOfEventButProbes(t *testing.T) {
	files, err := filepath.Glob("../../orchestrator/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range eventKind.FindAllStringSubmatch(string(text), -1) {
			kinds = append(kinds, m[1])
		}
	}
	kinds = slices.DeleteFunc(kinds, func(kind string) bool { return kind == "probed" })
	if !slices.Equal(kinds, config.HookEvents()) {
		t.Errorf("the loop tells\n%q\nand hooks can ask for\n%q", kinds, config.HookEvents())
	}
}

func TestTheLoopIsToldWhereTheAPIIsReached(t *testing.T) {
	c := config.Defaults()
	c.Advertise = "https://elector-1.example.org:3900"
	settings, err := loopSettings(t.Context(), c, nil, slog.New(slog.DiscardHandler))
	if err != nil || settings.API != c.Advertise {
		t.Errorf("told %q, %v", settings.API, err)
	}
}

// A restart while the store is away must not cost routers and people what the servers themselves show.
func TestTheControlPlaneStartsWithoutItsStore(t *testing.T) {
	c := config.Defaults()
	c.Store = config.Store{Endpoints: []string{"http://127.0.0.1:1"}, Lease: 3 * time.Second}
	c.Clusters = []config.Cluster{{
		Name: "shop", Durability: config.Durability{Policy: "semi_sync", Acks: 1},
		Servers: []config.Server{{Address: "127.0.0.1:2"}, {Address: "127.0.0.1:3"}, {Address: "127.0.0.1:4"}},
	}}
	plane, err := startControlPlane(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := plane.orch.Ready(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("ready without a store: %v", err)
	}
	if views := plane.orch.Clusters(); len(views) != 1 || views[0].Name != "shop" {
		t.Errorf("the API tells of %+v", views)
	}
	if err := plane.Close(); err != nil {
		t.Error(err)
	}
}
