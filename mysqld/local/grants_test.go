package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/primacydb/primacy/mysqld"
)

// A trial is something that Primacy does, run as its account. It fails with the
// server's refusal.
type trial func(ctx context.Context, db *sql.DB) error

func statements(texts ...string) trial {
	return func(ctx context.Context, db *sql.DB) error {
		session, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer session.Close()
		for _, text := range texts {
			if _, err := session.ExecContext(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	}
}

// counts fails where the account is shown nothing, which is how some privileges
// are refused.
func counts(query string) trial {
	return func(ctx context.Context, db *sql.DB) error {
		var n int
		if err := db.QueryRowContext(ctx, query).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return errors.New("nothing is shown")
		}
		return nil
	}
}

// marker writes a row as establishment does: under a GTID that it chooses, while
// everyone else is kept out.
func marker(term int) trial {
	return statements(
		"SET GLOBAL read_only = ON",
		fmt.Sprintf("SET SESSION gtid_next = '7072696d-0000-0000-0000-%012d:1'", term),
		fmt.Sprintf("INSERT INTO _primacy.journal VALUES (%d)", term),
		"SET SESSION gtid_next = AUTOMATIC",
		"SET GLOBAL read_only = OFF",
	)
}

// refusedTo is what stops working without a privilege. CLONE INSTANCE names a
// donor that is not allowed, so that with the privilege it fails later.
func refusedTo(grant mysqld.Grant) (do trial, onReplica bool) {
	switch grant.Privilege + " " + grant.On {
	case "PROCESS *.*":
		return counts("SELECT COUNT(*) FROM performance_schema.processlist WHERE user <> 'primacy'"), false
	case "RELOAD *.*":
		return statements("STOP REPLICA", "RESET REPLICA"), true
	case "REPLICATION CLIENT *.*":
		return statements("SHOW REPLICA STATUS"), true
	case "REPLICATION SLAVE *.*":
		return statements("SHOW REPLICAS"), false
	case "CONNECTION_ADMIN *.*":
		return marker(7), false
	case "PERSIST_RO_VARIABLES_ADMIN *.*":
		return statements("SET PERSIST_ONLY skip_replica_start = ON"), true
	case "REPLICATION_SLAVE_ADMIN *.*":
		return statements("STOP REPLICA IO_THREAD"), true
	case "SYSTEM_VARIABLES_ADMIN *.*":
		return statements("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1"), false
	case "SELECT performance_schema.*":
		return counts("SELECT COUNT(*) FROM performance_schema.replication_connection_status"), true
	case "CREATE `_primacy`.*":
		return statements("CREATE DATABASE IF NOT EXISTS _primacy", "CREATE TABLE IF NOT EXISTS _primacy.journal (term INT)"), false
	case "SELECT `_primacy`.*":
		return statements("SELECT term FROM _primacy.journal"), false
	case "INSERT `_primacy`.*":
		return statements("INSERT INTO _primacy.journal VALUES (1)"), false
	case "SELECT *.*":
		return counts("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'app'"), true
	case "DELETE `_primacy`.*":
		return statements("DELETE FROM _primacy.journal"), false
	case "BINLOG_ADMIN *.*":
		return reachesDecoding, false
	case "BACKUP_ADMIN *.*":
		return statements("LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"), false
	case "CLONE_ADMIN *.*":
		return reachesCloning, true
	case "SHUTDOWN *.*":
		return reachesRestarting, true
	case "SHOW VIEW *.*":
		return counts("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'app'"), false
	case "SELECT (User, Host, Super_priv, Repl_slave_priv) mysql.user":
		return statements("SELECT User, Host FROM mysql.user WHERE Super_priv = 'Y' OR Repl_slave_priv = 'Y'"), false
	case "SELECT mysql.default_roles":
		return statements("SELECT USER, HOST, DEFAULT_ROLE_USER, DEFAULT_ROLE_HOST FROM mysql.default_roles"), false
	case "SELECT mysql.role_edges":
		return statements("SELECT FROM_USER, FROM_HOST, TO_USER, TO_HOST FROM mysql.role_edges"), false
	case "SELECT mysql.global_grants":
		return statements("SELECT USER, HOST FROM mysql.global_grants WHERE PRIV = 'SYSTEM_USER'"), false
	}
	return nil, false
}

// reachesCloning gets as far as error 3869 (the donor is not in the list of
// allowed ones), which is asked after the privilege.
func reachesCloning(ctx context.Context, db *sql.DB) error {
	err := statements("CLONE INSTANCE FROM 'x'@'127.0.0.1':1 IDENTIFIED BY 'x'")(ctx, db)
	if errorNumber(err) == 3869 {
		return nil
	}
	return err
}

// reachesDecoding gets as far as error 1149 (what it was given are no events), which is asked after the privilege.
func reachesDecoding(ctx context.Context, db *sql.DB) error {
	err := statements("BINLOG 'AAAA'")(ctx, db)
	if errorNumber(err) == 1149 {
		return nil
	}
	return err
}

// reachesRestarting gets as far as error 3707 (nobody would start it again), which is asked after the privilege.
func reachesRestarting(ctx context.Context, db *sql.DB) error {
	err := statements("RESTART")(ctx, db)
	if errorNumber(err) == 3707 {
		return nil
	}
	return err
}

func TestEveryGrantIsNeededAndTogetherTheyAreEnough(t *testing.T) {
	fleet := startFleet(t, Spec{Servers: 2, Unsupervised: true, Schema: []string{"CREATE DATABASE _primacy", "CREATE TABLE _primacy.journal (term INT)", "CREATE TABLE app.rows (id INT PRIMARY KEY)"}})
	// Some trials stop the replica, and nobody is to wait for its acknowledgement.
	do(t, admin(t, fleet.Servers[0]), "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
	for _, grant := range mysqld.Grants {
		t.Run(grant.Privilege+" on "+grant.On, func(t *testing.T) {
			do, onReplica := refusedTo(grant)
			if do == nil {
				t.Fatal("nothing is known that needs it")
			}
			server := fleet.Servers[0]
			if onReplica {
				server = fleet.Servers[1]
			}
			without(t, server, grant, func() {
				if err := attempt(t, server, fleet.Users.Primacy, do); err == nil {
					t.Errorf("not needed for: %s", grant.Why)
				}
			})
			if err := attempt(t, server, fleet.Users.Primacy, do); err != nil {
				t.Error(err)
			}
		})
	}
}

// without takes a grant away for a moment, on one server only.
func without(t *testing.T, s *Server, grant mysqld.Grant, then func()) {
	t.Helper()
	unlogged := func(text string) {
		do(t, admin(t, s), "SET GLOBAL super_read_only = OFF")
		err := s.execute(deadline(t), plain("SET SESSION sql_log_bin = OFF"), plain(text))
		if err != nil {
			t.Fatal(err)
		}
		do(t, admin(t, s), "SET GLOBAL read_only = "+fmt.Sprint(s != s.fleet.Servers[0]))
	}
	all := []string{grant.Privilege + " ON " + grant.On}
	if wider := "SELECT ON *.*"; all[0] != wider && (strings.HasPrefix(grant.Privilege, "SELECT") || grant.Privilege == "SHOW VIEW") {
		all = append(all, wider) // which would do in its place
	}
	for _, one := range all {
		unlogged("REVOKE " + one + " FROM primacy@'%'")
	}
	then()
	for _, one := range all {
		unlogged("GRANT " + one + " TO primacy@'%'")
	}
}

// attempt uses a connection of its own and ends it: a session keeps the
// privileges that it began with, and one that failed may hold on to its GTID.
func attempt(t *testing.T, s *Server, account Account, do trial) error {
	t.Helper()
	db := connect(t, s, account)
	defer db.Close()
	return do(deadline(t), db)
}

func TestGrantStatementsLeaveOutFeaturesThatAreNotAskedFor(t *testing.T) {
	for _, statement := range mysqld.GrantStatements("o`hara", "%") {
		for _, privilege := range []string{"BACKUP_ADMIN", "CLONE_ADMIN", "BINLOG_ADMIN"} {
			if strings.Contains(statement, privilege) {
				t.Errorf("%s is granted without the feature that needs it", privilege)
			}
		}
		if !strings.Contains(statement, " TO `o``hara`@`%`") {
			t.Errorf("the account is not quoted: %s", statement)
		}
	}
}
