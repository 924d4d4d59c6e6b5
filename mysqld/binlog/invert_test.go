package binlog

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// column is a kind of column as a TABLE_MAP event describes it, with values that it can hold.
type column struct {
	kind  byte
	meta  []byte
	value func(*rand.Rand) []byte
}

func fixedBytes(n int) func(*rand.Rand) []byte {
	return func(r *rand.Rand) []byte { return randomBytes(r, n) }
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// decimalBytes are a zero: other programs look into decimals.
func decimalBytes(n int) func(*rand.Rand) []byte {
	return func(*rand.Rand) []byte { return append([]byte{0x80}, make([]byte, n-1)...) }
}

// counted puts the length before up to max bytes.
func counted(lengths, most int) func(*rand.Rand) []byte {
	return func(r *rand.Rand) []byte {
		n := r.IntN(most + 1)
		return append(binary.LittleEndian.AppendUint64(nil, uint64(n))[:lengths], randomBytes(r, n)...)
	}
}

// everyColumn lists the types with all forms that their lengths take. Values of times and decimals are bytes that
// any reader takes.
var everyColumn = []column{
	{mysql.MYSQL_TYPE_TINY, nil, fixedBytes(1)},
	{mysql.MYSQL_TYPE_SHORT, nil, fixedBytes(2)},
	{mysql.MYSQL_TYPE_INT24, nil, fixedBytes(3)},
	{mysql.MYSQL_TYPE_LONG, nil, fixedBytes(4)},
	{mysql.MYSQL_TYPE_LONGLONG, nil, fixedBytes(8)},
	{mysql.MYSQL_TYPE_FLOAT, []byte{4}, fixedBytes(4)},
	{mysql.MYSQL_TYPE_DOUBLE, []byte{8}, fixedBytes(8)},
	{mysql.MYSQL_TYPE_YEAR, nil, fixedBytes(1)},
	{mysql.MYSQL_TYPE_DATE, nil, fixedBytes(3)},
	{mysql.MYSQL_TYPE_TIME, nil, fixedBytes(3)},
	{mysql.MYSQL_TYPE_TIMESTAMP, nil, fixedBytes(4)},
	{mysql.MYSQL_TYPE_DATETIME, nil, fixedBytes(8)},
	{mysql.MYSQL_TYPE_TIMESTAMP2, []byte{0}, fixedBytes(4)},
	{mysql.MYSQL_TYPE_TIMESTAMP2, []byte{1}, fixedBytes(5)},
	{mysql.MYSQL_TYPE_TIMESTAMP2, []byte{6}, fixedBytes(7)},
	{mysql.MYSQL_TYPE_DATETIME2, []byte{0}, fixedBytes(5)},
	{mysql.MYSQL_TYPE_DATETIME2, []byte{3}, fixedBytes(7)},
	{mysql.MYSQL_TYPE_TIME2, []byte{0}, fixedBytes(3)},
	{mysql.MYSQL_TYPE_TIME2, []byte{5}, fixedBytes(6)},
	{mysql.MYSQL_TYPE_NEWDECIMAL, []byte{10, 2}, decimalBytes(5)},
	{mysql.MYSQL_TYPE_NEWDECIMAL, []byte{65, 30}, decimalBytes(30)},
	{mysql.MYSQL_TYPE_NEWDECIMAL, []byte{9, 9}, decimalBytes(4)},
	{mysql.MYSQL_TYPE_NEWDECIMAL, []byte{17, 3}, decimalBytes(9)},
	{mysql.MYSQL_TYPE_BIT, []byte{3, 1}, fixedBytes(2)},
	{mysql.MYSQL_TYPE_BIT, []byte{0, 8}, fixedBytes(8)},
	{mysql.MYSQL_TYPE_VARCHAR, []byte{255, 0}, counted(1, 255)},
	{mysql.MYSQL_TYPE_VARCHAR, []byte{0, 1}, counted(2, 256)},
	{mysql.MYSQL_TYPE_STRING, []byte{0xfe, 10}, counted(1, 10)},
	{mysql.MYSQL_TYPE_STRING, []byte{0xee, 0x90}, counted(2, 400)}, // CHAR(100) of four bytes each
	{mysql.MYSQL_TYPE_STRING, []byte{mysql.MYSQL_TYPE_ENUM, 1}, fixedBytes(1)},
	{mysql.MYSQL_TYPE_STRING, []byte{mysql.MYSQL_TYPE_ENUM, 2}, fixedBytes(2)},
	{mysql.MYSQL_TYPE_STRING, []byte{mysql.MYSQL_TYPE_SET, 8}, fixedBytes(8)},
	{mysql.MYSQL_TYPE_BLOB, []byte{1}, counted(1, 255)},
	{mysql.MYSQL_TYPE_BLOB, []byte{2}, counted(2, 600)},
	{mysql.MYSQL_TYPE_BLOB, []byte{3}, counted(3, 600)},
	{mysql.MYSQL_TYPE_BLOB, []byte{4}, counted(4, 600)},
	{mysql.MYSQL_TYPE_GEOMETRY, []byte{4}, counted(4, 60)},
	{mysql.MYSQL_TYPE_VECTOR, []byte{4}, counted(4, 60)},
	{mysql.MYSQL_TYPE_JSON, []byte{4}, func(*rand.Rand) []byte { return []byte{2, 0, 0, 0, 4, 1} }}, // true
}

// made is a table with random columns and a row event of random rows, put together independently of the code under test.
type made struct {
	table, rows []byte
	images      [][][]byte
	kind        replication.EventType
}

func makeEvents(r *rand.Rand, kind replication.EventType) made {
	const id = 99
	columns := make([]column, 1+r.IntN(300))
	for i := range columns {
		columns[i] = everyColumn[r.IntN(len(everyColumn))]
	}
	m := made{kind: kind}
	m.table = header(replication.TABLE_MAP_EVENT, tableMap(id, columns))
	body := append(binary.LittleEndian.AppendUint64(nil, id)[:6], byte(r.IntN(2)), 0)
	if r.IntN(2) == 0 {
		body = append(body, 2, 0)
	} else {
		body = append(body, 5, 0, 1, 7, 0) // the number of a partition
		if kind == replication.UPDATE_ROWS_EVENTv2 {
			body = append(body[:8], 7, 0, 1, 7, 0, 8, 0)
		}
	}
	images := 1
	body = appendPacked(body, len(columns))
	body = append(body, allOnes(len(columns))...)
	if kind == replication.UPDATE_ROWS_EVENTv2 {
		images = 2
		body = append(body, allOnes(len(columns))...)
	}
	for range 1 + r.IntN(4) {
		var row [][]byte
		for range images {
			row = append(row, image(r, columns))
			body = append(body, row[len(row)-1]...)
		}
		m.images = append(m.images, row)
	}
	m.rows = header(kind, body)
	return m
}

func tableMap(id uint64, columns []column) []byte {
	body := append(binary.LittleEndian.AppendUint64(nil, id)[:6], 1, 0)
	body = append(body, "\x03app\x00\x05goods\x00"...)
	body = appendPacked(body, len(columns))
	var meta []byte
	for _, c := range columns {
		body = append(body, c.kind)
		meta = append(meta, c.meta...)
	}
	body = appendPacked(body, len(meta))
	body = append(body, meta...)
	return append(body, allOnes(len(columns))...) // all may be NULL
}

func image(r *rand.Rand, columns []column) []byte {
	nulls := make([]byte, bitmapLength(len(columns)))
	var values []byte
	for i, c := range columns {
		if r.IntN(5) == 0 {
			nulls[i/8] |= 1 << (i % 8)
			continue
		}
		values = append(values, c.value(r)...)
	}
	return append(nulls, values...)
}

func header(kind replication.EventType, body []byte) []byte {
	head := make([]byte, headerLength)
	head[typeAt] = byte(kind)
	return measured(append(head, body...))
}

var rowKinds = []replication.EventType{replication.WRITE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2, replication.UPDATE_ROWS_EVENTv2}

func TestTheInverseHasTheSameRowsBackwards(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := makeEvents(r, rowKinds[seed%3])
		inverse, n, err := Invert(m.table, m.rows)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var want []byte
		for _, row := range slices.Backward(m.images) {
			for _, image := range slices.Backward(row) {
				want = append(want, image...)
			}
		}
		if n != len(m.images) || !bytes.HasSuffix(inverse, want) {
			t.Fatalf("seed %d: %d rows of %d, or other bytes", seed, n, len(m.images))
		}
		if got := replication.EventType(inverse[typeAt]); got != inverses[m.kind] {
			t.Errorf("seed %d: a %s is undone by a %s", seed, m.kind, got)
		}
	}
}

