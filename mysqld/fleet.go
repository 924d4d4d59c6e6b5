package mysqld

import (
	"context"
	"crypto/tls"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// Settings say how to reach servers. Zero durations take the defaults that stand beside them.
type Settings struct {
	// User and Password are the account that Primacy logs in with on every server. Password is asked at
	// each login, so that a rotated password needs no restart; nil means an empty one.
	User     string
	Password func() (string, error)
	// TLS is the client side of TLS. nil means preferred: encrypted without checking the certificate
	// when the server offers TLS, plain otherwise. Set, it is required and checked as it says.
	TLS *tls.Config

	// ReplicationUser and ReplicationPassword are the account that replicas log in to their source with.
	ReplicationUser     string
	ReplicationPassword func() (string, error)
	// ReplicationTLS makes replicas encrypt what they receive and check whom they receive it from.
	ReplicationTLS ReplicationTLS
	// Heartbeat is SOURCE_HEARTBEAT_PERIOD of the channels that Primacy makes; default 500 ms.
	Heartbeat time.Duration

	// ProbeTimeout bounds one probe, from the request to its observation; default 1 s. While a server
	// switches its source side of semi-sync off, which takes about a second, it reads no variable for
	// anybody: a shorter timeout takes that for silence.
	ProbeTimeout time.Duration
	// ConnectTimeout bounds the TCP handshake of a new connection; default 2 s.
	ConnectTimeout time.Duration
	// Elector is this node's name, announced in the attributes of every connection.
	Elector string
	// Log hears what is no observation: unusual answers and lost connections. nil is silence.
	Log *slog.Logger
}

func (s Settings) withDefaults() Settings {
	orElse := func(d *time.Duration, fallback time.Duration) {
		if *d <= 0 {
			*d = fallback
		}
	}
	orElse(&s.Heartbeat, 500*time.Millisecond)
	orElse(&s.ProbeTimeout, time.Second)
	orElse(&s.ConnectTimeout, 2*time.Second)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return s
}

var _ orchestrator.Fleet = (*Fleet)(nil)

// Fleet is the real servers: it implements orchestrator.Fleet.
type Fleet struct {
	settings Settings

	// ctx ends with Close; running counts the goroutines that end with it.
	ctx     context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	acting  acting                 // fenced sessions, see session.go
	tickets tls.ClientSessionCache // of servers whose certificate is not checked

	mu       sync.Mutex
	tell     func(orchestrator.Signal) // who hears of broken connections; nil for nobody
	clusters map[string][]topology.Address
	keepers  map[topology.Address]*keeper
}

// NewFleet makes a fleet that watches nothing yet. Close ends it.
func NewFleet(settings Settings) *Fleet {
	ctx, end := context.WithCancel(context.Background())
	return &Fleet{
		settings: settings.withDefaults(),
		tickets:  tls.NewLRUClientSessionCache(0),
		ctx:      ctx,
		end:      end,
		clusters: make(map[string][]topology.Address),
		keepers:  make(map[topology.Address]*keeper),
	}
}

// Close ends every kept connection and waits for the goroutines that own them.
func (f *Fleet) Close() error {
	f.end()
	f.mu.Lock()
	clear(f.clusters)
	clear(f.keepers)
	f.mu.Unlock()
	f.running.Wait()
	f.acting.closeSessions()
	return nil
}

// Watch implements orchestrator.Fleet.
func (f *Fleet) Watch(cluster string, servers []topology.Address) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ctx.Err() != nil {
		return
	}
	f.clusters[cluster] = slices.Clone(servers)
	if len(servers) == 0 {
		delete(f.clusters, cluster)
	}
	f.keepWatched()
}

// Observe implements orchestrator.Fleet.
func (f *Fleet) Observe(ctx context.Context, cluster string) []topology.Observation {
	f.mu.Lock()
	servers := f.clusters[cluster]
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, f.settings.ProbeTimeout)
	defer cancel()
	seen := make([]topology.Observation, len(servers))
	var probes sync.WaitGroup
	for i, server := range servers {
		probes.Go(func() { seen[i] = f.probe(ctx, server) })
	}
	probes.Wait()
	return seen
}

// Probe implements orchestrator.Fleet.
func (f *Fleet) Probe(ctx context.Context, server topology.Address) topology.Observation {
	ctx, cancel := context.WithTimeout(ctx, f.settings.ProbeTimeout)
	defer cancel()
	return f.probe(ctx, server)
}

func (f *Fleet) probe(ctx context.Context, server topology.Address) topology.Observation {
	if k := f.keeperOf(server); k != nil {
		return k.ask(ctx)
	}
	o := topology.Observation{Address: server, At: time.Now()}
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return f.memoryOf(server).judge(failure(o, err))
	}
	defer l.close()
	return f.memoryOf(server).judge(f.read(ctx, l, server))
}

func (f *Fleet) keeperOf(server topology.Address) *keeper {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keepers[server]
}

// memoryOf is what is known of a server from earlier readings; nothing of one that is not watched.
func (f *Fleet) memoryOf(server topology.Address) *memory {
	if k := f.keeperOf(server); k != nil {
		return k.memory
	}
	return &memory{}
}

// clustersOf lists the clusters that watch a server.
func (f *Fleet) clustersOf(server topology.Address) (watching []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cluster, servers := range f.clusters {
		if slices.Contains(servers, server) {
			watching = append(watching, cluster)
		}
	}
	return watching
}
