package settle

import (
	"bytes"
	"strings"
	"testing"
)

func TestAStatementThatEndsInACommentIsEndedBehindIt(t *testing.T) {
	var text bytes.Buffer
	told := Transcript{Transactions: []Transaction{{Statements: []string{"CREATE TABLE app.t (id INT) -- by bob"}}, {Statements: []string{"DROP TABLE app.t;"}}}}
	if err := told.WriteSQL(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(text.String(), "\n") {
		if before, _, comment := strings.Cut(line, "-- "); comment && strings.Contains(line[len(before):], ";") {
			t.Errorf("what ends the statement is a part of its comment: %s", line)
		}
	}
	if got := strings.Count(text.String(), "\n;"); got != 2 {
		t.Errorf("%d statements are ended:\n%s", got, &text)
	}
}

// What is too large for the store is in a file, and the store's copy has no transactions.
func TestAnExportThatStandsInAFileSaysWhere(t *testing.T) {
	var text bytes.Buffer
	if err := (Transcript{Rows: 7, File: "/var/lib/exports/shop-1.json"}).WriteSQL(&text); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "INCOMPLETE") || !strings.Contains(got, "/var/lib/exports/shop-1.json") {
		t.Errorf("nothing says that this is not all of it:\n%s", got)
	}
}
