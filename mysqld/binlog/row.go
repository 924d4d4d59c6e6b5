package binlog

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/settle"
)

// Column is what is known of a table's column beside its values.
type Column struct {
	Name      string
	Charset   string // of a text; "binary" for bytes
	Key       bool   // part of the primary key
	Generated bool   // computed from others
}

// Catalog tells the columns of a table as it is now; none when that is not known. What the binary log itself says of
// them goes before it.
type Catalog interface {
	Columns(schema, table string) []Column
	Charset(collation uint64) string
}

// Changes says what an event of row changes did; none when it is no such event. Only the first rows get values.
func Changes(e Event, catalog Catalog, rows int) (changes []settle.Change, all int) {
	body, ok := e.Event.(*replication.RowsEvent)
	if !ok {
		return nil, 0
	}
	t := tableOf(body.Table, catalog)
	pair := 1
	if body.Type() == replication.EnumRowsEventTypeUpdate {
		pair = 2
	}
	for i := 0; i+pair <= len(body.Rows); i += pair {
		if all++; all > rows {
			continue
		}
		c := settle.Change{Schema: string(body.Table.Schema), Table: string(body.Table.Table), Action: actions[body.Type()]}
		switch body.Type() {
		case replication.EnumRowsEventTypeInsert:
			c.After = t.row(body, i)
		case replication.EnumRowsEventTypeDelete:
			c.Before = t.row(body, i)
		case replication.EnumRowsEventTypeUpdate:
			c.Before, c.After = t.row(body, i), t.row(body, i+1)
		case replication.EnumRowsEventTypeUnknown:
		}
		changes = append(changes, c)
	}
	return changes, all
}

var actions = map[replication.EnumRowsEventType]string{
	replication.EnumRowsEventTypeInsert: "insert",
	replication.EnumRowsEventTypeUpdate: "update",
	replication.EnumRowsEventTypeDelete: "delete",
}

// table is what is known of a table when one of its rows is told.
type table struct {
	*replication.TableMapEvent
	columns []Column
	enums   map[int][]string
	sets    map[int][]string
}

// tableOf asks the binary log first: it tells what the table was like then. It says which columns are texts, and in
// which charset, whatever is configured; names and keys only with binlog_row_metadata=FULL.
func tableOf(m *replication.TableMapEvent, catalog Catalog) table {
	t := table{TableMapEvent: m, columns: make([]Column, m.ColumnCount), enums: m.EnumStrValueMap(), sets: m.SetStrValueMap()}
	if known := catalog.Columns(string(m.Schema), string(m.Table)); len(known) == len(t.columns) {
		copy(t.columns, known)
	}
	collations := m.CollationMap()
	for i := range t.columns {
		c := &t.columns[i]
		if i < len(m.ColumnName) {
			c.Name = string(m.ColumnName[i])
			c.Key = slices.Contains(m.PrimaryKey, uint64(i))
		}
		if id, told := collations[i]; told {
			c.Charset = catalog.Charset(id)
		}
		if c.Name == "" {
			c.Name = "@" + strconv.Itoa(i+1)
		}
	}
	return t
}

// row tells the columns that the image holds.
func (t table) row(e *replication.RowsEvent, i int) []settle.Value {
	var values []settle.Value
	for at, v := range e.Rows[i] {
		if at < len(t.columns) && !slices.Contains(e.SkippedColumns[i], at) {
			values = append(values, t.value(at, v))
		}
	}
	return values
}

