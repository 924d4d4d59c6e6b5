package mysqld

// ReplicationTLS is how a replica protects the connection to its source. The files are on the replica's host, where
// MySQL reads them; a relative name starts in its data directory.
type ReplicationTLS struct {
	Enabled  bool   // encrypt (SOURCE_SSL); the other fields need it
	CAFile   string // check the source's certificate against these authorities; empty: it is not checked
	CertFile string // what the replica shows of itself
	KeyFile  string
	// SkipVerify leaves the source's name out of the check, for certificates that do not name their host, such as
	// those that MySQL makes for itself. An authority that is given still has to have signed.
	SkipVerify bool
}

// options are parts of CHANGE REPLICATION SOURCE TO. Whoever asks for TLS gets every option stated, since a channel
// keeps what a statement leaves out: a file that was taken out of the settings would stay in use. Without TLS nothing
// is said, so that a channel which an operator has encrypted stays encrypted.
func (t ReplicationTLS) options() (list []string, args []any) {
	if !t.Enabled {
		return nil, nil
	}
	verify := "SOURCE_SSL_VERIFY_SERVER_CERT = 0"
	if t.CAFile != "" && !t.SkipVerify {
		verify = "SOURCE_SSL_VERIFY_SERVER_CERT = 1"
	}
	return []string{"SOURCE_SSL = 1", "SOURCE_SSL_CA = ?", "SOURCE_SSL_CERT = ?", "SOURCE_SSL_KEY = ?", verify},
		[]any{t.CAFile, t.CertFile, t.KeyFile}
}
