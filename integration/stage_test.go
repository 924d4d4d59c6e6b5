package integration

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

// stage plays one scenario on the servers of a theatre. Commands go through the doors, as an elector's do; what somebody
// does to a server by hand, and what is looked up for an expectation, goes past them.
type stage struct {
	*theatre
	ctx     context.Context
	cast    []topology.Address // the servers of this scenario
	rules   topology.Ruleset
	elect   *mysqld.Fleet
	rivals  []*mysqld.Fleet
	writes  []*write
	numbers map[gtid.UUID]int64
	late    map[topology.Address]bool // appliers that wait for hours
	hurried map[topology.Address]time.Time
	unheard map[topology.Address]bool // sources that may have missed an acknowledgement; none is sent twice
	forgone bool                      // answered writes may get lost
	aged    bool                      // the servers are older than what a change knows of a start exactly
	broken  []string

	loop loop
}

// write is a transaction on its way.
type write struct {
	on     topology.Address
	gtid   gtid.GTID
	client bool
	conn   *sql.Conn
	db     *sql.DB
	leave  context.CancelFunc
	ended  chan struct{}
	err    error // once it has ended
	forced bool  // its server was being shut down when it ended
}

var _ scenario.Stage = (*stage)(nil)

func (th *theatre) stage(ctx context.Context) *stage {
	return &stage{theatre: th, ctx: ctx, numbers: map[gtid.UUID]int64{}, late: map[topology.Address]bool{}, hurried: map[topology.Address]time.Time{}, unheard: map[topology.Address]bool{}}
}

