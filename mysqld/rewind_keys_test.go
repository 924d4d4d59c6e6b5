package mysqld

import (
	"errors"
	"testing"

	"github.com/primacydb/primacy/mysqld/binlog"
	"github.com/primacydb/primacy/settle"
)

// The log is read again when rows are compared, and by then the table may have been altered on the primary.
func TestATableThatLostColumnsSinceItsRowsWereLoggedIsRefusedAndNotLookedInto(t *testing.T) {
	goods := binlog.Table{Schema: "app", Name: "goods"}
	row := []settle.Value{{Column: "id", SQL: "1"}, {Column: "name", SQL: "'apple'"}}
	for name, now := range map[string]definition{
		"a column is gone":    {Engine: "InnoDB", Columns: []columnDefinition{{Name: "id", Type: "int"}}, Key: []string{"id"}},
		"the table is gone":   {},
		"a column came to it": {Engine: "InnoDB", Columns: []columnDefinition{{Name: "id"}, {Name: "name"}, {Name: "more"}}, Key: []string{"id"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keyring{at: map[string]int{}, definitions: map[binlog.Table]definition{goods: now}}
			err := k.note(goods, settle.Change{Schema: "app", Table: "goods", Action: "insert", After: row})
			if no, ok := errors.AsType[unfit](err); !ok || no.code != "schema_changed" {
				t.Fatalf("%v, want schema_changed", err)
			}
		})
	}
}

func TestAnEmptyTextIsNotTakenForNull(t *testing.T) {
	null, empty := []row{{{text: "1"}, {null: true}}}, []row{{{text: "1"}, {}}}
	if compared(null) == compared(empty) {
		t.Fatalf("both read %s", compared(null))
	}
	if compared(nil) == compared([]row{{{null: true}}}) {
		t.Fatal("no row reads like a row of one NULL")
	}
}
