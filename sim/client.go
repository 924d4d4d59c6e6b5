package sim

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// client writes rows, one after the other, and reads. It asks the electors who is primary, as a router does, and goes by
// what it knew before when none answers. It notes what it was told: OK, an error, or nothing.
type client struct {
	world   *world
	name    string
	place   place
	process *process
	chance  *rand.Rand
	every   time.Duration // between two writes
	server  topology.Address
	wire    *wire
	rows    int64
	base    int64
	again   bool // the last row is written once more
	unsure  bool // some attempt at it was not refused: it may be there
}

// patienceOfClients is how long a client waits for an answer before it gives up and connects again.
const patienceOfClients = 5 * time.Second

func (w *world) connect(name string, chance *rand.Rand) *client {
	c := &client{world: w, name: name, place: w.network.join(name), process: w.clock.newProcess(name)}
	c.chance = rand.New(rand.NewPCG(chance.Uint64(), chance.Uint64()))
	c.every = []time.Duration{250 * time.Millisecond, 600 * time.Millisecond, 1200 * time.Millisecond}[c.chance.IntN(3)]
	c.base = int64(len(w.clients)+1) << 32
	c.process.spawn(c.work)
	return c
}

func (c *client) work() {
	w := c.world
	for {
		w.clock.sleep(c.every/2 + time.Duration(c.chance.Int64N(int64(c.every))))
		if !c.connected() {
			continue
		}
		if !c.again {
			c.rows++
			c.unsure = false
		}
		row := c.base + c.rows
		w.report.Writes++
		began := w.clock.now
		err, heard := c.ask(func(on *guest, done func(error)) { on.server.write(on, row, done) })
		c.again = (!heard || err != nil && !errors.Is(err, errDuplicateRow)) && c.chance.IntN(2) == 0
		c.note(row, err, heard)
		switch {
		case !heard:
			w.tell(c.name, "row %d on %s: no answer in %s", c.rows, c.server, w.clock.now-began)
			c.hangUp()
		case err == nil:
			w.judge.told(c, row)
			c.read()
		case errors.Is(err, errDuplicateRow): // it is there since an earlier attempt, as a reader would see
			w.tell(c.name, "row %d on %s is there already", c.rows, c.server)
			w.judge.seen(w.hosts.at(c.server), row)
		default:
			w.tell(c.name, "row %d on %s: %v", c.rows, c.server, err)
			c.hangUp()
		}
	}
}

// note counts what a client was told of an attempt. An error of MySQL's is given before anything is written; where nothing but
// that was heard of a row, and it is not tried again, it must never be there.
func (c *client) note(row int64, err error, heard bool) {
	w := c.world
	switch {
	case heard && err == nil:
		w.report.Answered++
		c.unsure = true
	case heard && errnoOf(err) != 0:
		w.report.Refused++
	default:
		c.unsure = true
	}
	if !c.unsure && !c.again {
		w.judge.refused = append(w.judge.refused, row)
	}
}

// read looks for one of the latest rows of any client, which may have heard nothing of it.
func (c *client) read() {
	w := c.world
	writer := w.clients[c.chance.IntN(len(w.clients))]
	row := writer.base + max(1, writer.rows-c.chance.Int64N(3))
	visible := false
	err, heard := c.ask(func(on *guest, done func(error)) {
		visible = on.server.hasRow(row) && !on.server.readOnly
		if !visible {
			w.judge.unseen(on.server, row)
		}
		done(nil)
	})
	switch {
	case !heard || err != nil:
		c.hangUp()
	case visible:
		w.judge.seen(w.hosts.at(c.server), row)
	}
}

// ask runs a statement; false when no answer came in time.
func (c *client) ask(statement func(on *guest, done func(error))) (error, bool) {
	return c.wire.asked(c.world.clock, statement).await(context.Background(), patienceOfClients)
}

func (c *client) hangUp() {
	if c.wire != nil {
		c.wire.close()
	}
	c.wire = nil
}

// connected connects when there is need.
func (c *client) connected() bool {
	if c.wire.alive() {
		return true
	}
	c.hangUp()
	c.server = c.choose()
	up := c.world.clock.promise()
	c.wire = c.world.hosts.dial(c.place, c.server, accountApp, announcement{}, up.keep)
	err, heard := up.await(context.Background(), time.Second)
	if !heard || err != nil {
		c.hangUp()
	}
	return heard && err == nil
}

