package integration

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// realServers are three of a theatre's servers while a program is played on them. Everybody reaches them past the doors,
// and replicas over crossings: a closed door answers with a reset, and a crossing that is cut does not answer.
type realServers struct {
	*theatre
	ctx      context.Context
	cast     []*actor
	boots    [3]bootSettings
	between  [3][3]*crossing // by replica and source; none from a server to itself
	electors map[string]*mysqld.Fleet
	observer *mysqld.Fleet
	calls    []*sentStatement
}

// sentStatement is one on its way.
type sentStatement struct {
	on    *actor
	db    *sql.DB
	leave context.CancelFunc
	ended chan struct{}
	err   error // once it has ended
	// ofChannel is set for statements about replication.
	ofChannel bool

	mu      sync.Mutex
	session int64 // 0 while it has none
	logged  string
}

// openReal makes the servers as every program finds them, but for what is persisted.
func openReal(ctx context.Context, th *theatre, boots [3]bootSettings) (*realServers, error) {
	r := &realServers{theatre: th, ctx: ctx, boots: boots, electors: map[string]*mysqld.Fleet{}, observer: th.elector("observer")}
	for _, door := range th.order[:3] {
		r.cast = append(r.cast, th.actors[door])
	}
	if err := r.connect(); err != nil {
		return r, errors.Join(err, r.close())
	}
	err := th.together(th.order[:3], func(a *actor) error {
		if err := a.cleaned(ctx); err != nil {
			return err
		}
		return r.settle(a)
	})
	if err != nil {
		return r, errors.Join(err, r.close())
	}
	r.observer.Watch(clusterName, r.all())
	return r, nil
}

// settle persists what a server finds in its settings at its next start.
func (r *realServers) settle(a *actor) error {
	boot := r.boots[r.number(a)]
	return a.exec(r.ctx, persisting("super_read_only", boot.readOnly), persisting("read_only", boot.readOnly),
		persisting("skip_replica_start", boot.skipReplicaStart), persisting("relay_log_recovery", boot.recovery))
}

// connect opens the ways between the servers.
func (r *realServers) connect() (err error) {
	for i := range r.cast {
		for j, source := range r.cast {
			if i == j {
				continue
			}
			if r.between[i][j], err = newCrossing(source.Address()); err != nil {
				return err
			}
		}
	}
	return nil
}

// path is the address under which a server knows its source.
func (r *realServers) path(replica, source int) topology.Address {
	if c := r.between[replica][source]; c != nil {
		return c.address()
	}
	return topology.Address(r.cast[source].Address())
}

// sourceOf is the server at the end of a path; -1 for none.
func (r *realServers) sourceOf(a topology.Address) int {
	for i := range r.cast {
		for j := range r.cast {
			if r.between[i][j] != nil && r.path(i, j) == a {
				return j
			}
		}
	}
	return -1
}

// crossings are the ways to a server.
func (r *realServers) crossings(to *actor) []*crossing {
	var all []*crossing
	for i := range r.cast {
		if c := r.between[i][r.number(to)]; c != nil {
			all = append(all, c)
		}
	}
	return all
}

// stopped has the ways to a server whose process has ended refuse, and started has them lead to it again.
func (r *realServers) stopped(a *actor) error {
	var errs []error
	for _, c := range r.crossings(a) {
		errs = append(errs, c.lower())
	}
	return errors.Join(errs...)
}

func (r *realServers) started(a *actor) error {
	var errs []error
	for _, c := range r.crossings(a) {
		errs = append(errs, c.raise())
	}
	return errors.Join(errs...)
}

// part cuts or mends both ways between two servers.
func (r *realServers) part(one, other int, cut bool) error {
	both := []*crossing{r.between[one][other], r.between[other][one]}
	var errs []error
	for _, c := range both {
		if cut {
			errs = append(errs, c.cut())
		} else {
			errs = append(errs, c.mend())
		}
	}
	return errors.Join(errs...)
}

func persisting(name string, on bool) string {
	return fmt.Sprintf("SET PERSIST_ONLY %s = %t", name, on)
}

func (r *realServers) number(a *actor) int {
	for i, b := range r.cast {
		if a == b {
			return i
		}
	}
	return -1
}

func (r *realServers) all() []topology.Address {
	var all []topology.Address
	for _, a := range r.cast {
		all = append(all, topology.Address(a.Address()))
	}
	return all
}

