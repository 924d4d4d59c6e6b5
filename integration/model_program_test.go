package integration

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/reparent"
)

// deed is what an action does.
type deed string

const (
	clientWrites    deed = "client writes a row on"
	clientRepeats   deed = "client writes the same row again on"
	killProcess     deed = "kill -9"
	startProcess    deed = "start"
	shutDownProcess deed = "shut down"
	freezeProcess   deed = "SIGSTOP"
	thawProcess     deed = "SIGCONT"
	electorActs     deed = "elector"
	rootWrites      deed = "superuser writes a row on"
	wipeServer      deed = "lose all data and start empty,"
	cloneServer     deed = "CLONE INSTANCE on"
	cutPair         deed = "nothing passes between"
	mendPair        deed = "everything passes between"

	// By hand, as the superuser.
	stopReceiver  deed = "STOP REPLICA IO_THREAD on"
	startReceiver deed = "START REPLICA IO_THREAD on"
	stopApplier   deed = "STOP REPLICA SQL_THREAD on"
	startApplier  deed = "START REPLICA SQL_THREAD on"
	changeSource  deed = "CHANGE REPLICATION SOURCE on"
	autoPosition  deed = "CHANGE REPLICATION SOURCE with auto-position on"
	resetReplica  deed = "RESET REPLICA ALL on"
	sourceOn      deed = "source side on, on"
	sourceOff     deed = "source side off, on"
	replicaOn     deed = "replica side on, on"
	replicaOff    deed = "replica side off, on"
	setAcks       deed = "ack count on"
	shortTimeout  deed = "timeout of 5 s on"
	noTimeout     deed = "timeout off, on"
	closeWrites   deed = "super_read_only=ON on"
	superOff      deed = "super_read_only=OFF on"
	openWrites    deed = "read_only=OFF on"
	goOffline     deed = "offline_mode=ON on"
	goOnline      deed = "offline_mode=OFF on"
	purge         deed = "PURGE BINARY LOGS on"
)

// action is one step of a program. Servers are numbers, and sets are named by whose they are, so that the same program
// fits any servers.
type action struct {
	deed    deed
	server  int
	source  int // CHANGE REPLICATION SOURCE; the donor of a clone; the other one of a pair
	acks    int
	elector string
	term    uint32
	orders  []order
}

// order is a command as a program has it.
type order struct {
	verb        reparent.Verb
	server      int
	source      int
	acker       bool
	within, set extent
	acks        int
	offline     bool
	process     incarnation
	spoiled     bool // the decision is about another server
}

// extent names a set of transactions: what a server has, or what it has executed, as the command is sent.
type extent struct {
	of       int // counted from 1; 0: nobody's, the empty set
	executed bool
}

// process says which incarnation a command is for.
type incarnation string

const (
	anyProcess     incarnation = ""
	presentProcess incarnation = "present"
	firstProcess   incarnation = "first" // the one in which the program began
)

// boot is what each server finds in its settings when it is started.
type bootSettings struct{ readOnly, skipReplicaStart, recovery bool }

// program is what is played.
type modelProgram struct {
	seed    uint64
	boots   [3]bootSettings
	actions []action
}

func serverName(server int) string { return string(rune('A' + server)) }

func (p modelProgram) String() string {
	var b strings.Builder
	for i, boot := range p.boots {
		fmt.Fprintf(&b, "%s boots with super_read_only=%t skip_replica_start=%t relay_log_recovery=%t\n", serverName(i), boot.readOnly, boot.skipReplicaStart, boot.recovery)
	}
	for i, a := range p.actions {
		fmt.Fprintf(&b, "%2d %s\n", i+1, a)
	}
	return b.String()
}

