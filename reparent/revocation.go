package reparent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// Revoked is evidence that no earlier leader can complete a write any more, and that everything any of
// them ever completed can be read from the servers that were frozen. Only revoked makes one; to
// establish a new primary in an emergency takes one.
type Revoked struct {
	cluster string
	term    uint32
	how     []string
}

// How tells, leader by leader, what the evidence is.
func (r Revoked) How() []string { return append([]string(nil), r.how...) }

func (r Revoked) valid(op Operation) bool {
	return r.cluster == op.Cluster && r.term == op.Term && r.term != 0
}

// leaders lists who may still be completing writes: the established primary and the primary of every
// later term whose outcome is unknown. When nothing is on record it may be anybody; and where the record was taken over
// from journals, a server that is not reached may lead under a term that only it and its ackers know of.
func leaders(in *Intent) []Leader {
	var found []Leader
	for _, l := range in.History.Leaderships {
		if len(found) > 0 && found[len(found)-1].Address == l.Primary {
			found = found[:len(found)-1]
		}
		found = append(found, assess(in, l.Primary, l.Term, sightOf(in, l)))
	}
	if len(found) > 0 && !in.History.Recovered {
		return found
	}
	for _, a := range in.Snapshot.Ruleset.Servers().List() {
		if !slices.ContainsFunc(found, func(l Leader) bool { return l.Address == a }) {
			found = append(found, assess(in, a, 0, lastSeen(in, a)))
		}
	}
	return found
}

// sightOf is the newest answer of a recorded leader itself: another server that answers at its address by now tells nothing
// of what the leader did.
func sightOf(in *Intent, l topology.Leadership) *topology.Observation {
	for _, o := range []*topology.Observation{lastSeen(in, l.Primary), in.History.LastSeen.Of(l.Primary)} {
		if o.UUID == l.PrimaryUUID {
			return o
		}
	}
	return &topology.Observation{Address: l.Primary}
}

// assess says how many acks a leader's commits wait for. What MySQL was last seen to do counts, not
// what the ruleset means: a server that falls back to async, or waits for fewer acks, is stopped by
// fewer missing ackers, or by none.
func assess(in *Intent, a topology.Address, term uint32, seen *topology.Observation) Leader {
	l := Leader{Address: a, Term: term, Acks: in.Snapshot.Ruleset.AcksNeeded(a), Certified: in.CertifiedDown.Has(a)}
	if seen.OK() {
		l.SeenAt, l.Seen = seen.At, seen.Executed
	}
	if !seen.OK() || l.Acks == 0 || closed(seen) {
		return l
	}
	if !seen.SemiSync.Verified() {
		l.Acks, l.Why = 0, "it was last seen without verified semi-sync: its commits may complete without any acknowledgement"
		return l
	}
	if seen.SemiSync.Acks < l.Acks {
		l.Acks, l.Why = seen.SemiSync.Acks, fmt.Sprintf("it was last seen waiting for %s only", acks(seen.SemiSync.Acks))
	}
	others := in.Snapshot.Ruleset.Servers().Without(a).Len()
	if strangers := seen.SemiSync.Clients - others; strangers > 0 {
		l.Acks = max(0, l.Acks-strangers)
		l.Why = fmt.Sprintf("%d semi-sync replicas that are no members were attached to it and may acknowledge", strangers)
	}
	return l
}

// lastSeen is the newest answer of a server: of this snapshot if it answered, else an older one. Its
// Reach is not OK when no answer with readings is at hand.
func lastSeen(in *Intent, a topology.Address) *topology.Observation {
	if live := in.Snapshot.Server(a); live.OK() {
		return live
	}
	return in.History.LastSeen.Of(a)
}

// closed tells whether a server was last seen unable to take any client's write: read-only for
// everybody and not as a leader whose SET is still waiting (E3).
func closed(o *topology.Observation) bool {
	return o.Closed() && !o.SemiSync.SourceEnabled && o.SemiSync.Waiters == 0 && !o.Stall.ReadOnlyWait
}

// frozen are the servers whose Freeze was verified.
func (op *Operation) frozen() topology.ServerSet {
	return op.where(func(p Progress) bool { return p.Frozen == Yes })
}

func (op *Operation) where(keep func(Progress) bool) topology.ServerSet {
	kept := make([]topology.Address, 0, len(op.Progress))
	for a, p := range op.Progress {
		if keep(p) {
			kept = append(kept, a)
		}
	}
	return topology.Servers(kept...)
}

// evidence are the frozen servers that also prove absence of what a leader completed: what they do not
// hold, they never held. A server that may have lost its relay log is not among them (E8b).
func (op *Operation) evidence(l Leader) topology.ServerSet {
	begun := op.legit(op.beginning())
	return op.frozen().Where(func(a topology.Address) bool { return op.doubt(a, l, begun) == "" })
}

