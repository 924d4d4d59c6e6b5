package binlog

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
)

// A Refusal says why transactions cannot be undone from their log, with a word for programs.
type Refusal struct{ Code, Detail string }

func (r Refusal) Error() string { return r.Detail }

func refuse(code, format string, args ...any) error {
	return Refusal{code, fmt.Sprintf(format, args...)}
}

// Table names a table.
type Table struct{ Schema, Name string }

func (t Table) String() string { return t.Schema + "." + t.Name }

// Undoing is what undoes a set of transactions of one server, gathered from its binary log event by event.
type Undoing struct {
	// Changes are the row events, in the order of the log; they are undone from the last to the first.
	Changes []RowChange
	// Found are those of the set that the log holds, and Order they are as they follow each other.
	Found gtid.Set
	Order []gtid.GTID
	Rows  int

	set     gtid.Set
	limits  UndoLimits
	bytes   int
	format  []byte // the description of the file that is being read
	formats []byte // that of the files of the set
	summed  bool   // events of the file have checksums
	within  bool   // the transaction that is being read is one of the set
	current string // it
	begun   bool   // one of the set came before
	tables  map[uint64]described
	touched map[Table]gtid.GTID
}

// UndoLimits bound what is undone.
type UndoLimits struct {
	Rows  int // in all
	Bytes int // of all row events together
	Event int // of one
	// Overwritten allows that transactions which stay came later on the same tables: whoever asks compares the rows.
	Overwritten bool
}

// RowChange is one row event of the set.
type RowChange struct {
	Table Table
	GTID  gtid.GTID // of the transaction
	// Description and Inverse are the events that undo it, see Statement.
	Description, Inverse []byte
	// Again is what does it once more, as Inverse undoes it.
	Again []byte
	// Event is what is undone.
	Event Event
}

type described struct {
	raw  []byte
	name Table
}

// Undo begins to gather what undoes a set of transactions.
func Undo(set gtid.Set, limits UndoLimits) *Undoing {
	return &Undoing{set: set, limits: limits, tables: map[uint64]described{}, touched: map[Table]gtid.GTID{}}
}

// Add takes the next event of the log. Its error is a Refusal, or the log cannot be read.
func (u *Undoing) Add(e Event) error {
	switch body := e.Event.(type) {
	case *replication.FormatDescriptionEvent:
		u.summed = body.ChecksumAlgorithm == replication.BINLOG_CHECKSUM_ALG_CRC32
		u.format = slices.Clone(e.RawData[:len(e.RawData)-replication.BinlogChecksumLength]) // it always has one
		clear(u.tables)
	case *replication.GTIDEvent:
		return u.transaction(body)
	case *replication.GtidTaggedLogEvent:
		return u.transaction(&body.GTIDEvent)
	case *replication.TableMapEvent:
		u.tables[body.TableID] = described{u.raw(e), Table{string(body.Schema), string(body.Table)}}
	case *replication.RowsEvent:
		return u.rows(e, body)
	case *replication.QueryEvent:
		return u.statement(string(body.Query))
	default:
		return u.other(e.Header.EventType)
	}
	return nil
}

// raw is a copy of an event without its checksum.
func (u *Undoing) raw(e Event) []byte {
	raw := e.RawData
	if u.summed && !e.Enclosed {
		raw = raw[:len(raw)-replication.BinlogChecksumLength]
	}
	return slices.Clone(raw)
}

func (u *Undoing) transaction(body *replication.GTIDEvent) error {
	g, err := identified(body)
	if err != nil {
		return err
	}
	u.current, u.within = g.String(), u.set.Has(g)
	if !u.within {
		return nil
	}
	u.begun = true
	u.Found, u.Order = u.Found.Union(gtid.Of(g)), append(u.Order, g)
	if u.formats != nil && !bytes.Equal(shape(u.formats), shape(u.format)) {
		return refuse("format", "the server was upgraded between the transactions that are to be undone: their events differ in form")
	}
	u.formats = u.format
	return nil
}

// shape is the part of a file's description that says what its events look like.
func shape(format []byte) []byte {
	const versionAndTime = headerLength + 2 + 50 + 4
	return format[min(len(format), versionAndTime):]
}

func (u *Undoing) rows(e Event, decoded *replication.RowsEvent) error {
	table, known := u.tables[decoded.TableID]
	if !known {
		return fmt.Errorf("rows of table %d, which the log does not describe", decoded.TableID)
	}
	if !u.within {
		if x, both := u.touched[table.name]; both && !u.limits.Overwritten {
			return refuse("interleaved", "%s, which stays, changed table %s after %s, which is to be undone: it may stand on its rows", u.current, table.name, x)
		}
		return nil
	}
	inverse, n, err := Invert(table.raw, u.raw(e))
	if err != nil {
		return refuse("row_image", "%s: %v", u.current, err)
	}
	if n != len(decoded.Rows)/imagesOf(decoded) {
		return refuse("row_image", "%s: %d rows of table %s, of which %d were understood", u.current, len(decoded.Rows)/imagesOf(decoded), table.name, n)
	}
	u.Changes = append(u.Changes, RowChange{
		Table: table.name, GTID: u.Order[len(u.Order)-1], Description: table.raw, Inverse: inverse, Again: again(u.raw(e)), Event: e,
	})
	u.Rows, u.bytes = u.Rows+n, u.bytes+len(inverse)
	if _, known := u.touched[table.name]; !known {
		g, _ := gtid.ParseGTID(u.current)
		u.touched[table.name] = g
	}
	return u.withinLimits(len(table.raw) + len(inverse))
}

