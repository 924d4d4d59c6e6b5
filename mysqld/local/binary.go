package local

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// VersionMin is the oldest server that Primacy works with: it brought the
// semi-sync variables and the SHOW REPLICA words that are used everywhere.
const VersionMin = "8.0.26"

// Binary is a mysqld program that can serve a fleet.
type Binary struct {
	Path    string // an executable that behaves as mysqld
	Version string // as it reports itself, "9.7.4-2"
}

var versionPattern = regexp.MustCompile(`Ver (\d+\.\d+\.\d+\S*)`)

// Find returns the mysqld to use: the one that flag names, else $PRIMACY_MYSQLD,
// else one on the PATH or in a usual directory, else the private copy that
// `make mysql` keeps in the user's cache. scripts/mysql.sh has the same order.
func Find(flag string) (Binary, error) {
	if flag != "" {
		return named(flag, "--mysqld")
	}
	if path := os.Getenv("PRIMACY_MYSQLD"); path != "" {
		return named(path, "PRIMACY_MYSQLD")
	}
	for _, path := range candidates() {
		if binary, err := inspect(path); err == nil && !confined(path) {
			return binary, nil
		}
	}
	return Binary{}, errors.New("no mysqld found: run \"make mysql\", which fetches a private copy without installing anything, " +
		"or install MySQL or Percona Server " + VersionMin + " or later, or name one with --mysqld or PRIMACY_MYSQLD")
}

// named does not look any further when the user's choice is unusable: running
// another server than the one that was asked for would surprise.
func named(path, origin string) (Binary, error) {
	binary, err := inspect(path)
	if err != nil {
		return Binary{}, fmt.Errorf("%s: %w", origin, err)
	}
	return binary, nil
}

func candidates() []string {
	dirs := append(filepath.SplitList(os.Getenv("PATH")),
		"/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin",
		"/usr/local/mysql/bin", "/opt/homebrew/opt/mysql/bin", "/usr/local/opt/mysql/bin")
	if cache, err := cacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "mysql", "current"))
	}
	var paths []string
	for _, dir := range dirs {
		paths = append(paths, filepath.Join(dir, "mysqld"))
	}
	return paths
}

// inspect asks the program itself, for a file called mysqld may well be MariaDB.
func inspect(path string) (Binary, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Binary{}, err
	}
	if stat, err := os.Stat(path); err != nil {
		return Binary{}, err
	} else if stat.IsDir() {
		return Binary{}, fmt.Errorf("%s is a directory; name the mysqld in it", path)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	banner, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return Binary{}, fmt.Errorf("%s --version: %w", path, err)
	}
	return recognise(path, banner)
}

func recognise(path string, banner []byte) (Binary, error) {
	if bytes.Contains(bytes.ToLower(banner), []byte("mariadb")) {
		return Binary{}, fmt.Errorf("%s is MariaDB, whose GTIDs and semi-sync replication are different ones; use MySQL or Percona Server", path)
	}
	match := versionPattern.FindSubmatch(banner)
	if match == nil {
		return Binary{}, fmt.Errorf("%s does not report a MySQL version", path)
	}
	version := string(match[1])
	if compareVersions(version, VersionMin) < 0 {
		return Binary{}, fmt.Errorf("%s is MySQL %s; Primacy needs %s or later", path, version, VersionMin)
	}
	return Binary{Path: path, Version: version}, nil
}

// confined tells whether AppArmor ties this server to /var/lib/mysql, as Ubuntu's
// own package does: it could not even read a data directory of ours.
func confined(path string) bool {
	if path != "/usr/sbin/mysqld" {
		return false
	}
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil || !strings.HasPrefix(string(enabled), "Y") {
		return false
	}
	_, err = os.Stat("/etc/apparmor.d/usr.sbin.mysqld")
	return err == nil
}

// compareVersions compares the first three numbers and nothing after them: build
// suffixes differ between vendors and mean no feature.
func compareVersions(a, b string) int {
	left, right := numbers(a), numbers(b)
	return cmp.Or(cmp.Compare(left[0], right[0]), cmp.Compare(left[1], right[1]), cmp.Compare(left[2], right[2]))
}

func numbers(version string) (out [3]int) {
	head, _, _ := strings.Cut(version, "-")
	for i, part := range strings.SplitN(head, ".", 3) {
		out[i], _ = strconv.Atoi(part)
	}
	return out
}

// cacheDir is where the private MySQL, templates and temporary fleets live. The
// script uses the same rule, which is why os.UserCacheDir does not serve: it
// answers differently on macOS.
func cacheDir() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "primacy"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for cached files: set HOME or XDG_CACHE_HOME: %w", err)
	}
	return filepath.Join(home, ".cache", "primacy"), nil
}
