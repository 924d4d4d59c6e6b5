package crowd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/store"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// The test binary also plays the other processes, by this variable's value.
const roleVariable = "PRIMACY_CROWD_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func() error{"etcd": playEtcd, "elector": playElector}
	play := roles[os.Getenv(roleVariable)]
	if play == nil {
		os.Exit(m.Run())
	}
	if err := play(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// orphaned ends when the parent has, or asks to.
func orphaned() <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		close(gone)
	}()
	return gone
}

func playEtcd() error {
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Dir, config.InitialCluster = os.Getenv("DIR"), "default="+os.Getenv("PEER")
	client, peer := parse(os.Getenv("CLIENT")), parse(os.Getenv("PEER"))
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	<-etcd.Server.ReadyNotify()
	fmt.Println("ready")
	<-orphaned()
	return nil
}

func parse(text string) []url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return []url.URL{*parsed}
}

// playElector runs the real loop on the real store, and says which clusters it begins and ceases to act for. Its
// servers are all well, and exist in its mind only.
func playElector() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	node := os.Getenv("NODE")
	s, err := store.Open(ctx, store.Settings{Endpoints: []string{os.Getenv("CLIENT")}, Elector: node, LeaseTTL: lease})
	if err != nil {
		return err
	}
	clusters, err := strconv.Atoi(os.Getenv("CLUSTERS"))
	if err != nil {
		return err
	}
	b := topologytest.Cluster("A", "B", "C").Acks(1)
	settings := orchestrator.Settings{
		Elector: node, Limits: topologytest.Limits, Antiflap: antiflap.Defaults(), Automation: true, ProbeInterval: time.Second,
		Company: s.Company().Seam(), TenureMin: tenure,
	}
	for _, name := range names(clusters) {
		settings.Clusters = append(settings.Clusters, orchestrator.ClusterSettings{Name: name, Ruleset: b.Ruleset()})
	}
	o := orchestrator.New(settings, wellFleet{b.Snapshot().Servers}, s.Seam(), orchestrator.NewStream(nil, tell))
	go func() { <-orphaned(); stop() }()
	fmt.Println("ready")
	o.Run(ctx)
	return s.Close()
}

func tell(e orchestrator.Event) {
	if e.Kind == orchestrator.EventLeading || e.Kind == orchestrator.EventNotLeading {
		fmt.Println(e.Kind, e.Cluster, e.At.UnixNano())
	}
}

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("shop-%03d", i))
	}
	return all
}

// wellFleet is a fleet whose servers are well and stay as they are.
type wellFleet struct{ servers []topology.Observation }

func (wellFleet) Watch(string, []topology.Address) {}

func (f wellFleet) Observe(context.Context, string) []topology.Observation {
	all := slices.Clone(f.servers)
	for i := range all {
		all[i].At = time.Now()
	}
	return all
}

func (wellFleet) Signals(func(orchestrator.Signal)) {}

func (wellFleet) Do(_ context.Context, batch orchestrator.Batch) []reparent.Result {
	return make([]reparent.Result, len(batch.Commands))
}

func (wellFleet) Journal(context.Context, topology.Address) ([]topology.Decision, error) {
	return nil, nil
}

func (f wellFleet) Probe(_ context.Context, a topology.Address) topology.Observation {
	return topology.Snapshot{Servers: f.servers}.Server(a)
}

// process is another process, with what it says.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{}

	mu    sync.Mutex
	since map[string]time.Time // which clusters it acts for, and since when
	began int                  // how often it began to
}

func startProcess(t *testing.T, role string, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), ready: make(chan struct{}), since: map[string]time.Time{}}
	p.cmd.Env = append(append(os.Environ(), env...), roleVariable+"="+role)
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe() // closes with the test, and ends the child
	must(t, err)
	stdout, err := p.cmd.StdoutPipe()
	must(t, err)
	must(t, p.cmd.Start())
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.hear(strings.Fields(lines.Text()))
		}
	}()
	t.Cleanup(func() {
		must(t, errors.Join(stdin.Close(), ignoreEnded(p.cmd.Process.Kill())))
		<-heard
		_ = p.cmd.Wait()
	})
	select {
	case <-p.ready:
	case <-time.After(30 * time.Second):
		t.Fatalf("the %s is not ready after half a minute", role)
	}
	return p
}

func ignoreEnded(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func (p *process) hear(words []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(words) == 1:
		close(p.ready)
	case words[0] == string(orchestrator.EventLeading):
		nanoseconds, _ := strconv.ParseInt(words[2], 10, 64)
		p.since[words[1]] = time.Unix(0, nanoseconds)
		p.began++
	default:
		delete(p.since, words[1])
	}
}

// acting is which clusters it acts for, and since when.
func (p *process) acting() map[string]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]time.Time, len(p.since))
	for name, at := range p.since {
		all[name] = at
	}
	return all
}

func (p *process) taken() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.began
}

func freeURL(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
