package mysqld_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/topology"
)

// secured is an elector whose replicas encrypt.
func (w *stage) secured(t mysqld.ReplicationTLS) *mysqld.Fleet {
	f := mysqld.NewFleet(mysqld.Settings{
		User: w.users.Primacy.Name, Password: constant(w.users.Primacy.Password), Elector: "elector-1",
		ReplicationUser: w.users.Replica.Name, ReplicationPassword: constant(w.users.Replica.Password),
		ReplicationTLS: t,
	})
	w.Cleanup(func() { f.Close() })
	f.Watch(cluster, []topology.Address{w.address(0), w.address(1), w.address(2)})
	return f
}

// anotherAuthority is the file of one that has signed nothing here: the certificate of a web server for tests.
func anotherAuthority(t *testing.T) string {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	file := filepath.Join(t.TempDir(), "other-ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The certificates that MySQL makes for itself name no host, so they pass only where the name is not checked.
func TestAReplicaChecksTheCertificateOfItsSource(t *testing.T) {
	const refused, receives = "2026", "0"
	own := realStage(t).value(0, "SELECT @@datadir") + "ca.pem"
	rows := []struct {
		name  string
		ca    string
		skip  bool
		state string
		errno string
	}{
		{"signed by the authority that is given", own, true, "ON", receives},
		{"signed by somebody else", anotherAuthority(t), true, "CONNECTING", refused},
		{"signed by the authority, and naming another host", own, false, "CONNECTING", refused},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := realStage(t)
			t.Cleanup(func() {
				w.exec(1, "STOP REPLICA IO_THREAD; CHANGE REPLICATION SOURCE TO SOURCE_SSL = 0, SOURCE_SSL_CA = '', SOURCE_SSL_VERIFY_SERVER_CERT = 0")
				w.exec(1, "START REPLICA")
			})
			w.exec(1, "STOP REPLICA IO_THREAD")
			f := w.secured(mysqld.ReplicationTLS{Enabled: true, CAFile: row.ca, SkipVerify: row.skip})
			w.must(f, w.follow(1, 0, w.term()))
			w.eventually(1, row.errno, "SELECT last_error_number FROM performance_schema.replication_connection_status")
			w.eventually(1, row.state, receiverState)
			if named := w.value(1, "SELECT ssl_ca_file FROM performance_schema.replication_connection_configuration"); named != row.ca {
				t.Errorf("the channel's authority is %q; expected %q", named, row.ca)
			}
		})
	}
}
