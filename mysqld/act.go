package mysqld

import (
	"context"
	"crypto/rand"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// act is one command while it is carried out on its fenced session.
type act struct {
	*session
	command reparent.Command
	// changed is set as soon as something that changes the server may have been sent: from then on a lost
	// reply means that nobody knows.
	changed bool
	note    string // what to say beside a Yes
}

// A guard is a condition that the server itself checks, in the same round trip as the statement that it
// protects. broken is SQL that is true when the statement must not run.
type guard struct {
	broken string
	reason reparent.Reason
	detail string
}

// change runs a statement behind the fence's guard: it does not run when a marker of a higher term has
// arrived since the last look. It may be several statements; the first that fails ends them.
func (a *act) change(ctx context.Context, statement string, args ...any) error {
	return a.changeOn(ctx, a.link, nil, statement, args...)
}

// changeUnless is change with further guards.
func (a *act) changeUnless(ctx context.Context, guards []guard, statement string, args ...any) error {
	return a.changeOn(ctx, a.link, guards, statement, args...)
}

func (a *act) changeOn(ctx context.Context, l *link, guards []guard, statement string, args ...any) error {
	a.changed = true
	guards = append([]guard{a.fenceGuard()}, guards...)
	err := l.exec(ctx, guarded(guards)+statement, args...)
	if mysqlErrno(err) == errMalformedGTIDSet {
		return a.explain(ctx, guards)
	}
	return err
}

// guarded makes the server stop at a broken guard: GTID_SUBSET refuses a text that is no set, and what
// follows a failed statement in the same packet is not run.
func guarded(guards []guard) string {
	var text strings.Builder
	for _, g := range guards {
		text.WriteString("DO GTID_SUBSET(IF(" + g.broken + ", 'guard', ''), '');")
	}
	return text.String()
}

// explain asks which guard stopped a statement.
func (a *act) explain(ctx context.Context, guards []guard) error {
	var list []string
	for _, g := range guards {
		list = append(list, "("+g.broken+")")
	}
	rows, err := a.query(ctx, "SELECT "+strings.Join(list, ", "))
	if err != nil {
		return refuse(reparent.ReasonRefused, "a condition of %s did not hold on %s, and asking which failed: %v", a.command.Verb, a.server, err)
	}
	for i, g := range guards {
		if rows[0][i].on() {
			return refuse(g.reason, "%s: %s", a.server, g.detail)
		}
	}
	return refuse(reparent.ReasonRefused, "a condition of %s did not hold on %s for a moment; try again", a.command.Verb, a.server)
}

// fenceGuard stops a statement when the server knows of a later leadership than ours.
func (a *act) fenceGuard() guard {
	pattern := "'" + laterMarkers(a.term) + "'"
	return guard{
		broken: "REGEXP_LIKE(@@global.gtid_executed, " + pattern + ") OR EXISTS (SELECT 1 FROM " +
			"performance_schema.replication_connection_status WHERE REGEXP_LIKE(received_transaction_set, " + pattern + "))",
		reason: reparent.ReasonFenced,
		detail: fmt.Sprintf("it holds the marker of a higher term than %d", a.term),
	}
}

// laterMarkers is a pattern for the UUIDs of markers of higher terms. Both have eight hexadecimal digits,
// so the higher one has a higher digit behind some common beginning.
func laterMarkers(term uint32) string {
	zero := topology.Marker{}.GTID().UUID.String()
	digits := topology.Marker{Term: term}.GTID().UUID.String()[:len("xxxxxxxx-xxxx-xxxx")]
	var choices []string
	for i := len("xxxxxxxx-"); i < len(digits); i++ {
		if c := digits[i]; c != '-' && c != 'f' {
			choices = append(choices, digits[len("xxxxxxxx-"):i]+higherDigits(c))
		}
	}
	if len(choices) == 0 {
		return "no term is higher"
	}
	return zero[:len("xxxxxxxx-")] + "(" + strings.Join(choices, "|") + ")"
}

// higherDigits is the class of the hexadecimal digits above one.
func higherDigits(digit byte) string {
	const all = "0123456789abcdef"
	return "[" + all[strings.IndexByte(all, digit)+1:] + "]"
}

func (a *act) query(ctx context.Context, statement string, args ...any) ([]row, error) {
	return a.link.query(ctx, statement, args...)
}

// observe is a full reading on the fenced session.
func (a *act) observe(ctx context.Context) (topology.Observation, error) {
	o := a.fleet.read(ctx, a.link, a.server)
	if !o.OK() {
		return o, fmt.Errorf("read %s: %s", a.server, o.Error)
	}
	return o, nil
}

// aside is a session for one statement that may hang. It is announced like the acting one and without
// the named lock, so that a hanging statement keeps no newer elector out; a newer elector kills it.
//
// It is safe for the same reason as the acting session: the round trip on the acting session that
// follows its login proves that no newer elector had finished its fence by then, and a newer elector's
// last look finds it.
type aside struct {
	*act
	link    *link
	id      int64
	duty    duty
	nonce   string
	guards  []guard       // beside the fence's own
	running chan struct{} // closed when the statement has returned; nil before there is one
}

func (a *act) aside(ctx context.Context, d duty) (*aside, error) {
	if spare := a.spare; d == dutyMark && spare != nil {
		a.spare = nil
		if spare.link.alive() {
			spare.act = a
			return spare, nil
		}
		spare.close()
	}
	nonce := rand.Text()
	l, err := a.dial(ctx, d, nonce)
	if err != nil {
		return nil, err
	}
	rows, err := a.query(ctx, "SELECT processlist_id FROM performance_schema.session_connect_attrs WHERE attr_name = ? AND attr_value = ?", attrNonce, nonce)
	if err == nil && len(rows) != 1 {
		err = refuse(reparent.ReasonRefused, "%s does not show the connection attributes of a new session", a.server)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return &aside{act: a, link: l, id: rows[0][0].number(), duty: d, nonce: nonce}, nil
}

// warmUp does beforehand what the marker needs, so that the write gap has one round trip for it. What
// fails here is tried again when it is needed.
func (a *act) warmUp(ctx context.Context) {
	if _, err := a.incarnation(ctx); err != nil || a.spare != nil && a.spare.link.alive() {
		return
	}
	if side, err := a.aside(ctx, dutyMark); err == nil {
		a.spare = side
	}
}

// close ends the session. A statement that still runs loses its connection; the server may go on with it.
func (s *aside) close() {
	if s.running != nil {
		select {
		case <-s.running:
		default:
			_ = s.link.wire.Conn.Close()
			<-s.running
		}
		s.stray(s)
	}
	s.link.close()
}

// start runs a guarded statement and says on the channel how it ended. It ends with ctx at the latest;
// the server may then still be carrying it out.
func (s *aside) start(ctx context.Context, statement string, args ...any) <-chan error {
	s.changed = true
	s.guards = append([]guard{s.fenceGuard()}, s.guards...)
	s.running = make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		err := s.link.exec(ctx, guarded(s.guards)+statement, args...)
		close(s.running) // first: whoever has the answer finds that it came
		ended <- err
	}()
	return ended
}

// run is start and the wait for its end.
func (s *aside) run(ctx context.Context, statement string, args ...any) error {
	return s.settle(ctx, <-s.start(ctx, statement, args...))
}

// settle explains an end that a guard brought about.
func (s *aside) settle(ctx context.Context, err error) error {
	if mysqlErrno(err) == errMalformedGTIDSet {
		return s.explain(ctx, s.guards)
	}
	return err
}

// cancel ends the statement that runs, from the acting session.
func (s *aside) cancel(ctx context.Context) error {
	err := s.act.link.exec(ctx, "KILL QUERY "+strconv.FormatInt(s.id, 10))
	if mysqlErrno(err) == errNoSuchThread {
		return nil
	}
	return err
}

// runAside is a statement in a session of its own, from login to goodbye.
func (a *act) runAside(ctx context.Context, d duty, statement string, args ...any) error {
	s, err := a.aside(ctx, d)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, statement, args...)
}

// queryAll runs several statements in one round trip and returns the rows of each that has any columns.
func (l *link) queryAll(ctx context.Context, statements string, args ...any) (all [][]row, err error) {
	rows, err := l.conn.(driver.QueryerContext).QueryContext(ctx, statements, named(args))
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	defer func() { err = l.failed(ctx, errors.Join(err, rows.Close())) }()
	for {
		one, err := fetch(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
		more, ok := rows.(driver.RowsNextResultSet)
		if !ok || !more.HasNextResultSet() {
			return all, nil
		}
		if err := more.NextResultSet(); err != nil {
			return nil, err
		}
	}
}

func fetch(rows driver.Rows) (all []row, err error) {
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		switch {
		case err == nil:
			all = append(all, cells(values))
		case errors.Is(err, io.EOF):
			return all, nil
		default:
			return nil, err
		}
	}
}

// literal puts a GTID set into a statement: its text has no character that needs quoting.
func literal(s gtid.Set) string { return "'" + s.String() + "'" }