// imagesOf is how many images a row has.
func imagesOf(rows *replication.RowsEvent) int {
	if rows.Type() == replication.EnumRowsEventTypeUpdate {
		return 2
	}
	return 1
}

func (u *Undoing) withinLimits(event int) error {
	switch {
	case u.Rows > u.limits.Rows:
		return refuse("too_many_rows", "more than %d rows", u.limits.Rows)
	case u.bytes > u.limits.Bytes:
		return refuse("too_large", "the rows take more than %d MiB", u.limits.Bytes>>20)
	case event > u.limits.Event:
		return refuse("too_large", "a row of %s takes %d bytes, more than a statement can have", u.current, event)
	}
	return nil
}

// statement is what was logged as text. A transaction of rows has it at its ends, and for savepoints; what was
// rolled back to one does not stand in the log at all.
func (u *Undoing) statement(text string) error {
	word := Word(text)
	switch {
	case Frame(word):
		return nil
	case u.within && word == "XA":
		return refuse("xa", "%s is an XA transaction", u.current)
	case u.within:
		return refuse("ddl", "%s is a statement (%s …), which no row undoes", u.current, word)
	case u.begun && !u.limits.Overwritten:
		return refuse("interleaved", "%s, which stays, is a statement (%s …) after transactions that are to be undone", u.current, word)
	}
	return nil
}

// Word is the first one of a statement.
func Word(text string) string {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	return strings.ToUpper(word)
}

// Frame tells whether a statement with this word only holds a transaction of rows together.
func Frame(word string) bool { return word == "BEGIN" || word == "COMMIT" || word == "SAVEPOINT" }

// Whole tells whether an event has all columns of its rows.
func Whole(e *replication.RowsEvent) bool {
	columns := int(e.ColumnCount)
	return e.Type() != replication.EnumRowsEventTypeUnknown && allSet(e.ColumnBitmap1, columns) &&
		(e.Type() != replication.EnumRowsEventTypeUpdate || allSet(e.ColumnBitmap2, columns))
}

// harmless are events that change nothing.
var harmless = []replication.EventType{
	replication.ROTATE_EVENT, replication.STOP_EVENT, replication.PREVIOUS_GTIDS_EVENT, replication.HEARTBEAT_EVENT,
	replication.HEARTBEAT_LOG_EVENT_V2, replication.XID_EVENT, replication.IGNORABLE_EVENT, replication.ROWS_QUERY_EVENT,
	replication.TRANSACTION_CONTEXT_EVENT, replication.VIEW_CHANGE_EVENT, replication.TRANSACTION_PAYLOAD_EVENT,
}

// Untold names an event besides rows and statements that changes what they do; empty when it does not.
func Untold(e Event) string {
	switch e.Event.(type) {
	case *replication.GTIDEvent, *replication.GtidTaggedLogEvent, *replication.TableMapEvent, *replication.FormatDescriptionEvent:
		return ""
	}
	if kind := e.Header.EventType; kind != replication.XA_PREPARE_LOG_EVENT && !slices.Contains(harmless, kind) {
		return kind.String()
	}
	return ""
}

func (u *Undoing) other(kind replication.EventType) error {
	if !u.within || slices.Contains(harmless, kind) {
		return nil
	}
	return refuse("statement", "%s holds an event %s, which cannot be undone", u.current, kind)
}

// Note gathers the rows of a transaction alone, without what undoes them.
func (u *Undoing) Note(t Transaction) {
	for _, e := range t.Events {
		if rows, ok := e.Event.(*replication.RowsEvent); ok {
			u.Changes = append(u.Changes, RowChange{Table: Table{string(rows.Table.Schema), string(rows.Table.Table)}, Event: e})
			u.Rows += len(rows.Rows)
		}
	}
}

// Tables are those that the set changed.
func (u *Undoing) Tables() []Table {
	return slices.SortedFunc(maps.Keys(u.touched), func(a, b Table) int { return strings.Compare(a.String(), b.String()) })
}

// Format is the statement that describes the log to a session. Behind it the session has to be told its gtid_next again.
func (u *Undoing) Format() string { return Statement(Format(u.formats)) }

// Statements undo the set, from the last row event to the first. The first of them describes the log; behind it the
// session has to be told its gtid_next again.
func (u *Undoing) Statements(yield func(string) bool) {
	if !yield(u.Format()) {
		return
	}
	for _, change := range slices.Backward(u.Changes) {
		if !yield(Statement(change.Description, change.Inverse)) {
			return
		}
	}
}
