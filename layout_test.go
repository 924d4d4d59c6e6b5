// Package primacy_test guards the shape of the project: which package may import
// which. It reads the files itself, so that every change is seen at once.
package primacy_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/primacydb/primacy"

// A layer is what one package may import. Arrows point down only: effects know
// the core, the core knows no effects, and effects do not know each other.
type layer struct {
	ours  []string // packages of ours, each with everything below it
	never []string // import paths, each with everything below it
	pure  bool     // nothing outside the standard library
}

var (
	effects = []string{"context", "database/sql", "log", "net", "os", "sync", "math/rand", "crypto/rand"}
	core    = []string{"gtid", "topology", "antiflap", "reparent"}
	drivers = []string{"database/sql", "github.com/go-sql-driver", "github.com/go-mysql-org"}
	web     = []string{"net/http", "github.com/gorilla", "github.com/danielgtaylor"}
	metric  = []string{"github.com/prometheus"}
	etcd    = []string{"go.etcd.io"}
	loop    = append(slices.Clip(core), "settle", "halt", "orchestrator")
)

// layers holds every package. A sub-package that is not named follows its
// parent's rules and may also import the parent.
var layers = map[string]layer{
	"gtid":                  {pure: true, never: append([]string{"time"}, effects...)},
	"topology":              {pure: true, ours: []string{"gtid"}, never: effects},
	"topology/topologytest": {ours: []string{"gtid", "topology"}},
	"antiflap":              {pure: true, never: effects},
	"reparent":              {pure: true, ours: core, never: effects},
	"settle":                {pure: true, ours: core, never: effects},
	"halt":                  {pure: true, ours: append(slices.Clip(core), "settle"), never: effects},
	"orchestrator":          {ours: append(slices.Clip(core), "settle", "halt"), never: slices.Concat(drivers, web, metric, etcd)},
	"sim":                   {ours: loop, never: slices.Concat(drivers, web, metric, etcd)},
	"mysqld/binlog":         {ours: loop, never: slices.Concat(web, metric, etcd)},
	"mysqld":                {ours: append(slices.Clip(loop), "mysqld/binlog"), never: slices.Concat(web, metric, etcd)},
	"mysqld/local":          {ours: append(slices.Clip(loop), "mysqld"), never: slices.Concat(web, metric, etcd)},
	"store":                 {ours: loop, never: drivers},
	"api":                   {ours: loop, never: slices.Concat(drivers, etcd)},
	"config":                {ours: []string{"gtid", "topology", "antiflap"}, never: slices.Concat(drivers, web, metric, etcd)},
	"metrics":               {ours: loop, never: slices.Concat(drivers, etcd)},
	"cmd/primacy": {ours: append(slices.Clip(loop), "sim", "mysqld", "store", "api", "config", "metrics"),
		never: drivers},
	"scripts":                {pure: true},
	"internal/stopwatchtest": {pure: true},
	"internal/porttest":      {},
	"integration":            {ours: append(slices.Clip(loop), "sim", "mysqld", "store", "api", "config", "metrics", "cmd/primacy")},
	"integration/panorama":   {ours: append(slices.Clip(loop), "api")},
	"integration/browser":    {ours: append(slices.Clip(loop), "api", "mysqld", "store", "integration/panorama")},
}

// An importing is one import of one file.
type importing struct {
	file string // relative to the project, with slashes
	path string
}

// verdict says what is wrong with an import, or nothing.
func verdict(i importing) string {
	dir := path.Dir(i.file)
	if dir == "." {
		return ""
	}
	name, rules, known := layerOf(dir)
	test := strings.HasSuffix(i.file, "_test.go")
	imported, isOurs := strings.CutPrefix(i.path, module+"/")
	switch {
	case !known:
		return fmt.Sprintf("package %s has no place in the layers of layout_test.go", dir)
	case isOurs:
		return verdictOnOurs(dir, name, rules, imported, test)
	case under(i.path, sqlDrivers(test)) && !under(dir, []string{"mysqld", "integration"}):
		return fmt.Sprintf("%s speaks SQL, which stands in mysqld and its sub-packages only", dir)
	case under(i.path, []string{"github.com/spf13/viper"}) && dir != "config":
		return fmt.Sprintf("%s reads configuration, which is config's alone", dir)
	case test:
		return ""
	case under(i.path, rules.never):
		return fmt.Sprintf("%s must never import %s", name, i.path)
	case rules.pure && strings.Contains(strings.SplitN(i.path, "/", 2)[0], "."):
		return fmt.Sprintf("%s is pure and imports %s", name, i.path)
	}
	return ""
}

