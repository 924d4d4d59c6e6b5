package mysqld

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// Decode implements orchestrator.Bench.
func (f *Fleet) Decode(ctx context.Context, server topology.Address, set gtid.Set, limits settle.Limits) (settle.Transcript, error) {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return settle.Transcript{}, err
	}
	defer l.close()
	from, err := firstFile(ctx, l, set)
	if err != nil {
		return settle.Transcript{}, err
	}
	return f.decode(ctx, l, from, set, limits)
}

// files are a server's binary logs, oldest first.
func files(ctx context.Context, l *link) ([]string, error) {
	rows, err := l.query(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range rows {
		names = append(names, r[0].text)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no binary log", l.server)
	}
	return names, nil
}

// before is what a server had executed when it began a file.
func before(ctx context.Context, l *link, file string) (gtid.Set, error) {
	rows, err := l.query(ctx, "SHOW BINLOG EVENTS IN ? LIMIT 2", file)
	if err != nil {
		return gtid.Set{}, err
	}
	for _, r := range rows {
		if len(r) == 6 && r[2].text == "Previous_gtids" {
			return gtid.Parse(r[5].text)
		}
	}
	return gtid.Set{}, fmt.Errorf("%s: its binary log %s does not begin with the GTIDs before it", l.server, file)
}

// stack is the files from the one in which the first transaction of a set stands, as far as the log reaches back.
type stack struct {
	file  string
	older []string // than the file, newest first
}

// firstFile finds the newest file that begins without any of a set: all of the set stands in it or later.
func firstFile(ctx context.Context, l *link, set gtid.Set) (stack, error) {
	names, err := files(ctx, l)
	if err != nil {
		return stack{}, err
	}
	slices.Reverse(names)
	for i, name := range names {
		had, err := before(ctx, l, name)
		if err != nil {
			return stack{}, err
		}
		if i == len(names)-1 || !had.Intersects(set) {
			return stack{file: name, older: names[i+1:]}, nil
		}
	}
	return stack{}, nil // there is at least one file
}

func (f *Fleet) decode(ctx context.Context, l *link, from stack, set gtid.Set, limits settle.Limits) (settle.Transcript, error) {
	var t settle.Transcript
	err := f.withBinlog(ctx, l.server, func(c binlog.Config) error {
		start, err := processStart(ctx, c, from)
		if err != nil {
			return err
		}
		w := writer{ctx: ctx, link: l, left: cmp.Or(limits.Rows, settle.RowsMax)}
		log, err := binlog.Transactions(ctx, c, binlog.Position{File: from.file, Offset: 4}, set, w.take)
		if err == nil {
			err = w.err
		}
		stops, logged := l.stops(ctx)
		if logged != nil { // what it does not say proves nothing
			f.settings.Log.Debug("an error log could not be read", "server", l.server, "error", logged)
		}
		t = w.transcript(log, start, set, stops)
		return err
	})
	return t, err
}

// processStart finds when the process began that wrote a file: only its first file tells.
func processStart(ctx context.Context, c binlog.Config, from stack) (time.Time, error) {
	for _, file := range append([]string{from.file}, from.older...) {
		at, known, err := binlog.Start(ctx, c, file)
		if err != nil || known {
			return at, err
		}
	}
	return time.Time{}, nil
}

// writer takes transactions down.
type writer struct {
	ctx  context.Context
	link *link
	left int // rows that may still get values
	out  settle.Transcript
	of   []int // the process of each transaction
	err  error
	sets []string // what the next statement takes from its session
	catalog
}

func (w *writer) take(t binlog.Transaction) bool {
	told := settle.Transaction{
		GTID: t.GTID.String(), CommittedAt: t.CommittedAt, ServerID: t.ServerID, File: t.File, Bytes: t.Bytes,
	}
	for _, e := range t.Events {
		w.event(&told, e)
	}
	w.out.Transactions, w.of = append(w.out.Transactions, told), append(w.of, t.Process)
	return w.err == nil
}

func (w *writer) event(told *settle.Transaction, e binlog.Event) {
	switch body := e.Event.(type) {
	case *replication.QueryEvent:
		told.Thread = body.SlaveProxyID
		w.logged(told, body)
	case *replication.IntVarEvent:
		w.sets = append(w.sets, generated(body))
	case *replication.RowsQueryEvent:
		told.Statements = append(told.Statements, string(body.Query))
	case *replication.RowsEvent:
		changes, all := binlog.Changes(e, w, max(w.left, 0))
		told.Changes = append(told.Changes, changes...)
		w.left -= all
		w.out.Rows += all
	default:
		if what := binlog.Untold(e); what != "" && !slices.Contains(told.Lacks, what) {
			told.Lacks = append(told.Lacks, what)
		}
	}
}

// logged takes down a statement that was logged as such. Those of XA only hold a transaction together.
func (w *writer) logged(told *settle.Transaction, body *replication.QueryEvent) {
	text := string(body.Query)
	if text == "BEGIN" || text == "COMMIT" {
		return
	}
	sets := strings.Join(w.sets, "")
	text, w.sets = sets+inSchema(string(body.Schema), text), nil
	told.Statements = append(told.Statements, text)
	if binlog.Word(string(body.Query)) != "XA" {
		told.Logged = append(told.Logged, settle.Logged{Text: text, After: len(told.Changes)})
	}
}

// generated is the number that a statement gives to a row, or that LAST_INSERT_ID() is in it.
func generated(body *replication.IntVarEvent) string {
	if body.Type == replication.LAST_INSERT_ID {
		return fmt.Sprintf("SET LAST_INSERT_ID = %d; ", body.Value)
	}
	return fmt.Sprintf("SET INSERT_ID = %d; ", body.Value)
}

func inSchema(schema, statement string) string {
	if schema == "" {
		return statement
	}
	return "USE " + quoteName(schema) + "; " + statement
}

func (w *writer) transcript(log binlog.Log, start time.Time, set gtid.Set, stops []said) settle.Transcript {
	if len(log.Processes) > 0 && !log.Processes[0].Known && !start.IsZero() {
		log.Processes[0].StartedAt, log.Processes[0].Known = start, true
	}
	if n := len(log.Processes); n > 0 {
		log.Processes[n-1].Running = !log.Processes[n-1].Orderly
	}
	for i := range log.Processes {
		log.Processes[i].Number, log.Processes[i].Stop = i+1, stopOf(log.Processes[i], stops)
		log.Processes[i].Began = beganOf(log.Processes[i], stops)
	}
	for i, p := range w.of {
		w.out.Transactions[i].Process = log.Processes[p]
	}
	w.out.Set, w.out.Missing, w.out.ReadAt = set, set.Subtract(log.Seen), time.Now().UTC()
	w.out.Truncated = w.left < 0
	return w.out
}

// catalog remembers what the server says of its tables. Without SELECT on them it says nothing, and columns go by number.
type catalog struct {
	tables   map[string][]binlog.Column
	charsets map[uint64]string
}

// Columns implements binlog.Catalog.
func (w *writer) Columns(schema, table string) []binlog.Column {
	name := quoteName(schema) + "." + quoteName(table)
	if known, asked := w.tables[name]; asked {
		return known
	}
	rows, err := w.link.query(w.ctx, `SELECT column_name, COALESCE(character_set_name, ''), column_key = 'PRI', COALESCE(generation_expression, '') <> ''
		FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`, schema, table)
	w.failed(err)
	var columns []binlog.Column
	for _, r := range rows {
		columns = append(columns, binlog.Column{Name: r[0].text, Charset: r[1].text, Key: r[2].on(), Generated: r[3].on()})
	}
	if w.tables == nil {
		w.tables = map[string][]binlog.Column{}
	}
	w.tables[name] = columns
	return columns
}

// Charset implements binlog.Catalog.
func (w *writer) Charset(collation uint64) string {
	if w.charsets == nil {
		w.charsets = map[uint64]string{}
		rows, err := w.link.query(w.ctx, "SELECT id, character_set_name FROM information_schema.collations")
		w.failed(err)
		for _, r := range rows {
			w.charsets[uint64(r[0].number())] = r[1].text
		}
	}
	return w.charsets[collation]
}

func (w *writer) failed(err error) {
	if w.err == nil {
		w.err = err
	}
}

// withBinlog works with the binary log of a server under the fleet's account. Where TLS is preferred and the server
// offers none, it goes without, as every other connection does.
func (f *Fleet) withBinlog(ctx context.Context, server topology.Address, work func(binlog.Config) error) error {
	c := binlog.Config{
		Address: string(server), User: f.settings.User, Timeout: f.settings.ConnectTimeout, TLS: f.settings.TLS,
		Attributes: map[string]string{"program_name": "primacy", "primacy_elector": f.settings.Elector},
	}
	if f.settings.Password != nil {
		password, err := f.settings.Password()
		if err != nil {
			return fmt.Errorf("password of account %q for %s: %w", f.settings.User, server, err)
		}
		c.Password = password
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{InsecureSkipVerify: true}
		if err := work(c); !errors.Is(err, binlog.ErrNoTLS) {
			return err
		}
		c.TLS = nil
	}
	return work(c)
}
