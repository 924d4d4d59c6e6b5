package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/adapter"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

const (
	// alone is the name, and the address that nobody dials, of a member that has no peers.
	alone        = "primacy"
	aloneAddress = "127.0.0.1:2380"

	// Among peers an election comes after 300 to 600 ms without a leader. It has to be over before the sessions of the
	// electors that live run out, and is a part of the time in which nobody acts for a dead one's clusters.
	tickMs, electionMs = 30, 300

	quotaBytes   = 512 << 20
	segmentBytes = 8 << 20
)

// member is an etcd server in this process. It opens no port to clients: the store calls it directly.
type member struct {
	etcd *embed.Etcd
	dir  *directory
}

// smallSegments keeps the write-ahead log from reserving 64 MB twice for a few kilobytes of state. etcd offers no
// other way to say so than this variable of its own.
var smallSegments = sync.OnceFunc(func() { wal.SegmentSizeBytes = segmentBytes })

func (s *Store) startMember() error {
	config, err := s.memberConfig()
	if err != nil {
		return err
	}
	dir, err := occupy(s.settings.Dir)
	if err != nil {
		return err
	}
	smallSegments()
	etcd, err := startEtcd(config)
	if err != nil {
		return errors.Join(fmt.Errorf("open the store: start etcd in %s: %w", s.settings.Dir, err), dir.leave())
	}
	s.member = &member{etcd: etcd, dir: dir}
	return nil
}

// startEtcd returns as an error what etcd treats as fatal, as a damaged log.
func startEtcd(config *embed.Config) (etcd *embed.Etcd, err error) {
	defer func() {
		if fatal := recover(); fatal != nil {
			err = fmt.Errorf("%v; the log above says more", fatal)
		}
	}()
	return embed.StartEtcd(config)
}

// joinMember waits for the quorum and connects the store to its member.
func (s *Store) joinMember(ctx context.Context) error {
	server := s.member.etcd.Server
	select {
	case <-server.ReadyNotify():
	case err := <-s.member.etcd.Err():
		return fmt.Errorf("open the store: etcd in %s: %w", s.settings.Dir, err)
	case <-server.StopNotify():
		return fmt.Errorf("open the store: etcd in %s stopped; was this member removed from its cluster?", s.settings.Dir)
	case <-ctx.Done():
		return cmp.Or(s.sameMembers(), s.noQuorum(ctx.Err()))
	}
	if err := s.sameMembers(); err != nil {
		return err
	}
	s.client = v3client.New(server)
	s.leases = adapter.LeaseServerToLeaseClient(v3rpc.NewQuotaLeaseServer(server))
	err := s.insist(ctx, "open the store", s.forgetOwnLocks)
	if err != nil {
		return errors.Join(err, closeClient(s.client))
	}
	return nil
}

func (s *Store) noQuorum(err error) error {
	if s.settings.InitialCluster == "" {
		return fmt.Errorf("open the store: %w: etcd in %s was not ready: %w", ErrUnavailable, s.settings.Dir, err)
	}
	return fmt.Errorf("open the store: %w: etcd member %q found no quorum within %s; more than half of %s must run and reach each other: %w",
		ErrUnavailable, s.settings.Name, s.settings.ReadyTimeout, s.settings.InitialCluster, err)
}

// sameMembers refuses a directory that knows another kind of cluster than the settings ask for. etcd would follow the
// directory, and three electors that were single before would each go on alone, each with a quorum of one.
func (s *Store) sameMembers() error {
	known := len(s.member.etcd.Server.Cluster().Members())
	if (known > 1) == (s.settings.InitialCluster != "") {
		return nil
	}
	return fmt.Errorf("open the store: %s holds an etcd of %d member(s), which is not what initial_cluster %q says; "+
		"restore the setting, or use an empty directory (terms go on from what the servers have seen)",
		s.settings.Dir, known, s.settings.InitialCluster)
}

// forgetOwnLocks removes the locks that an earlier process left behind: a member without peers has no other users,
// and the directory's lock shows that the earlier process is gone. A restart then need not wait for its leases.
func (s *Store) forgetOwnLocks(ctx context.Context) error {
	if s.settings.InitialCluster != "" {
		return s.probe(ctx)
	}
	_, err := s.client.Delete(ctx, locks, clientv3.WithPrefix())
	return err
}

// healthy tells of a member that has stopped by itself, or has run out of space.
func (m *member) healthy() error {
	select {
	case <-m.etcd.Server.StopNotify():
		return fmt.Errorf("%w: the embedded etcd has stopped; restart this process", ErrUnavailable)
	default:
	}
	for _, alarm := range m.etcd.Server.Alarms() {
		if alarm.Alarm == pb.AlarmType_NOSPACE {
			return fmt.Errorf("%w: the embedded etcd has used its %d MiB and refuses writes", ErrUnavailable, quotaBytes>>20)
		}
	}
	return nil
}

func (m *member) close() error {
	m.etcd.Close()
	return m.dir.leave()
}