// choose asks a random elector who is primary; now and then, and when none runs, it tries any server.
func (c *client) choose() topology.Address {
	w := c.world
	if e := w.electors[c.chance.IntN(len(w.electors))]; c.chance.IntN(4) > 0 && e.alive() {
		if v := e.view(); v.Primary != "" {
			return v.Primary
		}
	}
	all := w.hosts.all
	if members := w.members(); w.options.Rules && len(members) > 0 { // who is a member no more, nobody writes to
		all = members
	}
	return all[c.chance.IntN(len(all))].address
}

// person is the operator: slow, but does what the runbook says. Windows are acknowledged, quarantined servers rebuilt.
type person struct {
	world   *world
	process *process
	since   map[topology.Address]time.Duration // since when a server wants rebuilding
	refused time.Duration                      // since when an automatic change is refused; negative when none is
	// rebuilding counts the clones that are under way, blocked is when nothing was blocked last.
	rebuilding int
	blocked    time.Duration
	rescued    map[*server]int // how often each was cloned to get out of a blockade
	accepted   int             // how often a person's word was tried on it
	acted      time.Duration   // when it last did something about a blockade
	outdated   time.Duration   // since when the rules on record are said to be outdated; 0 when they are not
	restarts   int             // how often a server was restarted, since that was not enough
	// overwriting are the servers that are being rebuilt: their maintenance does not end before.
	overwriting map[topology.Address]int
}

// patience of an operator, before an acknowledgement and before a server is rebuilt.
const personLooks = time.Second

func (w *world) employ() *person {
	p := &person{world: w, process: w.clock.newProcess("operator"), since: map[topology.Address]time.Duration{}, rescued: map[*server]int{}, refused: -1, overwriting: map[topology.Address]int{}}
	p.process.spawn(p.work)
	return p
}

func (p *person) work() {
	for {
		p.world.clock.sleep(personLooks)
		e := p.world.actor()
		if e == nil || !p.world.mended {
			p.blocked = p.world.clock.now
		}
		if e == nil {
			continue
		}
		v := e.view()
		p.ruler(e, &v)
		if v.Running == nil {
			p.acknowledge(e, v.Refusal != "" && v.Window().Open)
		}
		if p.world.mended && p.rebuilding == 0 { // a store that was restored may know of maintenance that has ended
			for _, m := range v.Ruleset.Members {
				if _, out := v.Maintenance[m.Address]; out {
					_ = p.world.maintain(e, m.Address, false)
				}
			}
		}
		if v.Running == nil && p.rebuilding == 0 {
			p.rebuild(e)
			p.rescue(v)
		}
	}
}

func (p *person) acknowledge(e *elector, refused bool) {
	now := p.world.clock.now
	switch {
	case !refused:
		p.refused = -1
	case p.refused < 0:
		p.refused = now
	case now-p.refused > 3*personLooks:
		p.refused = -1
		p.world.acknowledge(e)
	}
}

func (w *world) acknowledge(e *elector) {
	w.judge.acknowledged()
	err := w.asks(func(ctx context.Context) error {
		_, err := e.loop.Acknowledge(ctx, clusterName, orchestrator.Order{By: "operator", Reason: "looked at it"})
		return err
	})
	w.tell("operator", "acknowledges: %v", err)
}

// asks makes a call to an elector, which may be killed or paused meanwhile: then no answer comes.
func (w *world) asks(call func(context.Context) error) error {
	answer := w.clock.promise()
	w.person.process.spawn(func() {
		ctx, cancel := w.person.process.Within(context.Background(), 3*time.Second)
		defer cancel()
		answer.keep(call(ctx))
	})
	err, heard := answer.await(context.Background(), 5*time.Second)
	if !heard {
		return errNoAnswer
	}
	return err
}

var errNoAnswer = errors.New("no answer")

// rebuild clones what Primacy leaves to a person: quarantined servers, and such as lack what their source has purged.
// The order is that of the runbook: only under an established primary that takes writes, one server at a time.
func (p *person) rebuild(e *elector) {
	w := p.world
	v := e.view()
	leader := v.Primary
	for _, f := range v.Findings {
		if f.Code == topology.NotAdopted && leader == "" { // it leads, and what the others lack keeps it from being adopted
			leader = f.Server
		}
	}
	donor := w.hosts.at(leader)
	if leader == "" || donor == nil || donor.state != processUp || donor.readOnly || open(v.Findings) {
		clear(p.since)
		return
	}
	for _, m := range v.Ruleset.Members {
		s := w.hosts.at(m.Address)
		if m.Address == leader || s == nil || s.state != processUp {
			delete(p.since, m.Address)
			continue
		}
		if !wantsRebuilding(v.Roles[m.Address], v.Findings, m.Address) {
			delete(p.since, m.Address)
			if v.Primary == "" && astray(v.Findings, s) { // before it is adopted, nobody but a person attaches anything
				w.tell("operator", "attaches %s to %s", s.address, donor.address)
				w.byHand(s, s.attach(donor.address))
			}
			continue
		}
		since, known := p.since[m.Address]
		if !known {
			p.since[m.Address] = w.clock.now
		} else if w.clock.now-since > 2*personLooks {
			delete(p.since, m.Address)
			p.rebuilding++
			p.process.spawn(func() { p.clone(e, s, donor); p.rebuilding-- })
			return
		}
	}
}

