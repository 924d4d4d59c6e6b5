package mysqld

import (
	"context"
	"fmt"
	"strings"

	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
)

// touchedKey is one row that the set changed, by its primary key.
type touchedKey struct {
	table binlog.Table
	where string
	// text: the key holds characters, of which different ones may be equal; then a key is not told absent.
	text          bool
	before, after bool // whether the row was there before the set, and is there after it
}

// touched are the keys of all rows that the set changed, in the order of their first change.
func (j *job) touched(ctx context.Context, u *binlog.Undoing, definitions map[binlog.Table]definition) ([]touchedKey, error) {
	k := &keyring{at: map[string]int{}, definitions: definitions}
	catalog := &writer{ctx: ctx, link: j.link}
	for _, change := range u.Changes {
		rows, _ := binlog.Changes(change.Event, catalog, u.Rows)
		for _, row := range rows {
			if err := k.note(change.Table, row); err != nil {
				return nil, err
			}
		}
	}
	return k.keys, catalog.err
}

type keyring struct {
	keys        []touchedKey
	at          map[string]int
	definitions map[binlog.Table]definition
}

// note follows a row through one change; an update may give it another key.
func (k *keyring) note(t binlog.Table, change settle.Change) error {
	before, err := k.key(t, change.Before)
	if err != nil {
		return err
	}
	after, err := k.key(t, change.After)
	if err != nil {
		return err
	}
	if before.where == after.where {
		k.seen(before, true, true)
		return nil
	}
	k.seen(before, true, false)
	k.seen(after, false, true)
	return nil
}

func (k *keyring) seen(key touchedKey, before, after bool) {
	if key.where == "" {
		return
	}
	name := key.name()
	i, known := k.at[name]
	if !known {
		i, k.at[name] = len(k.keys), len(k.keys)
		key.before = before
		k.keys = append(k.keys, key)
	}
	k.keys[i].after = after
}

// key finds a row by the columns of its primary key; none where there is no row.
func (k *keyring) key(t binlog.Table, row []settle.Value) (touchedKey, error) {
	key := touchedKey{table: t}
	if len(row) == 0 {
		return key, nil
	}
	d := k.definitions[t]
	if len(row) != len(d.Columns) { // it was altered or dropped since: nothing says which value belongs to which column
		return key, unfitFor("schema_changed", "table %s has %d columns, and had %d when it was changed", t, len(d.Columns), len(row))
	}
	var parts []string
	for i, v := range row {
		c := d.Columns[i]
		if _, isKey := d.keyColumn(c.Name); !isKey {
			continue
		}
		key.text = key.text || c.Charset != ""
		parts = append(parts, quoteName(c.Name)+" = "+keyLiteral(c, v.SQL))
	}
	if len(parts) != len(d.Key) {
		return key, unfitFor("schema_changed", "the primary key of table %s is not what it was", t)
	}
	key.where = strings.Join(parts, " AND ")
	return key, nil
}

// keyLiteral fills up what a BINARY column fills up, too: the log leaves trailing zeros out.
func keyLiteral(c columnDefinition, literal string) string {
	if c.Type == "binary" {
		return "RPAD(" + literal + ", " + c.Length + ", X'00')"
	}
	return literal
}

// keysAtOnce is how many rows are asked for in one round trip.
const keysAtOnce = 100

// asAfter checks that the keys find the rows that the set has left, before it is undone: a key that finds nothing would
// find nothing on both sides when rows are compared.
func (e examined) asAfter(ctx context.Context, l *link) error {
	return e.there(ctx, l, "after", func(k touchedKey) bool { return k.after })
}

// asBefore checks that the rows are there again which were there before the set, and no others.
func (e examined) asBefore(ctx context.Context, l *link) error {
	return e.there(ctx, l, "before", func(k touchedKey) bool { return k.before })
}

func (e examined) there(ctx context.Context, l *link, when string, want func(touchedKey) bool) error {
	for from := 0; from < len(e.keys); from += keysAtOnce {
		some := e.keys[from:min(from+keysAtOnce, len(e.keys))]
		var statements []string
		for _, k := range some {
			statements = append(statements, "SELECT COUNT(*) FROM "+quoteName(k.table.Schema)+"."+quoteName(k.table.Name)+" WHERE "+k.where)
		}
		counts, err := l.queryAll(ctx, strings.Join(statements, ";"))
		if err != nil {
			return err
		}
		for i, k := range some {
			n := counts[i][0][0].number()
			if want(k) && n != 1 || !want(k) && n != 0 && !k.text {
				return unfitFor("rows_differ", "%s: %d rows of %s where its log says %s: nothing was undone; clone it", l.server, n, k.described(), expected(want(k), when))
			}
		}
	}
	return nil
}

func expected(there bool, when string) string {
	if there {
		return "that there was one " + when + " the transactions"
	}
	return "that there was none " + when + " the transactions"
}

// name tells rows apart.
func (k touchedKey) name() string { return k.table.String() + " " + k.where }

// described names the row by its table alone: keys are somebody's data.
func (k touchedKey) described() string { return fmt.Sprintf("table %s", k.table) }