// doubt says why a frozen server proves nothing by what it lacks of a leader's transactions; empty when
// it does. A server whose data was not replaced holds what had begun.
func (op *Operation) doubt(a topology.Address, l Leader, begun gtid.Set) string {
	now := op.Progress[a].Reading
	if now == nil {
		return "its position was not read"
	}
	if why := op.robbed(a, now); why != "" {
		return why
	}
	recovers, restarted := op.recovers(a, now), op.restartedSince(l, a, now)
	lacksBeginning := !now.Position().Contains(begun)
	switch {
	case recovers && restarted:
		return fmt.Sprintf("it runs with relay_log_recovery=ON and may have restarted since %s was last seen: what it had received would be gone", l.Address)
	case op.unsynced(a, now) && op.changedSince(a, now):
		return fmt.Sprintf("it does not write its logs to disk at once (sync_relay_log, sync_binlog) and may have restarted since %s was last seen: had its host crashed, what it had received would be gone", l.Address)
	case op.lossySince(l, a):
		return fmt.Sprintf("it may have restarted since %s was last seen, and may have lost then what it had received: it did not write its logs to disk at once, or ran with relay_log_recovery=ON", l.Address)
	case restarted && lacksBeginning:
		return "it restarted and lacks even what the current leadership began with: its data may have been replaced"
	case lacksBeginning && !op.seenWhole(l, now):
		return fmt.Sprintf("it lacks even what the current leadership began with, and what %s had committed when it was last seen: its data may have been replaced before that", l.Address)
	case recovers && !op.seenWhole(l, now):
		return fmt.Sprintf("it runs with relay_log_recovery=ON and lacks what %s had committed when it was last seen", l.Address)
	case !op.Known[a].Losses.Received.IsZero() && !op.seenWhole(l, now):
		return fmt.Sprintf("it may have lost what it had received when it restarted, for it did not write its logs to disk at once (sync_relay_log, sync_binlog), and lacks what %s had committed when it was last seen", l.Address)
	}
	return ""
}

// recovers tells whether a server may drop at a start what it has received. One that was set so when it was last seen may have
// started so once more before somebody set it right.
func (op *Operation) recovers(a topology.Address, now *topology.Observation) bool {
	return now.Settings.RelayLogRecovery || op.Known[a].Recovers
}

// unsynced tells whether a server may have lost, with its host's power, what it has received. It may have been set right since.
func (op *Operation) unsynced(a topology.Address, now *topology.Observation) bool {
	return now.Settings.Unsynced() || op.Known[a].Unsynced
}

// lossySince tells whether a server was seen to start, since the last sight of a leader, so that it may have lost what it had
// received. How it is set by now does not bring that back. What was lost before the established leadership began is not
// remembered any more: see topology.Losses.
func (op *Operation) lossySince(l Leader, a topology.Address) bool {
	lost := op.Known[a].Losses.Received
	return !lost.IsZero() && (l.SeenAt.IsZero() || !lost.Add(startMargin).Before(l.SeenAt))
}

// forgetful tells whether a leader's own word of what it executed does not count: it is another process than the one that
// was established, and a crash of its host may have taken the end of its binary log.
func (op *Operation) forgetful(a topology.Address, now *topology.Observation) bool {
	same := slices.ContainsFunc(op.History.Leaderships, func(l topology.Leadership) bool {
		return l.Primary == a && l.Incarnation == now.Incarnation
	})
	return !same && (now.Settings.LogUnsynced() || !op.Known[a].Losses.Executed.IsZero())
}

// changedSince tells whether another process runs there than the one that was seen when the change began.
func (op *Operation) changedSince(a topology.Address, now *topology.Observation) bool {
	before := op.Known[a]
	return before.Restarted || before.Incarnation != now.Incarnation
}

// robbed says what a server has certainly lost since it was last seen; empty when nothing.
func (op *Operation) robbed(a topology.Address, now *topology.Observation) string {
	before := op.Known[a]
	switch {
	case before.Replaced, before.Incarnation != "" && before.UUID != now.UUID, op.usurps(a, now):
		return "another server answers at this address than before"
	case !now.Position().Contains(before.Position):
		return "it no longer holds transactions that it was seen to hold"
	case op.recovers(a, now) && (before.Restarted || before.Incarnation != "" && before.Incarnation != now.Incarnation):
		return "it restarted with relay_log_recovery=ON and dropped what it had received"
	}
	return ""
}

// usurps tells whether another server answers at a leader's address than the one that led by record. It may have been
// seen there before, so that it is not new any more; what the leader completed it never had.
func (op *Operation) usurps(a topology.Address, now *topology.Observation) bool {
	return slices.ContainsFunc(op.History.Leaderships, func(l topology.Leadership) bool {
		return l.Primary == a && l.PrimaryUUID != now.UUID
	})
}

