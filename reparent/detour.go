package reparent

import (
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// A server that lacks what the primary has purged cannot get it from there (1236). Another replica may still have it: then
// the server follows that one until it lacks nothing of it any more, and then the primary again. On its detour it
// acknowledges nothing, and it is no source to anybody.

// Detours are the servers that are to be left to another source than the primary for now, and what takes them there;
// the command's verb is empty where nothing is left to do but wait.
func Detours(findings []topology.Finding, s topology.Snapshot, h topology.History, term uint32) []Command {
	current, led := h.Current()
	primary := s.Server(current.Primary)
	if !led || s.Reparenting || s.Held != nil || primary.UUID != current.PrimaryUUID || !primary.Writable() {
		return nil
	}
	var all []Command
	for _, f := range findings {
		if f.Code != topology.PurgedOnSource && f.Code != topology.NotReplicating || s.Maintenance.Has(f.Server) || quarantined(findings, f.Server) {
			continue
		}
		if fedByIntermediate(f.Server, s.Ruleset, primary.Address, findings) {
			continue
		}
		o := s.Server(f.Server)
		source, found := detourSource(findings, s, primary, o)
		if !found || o.SemiSync.Waiters > 0 {
			continue
		}
		c := Command{Server: f.Server, Cluster: s.Cluster, Term: term, Deadline: repairDeadline, Source: source, Within: openTo(primary.Executed, primary)}
		if !replicates(o, source) {
			c.Verb = Follow
		}
		all = append(all, c)
	}
	return all
}

// replicates tells whether replication from a source runs.
func replicates(o *topology.Observation, source topology.Address) bool {
	r := o.Replication
	return r != nil && r.Source == source && r.Receiver == topology.ThreadOn && r.Applier == topology.ThreadOn
}

// detourSource is a replica that has all that the server lacks. One that it follows already is kept.
func detourSource(findings []topology.Finding, s topology.Snapshot, primary, o *topology.Observation) (topology.Address, bool) {
	lacking := primary.Purged.Subtract(o.Position())
	if lacking.IsEmpty() {
		return "", false
	}
	var able []topology.Address
	for i := range s.Servers {
		x := &s.Servers[i]
		if x.Address != o.Address && x.UUID != o.UUID && replicates(x, primary.Address) && !s.Maintenance.Has(x.Address) && !quarantined(findings, x.Address) && hasLogs(x, o.Position(), lacking) {
			able = append(able, x.Address)
		}
	}
	if len(able) == 0 {
		return "", false
	}
	if r := o.Replication; r != nil && slices.Contains(able, r.Source) {
		return r.Source, true
	}
	return able[0], true
}

// hasLogs tells whether a server can send all that it has executed to one at a position, and whether what that one lacks
// is among it.
func hasLogs(o *topology.Observation, position, lacking gtid.Set) bool {
	return o.Executed.Contains(lacking) && position.Contains(o.Purged)
}
