package workload

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/go-sql-driver/mysql"
)

// line is a writer's connection to one server, kept so that asking who leads costs a query and not a
// login: a client that logs in over and over again would be most of the load in a write gap.
type line struct {
	settings Settings
	address  string
	pool     *sql.DB
	conn     *sql.Conn // nil while there is none
	tryAt    time.Time // no login before
}

// lines are a writer's connections to all servers.
type lines []*line

func (c *Client) lines() lines {
	var all lines
	for _, address := range c.settings.Addresses {
		all = append(all, &line{settings: c.settings, address: address})
	}
	return all
}

func (all lines) close() {
	for _, l := range all {
		l.drop()
	}
}

const (
	// askPause is how long a client that found no primary waits before it asks all servers again.
	askPause = 2 * time.Millisecond
	// loginPause is how long it leaves a server alone that refused it.
	loginPause = 20 * time.Millisecond
	// askTimeout bounds one round of asking; a server that was frozen answers nothing at all.
	askTimeout = 250 * time.Millisecond
)

// primary asks all servers at once which of them takes writes, again and again until one does. A server
// that does not answer delays nothing but the round.
func (all lines) primary(ctx context.Context) (*line, error) {
	for {
		if l := all.ask(ctx); l != nil {
			return l, nil
		}
		if !pause(ctx, askPause) {
			return nil, fmt.Errorf("no server takes writes: %w", ctx.Err())
		}
	}
}

func (all lines) ask(ctx context.Context) *line {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answers := make(chan *line, len(all))
	for _, l := range all {
		go func() { answers <- l.writable(ctx) }()
	}
	var found *line
	for range all {
		if l := <-answers; l != nil && found == nil {
			found = l
			cancel() // the others are not needed, and a frozen one would hold the writer up
		}
	}
	return found
}

// writable returns the line if its server takes writes now, else nil.
func (l *line) writable(ctx context.Context) *line {
	if l.conn == nil && !l.login(ctx) {
		return nil
	}
	var closed bool
	err := l.conn.QueryRowContext(ctx, "SELECT @@GLOBAL.read_only OR @@GLOBAL.offline_mode").Scan(&closed)
	if err != nil {
		l.drop()
		l.tryAt = time.Now().Add(loginPause)
		return nil
	}
	if closed {
		return nil
	}
	return l
}

func (l *line) login(ctx context.Context) bool {
	if time.Now().Before(l.tryAt) {
		return false
	}
	l.tryAt = time.Now().Add(loginPause)
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr = l.settings.User, l.settings.Password, "tcp", l.address
	config.TLSConfig, config.Timeout, config.Logger = "preferred", l.settings.Timeout, &mysql.NopLogger{}
	config.InterpolateParams = true
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return false
	}
	l.pool = sql.OpenDB(connector)
	if l.conn, err = l.pool.Conn(ctx); err != nil {
		l.drop()
		return false
	}
	return true
}

// drop ends the connection; the next question makes a new one.
func (l *line) drop() {
	if l.conn != nil {
		_ = l.conn.Close() // a connection that cannot be closed in order is gone already
	}
	if l.pool != nil {
		_ = l.pool.Close()
	}
	l.conn, l.pool = nil, nil
}
