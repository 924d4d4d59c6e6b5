package integration

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// TestModelAgreesWithRealServers plays random programs on the simulator's servers and on real ones, and compares what
// can be observed of them after each action. A seed is played again with -run TestModelAgreesWithRealServers/seed=N, and
// PRIMACY_MODEL_PROGRAMS=N plays so many fresh ones.
func TestModelAgreesWithRealServers(t *testing.T) {
	theatres := pool{t: t}
	for _, seed := range seeds() {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			th := theatres.take(3)
			defer theatres.give(th)
			th.compare(t, programOf(seed))
		})
	}
}

// Programs that are always played: those that have shown a difference once, and some that have not, of which the second row
// has clones, lost data, cut networks, losses of power and writes by the superuser.
var (
	shownOnce = []uint64{1515015368, 1570964644, 1969393730, 2437178994, 1940798747, 721096288, 4163645640, 3070082357, 1903481931, 1167706425, 545105758, 539754536}
	pinned    = []uint64{
		1, 2, 3,
		rareScenes + 88, rareScenes + 97, rareScenes + 102, rareScenes + 174,
	}
)

// seeds are those that were asked for by name, or some that are always the same and a fresh one of each kind.
func seeds() []uint64 {
	if named := regexp.MustCompile(`/seed=(\d+)`).FindStringSubmatch(flag.Lookup("test.run").Value.String()); named != nil {
		seed, err := strconv.ParseUint(named[1], 10, 64)
		if err == nil {
			return []uint64{seed}
		}
	}
	all := slices.Concat(shownOnce, pinned)
	fresh, _ := strconv.Atoi(os.Getenv("PRIMACY_MODEL_PROGRAMS"))
	for range max(1, fresh) {
		all = append(all, uint64(rand.Uint32()), rareScenes+uint64(rand.Uint32()))
	}
	return all
}

// The rare scenes would rest on one fresh program without those that are pinned.
func TestPinnedProgramsHaveEveryRareScene(t *testing.T) {
	played := map[deed]int{}
	for _, seed := range pinned {
		for _, a := range programOf(seed).actions {
			played[a.deed]++
		}
	}
	for _, d := range []deed{rootWrites, wipeServer, cloneServer, cutPair, mendPair, superOff} {
		if played[d] == 0 {
			t.Errorf("no pinned program has: %s", d)
		}
	}
}

// compare plays a program and, when it shows a difference, looks for a shorter one that does.
func (th *theatre) compare(t *testing.T, p modelProgram) {
	at, difference, err := th.firstDifference(t.Context(), p, patienceOfModel)
	if err != nil {
		t.Fatalf("%v\n%s", err, p)
	}
	if difference == "" {
		return
	}
	p.actions = p.actions[:max(0, at+1)]
	t.Errorf("after action %d: %s\n%sagain: go test ./integration -run 'TestModelAgreesWithRealServers/seed=%d$'", at+1, difference, p, p.seed)
	p, difference = th.shrunk(t.Context(), p, difference)
	t.Logf("shorter: %s\n%s", difference, p)
}

// shrinkTime bounds the search for a shorter program. Its verdicts may be rash, for the full program's stands.
const (
	shrinkTime     = 90 * time.Second
	shrinkPatience = 9 * time.Second
)

// shrunk leaves actions out, the last first, as long as the sides still differ in the end. Other differences than the
// first are as good.
func (th *theatre) shrunk(ctx context.Context, p modelProgram, difference string) (modelProgram, string) {
	began := time.Now()
	for i := len(p.actions) - 2; i >= 0 && time.Since(began) < shrinkTime; i-- {
		shorter := p
		shorter.actions = slices.Delete(slices.Clone(p.actions), i, i+1)
		if _, still, err := th.firstDifference(ctx, shorter, shrinkPatience); err == nil && still != "" {
			p, difference = shorter, still
		}
	}
	return p, difference
}

// firstDifference plays a program on both sides until they differ.
func (th *theatre) firstDifference(ctx context.Context, p modelProgram, patience time.Duration) (at int, difference string, err error) {
	real, err := openReal(ctx, th, p.boots)
	if err != nil {
		return 0, "", err
	}
	c, err := newComparison(real, p)
	if err == nil {
		c.patience = patience
		at, difference, err = c.play(p)
		c.model.Close()
	}
	if closeErr := real.close(); err == nil {
		err = closeErr
	}
	return at, difference, err
}