func (t table) value(at int, v any) settle.Value {
	c := t.columns[at]
	told := settle.Value{Column: c.Name, Key: c.Key, Generated: c.Generated}
	if v == nil {
		told.SQL = "NULL"
		return told
	}
	switch t.kind(at) {
	case mysql.MYSQL_TYPE_STRING, mysql.MYSQL_TYPE_VARCHAR, mysql.MYSQL_TYPE_VAR_STRING, mysql.MYSQL_TYPE_BLOB:
		told.SQL, told.JSON = text(bytesOf(v), c.Charset)
	case mysql.MYSQL_TYPE_GEOMETRY, mysql.MYSQL_TYPE_VECTOR:
		told.SQL, told.JSON = text(bytesOf(v), "binary")
	case mysql.MYSQL_TYPE_JSON:
		told.SQL, told.JSON = document(v)
	case mysql.MYSQL_TYPE_ENUM:
		told.SQL, told.JSON = chosen(v, t.enums[at])
	case mysql.MYSQL_TYPE_SET:
		told.SQL, told.JSON = members(v, t.sets[at])
	case mysql.MYSQL_TYPE_BIT:
		n, _ := v.(int64)
		told.SQL, told.JSON = strconv.FormatUint(uint64(n), 10), uint64(n)
	default:
		told.SQL, told.JSON = plain(v)
	}
	return told
}

// kind is the column's type, which an ENUM and a SET hide behind that of a string.
func (t table) kind(at int) byte {
	switch {
	case t.IsEnumColumn(at):
		return mysql.MYSQL_TYPE_ENUM
	case t.IsSetColumn(at):
		return mysql.MYSQL_TYPE_SET
	}
	return t.ColumnType[at]
}

func bytesOf(v any) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return fmt.Append(nil, v)
}

// plain is a value that reads the same everywhere: numbers, and times in UTC.
func plain(v any) (string, any) {
	switch v := v.(type) {
	case string: // decimals and times
		if _, err := strconv.ParseFloat(v, 64); err == nil && !strings.ContainsAny(v, "eE") {
			return v, v
		}
		return "'" + v + "'", v
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), v
	}
	return fmt.Sprint(v), v
}

// text is a value of characters, or of bytes. What this program cannot read as text, it tells as bytes of the charset.
func text(b []byte, charset string) (string, any) {
	unicodes := strings.HasPrefix(charset, "utf8") || charset == "ascii"
	switch {
	case (unicodes || charset == "latin1" && isASCII(b)) && readable(b):
		return quoted(string(b)), string(b)
	case unicodes && utf8.Valid(b), charset != "binary" && isASCII(b):
		return "_utf8mb4 X'" + hex.EncodeToString(b) + "'", string(b)
	case charset == "" || charset == "binary":
		return "X'" + hex.EncodeToString(b) + "'", encoded(b)
	}
	return "_" + charset + " X'" + hex.EncodeToString(b) + "'", encoded(b)
}

func encoded(b []byte) any { return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)} }

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

// readable tells whether bytes can stand between quotes as they are.
func readable(b []byte) bool {
	return utf8.Valid(b) && !strings.ContainsFunc(string(b), func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' || r == utf8.RuneError })
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// document is JSON. Of an update that logs only what changed within it, the rest is not known.
func document(v any) (string, any) {
	switch v := v.(type) {
	case string:
		if readable([]byte(v)) {
			return quoted(v), v
		}
		return "_utf8mb4 X'" + hex.EncodeToString([]byte(v)) + "'", v
	case []byte:
		return "'null'", "null"
	}
	return "NULL /* only a part of this document was logged */", nil
}

// chosen is an ENUM's value: its number is what is stored.
func chosen(v any, names []string) (string, any) {
	n, _ := v.(int64)
	if n >= 1 && int(n) <= len(names) {
		return strconv.FormatInt(n, 10), names[n-1]
	}
	return strconv.FormatInt(n, 10), n
}

func members(v any, names []string) (string, any) {
	n, _ := v.(int64)
	bits := uint64(n)
	if len(names) == 0 {
		return strconv.FormatUint(bits, 10), bits
	}
	var in []string
	for i, name := range names {
		if bits&(1<<i) != 0 {
			in = append(in, name)
		}
	}
	return strconv.FormatUint(bits, 10), strings.Join(in, ",")
}