func (w *world) maintain(e *elector, a topology.Address, on bool) error {
	return w.asks(func(ctx context.Context) error {
		return e.loop.SetMaintenance(ctx, clusterName, a, on, orchestrator.Order{By: "operator", Reason: "work"})
	})
}

// rescue is what is left when nothing can be established because too few servers are clean: of those that answer, one
// that holds the latest term and all that was promised lends its data to another. A person knows more than Primacy does:
// here, that nobody else will come back with more.
func (p *person) rescue(v orchestrator.View) {
	w := p.world
	forgotten := slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code == topology.NoPrimary })
	rowless := v.Obstacle == nil && strings.Contains(v.Refusal, "no reached server has its row")
	tableless := v.Refusal != "" && w.tableless()
	doubled := v.Primary == "" && slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code == topology.TwoWritable })
	if v.Obstacle == nil && !forgotten && !rowless && !tableless && !doubled {
		p.blocked = w.clock.now
		return
	}
	if w.clock.now-p.blocked < 10*personLooks {
		return
	}
	p.blocked, p.acted = w.clock.now, w.clock.now
	switch {
	case rowless:
		w.restartWhereAMarkerWaits()
		return
	case forgotten:
		p.makeWritable(w.richest())
		return
	case doubled:
		w.closeAllBut(w.busiest())
		return
	case tableless:
		w.createJournals()
		return
	}
	if w.judge.conduct.unprovoked() {
		w.violated(Progress, "nothing was lost, and nobody wrote where he must not, and yet a person has to help: %s", v.Obstacle.Message)
		return
	}
	donor := w.richest()
	if idle := w.idleAs(donor, v.Obstacle); idle != nil {
		w.tell("operator", "rescues: starts the applier of %s", idle.address)
		w.byHand(idle, startsApplier)
		return
	}
	for _, s := range w.members() {
		if donor != nil && !everybodys(v.Obstacle) && s != donor && s.state == processUp && p.rescued[s] < 2 && (!s.executed().Equal(donor.executed()) || len(s.commits) > 0) {
			p.rescued[s]++
			w.tell("operator", "rescues: clones %s from %s", s.address, donor.address)
			p.rebuilding++
			p.process.spawn(func() { p.overwrite(s, donor, func() bool { return w.replaces(donor, s) }); p.rebuilding-- })
			return
		}
	}
	e := w.actor()
	if e == nil || donor == nil {
		return
	}
	wish := orchestrator.Wish{Cluster: clusterName, Kind: reparent.KindEmergency, Reason: "nobody else will come back", By: "operator"}
	switch v.Obstacle.Code {
	case "not_discovered", "below_floor", "only_on_leader": // what cannot be read is gone, and what was lent helped nobody
		wish.AcceptLoss = true
	case "no_candidate": // nobody is without what should not be there
		wish.KeepErrant = true
		w.judge.kept = true
	default:
		return
	}
	if p.accepted > p.restarts && len(donor.commits) > 0 && w.mayRestart(donor) { // what waits there for acknowledgements keeps everybody
		p.restarts++
		w.tell("operator", "restarts %s, where commits wait", donor.address)
		donor.kill()
		w.boot(donor)
		return // nobody gives up what is held by a server that he has just taken down
	}
	if p.accepted++; p.accepted > 1 { // once was not enough
		wish.AcceptLoss, wish.KeepErrant, w.judge.kept = true, true, true
	}
	err := w.asks(func(ctx context.Context) error { _, err := e.loop.Reparent(ctx, wish); return err })
	w.tell("operator", "accepts that what cannot be read is gone: %t, keeps what is errant: %t: %v", wish.AcceptLoss, wish.KeepErrant, err)
}

// everybodys tells whether a person is told that all hold what is errant or cancelled: to clone one from another helps nobody.
func everybodys(o *reparent.Obstacle) bool { return strings.Contains(o.Remedy, "nobody is without") }

