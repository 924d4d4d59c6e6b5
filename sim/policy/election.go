package policy

import (
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

const cluster = "checked"

// moments in a lifetime that is the same for all: servers have run for an hour, were seen a second ago, and the
// primary is lost now.
var (
	now     = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	sighted = now.Add(-time.Second)
	started = now.Add(-time.Hour)
)

// election is the real code facing a moment: an emergency operation of reparent, which is given the results that a
// fleet would give.
type election struct {
	moment
	history  topology.History
	position gtid.Set // what everybody holds
	stake    gtid.Set // what the writer completed since, with its marker when that is not everybody's
	plain    [serversMax]topology.Observation
	holding  [serversMax]topology.Observation
	robbed   [serversMax]topology.Observation
	begun    map[set]beginning // by the leaders that answer
	results  []reparent.Result
}

// beginning is an operation before its first step, and that step's commands.
type beginning struct {
	op       reparent.Operation
	commands []reparent.Command
}

func newElection(m moment) *election {
	e := &election{moment: m, begun: map[set]beginning{}}
	e.record()
	enabled := e.acknowledging()
	for i := range numbered(m.rules.Servers()).each {
		e.plain[i] = e.server(i, enabled.has(i), e.position)
		e.holding[i] = e.acknowledged(i)
		e.robbed[i] = e.plain[i]
		e.robbed[i].Incarnation, e.robbed[i].StartedAt, e.robbed[i].Settings.RelayLogRecovery = string(name(i))+" again", now, true
	}
	return e
}

// record writes the leaderships down. Everybody holds what the first of them began with and its marker; a later
// one's marker is held by whom it acknowledged, like the transaction after it.
func (e *election) record() {
	e.position = gtid.Range(gtid.Source{UUID: uuid(e.writer)}, 1, 100)
	e.stake = gtid.Of(gtid.GTID{UUID: uuid(e.writer), Number: 101})
	for i, l := range e.led {
		d := topology.Decision{
			Cluster: cluster, Term: uint32(i + 1), Kind: string(reparent.KindEmergency), Primary: name(l), PrimaryUUID: uuid(l),
			Incarnation: string(name(l)), Ruleset: e.rules.Number, Base: e.position, Reached: e.rules.Servers(),
		}.Sealed()
		recorded := topology.Leadership{Decision: d}
		if i == 0 {
			recorded.EstablishedAt = started
			e.position = e.position.Union(d.Marker().Set())
		} else {
			e.stake = e.stake.Union(d.Marker().Set())
		}
		e.history.Leaderships = append(e.history.Leaderships, recorded)
		e.history.Leaders = append(e.history.Leaders, d.PrimaryUUID)
	}
}

// acknowledged is a server that holds the transaction at stake: some have not applied it yet, others have and show
// nothing as received, as after their channel was changed.
func (e *election) acknowledged(i int) topology.Observation {
	o := e.plain[i]
	if i%2 == 0 {
		o.Received = e.position.Union(e.stake)
	} else {
		o.Executed, o.Received = e.position.Union(e.stake), gtid.Set{}
	}
	return o
}

func uuid(server int) gtid.UUID { return gtid.UUID{0xaa, 15: byte(server + 1)} }

// acknowledging are the servers that the elector saw acknowledge.
func (e *election) acknowledging() set {
	var all set
	for l := range e.mayLead().each {
		if !e.blind {
			all |= e.runs[l].enabled
		}
	}
	return all
}

// server is a replica that is well, of the first leader on record.
func (e *election) server(i int, acker bool, position gtid.Set) topology.Observation {
	o := topology.Observation{
		Address: name(i), At: sighted, Reach: topology.ReachOK, UUID: uuid(i), ServerID: uint32(i + 1), Version: "9.7.4",
		StartedAt: started, Incarnation: string(name(i)), ReadOnly: true, SuperReadOnly: true, Executed: position, Received: position,
		Replication: &topology.Replication{Source: name(e.source()), Receiver: topology.ThreadOn, Applier: topology.ThreadOn, AutoPosition: true},
		Settings:    topology.Settings{LogBin: true, LogReplicaUpdates: true, SkipReplicaStart: true, BootReadOnly: true},
	}
	o.SemiSync = topology.SemiSync{
		Installed: true, Timeout: topology.TimeoutInfinite, AfterSync: true, WaitNoReplica: true, Acks: 1, ReplicaEnabled: acker, ReplicaActive: acker,
	}
	return o
}

// well are all servers while one of them serves as the primary.
func (e *election) well(primary int) []topology.Observation {
	var all []topology.Observation
	for i := range numbered(e.rules.Servers()).each {
		o := e.plain[i]
		if i == primary {
			o = e.leading(i)
		}
		all = append(all, o)
	}
	return all
}

func (e *election) source() int {
	if len(e.led) > 0 {
		return e.led[0]
	}
	return e.writer
}

// leading is a server as a primary that serves.
func (e *election) leading(i int) topology.Observation {
	o := e.server(i, false, e.position)
	o.Replication, o.ReadOnly, o.SuperReadOnly = nil, false, false
	if runs := e.runs[i]; runs.acks > 0 {
		o.SemiSync.SourceEnabled, o.SemiSync.SourceActive = true, true
		o.SemiSync.Acks, o.SemiSync.Clients = runs.acks, runs.enabled.len()
	}
	return o
}

// begin starts the operation when these leaders answer, and all the others too: who answers the commands later is
// for the outcome to say.
func (e *election) begin(answering set) beginning {
	if b, done := e.begun[answering]; done {
		return b
	}
	in := reparent.Intent{
		ID: "check", Elector: "checker", Term: uint32(len(e.led) + 1), History: e.history,
		CertifiedDown: e.certified.named(), AcceptLoss: e.lossAccepted, By: "checker", Reason: "check",
	}
	if e.wanted >= 0 {
		in.Wanted = name(e.wanted)
	}
	in.Snapshot, in.History.LastSeen = e.seen(answering)
	op := reparent.Emergency(clearance(), in, now)
	b := beginning{op, op.Next().Commands}
	e.begun[answering] = b
	return b
}

func clearance() antiflap.Clearance {
	c, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: cluster, Operator: "checker", Now: now}, antiflap.Cluster{}, antiflap.Fleet{})
	return c
}

