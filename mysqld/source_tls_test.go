package mysqld

import (
	"slices"
	"strings"
	"testing"

	"github.com/primacydb/primacy/reparent"
)

func TestTheStatementSaysWhatTheSettingsSayAboutTLS(t *testing.T) {
	const ca, cert, key = "/ca.pem", "/cert.pem", "/key.pem"
	const files = "SOURCE_SSL_CA = ?, SOURCE_SSL_CERT = ?, SOURCE_SSL_KEY = ?"
	rows := []struct {
		name string
		tls  ReplicationTLS
		says string
		args []any
	}{
		{"without TLS nothing, so that what an operator set up by hand stays", ReplicationTLS{}, "", nil},
		{"encryption alone checks no certificate, and ends what an earlier statement said",
			ReplicationTLS{Enabled: true},
			"SOURCE_SSL = 1, " + files + ", SOURCE_SSL_VERIFY_SERVER_CERT = 0", []any{"", "", ""}},
		{"an authority means that the source's certificate is checked, its name too",
			ReplicationTLS{Enabled: true, CAFile: ca},
			"SOURCE_SSL = 1, " + files + ", SOURCE_SSL_VERIFY_SERVER_CERT = 1", []any{ca, "", ""}},
		{"the name is not checked where that is skipped",
			ReplicationTLS{Enabled: true, CAFile: ca, SkipVerify: true},
			"SOURCE_SSL = 1, " + files + ", SOURCE_SSL_VERIFY_SERVER_CERT = 0", []any{ca, "", ""}},
		{"a replica shows its own certificate",
			ReplicationTLS{Enabled: true, CAFile: ca, CertFile: cert, KeyFile: key},
			"SOURCE_SSL = 1, " + files + ", SOURCE_SSL_VERIFY_SERVER_CERT = 1", []any{ca, cert, key}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			f := &Fleet{settings: Settings{ReplicationUser: "replica", ReplicationTLS: row.tls}}
			a := &act{session: &session{tenure: &tenure{fleet: f}}, command: reparent.Command{Source: "db1:3306"}}
			statement, args, err := a.sourceOptions(false)
			if err != nil {
				t.Fatal(err)
			}
			_, said, _ := strings.Cut(statement, "SOURCE_HEARTBEAT_PERIOD = 0.000")
			if strings.TrimPrefix(said, ", ") != row.says {
				t.Errorf("the statement says %q; expected %q", said, row.says)
			}
			if want := append([]any{"db1", "replica", ""}, row.args...); !slices.Equal(args, want) {
				t.Errorf("with %v; expected %v", args, want)
			}
			if strings.Count(statement, "?") != len(args) {
				t.Errorf("%d values for %s", len(args), statement)
			}
		})
	}
}
