package sim

// Signatures that are about to be filled in. Everything here exists under these names in a moment.

import (
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

type (
	persisted struct{}
	binlog    struct{}
	history   struct{}
	channel   struct{}
	semiSync  struct{}
	commit    struct{}
	closing   struct{}
	namedLock struct{}
	dump      struct{}
	awaited   struct{}
	disk      struct{}
)

// ---- making servers (lifetime) ----

// add makes a server that runs, empty, without a source, with the next server_id and a uuid drawn from its address.
func (h *hosts) add(a topology.Address, o options) *server { panic(0) }
func (h *hosts) linkChanged(from, to place)                { panic(0) }

// ---- what happens to processes and hosts (faults) ----

func (s *server) kill()                                          { panic(0) } // kill -9
func (s *server) shutDown()                                      { panic(0) } // orderly: waiters hear OK (E6)
func (s *server) boot()                                          { panic(0) } // starts a dead process; takes a second or two
func (s *server) freeze()                                        { panic(0) } // SIGSTOP
func (s *server) thaw()                                          { panic(0) } // SIGCONT
func (s *server) powerOff()                                      { panic(0) } // process dies and host is silent
func (s *server) powerOn()                                       { panic(0) } // host back, process still dead
func (s *server) wipe()                                          { panic(0) } // empty data directory, new uuid and server_id; kills
func (s *server) clone(donor topology.Address, done func(error)) { panic(0) } // takes seconds, then restarts
func (s *server) stallDisk()                                     { panic(0) }
func (s *server) fillDisk()                                      { panic(0) }
func (s *server) healDisk()                                      { panic(0) }
func (s *server) slowDisk(by time.Duration)                      { panic(0) } // each sync takes so much longer; 0 ends it
func (s *server) errant(row int64, force bool) (*transaction, error) {
	panic(0)
}                                                             // a write by a local root; force switches super_read_only off for it
func (s *server) purgeBinlogs()                               { panic(0) } // all that is executed
func (s *server) slowApplier(each time.Duration)              { panic(0) } // each transaction takes so long; 0 ends it
func (s *server) delayApplier(by time.Duration)               { panic(0) } // SOURCE_DELAY
func (s *server) blockApplier(on bool)                        { panic(0) } // a lock in its way
func (s *server) failApplier(errno int)                       { panic(0) } // it stops with an error
func (s *server) follows(source topology.Address, acker bool) { panic(0) } // set up at once, before the world begins

// ---- sessions (fleet and clients) ----

type account int

const (
	accountApp     account = iota // no CONNECTION_ADMIN: cut by offline_mode, refused by read_only
	accountPrimacy                // CONNECTION_ADMIN, SYSTEM_VARIABLES_ADMIN: refused by super_read_only only
	accountRoot                   // SYSTEM_USER as well: out of reach of KILL (1095)
)

// announcement is what a connection says of itself in its attributes; zero for ordinary clients.
type announcement struct {
	cluster, elector, process string
	term                      uint32
	duty                      string
}

// wire is a connection to a server as its client holds it.
type wire struct {
	pipe    *pipe
	guest   *guest // the server's side of it, once it is there; only to be handed to statements
	broke   error  // why it ended; nil while it stands
	onBreak func() // told once when it ends from the other side
}

// dial opens a connection. then is called with errConnRefused, errConnReset, a mysqlError (3032 offline), or nil; never
// when the other side is silent: whoever waits no longer closes the wire.
func (h *hosts) dial(from place, to topology.Address, who account, says announcement, then func(error)) *wire {
	panic(0)
}

// run sends a statement. It is carried out at the server when it arrives, and calls done exactly once, at once or later; then is called
// with its error when the answer is back, or with why the connection broke: then nobody knows. One after the other on a
// connection. What the statement reads it leaves in variables of its caller, who may look at them when then was called with nil.
func (w *wire) run(statement func(on *guest, done func(error)), then func(error)) { panic(0) }
func (w *wire) close()                                                            { panic(0) } // then is not called any more
func (w *wire) alive() bool                                                       { panic(0) } // nil-safe

// guest is a session on a server.
type guest struct {
	server *server
	id     int64
	who    account
	says   announcement
	killed bool // by KILL; it is still listed while its statement cannot be ended
	doing  doing
}

// doing is what the process list shows of a session.
type doing int

const (
	idle          doing = iota
	querying            // a statement that KILL ends
	waitingForAck       // "Waiting for semi-sync ACK": nothing ends it (E2)
	committing          // "waiting for handler commit": behind one that waits for acks, or for the disk
	stopping            // STOP REPLICA that hangs: nothing ends it (E15)
	closingWrites       // SET super_read_only that waits for the global read lock; KILL ends it and undoes it
)

func (g *guest) connected() bool { panic(0) } // the session is in the process list

// Reads, inside a statement.
func (s *server) sessions() []*guest               { panic(0) } // in the process list, announced or not, by id
func (s *server) executed() gtid.Set               { panic(0) }
func (s *server) received() gtid.Set               { panic(0) } // of the channel; empty without one
func (s *server) position() gtid.Set               { panic(0) } // both
func (s *server) owned(u gtid.UUID) bool           { panic(0) } // a commit of this UUID is under way (gtid_owned)
func (s *server) unapplied() bool                  { panic(0) } // received and not executed: CHANGE and RESET would lose it
func (s *server) knowsLater(term uint32) bool      { panic(0) } // a marker of a higher term in executed or received; cheap
func (s *server) decisions() []topology.Decision   { panic(0) } // the journal, newest first
func (s *server) hasRow(row int64) bool            { panic(0) } // visible to readers
func (s *server) semiSync() topology.SemiSync      { panic(0) }
func (s *server) unacked() int64                   { panic(0) } // Rpl_semi_sync_source_no_tx
func (s *server) receiver() (topology.Thread, int) { panic(0) } // state and errno; OFF without a channel
func (s *server) applier() (topology.Thread, int)  { panic(0) }
func (s *server) startsAlone() bool                { panic(0) } // what the next start will do: skip_replica_start is not in force

// observe is all that mysqld's probe reads; at is now by the clock of whoever asks, from which StartedAt is derived.
// Reach is ReachOK; At and Latency are left to the caller.
func (s *server) observe(at time.Time) topology.Observation { panic(0) }

// Statements that return at once.
func (s *server) setOffline(on bool)         { panic(0) } // ON cuts clients, and replicas unless exempt
func (s *server) setReadOnlyOff()            { panic(0) } // takes super_read_only along
func (s *server) setSuperReadOnlyOff()       { panic(0) }
func (s *server) enableSource()              { panic(0) }
func (s *server) setAcks(n int)              { panic(0) } // 65535 is poison; fewer may release waiters
func (s *server) setTimeout(d time.Duration) { panic(0) }
func (s *server) setWaitNoReplica(on bool)   { panic(0) }
func (s *server) setReplicaSide(on bool)     { panic(0) } // counts from the receiver's next start on
func (s *server) startReceiver() error       { panic(0) } // 1200 without a channel
func (s *server) startApplier() error        { panic(0) }
func (s *server) changeSource(to topology.Address, autoPosition bool) error {
	panic(0)
}                                                       // 3021 receiver runs, 3081 with autoPosition named and a thread running; applier off: relay logs are dropped (E8a)
func (s *server) resetReplica() error                   { panic(0) } // 3081
func (s *server) getLock(g *guest, name string) bool    { panic(0) } // GET_LOCK(name, 0)
func (s *server) releaseLock(g *guest, name string)     { panic(0) }
func (s *server) lockHolder(name string) *guest         { panic(0) } // IS_USED_LOCK; nil for nobody
func (s *server) killSession(id int64, by *guest) error { panic(0) } // KILL: 1094 unknown, 1095 SYSTEM_USER
func (s *server) killQuery(id int64) error              { panic(0) } // KILL QUERY

// Statements that can take their time: done is called when they return, inside the guest's statement.
func (s *server) closeForWrites(on *guest, lockWait time.Duration, done func(error)) {
	panic(0)
}                                                                                // SET super_read_only=ON: 1205 after lockWait, 1317 killed
func (s *server) disableSource(on *guest, done func(error))                      { panic(0) } // releases waiters with OK at once (E10), returns after about 980 ms (E11)
func (s *server) stopReceiver(on *guest, done func(error))                       { panic(0) } // 5-30 ms; blocks while a connect hangs (E15)
func (s *server) stopApplier(on *guest, done func(error))                        { panic(0) }
func (s *server) persistSkipReplicaStart(on *guest, skip bool, done func(error)) { panic(0) } // needs the disk
func (s *server) persistSuperReadOnly(on *guest, boot bool, done func(error))    { panic(0) }
func (s *server) awaitExecuted(on *guest, set gtid.Set, atMost time.Duration, done func(error)) {
	panic(0)
}                                                                                      // errAwaitTimeout when the time is over (the function returned 1)
func (s *server) mark(on *guest, d topology.Decision, done func(error))                { panic(0) } // gtid_next and insert: 1290 super_read_only, 1146 no journal; hangs like any commit
func (s *server) createJournal(on *guest, done func(error))                            { panic(0) } // 1290; nothing when it is there
func (s *server) write(on *guest, row int64, done func(error))                         { panic(0) } // a client's insert: 1290, 1062
func (s *server) writeHuge(on *guest, row int64, size time.Duration, done func(error)) { panic(0) } // takes that long to apply
