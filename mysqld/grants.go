package mysqld

import (
	"slices"
	"strings"
)

// A Grant is one privilege of Primacy's own account, with the reason why it is
// needed. An account with these grants and no others is enough; a test takes
// each one away and shows what stops working.
type Grant struct {
	Privilege string // as MySQL spells it
	On        string // "*.*", a schema with ".*", or a table
	Why       string // what Primacy does with it
	Feature   string // empty when every installation needs it
}

// FeatureClone is the repair of an errant server by copying a healthy one.
// Leave its grants out and Primacy offers the other repairs only.
const FeatureClone = "clone"

// FeatureErrant is telling what errant transactions changed, and undoing them row by row. Leave its grants out and
// Primacy tells tables and values without the names of columns, and rewinds nothing.
const FeatureErrant = "errant"

// FeatureCheck is what `primacy check` reads of accounts and tables. Leave its grants out and it says what it could not see.
const FeatureCheck = "check"

// FeatureHalt is stopping and restarting servers. Leave its grant out and Primacy says so, and stops none.
const FeatureHalt = "halt"

// Grants is what the account in `mysql.user` of the configuration needs on every
// server. Tried on MySQL 9.7; the names are the same since 8.0.26.
var Grants = []Grant{
	{"PROCESS", "*.*", "see every session: commits that wait for an acknowledgement, sessions of other electors", ""},
	{"RELOAD", "*.*", "RESET REPLICA ALL on a server that becomes the primary", ""},
	{"REPLICATION CLIENT", "*.*", "SHOW REPLICA STATUS and the state of the binary log", ""},
	{"REPLICATION SLAVE", "*.*", "SHOW REPLICAS, and reading the binary log of an errant server", ""},
	{"CONNECTION_ADMIN", "*.*", "write the term marker while read_only is still on, end sessions of older electors, stay connected under offline_mode", ""},
	{"PERSIST_RO_VARIABLES_ADMIN", "*.*", "persist skip_replica_start, so that a revoked replica that restarts stays revoked, and one that must not acknowledge does not begin to", ""},
	{"REPLICATION_SLAVE_ADMIN", "*.*", "START and STOP REPLICA, CHANGE REPLICATION SOURCE", ""},
	{"SYSTEM_VARIABLES_ADMIN", "*.*", "set read_only, super_read_only, offline_mode and the semi-sync settings; choose gtid_next for the term marker", ""},
	{"SELECT", "performance_schema.*", "positions, receiver and applier state, connection attributes of other electors", ""},
	{"CREATE", "`_primacy`.*", "make the journal's schema and table when a cluster is adopted, and the table of rules", ""},
	{"SELECT", "`_primacy`.*", "read the journal of terms", ""},
	{"INSERT", "`_primacy`.*", "write the term marker, and the barrier of a change of the rules", ""},
	{"SELECT", "*.*", "name the columns of errant transactions, and compare rewound rows with the primary's", FeatureErrant},
	{"BINLOG_ADMIN", "*.*", "undo errant transactions with the server's own row events", FeatureErrant},
	{"DELETE", "`_primacy`.*", "forget what a rewind kept on the server, once it is over", FeatureErrant},
	{"BACKUP_ADMIN", "*.*", "be the server that a clone is taken from", FeatureClone},
	{"CLONE_ADMIN", "*.*", "replace an errant server's data by a clone", FeatureClone},
	{"SHUTDOWN", "*.*", "stop and restart servers for whoever asks for it", FeatureHalt},
	{"SHOW VIEW", "*.*", "let check see which tables are of other engines than InnoDB, and no row of them", FeatureCheck},
	{"SELECT (User, Host, Super_priv, Repl_slave_priv)", "mysql.user", "let check see which accounts fencing cannot stop, and whether the replication account may replicate", FeatureCheck},
	{"SELECT", "mysql.default_roles", "let check see whether the replication account may replicate by a role", FeatureCheck},
	{"SELECT", "mysql.role_edges", "let check see whether the replication account may replicate by a role", FeatureCheck},
	{"SELECT", "mysql.global_grants", "let check see which accounts fencing cannot stop", FeatureCheck},
}

// ReplicaGrants is what the account needs with which replicas connect to their
// source.
var ReplicaGrants = []Grant{
	{"REPLICATION SLAVE", "*.*", "receive the binary log of the source", ""},
}

// GrantStatements returns the statements that give Primacy's account what it
// needs, ready to paste; the account itself must exist. Grants of a feature are
// included when the feature is named.
func GrantStatements(user, host string, features ...string) []string {
	return statements(Grants, user, host, features)
}

// ReplicaGrantStatements is the same for the account that replicas use.
func ReplicaGrantStatements(user, host string) []string {
	return statements(ReplicaGrants, user, host, nil)
}

// statements makes one GRANT per object, for MySQL does not mix global and
// schema privileges in one statement.
func statements(grants []Grant, user, host string, features []string) []string {
	var objects []string
	privileges := map[string][]string{}
	for _, grant := range grants {
		if grant.Feature != "" && !slices.Contains(features, grant.Feature) {
			continue
		}
		if _, seen := privileges[grant.On]; !seen {
			objects = append(objects, grant.On)
		}
		privileges[grant.On] = append(privileges[grant.On], grant.Privilege)
	}
	var out []string
	for _, object := range objects {
		out = append(out, "GRANT "+strings.Join(privileges[object], ", ")+" ON "+object+" TO "+account(user, host))
	}
	return out
}

func account(user, host string) string {
	return quoteName(user) + "@" + quoteName(host)
}

// quoteName quotes an identifier the way that no sql_mode changes.
func quoteName(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
