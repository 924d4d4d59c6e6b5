package sim

import (
	"context"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// waiting is a fault whose time has come and which waits for a number of commands, or calls to the store, to be sent.
type waiting struct {
	fault Fault
	count int // commands or calls that there were when its time came
}

// undoing is how a fault is mended, when its time is over or that of all faults is.
type undoing struct {
	undo func()
	done bool
}

// arrangeFaults draws the faults and sets their times.
func (w *world) arrangeFaults() {
	w.report.Adopted = w.clock.now
	for _, f := range Drawn(w.report.Seed, w.options) {
		if w.options.Only != nil && !slices.Contains(w.options.Only, f.Number) {
			continue
		}
		w.clock.after(f.At, func() { w.due(f) })
	}
}

// due is when a fault's time has come.
func (w *world) due(f Fault) {
	switch {
	case f.Step > 0:
		w.steps = append(w.steps, waiting{f, w.commands})
	case f.Step < 0:
		w.steps = append(w.steps, waiting{f, w.calls})
	default:
		w.inject(f)
	}
}

// commandSent counts what electors send to servers, so that faults fall between any two of them.
func (w *world) commandSent() {
	w.commands++
	w.sent(func(x waiting) bool { return x.fault.Step > 0 && w.commands-x.count >= x.fault.Step })
}

// called counts calls to the store.
func (w *world) called() {
	w.calls++
	w.sent(func(x waiting) bool { return x.fault.Step < 0 && w.calls-x.count >= -x.fault.Step })
}

func (w *world) sent(ready func(waiting) bool) {
	for i := 0; i < len(w.steps); i++ {
		if x := w.steps[i]; ready(x) {
			w.steps = slices.Delete(w.steps, i, i+1)
			i--
			w.clock.after(0, func() { w.inject(x.fault) })
		}
	}
}

// mend ends the time of faults: everything that was broken is mended, now.
func (w *world) mend() {
	w.mended, w.steps = true, nil
	w.tell("world", "all faults are mended")
	for _, u := range w.undo {
		u.end()
	}
	w.undo = nil
	w.network.healAll()
	for _, s := range w.hosts.all {
		s.healDisk()
		if s.state == processDead {
			s.rest()
			s.boot()
		}
	}
}

func (u *undoing) end() {
	if !u.done {
		u.done = true
		u.undo()
	}
}

// later has a fault mended after its time.
func (w *world) later(d time.Duration, undo func()) {
	u := &undoing{undo: undo}
	w.undo = append(w.undo, u)
	w.clock.after(d, u.end)
}

// inject makes a fault happen.
func (w *world) inject(f Fault) {
	if w.mended {
		return
	}
	f.Happened, f.Struck = w.clock.now, w.meets(f)
	happened := false
	switch f.Kind {
	case Crash, Shutdown, HostDown, Freeze, DiskStall, DiskFull, SlowApplier, StopApplier, StopReceiver, Errant, Wipe, Purge, HugeWrite,
		Fallback, OpenByHand, CloseByHand, LoseLog:
		happened = w.harm(f, w.victim(f))
	case CutPair, CutOneWay, Isolate, Split, Blind, BlindAll, BlindOneWay, SlowLink, CutZone:
		happened = w.separate(f, w.victim(f))
	case KillElector, StopElector, PauseElector, CutStore, LoseReply, EndLease:
		happened = w.disturb(f, w.struck(f))
	case StopStore, OldStore, EmptyStore:
		happened = w.forget(f)
	case WishPlanned, WishEmergency, Acknowledge, Maintain:
		happened = w.wish(f)
	case Reconfigure:
		if w.options.Rules {
			happened = w.changeRules(f)
		} else {
			happened = w.reconfigure(f)
		}
	}
	if !happened {
		w.tell("fault", "%s does not happen: it means nothing now, or no promise covers it", f.Kind)
		return
	}
	w.report.Faults = append(w.report.Faults, f)
}

// victim is the server that a fault meets.
func (w *world) victim(f Fault) *server {
	if p := w.primary(); f.Target == OnPrimary && p != nil {
		return p
	}
	return w.hosts.all[f.Server%len(w.hosts.all)]
}

// struck is the elector that a fault meets.
func (w *world) struck(f Fault) *elector {
	if a := w.actor(); f.Target == OnActor && a != nil {
		return a
	}
	return w.electors[f.Server%len(w.electors)]
}

// harm is what befalls one server. It is false when the fault means nothing there now, or would destroy more copies than
// the policy promises to survive.
func (w *world) harm(f Fault, s *server) bool {
	if !s.suffers(f.Kind) {
		return false
	}
	w.tell("fault", "%s on %s for %s", f.Kind, s.address, f.For)
	switch f.Kind {
	case Crash:
		if s.options.RelayLogRecovery && !w.mayLose(s) {
			return false
		}
		s.kill()
		w.later(f.For, func() { w.boot(s) })
	case Shutdown:
		if s.options.RelayLogRecovery && !w.mayLose(s) {
			return false
		}
		w.judge.excuse(w.clock.now + 10*time.Second) // waiting commits are answered (E6)
		s.shutDown()
		w.later(f.For, func() { w.boot(s) })
	case HostDown:
		if (s.options.LoseRelayLogs || s.options.RelayLogRecovery) && !w.mayLose(s) {
			return false
		}
		s.powerOff()
		w.later(f.For, func() { s.powerOn(); w.boot(s) })
	case LoseLog:
		if !w.mayLose(s) {
			return false
		}
		s.loseLog()
		w.later(f.For, func() { w.boot(s) })
	case Freeze:
		s.freeze()
		w.later(f.For, func() {
			if s.state == processFrozen {
				s.thaw()
			}
		})
	case DiskStall:
		s.stallDisk()
		w.later(f.For, s.healDisk)
	case DiskFull:
		s.fillDisk()
		w.later(f.For, s.healDisk)
	case SlowApplier:
		s.slowApplier(f.For / 10)
		w.later(f.For, func() { s.slowApplier(0) })
	case StopApplier:
		w.byHand(s, stopsApplier)
		w.later(f.For, func() { w.byHand(s, startsApplier) })
	case StopReceiver:
		w.byHand(s, stopsReceiver)
	case Errant:
		if !s.readOnly || w.strayed(s) {
			return false
		}
		_, err := s.errant(w.row(), true)
		return err == nil
	case Wipe:
		if !w.mayLose(s) {
			return false
		}
		s.wipe()
		w.later(f.For, func() { w.boot(s) })
	case Purge:
		s.purgeBinlogs()
	case HugeWrite:
		if s.readOnly {
			return false
		}
		w.applying += f.For / 4
		w.runs(s, accountApp, func(on *guest, done func(error)) { s.writeHuge(on, w.row(), f.For/4, done) })
	case Fallback:
		s.setTimeout(500 * time.Millisecond)
		w.judge.excuse(w.clock.now + f.For + 30*time.Second)
		w.later(f.For, func() { s.setTimeout(timeoutMax) })
	case OpenByHand:
		if !s.readOnly || w.strayed(s) || !slices.Contains(w.members(), s) { // nobody looks at who is no member, or not yet
			return false
		}
		w.judge.opened = append(w.judge.opened, s.address)
		s.setReadOnlyOff()
	case CloseByHand:
		if s.readOnly {
			return false
		}
		w.byHand(s, func(on *guest, done func(error)) { s.closeForWrites(on, time.Minute, done) })
	}
	return true
}

// suffers tells whether a fault means anything to a server as it is. What is frozen, or about to start, can die as well as
// what runs.
func (s *server) suffers(k Kind) bool {
	switch k {
	case Crash, HostDown, Wipe, DiskStall, DiskFull, LoseLog:
		return s.state != processDead
	}
	return s.state == processUp
}

// spareRows is where the rows begin that no client writes.
const spareRows = 1 << 50

// row is one of them.
func (w *world) row() int64 {
	w.spareRow++
	return spareRows + w.spareRow
}

// byHand runs a statement of somebody at the server's own console.
func (w *world) byHand(s *server, statement func(on *guest, done func(error))) {
	w.runs(s, accountRoot, statement)
}

// runs has a statement of some account run on the server's own host.
func (w *world) runs(s *server, who account, statement func(on *guest, done func(error))) {
	if s.state != processUp {
		return
	}
	link := (*wire)(nil)
	link = w.hosts.dial(s.place, s.address, who, announcement{}, func(err error) {
		if err == nil {
			link.run(statement, func(error) { link.close() })
		}
	})
}

// boot starts a server that is down.
func (w *world) boot(s *server) {
	if s.state == processDead {
		w.tell("fault", "%s is started", s.address)
		s.rest()
		s.boot()
	}
}

// mayLose tells whether a copy may be destroyed: as long as fewer servers than the policy wants acknowledgements have
// lost theirs and not got it back, nothing that was promised may be lost by it.
func (w *world) mayLose(s *server) bool {
	if w.judge.fewest == 0 {
		return true
	}
	lost := 0
	kept := w.damaged[:0]
	for _, d := range w.damaged {
		if d.server == s || d.server.state == processUp && d.server.executed().Contains(d.held) {
			continue // it has everything again, or is lost once more
		}
		kept = append(kept, d)
		lost++
	}
	w.damaged = kept
	if lost >= w.judge.fewest {
		return false
	}
	w.damaged = append(w.damaged, damage{s, w.judge.durable.all()})
	return true
}

// strayed notes that somebody writes on a replica. It is true when that already happened on another one that has not
// been settled: with nothing clean left a person has to decide whose writes count, and no machine can.
func (w *world) strayed(s *server) bool {
	p := w.primary()
	if slices.ContainsFunc(w.electors, func(e *elector) bool { return e.view().Running != nil }) {
		return true // attached to a candidate beforehand, others would take it over within the change
	}
	if p == nil || w.stray != nil && w.stray != s && !p.executed().Contains(w.stray.executed()) {
		return true
	}
	w.stray = s
	return false
}

// damage is a server that lost its copy, and what it has to hold again before it counts as one.
type damage struct {
	server *server
	held   gtid.Set
}

// separate is what befalls the network.
func (w *world) separate(f Fault, s *server) bool {
	n, e := w.network, w.struck(f)
	other := w.hosts.all[f.Other%len(w.hosts.all)]
	w.tell("fault", "%s on %s and %s (%s) for %s", f.Kind, s.address, other.address, e.name, f.For)
	switch f.Kind {
	case CutPair:
		n.cutBoth(s.place, other.place)
		w.later(f.For, func() { n.healBoth(s.place, other.place) })
	case CutOneWay:
		n.cut(s.place, other.place)
		w.later(f.For, func() { n.heal(s.place, other.place) })
	case Isolate:
		w.isolate(f, s)
	case Split:
		w.split(f, true)
		w.later(f.For, func() { w.split(f, false) })
	case Blind:
		n.cutBoth(e.place, s.place)
		w.later(f.For, func() { n.healBoth(e.place, s.place) })
	case BlindAll:
		for _, x := range w.hosts.all {
			n.cutBoth(e.place, x.place)
			w.later(f.For, func() { n.healBoth(e.place, x.place) })
		}
	case BlindOneWay:
		n.cut(s.place, e.place)
		w.later(f.For, func() { n.heal(s.place, e.place) })
	case CutZone:
		w.cutZone(f, s)
	case SlowLink:
		by := min(f.For/20, 800*time.Millisecond)
		n.slowDown(s.place, other.place, by)
		n.slowDown(e.place, s.place, by)
		w.later(f.For, func() { n.slowDown(s.place, other.place, 0); n.slowDown(e.place, s.place, 0) })
	}
	return true
}

// isolate cuts a server off from everybody, or from all but its clients: then they write what nobody acknowledges.
func (w *world) isolate(f Fault, s *server) {
	n := w.network
	if f.Other%2 == 0 {
		n.isolate(s.place)
		w.later(f.For, func() { n.rejoin(s.place) })
		return
	}
	w.cutOff(f.For, s)
}

// cutOff keeps servers from all others, and from the electors, for a while. Clients reach them, and they each other.
func (w *world) cutOff(d time.Duration, these ...*server) {
	n := w.network
	var others []place
	for _, o := range w.hosts.all {
		if !slices.Contains(these, o) {
			others = append(others, o.place)
		}
	}
	for _, e := range w.electors {
		others = append(others, e.place)
	}
	for _, s := range these {
		for _, o := range others {
			n.cutBoth(s.place, o)
		}
	}
	w.later(d, func() {
		for _, s := range these {
			for _, o := range others {
				n.healBoth(s.place, o)
			}
		}
	})
}

// cutZone cuts a server's zone off. What did that may have restarted the others there as well.
func (w *world) cutZone(f Fault, s *server) {
	here, _ := w.ruleset.Member(s.address)
	zone := []*server{s}
	for _, x := range w.hosts.all {
		if m, is := w.ruleset.Member(x.address); is && x != s && m.Zone == here.Zone {
			zone = append(zone, x)
		}
	}
	w.cutOff(f.For, zone...)
	for _, x := range zone[1:] {
		if f.Other%2 == 0 && x.state == processUp {
			x.kill()
			x.rest()
			x.boot()
		}
	}
}

// split cuts the world in two by the bits of the fault's numbers, or mends that.
func (w *world) split(f Fault, cut bool) {
	var halves [2][]place
	side := func(i int) int { return (f.Server*7 + f.Other + i*(1+f.Server)) >> 1 & 1 }
	for i, s := range w.hosts.all {
		halves[side(i)] = append(halves[side(i)], s.place)
	}
	for i, e := range w.electors {
		halves[side(i+3)] = append(halves[side(i+3)], e.place)
	}
	for _, a := range halves[0] {
		for _, b := range halves[1] {
			if cut {
				w.network.cutBoth(a, b)
			} else {
				w.network.healBoth(a, b)
			}
		}
	}
}

// lagMax is how far a process that was paused may lag behind what came for it meanwhile.
const lagMax = 5 * time.Millisecond

// A pause that is drawn to be long lasts a minute or more, and outlasts the time of faults: it ends when the others have
// gone on without the elector for long, and all is well.
const (
	longPause = 20 * time.Second
	aMinute   = 60 * time.Second
)

// disturb is what befalls one elector.
func (w *world) disturb(f Fault, e *elector) bool {
	if !e.alive() {
		return false
	}
	w.tell("fault", "%s on %s for %s", f.Kind, e.name, f.For)
	p := e.process
	switch f.Kind {
	case KillElector:
		e.kill()
		w.later(f.For, e.restart)
	case StopElector:
		e.life.end(context.Canceled)
		w.later(max(f.For, 3*time.Second), func() {
			if e.process == p {
				e.kill()
				e.restart()
			}
		})
	case PauseElector:
		p.pause()
		lag := max(0, time.Duration(w.lags.Int64N(int64(2*lagMax)))-lagMax) // none as often as some
		if f.For < longPause {
			w.later(3*f.For, func() { p.thawLagging(lag) })
			return true
		}
		pause := aMinute + f.For - longPause
		w.lasting = max(w.lasting, w.clock.now+pause)
		w.clock.after(pause, func() { p.thawLagging(lag) })
	case CutStore:
		w.store.cut(p, true)
		w.later(f.For, func() { w.store.cut(p, false) })
	case LoseReply:
		w.store.loseReplies(p, true)
		w.later(min(f.For, time.Second), func() { w.store.loseReplies(p, false) })
	case EndLease:
		w.store.endLeases(p)
	}
	return true
}

// forget is what befalls the store. It forgets nothing while electors are configured otherwise than what is in force: the
// rules stand in the store, and once it is lost nothing but the configuration says them.
func (w *world) forget(f Fault) bool {
	if f.Kind != StopStore && !w.ofOneMind() {
		return false
	}
	if f.Kind == OldStore && w.options.Rules && w.clock.now-f.For < w.numbered.since+savedWithin {
		return false // to a time before the rules were changed: which are in force then a person has to know
	}
	w.tell("fault", "%s for %s", f.Kind, f.For)
	switch f.Kind {
	case StopStore:
		w.store.stop(true)
		w.later(f.For, func() { w.store.stop(false) })
	case OldStore:
		w.judge.forgotten = w.clock.now // windows that were opened since are forgotten with it
		w.store.restore(f.For)
	case EmptyStore:
		w.judge.forgotten = w.clock.now
		w.store.empty()
	}
	return true
}

// wish is what an operator asks for.
func (w *world) wish(f Fault) bool {
	e := w.actor()
	if e == nil {
		return false
	}
	s := w.hosts.all[f.Server%len(w.hosts.all)]
	asked := orchestrator.Wish{Cluster: clusterName, Kind: reparent.KindPlanned, By: "operator", Reason: "a test"}
	if f.Kind == WishEmergency {
		asked.Kind = reparent.KindEmergency
	}
	if f.Other%2 == 0 {
		asked.To = s.address
	}
	w.person.process.spawn(func() {
		switch f.Kind {
		case WishPlanned, WishEmergency:
			err := w.asks(func(ctx context.Context) error { _, err := e.loop.Reparent(ctx, asked); return err })
			w.tell("operator", "asks for a %s change to %q: %v", asked.Kind, asked.To, err)
		case Acknowledge:
			w.acknowledge(e)
		case Maintain:
			w.tell("operator", "takes %s out: %v", s.address, w.maintain(e, s.address, true))
		}
	})
	if f.Kind == Maintain {
		w.later(f.For, func() { w.takeBack(s.address) })
	}
	return true
}

// takeBack ends maintenance, however often it takes to reach an elector that acts, once the server has its new data if
// it is being rebuilt meanwhile.
func (w *world) takeBack(a topology.Address) {
	w.person.process.spawn(func() {
		for {
			if e := w.actor(); e != nil && w.person.overwriting[a] == 0 && w.maintain(e, a, false) == nil {
				return
			}
			w.clock.sleep(time.Second)
		}
	})
}
