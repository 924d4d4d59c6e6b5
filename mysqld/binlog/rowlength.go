package binlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// Where one row of a binary log ends and the next one begins. The log does not say: it follows from the
// columns' types, which stand in the event that describes the table.

// layout is what a table's description says about the lengths of its columns.
type layout struct {
	schema, name string
	id           uint64
	types        []byte
	meta         []uint16
}

// errShort is found where an event ends before what it announces.
var errShort = errors.New("the event ends too early")

// cursor walks through an event. The first read beyond the end ends it; what is read then is zero.
type cursor struct {
	rest []byte
	err  error
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.rest) {
		c.err = errShort
		c.rest = nil
		return make([]byte, min(max(n, 0), 8))
	}
	taken := c.rest[:n:n]
	c.rest = c.rest[n:]
	return taken
}

// number reads n bytes, the lowest first.
func (c *cursor) number(n int) uint64 {
	var v [8]byte
	copy(v[:], c.take(n))
	return binary.LittleEndian.Uint64(v[:])
}

// packed reads a number whose first byte says how long it is.
func (c *cursor) packed() uint64 {
	switch first := c.number(1); first {
	case 0xfc:
		return c.number(2)
	case 0xfd:
		return c.number(3)
	case 0xfe:
		return c.number(8)
	default:
		return first
	}
}

// count reads a packed number of things of which each takes room in what is left.
func (c *cursor) count() int {
	n := c.packed()
	if n > uint64(len(c.rest))*8 {
		c.err = errShort
		return 0
	}
	return int(n)
}

// counted reads a name: its length in one byte, the name, a zero.
func (c *cursor) counted() string {
	name := c.take(int(c.number(1)))
	c.take(1)
	return string(name)
}

const tableIDLength = 6

// layoutOf reads the body of a TABLE_MAP event.
func layoutOf(body []byte) (layout, error) {
	c := &cursor{rest: body}
	l := layout{id: c.number(tableIDLength)}
	c.take(2)
	l.schema, l.name = c.counted(), c.counted()
	l.types = c.take(c.count())
	described := &cursor{rest: c.take(c.count())}
	for _, t := range l.types {
		meta, err := columnMeta(t, described)
		if err != nil {
			return l, fmt.Errorf("table %s.%s: %w", l.schema, l.name, err)
		}
		l.meta = append(l.meta, meta)
	}
	if err := errors.Join(c.err, described.err); err != nil {
		return l, fmt.Errorf("description of table %s.%s: %w", l.schema, l.name, err)
	}
	return l, nil
}

// columnMeta reads what the description says about one column. Tried on 9.7; types that are not listed
// stand in no row image.
func columnMeta(t byte, c *cursor) (uint16, error) {
	switch t {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_SHORT, mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_LONGLONG,
		mysql.MYSQL_TYPE_TIMESTAMP, mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_TIME, mysql.MYSQL_TYPE_DATETIME, mysql.MYSQL_TYPE_YEAR:
		return 0, nil
	case mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_DOUBLE, mysql.MYSQL_TYPE_BLOB, mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_VECTOR,
		mysql.MYSQL_TYPE_JSON, mysql.MYSQL_TYPE_TIMESTAMP2, mysql.MYSQL_TYPE_DATETIME2, mysql.MYSQL_TYPE_TIME2:
		return uint16(c.number(1)), nil
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_BIT:
		return uint16(c.number(2)), nil
	case mysql.MYSQL_TYPE_STRING, mysql.MYSQL_TYPE_NEWDECIMAL:
		first := uint16(c.number(1))
		return first<<8 | uint16(c.number(1)), nil
	}
	return 0, fmt.Errorf("a column of type %d, which cannot be undone", t)
}

// image takes one row off: a bit for each column that is NULL, then the values of the others.
func (l layout) image(c *cursor) []byte {
	before := c.rest
	nulls := c.take(bitmapLength(len(l.types)))
	for i := range l.types {
		if c.err == nil && nulls[i/8]&(1<<(i%8)) == 0 {
			l.value(c, i)
		}
	}
	return before[:len(before)-len(c.rest)]
}

func bitmapLength(columns int) int { return (columns + 7) / 8 }

// value takes one value off.
func (l layout) value(c *cursor, i int) {
	meta := l.meta[i]
	switch t := l.types[i]; t {
	case mysql.MYSQL_TYPE_TINY, mysql.MYSQL_TYPE_YEAR:
		c.take(1)
	case mysql.MYSQL_TYPE_SHORT:
		c.take(2)
	case mysql.MYSQL_TYPE_INT24, mysql.MYSQL_TYPE_DATE, mysql.MYSQL_TYPE_TIME:
		c.take(3)
	case mysql.MYSQL_TYPE_LONG, mysql.MYSQL_TYPE_TIMESTAMP:
		c.take(4)
	case mysql.MYSQL_TYPE_LONGLONG, mysql.MYSQL_TYPE_DATETIME:
		c.take(8)
	case mysql.MYSQL_TYPE_FLOAT, mysql.MYSQL_TYPE_DOUBLE:
		c.take(int(meta))
	case mysql.MYSQL_TYPE_TIMESTAMP2:
		c.take(4 + fraction(meta))
	case mysql.MYSQL_TYPE_DATETIME2:
		c.take(5 + fraction(meta))
	case mysql.MYSQL_TYPE_TIME2:
		c.take(3 + fraction(meta))
	case mysql.MYSQL_TYPE_BIT:
		c.take((int(meta>>8)*8 + int(meta&0xff) + 7) / 8)
	case mysql.MYSQL_TYPE_NEWDECIMAL:
		c.take(decimalLength(int(meta>>8), int(meta&0xff)))
	case mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING:
		c.text(int(meta))
	case mysql.MYSQL_TYPE_STRING:
		c.fixedText(meta)
	default: // blobs of all kinds
		c.blob(int(meta))
	}
}

// fraction is the length of a second's decimals.
func fraction(decimals uint16) int { return (int(decimals) + 1) / 2 }

// text is a string of at most so many bytes.
func (c *cursor) text(longest int) {
	lengths := 1
	if longest > 255 {
		lengths = 2
	}
	c.take(int(c.number(lengths)))
}

// fixedText is a CHAR or BINARY, or an ENUM or SET, which are told by the upper byte. Two bits of a CHAR's
// length of more than 255 bytes are hidden in there too.
func (c *cursor) fixedText(meta uint16) {
	kind, length := byte(meta>>8), int(meta&0xff)
	if kind == mysql.MYSQL_TYPE_ENUM || kind == mysql.MYSQL_TYPE_SET {
		c.take(length)
		return
	}
	c.text(length | int(kind&0x30^0x30)<<4)
}

// blob is a value whose length stands in so many bytes before it.
func (c *cursor) blob(lengths int) {
	n := c.number(lengths)
	if n > uint64(len(c.rest)) {
		c.err = errShort
		return
	}
	c.take(int(n))
}

// decimalLength is the length of a DECIMAL: four bytes for nine digits, on each side of the point.
func decimalLength(precision, scale int) int {
	return digitsLength(precision-scale) + digitsLength(scale)
}

func digitsLength(digits int) int {
	if digits < 0 {
		return -1
	}
	return digits/9*4 + (digits%9+1)/2
}
