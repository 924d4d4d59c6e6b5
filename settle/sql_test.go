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
