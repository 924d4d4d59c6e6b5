package local

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestTemplatesThatNobodyUsesAreDropped(t *testing.T) {
	root := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 2 * unusedMax, "used": 2 * unusedMax, "new": 0} {
		dir := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Join(dir, "mysql"), 0o700); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(dir, then, then); err != nil {
			t.Fatal(err)
		}
	}
	if !markUsed(filepath.Join(root, "used")) || markUsed(filepath.Join(root, "absent")) {
		t.Error("a template's existence is told wrongly")
	}
	dropUnused(root)
	var left []string
	for _, entry := range must(os.ReadDir(root))(t) {
		left = append(left, entry.Name())
	}
	if !slices.Equal(left, []string{"new", "used"}) {
		t.Errorf("left: %v", left)
	}
}

func TestWhatChangesTheDataChangesTheTemplate(t *testing.T) {
	base := Spec{Users: Users{}.complete()}
	key := func(version string, change func(*Spec)) string {
		spec := base
		change(&spec)
		return newTemplate(Binary{Path: "/mysqld", Version: version}, spec).key()
	}
	same := key("9.7.4", func(s *Spec) { s.Users.App.Password = "other"; s.Options = map[string]string{"max_connections": "9"} })
	if same != key("9.7.4", func(*Spec) {}) {
		t.Error("a password or an option of the running server makes a new template")
	}
	rows := map[string]string{
		"another version": key("8.4.3", func(*Spec) {}),
		"another account": key("9.7.4", func(s *Spec) { s.Users.App.Name = "shop" }),
		"another schema":  key("9.7.4", func(s *Spec) { s.Schema = []string{"CREATE DATABASE x"} }),
		"a baked option":  key("9.7.4", func(s *Spec) { s.Options = map[string]string{"lower_case_table_names": "1"} }),
	}
	for name, other := range rows {
		if other == same {
			t.Errorf("%s is served with the same template", name)
		}
	}
}