func (s *Store) memberConfig() (*embed.Config, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(s.settings.Dir, "etcd")
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(etcdLogger(s.log, slog.LevelError))
	config.InitialClusterToken = "primacy"
	config.ListenClientUrls, config.AdvertiseClientUrls = nil, nil
	config.EnableGRPCGateway = false
	keepSmall(config)
	if s.settings.InitialCluster == "" {
		return config, standAlone(config)
	}
	return config, s.standAmongPeers(config)
}

// keepSmall bounds memory and disk: the store holds some documents for each cluster, and their history is not used.
func keepSmall(config *embed.Config) {
	config.QuotaBackendBytes = quotaBytes
	config.SnapshotCount = 2000
	config.SnapshotCatchUpEntries = 500
	config.MaxSnapFiles, config.MaxWalFiles = 2, 2
	config.AutoCompactionMode, config.AutoCompactionRetention = embed.CompactorModeRevision, "1000"
	config.BootstrapDefragThresholdMegabytes = 16
}

// standAlone needs no listener at all. Elections among one may be quick, and a short election timeout also lets etcd
// grant leases of one second.
func standAlone(config *embed.Config) error {
	config.Name = alone
	config.TickMs, config.ElectionMs = 50, 500
	config.ListenPeerUrls = nil
	config.AdvertisePeerUrls = []url.URL{{Scheme: "http", Host: aloneAddress}}
	config.InitialCluster = alone + "=http://" + aloneAddress
	return nil
}

func (s *Store) standAmongPeers(config *embed.Config) error {
	peers, err := s.peers()
	if err != nil {
		return err
	}
	self := peers[s.settings.Name]
	listen, err := s.listenURL(self)
	if err != nil {
		return err
	}
	config.Name = s.settings.Name
	config.TickMs, config.ElectionMs = tickMs, electionMs
	config.AdvertisePeerUrls, config.ListenPeerUrls = []url.URL{*self}, []url.URL{*listen}
	config.InitialCluster = joinPeers(peers)
	if s.settings.JoinExisting {
		config.ClusterState = embed.ClusterStateFlagExisting
	}
	return s.securePeers(config, listen)
}

// peers reads "a=host:port,b=host:port"; a scheme may be given and is otherwise chosen to fit the certificates.
func (s *Store) peers() (map[string]*url.URL, error) {
	peers := map[string]*url.URL{}
	for entry := range strings.SplitSeq(s.settings.InitialCluster, ",") {
		name, address, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok {
			return nil, fmt.Errorf("store: initial_cluster: %q is not of the form name=host:port", entry)
		}
		peer, err := s.peerURL(address)
		if err != nil {
			return nil, fmt.Errorf("store: initial_cluster: %s: %w", name, err)
		}
		peers[name] = peer
	}
	if peers[s.settings.Name] == nil || len(peers) < 3 {
		return nil, fmt.Errorf("store: initial_cluster %q must name at least three members, and %q among them", s.settings.InitialCluster, s.settings.Name)
	}
	return peers, nil
}

func (s *Store) peerURL(address string) (*url.URL, error) {
	scheme := "http"
	if s.settings.Peer != (PeerTLS{}) {
		scheme = "https"
	}
	if given, rest, ok := strings.Cut(address, "://"); ok {
		if given != scheme {
			return nil, fmt.Errorf("%s does not fit the peer certificates, which ask for %s", address, scheme)
		}
		address = rest
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, err
	}
	return &url.URL{Scheme: scheme, Host: address}, nil
}

// listenURL is where peers are awaited. etcd binds to addresses only, so a host's name is left to be resolved here.
func (s *Store) listenURL(self *url.URL) (*url.URL, error) {
	address := s.settings.PeerListen
	if address == "" {
		address = self.Host
	}
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("store: peer_listen %s: %w", address, err)
	}
	if resolved.IP == nil {
		resolved.IP = net.IPv4zero
	}
	return &url.URL{Scheme: self.Scheme, Host: resolved.String()}, nil
}

func joinPeers(peers map[string]*url.URL) string {
	var entries []string
	for name, peer := range peers {
		entries = append(entries, name+"="+peer.String())
	}
	slices.Sort(entries)
	return strings.Join(entries, ",")
}

// securePeers turns on TLS with certificates on both sides. Whoever reaches an unsecured peer port can write to the
// store, so that is said aloud when others than this machine can.
func (s *Store) securePeers(config *embed.Config, listen *url.URL) error {
	p := s.settings.Peer
	if p == (PeerTLS{}) {
		if ip := net.ParseIP(listen.Hostname()); ip == nil || !ip.IsLoopback() {
			s.log.Warn("etcd peers speak in clear text; give them certificates", "peer_listen", listen.Host)
		}
		return nil
	}
	config.PeerTLSInfo = transport.TLSInfo{
		CertFile: p.CertFile, KeyFile: p.KeyFile, TrustedCAFile: p.CAFile, ClientCertAuth: true,
	}
	return nil
}