// close ends what is under way, so that the servers can be cleaned.
func (r *realServers) close() error {
	errs := []error{r.observer.Close()}
	for i := range r.between {
		for _, c := range r.between[i] {
			if c != nil {
				errs = append(errs, c.end())
			}
		}
	}
	for _, f := range r.electors {
		errs = append(errs, f.Close())
	}
	for _, a := range r.cast {
		if a.State() == local.Frozen {
			errs = append(errs, a.Thaw())
		}
	}
	for _, c := range r.calls {
		c.leave()
	}
	for _, a := range r.cast {
		errs = append(errs, a.released(context.WithoutCancel(r.ctx)))
	}
	for _, c := range r.calls {
		<-c.ended
		c.db.Close()
	}
	for _, a := range r.cast {
		errs = append(errs, r.until("the end of all statements", a.idles))
	}
	return errors.Join(errs...)
}

// idles tells whether nobody's statement runs on a server: START REPLICA of an elector that has gone may still wait for a
// STOP that hangs, and would start what the next program finds stopped.
func (a *actor) idles() (bool, error) {
	if !a.up() {
		return true, nil
	}
	r, err := a.row(context.Background(), `SELECT COUNT(*) FROM performance_schema.threads
		WHERE name = 'thread/sql/one_connection' AND processlist_command = 'Query' AND processlist_id <> CONNECTION_ID()`)
	return r != nil && r[0] == "0", err
}

// play carries an action out as far as it goes by itself. What it answers is the results of commands. A server that is to
// end in order and does not is an error if that is what is expected.
func (r *realServers) play(a action, commands []reparent.Command, row int64, inOrder bool) ([]reparent.Result, error) {
	on := r.cast[a.server]
	switch a.deed {
	case electorActs:
		return r.elector(a.elector).Do(r.ctx, orchestrator.Batch{Commands: commands}), nil
	case clientWrites, clientRepeats:
		app := r.fleet.Users.App
		// The model's time passes far faster, so that no wait for a row is to end by itself.
		dsn := fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true&innodb_lock_wait_timeout=100000", app.Name, app.Password, on.Address())
		return nil, r.send(on, dsn, fmt.Sprintf("INSERT INTO app.rows VALUES (%d)", row))
	case rootWrites:
		return nil, r.send(on, on.AdminDSN(), fmt.Sprintf("INSERT INTO app.rows VALUES (%d)", row))
	case wipeServer:
		return nil, r.wipe(on)
	case cloneServer:
		return nil, r.clone(on, r.cast[a.source])
	case cutPair, mendPair:
		return nil, r.part(a.server, a.source, a.deed == cutPair)
	case killProcess:
		return nil, errors.Join(on.Kill(), r.stopped(on))
	case startProcess:
		if on.State() == local.Stopped {
			return nil, errors.Join(on.Start(r.ctx), r.started(on))
		}
		return nil, nil
	case shutDownProcess:
		return nil, errors.Join(r.shutDown(on, inOrder), r.stopped(on))
	case freezeProcess:
		return nil, r.freeze(on)
	case thawProcess:
		if on.State() == local.Frozen {
			return nil, on.Thaw()
		}
		return nil, nil
	case purge:
		return nil, errors.Join(r.send(on, on.AdminDSN()+"&multiStatements=true", r.byHand(a)), r.purged(on))
	default:
		return nil, r.send(on, on.AdminDSN()+"&multiStatements=true", r.byHand(a))
	}
}

func (r *realServers) elector(name string) *mysqld.Fleet {
	if r.electors[name] == nil {
		r.electors[name] = r.theatre.elector(name)
		r.electors[name].Watch(clusterName, r.all())
	}
	return r.electors[name]
}

// wipe loses a server's data; it comes up empty, and once more with its settings, which are persisted where the data was.
func (r *realServers) wipe(on *actor) error {
	return errors.Join(on.Kill(), r.stopped(on), on.Rebuild(r.ctx), r.settle(on), on.Kill(), on.Start(r.ctx), r.started(on))
}

// clone has a server take all data of another one, which ends with a restart. Whether it says OK before is up to chance.
func (r *realServers) clone(on, donor *actor) error {
	account, exited := r.fleet.Users.Primacy, on.Exited()
	err := on.exec(r.ctx, "SET GLOBAL clone_valid_donor_list = '"+donor.Address()+"'", fmt.Sprintf("CLONE INSTANCE FROM '%s'@'127.0.0.1':%d IDENTIFIED BY '%s'",
		account.Name, donor.Port, account.Password))
	if refused, is := errors.AsType[*mysql.MySQLError](err); is && refused.Number != 1053 {
		return refused
	}
	return r.until("the end of a clone", func() (bool, error) {
		select {
		case <-exited:
			return r.answers(on), nil
		default:
			return false, nil
		}
	})
}

