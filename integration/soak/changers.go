package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/mysqld/workload"
)

// changers are clients that change and delete the rows of a small table again and again, several in a transaction: what
// has to be undone of an errant server is then more than rows that were never there before.
type changers struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	done    atomic.Int64
}

const changingTable = `CREATE TABLE app.accounts (id INT PRIMARY KEY, owner VARCHAR(50), amount DECIMAL(12,2), changed DATETIME(6), UNIQUE (owner))`

const accounts = 200

func startChangers(ctx context.Context, s workload.Settings, n int) *changers {
	ctx, cancel := context.WithCancel(ctx)
	c := &changers{cancel: cancel}
	for i := range n {
		c.running.Go(func() { c.change(ctx, s, i) })
	}
	return c
}

// stop ends them, and says how many rows they have changed.
func (c *changers) stop() int {
	c.cancel()
	c.running.Wait()
	return int(c.done.Load())
}

// change tries one server after the other: only one of them takes what it writes.
func (c *changers) change(ctx context.Context, s workload.Settings, at int) {
	for ctx.Err() == nil {
		at = (at + 1) % len(s.Addresses)
		c.changeOn(ctx, s, s.Addresses[at])
		_ = wait(ctx, 20*time.Millisecond) // the loop sees its end
	}
}

// changeOn goes on until the server refuses.
func (c *changers) changeOn(ctx context.Context, s workload.Settings, address string) {
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd, config.Logger = "tcp", address, s.User, s.Password, &mysql.NopLogger{}
	config.Timeout, config.ReadTimeout = s.Timeout, s.Timeout
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for ctx.Err() == nil && c.transaction(ctx, db) == nil {
		if wait(ctx, s.Pause) != nil {
			return
		}
	}
}

func (c *changers) transaction(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	n := 1 + rand.IntN(4)
	for range n {
		id := rand.IntN(accounts)
		statement := fmt.Sprintf("UPDATE app.accounts SET amount = amount * 1.01 + 1, changed = NOW(6) WHERE id BETWEEN %d AND %d", id, id+3)
		switch rand.IntN(4) {
		case 0:
			statement = fmt.Sprintf("DELETE FROM app.accounts WHERE id = %d", id)
		case 1, 2:
			statement = fmt.Sprintf("REPLACE INTO app.accounts VALUES (%d, 'owner %d', %d, NOW(6))", id, rand.IntN(accounts), id)
		}
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			_ = tx.Rollback() // the session may be gone
			return err
		}
	}
	err = tx.Commit()
	if err == nil {
		c.done.Add(int64(n))
	}
	return err
}
