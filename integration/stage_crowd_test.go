package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"
)

// A crowd is clients that write all the time while the loop of a stage runs, on whichever server takes it.
type crowd struct {
	stage *stage
	dbs   []*sql.DB
	owner sync.WaitGroup
	stop  context.CancelFunc

	next int64   // rows of a crowd are numbered downwards, away from those of the scenario's own lines
	told []int64 // of which a client was told OK
}

func (s *stage) newCrowd() (*crowd, error) {
	c := &crowd{stage: s}
	app := s.fleet.Users.App
	for _, a := range s.cast {
		config, err := mysql.ParseDSN(fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true", app.Name, app.Password, s.actors[a].Address()))
		if err != nil {
			return nil, err
		}
		config.Logger = &mysql.NopLogger{}
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return nil, err
		}
		c.dbs = append(c.dbs, sql.OpenDB(connector))
	}
	return c, nil
}

// gather lets them write until they are dismissed.
func (c *crowd) gather(ctx context.Context) {
	ctx, c.stop = context.WithCancel(ctx)
	c.owner.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				c.write(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
}

func (c *crowd) dismiss() {
	c.stop()
	c.owner.Wait()
}

// write tries one row on each server, until one takes it or says nothing.
func (c *crowd) write(ctx context.Context) {
	c.next--
	for _, db := range c.dbs {
		bounded, cancel := context.WithTimeout(ctx, time.Second)
		_, err := db.ExecContext(bounded, "INSERT INTO app.rows VALUES (?)", c.next)
		late := bounded.Err() != nil
		cancel()
		switch {
		case err == nil:
			c.told = append(c.told, c.next)
			return
		case late:
			return // it may be there
		}
	}
}

// judge reads the rows of a server that takes writes: it has to hold all that was answered.
func (c *crowd) judge() (lost []int64, err error) {
	for _, a := range c.stage.cast {
		o, err := c.stage.Look(a)
		if err != nil || !o.Writable() {
			continue
		}
		for _, id := range c.told {
			r, err := c.stage.actors[a].row(c.stage.ctx, "SELECT COUNT(*) FROM app.rows WHERE id = ?", id)
			if err != nil {
				return nil, err
			}
			if r[0] == "0" {
				lost = append(lost, id)
			}
		}
		return lost, nil
	}
	return nil, errors.New("no server takes writes that could show the rows of the crowd")
}

func (c *crowd) close() {
	for _, db := range c.dbs {
		db.Close()
	}
}
