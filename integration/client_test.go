package integration

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/topology"
)

// session is an application's connection to one server, over TCP and with the application's rights.
type session struct {
	*sql.Conn
	pool *sql.DB
}

func (c *cluster) connect(a topology.Address) *session {
	c.t.Helper()
	config := mysql.NewConfig()
	config.User, config.Passwd = c.fleet.Users.App.Name, c.fleet.Users.App.Password
	config.Net, config.Addr, config.DBName = "tcp", c.server(a).Address(), "app"
	config.InterpolateParams, config.AllowNativePasswords = true, true
	config.TLSConfig, config.Logger = "preferred", &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		c.t.Fatal(err)
	}
	s := &session{pool: sql.OpenDB(connector)}
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if s.Conn, err = s.pool.Conn(ctx); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Conn.Close(); s.pool.Close() })
	return s
}

// insert writes a row of the workload's table and says on the channel what its client was told.
func (c *cluster) insert(s *session, id int64) <-chan error {
	told := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	go func() {
		_, err := s.ExecContext(ctx, fmt.Sprintf("INSERT INTO app.writes (id, writer, written_at) VALUES (%d, 99, '%s')", id, time.Now().UTC().Format("2006-01-02 15:04:05")))
		told <- err
	}()
	return told
}

// commitInFlight sends a row to a server, in a connection of its own.
func (c *cluster) commitInFlight(a topology.Address, id int64) <-chan error {
	c.t.Helper()
	return c.insert(c.connect(a), id)
}
