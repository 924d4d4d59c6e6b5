// Package store remembers what Primacy must not forget, and says who may act: documents, one lock for each cluster,
// and the terms of leadership. Behind it is etcd, run inside this process or reached over the network; the code that
// uses it is the same in both cases.
//
// # What a lock promises
//
// A Lease is held until its Deadline, which is counted on this machine's monotonic clock from the moment that the last
// confirmed keep-alive was sent. etcd counts the same time to live from the moment that it received it, which is later,
// so this side always gives up first: it needs no answer, and no agreement between wall clocks, to know that it has
// lost. Every write made through a Lease is also checked by etcd, in the same transaction, against the lock's owner.
//
// Two things are left to the servers themselves, which refuse an older elector's sessions: a machine that is suspended
// stops its monotonic clock too, and a thread can be paused between asking Held and acting on the answer.
//
// # Lost replies
//
// A request whose reply is lost may have been carried out, may be carried out later, or never. Each cluster has a fence,
// a key that every guarded write compares and replaces. An attempt in doubt and its repetition name the same version of
// the fence, so at most one of them can take effect, and none can take effect after a later write has; the fence's
// value tells which one did. This is what makes it safe to try again, and what keeps an old document from overwriting
// a newer one. It holds across a restore from an older state, after which revisions repeat: a version of the fence is
// named by its value too, which no other attempt leaves there.
package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The keys of everything that Primacy keeps in etcd. A user of an etcd with authentication needs to read and write
// under root, and nothing else.
const (
	root      = "/primacy/v1/"
	locks     = root + "locks/"
	fences    = root + "fences/"
	terms     = root + "terms/"
	documents = root + "documents/"
)

const (
	leaseTTLDefault = 3 * time.Second
	leaseTTLMin     = time.Second
	callTimeout     = 2 * time.Second
	retryPause      = 50 * time.Millisecond
)

// Settings say where etcd is. Exactly one of Dir and Endpoints is set.
type Settings struct {
	// Dir holds the data of an etcd member that runs inside this process.
	Dir string
	// Endpoints are the client URLs of an etcd cluster that already runs.
	Endpoints []string

	// Name, PeerListen and InitialCluster make the embedded member one of several, one on each elector. Name is this
	// member's, InitialCluster names all of them as "a=host:port,b=host:port,c=host:port", and PeerListen is the
	// address to bind, by default the one under which InitialCluster knows this member.
	Name, PeerListen, InitialCluster string
	// Peer secures the traffic between embedded members; without it, they speak in clear text.
	Peer PeerTLS
	// JoinExisting is set for an embedded member that was added to a cluster which already runs, as a replacement.
	JoinExisting bool

	// TLS, User and Password are used towards Endpoints.
	TLS      *tls.Config
	User     string
	Password string

	// LeaseTTL is how long a lock outlives its elector: 3 s by default, at least 1 s, and rounded up to whole seconds.
	LeaseTTL time.Duration
	// Elector is the name that Holder reports, by default the host's name.
	Elector string
	// Log receives what happens to locks, and etcd's own log. By default nothing is logged.
	Log *slog.Logger
	// ReadyTimeout is how long Open waits for etcd to answer: 5 s by default for one member and for endpoints, and 60 s
	// for an embedded member that must first find its peers, unless Later is set.
	ReadyTimeout time.Duration
	// Later has Open return a store when etcd did not answer within ReadyTimeout. It goes on trying, and until then calls
	// fail with ErrUnavailable, and Acquire waits.
	Later bool
}

// PeerTLS names the files with which embedded members prove themselves to each other. All three are set, or none.
type PeerTLS struct {
	CertFile, KeyFile, CAFile string
}