// startMargin is how inexact a process's start is known: it is derived from an uptime in whole seconds.
const startMargin = 2 * time.Second

// restartedSince tells whether a server's process may be younger than the last sight of a leader. An
// older one has received whatever that leader sent it since; what an earlier process had received and
// lost was committed before that sight, and shows in what the leader had executed then.
func (op *Operation) restartedSince(l Leader, a topology.Address, now *topology.Observation) bool {
	return op.changedSince(a, now) || l.SeenAt.IsZero() || !now.StartedAt.Add(startMargin).Before(l.SeenAt)
}

// seenWhole tells whether what a leader had executed when it was last seen cannot get lost by relying on
// this server: it is held here, or the floor asks for it.
func (op *Operation) seenWhole(l Leader, now *topology.Observation) bool {
	seen := op.legit(l.Seen)
	return op.Floor.Contains(seen) || now.Position().Contains(seen)
}

// mayAck are the servers that can acknowledge a leader's commits. MySQL counts every replica whose replica
// side is on, whatever the ruleset says of its zone. That a server was seen with it off proves nothing where
// a restart may have switched it on meanwhile; nor does anything speak for a server that was never seen.
func (op *Operation) mayAck(leader topology.Address) topology.ServerSet {
	acking := op.Ruleset.Servers().Where(func(a topology.Address) bool {
		known, seen := op.Known[a]
		return !seen || known.Acking || known.AcksAlone
	})
	return op.Ruleset.Ackers(leader).Union(acking).Without(leader)
}

// revoked is the safety check of an emergency reparent (docs/failover.md, "Why revocation is enough").
//
// Theorem. Let L be a leader whose commits wait for k acks out of its ackers E, and F the frozen
// servers, which acknowledge nothing from some moment t on. If |E \ F| < k then no commit of L that
// was not complete at t ever completes. Proof: it needs k acks; from F none comes after t; outside F
// there are fewer than k.
//
// The same count over the servers that prove absence shows that every transaction that L completed is
// held by one of them: its k ackers cannot all lie outside (undiscovered).
func (op Operation) revoked() (Revoked, *Obstacle) {
	proof := Revoked{cluster: op.Cluster, term: op.Term}
	for _, l := range op.Leaders {
		how, obstacle := op.revokes(l)
		if obstacle != nil {
			return Revoked{}, obstacle
		}
		proof.how = append(proof.how, how)
	}
	return proof, nil
}

func (op *Operation) revokes(l Leader) (string, *Obstacle) {
	loose := op.loose(l)
	switch op.groundFor(l, loose) {
	case groundSilenced:
		return fmt.Sprintf("%s itself was made unable to complete (%s)", l.Address, op.Progress[l.Address].With), nil
	case groundCertified:
		return fmt.Sprintf("%s is down by certificate of %s: %s", l.Address, op.By, op.Reason), nil
	case groundFrozen:
		return fmt.Sprintf("%s needs %s and %s could still give one", l.Address, acks(l.Acks), only(loose)), nil
	case groundUnfenced:
		return fmt.Sprintf("%s is not fenced: durability policy none with allow_unfenced; what it commits from now on is lost", l.Address), nil
	case groundNone:
	}
	return "", op.unrevoked(l, loose)
}

// ground is what makes a leader count as revoked.
type ground int

const (
	groundNone      ground = iota
	groundSilenced         // it was made unable to complete itself
	groundCertified        // somebody vouches that it is powered off
	groundFrozen           // too few ackers are left to it: the theorem
	groundUnfenced         // the policy permits to go on without
)

func (op *Operation) groundFor(l Leader, loose topology.ServerSet) ground {
	switch {
	case op.Progress[l.Address].Silenced == Yes:
		return groundSilenced
	case l.Certified:
		return groundCertified
	case loose.Len() < l.Acks:
		return groundFrozen
	case op.unfenced():
		return groundUnfenced
	}
	return groundNone
}

// loose are the servers that can still acknowledge for a leader: E \ F of the theorem.
func (op *Operation) loose(l Leader) topology.ServerSet {
	return op.mayAck(l.Address).Minus(op.frozen())
}

// isRevoked is what revoked proves, without the words. It is asked after each answer of a server.
func (op *Operation) isRevoked() bool {
	return !slices.ContainsFunc(op.Leaders, func(l Leader) bool { return op.groundFor(l, op.loose(l)) == groundNone })
}

func acks(n int) string {
	if n == 1 {
		return "1 ack"
	}
	return fmt.Sprintf("%d acks", n)
}

func only(s topology.ServerSet) string {
	if s.IsEmpty() {
		return "no server"
	}
	return "only " + s.String()
}