// sqlDrivers are what nobody else may import. Tests may compare gtid's arithmetic
// with that of go-mysql, which needs no server.
func sqlDrivers(test bool) []string {
	if test {
		return []string{"database/sql", "github.com/go-sql-driver"}
	}
	return drivers
}

// verdictOnOurs lets tests import helpers that exist for tests, and the
// sub-packages of what they test.
func verdictOnOurs(dir, name string, rules layer, imported string, test bool) string {
	own := dir != name && imported == name
	forTests := test && (strings.HasSuffix(imported, "test") || under(imported, []string{dir}))
	below := under(imported, rules.ours) && imported != dir && !strings.HasSuffix(imported, "test")
	if own || forTests || below {
		return ""
	}
	return fmt.Sprintf("%s must not import %s: arrows point down", dir, imported)
}

// layerOf finds the rules for a directory: its own, or the nearest parent's.
func layerOf(dir string) (name string, rules layer, known bool) {
	for name = dir; name != "."; name = path.Dir(name) {
		if rules, known = layers[name]; known {
			return name, rules, true
		}
	}
	return "", layer{}, false
}

func under(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

func TestImportsPointDown(t *testing.T) {
	imports := projectImports(t)
	if len(imports) < 50 {
		t.Fatalf("only %d imports were found; the walk over the files is broken", len(imports))
	}
	for _, i := range imports {
		if wrong := verdict(i); wrong != "" {
			t.Errorf("%s: %s", i.file, wrong)
		}
	}
}

// projectImports parses every Go file of the project, whatever its build tags.
func projectImports(t *testing.T) (out []importing) {
	t.Helper()
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != "." && skipped(entry.Name()):
			return fs.SkipDir
		case filepath.Ext(file) != ".go":
			return nil
		}
		found, err := fileImports(file)
		out = append(out, found...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || dir == "node_modules" || dir == "testdata"
}

func fileImports(file string) (out []importing, err error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, importing{filepath.ToSlash(file), path})
	}
	return out, nil
}

// Whoever imports failpoints is for tests only, or is built only with the tag that nothing but tests gives.
func TestNoProgramHoldsFailpointsUnlessItIsBuiltForTests(t *testing.T) {
	const failpoint = module + "/orchestrator/failpoint"
	tagged := 0
	for _, i := range projectImports(t) {
		forTests := strings.HasSuffix(i.file, "_test.go") || under(i.file, []string{"orchestrator/failpoint", "integration"})
		if i.path != failpoint || forTests {
			continue
		}
		if tag := buildTag(t, i.file); tag != "failpoints" {
			t.Errorf("%s imports failpoints, and is built whenever %q holds", i.file, tag)
		}
		tagged++
	}
	if tagged == 0 {
		t.Error("no program holds failpoints, whatever it is built for")
	}
}

// buildTag is the condition under which a file is built; empty when it always is.
func buildTag(t *testing.T, file string) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(source)) {
		if strings.HasPrefix(line, "package ") {
			break
		}
		if tag, found := strings.CutPrefix(line, "//go:build "); found {
			return strings.TrimSpace(tag)
		}
	}
	return ""
}