// makeWritable is what the runbook says where nothing is on record and no server is writable: Primacy cannot know who led.
// Whoever completed writes before any term began says nothing about who does so now.
func (p *person) makeWritable(s *server) {
	if s == nil {
		return
	}
	p.world.tell("operator", "makes %s writable: nothing is on record, and it holds the most", s.address)
	p.world.judge.opened = append(p.world.judge.opened, s.address)
	p.world.judge.anew(0)
	s.setReadOnlyOff()
	s.setOffline(false)
}

// busiest is the writable server that holds all that was promised and most besides: where nothing is on record, clients
// write to it. It is nil when there is none.
func (w *world) busiest() *server {
	var best *server
	for _, s := range w.members() {
		has := s.position()
		if s.state != processUp || s.readOnly || !has.Contains(w.judge.promised.all()) {
			continue
		}
		if best == nil || has.Count() > best.position().Count() {
			best = s
		}
	}
	return best
}

// closeAllBut is what the runbook says of two_writable where nothing is on record: only the right server stays open.
func (w *world) closeAllBut(right *server) {
	for _, s := range w.members() {
		if right != nil && s != right && s.state == processUp && !s.readOnly {
			w.tell("operator", "closes %s: nothing is on record, and clients write to %s", s.address, right.address)
			w.byHand(s, func(on *guest, done func(error)) { s.closeUp(on, time.Minute, done) })
		}
	}
}

// tableless tells whether all data is gone, and the journal with it: no marker can be written anywhere. Primacy does not begin
// anew with empty servers by itself.
func (w *world) tableless() bool {
	for _, s := range w.members() {
		if s.state != processUp || s.journal {
			return false
		}
	}
	return true
}

// createJournals is what the runbook says of journal_missing where no server has the table: created outside of the binary
// log, it is no transaction that one has and the others lack.
func (w *world) createJournals() {
	for _, s := range w.members() {
		w.tell("operator", "creates the journal on %s: no server has it", s.address)
		s.journal = true
	}
}

// restartWhereAMarkerWaits completes a marker that waits for acknowledgements which nobody gives, so that its row can be
// read, as the runbook says of store_behind.
func (w *world) restartWhereAMarkerWaits() {
	for _, s := range w.members() {
		if s.state == processUp && s.idleApplier() { // the marker may wait in its relay log
			w.tell("operator", "starts the applier of %s", s.address)
			w.byHand(s, startsApplier)
			return
		}
	}
	for _, s := range w.members() {
		if s.state == processUp && len(s.marking) > 0 && w.mayRestart(s) {
			w.tell("operator", "restarts %s, where a marker waits", s.address)
			s.kill()
			w.boot(s)
			return
		}
	}
}

// replaces tells whether nothing that was promised goes with a server's data when it is cloned: a clone copies what its donor
// has executed, and not its relay log.
func (w *world) replaces(donor, s *server) bool {
	return donor.executed().Contains(w.judge.promised.all().Intersect(s.position()))
}

// mayRestart tells whether a restart drops nothing that is wanted: see mayLose.
func (w *world) mayRestart(s *server) bool {
	return !s.options.RelayLogRecovery || !s.unapplied() || w.mayLose(s)
}

// idleApplier tells whether a server has received what it does not apply because somebody, or its start, left it so.
func (s *server) idleApplier() bool {
	if s.channel == nil || !s.unapplied() {
		return false
	}
	state, _ := s.applier()
	return state == topology.ThreadOff
}

// idleAs is a running server with an idle applier: the given one, or, where a person is told to start one, another that holds
// the latest term as that does.
func (w *world) idleAs(donor *server, o *reparent.Obstacle) *server {
	if donor == nil || donor.idleApplier() {
		return donor
	}
	latest, _ := topology.HighestMarker(donor.position())
	for _, s := range w.members() {
		m, _ := topology.HighestMarker(s.position())
		if s.state == processUp && s.idleApplier() && m.Term == latest.Term && strings.Contains(o.Remedy, "START REPLICA SQL_THREAD") {
			return s
		}
	}
	return nil
}

// richest is a running server with the latest term that holds all that was promised, most of what readers saw, though nobody
// was told of it, and as little else as any. It is nil when there is none.
func (w *world) richest() *server {
	var best *server
	var term uint32
	var unseen, extra int
	for _, s := range w.members() {
		has := s.position()
		if s.state != processUp || !has.Contains(w.judge.promised.all()) {
			continue
		}
		m, _ := topology.HighestMarker(has)
		lost, more := w.judge.readOutside(has), int(has.Subtract(w.judge.promised.all()).Count())
		if best == nil || cmp.Or(cmp.Compare(term, m.Term), cmp.Compare(lost, unseen), cmp.Compare(more, extra)) < 0 {
			best, term, unseen, extra = s, m.Term, lost, more
		}
	}
	return best
}

