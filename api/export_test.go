package api

import (
	"strings"
	"testing"
)

func TestErrantTransactionsComeAsAFileOfStatements(t *testing.T) {
	s := serveWith(t, strayed(), nil)
	for path, name := range map[string]string{
		"/api/v1/clusters/shop/servers/db3:3306/errant/export": "errant-shop-db3_3306.sql",
		"/api/v1/clusters/shop/settlements/shop-1/export":      "settled-shop-1.sql",
	} {
		r := s.ask("GET", path, "")
		if r.status != 200 || !strings.Contains(r.text, "INSERT INTO") || !strings.HasPrefix(r.header.Get("Content-Type"), "application/sql") {
			t.Errorf("%s: %d %s %s", path, r.status, r.header.Get("Content-Type"), r.text)
		}
		if got := r.header.Get("Content-Disposition"); got != `attachment; filename="`+name+`"` {
			t.Errorf("%s: %s", path, got)
		}
	}
}

func TestThereIsNoFileOfWhatIsNotThere(t *testing.T) {
	p := strayed()
	p.begun.Settlement.ExportedTo, p.errant = "", nil
	s := serveWith(t, p, nil)
	s.ask("GET", "/api/v1/clusters/shop/servers/db3:3306/errant/export", "").wantProblem(t, 409, CodeNotErrant)
	s.ask("GET", "/api/v1/clusters/shop/settlements/shop-1/export", "").wantProblem(t, 409, CodeNotErrant)
}

func TestAFileNameHoldsNothingThatLeadsElsewhere(t *testing.T) {
	if got := fileName("../a\"b\r\nc d:1"); got != "_.._a_b__c_d_1"[1:] {
		t.Error(got)
	}
}
