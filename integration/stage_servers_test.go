package integration

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// theatre is real servers on which many scenarios are played, one after the other. They are cleaned between two, which
// takes a fraction of the time in which new ones would start.
type theatre struct {
	fleet  *local.Fleet
	street *street
	actors map[topology.Address]*actor
	order  []topology.Address
	disks  disks
	// truth sees the servers as they are, past all doors.
	truth *mysqld.Fleet
}

// actor is one server of a theatre.
type actor struct {
	*local.Server
	door topology.Address

	mu  sync.Mutex
	db  *sql.DB // of root
	dsn string
}

// openTheatre starts the servers. They replicate again after a restart, as MySQL does by default. Applications may choose the GTIDs of their transactions: that is how a scenario
// knows which one it wrote.
func openTheatre(t *testing.T, servers int, disks disks) *theatre {
	t.Helper()
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{
		Servers: servers,
		Schema:  []string{"CREATE TABLE app.rows (id BIGINT PRIMARY KEY AUTO_INCREMENT)", "GRANT SESSION_VARIABLES_ADMIN ON *.* TO `app`@'%'"},
		Options: map[string]string{"skip_replica_start": "OFF"}, PerServer: disks.options,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	th := &theatre{fleet: fleet, street: newStreet(t, fleet), actors: map[topology.Address]*actor{}, disks: disks}
	for i, s := range fleet.Servers {
		a := &actor{Server: s, door: th.street.doors[i].address()}
		th.actors[a.door], th.order = a, append(th.order, a.door)
		t.Cleanup(a.hangUp)
	}
	th.street.dumps = th.dumps
	th.truth = th.elector("nobody")
	th.truth.Watch(clusterName, th.addresses())
	t.Cleanup(func() { th.truth.Close() })
	return th
}

// dumps tells whether a server sends its binary log over a connection from that port.
func (th *theatre) dumps(server topology.Address, port int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := th.actors[server].row(ctx, "SELECT command FROM performance_schema.processlist WHERE host = ?", fmt.Sprintf("127.0.0.1:%d", port))
	return err == nil && strings.HasPrefix(r[0], "Binlog Dump")
}

// addresses are the servers' own, past the doors.
func (th *theatre) addresses() []topology.Address {
	var all []topology.Address
	for _, s := range th.fleet.Servers {
		all = append(all, topology.Address(s.Address()))
	}
	return all
}

// elector is a fleet of its own, as a process of that name would have it.
func (th *theatre) elector(name string) *mysqld.Fleet {
	users := th.fleet.Users
	return mysqld.NewFleet(mysqld.Settings{
		User: users.Primacy.Name, Password: fixed(users.Primacy.Password), Elector: name, ProbeTimeout: 10 * time.Second,
		ReplicationUser: users.Replica.Name, ReplicationPassword: fixed(users.Replica.Password),
	})
}

// together does something to several servers at the same time.
func (th *theatre) together(servers []topology.Address, do func(*actor) error) error {
	errs := make([]error, len(servers))
	var done sync.WaitGroup
	for i, a := range servers {
		done.Go(func() { errs[i] = do(th.actors[a]) })
	}
	done.Wait()
	return errors.Join(errs...)
}

// hangUp ends root's connections.
func (a *actor) hangUp() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.db != nil {
		a.db.Close()
	}
	a.db, a.dsn = nil, ""
}

// Start is that of the server. Connections to the process before it are no good any more.
func (a *actor) Start(ctx context.Context) error {
	a.hangUp()
	return a.Server.Start(ctx)
}

// Rebuild is that of the server, which is reached at another socket then.
func (a *actor) Rebuild(ctx context.Context) error {
	a.hangUp()
	return a.Server.Rebuild(ctx)
}

// root is a handle of the superuser.
func (a *actor) root() (*sql.DB, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	dsn := a.AdminDSN()
	if a.dsn == dsn {
		return a.db, nil
	}
	config, err := mysql.ParseDSN(dsn + "&multiStatements=true")
	if err != nil {
		return nil, err
	}
	config.Logger = &mysql.NopLogger{} // servers are killed under it
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	a.db, a.dsn = sql.OpenDB(connector), dsn
	return a.db, nil
}

// exec runs statements one after the other, each with a connection of its own if need be.
func (a *actor) exec(ctx context.Context, statements ...string) error {
	db, err := a.root()
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %s: %w", a.door, statement, err)
		}
	}
	return nil
}

// row reads one row as text; NULL is empty. No row at all is empty too.
func (a *actor) row(ctx context.Context, query string, args ...any) ([]string, error) {
	db, err := a.root()
	if err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", a.door, query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		return make([]string, len(names)), errors.Join(err, rows.Err())
	}
	cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	err = rows.Scan(into...)
	texts := make([]string, len(names))
	for i, cell := range cells {
		texts[i] = cell.String
	}
	return texts, err
}

// up tells whether the process runs.
func (a *actor) up() bool { return a.State() == local.Running }

// revived starts the process if it does not run.
func (a *actor) revived(ctx context.Context) error {
	if a.up() {
		return nil
	}
	return a.Start(ctx)
}