// close ends what the scenario has left open. The servers are cleaned by whoever comes next.
func (s *stage) close() error {
	errs := []error{s.loop.close(s)}
	for _, f := range append(s.rivals, s.elect) {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	for _, w := range s.writes {
		w.leave()
	}
	s.street.open(func(visit) bool { return true })
	errs = append(errs, s.emptyDisks(), s.together(s.order, func(a *actor) error { return a.released(s.ctx) }))
	for _, w := range s.writes {
		<-w.ended
		w.conn.Close()
		w.db.Close()
	}
	return errors.Join(errs...)
}

// released ends every commit that waits, so that no client hangs for ever.
func (a *actor) released(ctx context.Context) error {
	if !a.up() {
		return nil
	}
	waits, err := a.row(ctx, "SELECT variable_value FROM performance_schema.session_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions'")
	if err != nil || waits[0] == "0" {
		return err
	}
	return a.exec(ctx, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
}

// Build implements scenario.Stage.
func (s *stage) Build(set scenario.Setting) (scenario.Cast, error) {
	if len(set.Ruleset.Members) > len(s.order) {
		return scenario.Cast{}, scenario.Cannot("there are %d servers", len(s.order))
	}
	s.cast = s.order[:len(set.Ruleset.Members)]
	s.rules = set.Ruleset
	s.rules.Members = slices.Clone(set.Ruleset.Members)
	for i, a := range s.cast {
		s.rules.Members[i].Address = a
		if k := slices.IndexFunc(set.Ruleset.Members, func(m topology.Member) bool { return m.Address == set.Ruleset.Members[i].Source }); k >= 0 {
			s.rules.Members[i].Source = s.cast[k]
		}
	}
	s.street.open(func(visit) bool { return true })
	if err := s.together(s.order, func(a *actor) error { return a.cleaned(s.ctx) }); err != nil {
		return scenario.Cast{}, err
	}
	if err := s.age(); err != nil {
		return scenario.Cast{}, err
	}
	if err := s.connect(); err != nil {
		return scenario.Cast{}, err
	}
	cast := scenario.Cast{Ruleset: s.rules, Timing: stageTiming()}
	if err := s.ElectorDies(); err != nil || !set.Adopted {
		return cast, errors.Join(err, s.lead())
	}
	if err := s.lead(); err != nil {
		return cast, err
	}
	l, err := s.adopt()
	cast.Leadership = &l
	return cast, err
}

// age waits until nobody can take a server that the scenario before had restarted for one that restarts in this one: starts
// are known in whole seconds, with a margin of two.
func (s *stage) age() error {
	if !s.aged {
		return nil
	}
	return s.until("servers that started a while ago", func() (bool, error) {
		for _, a := range s.cast {
			r, err := s.actors[a].row(s.ctx, "SELECT variable_value >= 4 FROM performance_schema.global_status WHERE variable_name = 'Uptime'")
			if err != nil || r[0] != "1" {
				return false, err
			}
		}
		return true, nil
	})
}

// connect lets all servers follow the first.
func (s *stage) connect() error {
	ackers := s.rules.Ackers(s.cast[0])
	return s.together(s.cast[1:], func(a *actor) error {
		source := cmp.Or(s.rules.Intermediate(a.door, s.cast[0]), s.cast[0])
		return a.follows(s.ctx, source, s.fleet.Users.Replica, ackers.Has(a.door))
	})
}

// lead opens the first server for clients, and has one transaction everywhere.
func (s *stage) lead() error {
	primary, needed := s.actors[s.cast[0]], s.rules.AcksNeeded(s.cast[0])
	statements := []string{"SET GLOBAL read_only = OFF", "INSERT INTO app.rows VALUES ()"}
	if needed > 0 {
		ackers := fmt.Sprint(s.rules.Ackers(s.cast[0]).Len())
		if err := s.until("ackers", func() (bool, error) {
			c, err := primary.condition(s.ctx)
			return c.clients == ackers, err
		}); err != nil {
			return err
		}
		statements = append([]string{
			fmt.Sprintf("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = %d", needed), "SET GLOBAL rpl_semi_sync_source_enabled = ON",
		}, statements...)
	}
	if err := primary.exec(s.ctx, statements...); err != nil {
		return err
	}
	return s.Settle()
}

// adopt records the first term, the way Primacy does.
func (s *stage) adopt() (topology.Leadership, error) {
	seen, err := s.Observe()
	if err != nil {
		return topology.Leadership{}, err
	}
	op := reparent.Adoption(cleared(), reparent.Intent{
		ID: "adoption", Elector: "elector-1", Term: 1, Cause: "test", Timing: stageTiming(),
		Snapshot: topology.Snapshot{Cluster: clusterName, At: time.Now(), Ruleset: s.rules, Servers: seen},
	}, s.cast[0], time.Now())
	for op.Running() {
		results := s.elect.Do(s.ctx, orchestrator.Batch{Commands: op.Next().Commands})
		op = op.Apply(results, time.Now())
	}
	l, decided := op.Leadership()
	if !decided || op.State != reparent.StateSucceeded {
		return l, fmt.Errorf("the adoption ended %s: %+v", op.State, op.Obstacle)
	}
	return l, s.Settle()
}

// Observe implements scenario.Stage.
func (s *stage) Observe() ([]topology.Observation, error) {
	return s.elect.Observe(s.ctx, clusterName), nil
}

// ElectorDies implements scenario.Stage.
func (s *stage) ElectorDies() error {
	if s.elect != nil {
		if err := s.elect.Close(); err != nil {
			return err
		}
	}
	s.elect = s.elector("elector-1")
	s.elect.Watch(clusterName, s.cast)
	return nil
}

// Now implements scenario.Stage.
func (s *stage) Now() time.Time { return time.Now() }

// Look implements scenario.Stage.
func (s *stage) Look(a topology.Address) (topology.Observation, error) {
	o := s.truth.Probe(s.ctx, topology.Address(s.actors[a].Address()))
	o.Address = a
	if s.actors[a].up() && !o.OK() {
		return o, fmt.Errorf("%s runs and does not answer: %s", a, o.Error)
	}
	return o, nil
}

// Answered implements scenario.Stage.
func (s *stage) Answered() (gtid.Set, error) { return s.answered(true), nil }

// answered are the writes whose client was told OK; forced ones are those of which MySQL said so on its way out.
func (s *stage) answered(forced bool) gtid.Set {
	var told []gtid.GTID
	for _, w := range s.writes {
		if w.client && w.over() && w.failure() == nil && (forced || !w.forced) {
			told = append(told, w.gtid)
		}
	}
	return gtid.Of(told...)
}

func (w *write) over() bool {
	select {
	case <-w.ended:
		return true
	default:
		return false
	}
}

// failure is how a transaction failed; nil while it has not.
func (w *write) failure() error {
	if w.over() {
		return w.err
	}
	return nil
}

// Broken implements scenario.Stage.
func (s *stage) Broken() []string {
	s.judged()
	return s.broken
}

func (s *stage) claim(holds bool, format string, values ...any) {
	if !holds {
		s.broken = append(s.broken, fmt.Sprintf(format, values...))
	}
}

// Do implements scenario.Stage. Commands with a fate are handed over one by one, for something happens around them.
func (s *stage) Do(orders []scenario.Order) ([]reparent.Result, error) {
	commands, fated := make([]reparent.Command, len(orders)), false
	for i, o := range orders {
		commands[i], fated = o.Command, fated || o.Fate != ""
	}
	var results []reparent.Result
	var err error
	if fated {
		results, err = s.doFated(orders)
	} else {
		results = s.elect.Do(s.ctx, orchestrator.Batch{Commands: commands})
	}
	return results, errors.Join(err, s.claims(commands, results))
}

func (s *stage) doFated(orders []scenario.Order) ([]reparent.Result, error) {
	queues := map[topology.Address][]int{}
	for i, o := range orders {
		queues[o.Server] = append(queues[o.Server], i)
	}
	results := make([]reparent.Result, len(orders))
	err := s.together(slices.Collect(maps.Keys(queues)), func(a *actor) error {
		for at, i := range queues[a.door] {
			r, err := s.suffer(a, orders[i])
			results[i] = r
			if err != nil || !r.Done() {
				for _, later := range queues[a.door][at+1:] {
					results[later] = reparent.Result{Outcome: reparent.Skipped}
				}
				return err
			}
		}
		return nil
	})
	return results, err
}

// suffer lets one command meet its fate.
func (s *stage) suffer(a *actor, o scenario.Order) (reparent.Result, error) {
	do := func() reparent.Result {
		return s.elect.Do(s.ctx, orchestrator.Batch{Commands: []reparent.Command{o.Command}})[0]
	}
	switch o.Fate {
	case scenario.Refused:
		return reparent.Result{Outcome: reparent.No, Reason: reparent.ReasonUnreachable}, nil
	case scenario.Dropped:
		return reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonDeadline}, nil
	case scenario.Lost:
		do()
		return reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonDeadline}, nil
	case scenario.Crashed:
		err := a.Kill()
		return do(), err
	case scenario.Restarted:
		err := errors.Join(a.Kill(), a.Start(s.ctx))
		return do(), err
	}
	return do(), nil
}