func TestWhatIsUndoneTwiceIsAsBefore(t *testing.T) {
	for seed := range uint64(100) {
		m := makeEvents(rand.New(rand.NewPCG(seed, 2)), rowKinds[seed%3])
		once, _, err := Invert(m.table, m.rows)
		if err != nil {
			t.Fatal(err)
		}
		twice, _, err := Invert(m.table, once)
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for _, image := range slices.Concat(m.images...) {
			want = append(want, image...)
		}
		if twice[typeAt] != byte(m.kind) || !bytes.HasSuffix(twice, want) {
			t.Fatalf("seed %d: undone twice it is another event", seed)
		}
	}
}

// read is how many rows another program finds in the same events.
func read(table, rows []byte) (n int, err error) {
	p := replication.NewBinlogParser()
	format := header(replication.FORMAT_DESCRIPTION_EVENT, formatBody())
	for _, event := range [][]byte{format, table, rows} {
		e, err := p.Parse(event)
		if err != nil {
			return 0, err
		}
		if body, ok := e.Event.(*replication.RowsEvent); ok {
			n = len(body.Rows) / imagesOf(body)
		}
	}
	return n, nil
}

// formatBody describes a log without checksums.
func formatBody() []byte {
	body := make([]byte, 2+50+4)
	body[0] = 4
	copy(body[2:], "9.7.4")
	body = append(body, headerLength)
	lengths := make([]byte, 42)
	for i := range lengths {
		lengths[i] = 10
	}
	lengths[replication.TABLE_MAP_EVENT-1] = 8
	return append(append(body, lengths...), 0, 0, 0, 0, 0)
}