// answers tells whether a server that was started again serves.
func (r *realServers) answers(on *actor) bool {
	on.hangUp()
	_, err := on.row(r.ctx, "SELECT 1")
	return on.up() && err == nil
}

func (r *realServers) freeze(on *actor) error {
	if !on.up() {
		return nil
	}
	return on.Freeze()
}

// hangsFor is how long a server may take to end that is expected to wait on its way out, for somebody to kill it.
const hangsFor = 5 * time.Second

// shutDown ends a server in order or, when that is what is expected, kills it while it hangs.
func (r *realServers) shutDown(on *actor, inOrder bool) error {
	if on.State() == local.Frozen {
		return on.Kill()
	}
	bound := hangsFor
	if inOrder {
		bound = patienceOfModel
	}
	ctx, cancel := context.WithTimeout(r.ctx, bound)
	defer cancel()
	err := on.Stop(ctx)
	if ctx.Err() == nil || inOrder {
		return err
	}
	return on.Kill()
}

// purged repeats PURGE until it has an effect: it spares a file that a dump thread has not left yet.
func (r *realServers) purged(on *actor) error {
	return r.until("the end of the purged logs", func() (bool, error) {
		if !on.up() {
			return true, nil
		}
		if err := on.exec(r.ctx, "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"); err != nil {
			return false, err
		}
		all, err := on.row(r.ctx, "SELECT @@GLOBAL.gtid_purged = @@GLOBAL.gtid_executed")
		return err == nil && all[0] == "1", err
	})
}

// byHand is the superuser's statement.
func (r *realServers) byHand(a action) string {
	account := r.fleet.Users.Replica
	host, port, _ := strings.Cut(string(r.path(a.server, a.source)), ":")
	return strings.NewReplacer("$host", host, "$port", port, "$acks", fmt.Sprint(a.acks), "$user", account.Name, "$password", account.Password).Replace(manual[a.deed])
}

const sourceOptions = "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '$host', SOURCE_PORT = $port, SOURCE_USER = '$user', SOURCE_PASSWORD = '$password', " +
	"GET_SOURCE_PUBLIC_KEY = 1, SOURCE_HEARTBEAT_PERIOD = 0.5, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400"

// manual is what each deed by hand is in SQL.
var manual = map[deed]string{
	stopReceiver:  "STOP REPLICA IO_THREAD",
	startReceiver: "START REPLICA IO_THREAD",
	stopApplier:   "STOP REPLICA SQL_THREAD",
	startApplier:  "START REPLICA SQL_THREAD",
	changeSource:  sourceOptions,
	autoPosition:  sourceOptions + ", SOURCE_AUTO_POSITION = 1",
	resetReplica:  "RESET REPLICA ALL",
	sourceOn:      "SET GLOBAL rpl_semi_sync_source_enabled = ON",
	sourceOff:     "SET GLOBAL rpl_semi_sync_source_enabled = OFF",
	replicaOn:     "SET GLOBAL rpl_semi_sync_replica_enabled = ON",
	replicaOff:    "SET GLOBAL rpl_semi_sync_replica_enabled = OFF",
	setAcks:       "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = $acks",
	shortTimeout:  "SET GLOBAL rpl_semi_sync_source_timeout = 5000",
	noTimeout:     "SET GLOBAL rpl_semi_sync_source_timeout = 4294967295",
	closeWrites:   "SET GLOBAL super_read_only = ON",
	superOff:      "SET GLOBAL super_read_only = OFF",
	openWrites:    "SET GLOBAL read_only = OFF",
	goOffline:     "SET GLOBAL offline_mode = ON",
	goOnline:      "SET GLOBAL offline_mode = OFF",
	purge:         "FLUSH BINARY LOGS; PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY",
}

// send runs a statement in a session of its own, and returns when it has ended or waits for something.
func (r *realServers) send(on *actor, dsn, statement string) error {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return err
	}
	config.Logger, config.Timeout = &mysql.NopLogger{}, 0
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	ctx, leave := context.WithCancel(r.ctx)
	c := &sentStatement{
		on: on, db: sql.OpenDB(connector), leave: leave, ended: make(chan struct{}), ofChannel: strings.Contains(statement, "REPLICA"),
	}
	r.calls = append(r.calls, c)
	if on.up() {
		if c.logged, err = on.logEnd(r.ctx); err != nil {
			close(c.ended)
			return err
		}
	}
	go func() {
		defer close(c.ended)
		c.err = c.run(ctx, statement)
	}()
	return r.until("the end or the wait of "+statement, c.rests)
}

