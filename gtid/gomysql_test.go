package gtid

import (
	"maps"
	"testing"

	"github.com/go-mysql-org/go-mysql/mysql"
	"pgregory.net/rapid"
)

// theirSet reads a text with go-mysql, an implementation that shares nothing
// with this one.
func theirSet(t rapid.TB, text string) *mysql.MysqlGTIDSet {
	t.Helper()
	s, err := mysql.ParseMysqlGTIDSet(text)
	if err != nil {
		t.Fatalf("go-mysql refuses %q: %v", text, err)
	}
	return s.(*mysql.MysqlGTIDSet)
}

// theirUnion is what go-mysql's Update does to a clone, without the text that
// Update would parse first.
func theirUnion(a, b *mysql.MysqlGTIDSet) *mysql.MysqlGTIDSet {
	out := a.Clone().(*mysql.MysqlGTIDSet)
	for id, tags := range *b {
		if (*out)[id] == nil {
			(*out)[id] = maps.Clone(tags)
			continue
		}
		for tag, intervals := range tags {
			(*out)[id][tag] = append((*out)[id][tag], intervals...).Normalize()
		}
	}
	return out
}

func TestSetsAgreeWithGoMySQL(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ma := drawBitmap(t, "a")
		mb := drawNear(t, ma, "b")
		a, b := drawSet(t, ma, "a"), drawSet(t, mb, "b")
		theirA, theirB := theirSet(t, ma.text()), theirSet(t, mb.text())

		mustAnswer(t, "text of a", a.String(), theirA.String())
		mustAnswer(t, "text of the union", a.Union(b).String(), theirUnion(theirA, theirB).String())
		mustAnswer(t, "a contains b", a.Contains(b), theirA.Contain(theirB))
		mustAnswer(t, "b contains a", b.Contains(a), theirB.Contain(theirA))
		mustAnswer(t, "a equals b", a.Equal(b), theirA.Equal(theirB))
	})
}

// mustAgreeOrBeRefused compares a text that was read here with go-mysql, which
// knows neither empty elements nor space around every part and may refuse it.
func mustAgreeOrBeRefused(t rapid.TB, text string, read Set) {
	t.Helper()
	theirs, err := mysql.ParseMysqlGTIDSet(text)
	if err == nil && theirs.String() != read.String() {
		t.Fatalf("%q: read as %q, by go-mysql as %q", text, read, theirs)
	}
}