func (s Settings) withDefaults() (Settings, error) {
	if err := s.validate(); err != nil {
		return s, err
	}
	if s.Elector == "" {
		s.Elector, _ = os.Hostname()
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	s.LeaseTTL = cmp.Or(s.LeaseTTL, leaseTTLDefault)
	ready := 5 * time.Second
	if s.InitialCluster != "" && !s.Later {
		ready = time.Minute
	}
	s.ReadyTimeout = cmp.Or(s.ReadyTimeout, ready)
	return s, nil
}

// sessionSeconds is the time to live that etcd is asked for. Among peers it is a second less than the lease: when the
// elector that died also led etcd, a new leader is elected first, which gives every lease its whole time to live
// again and the election timeout on top. That second pays for it.
func (s Settings) sessionSeconds() int64 {
	seconds := int64((s.LeaseTTL + time.Second - 1) / time.Second)
	if s.InitialCluster == "" {
		return seconds
	}
	return max(2, seconds-1)
}

func (s Settings) validate() error {
	embedded, remote := s.Dir != "", len(s.Endpoints) > 0
	members := s.Name != "" || s.PeerListen != "" || s.InitialCluster != ""
	switch {
	case embedded == remote:
		return errors.New("store: set either dir, for an embedded etcd, or endpoints, for one that already runs")
	case remote && members:
		return errors.New("store: name, peer_listen and initial_cluster belong to an embedded etcd; leave them out beside endpoints")
	case members && (s.Name == "" || s.InitialCluster == ""):
		return errors.New("store: an embedded etcd of several members needs both name and initial_cluster")
	case embedded && (s.User != "" || s.TLS != nil):
		return errors.New("store: user and tls are used towards endpoints; an embedded etcd opens no port to clients")
	case (s.User == "") != (s.Password == ""):
		return errors.New("store: set both user and password, or neither")
	case s.LeaseTTL != 0 && s.LeaseTTL < leaseTTLMin:
		return fmt.Errorf("store: a lease of %s is too short: etcd counts whole seconds, so set at least %s", s.LeaseTTL, leaseTTLMin)
	}
	return s.Peer.validate()
}

func (p PeerTLS) validate() error {
	if p == (PeerTLS{}) || (p.CertFile != "" && p.KeyFile != "" && p.CAFile != "") {
		return nil
	}
	return errors.New("store: TLS between embedded members needs a certificate, its key and a CA file, all three")
}

// Store is safe for concurrent use.
type Store struct {
	settings Settings
	log      *slog.Logger
	client   *clientv3.Client
	leases   pb.LeaseClient
	member   *member // nil when etcd runs elsewhere

	ctx     context.Context
	cancel  context.CancelCauseFunc
	opening sync.Mutex     // no goroutine is added to owned once ctx has ended
	owned   sync.WaitGroup // every goroutine that this store started

	opened  chan struct{} // closed once client and leases are there
	silence silence
	current chan *session // holds the session in use, and serves as its lock
	bells   bells
	claims  claims

	joining sync.Once
	company *Company
}

// Open starts the embedded member, or dials the endpoints, and returns once etcd has answered a read that needs its
// quorum, or later, if the settings say so. ctx bounds the opening only.
func Open(ctx context.Context, settings Settings) (*Store, error) {
	settings, err := settings.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{settings: settings, log: settings.Log, current: make(chan *session, 1), opened: make(chan struct{})}
	s.current <- nil
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.silence.heard(time.Now())
	if settings.Dir != "" {
		if err := s.startMember(); err != nil {
			s.cancel(ErrClosed)
			return nil, err
		}
	}
	err = s.connect(ctx)
	switch {
	case err == nil:
		return s, nil
	case settings.Later && errors.Is(err, ErrUnavailable) && ctx.Err() == nil:
		s.own(func() { s.connectLater(err) })
		return s, nil
	}
	return nil, errors.Join(err, s.Close())
}

// connect waits for etcd to answer, at most as long as Open does.
func (s *Store) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.settings.ReadyTimeout)
	defer cancel()
	connect := s.dial
	if s.member != nil {
		connect = s.joinMember
	}
	if err := connect(ctx); err != nil {
		return err
	}
	close(s.opened)
	s.silence.heard(time.Now())
	s.own(s.listen)
	s.own(s.attendSilence)
	return nil
}

// connectLater goes on trying, whatever the error: what a person mends meanwhile need not take a restart.
func (s *Store) connectLater(err error) {
	for said := ""; ; err = s.connect(s.ctx) {
		if err == nil {
			s.log.Info("the store answers")
			return
		}
		s.silence.unheard(err)
		if err.Error() != said && s.ctx.Err() == nil {
			s.log.Warn("going on without the store, and trying again", "error", err)
			said = err.Error()
		}
		if !pause(s.ctx, retryPause) {
			return
		}
	}
}

// unopened is why there is nobody yet to send a request to; nil when there is.
func (s *Store) unopened() error {
	select {
	case <-s.opened:
		return nil
	default:
		return fmt.Errorf("%w: it has not answered since this process started", ErrUnavailable)
	}
}

// Close gives back all locks, so that another elector need not wait for the lease to run out, and stops everything
// that Open started. It takes about a second when etcd does not answer. Closing again does nothing.
func (s *Store) Close() error {
	if !s.endOpening() {
		return nil
	}
	s.owned.Wait()
	var err error
	if s.unopened() == nil {
		err = closeClient(s.client)
	}
	if s.member != nil {
		err = errors.Join(err, s.member.close())
	}
	return err
}

// endOpening says whether it was open until now.
func (s *Store) endOpening() bool {
	s.opening.Lock()
	defer s.opening.Unlock()
	defer s.cancel(ErrClosed)
	return s.ctx.Err() == nil
}

// Ready says whether etcd answers a read that needs its quorum, and whether it still accepts writes.
func (s *Store) Ready(ctx context.Context) error {
	if s.member != nil {
		if err := s.member.healthy(); err != nil {
			return err
		}
	}
	return s.persist(ctx, "read from the store", s.probe)
}

func (s *Store) probe(ctx context.Context) error {
	_, err := s.client.Get(ctx, locks, clientv3.WithPrefix(), clientv3.WithCountOnly())
	return err
}

// own runs f in a goroutine that Close waits for, unless the store is closed. f ends when the store's context does.
func (s *Store) own(f func()) (started bool) {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.owned.Go(f)
	return true
}

// place names etcd in error messages.
func (s *Store) place() string {
	if s.member != nil {
		return "embedded etcd in " + s.settings.Dir
	}
	return "etcd at " + strings.Join(s.settings.Endpoints, ", ")
}
