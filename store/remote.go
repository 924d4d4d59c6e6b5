package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// dial reaches an etcd that runs elsewhere, and repeats until it answers, since etcd and Primacy are often started
// together. A refusal, as of a wrong password, is reported at once.
func (s *Store) dial(ctx context.Context) error {
	for {
		err := s.dialOnce(ctx)
		switch {
		case err == nil:
			s.leases = pb.NewLeaseClient(s.client.ActiveConnection())
			return nil
		case !unavailable(err):
			return s.explain("open the store", err)
		case !pause(ctx, retryPause):
			return s.unreachable(ctx, err)
		}
	}
}

func (s *Store) dialOnce(ctx context.Context) error {
	patience := s.settings.ReadyTimeout / 3
	client, err := clientv3.New(s.clientConfig(patience))
	if err != nil {
		return err
	}
	s.client = client
	if err := attempt(ctx, patience, s.probe); err != nil {
		return errors.Join(err, closeClient(client))
	}
	return nil
}

func (s *Store) clientConfig(patience time.Duration) clientv3.Config {
	return clientv3.Config{
		Endpoints: s.settings.Endpoints,
		// The connection is watched, so that one into nowhere is given up. gRPC allows no shorter interval.
		DialKeepAliveTime:    10 * time.Second,
		DialKeepAliveTimeout: time.Second,
		DialTimeout:          patience,
		TLS:                  s.settings.TLS,
		Username:             s.settings.User,
		Password:             s.settings.Password,
		// Whatever goes wrong here is also returned as an error, which says more.
		Logger: etcdLogger(s.log, slog.LevelDebug),
	}
}

func closeClient(client *clientv3.Client) error {
	if err := client.Close(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// unreachable asks each endpoint by itself, so that the message tells the one with a typing error from the one that
// is down.
func (s *Store) unreachable(ctx context.Context, err error) error {
	var said []string
	for _, endpoint := range s.settings.Endpoints {
		said = append(said, endpoint+": "+s.ask(context.WithoutCancel(ctx), endpoint))
	}
	return fmt.Errorf("open the store: %w: no etcd quorum within %s (%s): %w",
		ErrUnavailable, s.settings.ReadyTimeout, strings.Join(said, "; "), err)
}

func (s *Store) ask(ctx context.Context, endpoint string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	network, address := "tcp", endpoint
	if scheme, rest, ok := strings.Cut(endpoint, "://"); ok {
		address = rest
		if strings.HasPrefix(scheme, "unix") {
			network = "unix"
		}
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err.Error()
	}
	conn.Close()
	return "accepts connections, but does not answer as a member of an etcd with a quorum"
}
