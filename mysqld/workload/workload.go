// Package workload is a client of a MySQL fleet: it writes without pause, finds the primary by itself
// as an application without a router would, and remembers of each row what it was told: OK, an error,
// or nothing. Demos and tests judge a change of the primary by it, for what counts is what clients saw.
package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Settings say who writes where.
type Settings struct {
	Addresses []string
	User      string
	Password  string
	Writers   int // default 1
	// Timeout bounds each write; one that takes longer has an unknown outcome. Default 5 s.
	Timeout time.Duration
	// Pause is waited between two writes of one writer. Default none.
	Pause time.Duration
}

// Told is what a client was told about a row.
type Told int

// The answers a client can get.
const (
	Nothing Told = iota // no answer: the row may be there or not
	OK                  // the row was acknowledged
	Refused             // an error that says the row was not written
)

// Write is one row with what became of it, as its client knows.
type Write struct {
	ID     int64
	Server string
	Began  time.Time
	Ended  time.Time
	Told   Told
	Error  string
}

// Client writes until it is stopped.
type Client struct {
	settings Settings
	end      context.CancelFunc
	writers  sync.WaitGroup

	mu     sync.Mutex
	next   int64
	writes []Write
	acked  chan struct{} // closed and replaced at each acknowledgement
}

const createTable = `CREATE TABLE IF NOT EXISTS app.writes (
  id BIGINT NOT NULL PRIMARY KEY, writer INT NOT NULL, written_at DATETIME(6) NOT NULL) ENGINE=InnoDB`

const insertRow = `INSERT INTO app.writes (id, writer, written_at) VALUES (?, ?, NOW(6))`

// Start creates the table on the primary and begins to write.
func Start(ctx context.Context, settings Settings) (*Client, error) {
	settings.Writers = cmp.Or(settings.Writers, 1)
	settings.Timeout = cmp.Or(settings.Timeout, 5*time.Second)
	c := &Client{settings: settings, acked: make(chan struct{})}
	lines := c.lines()
	defer lines.close()
	setup, err := lines.primary(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := setup.conn.ExecContext(ctx, createTable); err != nil {
		return nil, fmt.Errorf("create the workload's table on %s: %w", setup.address, err)
	}
	inner, end := context.WithCancel(context.WithoutCancel(ctx))
	c.end = end
	for i := range settings.Writers {
		c.writers.Go(func() { c.write(inner, i) })
	}
	return c, nil
}

// Stop ends the writers and waits for them.
func (c *Client) Stop() {
	c.end()
	c.writers.Wait()
}

// Writes are all writes so far, in the order in which they ended.
func (c *Client) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

// AwaitAcks waits until n more writes than now have been acknowledged.
func (c *Client) AwaitAcks(ctx context.Context, n int) error {
	for range n {
		c.mu.Lock()
		next := c.acked
		c.mu.Unlock()
		select {
		case <-next:
		case <-ctx.Done():
			return fmt.Errorf("wait for acknowledged writes: %w", ctx.Err())
		}
	}
	return nil
}

func (c *Client) write(ctx context.Context, writer int) {
	lines := c.lines()
	defer lines.close()
	for ctx.Err() == nil {
		l, err := lines.primary(ctx)
		if err != nil {
			continue
		}
		for ctx.Err() == nil && c.insert(ctx, l, writer) && pause(ctx, c.settings.Pause) {
		}
		l.drop()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// insert writes one row; false when this connection is of no more use.
func (c *Client) insert(ctx context.Context, l *line, writer int) bool {
	w := Write{ID: c.number(), Server: l.address, Began: time.Now()}
	bounded, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	_, err := l.conn.ExecContext(bounded, insertRow, w.ID, writer)
	w.Ended, w.Told = time.Now(), judge(err)
	if err != nil {
		w.Error = err.Error()
	}
	c.note(w)
	return err == nil
}

// judge reads an answer: only a MySQL error that comes before the commit says that nothing was written.
func judge(err error) Told {
	var refused *mysql.MySQLError
	switch {
	case err == nil:
		return OK
	case errors.As(err, &refused) && slices.Contains(refusals, refused.Number):
		return Refused
	}
	return Nothing
}

// refusals are the errors of a server that is read-only or has no such table: 1290, 1836, 1146, 3032
// (offline mode at login).
var refusals = []uint16{1290, 1836, 1146, 3032}

func (c *Client) number() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next
}

func (c *Client) note(w Write) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes = append(c.writes, w)
	if w.Told == OK {
		close(c.acked)
		c.acked = make(chan struct{})
	}
}