// comparison is both sides of a program that is being played.
type comparison struct {
	names
	real  *realServers
	model *sim.Model
	told  []*sim.Told // as many as there are real.calls
	rows  int64
	sides [2]view // the model's, the real servers'
	// unacked is what the real servers' processes count beyond the model's.
	unacked []surplus
	// byChance tells of which servers chance has to say how many commits the action completes without acknowledgements.
	byChance []bool
	// patience is how long the real servers may take to get where the model is at rest.
	patience time.Duration
	// inOrder tells whether the server that was shut down last in the model ended by itself.
	inOrder bool
}

// surplus is how many commits without acknowledgements a process counts that have no counterpart in the model.
type surplus struct {
	process string
	commits int64
}

// view is what a side looked like when it rested last, and when the program began.
type view struct {
	now   []topology.Observation
	first []string // incarnations
}

func newComparison(real *realServers, p modelProgram) (*comparison, error) {
	c := &comparison{names: names{addresses: real.all(), source: real.sourceOf}, real: real}
	seen := real.observe()
	var servers []sim.ModelServer
	for i, o := range seen {
		if !o.OK() {
			return nil, fmt.Errorf("%s does not answer: %s", serverName(i), o.Error)
		}
		c.lives = append(c.lives, []gtid.UUID{o.UUID})
		boot := p.boots[i]
		servers = append(servers, sim.ModelServer{
			Address: c.addresses[i], UUID: o.UUID, ServerID: o.ServerID,
			BootReadOnly: boot.readOnly, SkipReplicaStart: boot.skipReplicaStart, RelayLogRecovery: boot.recovery,
		})
	}
	unacked, err := real.unacked()
	if err != nil {
		return nil, err
	}
	for i, o := range seen {
		c.unacked = append(c.unacked, surplus{o.Incarnation, unacked[i]})
	}
	c.byChance = make([]bool, len(seen))
	c.model = sim.NewModel(p.seed, servers)
	c.sides[0].now, c.sides[1].now = c.observeModel(), seen
	for i := range c.sides {
		for _, o := range c.sides[i].now {
			c.sides[i].first = append(c.sides[i].first, o.Incarnation)
		}
	}
	return c, nil
}

// play goes through the prologue and the program. The prologue's actions have negative numbers.
func (c *comparison) play(p modelProgram) (at int, difference string, err error) {
	for i, a := range slices.Concat(prologue, p.actions) {
		difference, err = c.step(a)
		if err != nil {
			err = fmt.Errorf("action %d, %s: %w", i-len(prologue)+1, a, err)
		}
		if difference != "" || err != nil {
			return i - len(prologue), difference, err
		}
	}
	return 0, "", nil
}

// step plays one action on both sides.
func (c *comparison) step(a action) (difference string, err error) {
	if c.leftOut(a) {
		return "", nil
	}
	if a.deed == clientWrites || a.deed == rootWrites {
		c.rows++
	}
	modelResults, ended := c.playModel(a)
	if !ended {
		return "the model's commands never end", nil
	}
	commands := c.commands(a, c.sides[1])
	for i, o := range a.orders {
		commands[i].Source = c.real.path(o.server, o.source)
	}
	for i, r := range modelResults {
		if r.Took < deadline*9/10 { // what does not hang may take as long as it takes
			commands[i].Deadline = patienceOfModel
		}
	}
	realResults, err := c.real.play(a, commands, c.rows, c.inOrder)
	if err != nil {
		return "", err
	}
	if a.deed == wipeServer {
		if err := c.reborn(a.server); err != nil {
			return "", err
		}
	}
	c.model.Rest(30 * time.Second)
	for i := range c.byChance {
		c.byChance[i] = c.countsByChance(a, i)
	}
	var fromModel, fromReal state
	results(&fromModel, a.orders, modelResults)
	results(&fromReal, a.orders, realResults)
	if difference = fromModel.differs(fromReal); difference != "" {
		return difference + details(modelResults, realResults), nil
	}
	if difference, err = c.agrees(); difference == "" && err == nil {
		err = c.adoptChance()
	}
	return difference, err
}