// seen is what the elector sees now, and what it remembers. Leaders on record that do not answer are gone, and were
// seen leading unless it is blind.
func (e *election) seen(answering set) (topology.Snapshot, topology.Sightings) {
	s := topology.Snapshot{Cluster: cluster, At: now, Ruleset: e.rules}
	last := topology.Sightings{}
	for i := range numbered(e.rules.Servers()).each {
		o := e.plain[i]
		if e.leads(i) {
			o = e.leading(i)
		}
		if e.mayLead().has(i) && !answering.has(i) {
			if !e.blind {
				seen := o
				last[name(i)] = &seen
			}
			o = topology.Observation{Address: name(i), At: now, Reach: topology.ReachRefused, FailingSince: sighted}
		}
		s.Servers = append(s.Servers, o)
	}
	return s, last
}

// leads tells who was seen leading. With nobody on record that is the writer alone: the others were seen closed, which
// says nothing of who led.
func (e *election) leads(i int) bool { return i == e.writer || slices.Contains(e.led, i) }

func (e *election) verdict(o outcome) verdict {
	b := e.begin(o.silenced)
	if !b.op.Running() {
		return verdict{}
	}
	op := b.op.Apply(e.obeyed(b.commands, o), now)
	if op.Phase != reparent.PhaseFetching && op.Phase != reparent.PhasePropagating {
		return verdict{}
	}
	return verdict{
		accepted: true, kept: op.Chosen.Contains(e.stake), candidate: number(op.To),
		marks: func(attached set) (regime, bool) { return e.marks(op, attached) },
	}
}

// obeyed are the results of the commands of a revocation.
func (e *election) obeyed(commands []reparent.Command, o outcome) []reparent.Result {
	e.results = e.results[:0]
	for _, c := range commands {
		i := number(c.Server)
		done := o.frozen.has(i)
		if c.Verb != reparent.Freeze {
			done = o.silenced.has(i)
		}
		r := reparent.Result{Outcome: reparent.Unknown, Reason: reparent.ReasonDeadline}
		if done {
			r = reparent.Result{Outcome: reparent.Yes, Observation: e.shown(i, o)}
		}
		e.results = append(e.results, r)
	}
	return e.results
}

// shown is what a server shows after it obeyed.
func (e *election) shown(i int, o outcome) topology.Observation {
	switch {
	case o.silenced.has(i) && e.leads(i):
		return e.stopped(i, o)
	case o.robbed.has(i):
		return e.robbed[i]
	case o.holders.has(i) || i == e.writer:
		return e.holding[i]
	}
	return e.plain[i]
}

// stopped is a primary that was made unable to complete.
func (e *election) stopped(i int, o outcome) topology.Observation {
	stopped := e.leading(i)
	if o.holders.has(i) || i == e.writer {
		stopped.Executed = e.position.Union(e.stake)
	}
	stopped.OfflineMode = true
	if e.begun[o.silenced].op.Silencers()[name(i)] == reparent.Demote {
		stopped.ReadOnly, stopped.SuperReadOnly = true, true
	} else {
		stopped.SemiSync.Acks = topology.PoisonAcks
	}
	return stopped
}

// marks carries the operation on to the marker. Everything obeys but the followers that do not attach.
func (e *election) marks(op reparent.Operation, attached set) (regime, bool) {
	runs := regime{acks: -1}
	for round := 0; op.Phase == reparent.PhaseFetching || op.Phase == reparent.PhasePropagating; round++ {
		if round > roundsMax {
			return runs, false
		}
		commands := op.Next().Commands
		results := e.carriedOut(commands, number(op.To), attached)
		for i, c := range commands {
			if c.Verb == reparent.Follow && c.Acker && results[i].Done() && c.Source == op.To {
				runs.enabled |= one(number(c.Server))
			}
		}
		if op.Phase == reparent.PhasePropagating && !op.Enough(commands, results) {
			return runs, false
		}
		op = op.Apply(results, now)
	}
	for _, c := range op.Next().Commands {
		switch c.Verb {
		case reparent.EnableSource:
			runs.acks = c.Acks
		case reparent.Mark:
			runs.acks = max(runs.acks, 0)
		}
	}
	return runs, op.Phase == reparent.PhaseMarking
}

// roundsMax is more than any operation needs in which every command is obeyed at once.
const roundsMax = 4

func (e *election) carriedOut(commands []reparent.Command, candidate int, attached set) []reparent.Result {
	var results []reparent.Result
	for _, c := range commands {
		i := number(c.Server)
		r := reparent.Result{Outcome: reparent.Yes, Observation: e.plain[i]}
		r.Observation.Executed = e.position.Union(e.stake)
		if c.Verb == reparent.Follow && i != candidate && !attached.has(i) {
			r = reparent.Result{Outcome: reparent.No, Reason: reparent.ReasonUnreachable}
		}
		results = append(results, r)
	}
	return results
}