// A guard that cannot fail guards nothing: each of these must be refused.
func TestPlantedViolationsAreRefused(t *testing.T) {
	rows := []importing{
		{"gtid/set.go", "time"},
		{"gtid/set.go", "net/url"},
		{"gtid/set.go", module + "/topology"},
		{"gtid/set.go", "github.com/google/uuid"},
		{"topology/analyze.go", "log/slog"},
		{"topology/analyze.go", "sync"},
		{"topology/analyze.go", "sync/atomic"},
		{"topology/analyze.go", module + "/reparent"},
		{"topology/analyze.go", module + "/antiflap"},
		{"antiflap/window.go", module + "/topology"},
		{"antiflap/window.go", "os"},
		{"reparent/next.go", "context"},
		{"reparent/next.go", "math/rand/v2"},
		{"reparent/next.go", "database/sql"},
		{"reparent/next.go", module + "/orchestrator"},
		{"reparent/deep/er.go", "net"},
		{"reparent/next.go", module + "/topology/topologytest"},
		{"orchestrator/loop.go", "net/http"},
		{"orchestrator/loop.go", "github.com/gorilla/mux"},
		{"orchestrator/loop.go", "github.com/prometheus/client_golang/prometheus"},
		{"orchestrator/loop.go", "github.com/go-sql-driver/mysql"},
		{"orchestrator/loop.go", module + "/mysqld"},
		{"orchestrator/loop_test.go", module + "/store"},
		{"sim/world.go", module + "/mysqld"},
		{"sim/world.go", module + "/config"},
		{"mysqld/fleet.go", module + "/store"},
		{"mysqld/binlog/read.go", module + "/mysqld"},
		{"mysqld/fleet.go", module + "/api"},
		{"mysqld/fleet.go", module + "/mysqld/local"},
		{"mysqld/local/fleet.go", module + "/config"},
		{"mysqld/local/fleet.go", "net/http"},
		{"store/etcd.go", module + "/mysqld"},
		{"store/etcd.go", "database/sql"},
		{"api/routes.go", module + "/mysqld"},
		{"api/routes.go", module + "/store"},
		{"api/routes.go", "database/sql"},
		{"api/routes_test.go", "database/sql"},
		{"api/routes.go", "github.com/spf13/viper"},
		{"config/file.go", module + "/orchestrator"},
		{"config/file.go", module + "/reparent"},
		{"metrics/series.go", module + "/api"},
		{"metrics/series.go", module + "/store"},
		{"cmd/primacy/main.go", "github.com/spf13/viper"},
		{"cmd/primacy/main.go", "database/sql"},
		{"cmd/primacy/main.go", module + "/integration"},
		{"util/strings.go", "strings"},
		{"pkg/gtid/set.go", "strings"},
	}
	for _, row := range rows {
		if verdict(row) == "" {
			t.Errorf("%s may import %s", row.file, row.path)
		}
	}
}

func TestImportsThatPointDownAreAccepted(t *testing.T) {
	rows := []importing{
		{"gtid/set.go", "math/bits"},
		{"gtid/set_test.go", "time"},
		{"gtid/set_test.go", "pgregory.net/rapid"},
		{"gtid/set_test.go", "github.com/go-mysql-org/go-mysql/mysql"},
		{"topology/analyze.go", module + "/gtid"},
		{"topology/analyze_test.go", module + "/topology/topologytest"},
		{"reparent/next.go", module + "/antiflap"},
		{"orchestrator/loop.go", "context"},
		{"orchestrator/loop.go", "log/slog"},
		{"mysqld/fleet.go", "database/sql"},
		{"mysqld/fleet_test.go", module + "/mysqld/local"},
		{"mysqld/local/fleet.go", module + "/mysqld"},
		{"mysqld/workload/client.go", module + "/mysqld"},
		{"config/file.go", "github.com/spf13/viper"},
		{"api/routes.go", "github.com/gorilla/mux"},
		{"api/client/client.go", module + "/api"},
		{"cmd/primacy/serve.go", module + "/mysqld"},
		{"cmd/primacy/serve.go", module + "/api/hooks"},
		{"integration/kill_test.go", "database/sql"},
		{"layout_test.go", "go/parser"},
	}
	for _, row := range rows {
		if wrong := verdict(row); wrong != "" {
			t.Errorf("%s cannot import %s: %s", row.file, row.path, wrong)
		}
	}
}

// Each rule itself keeps the order: whatever a package may import may not import
// it back, directly or through others.
func TestTheLayersHaveNoCycle(t *testing.T) {
	for name := range layers {
		for _, below := range layers[name].ours {
			if below != name && reaches(below, name) {
				t.Errorf("%s and %s may import each other", name, below)
			}
		}
	}
}

func reaches(from, to string) bool {
	return slices.ContainsFunc(layers[from].ours, func(next string) bool {
		return next != from && (next == to || reaches(next, to))
	})
}