// clone takes a server out of candidacy first: one that is being overwritten must not be chosen.
func (p *person) clone(e *elector, s, donor *server) {
	w := p.world
	p.overwriting[s.address]++
	defer func() { p.overwriting[s.address]-- }()
	err := w.maintain(e, s.address, true)
	v := e.view()
	if err != nil || v.Primary == s.address || v.Primary != "" && v.Primary != donor.address || v.Running != nil {
		w.tell("operator", "does not rebuild %s: %v", s.address, err)
		w.takeBack(s.address)
		return
	}
	w.tell("operator", "rebuilds %s from %s", s.address, donor.address)
	cloned := p.overwrite(s, donor, func() bool { return w.mayOverwrite(s, donor) && !w.succeeded(donor) })
	if a := w.actor(); cloned && v.Primary == "" && a != nil && a.view().Primary == "" && s.state == processUp { // before it is adopted, nobody but a person attaches anything
		w.byHand(s, s.attach(donor.address))
	}
	w.takeBack(s.address)
}

// overwrite clones a server, waits for it, and tells whether it has its new data. It is looked at once more before its data
// goes: a store that was restored has forgotten that it is under maintenance, and it may have been chosen meanwhile, or
// acknowledge for another primary.
func (p *person) overwrite(s, donor *server, spared func() bool) bool {
	done := p.world.clock.promise()
	before, ended := p.world.leads(s), false
	s.clone(donor.address, func() bool { return !ended && (before || !p.world.leads(s)) && spared() }, done.keep)
	err, heard := done.await(context.Background(), 20*time.Second)
	if !heard {
		ended, err = true, errNoAnswer
	}
	p.world.tell("operator", "%s is cloned: %v", s.address, err)
	return err == nil
}

// mayOverwrite tells whether a server's data may go: its donor holds what was promised of it, and all that readers saw, or
// fewer copies are lost than the policy promises to survive.
func (w *world) mayOverwrite(s, donor *server) bool {
	has := donor.executed()
	return has.Contains(w.judge.promised.all().Intersect(s.position())) && w.judge.readOutside(has) == 0 || w.mayLose(s)
}

// succeeded tells whether another server is the primary by now than the one that lends its data, as the operator is shown: it
// may hold what the new one's history cancels, and the runbook says to end the clone and to begin again.
func (w *world) succeeded(donor *server) bool {
	e := w.actor()
	if e == nil {
		return false
	}
	leader := e.view().Primary
	return leader != "" && leader != donor.address
}

// leads tells whether an elector counts on a server as the primary, now or in a moment.
func (w *world) leads(s *server) bool {
	return slices.ContainsFunc(w.electors, func(e *elector) bool {
		if !e.alive() {
			return false
		}
		v := e.view()
		return v.Primary == s.address && !s.readOnly || v.Running != nil && v.Running.To == s.address
	})
}

// open tells whether it is not settled yet whose history counts: then nobody's data is thrown away.
func open(findings []topology.Finding) bool {
	return slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Code == topology.LeadershipUnsettled || f.Code == topology.StoreBehind || f.Code == topology.PrimaryReplaced
	})
}

// astray tells whether a server does not follow the primary. A receiver that was stopped while its source was away is
// found as one that failed.
func astray(findings []topology.Finding, s *server) bool {
	receiver, _ := s.receiver()
	return slices.ContainsFunc(findings, func(f topology.Finding) bool {
		return f.Server == s.address && (f.Code == topology.WrongSource || f.Code == topology.NotReplicating || f.Code == topology.ReceiverStopped ||
			f.Code == topology.ReceiverFailed && receiver == topology.ThreadOff)
	})
}

// cannotSend is the error of a receiver whose source does not have what it asks for.
const cannotSend = "13114"

func wantsRebuilding(r topology.ServerRole, findings []topology.Finding, a topology.Address) bool {
	if r == topology.RoleQuarantined {
		return true
	}
	for _, f := range findings {
		cannotBeSent := f.Code == topology.ReceiverFailed && strings.Contains(f.Message, cannotSend)
		if f.Server == a && (f.Code == topology.PurgedOnSource || f.Code == topology.Errant || cannotBeSent) {
			return true
		}
	}
	return false
}
