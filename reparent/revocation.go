package reparent

import (
	"fmt"
	"strings"

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
// later term whose outcome is unknown. When nothing is on record it may be anybody.
func leaders(in Intent) []Leader {
	var found []Leader
	for _, l := range in.History.Leaderships {
		if len(found) > 0 && found[len(found)-1].Address == l.Primary {
			found = found[:len(found)-1]
		}
		found = append(found, assess(in, l.Primary, l.Term))
	}
	if len(found) > 0 {
		return found
	}
	for _, a := range in.Snapshot.Ruleset.Servers().List() {
		found = append(found, assess(in, a, 0))
	}
	return found
}

// assess says how many acks a leader's commits wait for. What MySQL was last seen to do counts, not
// what the ruleset means: a server that falls back to async, or waits for fewer acks, is stopped by
// fewer missing ackers, or by none.
func assess(in Intent, a topology.Address, term uint32) Leader {
	l := Leader{Address: a, Term: term, Acks: in.Snapshot.Ruleset.AcksNeeded(a), Certified: in.CertifiedDown.Has(a)}
	seen := lastSeen(in, a)
	if !seen.OK() || l.Acks == 0 || closed(seen) {
		return l
	}
	if !seen.SemiSync.Verified() {
		l.Acks, l.Why = 0, "it was last seen without verified semi-sync: its commits may complete without any acknowledgement"
		return l
	}
	if seen.SemiSync.Acks < l.Acks {
		l.Acks, l.Why = seen.SemiSync.Acks, fmt.Sprintf("it was last seen waiting for %d acks only", seen.SemiSync.Acks)
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
func lastSeen(in Intent, a topology.Address) topology.Observation {
	if live := in.Snapshot.Server(a); live.OK() {
		return live
	}
	return in.History.LastSeen[a]
}

// closed tells whether a server was last seen unable to take any client's write: read-only for
// everybody and not as a leader whose SET is still waiting (E3).
func closed(o topology.Observation) bool {
	return o.SuperReadOnly && !o.SemiSync.SourceEnabled && o.SemiSync.Waiters == 0 && !o.Stall.ReadOnlyWait
}

// frozen are the servers whose Freeze was verified.
func (op Operation) frozen() topology.ServerSet {
	return op.where(func(p Progress) bool { return p.Frozen == Yes })
}

func (op Operation) where(keep func(Progress) bool) topology.ServerSet {
	var kept []topology.Address
	for a, p := range op.Progress {
		if keep(p) {
			kept = append(kept, a)
		}
	}
	return topology.Servers(kept...)
}

// evidence are the frozen servers that also prove absence: what they do not hold, they never held.
// A server that lost its relay log since it was last seen is not among them (E8b).
func (op Operation) evidence() topology.ServerSet {
	return op.frozen().Where(func(a topology.Address) bool { return op.lostLog(a) == "" })
}

// lostLog says why a frozen server proves nothing by what it lacks; empty when it does.
func (op Operation) lostLog(a topology.Address) string {
	now, before := op.Progress[a].Reading, op.Known[a]
	switch {
	case now == nil:
		return "its position was not read"
	case before.Incarnation == "" && now.Settings.RelayLogRecovery:
		return "it runs with relay_log_recovery=ON and was not seen before: it may have restarted and dropped what it had received"
	case before.Incarnation == "":
		return ""
	case before.UUID != now.UUID:
		return "another server answers at this address than before"
	case !now.Position().Contains(before.Position):
		return "it no longer holds transactions that it was seen to hold"
	case before.Incarnation != now.Incarnation && now.Settings.RelayLogRecovery:
		return "it restarted with relay_log_recovery=ON and dropped what it had received"
	}
	return ""
}

// revoked is the safety check of an emergency reparent (docs/failover.md, "Why revocation is enough").
//
// Theorem. Let L be a leader whose commits wait for k acks out of its ackers E, and F the frozen
// servers, which acknowledge nothing from some moment t on. If |E \ F| < k then no commit of L that
// was not complete at t ever completes. Proof: it needs k acks; from F none comes after t; outside F
// there are fewer than k.
//
// The same count over the servers that prove absence shows that every transaction that L completed is
// held by one of them: its k ackers cannot all lie outside.
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

func (op Operation) revokes(l Leader) (string, *Obstacle) {
	p := op.Progress[l.Address]
	frozen, ackers := op.frozen(), op.Ruleset.Ackers(l.Address)
	loose := ackers.Minus(frozen)
	switch {
	case p.Silenced == Yes:
		return fmt.Sprintf("%s itself was made unable to complete (%s)", l.Address, p.With), nil
	case l.Certified:
		return fmt.Sprintf("%s is down by certificate of %s: %s", l.Address, op.By, op.Reason), nil
	case l.Acks > 0 && !op.Ruleset.CanCompleteWith(l.Address, loose, l.Acks):
		return fmt.Sprintf("%s needs %d acks and only %s could still give one", l.Address, l.Acks, loose), nil
	case l.Acks == 0 && op.Ruleset.Policy.Kind == topology.PolicyNone && op.Ruleset.Policy.AllowUnfenced:
		return fmt.Sprintf("%s is not fenced: durability policy none with allow_unfenced; what it commits from now on is lost", l.Address), nil
	}
	return "", op.unrevoked(l, frozen)
}

func (op Operation) unrevoked(l Leader, frozen topology.ServerSet) *Obstacle {
	if l.Acks == 0 {
		why := l.Why
		if why == "" {
			why = "durability policy none: its commits need no acknowledgement"
		}
		return &Obstacle{
			Code:    "not_revocable",
			Message: fmt.Sprintf("%s could not be stopped and stopping replicas does not stop it: %s", l.Address, why),
			Needs:   []topology.ServerSet{topology.Servers(l.Address)},
			Remedy:  fmt.Sprintf("bring %[1]s back, or power it off and run: primacy emergency %[2]s --certify-down %[1]s --reason …", l.Address, op.Cluster),
		}
	}
	needs := op.Ruleset.Unrevoked(l.Address, frozen, l.Acks)
	return &Obstacle{
		Code: "not_revoked",
		Message: fmt.Sprintf("%s is not revoked: it completes writes with %d acks, and %s could still give them; one of these would have to be reached: %s",
			l.Address, l.Acks, op.Ruleset.Ackers(l.Address).Minus(frozen), alternatives(append(needs, topology.Servers(l.Address)))),
		Needs:  append(needs, topology.Servers(l.Address)),
		Remedy: fmt.Sprintf("bring one of the named sets back, or power %[1]s off and run: primacy emergency %[2]s --certify-down %[1]s --reason …", l.Address, op.Cluster),
	}
}

// discovered says whether everything that a leader completed is held by a server that was read.
func (op Operation) discovered() *Obstacle {
	if op.AcceptLoss || op.Ruleset.Policy.Kind == topology.PolicyNone {
		return nil
	}
	for _, l := range op.Leaders {
		if obstacle := op.discovers(l); obstacle != nil {
			return obstacle
		}
	}
	return nil
}

func (op Operation) discovers(l Leader) *Obstacle {
	if op.readsFromLeader(l.Address) {
		return nil
	}
	k, evidence := max(l.Acks, 1), op.evidence()
	unread := op.Ruleset.Ackers(l.Address).Minus(evidence)
	if !op.Ruleset.CanCompleteWith(l.Address, unread, k) {
		return nil
	}
	message := fmt.Sprintf("a transaction that %s completed could be held by %s alone, and that cannot be read", l.Address, unread)
	for _, a := range op.frozen().List() {
		if why := op.lostLog(a); why != "" {
			message += fmt.Sprintf("; %s was reached and proves nothing by what it lacks: %s", a, why)
		}
	}
	needs := op.Ruleset.Unrevoked(l.Address, evidence, k)
	return &Obstacle{
		Code: "not_discovered", Message: message, Needs: append(needs, topology.Servers(l.Address)),
		Remedy: fmt.Sprintf("bring one of the named sets back, or accept the loss knowingly: primacy emergency %s --accept-loss --reason …", op.Cluster),
	}
}

// readsFromLeader tells whether the leader itself was closed in order and read: then what it has
// executed is all that it ever completed.
func (op Operation) readsFromLeader(a topology.Address) bool {
	p := op.Progress[a]
	return p.Silenced == Yes && p.With == Demote && p.Reading != nil && op.lostLog(a) == ""
}

func alternatives(sets []topology.ServerSet) string {
	words := make([]string, len(sets))
	for i, s := range sets {
		words[i] = "{" + s.String() + "}"
	}
	return strings.Join(words, " or ")
}