func (a action) String() string {
	switch a.deed {
	case electorActs:
		orders := make([]string, len(a.orders))
		for i, o := range a.orders {
			orders[i] = o.String()
		}
		return fmt.Sprintf("elector %s, term %d: %s", a.elector, a.term, strings.Join(orders, "; "))
	case changeSource, autoPosition:
		return fmt.Sprintf("%s %s to %s", a.deed, serverName(a.server), serverName(a.source))
	case cloneServer:
		return fmt.Sprintf("%s %s from %s", a.deed, serverName(a.server), serverName(a.source))
	case cutPair, mendPair:
		return fmt.Sprintf("%s %s and %s", a.deed, serverName(a.server), serverName(a.source))
	case setAcks:
		return fmt.Sprintf("%s %s to %d", a.deed, serverName(a.server), a.acks)
	}
	return fmt.Sprintf("%s %s", a.deed, serverName(a.server))
}

func (o order) String() string {
	words := []string{string(o.verb), serverName(o.server)}
	add := func(is bool, format string, values ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, values...))
		}
	}
	add(o.verb == reparent.Follow, "to %s, acker %t", serverName(o.source), o.acker)
	add(o.within.of > 0, "within %s", o.within)
	add(o.set.of > 0, "set %s", o.set)
	add(o.acks != 0, "acks %d", o.acks)
	add(o.offline, "offline")
	add(o.process != anyProcess, "%s process", o.process)
	add(o.spoiled, "decision about another server")
	return strings.Join(words, " ")
}

func (e extent) String() string {
	if e.executed {
		return "what " + serverName(e.of-1) + " has executed"
	}
	return "what " + serverName(e.of-1) + " holds"
}

// prologue makes A the primary of B and C.
var prologue = []action{
	{deed: autoPosition, server: 1}, {deed: autoPosition, server: 2},
	{deed: startReceiver, server: 1}, {deed: startApplier, server: 1}, {deed: startReceiver, server: 2}, {deed: startApplier, server: 2},
	{deed: sourceOn, server: 0}, {deed: openWrites, server: 0}, {deed: clientWrites, server: 0},
}

// author draws programs.
type author struct {
	*rand.Rand
	again *rand.Rand // who writes a row again: by itself, so that seeds that have shown something keep their programs
	term  uint32     // the highest that was used
	acts  []action
}

// programOf draws the program of a seed.
func programOf(seed uint64) modelProgram {
	w := &author{Rand: rand.New(rand.NewPCG(seed, 0x6d6f64656c)), again: rand.New(rand.NewPCG(seed, 0x616761696e)), term: 1}
	p := modelProgram{seed: seed}
	for i := range p.boots {
		p.boots[i] = bootSettings{readOnly: w.chance(0.7), skipReplicaStart: w.chance(0.5), recovery: w.chance(0.3)}
	}
	if w.chance(0.7) {
		w.command("x", order{verb: reparent.CreateJournal})
	}
	for length := 10 + w.IntN(12); len(w.acts) < length; {
		if seed >= rareScenes && w.chance(0.3) {
			w.rareScene()
		} else {
			w.scene()
		}
	}
	for _, a := range w.acts {
		p.actions = append(p.actions, a.apart()...)
	}
	return p
}

// rareScenes is the first seed whose program has scenes with clones, lost data, cut networks and writes by the superuser.
// Programs of lower seeds are as they were when they showed a difference.
const rareScenes = 1 << 32

// still are the verbs that set nothing in motion on servers at rest.
var still = []reparent.Verb{reparent.Read, reparent.Freeze, reparent.Detach, reparent.AwaitApplied, reparent.AwaitAckers}

// apart makes an action of each command of an action that has several, if what one sets in motion could meet another:
// commits that are let go, receivers that connect, connections that are cut. A batch's commands come right after each
// other, and those for several servers at the same time, so which is first would be chance, on real servers and in the
// model alike.
func (a action) apart() []action {
	if !a.races() {
		return []action{a}
	}
	all := make([]action, len(a.orders))
	for i := range a.orders {
		all[i] = a
		all[i].orders = a.orders[i : i+1]
	}
	return all
}

// races tells whether a command that sets something in motion has others behind it or on other servers.
func (a action) races() bool {
	for i, o := range a.orders {
		elsewhere := func(other order) bool { return other.server != o.server }
		if !slices.Contains(still, o.verb) && (i < len(a.orders)-1 || slices.ContainsFunc(a.orders, elsewhere)) {
			return true
		}
	}
	return false
}

