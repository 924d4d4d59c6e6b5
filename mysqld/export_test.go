package mysqld

import (
	"testing"

	"github.com/primacydb/primacy/settle"
)

func TestNothingGoesThatIsNotAllOnRecord(t *testing.T) {
	one := settle.Transaction{GTID: primaryUUID + ":1", Statements: []string{"INSERT INTO app.t VALUES (@who)"}}
	lacking := one
	lacking.Lacks = []string{"UserVarEvent"}
	for _, row := range []struct {
		name   string
		of     settle.Transcript
		accept bool
		code   string
	}{
		{"all of it", settle.Transcript{Transactions: []settle.Transaction{one}}, false, ""},
		{"values of a statement are not told", settle.Transcript{Transactions: []settle.Transaction{one, lacking}}, false, "not_told"},
		{"somebody answers for that", settle.Transcript{Transactions: []settle.Transaction{lacking}}, true, ""},
		{"rows are not told", settle.Transcript{Truncated: true}, false, "rows_max"},
		{"a transaction is not in the log", settle.Transcript{Missing: setOf(t, primaryUUID+":1")}, false, "not_readable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if r, _ := incomplete(row.of, settle.Task{Server: "a:1", AcceptIncomplete: row.accept}); r.Code != row.code {
				t.Errorf("%+v", r)
			}
		})
	}
}
