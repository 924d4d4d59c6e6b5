package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// memory is the etcd that all electors share, and a reader of what they keep there, past all of them.
type memory struct {
	etcd    *embed.Etcd
	address string
	client  *clientv3.Client
}

func startMemory(ctx context.Context, dir string) (*memory, error) {
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Dir, config.UnsafeNoFsync = dir, true
	clients, err := freeURL()
	if err != nil {
		return nil, err
	}
	peers, err := freeURL()
	if err != nil {
		return nil, err
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return &memory{etcd: etcd, address: clients[0].String(), client: v3client.New(etcd.Server)}, nil
	case <-ctx.Done():
		etcd.Close()
		return nil, ctx.Err()
	}
}

func (m *memory) close() {
	_ = m.client.Close() // it has no connection of its own, and says that it was cancelled
	m.etcd.Close()
}

func freeURL() ([]url.URL, error) {
	address, err := freeAddress()
	return []url.URL{{Scheme: "http", Host: address}}, err
}

// freeAddress is one of this machine that nobody uses.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// books are everything that is on record of the cluster.
type books struct {
	Recoveries []reparent.Operation // by term
	History    topology.History
	Running    string
	Antiflap   antiflap.Cluster
	Brake      antiflap.Fleet
	Ruleset    topology.Ruleset
}

// document is the shape of the documents, as far as it is looked at.
type document struct {
	Operation reparent.Operation `json:"operation"`
	History   topology.History   `json:"history"`
	Running   string             `json:"running"`
	Antiflap  antiflap.Cluster   `json:"antiflap"`
	Ruleset   topology.Ruleset   `json:"ruleset"`
	antiflap.Fleet
}

// documents is where electors keep what they remember.
const documents = "/primacy/v1/documents/"

func (m *memory) read(ctx context.Context) (books, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := m.client.Get(ctx, documents, clientv3.WithPrefix())
	if err != nil {
		return books{}, fmt.Errorf("read what is on record: %w", err)
	}
	var b books
	for _, kv := range reply.Kvs {
		if err := b.enter(strings.TrimPrefix(string(kv.Key), documents), kv.Value); err != nil {
			return b, err
		}
	}
	return b, nil
}

func (b *books) enter(key string, value []byte) error {
	var w document
	if err := json.Unmarshal(value, &w); err != nil {
		return fmt.Errorf("read document %s: %w", key, err)
	}
	switch {
	case strings.HasPrefix(key, "recoveries/"):
		b.Recoveries = append(b.Recoveries, w.Operation)
	case strings.HasSuffix(key, "/lineage"):
		b.History, b.Running = w.History, w.Running
	case strings.HasSuffix(key, "/record"):
		b.Antiflap, b.Ruleset = w.Antiflap, w.Ruleset
	case key == "fleet/antiflap":
		b.Brake = w.Fleet
	}
	return nil
}

// since are the recoveries that are not in earlier books.
func (b books) since(earlier books) []reparent.Operation {
	known := map[string]bool{}
	for _, op := range earlier.Recoveries {
		known[op.ID] = true
	}
	var fresh []reparent.Operation
	for _, op := range b.Recoveries {
		if !known[op.ID] {
			fresh = append(fresh, op)
		}
	}
	return fresh
}

// windows is how many anti-flapping windows were opened since the first one of late.
func (b books) windows() int {
	if b.Antiflap.Opened.IsZero() {
		return 0
	}
	return b.Antiflap.Repeats + 1
}

// braked is how many automatic changes the fleet's brake has counted.
func (b books) braked(since time.Time) int {
	count := 0
	for _, c := range b.Brake.Changes {
		if !c.At.Before(since) {
			count++
		}
	}
	return count
}
