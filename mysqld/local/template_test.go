package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// aged makes a template that was last used so long ago.
func aged(t *testing.T, root, name string, age time.Duration) string {
	t.Helper()
	dir := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Join(dir, "mysql"), 0o700); err != nil {
		t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(dir, then, then); err != nil {
		t.Fatal(err)
	}
	return dir
}

func namesIn(t *testing.T, root string) (all []string) {
	t.Helper()
	for _, entry := range must(os.ReadDir(root))(t) {
		all = append(all, entry.Name())
	}
	return all
}

func TestTemplatesThatNobodyUsesAreDropped(t *testing.T) {
	root := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 2 * unusedMax, "used": 2 * unusedMax, "held": 2 * unusedMax, "new": 0, "making-1": 0, "dropped-old": 0} {
		aged(t, root, name, age)
	}
	if used := use(filepath.Join(root, "used")); used == nil || used.Close() != nil || use(filepath.Join(root, "absent")) != nil {
		t.Error("a template's existence is told wrongly")
	}
	held := use(filepath.Join(root, "held"))
	aged(t, root, "held", 2*unusedMax) // as if its copies took so long
	dropUnused(root, time.Now())
	if left := namesIn(t, root); !slices.Equal(left, []string{"held", "new", "used"}) {
		t.Errorf("left: %v", left)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	dropUnused(root, time.Now())
	if left := namesIn(t, root); !slices.Equal(left, []string{"new", "used"}) {
		t.Errorf("left: %v", left)
	}
}

func TestOfTooManyTemplatesTheLeastRecentlyUsedAreDropped(t *testing.T) {
	root := t.TempDir()
	for i := range templatesMost + 3 {
		aged(t, root, fmt.Sprintf("t%02d", i), unusedMin+time.Duration(i)*time.Hour+time.Minute)
	}
	dropUnused(root, time.Now())
	if left := namesIn(t, root); len(left) != templatesMost-1 || left[0] != "t00" || left[len(left)-1] != fmt.Sprintf("t%02d", templatesMost-2) {
		t.Errorf("left, with one more to come: %v", left)
	}
	root = t.TempDir()
	for i := range templatesMost + 3 {
		aged(t, root, fmt.Sprintf("t%02d", i), time.Duration(i)*time.Minute)
	}
	dropUnused(root, time.Now())
	if left := namesIn(t, root); len(left) != templatesMost+3 {
		t.Errorf("of those that are in use today are left: %v", left)
	}
}

// Users come and go while templates are dropped over and over: whoever got one has it whole until he lets go of it.
func TestATemplateThatIsBeingCopiedStays(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "t")
	stop := make(chan struct{})
	var dropper, users sync.WaitGroup
	dropper.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				dropUnused(root, time.Now().Add(2*unusedMax)) // everything is old
			}
		}
	})
	var got, missed atomic.Int64
	for range 4 {
		users.Go(func() {
			for range 500 {
				// What another user made, or half of what this one did, may be dropped before it is looked at.
				if err := os.MkdirAll(filepath.Join(dir, "mysql"), 0o700); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
					t.Error(err)
				}
				used := use(dir)
				if used == nil {
					missed.Add(1)
					continue
				}
				got.Add(1)
				for range 3 {
					if _, err := os.Stat(dir); err != nil {
						t.Errorf("it went away under its user: %v", err)
					}
				}
				if err := used.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	close(stop)
	dropper.Wait()
	if got.Load() == 0 {
		t.Errorf("nobody ever got one, %d times", missed.Load())
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
