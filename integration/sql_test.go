package integration

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// What an operator, or somebody who should not, does to a server by hand: as root, past Primacy.

// root is a session of the superuser; it ends with the test at the latest.
func (c *cluster) root(a topology.Address) *sql.Conn {
	c.t.Helper()
	config, err := mysql.ParseDSN(c.server(a).AdminDSN())
	if err != nil {
		c.t.Fatal(err)
	}
	config.Logger = &mysql.NopLogger{} // servers are killed under it
	connector, err := mysql.NewConnector(config)
	if err != nil {
		c.t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(-1)                                      // a session that is closed is gone
	ctx, cancel := context.WithTimeout(c.t.Context(), patience) // a server that hangs accepts connections, too
	defer cancel()
	session, err := db.Conn(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { session.Close(); db.Close() })
	return session
}

// byHand runs statements in one session.
func (c *cluster) byHand(a topology.Address, statements ...string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	session := c.root(a)
	defer session.Close()
	for _, statement := range statements {
		if _, err := session.ExecContext(ctx, statement); err != nil {
			c.t.Fatalf("%s: %s: %v", a, statement, err)
		}
	}
}

// unrepaired is byHand under maintenance: nothing is repaired between two of the statements.
func (c *cluster) unrepaired(a topology.Address, statements ...string) {
	c.t.Helper()
	c.maintained(a, true)
	c.byHand(a, statements...)
	c.maintained(a, false)
}

func (c *cluster) maintained(a topology.Address, on bool) {
	c.t.Helper()
	if err := c.plane.orch.SetMaintenance(c.t.Context(), clusterName, a, on, orchestrator.Order{By: "the test"}); err != nil {
		c.t.Fatal(err)
	}
}

// table reads rows of text; NULL is shown as such.
func (c *cluster) table(a topology.Address, query string) [][]string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	session := c.root(a)
	defer session.Close()
	rows, err := session.QueryContext(ctx, query)
	if err != nil {
		c.t.Fatalf("%s: %s: %v", a, query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		c.t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		cells := make([]sql.NullString, len(names))
		into := make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, texts(cells))
	}
	if err := rows.Err(); err != nil {
		c.t.Fatalf("%s: %s: %v", a, query, err)
	}
	return all
}

func texts(cells []sql.NullString) []string {
	var all []string
	for _, cell := range cells {
		if cell.Valid {
			all = append(all, cell.String)
		} else {
			all = append(all, "NULL")
		}
	}
	return all
}

// state is everything about a server that Primacy could change, as text that can be compared.
func (c *cluster) state(a topology.Address) string {
	c.t.Helper()
	var lines []string
	for _, query := range []string{
		`SELECT variable_name, variable_value FROM performance_schema.global_variables WHERE variable_name IN ('read_only',
			'super_read_only', 'offline_mode', 'skip_replica_start', 'gtid_mode') OR variable_name LIKE 'rpl\_semi\_sync%' ORDER BY 1`,
		"SELECT variable_name, variable_value FROM performance_schema.persisted_variables ORDER BY 1",
		"SELECT host, port, user, auto_position FROM performance_schema.replication_connection_configuration",
		"SELECT service_state FROM performance_schema.replication_connection_status",
		"SELECT service_state FROM performance_schema.replication_applier_status",
		"SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged",
	} {
		for _, row := range c.table(a, query) {
			lines = append(lines, strings.Join(row, " "))
		}
	}
	return strings.Join(lines, "\n")
}

func (c *cluster) states(servers ...topology.Address) map[topology.Address]string {
	c.t.Helper()
	all := map[topology.Address]string{}
	for _, a := range servers {
		all[a] = c.state(a)
	}
	return all
}

// unchanged compares what servers show with what they showed before.
func (c *cluster) unchanged(before map[topology.Address]string) {
	c.t.Helper()
	for _, a := range slices.Sorted(maps.Keys(before)) {
		if now := c.state(a); now != before[a] {
			c.t.Errorf("%s was changed, from\n%s\nto\n%s", a, before[a], now)
		}
	}
}

// unrecorded runs statements so that they stay on this server and leave no transaction behind.
func (c *cluster) unrecorded(a topology.Address, statements ...string) {
	c.t.Helper()
	readOnly := c.table(a, "SELECT @@GLOBAL.read_only, @@GLOBAL.super_read_only")[0]
	all := append([]string{"SET SESSION sql_log_bin = OFF", "SET GLOBAL super_read_only = OFF"}, statements...)
	c.byHand(a, append(all, "SET GLOBAL read_only = "+readOnly[0], "SET GLOBAL super_read_only = "+readOnly[1])...)
}

// hangUp ends all connections of an account, so that what was changed about it counts.
func (c *cluster) hangUp(a topology.Address, user string) {
	c.t.Helper()
	for _, row := range c.table(a, fmt.Sprintf("SELECT processlist_id FROM performance_schema.threads WHERE processlist_user = '%s'", user)) {
		// One that has ended by itself meanwhile cannot be killed; nothing depends on it.
		c.tryByHand(a, "KILL "+row[0])
	}
}

func (c *cluster) tryByHand(a topology.Address, statement string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	session := c.root(a)
	defer session.Close()
	if _, err := session.ExecContext(ctx, statement); err != nil {
		c.t.Logf("%s: %s: %v", a, statement, err)
	}
}
