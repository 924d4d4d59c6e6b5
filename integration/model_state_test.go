package integration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// state is what is compared, as names with values in a fixed order.
type state []fact

type fact struct{ name, value string }

func (s *state) add(name string, value any) { *s = append(*s, fact{name, fmt.Sprint(value)}) }

// differs lists the facts in which two states differ, the model's first; empty when there is none.
func (s state) differs(real state) string {
	var all []string
	for i := range min(len(s), len(real)) {
		if s[i] != real[i] {
			all = append(all, fmt.Sprintf("%s: the model has %q, the real server %q", s[i].name, s[i].value, real[i].value))
		}
	}
	if len(s) != len(real) {
		all = append(all, fmt.Sprintf("%d facts and %d", len(s), len(real)))
	}
	return strings.Join(all, "\n   ")
}

// names turn what differs between any two fleets, addresses and UUIDs, into letters.
type names struct {
	addresses []topology.Address
	// source tells which server is meant by an address under which replicas know one; -1 for none.
	source func(topology.Address) int
	// lives are the UUIDs that each server has had, one for each data directory.
	lives [][]gtid.UUID
}

func (n names) uuidOf(server int) gtid.UUID { return n.lives[server][len(n.lives[server])-1] }

func (n names) server(a topology.Address) string {
	if i := max(slices.Index(n.addresses, a), n.source(a)); i >= 0 {
		return serverName(i)
	}
	return string(a)
}

func (n names) uuid(u gtid.UUID) string {
	for i, lives := range n.lives {
		if life := slices.Index(lives, u); life >= 0 {
			return serverName(i) + strings.Repeat("'", life)
		}
	}
	if m, is := topology.MarkerOf(u); is {
		return fmt.Sprintf("term %d", m.Term)
	}
	return u.String()
}

// set prints a set with letters: "A:1-5 B:2 term 3:1".
func (n names) set(s gtid.Set) string {
	var all []string
	for i := range s.Intervals() {
		all = append(all, fmt.Sprintf("%s:%d-%d", n.uuid(i.Source.UUID), i.First, i.Last))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// facts are what one server shows.
func (n names) facts(s *state, server string, o topology.Observation, restarted bool) {
	add := func(name string, value any) { s.add(server+": "+name, value) }
	add("reach", o.Reach)
	if !o.OK() {
		return
	}
	add("read_only", o.ReadOnly)
	add("super_read_only", o.SuperReadOnly)
	add("a SET super_read_only waits", o.Stall.ReadOnlyWait)
	add("only the applier waits", o.Stall.ApplierWaits)
	add("offline_mode", o.OfflineMode)
	add("executed", n.set(o.Executed))
	add("received and not executed", n.set(o.Unapplied()))
	if !restarted {
		// After a restart the received set is what stands in the relay log files that are left, and how much of it was
		// executed before depends on when MySQL has removed files. Nothing goes by that part.
		add("received", n.set(o.Received))
	}
	add("purged", n.set(o.Purged))
	n.channelFacts(add, o.Replication)
	n.semiSyncFacts(add, o.SemiSync)
	if o.Unapplied().IsEmpty() {
		// How many commits of an applier wait behind its first is up to the number of its workers; the model has one.
		add("commits behind the one that waits", o.Stall.Committing)
	}
	add("super_read_only at boot", o.Settings.BootReadOnly)
	add("skip_replica_start at boot", o.Settings.SkipReplicaStart)
	add("replica side off at boot", o.Settings.BootAcksOff)
	add("relay_log_recovery", o.Settings.RelayLogRecovery)
	add("sync_relay_log is not 1", o.Settings.RelayLogUnsynced)
	add("journal", o.Settings.JournalPresent)
}

func (n names) channelFacts(add func(string, any), r *topology.Replication) {
	if r == nil {
		r = &topology.Replication{Source: "none"}
	}
	add("source", n.server(r.Source))
	add("auto-position", r.AutoPosition)
	add("receiver", r.Receiver)
	add("receiver's error", r.ReceiverErrno)
	add("applier", r.Applier)
	add("applier's error", r.ApplierErrno)
}

func (n names) semiSyncFacts(add func(string, any), s topology.SemiSync) {
	add("source side", s.SourceEnabled)
	add("source side active", s.SourceActive)
	add("replica side", s.ReplicaEnabled)
	add("replica side active", s.ReplicaActive)
	add("ack count", s.Acks)
	add("timeout", s.Timeout)
	add("waits without replicas", s.WaitNoReplica)
	add("semi-sync replicas", s.Clients)
	add("waiters", s.Waiters)
}

// tableFacts are what a reader finds in a server's tables: what waits for acknowledgements stands in the binary log, and nobody
// sees it. Decisions name processes, which are others on each side, and so are their hashes.
func (n names) tableFacts(s *state, server string, rows []int64, journal []topology.Decision) {
	var decisions []string
	for _, d := range journal {
		decisions = append(decisions, fmt.Sprintf("term %d: %s, %s by %s", d.Term, n.server(d.Primary), n.uuid(d.PrimaryUUID), d.Elector))
	}
	slices.Sort(decisions)
	s.add(server+": rows that a reader sees", rows)
	s.add(server+": decisions in its journal", strings.Join(decisions, "; "))
}

// results are compared by their outcome, its reason and the term that is in the way.
func results(s *state, orders []order, all []reparent.Result) {
	for i, r := range all {
		s.add(orders[i].String(), fmt.Sprintf("%s %s owner %d", r.Outcome, r.Reason, r.Owner))
	}
}
