package store

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/primacydb/primacy/internal/stopwatchtest"
)

// openFails opens a store that cannot be opened, and checks that the message says all of want.
func openFails(t *testing.T, settings Settings, want ...string) error {
	t.Helper()
	s, err := Open(t.Context(), settings)
	if err == nil {
		must(t, s.Close())
		t.Fatalf("opened, although the error should be about %q", want)
	}
	for _, part := range want {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not mention %q", err, part)
		}
	}
	return err
}

func TestSettingsThatContradictEachOtherAreRefused(t *testing.T) {
	t.Parallel()
	dir, endpoints := t.TempDir(), []string{"http://127.0.0.1:1"}
	three := "a=127.0.0.1:1,b=127.0.0.1:2,c=127.0.0.1:3"
	for _, c := range []struct {
		name     string
		settings Settings
		want     string
	}{
		{"nothing", Settings{}, "either dir"},
		{"both kinds of etcd", Settings{Dir: dir, Endpoints: endpoints}, "either dir"},
		{"a member's name beside endpoints", Settings{Endpoints: endpoints, Name: "a"}, "leave them out"},
		{"a name without a cluster", Settings{Dir: dir, Name: "a"}, "both name and initial_cluster"},
		{"a cluster without a name", Settings{Dir: dir, InitialCluster: three}, "both name and initial_cluster"},
		{"a user without a password", Settings{Endpoints: endpoints, User: "u"}, "both user and password"},
		{"TLS towards nobody", Settings{Dir: dir, TLS: &tls.Config{}}, "towards endpoints"},
		{"a lease shorter than etcd's clock can count", Settings{Dir: dir, LeaseTTL: time.Millisecond}, "at least 1s"},
		{"half of the peers' TLS", Settings{Dir: dir, Peer: PeerTLS{CertFile: "x"}}, "all three"},
		{"a stranger to its own cluster", Settings{Dir: dir, Name: "d", InitialCluster: three}, `"d" among them`},
		{"a cluster of two", Settings{Dir: dir, Name: "a", InitialCluster: "a=127.0.0.1:1,b=127.0.0.1:2"}, "at least three"},
		{"a peer without a name", Settings{Dir: dir, Name: "a", InitialCluster: "127.0.0.1:1"}, "name=host:port"},
		{"a peer without a port", Settings{Dir: dir, Name: "a", InitialCluster: "a=127.0.0.1"}, "missing port"},
		{"https without certificates", Settings{Dir: dir, Name: "a", InitialCluster: "a=https://127.0.0.1:1"}, "http"},
	} {
		t.Run(c.name, func(t *testing.T) { openFails(t, c.settings, c.want) })
	}
}

func TestADirectoryInUseNamesItsUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := startProcess(t, "member", "DIR="+dir)
	openFails(t, Settings{Dir: dir}, dir, fmt.Sprintf("in use by process %d", child.cmd.Process.Pid))
	child.kill()
	first, err := Open(t.Context(), Settings{Dir: dir})
	must(t, err)
	openFails(t, Settings{Dir: dir}, fmt.Sprintf("in use by process %d", os.Getpid()))
	must(t, first.Close())
	open(t, Settings{Dir: dir})
}

func TestADirectoryThatCannotBeMadeIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	openFails(t, Settings{Dir: filepath.Join(file, "dir")}, file)
}

func TestADamagedLogIsAnErrorAndNotTheEndOfTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), Settings{Dir: dir})
	must(t, err)
	must(t, s.Close())
	segments, err := filepath.Glob(filepath.Join(dir, "etcd", "member", "wal", "*.wal"))
	must(t, err)
	must(t, os.WriteFile(segments[0], []byte(strings.Repeat("not a log", 1000)), 0o600))

	// In a process of its own, since etcd leaves goroutines behind where it means to end the process.
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), roleVariable+"=member", "DIR="+dir)
	output, err := child.CombinedOutput()
	if want := "open the store: start etcd in " + dir; err == nil || !strings.HasPrefix(string(output), want) {
		t.Errorf("got %v and %q, want %q", err, output, want)
	}
}

func TestUnreachableEndpointsAreNamed(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	gone := freeURL(t)
	watch := stopwatchtest.Start(t)
	err := openFails(t, Settings{Endpoints: []string{gone}, ReadyTimeout: 500 * time.Millisecond}, gone, "connection refused")
	mustFail(t, err, ErrUnavailable)
	if took := watch.Took(); took > 3*time.Second {
		t.Errorf("it took %s to say so", took)
	}
	etcd.freeze()
	err = openFails(t, Settings{Endpoints: []string{gone, etcd.endpoint}, ReadyTimeout: time.Second}, gone, etcd.endpoint)
	mustFail(t, err, ErrUnavailable)
	etcd.thaw()
	open(t, Settings{Endpoints: []string{gone, etcd.endpoint}}) // one that answers is enough
}

func TestAnEtcdThatStartsLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	etcd.kill()
	opened := make(chan error)
	go func() {
		s, err := Open(t.Context(), Settings{Endpoints: []string{etcd.endpoint}, ReadyTimeout: 20 * time.Second})
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	etcd.start()
	must(t, <-opened)
}