// claims are made after each step: at most one server can complete writes, and no decision that was marked gives up
// what a client was told.
func (s *stage) claims(commands []reparent.Command, results []reparent.Result) error {
	var able []string
	for _, a := range s.cast {
		completes, err := s.completes(a)
		if err != nil {
			return err
		}
		if completes {
			able = append(able, string(a))
		}
	}
	s.claim(len(able) <= 1, "%v: %s can complete writes", commands, strings.Join(able, " and "))
	for i, c := range commands {
		if c.Verb == reparent.Mark && results[i].Done() && !s.forgone && c.Decision.Kind != string(reparent.KindAdoption) {
			lost := s.answered(false).Subtract(c.Decision.Base)
			s.claim(lost.IsEmpty(), "the marker of term %d gives up %s, which clients were told is committed", c.Decision.Term, lost)
		}
	}
	return nil
}

// completes tells whether a client's commit on a server can be answered as things are.
func (s *stage) completes(a topology.Address) (bool, error) {
	primary, err := s.Look(a)
	if err != nil || !primary.Writable() {
		return false, err
	}
	if semi := primary.SemiSync; !semi.SourceEnabled || semi.Timeout < topology.TimeoutInfinite {
		return true, nil
	}
	ackers := 0
	for _, b := range s.cast {
		o, err := s.Look(b)
		if err != nil {
			return false, err
		}
		if r := o.Replication; r != nil && r.Source == a && r.Receiver == topology.ThreadOn && o.SemiSync.ReplicaEnabled {
			ackers++
		}
	}
	return ackers >= primary.SemiSync.Acks, nil
}

// Write implements scenario.Stage.
func (s *stage) Write(on topology.Address) (gtid.GTID, error) {
	a := s.actors[on]
	if !a.up() {
		return gtid.GTID{}, nil
	}
	app := s.fleet.Users.App
	w, err := s.begin(a, fmt.Sprintf("%s:%s@tcp(%s)/?interpolateParams=true", app.Name, app.Password, a.Address()), gtid.GTID{})
	if err != nil || refusedWrite(w.failure()) {
		return gtid.GTID{}, err
	}
	w.client = true
	return w.gtid, nil
}