// countsByChance tells whether chance says how many commits of a server the action has completed without their
// acknowledgements. A source that is to follow starts its receiver and then switches its source side off. What arrives
// before that waits and is counted once it is let go, and what arrives later is not counted. Real receivers need some 25 to
// 250 ms after START REPLICA for their first transaction, by how busy the machine is; the model's are faster.
func (c *comparison) countsByChance(a action, server int) bool {
	before := c.sides[0].now[server]
	follows := func(o order) bool { return o.verb == reparent.Follow && o.server == server }
	return slices.ContainsFunc(a.orders, follows) && before.SemiSync.SourceEnabled &&
		!c.model.Observe(c.addresses[server]).Executed.Equal(before.Executed)
}

// adoptChance has the counts that were up to chance agree, so that those of later actions can be compared.
func (c *comparison) adoptChance() error {
	if !slices.Contains(c.byChance, true) {
		return nil
	}
	real, err := c.real.unacked()
	if err != nil {
		return err
	}
	for i, chance := range c.byChance {
		if chance {
			c.unacked[i] = surplus{c.sides[1].now[i].Incarnation, real[i] - c.model.Unacked(c.addresses[i])}
		}
	}
	return nil
}

// leftOut tells whether an action is not played as things are.
func (c *comparison) leftOut(a action) bool {
	switch a.deed {
	case startApplier, changeSource:
		// Without a source an applier runs on nothing, and a channel is one by file and position: the model has neither.
		return c.sides[0].now[a.server].Replication == nil
	case shutDownProcess:
		// A server on its way out ends all sessions, one after the other, and lets the commit go that SET super_read_only
		// waits for. What this statement and the writes behind it hear, and whether these happen, is up to who comes first:
		// measured were OK, 1317, 1290 and a lost connection.
		return c.sides[0].now[a.server].Stall.ReadOnlyWait
	case purge:
		// FLUSH BINARY LOGS waits for commits that wait for acknowledgements, with a lock on the log that everybody else then
		// waits for as well. The model purges what is before them. A frozen server would do it once it goes on, with no telling
		// whether its dump threads have left the old file by then.
		return c.sides[0].now[a.server].SemiSync.Waiters > 0 || c.frozen(c.addresses[a.server])
	case freezeProcess:
		// A receiver that is refused tries again every second. One that is frozen out in the middle of its login sits there with
		// the error that it had, and one between two logins fails anew.
		return c.refuses(c.addresses[a.server])
	case electorActs:
		return c.stopsByChance(a)
	case cloneServer:
		// It is left to others to say what a clone needs: the suite clones from a server that is at rest to one that is open.
		// One that feeds replicas removes its binary logs under their dump threads: some of these end with 13114 for good,
		// others connect again.
		recipient, donor := c.sides[0].now[a.server], c.sides[0].now[a.source]
		return c.feeds(a.server) || !recipient.OK() || !donor.OK() || recipient.ReadOnly || recipient.SemiSync.Waiters > 0 || donor.SemiSync.Waiters > 0
	case cutPair:
		// One that tries to log in is cut off in the middle of it, or between two attempts.
		return c.tries(a.server, a.source) || c.tries(a.source, a.server)
	}
	return false
}

// feeds tells whether a server has replicas.
func (c *comparison) feeds(source int) bool {
	return slices.ContainsFunc(c.sides[0].now, func(o topology.Observation) bool {
		return o.Replication != nil && o.Replication.Source == c.addresses[source] && o.Replication.Receiver != topology.ThreadOff
	})
}

// tries tells whether a receiver tries to log in at a source.
func (c *comparison) tries(replica, source int) bool {
	r := c.sides[0].now[replica].Replication
	return r != nil && r.Source == c.addresses[source] && r.Receiver == topology.ThreadConnecting
}

// reborn makes the model's server, which was wiped, have the names that the real one has got.
func (c *comparison) reborn(server int) error {
	o := c.real.observe()[server]
	if !o.OK() {
		return fmt.Errorf("%s does not answer after it was wiped: %s", serverName(server), o.Error)
	}
	c.lives[server] = append(c.lives[server], o.UUID)
	c.model.Rename(c.addresses[server], o.UUID, o.ServerID)
	return nil
}

