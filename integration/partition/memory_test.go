//go:build linux

package partition

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// member is one of the three of the etcd that all electors share.
type member struct {
	Name, Dir, Clients, Peers, Cluster string
}

const memberVariable = "PRIMACY_PARTITION_MEMBER"

// playMember is a process that is nothing but a member of etcd.
func playMember() error {
	var m member
	if err := json.Unmarshal([]byte(os.Getenv(memberVariable)), &m); err != nil {
		return err
	}
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Name, config.Dir, config.InitialCluster, config.UnsafeNoFsync = m.Name, m.Dir, m.Cluster, true
	clients, err := url.Parse(m.Clients)
	if err != nil {
		return err
	}
	peers, err := url.Parse(m.Peers)
	if err != nil {
		return err
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = []url.URL{*clients}, []url.URL{*clients}
	config.ListenPeerUrls, config.AdvertisePeerUrls = []url.URL{*peers}, []url.URL{*peers}
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	return <-etcd.Err() // it is killed
}

// memory is an etcd with each member on a host of its own.
type memory struct {
	hosts     []*host
	processes []*exec.Cmd
	endpoints []string
}

const membersOfMemory = 3

func startMemory(ctx context.Context, n *network, dir string) (*memory, error) {
	m := &memory{}
	var members []member
	var cluster []string
	for i := range membersOfMemory {
		name := fmt.Sprintf("store-%d", i+1)
		h, err := n.attach(name, 1, false)
		if err != nil {
			return m, err
		}
		m.hosts = append(m.hosts, h)
		one := member{Name: name, Dir: filepath.Join(dir, name), Clients: "http://" + h.address(1) + ":2379", Peers: "http://" + h.address(1) + ":2380"}
		m.endpoints = append(m.endpoints, one.Clients)
		members, cluster = append(members, one), append(cluster, name+"="+one.Peers)
	}
	for i, one := range members {
		one.Cluster = strings.Join(cluster, ",")
		if err := m.start(m.hosts[i], one); err != nil {
			return m, err
		}
	}
	return m, m.answers(ctx)
}

func (m *memory) start(h *host, one member) error {
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"=etcd", memberVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := h.start(cmd); err != nil {
		return err
	}
	m.processes = append(m.processes, cmd)
	return nil
}

// answers waits until a majority agrees that nothing is written yet.
func (m *memory) answers(ctx context.Context) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: m.endpoints, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	return await(ctx, "etcd to answer", func(ctx context.Context) bool {
		_, err := client.Get(ctx, "/")
		return err == nil
	})
}

// all are the networks of all members.
func (m *memory) all() []string {
	var all []string
	for _, h := range m.hosts {
		all = append(all, h.subnet)
	}
	return all
}

func (m *memory) close() {
	for _, p := range m.processes {
		_ = p.Process.Kill()
		_ = p.Wait() // it was killed
	}
}