// unfenced tells whether the policy permits to go on although nothing stops an old primary.
func (op *Operation) unfenced() bool {
	return op.Ruleset.Policy.Kind == topology.PolicyNone && op.Ruleset.Policy.AllowUnfenced
}

func (op *Operation) unrevoked(l Leader, loose topology.ServerSet) *Obstacle {
	certify := fmt.Sprintf("power %[1]s off and run: primacy emergency %[2]s --certify-down %[1]s --reason …", l.Address, op.Cluster)
	if l.Acks == 0 {
		return &Obstacle{
			Code: "not_revocable",
			Message: fmt.Sprintf("%s could not be stopped, and stopping replicas does not stop it: %s", l.Address,
				cmp.Or(l.Why, "durability policy none: its commits need no acknowledgement")),
			Needs:  []topology.ServerSet{topology.Servers(l.Address)},
			Remedy: fmt.Sprintf("bring %s back, or %s", l.Address, certify),
		}
	}
	return &Obstacle{
		Code:    "not_revoked",
		Message: fmt.Sprintf("%s is not revoked: it completes writes with %s, and %s could still acknowledge", l.Address, acks(l.Acks), loose),
		Needs:   append(subsets(loose, loose.Len()-l.Acks+1), topology.Servers(l.Address)),
		Remedy:  "bring one of the named sets back, or " + certify,
	}
}

// undiscovered says which completed transactions may have escaped: for each leader, why not everything
// that it completed is sure to lie within the chosen history.
func (op *Operation) undiscovered(history gtid.Set) []Obstacle {
	var found []Obstacle
	for _, l := range op.Leaders {
		if o := op.escaped(l, history); o != nil {
			found = append(found, *o)
		}
	}
	return found
}

func (op *Operation) escaped(l Leader, history gtid.Set) *Obstacle {
	evidence := op.evidence(l)
	unread := op.mayAck(l.Address).Minus(evidence)
	if op.readsFromLeader(l.Address) || op.shows(l, history) || unread.Len() < l.Acks {
		return nil
	}
	o := Obstacle{
		Code:   "not_discovered",
		Remedy: fmt.Sprintf("bring one of the named sets back, or accept the loss knowingly: primacy emergency %s --accept-loss --reason …", op.Cluster),
	}
	if op.Progress[l.Address].Reading == nil {
		o.Needs = []topology.ServerSet{topology.Servers(l.Address)}
	}
	if l.Acks == 0 {
		o.Message = fmt.Sprintf("what %s completed may be on it alone: %s", l.Address, cmp.Or(l.Why, "durability policy none"))
		return &o
	}
	o.Message = fmt.Sprintf("a transaction that %s completed could be held by %s alone, and that cannot be read", l.Address, unread)
	begun := op.legit(op.beginning())
	for _, a := range op.frozen().Minus(evidence).List() {
		o.Message += fmt.Sprintf("; %s was reached and proves nothing by what it lacks: %s", a, op.doubt(a, l, begun))
	}
	unreached := unread.Minus(op.frozen())
	o.Needs = append(subsets(unreached, unread.Len()-l.Acks+1), o.Needs...)
	return &o
}

// readsFromLeader tells whether the leader itself was closed in order and read: then what it has
// executed is all that it ever completed.
func (op *Operation) readsFromLeader(a topology.Address) bool {
	p := op.Progress[a]
	return p.Silenced == Yes && p.With == Demote && p.Reading != nil && op.robbed(a, p.Reading) == "" && !op.forgetful(a, p.Reading)
}

// shows tells whether a poisoned leader shows as executed nothing but what the history holds. What waits
// on it is invisible (E1) and was not completed; what it completed is all there.
func (op *Operation) shows(l Leader, history gtid.Set) bool {
	p := op.Progress[l.Address]
	return p.Silenced == Yes && p.With == Poison && p.Reading != nil && op.robbed(l.Address, p.Reading) == "" &&
		!op.forgetful(l.Address, p.Reading) && history.Contains(op.legit(p.Reading.Executed))
}

// subsets lists all subsets of the given size.
func subsets(s topology.ServerSet, size int) []topology.ServerSet {
	all := s.List()
	if size <= 0 || size > len(all) {
		return nil
	}
	if size == len(all) {
		return []topology.ServerSet{s}
	}
	var found []topology.ServerSet
	for _, with := range subsets(topology.Servers(all[1:]...), size-1) {
		found = append(found, with.With(all[0]))
	}
	if size == 1 {
		found = append(found, topology.Servers(all[0]))
	}
	return append(found, subsets(topology.Servers(all[1:]...), size)...)
}

func alternatives(sets []topology.ServerSet) string {
	words := make([]string, len(sets))
	for i, s := range sets {
		words[i] = "{" + s.String() + "}"
	}
	return strings.Join(words, " or ")
}
