package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/mysqld"
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
