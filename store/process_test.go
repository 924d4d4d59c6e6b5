package store

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/primacydb/primacy/internal/porttest"
)

// The test binary also plays the other processes of a test, by this variable's value.
const roleVariable = "PRIMACY_STORE_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func() error{
		"etcd": playEtcd, "elector": playElector, "member": playMember, "peer": playPeer, "present": playPresent,
	}
	if play := roles[os.Getenv(roleVariable)]; play != nil {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(cmp.Or(m.Run(), left()))
}

// left says aloud which goroutines outlive the tests. A connection between members that was idle when etcd stopped may
// do so for the five seconds after which etcd gives up reading from it.
func left() (code int) {
	limit := time.Now().Add(7 * time.Second)
	for {
		err := goleak.Find()
		if err == nil {
			return 0
		}
		if time.Now().After(limit) {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

// ready tells the parent, and then waits to be killed or orphaned.
func ready() error {
	fmt.Println("ready")
	_, err := bufio.NewReader(os.Stdin).ReadByte()
	return err
}

// playEtcd is a plain etcd with ports, as somebody else would run it.
func playEtcd() error {
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Name, config.Dir, config.InitialCluster = os.Getenv("NAME"), os.Getenv("DIR"), os.Getenv("CLUSTER")
	client, peer := parse(os.Getenv("CLIENT")), parse(os.Getenv("PEER"))
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	if dir := os.Getenv("TLS"); dir != "" {
		config.ClientTLSInfo = transport.TLSInfo{
			CertFile: dir + "/etcd.crt", KeyFile: dir + "/etcd.key", TrustedCAFile: dir + "/ca.crt", ClientCertAuth: true,
		}
	}
	config.UnsafeNoFsync = os.Getenv("NAME") != "default" // three members on one disk are no test of that disk
	config.BcryptCost = 4                                 // the least that there is; hashing is slow by design, and slower under the race detector
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	<-etcd.Server.ReadyNotify()
	return ready()
}

func parse(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return []url.URL{*parsed}
}

// playElector holds a lock until it is killed.
func playElector() error {
	s, err := Open(context.Background(), Settings{
		Endpoints: []string{os.Getenv("CLIENT")}, Elector: "elector-child", LeaseTTL: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	if _, err := s.Acquire(context.Background(), "shop"); err != nil {
		return err
	}
	return ready()
}

// playPresent tells of itself and holds a lock until it is killed.
func playPresent() error {
	s, err := Open(context.Background(), Settings{
		Endpoints: []string{os.Getenv("CLIENT")}, Elector: "elector-child", LeaseTTL: 2 * time.Second,
	})
	if err != nil {
		return err
	}
	c := s.Company()
	c.Announce("about", []byte("child"))
	for len(c.Present().Electors) < 2 {
		if !pause(s.ctx, retryPause) {
			return s.ctx.Err()
		}
	}
	if _, err := s.Acquire(context.Background(), "shop"); err != nil {
		return err
	}
	return ready()
}

// playMember writes into an embedded etcd and is killed.
func playMember() error {
	s, err := Open(context.Background(), Settings{Dir: os.Getenv("DIR")})
	if err != nil {
		return err
	}
	lease, err := s.Acquire(context.Background(), "shop")
	if err != nil {
		return err
	}
	_, err = lease.NextTerm(context.Background(), 41)
	err = errors.Join(err, lease.Put(context.Background(), Document{Key: "operations/shop/1", Value: []byte("intent")}))
	if err != nil {
		return err
	}
	return ready()
}

// playPeer is one of three embedded members, and holds a lock until it is killed.
func playPeer() error {
	s, err := Open(context.Background(), Settings{
		Dir: os.Getenv("DIR"), Name: os.Getenv("NAME"), InitialCluster: os.Getenv("CLUSTER"),
	})
	if err != nil {
		return err
	}
	if _, err := s.Acquire(context.Background(), "of "+os.Getenv("NAME")); err != nil {
		return err
	}
	return ready()
}

// process is another process that a test kills, freezes and starts again.
type process struct {
	t    testing.TB
	env  []string
	cmd  *exec.Cmd
	kept *os.File
}

func startProcess(t testing.TB, role string, env ...string) *process {
	t.Helper()
	p := &process{t: t, env: append(env, roleVariable+"="+role)}
	p.start()
	t.Cleanup(p.kill)
	return p
}

func (p *process) start() { p.launch().awaitReady() }

func (p *process) launch() *announcement {
	p.t.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe() // closes when the test process ends, and the child with it
	must(p.t, err)
	p.kept, _ = stdin.(*os.File)
	stdout, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	return &announcement{p.t, bufio.NewReader(stdout)}
}

type announcement struct {
	t    testing.TB
	from *bufio.Reader
}

func (a *announcement) awaitReady() {
	a.t.Helper()
	if line, err := a.from.ReadString('\n'); line != "ready\n" {
		a.t.Fatalf("the other process did not start: %q, %v", line, err)
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// etcdProcess is an etcd that outlives its process: restarted, it has the same data and address.
type etcdProcess struct {
	*process
	endpoint string
	dir      string
}

func startEtcdProcess(t testing.TB) etcdProcess { return startEtcdAt(t, freeURL(t)) }

func startEtcdAt(t testing.TB, client string, env ...string) etcdProcess {
	t.Helper()
	peer, dir := freeURL(t), t.TempDir()
	env = append(env, "NAME=default", "DIR="+dir, "CLIENT="+client, "PEER="+peer, "CLUSTER=default="+peer)
	return etcdProcess{startProcess(t, "etcd", env...), client, dir}
}

// backUp copies all that etcd has, and says where to.
func (p etcdProcess) backUp() string {
	p.t.Helper()
	backup := filepath.Join(p.t.TempDir(), "backup")
	p.kill()
	must(p.t, os.CopyFS(backup, os.DirFS(p.dir)))
	p.start()
	return backup
}

// restore takes etcd back to what a backup says, its count of revisions too.
func (p etcdProcess) restore(backup string) {
	p.t.Helper()
	p.kill()
	must(p.t, os.RemoveAll(p.dir))
	must(p.t, os.CopyFS(p.dir, os.DirFS(backup)))
	p.start()
}

func startThreeEtcds(t testing.TB) []etcdProcess {
	t.Helper()
	var etcds []etcdProcess
	var cluster []string
	for i := range 3 {
		peer := freeURL(t)
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peer))
		p := &process{t: t, env: []string{roleVariable + "=etcd", "PEER=" + peer}}
		etcds = append(etcds, etcdProcess{p, freeURL(t), t.TempDir()})
	}
	var announced []*announcement
	for i, e := range etcds {
		e.env = append(e.env, fmt.Sprintf("NAME=m%d", i), "DIR="+e.dir, "CLIENT="+e.endpoint, "CLUSTER="+strings.Join(cluster, ","))
		announced = append(announced, e.launch())
		t.Cleanup(e.kill)
	}
	for _, a := range announced {
		a.awaitReady()
	}
	return etcds
}

func freeURL(t testing.TB) string { return "http://" + freeAddress(t) }

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := porttest.Free()
	must(t, err)
	return address
}

// open opens a store that is closed, and whose goroutines have ended, when the test ends.
func open(t testing.TB, settings Settings) *Store {
	t.Helper()
	settings.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := Open(t.Context(), settings)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustFail(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func acquire(t testing.TB, s *Store, name string) *Lease {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context()) // it lives as long as the lease
	defer time.AfterFunc(20*time.Second, cancel).Stop()
	l, err := s.Acquire(ctx, name)
	must(t, err)
	return l
}

func awaitDone(t testing.TB, l *Lease, atMost time.Duration) {
	t.Helper()
	select {
	case <-l.Context().Done():
	case <-time.After(atMost):
		t.Fatalf("the lease was not lost within %s", atMost)
	}
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("it never happened: %s", what)
		}
	}
}

func value(t testing.TB, s *Store, key string) string {
	t.Helper()
	doc, ok, err := s.Get(t.Context(), key)
	must(t, err)
	if !ok {
		return ""
	}
	return string(doc.Value)
}

func doc(key, text string) Document { return Document{Key: key, Value: []byte(text)} }

// eachEtcd runs a test against an embedded etcd and against one in a process of its own.
func eachEtcd(t *testing.T, test func(t *testing.T, settings Settings)) {
	t.Run("embedded", func(t *testing.T) { test(t, Settings{Dir: t.TempDir()}) })
	t.Run("in another process", func(t *testing.T) {
		test(t, Settings{Endpoints: []string{startEtcdProcess(t).endpoint}})
	})
}
