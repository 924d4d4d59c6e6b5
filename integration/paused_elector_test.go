package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"

	"github.com/primacydb/primacy/internal/porttest"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// An elector that is stopped in the middle of a change, right before it tells the servers something, and
// wakes up when another one has long made its own: it had asked for its lock, the answer was yes, and
// its next act is the command. Only the servers can refuse it.
func TestElectorThatWakesUpAfterItsSuccessorActedChangesNothing(t *testing.T) {
	c := bare(t, 3, 1)
	etcd := startEtcd(t)
	elector := 0
	c.tune = func(b *blueprint) {
		elector++
		b.Antiflap.FleetChangesMax = 1000
		b.StoreDir, b.Etcd, b.Elector = "", etcd, fmt.Sprintf("elector-%d", elector)
	}
	for _, row := range []struct {
		step string
		kind reparent.Kind
	}{
		{"revoking", reparent.KindEmergency}, {"marking", reparent.KindEmergency}, {"opening", reparent.KindEmergency},
		{"demoting", reparent.KindPlanned}, {"marking", reparent.KindPlanned},
	} {
		t.Run(fmt.Sprintf("%s change, before %s", row.kind, row.step), func(t *testing.T) {
			c := c.in(t)
			sleeper := c.startProcess(death{pausedBefore, row.step})
			old := c.awaitCalm().Primary
			client := c.write(2)
			c.awaitAcks(client, 20)
			c.upset(row.kind, old)
			c.eventually("the elector stopped in the middle of the change", sleeper.isPaused)
			c.startProcess(death{})
			c.await("a primary that serves", func(v orchestrator.View) bool {
				return v.Leading && serves(v) && (row.kind == reparent.KindPlanned || v.Primary != old)
			})
			c.awaitAcks(client, 20)
			before := c.view()
			sleeper.wake(t)
			c.awaitAcks(client, 20)
			if row.kind == reparent.KindEmergency {
				c.bringBack(old)
			}
			sleeper.finish(t)
			c.awaitAcks(client, 20)
			if v := c.view(); v.Primary != before.Primary || v.Term != before.Term {
				t.Errorf("%s led under term %d, and after the other elector woke up %s leads under term %d", before.Primary, before.Term, v.Primary, v.Term)
			}
			c.acknowledge()
			c.undisturbed(client)
		})
	}
}

// upset brings a change of that kind about.
func (c *cluster) upset(kind reparent.Kind, primary topology.Address) {
	c.t.Helper()
	if kind == reparent.KindEmergency {
		c.kill(primary)
		return
	}
	if _, err := c.control.reparent(orchestrator.Wish{Kind: kind, By: "the test"}); err != nil {
		c.t.Fatal(err)
	}
}

func (p *process) isPaused() bool {
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(p.cmd.Process.Pid)).Output()
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(state)), "T")
}

// wake lets a paused process go on, and returns when it answers again.
func (p *process) wake(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := p.view(); err != nil {
		t.Fatal(err)
	}
}

// finish waits until the process no longer runs a change, and ends it.
func (p *process) finish(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		v, err := p.view()
		if err != nil {
			t.Fatal(err)
		}
		if v.Running == nil {
			tick.Stop()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the elector that woke up still runs %s", v.Running.ID)
		}
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// startEtcd runs an etcd in a process of its own, for control planes that share one.
func startEtcd(t *testing.T) []string {
	t.Helper()
	p := startRole(t, "etcd")
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := io.WriteString(p.input, t.TempDir()+"\n"); err != nil {
		t.Fatal(err)
	}
	address, err := p.output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(address)[:1]
}

// playEtcd reads its directory, and the addresses for clients and peers that it had before, if any. It writes these, and ends
// with its input.
func playEtcd(input io.Reader, output io.Writer) error {
	lines := bufio.NewReader(input)
	line, err := lines.ReadString('\n')
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Dir, config.UnsafeNoFsync = words[0], true
	wal.SegmentSizeBytes = 1 << 20 // which is copied in a moment
	client, peer := freeURL(), freeURL()
	if len(words) == 3 {
		client, peer = parsedURL(words[1]), parsedURL(words[2])
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	<-etcd.Server.ReadyNotify()
	if _, err := fmt.Fprintln(output, client[0].String(), peer[0].String()); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, lines)
	etcd.Close()
	return nil
}

func parsedURL(text string) []url.URL {
	u, err := url.Parse(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return []url.URL{*u}
}

// freeURL is an address of this machine that nobody uses.
func freeURL() []url.URL {
	address, err := porttest.Free()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return []url.URL{{Scheme: "http", Host: address}}
}