// refusedWrite tells whether a server takes no writes: it is read-only, or in offline mode.
func refusedWrite(err error) bool {
	refusal, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && (refusal.Number == 1290 || refusal.Number == 3032)
}

// Enter implements scenario.Stage. It is root's transaction, whom read_only does not stop.
func (s *stage) Enter(on topology.Address, g gtid.GTID) (gtid.GTID, error) {
	a := s.actors[on]
	was, err := a.row(s.ctx, "SELECT @@GLOBAL.super_read_only")
	if err != nil {
		return g, err
	}
	if was[0] == "1" {
		if err := a.exec(s.ctx, "SET GLOBAL super_read_only = OFF"); err != nil {
			return g, err
		}
	}
	w, err := s.begin(a, a.AdminDSN(), g)
	if err == nil {
		err = w.failure()
	}
	if err == nil && was[0] == "1" {
		err = a.exec(s.ctx, "SET GLOBAL super_read_only = ON")
	}
	if err != nil {
		return g, err
	}
	return w.gtid, nil
}

// begin starts a transaction and returns when it has ended or waits in its commit.
func (s *stage) begin(a *actor, dsn string, g gtid.GTID) (*write, error) {
	g, err := s.numbered(a, g)
	if err != nil {
		return nil, err
	}
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	w := &write{on: a.door, gtid: g, db: sql.OpenDB(connector), ended: make(chan struct{})}
	if w.conn, err = w.db.Conn(s.ctx); err != nil {
		w.err = err
		close(w.ended)
		w.db.Close()
		if refusedWrite(err) {
			return w, nil
		}
		return w, err
	}
	return w, s.commit(a, w)
}

// numbered gives a transaction its server's next number.
func (s *stage) numbered(a *actor, g gtid.GTID) (gtid.GTID, error) {
	if g.Number > 0 {
		return g, nil
	}
	r, err := a.row(s.ctx, "SELECT @@server_uuid")
	if err != nil {
		return g, err
	}
	c, err := a.condition(s.ctx)
	if err != nil {
		return g, err
	}
	if g, err = gtid.ParseGTID(r[0] + ":1"); err != nil {
		return g, err
	}
	g.Number = max(c.logged.Union(c.position).Next(g.Source()), s.numbers[g.UUID]+1)
	s.numbers[g.UUID] = g.Number
	return g, nil
}

// waiting are the states of a commit that waits, itself or behind another one.
const waiting = `SELECT 1 FROM performance_schema.threads WHERE processlist_id = ? AND
	(processlist_state LIKE 'Waiting for semi-sync ACK%' OR processlist_state = 'waiting for handler commit')`

// commit begins a commit. One that waits has to stand in the binary log: a crash would take it away otherwise.
func (s *stage) commit(a *actor, w *write) error {
	var id int64
	if err := w.conn.QueryRowContext(s.ctx, "SELECT CONNECTION_ID()").Scan(&id); err != nil {
		return err
	}
	if _, err := w.conn.ExecContext(s.ctx, "SET gtid_next = '"+w.gtid.String()+"'"); err != nil {
		return err
	}
	before, err := a.logEnd(s.ctx)
	if err != nil {
		return err
	}
	s.insert(w)
	return s.until("a commit that waits or has ended", func() (bool, error) {
		if w.over() {
			return true, nil
		}
		r, err := a.row(s.ctx, waiting, id)
		if err != nil || r[0] != "1" {
			return false, err
		}
		end, err := a.logEnd(s.ctx)
		return end != before, err
	})
}

func (s *stage) insert(w *write) {
	statement := "INSERT INTO app.rows VALUES ()"
	if _, marker := topology.MarkerOf(w.gtid.UUID); marker {
		statement = "COMMIT" // an empty transaction under that GTID
	}
	ctx, leave := context.WithCancel(s.ctx)
	w.leave, s.writes = leave, append(s.writes, w)
	go func() {
		defer close(w.ended)
		_, w.err = w.conn.ExecContext(ctx, statement)
	}()
}

