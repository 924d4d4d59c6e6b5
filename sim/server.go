package sim

import (
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// hosts are all servers of a world with what they share.
type hosts struct {
	clock   *clock
	network *network
	all     []*server
	rows    map[int64]*transaction     // by row: the last transaction that wrote it; older ones follow in twin
	named   map[gtid.GTID]*transaction // the first one that got each name
	reused  []gtid.GTID                // names that a second one got: its server had lost the first, or never executed it
	nextID  uint32                     // the next server_id that nobody has had

	// completed, when set, is told of each transaction that was written on a server at the moment at which that server,
	// running, completes it: it becomes visible there and its client, if it is still there, will be told OK. acked is how
	// many acknowledgements it had.
	completed func(s *server, t *transaction, acked int)
	// unheard, when set, tells whether a replica's acknowledgement of a place gets lost on its way to the source.
	unheard func(d *dump, place int) bool
	// barred, when set, tells whether a replica is refused by a source.
	barred func(replica, source *server) bool
	// sent, when set, is told of each statement that an elector is about to send for a command, the first being 1.
	sent func(f *fleet, server topology.Address, verb reparent.Verb, statement int)
	// answered, when set, is told of each command with what came of it.
	answered func(f *fleet, c reparent.Command, r reparent.Result)
	// changing, when set, is told of each session of an elector that is about to change its server.
	changing func(on *guest)
	// opening, when set, is told of each server that an elector opens for writes, and when the statement was sent.
	opening func(s *server, sent time.Duration)
	// dropping, when set, is told of each server that is told by an elector to forget its relay logs.
	dropping func(s *server)
	// deciding, when set, is told of each marker that is written, acknowledged or not.
	deciding func(s *server, d *topology.Decision)
	// stepping, when set, is told of each step of an operation that an elector is about to take.
	stepping func(f *fleet)
	// handed, when set, is told of each transaction that a replica writes to its relay log though a later term has cancelled it.
	handed func(s, from *server, t *transaction)
	// detached, when set, is told of each server that forgot its source.
	detached func(*server)
	// startedOpen, when set, is told of each server that takes writes as soon as it has started.
	startedOpen func(s *server)
	// happened, when set, is told of each event worth a line in a trace.
	happened func(s *server, what string, t *transaction)
}

// transaction is what a binary log holds. It is the same value on all servers.
type transaction struct {
	gtid       gtid.GTID
	row        int64              // what a client wrote; 0 for none
	decision   *topology.Decision // of a term marker: the journal's row
	journal    bool               // it creates the journal table
	rules      bool               // it creates the table that keeps the rules for people
	origin     uint32             // server_id that wrote it
	committed  time.Duration      // original commit time
	size       time.Duration      // how long it takes to apply on top of the usual
	twin       *transaction       // another one that writes the same row
	registered bool               // its row is known
	first      bool               // it is the first one that got its name
	cancelled  bool               // a later term's marker left it out
}

// options are what a server's option file says: they hold from its start on, unless something else is persisted.
type options struct {
	SuperReadOnly    bool // and read_only
	Offline          bool
	SkipReplicaStart bool
	RelayLogRecovery bool
	SemiSyncSource   bool
	SemiSyncReplica  bool
	Acks             int
	Timeout          time.Duration // of semi-sync; topology.TimeoutInfinite and more is for ever
	LockWait         time.Duration // innodb_lock_wait_timeout
	NoJournal        bool          // the table _primacy.journal does not exist yet

	Version     string
	NetTimeout  time.Duration // replica_net_timeout
	RetryPeriod time.Duration // SOURCE_CONNECT_RETRY
	Heartbeat   time.Duration // SOURCE_HEARTBEAT_PERIOD
	// ReplicasExempt tells whether the replication account has CONNECTION_ADMIN, so that offline_mode spares it.
	ReplicasExempt bool
	// LoseRelayLogs is a server that does not sync its relay logs: a loss of power takes what is not applied.
	LoseRelayLogs bool
}

// healthyOptions are those of a server that is set up as Primacy wants it, without semi-sync on either side at start.
func healthyOptions() options {
	return options{
		SuperReadOnly: true, SkipReplicaStart: true, Acks: 1, Timeout: timeoutMax, Version: "9.7.4",
		LockWait: innodbLockWait, NetTimeout: 4 * time.Second, RetryPeriod: time.Second, Heartbeat: 500 * time.Millisecond,
	}
}

// timeoutMax is the longest rpl_semi_sync_source_timeout that MySQL takes.
const timeoutMax = (1<<32 - 1) * time.Millisecond

// server is one mysqld on its host.
type server struct {
	hosts   *hosts
	clock   *clock
	address topology.Address
	place   place
	number  int // in hosts.all
	options options
	skew    time.Duration // of its host's clock

	// What lives as long as the data directory.
	uuid     gtid.UUID
	serverID uint32
	stored   persisted
	log      binlog
	done     history // gtid_executed: what is committed in the engine
	purged   gtid.Set
	second   map[gtid.GTID]*transaction // what was executed under a name that another transaction had first
	decided  []*topology.Decision       // rows of the journal, in the order in which they were committed
	journal  bool
	ruled    bool           // it has the table that keeps the rules for people
	retired  bool           // somebody has vouched that it will acknowledge nothing any more
	channel  *channel       // nil without a source
	torn     []*transaction // in the binary log when the process ended, and not committed in the engine
	wiped    int            // how many data directories there were before

	// What lives as long as the process.
	state       state
	life        int
	incarnation string
	started     time.Duration
	waiting     []func() // what a frozen process will do when it goes on

	readOnly, superReadOnly, offline bool
	skipReplicaStart                 bool // as this process was started
	semi                             semiSync
	commits                          []*commit   // in the binary log and not completed, in its order
	together                         int         // how many of them, from the first on, wait as one
	inFlight                         int         // commits that have begun and not ended
	marking                          []gtid.GTID // of markers among them
	nextNumber                       int64       // lowest number of our own that may be free
	closings                         []*closing  // SET super_read_only, while it waits
	blocked                          []*blocked  // writes that wait for the global read lock
	inserting                        []*commit   // those under way that insert a row
	rowWaits                         []*rowWait
	guests                           []*guest
	nextGuest                        int64
	looks                            int     // of fences
	passes                           []pass  // through them, by sessions of which nobody of a later term came later
	knocking                         []*wire // that a frozen process has not let in
	locks                            []namedLock
	dumps                            []*dump
	awaited                          []*awaited // WAIT_FOR_EXECUTED_GTID_SET
	disk                             disk
	switching                        switching // the source side off
	turn                             channelTurn
}

// state is what the process does.
type state int

const (
	processDead state = iota
	processBooting
	processUp
	processFrozen // by SIGSTOP; its host answers in its place as far as the kernel does
)

// newHosts is a world without servers.
func newHosts(c *clock, n *network) *hosts {
	h := &hosts{clock: c, network: n, rows: emptied(&c.slabs().rows), named: emptied(&c.slabs().named), nextID: 1}
	n.whenChanged(h.linkChanged)
	return h
}

// wall is the time by the clock of the server's host.
func (s *server) wall() time.Duration { return s.clock.now + s.skew }

// at finds a server by its address; nil for an unknown one.
func (h *hosts) at(a topology.Address) *server {
	for _, s := range h.all {
		if s.address == a {
			return s
		}
	}
	return nil
}
