package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
)

// What the servers themselves say, asked as the superuser and past every elector.

func admin(server *local.Server) (*sql.DB, error) {
	config, err := mysql.ParseDSN(server.AdminDSN())
	if err != nil {
		return nil, err
	}
	config.Logger = &mysql.NopLogger{} // servers are killed under it
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// execute runs a statement.
func execute(ctx context.Context, server *local.Server, statement string) error {
	db, err := admin(server)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %s: %w", server.Address(), statement, err)
	}
	return nil
}

// table reads rows of text, each with its columns parted by blanks.
func table(ctx context.Context, server *local.Server, query string) (lines []string, err error) {
	db, err := admin(server)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", server.Address(), query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		columns, into := make([]string, len(names)), make([]any, len(names))
		for i := range columns {
			into[i] = &columns[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		lines = append(lines, strings.Join(columns, " "))
	}
	return lines, rows.Err()
}

func executed(ctx context.Context, server *local.Server) (gtid.Set, error) {
	lines, err := table(ctx, server, "SELECT @@GLOBAL.gtid_executed")
	if err != nil {
		return gtid.Set{}, err
	}
	return gtid.Parse(lines[0])
}

// converged waits until no client is at work any more and these servers hold the same transactions.
func (s *stage) converged(ctx context.Context, servers []*local.Server) error {
	return await(ctx, "servers that hold the same transactions", func(ctx context.Context) bool {
		if slices.ContainsFunc(servers, func(server *local.Server) bool { return !s.left(ctx, server) }) {
			return false
		}
		first, err := executed(ctx, servers[0])
		if err != nil {
			return false
		}
		return !slices.ContainsFunc(servers[1:], func(server *local.Server) bool {
			other, err := executed(ctx, server)
			return err != nil || !other.Equal(first)
		})
	})
}

// left tells whether no session of clients is on a server: one that went away may leave a statement behind which still
// commits.
func (s *stage) left(ctx context.Context, server *local.Server) bool {
	sessions, err := table(ctx, server, "SELECT id FROM performance_schema.processlist WHERE user = '"+s.fleet.Users.App.Name+"'")
	return err == nil && len(sessions) == 0
}

// lost says of each server what it lacks that clients were told is there, and what it has that they were told is not.
func (p *scene) lost(ctx context.Context, servers []*local.Server) (wrong []string, err error) {
	var first map[int64]bool
	for i, server := range servers {
		rows, err := workload.Rows(ctx, server.AdminDSN())
		if err != nil {
			return nil, err
		}
		verdict := workload.Judge(p.client.Writes(), rows)
		if !verdict.Good() || verdict.Acknowledged == 0 {
			wrong = append(wrong, fmt.Sprintf("on %s: %s (lost %v, ghosts %v)", server.Address(), verdict, verdict.Lost, verdict.Ghosts))
		}
		if i == 0 {
			first = rows
		}
		if !maps.Equal(first, rows) {
			wrong = append(wrong, fmt.Sprintf("%s and %s hold different rows", server.Address(), servers[0].Address()))
		}
	}
	return wrong, nil
}

// standing says what is wrong with what each server is: one takes writes, the others follow it.
func (p *scene) standing(ctx context.Context, primary string, members []*local.Server) (wrong []string, err error) {
	for _, server := range members {
		modes, err := table(ctx, server, "SELECT @@GLOBAL.read_only, @@GLOBAL.super_read_only, @@GLOBAL.offline_mode")
		if err != nil {
			return nil, err
		}
		want := "1 1 0"
		if server.Address() == primary {
			want = "0 0 0"
		}
		if modes[0] != want {
			wrong = append(wrong, fmt.Sprintf("%s leads, and read_only, super_read_only and offline_mode of %s are %s", primary, server.Address(), modes[0]))
		}
		threads, err := table(ctx, server, `SELECT c.host, c.port, r.service_state, a.service_state FROM performance_schema.replication_connection_configuration c,
			performance_schema.replication_connection_status r, performance_schema.replication_applier_status a`)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, following(server.Address(), primary, threads)...)
	}
	return wrong, nil
}

func following(server, primary string, channels []string) []string {
	var want []string
	if server != primary {
		want = []string{strings.Replace(primary, ":", " ", 1) + " ON ON"}
	}
	if !slices.Equal(channels, want) {
		return []string{fmt.Sprintf("%s leads, and %s replicates like this: %q", primary, server, channels)}
	}
	return nil
}

// journal is which decisions stand on a server, as "term hash".
func journal(ctx context.Context, server *local.Server) ([]string, error) {
	return table(ctx, server, "SELECT term, decision_hash FROM _primacy.journal ORDER BY term")
}