// logEnd is where the binary log ends.
func (a *actor) logEnd(ctx context.Context) (string, error) {
	r, err := a.row(ctx, "SHOW BINARY LOG STATUS")
	if err != nil {
		return "", err
	}
	return r[0] + ":" + r[1], nil
}

// until asks until the answer is yes.
func (s *stage) until(what string, holds func() (bool, error)) error {
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		yes, err := holds()
		if yes || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("never saw: %s", what)
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// Settle implements scenario.Stage.
func (s *stage) Settle() error {
	var restless string
	err := s.until("rest", func() (rest bool, err error) {
		restless, err = s.restless()
		return restless == "", err
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, restless)
	}
	return nil
}

// restless says what still moves; empty when nothing does.
func (s *stage) restless() (string, error) {
	var mu sync.Mutex
	all := map[topology.Address]condition{}
	err := s.together(s.cast, func(a *actor) error {
		if !a.up() {
			return nil
		}
		c, err := a.condition(s.ctx)
		mu.Lock()
		defer mu.Unlock()
		all[a.door] = c
		return err
	})
	if err != nil {
		return "", err
	}
	for _, a := range s.cast {
		if c, up := all[a]; up {
			if why := s.moves(a, c, all); why != "" {
				return fmt.Sprintf("%s: %s", a, why), nil
			}
		}
	}
	return s.untold(all), nil
}

// moves says what a server is still about to do.
func (s *stage) moves(a topology.Address, c condition, all map[topology.Address]condition) string {
	ackers, loud := s.ackersOf(a, all)
	needed, _ := strconv.Atoi(c.acks)
	switch {
	case c.clients != strconv.Itoa(ackers):
		return fmt.Sprintf("%s semi-sync clients are counted, and there are %d", c.clients, ackers)
	case c.sourcing && c.waiters != "0" && loud >= needed && !s.unheard[a]:
		return c.waiters + " sessions wait for acknowledgements that must come"
	case c.waiters == "0" && !c.executed.Contains(c.logged):
		return fmt.Sprintf("%s are being committed", c.logged.Subtract(c.executed))
	case c.applier == "ON" && !c.executed.Contains(c.position) && !s.late[a] && c.waiters == "0":
		return fmt.Sprintf("%s are not applied", c.position.Subtract(c.executed))
	}
	return s.receives(a, c, all)
}

// ackersOf counts who is attached to a server, and who of them is heard.
func (s *stage) ackersOf(a topology.Address, all map[topology.Address]condition) (attached, loud int) {
	for b, r := range all {
		if r.receiver == "ON" && r.acker && s.byPort(r.source) == a {
			attached++
			if !s.street.isMute(visit{b, a}) {
				loud++
			}
		}
	}
	return attached, loud
}

func (s *stage) byPort(port string) topology.Address {
	for _, a := range s.order {
		if strings.HasSuffix(string(a), ":"+port) {
			return a
		}
	}
	return ""
}

func (s *stage) receives(a topology.Address, c condition, all map[topology.Address]condition) string {
	source := s.byPort(c.source)
	p, up := all[source]
	apart := !up || p.offline || s.street.isShut(visit{a, source})
	switch {
	case c.receiver == "ON" && apart:
		return "it has not noticed yet that its source is gone"
	case c.receiver == "ON" && !c.position.Union(c.logged).Contains(p.logged):
		return fmt.Sprintf("%s are not received", p.logged.Subtract(c.position))
	case c.receiver == "CONNECTING" && !apart:
		s.hurry(a)
		return fmt.Sprintf("it connects to %s (error %s)", source, c.errno)
	}
	return ""
}

// hurry restarts a receiver that sits out the second between two attempts; an attempt itself takes a while.
func (s *stage) hurry(a topology.Address) {
	if time.Since(s.hurried[a]) < time.Second {
		return
	}
	s.hurried[a] = time.Now()
	_ = s.actors[a].exec(s.ctx, "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD") // if it fails it is seen again
}

// untold says whose client has not heard yet what it will be told.
func (s *stage) untold(all map[topology.Address]condition) string {
	for _, w := range s.writes {
		if c, up := all[w.on]; !w.over() && (!up || c.executed.Has(w.gtid)) {
			return fmt.Sprintf("the client of %s has not heard yet", w.gtid)
		}
	}
	return ""
}
