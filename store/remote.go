package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
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
		DialOptions:          s.settings.asNamed(),
		Username:             s.settings.User,
		Password:             s.settings.Password,
		// Whatever goes wrong here is also returned as an error, which says more.
		Logger: etcdLogger(s.log, slog.LevelDebug),
	}
}

// asNamed has the certificate checked for the name that is set, and not for the endpoint's host: etcd's client takes
// the name from nowhere else.
func (s Settings) asNamed() []grpc.DialOption {
	if s.TLS == nil || s.TLS.ServerName == "" {
		return nil
	}
	return []grpc.DialOption{grpc.WithAuthority(s.TLS.ServerName)}
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
	scheme, address, found := strings.Cut(endpoint, "://")
	if !found {
		scheme, address = "", endpoint
	}
	conn, err := dialAs(ctx, scheme, address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	end, _ := ctx.Deadline()
	_ = conn.SetDeadline(end) // a connection that takes none fails at the first read
	encrypted := scheme == "https" || scheme == "unixs" || scheme == "" && s.settings.TLS != nil
	if !encrypted {
		return inClearText(conn)
	}
	return s.inSecret(ctx, conn, address)
}

func dialAs(ctx context.Context, scheme, address string) (net.Conn, error) {
	network := "tcp"
	if strings.HasPrefix(scheme, "unix") {
		network = "unix"
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// silent is what is left to say of an endpoint with which nothing is wrong but that it does not answer.
const silent = "accepts connections, but does not answer as a member of an etcd with a quorum"

// greeting opens HTTP/2 with empty settings. What speaks it answers with its own, and what expects TLS hangs up.
const greeting = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"

func inClearText(conn net.Conn) string {
	_, err := conn.Write([]byte(greeting))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Sprintf("hangs up on clear text (%v); if it expects TLS, write the endpoint with https://", err)
	}
	return silent
}

// inSecret shakes hands as etcd's client does, which keeps to itself why it fails. With TLS 1.3 a refusal of our own
// certificate comes with the first read.
func (s *Store) inSecret(ctx context.Context, conn net.Conn, address string) string {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.settings.TLS != nil {
		config = s.settings.TLS.Clone()
	}
	host, _, err := net.SplitHostPort(address)
	if config.ServerName == "" && err == nil {
		config.ServerName = host
	}
	config.NextProtos = []string{"h2"}
	secret := tls.Client(conn, config)
	if err := secret.HandshakeContext(ctx); err != nil {
		return misfit(err)
	}
	if _, err := secret.Read(make([]byte, 1)); err != nil {
		return misfit(err)
	}
	return silent
}

// misfit says which setting a failed handshake is about.
func misfit(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var refusal *net.OpError
	var plain tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("%v; name the authority that signed it in ca_file of the store's tls", err)
	case errors.As(err, &name):
		return fmt.Sprintf("%v; set server_name of the store's tls to a name that is in it", err)
	case errors.As(err, &plain), errors.Is(err, io.EOF):
		return fmt.Sprintf("hangs up on TLS (%v); if it speaks clear text, write the endpoint with http://", err)
	case errors.As(err, &refusal) && refusal.Op == "remote error":
		return fmt.Sprintf("refuses our certificate: %v; set cert_file and key_file of the store's tls to one that etcd's own authority has signed", err)
	}
	return fmt.Sprintf("%s (%v)", silent, err)
}