func (c *sentStatement) run(ctx context.Context, statement string) error {
	conn, err := c.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var session int64
	if err := conn.QueryRowContext(ctx, "SELECT CONNECTION_ID()").Scan(&session); err != nil {
		return err
	}
	c.mu.Lock()
	c.session = session
	c.mu.Unlock()
	_, err = conn.ExecContext(ctx, statement)
	return err
}

// rests tells whether a statement has ended, or waits for something that does not come by itself: a commit then stands
// in the binary log, or has not begun.
func (c *sentStatement) rests() (bool, error) {
	select {
	case <-c.ended:
		return true, nil
	default:
	}
	if !c.on.up() {
		return true, nil
	}
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	seen, err := c.on.row(context.Background(), sessionState, session)
	if err != nil || seen[1] == "" { // it has not begun, or its end is on the way
		return false, err
	}
	switch state := seen[0]; {
	case seen[2] != "0": // a row's lock
		return true, nil
	case state == "waiting for handler commit":
		end, err := c.on.logEnd(context.Background())
		return end != c.logged, err
	case strings.HasPrefix(state, "Waiting for"), strings.HasPrefix(state, "Killing"):
		return true, nil
	}
	return c.ofChannel && seen[1] != "0", nil
}

// sessionState is what a session does, how many others stop a replication thread, which holds up all that has to do with
// the channel, and whether it waits for a row.
const sessionState = `SELECT processlist_state, (SELECT COUNT(*) FROM performance_schema.threads WHERE processlist_state = 'Killing replica'),
	(SELECT COUNT(*) FROM performance_schema.data_lock_waits w WHERE w.requesting_thread_id = t.thread_id)
	FROM performance_schema.threads t WHERE processlist_id = ?`

// told is what was heard, in the words of sim.Told.
func (c *sentStatement) told() string {
	select {
	case <-c.ended:
	default:
		return "nothing yet"
	}
	answer, is := errors.AsType[*mysql.MySQLError](c.err)
	switch {
	case c.err == nil:
		return "OK"
	case is && (answer.Number == 1053 || answer.Number == 3032 && c.session != 0):
		return "connection lost" // whether the server says goodbye or just closes the connection is chance
	case is:
		return fmt.Sprintf("error %d", answer.Number)
	case errors.Is(c.err, syscall.ECONNREFUSED), errors.Is(c.err, syscall.ENOENT):
		return "no connection"
	}
	return "connection lost"
}

// until asks until the answer is yes.
func (r *realServers) until(what string, holds func() (bool, error)) error {
	return (&stage{theatre: r.theatre, ctx: r.ctx}).until(what, holds)
}

// observe reads all servers that answer.
func (r *realServers) observe() []topology.Observation {
	seen := make([]topology.Observation, len(r.cast))
	var done sync.WaitGroup
	for i, a := range r.cast {
		switch a.State() {
		case local.Stopped:
			seen[i].Reach = topology.ReachRefused
		case local.Frozen:
			seen[i].Reach = topology.ReachSilent
		case local.Running:
			done.Go(func() { seen[i] = r.observer.Probe(r.ctx, topology.Address(a.Address())) })
		}
	}
	done.Wait()
	return seen
}

// tables reads what a server shows of the table that clients write to, and of its journal where it has one: while the
// statement that creates it waits for acknowledgements, a reader would wait as long.
func (r *realServers) tables(server int, hasJournal bool) (rows []int64, journal []topology.Decision, err error) {
	all, err := r.cast[server].row(r.ctx, "SELECT JSON_ARRAYAGG(id) FROM app.rows")
	if err != nil {
		return nil, nil, err
	}
	if all[0] != "" {
		if err := json.Unmarshal([]byte(all[0]), &rows); err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(rows)
	if hasJournal {
		journal, err = r.observer.Journal(r.ctx, topology.Address(r.cast[server].Address()))
	}
	return rows, journal, err
}

// unacked counts the commits of each process that completed without the acknowledgements asked for; 0 for one that does
// not answer.
func (r *realServers) unacked() ([]int64, error) {
	all := make([]int64, len(r.cast))
	for i, a := range r.cast {
		if !a.up() {
			continue
		}
		row, err := a.row(r.ctx, "SELECT variable_value FROM performance_schema.session_status WHERE variable_name = 'Rpl_semi_sync_source_no_tx'")
		if err != nil {
			return nil, err
		}
		if all[i], err = strconv.ParseInt(row[0], 10, 64); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// pause waits a moment between two looks.
func (r *realServers) pause() error {
	timer := time.NewTimer(20 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}