func TestAnEtcdWithAuthenticationIsUsedAndItsRefusalsAreExplained(t *testing.T) {
	t.Parallel()
	etcd := startEtcdProcess(t)
	endpoints := []string{etcd.endpoint}
	enableAuthentication(t, etcd.endpoint)

	s := open(t, Settings{Endpoints: endpoints, User: "primacy", Password: "right", LeaseTTL: ttl})
	l := acquire(t, s, "shop")
	must(t, l.Put(t.Context(), doc("d", "x")))
	begun := time.Now()
	eventually(t, "the lock is kept alive", func() bool { return l.Deadline().After(begun.Add(2 * ttl)) })

	err := openFails(t, Settings{Endpoints: endpoints, User: "primacy", Password: "wr0ng-secret"}, `user "primacy"`, etcd.endpoint)
	if strings.Contains(err.Error(), "wr0ng-secret") {
		t.Errorf("the password is in the error: %v", err)
	}
	openFails(t, Settings{Endpoints: endpoints}, "set user and password")
	openFails(t, Settings{Endpoints: endpoints, User: "stranger", Password: "right"}, `grant user "stranger"`, root)
}

func enableAuthentication(t *testing.T, endpoint string) {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}})
	must(t, err)
	defer c.Close()
	ctx := t.Context()
	for _, user := range [][2]string{{"root", "r"}, {"primacy", "right"}, {"stranger", "right"}} {
		_, err = c.UserAdd(ctx, user[0], user[1])
		must(t, err)
	}
	_, err = c.RoleAdd(ctx, "primacy")
	must(t, err)
	_, err = c.RoleGrantPermission(ctx, "primacy", root, clientv3.GetPrefixRangeEnd(root), clientv3.PermissionType(clientv3.PermReadWrite))
	must(t, err)
	_, err = c.RoleAdd(ctx, "root")
	must(t, err)
	_, err = c.UserGrantRole(ctx, "primacy", "primacy")
	must(t, err)
	_, err = c.UserGrantRole(ctx, "root", "root")
	must(t, err)
	_, err = c.AuthEnable(ctx)
	must(t, err)
}

func TestThreeEmbeddedMembersShareOneStore(t *testing.T) {
	t.Parallel()
	stores, settings := openThreeMembers(t)
	l := acquire(t, stores[0], "shop")
	must(t, l.Put(t.Context(), doc("d", "x")))
	for i, s := range stores {
		if got := value(t, s, "d"); got != "x" {
			t.Errorf("member %d reads %q", i, got)
		}
	}

	must(t, stores[2].Close())
	must(t, l.Put(t.Context(), doc("d", "two of three")))
	must(t, stores[1].Close())
	awaitDone(t, l, 10*time.Second)
	mustFail(t, stores[0].Ready(t.Context()), ErrUnavailable)
	watch := stopwatchtest.Start(t)
	must(t, stores[0].Close())
	if took := watch.Took(); took > 10*time.Second {
		t.Errorf("closing without a quorum took %s", took)
	}

	single := Settings{Dir: settings[0].Dir, ReadyTimeout: time.Second}
	openFails(t, single, "etcd of 3 member", "empty directory")
	settings[0].ReadyTimeout = time.Second
	openFails(t, settings[0], "quorum", settings[0].InitialCluster)
}

func TestASingleMemberDoesNotBecomeOneOfThreeUnnoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(t.Context(), Settings{Dir: dir})
	must(t, err)
	must(t, s.Close())
	openFails(t, Settings{Dir: dir, Name: "a", InitialCluster: threeAddresses(t)}, "etcd of 1 member", "empty directory")
}

func threeAddresses(t *testing.T) string {
	return "a=" + freeAddress(t) + ",b=" + freeAddress(t) + ",c=" + freeAddress(t)
}

func openThreeMembers(t *testing.T) ([]*Store, []Settings) {
	t.Helper()
	stores, settings := make([]*Store, 3), make([]Settings, 3)
	cluster := threeAddresses(t)
	opened := make(chan error)
	for i, name := range []string{"a", "b", "c"} {
		settings[i] = Settings{Dir: t.TempDir(), Name: name, InitialCluster: cluster, LeaseTTL: ttl}
		go func() {
			var err error
			stores[i], err = Open(t.Context(), settings[i])
			opened <- err
		}()
	}
	for range stores {
		must(t, <-opened)
	}
	return stores, settings
}

func TestADataDirectoryStaysSmall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, Settings{Dir: dir})
	l := acquire(t, s, "shop")
	for i := range 100 {
		must(t, l.Put(t.Context(), doc(fmt.Sprint("d/", i%10), strings.Repeat("x", 1000))))
	}
	var bytes int64
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if info, _ := entry.Info(); err == nil && info != nil {
			bytes += info.Size()
		}
		return err
	}))
	if t.Logf("%d MB", bytes>>20); bytes > 40<<20 {
		t.Errorf("the directory takes %d MB", bytes>>20)
	}
}

func TestEtcdsLogReachesOursQuietly(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	s, err := Open(t.Context(), Settings{Dir: t.TempDir(), Log: log})
	must(t, err)
	must(t, s.Close())
	if text.Len() > 0 {
		t.Errorf("an uneventful life made noise:\n%s", text.String())
	}
	etcdLogger(log, slog.LevelError).Warn("slow fdatasync")
	if want := `level=WARN msg="slow fdatasync" component=etcd`; !strings.Contains(text.String(), want) {
		t.Errorf("a warning of etcd was lost: %q", text.String())
	}
}
