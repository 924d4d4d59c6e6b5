package api

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/primacydb/primacy/topology"
)

func TestTheOpenAPIDocumentIsTheOneThatIsCommitted(t *testing.T) {
	got := serveWith(t, shop(), func(s *Settings) { s.Version = "1" }).ask("GET", "/openapi.json", "").text
	if *update {
		if err := os.WriteFile("openapi.json", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("openapi.json differs from what is served; if that is meant: go test ./api -run OpenAPI -update")
	}
}

func TestTheDocumentKnowsProblemsOnlyAsTheyAreSent(t *testing.T) {
	got := serveWith(t, shop(), nil).ask("GET", "/openapi.json", "")
	tree := got.tree(t)
	if !strings.HasPrefix(tree["openapi"].(string), "3.1") {
		t.Errorf("openapi %v", tree["openapi"])
	}
	if strings.Contains(got.text, "ErrorModel") || !strings.Contains(got.text, `"#/components/schemas/Problem"`) {
		t.Error("it speaks of errors that are never sent")
	}
	schemas := tree["components"].(map[string]any)["schemas"].(map[string]any)
	if schemas["Cluster"].(map[string]any)["additionalProperties"] == false {
		t.Error("answers are closed, so that no field could ever be added")
	}
	if schemas["ReparentRequest"].(map[string]any)["additionalProperties"] != false {
		t.Error("requests are open, so that a mistyped field would go unnoticed")
	}
}

func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	s := serveWith(t, shop(), nil)
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/docs": "text/html; charset=utf-8",
		"/docs/docs.js": "text/javascript; charset=utf-8", "/docs/style.css": "text/css; charset=utf-8",
	} {
		r := s.ask("GET", path, "")
		if r.status != 200 || r.header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", path, r.status, r.header.Get("Content-Type"))
		}
		if strings.Contains(r.text, "//") && strings.Contains(r.text, "http") || strings.Contains(r.text, "innerHTML") {
			t.Errorf("%s names another place, or makes markup of text", path)
		}
	}
}

func TestTheDashboardsAssetsMayBeKeptAndItsPageMayNot(t *testing.T) {
	s := serveWith(t, shop(), nil)
	page := s.ask("GET", "/", "")
	if got := page.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("the page, whose address stays when its content changes: Cache-Control %q", got)
	}
	named := regexp.MustCompile(`(?:src|href)="\./(assets/[^"]+)"`).FindAllStringSubmatch(page.text, -1)
	if len(named) != 2 {
		t.Fatalf("one script and one style sheet are expected: %s", page.text)
	}
	for _, n := range named {
		r := s.ask("GET", "/"+n[1], "")
		kind, cache := r.header.Get("Content-Type"), r.header.Get("Cache-Control")
		if r.status != 200 || !strings.HasPrefix(kind, "text/") || !strings.Contains(cache, "immutable") || r.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d, %q, %q", n[1], r.status, kind, cache)
		}
	}
	s.ask("GET", "/assets/nothing.js", "").wantProblem(t, 404, CodeNoSuchPath)
}

func TestEveryFileOfTheDashboardHasATypeThatBrowsersTake(t *testing.T) {
	files, err := fs.Glob(pages, built+"/assets/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no assets", err)
	}
	for _, f := range files {
		if kinds[path.Ext(f)] == "" {
			t.Errorf("%s would be sent without a type", f)
		}
	}
}

func TestTheDashboardAsksForFindingsByTheirNames(t *testing.T) {
	source, err := os.ReadFile("../dashboard/src/cluster/Readiness.tsx")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), `"`+string(topology.WouldBlock)+`"`) {
		t.Errorf("%s has another name there, so that the page would say that a failover would not block", topology.WouldBlock)
	}
}

func TestEachCodeIsExplained(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range regexp.MustCompile(`(?m)^\tCode[A-Z]\w+ += "(\w+)"`).FindAllSubmatch(source, -1) {
			if found++; !bytes.Contains(text, []byte("`"+string(code[1])+"`")) {
				t.Errorf("docs/api.md does not name the code %s", code[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d codes were found", found)
	}
}
