package binlog

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/go-mysql-org/go-mysql/replication"
)

// What undoes a row event is a row event: of an insert a delete with the same row, of an update the same
// two rows the other way round, and the last row first. The bytes of values are never looked into, so
// nothing can be lost of them on the way: no character set, no decimals of a float, no order of a document.

const (
	headerLength = replication.EventHeaderSize
	typeAt       = 4
	lengthAt     = 9

	flagStatementEnd = 1
	// flagNoForeignKeys keeps foreign keys from being checked, and from deleting children: the children's own
	// rows stand in the log and are undone by themselves.
	flagNoForeignKeys = 2
	// flagNoUniqueChecks is what a session with unique_checks=0 leaves; what undoes its rows is checked.
	flagNoUniqueChecks = 4
)

// inverses are the row events that can be undone. Updates with parts of documents are not among them:
// what the document was before cannot be told from the parts.
var inverses = map[replication.EventType]replication.EventType{
	replication.WRITE_ROWS_EVENTv2:  replication.DELETE_ROWS_EVENTv2,
	replication.DELETE_ROWS_EVENTv2: replication.WRITE_ROWS_EVENTv2,
	replication.UPDATE_ROWS_EVENTv2: replication.UPDATE_ROWS_EVENTv2,
}

// Invert returns the event that undoes a row event, and how many rows it has. table is the event that
// describes the table; all of them are as they stand in the log, header included, without checksum.
func Invert(table, rows []byte) (inverse []byte, n int, err error) {
	if len(table) < headerLength || len(rows) < headerLength {
		return nil, 0, errShort
	}
	l, err := layoutOf(table[headerLength:])
	if err != nil {
		return nil, 0, err
	}
	kind := replication.EventType(rows[typeAt])
	opposite, known := inverses[kind]
	if !known {
		return nil, 0, fmt.Errorf("table %s.%s: an event %s cannot be undone", l.schema, l.name, kind)
	}
	change, err := l.read(kind, rows[headerLength:])
	if err != nil {
		return nil, 0, fmt.Errorf("table %s.%s: %s: %w", l.schema, l.name, kind, err)
	}
	inverse = append(slices.Clone(rows[:headerLength]), change.inverse()...)
	inverse[typeAt] = byte(opposite)
	return measured(inverse), len(change.rows), nil
}

// rowChange is a row event taken apart. Each row has its images in the order of the log: one, or of an
// update two.
type rowChange struct {
	table   uint64
	flags   uint16
	columns int
	rows    [][][]byte
}

// errPartial is what MINIMAL and NOBLOB leave.
var errPartial = errors.New("the rows were not logged whole (binlog_row_image was not FULL)")

func (l layout) read(kind replication.EventType, body []byte) (rowChange, error) {
	c := &cursor{rest: body}
	change := rowChange{table: c.number(tableIDLength), flags: uint16(c.number(2))}
	c.take(int(c.number(2)) - 2) // partitions, which the server finds by itself
	change.columns = c.count()
	images := 1
	if kind == replication.UPDATE_ROWS_EVENTv2 {
		images = 2
	}
	full := true
	for range images {
		full = full && allSet(c.take(bitmapLength(change.columns)), change.columns)
	}
	switch {
	case c.err != nil:
		return change, c.err
	case change.table != l.id || change.columns != len(l.types) || change.columns == 0:
		return change, fmt.Errorf("it does not belong to the description of table %d with %d columns", l.id, len(l.types))
	case !full:
		return change, errPartial
	}
	for c.err == nil && len(c.rest) > 0 {
		row := make([][]byte, images)
		for i := range row {
			row[i] = l.image(c)
		}
		change.rows = append(change.rows, row)
	}
	return change, c.err
}

func allSet(bitmap []byte, n int) bool {
	for i := range n {
		if i/8 >= len(bitmap) || bitmap[i/8]&(1<<(i%8)) == 0 {
			return false
		}
	}
	return true
}

// inverse is the body of the event that undoes it.
func (c rowChange) inverse() []byte {
	body := binary.LittleEndian.AppendUint64(nil, c.table)[:tableIDLength]
	body = binary.LittleEndian.AppendUint16(body, c.flags&^flagNoUniqueChecks|flagStatementEnd|flagNoForeignKeys)
	body = binary.LittleEndian.AppendUint16(body, 2)
	body = appendPacked(body, c.columns)
	if len(c.rows) > 0 {
		for range c.rows[0] {
			body = append(body, allOnes(c.columns)...)
		}
	}
	for _, row := range slices.Backward(c.rows) {
		for _, image := range slices.Backward(row) {
			body = append(body, image...)
		}
	}
	return body
}

// again is a row event as a statement of its own. Foreign keys are checked as they were when it was written.
func again(rows []byte) []byte {
	event := slices.Clone(rows)
	event[headerLength+tableIDLength] |= flagStatementEnd
	return event
}

func appendPacked(to []byte, n int) []byte {
	if n < 0xfb {
		return append(to, byte(n))
	}
	return binary.LittleEndian.AppendUint16(append(to, 0xfc), uint16(n)) // a table has 4096 columns at most
}

func allOnes(n int) []byte {
	bitmap := make([]byte, bitmapLength(n))
	for i := range n {
		bitmap[i/8] |= 1 << (i % 8)
	}
	return bitmap
}

// measured writes an event's length into its header.
func measured(event []byte) []byte {
	binary.LittleEndian.PutUint32(event[lengthAt:], uint32(len(event)))
	return event
}

// Statement makes the server carry events out. They are as Invert returns them; each gets a checksum.
func Statement(events ...[]byte) string {
	var all []byte
	for _, event := range events {
		all = append(all, sealed(event)...)
	}
	var text strings.Builder
	text.WriteString("BINLOG '")
	text.WriteString(base64.StdEncoding.EncodeToString(all))
	text.WriteString("'")
	return text.String()
}

// sealed appends the checksum, over the header with the length that it then has.
func sealed(event []byte) []byte {
	whole := slices.Grow(slices.Clone(event), 4)
	binary.LittleEndian.PutUint32(whole[lengthAt:], uint32(len(event)+4))
	return binary.LittleEndian.AppendUint32(whole, crc32.ChecksumIEEE(whole))
}

// Format makes of a log's first event, without its checksum, the one with which BINLOG has to begin: it
// says that the events behind it bear checksums, whether those of the log do or not.
func Format(description []byte) []byte {
	event := slices.Clone(description)
	event[len(event)-1] = 1
	return event
}