// stopsByChance tells whether what commands do depends on when they come. A receiver whose source is frozen tries to log in
// for seconds, in which nothing stops it, and then pauses, when it stops at once.
func (c *comparison) stopsByChance(a action) bool {
	return slices.ContainsFunc(a.orders, func(o order) bool {
		stops := o.verb == reparent.Freeze || o.verb == reparent.Follow || o.verb == reparent.Detach
		r := c.sides[0].now[o.server].Replication
		return stops && r != nil && r.Receiver == topology.ThreadConnecting && (c.frozen(r.Source) || c.model.Parted(c.addresses[o.server], r.Source))
	})
}

// refuses tells whether receivers try in vain to log in at a server that runs.
func (c *comparison) refuses(source topology.Address) bool {
	return slices.ContainsFunc(c.sides[0].now, func(o topology.Observation) bool {
		r := o.Replication
		return r != nil && r.Source == source && r.Receiver == topology.ThreadConnecting
	})
}

func (c *comparison) frozen(a topology.Address) bool {
	return c.model.Observe(a).Reach == topology.ReachSilent
}

func details(model, real []reparent.Result) string {
	var b strings.Builder
	for i := range model {
		fmt.Fprintf(&b, "\n   the model said %q, the real server %q", model[i].Detail, real[i].Detail)
	}
	return b.String()
}

func (c *comparison) playModel(a action) (results []reparent.Result, ended bool) {
	m, on := c.model, c.addresses[a.server]
	switch a.deed {
	case electorActs:
		return m.Do(a.elector, c.commands(a, c.sides[0]))
	case clientWrites, clientRepeats:
		c.told = append(c.told, m.Write(on, c.rows))
	case rootWrites:
		c.told = append(c.told, m.WriteAsRoot(on, c.rows))
	case wipeServer:
		m.Wipe(on)
	case cloneServer:
		m.Clone(on, c.addresses[a.source])
	case cutPair, mendPair:
		m.Part(on, c.addresses[a.source], a.deed == cutPair)
	case killProcess:
		m.Kill(on)
	case startProcess:
		m.Start(on)
	case shutDownProcess:
		c.inOrder = m.ShutDown(on)
	case freezeProcess:
		m.Freeze(on)
	case thawProcess:
		m.Thaw(on)
	default:
		c.told = append(c.told, c.byHand(a))
	}
	return nil, true
}

func (c *comparison) byHand(a action) *sim.Told {
	m, on := c.model, c.addresses[a.server]
	switch a.deed {
	case stopReceiver:
		return m.StopReceiver(on)
	case startReceiver:
		return m.StartReceiver(on)
	case stopApplier:
		return m.StopApplier(on)
	case startApplier:
		return m.StartApplier(on)
	case changeSource, autoPosition:
		return m.ChangeSource(on, c.addresses[a.source], a.deed == autoPosition)
	case resetReplica:
		return m.ResetReplica(on)
	case sourceOn, sourceOff:
		return m.SetSource(on, a.deed == sourceOn)
	case replicaOn, replicaOff:
		return m.SetReplica(on, a.deed == replicaOn)
	case setAcks:
		return m.SetAcks(on, a.acks)
	case shortTimeout:
		return m.SetTimeout(on, 5*time.Second)
	case noTimeout:
		return m.SetTimeout(on, 0)
	case closeWrites, superOff:
		return m.SetSuperReadOnly(on, a.deed == closeWrites)
	case openWrites:
		return m.OpenForWrites(on)
	case goOffline, goOnline:
		return m.SetOffline(on, a.deed == goOffline)
	case purge:
		return m.Purge(on)
	case clientWrites, clientRepeats, killProcess, startProcess, shutDownProcess, freezeProcess, thawProcess, electorActs,
		rootWrites, wipeServer, cloneServer, cutPair, mendPair:
	}
	panic("not by hand: " + a.deed)
}

func (c *comparison) observeModel() []topology.Observation {
	var seen []topology.Observation
	for _, a := range c.addresses {
		seen = append(seen, c.model.Observe(a))
	}
	return seen
}

