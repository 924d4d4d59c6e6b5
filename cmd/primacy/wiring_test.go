package main

import (
	"log/slog"
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
