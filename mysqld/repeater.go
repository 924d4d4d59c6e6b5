package mysqld

import (
	"context"
	"database/sql/driver"

	"github.com/primacydb/primacy/topology"
)

// repeater is a link that is asked the same few statements again and again: it prepares each one that
// comes a second time, which saves the server a third of its work on a probe.
type repeater struct {
	*link
	id    int64 // the server's number for the connection
	asked map[string]driver.Stmt
}

// logIn opens a link for probes. It learns the facts at once, so that the first probe is one round trip
// too and a distant server is not lost to the probe timeout each time. That this fails is for the probe
// to find out and to say.
func (f *Fleet) logIn(ctx context.Context, server topology.Address, m *memory) (*repeater, error) {
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return nil, err
	}
	rows, err := l.query(ctx, "SELECT CONNECTION_ID()")
	if err != nil {
		l.close()
		return nil, err
	}
	r := &repeater{link: l, id: rows[0][0].number(), asked: make(map[string]driver.Stmt)}
	_, _, _ = m.study(ctx, r)
	return r, nil
}

// query implements queryer: one round trip, and one more when the statement comes the second time.
func (r *repeater) query(ctx context.Context, statement string, args ...any) ([]row, error) {
	if len(args) > 0 {
		return r.link.query(ctx, statement, args...)
	}
	prepared, again := r.asked[statement]
	if !again {
		r.asked[statement] = nil
		return r.link.query(ctx, statement, args...)
	}
	if prepared == nil {
		var err error
		if prepared, err = r.prepare(ctx, statement); err != nil {
			return nil, err
		}
	}
	rows, err := prepared.(driver.StmtQueryContext).QueryContext(ctx, nil)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	all, err := collect(rows)
	return all, r.failed(ctx, err)
}

func (r *repeater) prepare(ctx context.Context, statement string) (driver.Stmt, error) {
	prepared, err := r.conn.(driver.ConnPrepareContext).PrepareContext(ctx, statement)
	if err != nil {
		return nil, r.failed(ctx, err)
	}
	r.asked[statement] = prepared
	return prepared, nil
}

// broken is closed when the other side has cut the connection; nil, which never is, without one.
func (r *repeater) broken() <-chan struct{} {
	if r == nil {
		return nil
	}
	return r.wire.broken
}

func (r *repeater) isBroken() bool { return r != nil && !r.alive() }
