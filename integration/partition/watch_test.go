//go:build linux

package partition

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/mysqld/local"
)

// watch asks every server, again and again and past every cut, whether it takes writes.
type watch struct {
	servers []*local.Server
	pools   []*sql.DB
	end     context.CancelFunc
	ended   sync.WaitGroup

	mu    sync.Mutex
	pairs [][2]string // servers that took writes at the same time
}

func startWatch(ctx context.Context, servers []*local.Server) (*watch, error) {
	w := &watch{servers: servers}
	for _, s := range servers {
		config, err := mysql.ParseDSN(s.AdminDSN())
		if err != nil {
			return nil, err
		}
		config.Logger = &mysql.NopLogger{} // servers are killed under it
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return nil, err
		}
		w.pools = append(w.pools, sql.OpenDB(connector))
	}
	ctx, w.end = context.WithCancel(ctx)
	w.ended.Go(func() { w.run(ctx) })
	return w, nil
}

func (w *watch) run(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// look finds two at the same time where the first one is open before and after the second one was.
func (w *watch) look(ctx context.Context) {
	var open []int
	for i := range w.servers {
		if w.isOpen(ctx, i) {
			open = append(open, i)
		}
	}
	if len(open) > 1 && w.isOpen(ctx, open[0]) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pairs = append(w.pairs, [2]string{w.servers[open[0]].Address(), w.servers[open[1]].Address()})
	}
}

func (w *watch) isOpen(ctx context.Context, i int) bool {
	if w.servers[i].State() != local.Running {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var open bool
	err := w.pools[i].QueryRowContext(ctx, "SELECT NOT (@@GLOBAL.read_only OR @@GLOBAL.offline_mode)").Scan(&open)
	return err == nil && open
}

// stop returns the servers that took writes at the same time.
func (w *watch) stop() [][2]string {
	w.end()
	w.ended.Wait()
	for _, p := range w.pools {
		_ = p.Close()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pairs
}

// open lists the servers that take writes now.
func (w *watch) open(ctx context.Context) []string {
	var all []string
	for i, s := range w.servers {
		if w.isOpen(ctx, i) {
			all = append(all, s.Address())
		}
	}
	return all
}
