package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/primacydb/primacy/mysqld"
)

// A template that no fleet begins from stays for unusedMax. Each is some 90 MB, and each set of options has its own: beyond
// templatesMost those go first that were used least recently, and none that was used within unusedMin.
const (
	unusedMax     = 7 * 24 * time.Hour
	unusedMin     = time.Hour
	templatesMost = 8
)

// A template is a freshly initialised data directory that every server of every
// fleet with the same settings begins as a copy of. Making one takes seconds,
// copying it a fraction of one, and since all copies are the same, no server has
// a transaction that another lacks.
//
// It holds the accounts, locked and without a password: passwords belong to a
// fleet and never reach the cache.
type template struct {
	binary Binary
	baked  []setting
	schema []string // statements, in order
}

func newTemplate(binary Binary, spec Spec) template {
	return template{
		binary: binary,
		baked:  append(initialSettings(), bakedOptions(spec.Options)...),
		schema: append(accountStatements(spec.Users), spec.Schema...),
	}
}

// accountStatements makes the three accounts of a fleet. The application gets
// its schema and nothing that could tell it a primary from a replica.
func accountStatements(users Users) []string {
	create := func(name string) string {
		return "CREATE USER " + quoteName(name) + "@'%' ACCOUNT LOCK"
	}
	return slices.Concat(
		[]string{create(users.Primacy.Name), create(users.Replica.Name), create(users.App.Name), "CREATE DATABASE app"},
		mysqld.GrantStatements(users.Primacy.Name, "%", mysqld.FeatureClone, mysqld.FeatureErrant, mysqld.FeatureCheck, mysqld.FeatureHalt),
		mysqld.ReplicaGrantStatements(users.Replica.Name, "%"),
		[]string{"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON app.* TO " + quoteName(users.App.Name) + "@'%'"},
	)
}

// key names the template's directory: another server, setting or statement is
// another template.
func (t template) key() string {
	sum := sha256.New()
	io.WriteString(sum, t.binary.Path+"\n"+t.binary.Version+"\n"+renderSettings(t.baked)+strings.Join(t.schema, "\n"))
	return t.binary.Version + "-" + hex.EncodeToString(sum.Sum(nil))[:12]
}

// dir returns the template's data directory and makes it first where it is
// missing. It appears by a rename, whole or not at all, and stays until what
// comes with it is closed; the lock spares two processes the same work, and is
// held by whoever drops templates.
func (t template) dir(ctx context.Context, log io.Writer) (string, io.Closer, error) {
	root, err := cacheDir()
	if err != nil {
		return "", nil, err
	}
	root = filepath.Join(root, "templates")
	dir := filepath.Join(root, t.key())
	if used := use(dir); used != nil {
		return dir, used, nil
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return "", nil, err
	}
	lock, err := waitLock(ctx, filepath.Join(root, "lock"))
	if err != nil {
		return "", nil, err
	}
	defer lock.Close()
	if used := use(dir); used != nil {
		return dir, used, nil
	}
	dropUnused(root, time.Now())
	fmt.Fprintf(log, "initialising a data directory with mysqld %s, once\n", t.binary.Version)
	if err := t.make(ctx, root, dir); err != nil {
		return "", nil, err
	}
	used := use(dir)
	if used == nil {
		return "", nil, fmt.Errorf("%s was made, and cannot be read", dir)
	}
	return dir, used, nil
}

// use keeps a template from being dropped until it is closed; nil when there is
// none, or when it is being dropped.
func use(dir string) io.Closer {
	file, err := os.Open(dir)
	if err != nil {
		return nil
	}
	now := time.Now()
	if !share(file) || !stands(file, dir) || os.Chtimes(dir, now, now) != nil {
		file.Close()
		return nil
	}
	return file
}

func share(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
}

// stands tells whether what was opened still has its name.
func stands(file *os.File, dir string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(dir)
	return err == nil && os.SameFile(opened, named)
}

// The names of what is no template: one that is being made, and one that is
// being dropped. Whoever finds them with the lock in hand finds remains.
const (
	makingPrefix  = "making-"
	droppedPrefix = "dropped-"
)

// dropUnused removes what nobody has used for a while: templates of older
// versions and of settings that were tried once, and halves of some that were
// interrupted. The caller holds the lock.
func dropUnused(root string, now time.Time) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return
	}
	var templates []os.FileInfo
	for _, entry := range entries {
		stat, err := entry.Info()
		switch {
		case err != nil || !entry.IsDir():
		case strings.HasPrefix(entry.Name(), makingPrefix), strings.HasPrefix(entry.Name(), droppedPrefix):
			_ = os.RemoveAll(filepath.Join(root, entry.Name()))
		default:
			templates = append(templates, stat)
		}
	}
	slices.SortFunc(templates, func(a, b os.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i, stat := range templates {
		if unused := now.Sub(stat.ModTime()); unused > unusedMax || i+1 >= templatesMost && unused > unusedMin { // one more is about to come
			drop(root, stat)
		}
	}
}

// drop removes a template that nobody uses, nor has used since it was looked at.
func drop(root string, seen os.FileInfo) {
	dir := filepath.Join(root, seen.Name())
	file, err := os.Open(dir)
	if err != nil {
		return
	}
	defer file.Close()
	if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	if stat, err := file.Stat(); err != nil || !stat.ModTime().Equal(seen.ModTime()) {
		return
	}
	gone := filepath.Join(root, droppedPrefix+seen.Name())
	if os.Rename(dir, gone) == nil {
		_ = os.RemoveAll(gone)
	}
}

func (t template) make(ctx context.Context, root, dir string) error {
	work, err := os.MkdirTemp(root, makingPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	data := filepath.Join(work, "data")
	if err := t.initialise(ctx, work, data); err != nil {
		return err
	}
	// Each server writes its own identity at its first start.
	if err := os.Remove(filepath.Join(data, "auto.cnf")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Rename(data, dir)
}

func (t template) initialise(ctx context.Context, work, data string) error {
	config, statements := filepath.Join(work, "my.cnf"), filepath.Join(work, "schema.sql")
	place := []setting{{"datadir", data}, {"init_file", statements}, {"secure_file_priv", "NULL"}}
	if err := writeSettings(config, place, runAs(), t.baked); err != nil {
		return err
	}
	if err := os.WriteFile(statements, []byte(initFile(t.schema)), 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, t.binary.Path, "--defaults-file="+config, "--initialize-insecure")
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initialise a data directory with %s: %w\n%s", t.binary.Path, err, complaints(output))
	}
	return nil
}

// initFile writes one statement on each line, which is how the server reads it.
func initFile(statements []string) string {
	var text strings.Builder
	for _, statement := range statements {
		text.WriteString(strings.ReplaceAll(statement, "\n", " ") + ";\n")
	}
	return text.String()
}

// complaints keeps the lines of a server's log that tell what went wrong.
func complaints(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	serious := slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return !strings.Contains(line, "[ERROR]")
	})
	if len(serious) == 0 {
		serious = lines
	}
	return strings.Join(serious[max(0, len(serious)-8):], "\n")
}

// copyTree copies a data directory and keeps the modes of its files, for there
// are private keys among them.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		stat, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if entry.IsDir() {
			return os.MkdirAll(target, stat.Mode().Perm()|0o700)
		}
		return copyFile(path, target, stat.Mode().Perm())
	})
}

// copyFile leaves the bytes to the kernel where it can share or copy them itself.
func copyFile(from, to string, mode os.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

// quoteName quotes an identifier the way that no sql_mode changes.
func quoteName(name string) string {
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
