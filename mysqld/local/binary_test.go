package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pretend makes an executable that answers --version as a mysqld would.
func pretend(t *testing.T, dir, banner string) string {
	t.Helper()
	path := filepath.Join(dir, "mysqld")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho \""+banner+"\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServersAreRecognisedByWhatTheyReport(t *testing.T) {
	rows := []struct{ name, banner, version, complaint string }{
		{"MySQL 9", "/usr/sbin/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "9.7.4-2", ""},
		{"MySQL 8.4", "/usr/local/mysql/bin/mysqld  Ver 8.4.3 for macos14 on arm64 (MySQL Community Server - GPL)", "8.4.3", ""},
		{"Percona Server", "/usr/sbin/mysqld  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)", "8.0.36-28", ""},
		{"the oldest that does", "mysqld  Ver 8.0.26 for Linux on x86_64", "8.0.26", ""},
		{"one too old", "mysqld  Ver 8.0.25 for Linux on x86_64", "", "8.0.26 or later"},
		{"an old series with a high number", "mysqld  Ver 5.7.44 for Linux on x86_64", "", "8.0.26 or later"},
		{"MariaDB", "mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", "", "MariaDB"},
		{"something else", "GNU bash, version 5.2", "", "does not report"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			binary, err := Find(pretend(t, t.TempDir(), row.banner))
			if row.complaint == "" {
				if err != nil || binary.Version != row.version {
					t.Errorf("version %q, %v; want %q", binary.Version, err, row.version)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.complaint) {
				t.Errorf("%v does not say %q", err, row.complaint)
			}
		})
	}
}

func TestTheFlagWinsOverTheEnvironmentAndThatOverThePath(t *testing.T) {
	dir := t.TempDir()
	flag := pretend(t, filepath.Join(dir, "flag"), "Ver 9.1.0 for Linux")
	env := pretend(t, filepath.Join(dir, "env"), "Ver 9.2.0 for Linux")
	path := pretend(t, filepath.Join(dir, "path"), "Ver 9.3.0 for Linux")
	t.Setenv("PRIMACY_MYSQLD", env)
	t.Setenv("PATH", filepath.Dir(path)+":"+os.Getenv("PATH"))
	expect := func(argument, want string) {
		t.Helper()
		if binary, err := Find(argument); err != nil || binary.Path != want {
			t.Errorf("Find(%q) is %q, %v; want %q", argument, binary.Path, err, want)
		}
	}
	expect(flag, flag)
	expect("", env)
	t.Setenv("PRIMACY_MYSQLD", "")
	expect("", path)
}

func TestAServerOnThePathThatDoesNotSuitIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	maria := pretend(t, filepath.Join(dir, "maria"), "Ver 10.11.6-MariaDB")
	good := pretend(t, filepath.Join(dir, "good"), "Ver 8.4.3 for Linux")
	t.Setenv("PRIMACY_MYSQLD", "")
	t.Setenv("PATH", filepath.Dir(maria)+":"+filepath.Dir(good)+":"+os.Getenv("PATH"))
	if binary, err := Find(""); err != nil || binary.Path != good {
		t.Errorf("found %q, %v; want %q", binary.Path, err, good)
	}
}

func TestAChoiceThatDoesNotSuitIsNotReplacedByAnother(t *testing.T) {
	t.Setenv("PRIMACY_MYSQLD", filepath.Join(t.TempDir(), "absent"))
	if binary, err := Find(""); err == nil || !strings.Contains(err.Error(), "PRIMACY_MYSQLD") {
		t.Errorf("found %q, %v", binary.Path, err)
	}
}

func TestThePrivateCopyIsFoundAndItsAbsenceNamesTheRemedy(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("PRIMACY_MYSQLD", "")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("XDG_CACHE_HOME", cache)
	if elsewhere, err := Find(""); err == nil {
		t.Logf("this machine has a server of its own, %s, so the cache is not asked", elsewhere.Path)
		return
	} else if !strings.Contains(err.Error(), "make mysql") {
		t.Errorf("the error names no remedy: %v", err)
	}
	private := pretend(t, filepath.Join(cache, "primacy", "mysql", "current"), "Ver 9.7.4-2 for Linux")
	if binary, err := Find(""); err != nil || binary.Path != private {
		t.Errorf("found %q, %v; want %q", binary.Path, err, private)
	}
}