func (w *author) chance(p float64) bool { return w.Float64() < p }

func (w *author) add(d deed, server int) { w.acts = append(w.acts, action{deed: d, server: server}) }

// command adds commands of an elector under its term.
func (w *author) command(elector string, orders ...order) {
	term := w.term
	switch {
	case elector == "y":
		term = max(1, w.term-1+uint32(w.IntN(3)))
	case w.chance(0.1):
		term++
	case w.chance(0.05):
		term = max(1, term-1)
	}
	w.term = max(w.term, term)
	w.acts = append(w.acts, action{deed: electorActs, elector: elector, term: term, orders: orders})
}

// deadline bounds every command of the model, where all that does not hang ends long before it. On real servers it bounds
// only what hangs in the model.
const deadline = 2500 * time.Millisecond

// scene adds an action, or a few that belong together.
func (w *author) scene() {
	switch n := w.IntN(100); {
	case n < 22:
		w.add(clientWrites, w.primaryMostly())
	case n < 24:
		w.add(clientRepeats, w.IntN(3))
	case n < 34:
		w.crash()
	case n < 36:
		w.add(shutDownProcess, w.IntN(3))
		w.add(startProcess, w.acts[len(w.acts)-1].server)
	case n < 39:
		w.pause()
	case n < 52:
		w.byHand()
	case n < 62:
		w.stranded()
	case n < 69:
		w.behind()
	case n < 77:
		w.failover()
	default:
		w.command(w.elector(), w.orders()...)
	}
}

// rareScene adds what happens to a server as a whole, or between two.
func (w *author) rareScene() {
	server := w.IntN(3)
	switch w.IntN(8) {
	case 0:
		w.add(rootWrites, server)
	case 1:
		w.add(superOff, server)
		w.add(rootWrites, server)
		if w.chance(0.5) {
			w.add(closeWrites, server)
		}
	case 2:
		w.add(wipeServer, server)
		if w.chance(0.6) {
			w.follows(server, w.IntN(3))
		}
	case 3:
		w.cloned(server, (server+1+w.IntN(2))%3)
	case 4:
		w.powerless(server)
	default:
		w.apart(server, (server+1+w.IntN(2))%3)
	}
}

// between adds something that is done to a pair.
func (w *author) between(d deed, one, other int) {
	w.acts = append(w.acts, action{deed: d, server: one, source: other})
}

func (w *author) follows(server, source int) {
	w.between(autoPosition, server, source)
	w.add(startReceiver, server)
	w.add(startApplier, server)
}

// cloned is a server that gets another one's data, and follows that one.
func (w *author) cloned(server, donor int) {
	w.add(stopReceiver, server)
	w.add(stopApplier, server)
	w.add(superOff, server)
	w.add(openWrites, server)
	w.between(cloneServer, server, donor)
	if w.chance(0.5) {
		w.add(clientWrites, donor)
	}
	if w.chance(0.7) {
		w.follows(server, donor)
	}
}

// powerless is a loss of power as others see it: first nobody hears the server, then its process is gone without a word.
func (w *author) powerless(server int) {
	one, other := (server+1)%3, (server+2)%3
	w.between(cutPair, server, one)
	w.between(cutPair, server, other)
	w.add(killProcess, server)
	w.add(clientWrites, w.primaryMostly())
	w.between(mendPair, server, one)
	w.add(startProcess, server)
	w.between(mendPair, server, other)
}

// apart is two servers that do not hear each other for a while.
func (w *author) apart(one, other int) {
	w.between(cutPair, one, other)
	for range 1 + w.IntN(3) {
		switch w.IntN(6) {
		case 0, 1:
			w.add(clientWrites, 0)
		case 2:
			w.byHand()
		case 3:
			w.crash()
		case 4:
			w.command(w.elector(), w.orders()...)
		case 5:
			w.add(clientWrites, w.IntN(3))
		}
	}
	w.between(mendPair, one, other)
}