func TestRowsEndWhereAnotherProgramFindsTheirEnd(t *testing.T) {
	for seed := range uint64(400) {
		m := makeEvents(rand.New(rand.NewPCG(seed, 3)), rowKinds[seed%3])
		_, ours, err := Invert(m.table, m.rows)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		theirs, err := read(m.table, m.rows)
		if err != nil || ours != theirs {
			t.Errorf("seed %d: %d rows, another program finds %d, %.100v", seed, ours, theirs, err)
		}
	}
}

func TestPartialAndForeignRowsAreRefused(t *testing.T) {
	m := makeEvents(rand.New(rand.NewPCG(1, 4)), replication.WRITE_ROWS_EVENTv2)
	l, err := layoutOf(m.table[headerLength:])
	if err != nil {
		t.Fatal(err)
	}
	columns := len(l.types)
	at := len(m.rows) - len(slices.Concat(m.images...)[0])
	for _, row := range m.images[1:] {
		at -= len(row[0])
	}
	for name, broken := range map[string]func([]byte) []byte{
		"a column that was not logged":     func(b []byte) []byte { b[at-bitmapLength(columns)] &^= 1; return b },
		"another table":                    func(b []byte) []byte { b[headerLength]++; return b },
		"a part of a document":             func(b []byte) []byte { b[typeAt] = byte(replication.PARTIAL_UPDATE_ROWS_EVENT); return b },
		"an event of an old form":          func(b []byte) []byte { b[typeAt] = byte(replication.WRITE_ROWS_EVENTv1); return b },
		"an event that ends in a row":      func(b []byte) []byte { return b[:len(b)-1] },
		"bytes that are no row at the end": func(b []byte) []byte { return append(b, 0) },
	} {
		if _, n, err := Invert(m.table, broken(slices.Clone(m.rows))); err == nil {
			t.Errorf("%s: %d rows were taken", name, n)
		}
	}
}

func TestEventsAreSealedWithTheirChecksum(t *testing.T) {
	event := sealed(header(replication.XID_EVENT, make([]byte, 8)))
	at := len(event) - 4
	if got := binary.LittleEndian.Uint32(event[lengthAt:]); int(got) != len(event) {
		t.Errorf("its length is %d and it says %d", len(event), got)
	}
	if binary.LittleEndian.Uint32(event[at:]) != crc32.ChecksumIEEE(event[:at]) {
		t.Error("the checksum is another one")
	}
}

func FuzzInvertTakesNoBytesForOthers(f *testing.F) {
	for seed := range uint64(6) {
		m := makeEvents(rand.New(rand.NewPCG(seed, 5)), rowKinds[seed%3])
		f.Add(m.table, m.rows)
	}
	f.Fuzz(func(t *testing.T, table, rows []byte) {
		inverse, n, err := Invert(table, rows)
		if err != nil {
			return
		}
		back, again, err := Invert(table, inverse)
		if err != nil || again != n {
			t.Fatalf("%d rows are undone by what has %d, %v", n, again, err)
		}
		if thrice, _, err := Invert(table, back); err != nil || !bytes.Equal(thrice, inverse) {
			t.Fatalf("undone three times it is another event than once, %v", err)
		}
	})
}