// patienceOfModel is how long the real servers may take to get where the model is at rest before they are said to differ.
// It is far more than any machine needs: a login that the source does not answer takes replica_net_timeout, another
// attempt as long again, and a commit whose patience is finite five seconds.
const patienceOfModel = time.Minute

// agrees waits until the real servers look like the model at rest, twice in a row.
func (c *comparison) agrees() (difference string, err error) {
	model := c.modelState()
	same := 0
	for began := time.Now(); same < 2; {
		real, err := c.realState()
		if err != nil {
			return "", err
		}
		if difference = model.differs(real); difference == "" {
			same++
			continue
		}
		if same = 0; time.Since(began) > c.patience {
			return difference, nil
		}
		if err := c.real.pause(); err != nil {
			return "", err
		}
	}
	return "", nil
}

// modelState is everything that is compared at rest, and realState the same of the real servers.
func (c *comparison) modelState() (s state) {
	for i, t := range c.told {
		s.add(fmt.Sprintf("statement %d", i+1), t)
	}
	side := &c.sides[0]
	side.now = c.observeModel()
	for i, o := range side.now {
		c.facts(&s, serverName(i), o, o.Incarnation != side.first[i])
		if !c.byChance[i] {
			s.add(serverName(i)+": commits without acknowledgements", c.model.Unacked(c.addresses[i]))
		}
		if o.OK() {
			c.tableFacts(&s, serverName(i), c.model.Rows(c.addresses[i], c.rows), c.model.Journal(c.addresses[i]))
		}
	}
	return s
}

func (c *comparison) realState() (s state, err error) {
	for i, call := range c.real.calls {
		s.add(fmt.Sprintf("statement %d", i+1), call.told())
	}
	unacked, err := c.real.unacked()
	if err != nil {
		return nil, err
	}
	side := &c.sides[1]
	side.now = c.real.observe()
	for i, o := range side.now {
		c.facts(&s, serverName(i), o, o.Incarnation != side.first[i])
		if o.OK() && o.Incarnation == c.unacked[i].process {
			unacked[i] -= c.unacked[i].commits
		}
		if !c.byChance[i] {
			s.add(serverName(i)+": commits without acknowledgements", unacked[i])
		}
		if o.OK() {
			rows, journal, err := c.real.tables(i, o.Settings.JournalPresent)
			if err != nil {
				return nil, err
			}
			c.tableFacts(&s, serverName(i), rows, journal)
		}
	}
	return s, nil
}

// commands are an action's orders for the servers of one side as they looked last.
func (c *comparison) commands(a action, side view) []reparent.Command {
	var all []reparent.Command
	for _, o := range a.orders {
		one := reparent.Command{
			Verb: o.verb, Server: c.addresses[o.server], Cluster: clusterName, Term: a.term, Deadline: deadline,
			Source: c.addresses[o.source], Acker: o.acker, Acks: o.acks, Offline: o.offline,
			Incarnation: side.process(o.server, o.process),
		}
		if o.within.of > 0 {
			one.Within = side.extent(o.within)
		}
		if o.set.of > 0 {
			one.Set = side.extent(o.set)
		}
		if o.verb == reparent.Mark {
			one.Decision = c.decision(a, o, one.Incarnation)
			one.Incarnation = ""
		}
		all = append(all, one)
	}
	return all
}

func (c *comparison) decision(a action, o order, process string) topology.Decision {
	primary := o.server
	if o.spoiled {
		primary = (o.server + 1) % len(c.addresses)
	}
	return topology.Decision{
		Cluster: clusterName, Term: a.term, Kind: string(reparent.KindEmergency), Primary: c.addresses[primary], PrimaryUUID: c.uuidOf(primary),
		Incarnation: process, Ruleset: 1, Elector: a.elector, DecidedAt: time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC),
	}.Sealed()
}

func (v view) extent(e extent) gtid.Set {
	o := v.now[e.of-1]
	if e.executed {
		return o.Executed
	}
	return o.Position()
}

func (v view) process(server int, which incarnation) string {
	switch which {
	case presentProcess:
		return v.now[server].Incarnation
	case firstProcess:
		return v.first[server]
	case anyProcess:
	}
	return ""
}