// cleaned makes a server as it was at the beginning: closed, empty, following nobody, with its settings.
func (a *actor) cleaned(ctx context.Context) error {
	if err := a.revived(ctx); err != nil {
		return err
	}
	if err := a.exec(ctx, "RESET PERSIST IF EXISTS skip_replica_start", "RESET PERSIST IF EXISTS relay_log_recovery"); err != nil {
		return err
	}
	if recovers, err := a.row(ctx, "SELECT @@GLOBAL.relay_log_recovery, @@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.skip_replica_start"); err != nil {
		return err
	} else if recovers[0] == "1" || recovers[2] == "1" {
		if err := errors.Join(a.Kill(), a.Start(ctx)); err != nil {
			return err
		}
	} else if recovers[1] == "1" {
		// It lets go of whatever waits, and takes a second.
		if err := a.exec(ctx, "SET GLOBAL rpl_semi_sync_source_enabled = OFF"); err != nil {
			return err
		}
	}
	if err := (&stage{ctx: ctx}).until("the end of all statements of electors that have gone", a.idles); err != nil {
		return err
	}
	return a.exec(ctx, "STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL offline_mode = OFF", "SET GLOBAL super_read_only = OFF",
		"SET SESSION sql_log_bin = OFF; DROP DATABASE IF EXISTS _primacy; TRUNCATE app.rows; SET SESSION sql_log_bin = ON",
		"SET GLOBAL rpl_semi_sync_source_timeout = 4294967295", "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1",
		"SET GLOBAL rpl_semi_sync_replica_enabled = ON", a.forget(), "SET GLOBAL super_read_only = ON")
}

// forget empties the binary log; the words changed with 8.4.
func (a *actor) forget() string { return "RESET BINARY LOGS AND GTIDS" }

// follows points a server at another one's door.
func (a *actor) follows(ctx context.Context, source topology.Address, account local.Account, acks bool) error {
	_, port, _ := strings.Cut(string(source), ":")
	acker := "OFF"
	if acks {
		acker = "ON"
	}
	return a.exec(ctx, "SET GLOBAL rpl_semi_sync_replica_enabled = "+acker,
		fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = %s, SOURCE_USER = '%s', SOURCE_PASSWORD = '%s', "+
			"SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_HEARTBEAT_PERIOD = 0.5, SOURCE_CONNECT_RETRY = 1, SOURCE_DELAY = 0",
			port, account.Name, account.Password), "START REPLICA")
}

// condition is what a server is doing, for those who wait until it does no more.
type condition struct {
	executed, logged, position gtid.Set
	source                     string // the port that it receives from; empty for none
	receiver, applier          string
	errno                      string
	waiters, clients, acks     string
	sourcing, acker, offline   bool
}

const conditionQuery = `SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_owned, c.port, s.service_state, a.service_state, s.last_error_number,
	s.received_transaction_set, v.waiters, v.clients, @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count,
	@@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.rpl_semi_sync_replica_enabled, @@GLOBAL.offline_mode
	FROM (SELECT MAX(IF(variable_name = 'Rpl_semi_sync_source_wait_sessions', variable_value, NULL)) AS waiters,
	MAX(IF(variable_name = 'Rpl_semi_sync_source_clients', variable_value, NULL)) AS clients FROM performance_schema.session_status
	WHERE variable_name LIKE 'Rpl\_semi\_sync\_source%') AS v
	LEFT JOIN performance_schema.replication_connection_configuration c ON c.channel_name = ''
	LEFT JOIN performance_schema.replication_connection_status s ON s.channel_name = ''
	LEFT JOIN performance_schema.replication_applier_status a ON a.channel_name = ''`

func (a *actor) condition(ctx context.Context) (condition, error) {
	r, err := a.row(ctx, conditionQuery)
	if err != nil {
		return condition{}, err
	}
	c := condition{
		source: r[2], receiver: r[3], applier: r[4], errno: r[5], waiters: r[7], clients: r[8], acks: r[9],
		sourcing: r[10] == "1", acker: r[11] == "1", offline: r[12] == "1",
	}
	c.executed, err = gtid.Parse(r[0])
	owned, err2 := ownedSet(r[1])
	received, err3 := gtid.Parse(r[6])
	c.logged, c.position = c.executed.Union(owned), c.executed.Union(received)
	return c, errors.Join(err, err2, err3)
}

// ownedSet reads gtid_owned: what sessions are committing, each with the number of its thread: "uuid:7#12:8#13".
func ownedSet(text string) (gtid.Set, error) {
	var owned gtid.Set
	for part := range strings.SplitSeq(text, ",") {
		uuid, numbers, _ := strings.Cut(strings.TrimSpace(part), ":")
		for number := range strings.SplitSeq(numbers, ":") {
			number, _, _ = strings.Cut(number, "#")
			if number == "" {
				continue
			}
			one, err := gtid.Parse(uuid + ":" + number)
			if err != nil {
				return owned, err
			}
			owned = owned.Union(one)
		}
	}
	return owned, nil
}

// stageTiming is short where a scenario waits for what never comes, and gives statements the time that they take on a machine
// whose processors others use.
func stageTiming() reparent.Timing {
	t := reparent.DefaultTiming()
	t.Freeze, t.Fetch, t.Follow, t.Mark, t.Drain, t.Gate, t.GateTries = 10*time.Second, 10*time.Second, 10*time.Second, 5*time.Second, 5*time.Second, 2*time.Second, 3
	return t
}