func (w *author) elector() string {
	if w.chance(0.2) {
		return "y"
	}
	return "x"
}

func (w *author) primaryMostly() int {
	if w.chance(0.7) {
		return 0
	}
	return w.IntN(3)
}

func (w *author) crash() {
	server := w.IntN(3)
	w.add(killProcess, server)
	if w.chance(0.4) {
		w.add(clientWrites, w.IntN(3))
	}
	w.add(startProcess, server)
}

func (w *author) pause() {
	server := w.IntN(3)
	w.add(freezeProcess, server)
	if w.chance(0.5) {
		w.add(clientWrites, w.IntN(3))
	}
	w.add(thawProcess, server)
}

// byHand adds what somebody does who knows nothing of Primacy.
func (w *author) byHand() {
	all := []deed{
		stopReceiver, stopReceiver, stopReceiver, startReceiver, startReceiver, startReceiver, stopApplier, stopApplier, startApplier, startApplier,
		changeSource, autoPosition, resetReplica, sourceOn, sourceOff, sourceOff, replicaOff, replicaOn, setAcks, setAcks, shortTimeout, noTimeout,
		closeWrites, superOff, openWrites, goOffline, goOnline, purge,
	}
	a := action{deed: all[w.IntN(len(all))], server: w.IntN(3), source: w.IntN(3)}
	a.acks = []int{1, 1, 2, 3}[w.IntN(4)]
	if w.chance(0.4) && (a.deed == sourceOff || a.deed == setAcks || a.deed == shortTimeout || a.deed == closeWrites) {
		a.server = 0
	}
	w.acts = append(w.acts, a)
}

// stranded is a primary whose commits nobody acknowledges, and what is done to it then.
func (w *author) stranded() {
	w.add(stopReceiver, 1)
	w.add(stopReceiver, 2)
	for range 1 + w.IntN(2) {
		w.add(clientWrites, 0)
	}
	if w.again.Float64() < 0.4 {
		w.add(clientRepeats, 0)
	}
	for range 1 + w.IntN(2) {
		a := action{server: 0, acks: 1 + w.IntN(3)}
		a.deed = []deed{sourceOff, closeWrites, closeWrites, setAcks, goOffline, shutDownProcess, killProcess, shortTimeout, superOff, openWrites}[w.IntN(10)]
		w.acts = append(w.acts, a)
		if w.chance(0.4) {
			w.add(clientWrites, 0)
		}
	}
	if w.chance(0.5) {
		verb := []reparent.Verb{reparent.Poison, reparent.Demote, reparent.Fence, reparent.Follow, reparent.DisableSource, reparent.Mark, reparent.Antidote}[w.IntN(7)]
		w.command(w.elector(), order{verb: verb, server: 0, source: 1, acker: true, acks: 1, offline: w.chance(0.5), process: presentProcess})
	}
	w.add(startProcess, 0)
	w.add(startReceiver, 1)
	if w.chance(0.5) {
		w.add(startReceiver, 2)
	}
}

// behind is a replica that has received what it does not apply, and what is done to it then.
func (w *author) behind() {
	server := 1 + w.IntN(2)
	w.add(stopApplier, server)
	w.add(clientWrites, 0)
	if w.chance(0.3) {
		w.add(clientWrites, 0)
	}
	switch w.IntN(4) {
	case 0:
		w.add(killProcess, server)
		w.add(startProcess, server)
	case 1:
		w.add(stopReceiver, server)
		w.acts = append(w.acts, action{deed: []deed{changeSource, autoPosition, resetReplica}[w.IntN(3)], server: server, source: w.IntN(3)})
	default:
		verb := []reparent.Verb{reparent.Follow, reparent.Detach, reparent.Freeze, reparent.Resume, reparent.EnableSource, reparent.AwaitApplied}[w.IntN(6)]
		w.command(w.elector(), order{verb: verb, server: server, source: w.IntN(3), acker: true, acks: 1, set: extent{of: 1}})
	}
	if w.chance(0.7) {
		w.add(startReceiver, server)
		w.add(startApplier, server)
	}
}

