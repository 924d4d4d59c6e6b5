package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/topology"
)

// remember is an etcd with everything that a real one does, disk included.
func (p part) remember(ctx context.Context, tell *json.Encoder) error {
	config := embed.NewConfig()
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.Dir = p.Dir
	clients, err := freeURL()
	if err != nil {
		return err
	}
	peers, err := freeURL()
	if err != nil {
		return err
	}
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer etcd.Close()
	select {
	case <-etcd.Server.ReadyNotify():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := tell.Encode(report{At: time.Now(), Endpoint: clients[0].String()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func freeURL() ([]url.URL, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	return []url.URL{{Scheme: "http", Host: listener.Addr().String()}}, nil
}

// documents is where electors keep what they remember.
const documents = "/primacy/v1/documents/clusters/"

// opsMax is how much etcd takes in one transaction.
const opsMax = 100

// adopted puts clusters on record as led by their first server since a day ago.
func adopted(ctx context.Context, etcd *clientv3.Client, clusters int) error {
	var ops []clientv3.Op
	for i := range clusters {
		more, err := newHousehold(nameOf(i)).documents()
		if err != nil {
			return err
		}
		if ops = append(ops, more...); len(ops) < opsMax && i < clusters-1 {
			continue
		}
		if _, err := etcd.Txn(ctx).Then(ops...).Commit(); err != nil {
			return fmt.Errorf("put the clusters on record: %w", err)
		}
		ops = nil
	}
	return nil
}

const clusterPrefix = "shop-"

func nameOf(i int) string { return fmt.Sprintf("%s%03d", clusterPrefix, i+1) }

// documents are the record and the lineage of a cluster, as electors write them.
func (h household) documents() (ops []clientv3.Op, err error) {
	type head struct {
		Version int    `json:"version"`
		Cluster string `json:"cluster"`
	}
	for name, value := range map[string]any{
		"record": struct {
			head
			Ruleset  topology.Ruleset `json:"ruleset"`
			Antiflap antiflap.Cluster `json:"antiflap"`
		}{head{1, h.name}, h.ruleset, antiflap.Cluster{}},
		"lineage": struct {
			head
			History topology.History `json:"history"`
		}{head{1, h.name}, h.history},
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		ops = append(ops, clientv3.OpPut(documents+h.name+"/"+name, string(text)))
	}
	return ops, nil
}
