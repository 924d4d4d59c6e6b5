package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// leaves are the paths of all options.
func leaves() []string {
	var paths []string
	schema().each(func(k *key) {
		if k.leaf() && k.name != "" {
			paths = append(paths, k.path)
		}
	})
	return paths
}

func TestTheExampleLoads(t *testing.T) {
	password := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(password, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load("../config.example.yaml", []string{"PRIMACY_MYSQL_PASSWORD_FILE=" + password, "PRIMACY_REPLICATION_PASSWORD_FILE=" + password})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) > 0 {
		t.Errorf("warned: %v", cfg.Warnings)
	}
}

// The example shows defaults where there are any, so a reader may take a line away without changing anything.
func TestTheExampleShowsTheDefaults(t *testing.T) {
	cfg, err := Parse([]byte(regexp.MustCompile(`(?m)^  password_file: .*$`).ReplaceAllString(read(t, "../config.example.yaml"), "  password: x")), "example")
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Node, want.Clusters = cfg.Node, cfg.Clusters
	want.MySQL.Password, want.Replication.Password = NewSecret("x"), NewSecret("x")
	live, restart := Changes(want, cfg)
	if changed := append(live, restart...); len(changed) > 0 {
		t.Errorf("not the default: %v", changed)
	}
}

// switchedOff finds options that are commented out: the # stands directly before them, or before the two spaces that
// continue an entry of a list.
var switchedOff = regexp.MustCompile(`(?m)^( *)#((?:  )?(?:- )?[a-z_]+:(?: .*)?)$`)

func TestTheExampleHasEveryOptionInItsPlace(t *testing.T) {
	all := switchedOff.ReplaceAllString(read(t, "../config.example.yaml"), "$1$2")
	r := reader{source: "example"}
	c := &check{source: "example", root: r.read([]byte(all)), schema: schema(), at: map[string]*node{}, spoiled: map[string]bool{}}
	if c.root == nil || len(r.problems) > 0 {
		t.Fatalf("with everything switched on: %v\n%s", r.problems, all)
	}
	c.value(c.schema, c.root, "")
	if len(c.wrong) > 0 {
		t.Errorf("with everything switched on:\n%v", c.wrong)
	}
	entry := regexp.MustCompile(`\[\d+\]`)
	present := map[string]bool{}
	for path := range c.at {
		present[entry.ReplaceAllString(path, "[]")] = true
	}
	for _, path := range leaves() {
		if !present[path] {
			t.Errorf("%s is missing", path)
		}
	}
}

// The page's rows are | `option` | default | live | text |.
var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]*) \\| ([^|]*?) ?\\| (.+) \\|$")

func TestThePageHasEveryOptionWithItsDefault(t *testing.T) {
	defaults, live := map[string]string{}, map[string]bool{}
	describe(reflect.ValueOf(Defaults()), "", false, defaults, live)
	var paths []string
	for _, m := range row.FindAllStringSubmatch(read(t, "../docs/configuration.md"), -1) {
		path, shown := m[1], strings.Trim(m[2], "`")
		paths = append(paths, path)
		if want := defaults[path]; want != "" && shown != want {
			t.Errorf("%s: the page says the default is %s, it is %s", path, shown, want)
		}
		if (m[3] == "live") != live[path] {
			t.Errorf("%s: the page says %q about live, it is %v", path, m[3], live[path])
		}
	}
	want := leaves()
	slices.Sort(paths)
	slices.Sort(want)
	if !slices.Equal(paths, want) {
		t.Errorf("the page has\n%s\nwant\n%s", strings.Join(paths, "\n"), strings.Join(want, "\n"))
	}
}

// describe gathers each option's default, as the page writes it, and whether it is live.
func describe(v reflect.Value, path string, isLive bool, defaults map[string]string, live map[string]bool) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		at, field := joined(path, name), v.Field(i)
		itsLive := isLive || f.Tag.Get("live") != ""
		live[at] = itsLive
		switch kindOf(f.Type) {
		case kindSection:
			describe(field, at, itsLive, defaults, live)
		case kindList:
			if kindOf(f.Type.Elem()) == kindSection {
				describe(reflect.Zero(f.Type.Elem()), at+"[]", itsLive, defaults, live)
			}
		case kindDuration:
			defaults[at] = short(field.Interface().(time.Duration))
		case kindBool, kindInt, kindFloat, kindText:
			if !strings.Contains(at, "[]") {
				defaults[at] = fmt.Sprint(field.Interface())
			}
		case kindSecret:
		}
	}
}

// short writes 5m for what a Duration calls 5m0s.
func short(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return regexp.MustCompile(`([hm])0[ms](0s)?$`).ReplaceAllString(d.String(), "$1")
}