// failover is a change of primary in the order in which Primacy does it, with commands left out here and there.
func (w *author) failover() {
	next := 1 + w.IntN(2)
	other := 3 - next
	w.term++
	steps := [][]order{
		{{verb: reparent.Freeze, server: next}, {verb: reparent.Freeze, server: other}},
		{{verb: reparent.AwaitApplied, server: next, set: extent{of: next + 1}}},
		{{verb: reparent.Detach, server: next}, {verb: reparent.Follow, server: other, source: next, acker: true, within: extent{of: next + 1}}},
		{{verb: reparent.PrepareSource, server: next, acks: 1}},
		{{verb: reparent.AwaitAckers, server: next, acks: 1}},
		{{verb: reparent.EnableSource, server: next, acks: 1}},
		{{verb: reparent.Mark, server: next, acks: 1, process: presentProcess}},
		{{verb: reparent.Open, server: next, acks: 1, process: presentProcess}},
		{{verb: reparent.Fence, server: 0}},
		{{verb: reparent.Follow, server: 0, source: next, acker: true, within: extent{of: next + 1}}},
	}
	if w.chance(0.5) {
		w.add([]deed{killProcess, freezeProcess}[w.IntN(5)/4], 0)
	} else {
		steps = append([][]order{{{verb: []reparent.Verb{reparent.Demote, reparent.Poison}[w.IntN(2)], server: 0}}}, steps...)
	}
	for _, step := range steps[:3+w.IntN(len(steps)-2)] {
		if w.chance(0.08) {
			continue
		}
		w.acts = append(w.acts, action{deed: electorActs, elector: "x", term: w.term, orders: step})
	}
	w.add(startProcess, 0)
	w.add(thawProcess, 0)
}

// orders draws the commands of a step.
func (w *author) orders() []order {
	all := make([]order, []int{1, 1, 1, 2, 3}[w.IntN(5)])
	for i := range all {
		all[i] = w.order()
	}
	return all
}

var verbs = []reparent.Verb{
	reparent.Read, reparent.Freeze, reparent.Freeze, reparent.Resume, reparent.Resume, reparent.Poison, reparent.Antidote, reparent.Demote, reparent.Reopen,
	reparent.Fence, reparent.Follow, reparent.Follow, reparent.Follow, reparent.AwaitApplied, reparent.AwaitAckers, reparent.PrepareSource,
	reparent.EnableSource, reparent.EnableSource, reparent.DisableSource, reparent.Mark, reparent.Mark, reparent.Open, reparent.Detach, reparent.CreateJournal,
}

func (w *author) order() order {
	o := order{verb: verbs[w.IntN(len(verbs))], server: w.IntN(3)}
	switch o.verb {
	case reparent.Follow:
		o.source, o.acker, o.within = w.IntN(3), w.chance(0.7), w.extent()
	case reparent.Resume:
		o.within = w.extent()
	case reparent.AwaitApplied:
		o.set = extent{of: 1 + w.IntN(3), executed: w.chance(0.5)}
	case reparent.Antidote, reparent.AwaitAckers, reparent.PrepareSource, reparent.EnableSource:
		o.acks = []int{0, 1, 1, 1, 2, 3}[w.IntN(6)]
	case reparent.Demote:
		o.offline = w.chance(0.5)
	case reparent.Mark:
		o.process, o.within, o.acks, o.spoiled = w.process(), w.extent(), w.IntN(3), w.chance(0.1)
	case reparent.Open, reparent.Reopen:
		o.process, o.acks = w.process(), w.IntN(3)
	case reparent.Read, reparent.Freeze, reparent.Poison, reparent.Fence, reparent.DisableSource, reparent.Detach, reparent.CreateJournal:
	}
	return o
}

func (w *author) extent() extent {
	if w.chance(0.5) {
		return extent{}
	}
	return extent{of: 1 + w.IntN(3), executed: w.chance(0.3)}
}

func (w *author) process() incarnation {
	return []incarnation{presentProcess, presentProcess, presentProcess, firstProcess, anyProcess}[w.IntN(5)]
}
