package settle

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// DonorRules say from which servers a clone may be taken besides those that the primary can do without. A donor goes on
// serving, and reads its whole data while it does.
type DonorRules struct {
	// FromNeeded allows a replica whose acknowledgements commits cannot do without; they may get slower meanwhile.
	FromNeeded bool
	// FromPrimary allows the primary itself, where no replica will do.
	FromPrimary bool
}

// rank orders the kinds of donors.
type rank int

const (
	spare rank = iota
	neededAcker
	thePrimary
)

// candidate is a server that a clone can be taken from.
type candidate struct {
	address   topology.Address
	failed    int // tries to clone from it
	rank      rank
	elsewhere bool // in another zone than the server that is cloned to
	lag       time.Duration
}

// Donor chooses whom to clone a server from: one with fewer failed tries before others, one that the primary can do without
// before one that it needs, one of the server's own zone before others, then the one that lags least. Without any it says of
// each server why not.
func Donor(s topology.Snapshot, found []topology.Finding, primary, recipient topology.Address, rules DonorRules, failed map[topology.Address]int) (topology.Address, []string) {
	var candidates []candidate
	var why []string
	for _, m := range s.Ruleset.Members {
		if m.Address == recipient {
			continue
		}
		c, not := assess(s, found, primary, recipient, m.Address)
		if not == "" {
			not = rules.forbid(c)
		}
		if not != "" {
			why = append(why, string(m.Address)+" "+not)
			continue
		}
		c.failed = failed[m.Address]
		candidates = append(candidates, c)
	}
	if len(candidates) == 0 {
		return "", why
	}
	return slices.MinFunc(candidates, candidate.compare).address, nil
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(c.failed, o.failed), cmp.Compare(c.rank, o.rank), compareBool(c.elsewhere, o.elsewhere), cmp.Compare(c.lag, o.lag))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

func (r DonorRules) forbid(c candidate) string {
	switch {
	case c.rank == neededAcker && !r.FromNeeded:
		return "acknowledges what the primary cannot complete without it; clone.from_needed_acker allows it"
	case c.rank == thePrimary && !r.FromPrimary:
		return "is the primary; clone.from_primary allows it"
	}
	return ""
}

// assess says why a server cannot be the donor at all, or what speaks for and against it.
func assess(s topology.Snapshot, found []topology.Finding, primary, recipient, donor topology.Address) (candidate, string) {
	p, o, to := s.Server(primary), s.Server(donor), s.Server(recipient)
	c := candidate{address: donor, elsewhere: zone(s, donor) != zone(s, recipient)}
	switch {
	case !o.OK():
		return c, "is not reached"
	case !p.OK():
		return c, "cannot be compared with the primary, which is not reached"
	case s.Maintenance.Has(donor):
		return c, "is in maintenance"
	case hasErrant(found, donor):
		return c, "holds errant transactions itself"
	case o.UUID == to.UUID:
		return c, "has the same server_uuid"
	}
	if not := Unlike(o.Version, to.Version); not != "" {
		return c, not
	}
	if donor == primary {
		c.rank = thePrimary
		return c, ""
	}
	if not := behind(o, p); not != "" {
		return c, not
	}
	c.lag = max(o.Replication.Lag, 0)
	if !s.Ruleset.CanComplete(primary, Acking(s, primary).Without(donor, recipient)) {
		c.rank = neededAcker
	}
	return c, ""
}

func zone(s topology.Snapshot, a topology.Address) string {
	m, _ := s.Ruleset.Member(a)
	return m.Zone
}

func hasErrant(found []topology.Finding, a topology.Address) bool {
	return slices.ContainsFunc(found, func(f topology.Finding) bool {
		return f.Server == a && (f.Code == topology.Errant || f.Code == topology.HalfRewound)
	})
}

// behind says why a replica has not what a copy needs: it must apply, and hold whatever the copy could not get from the
// primary afterwards.
func behind(o, primary *topology.Observation) string {
	if r := o.Replication; r == nil || r.Source != primary.Address || r.Applier != topology.ThreadOn || r.Receiver != topology.ThreadOn {
		return "does not replicate from the primary"
	}
	if lacks := Earlier(*primary).Subtract(o.Executed); !lacks.IsEmpty() {
		return fmt.Sprintf("has not executed %s, which a copy would not get from the primary", lacks)
	}
	return ""
}

// Earlier is what a copy of a server has to hold already when it begins to follow the primary: what the primary has purged,
// and what others wrote before it led. Among the latter may be transactions of the very server that the copy is made on,
// and a receiver skips whatever carries its own server_id.
func Earlier(primary topology.Observation) gtid.Set {
	foreign := primary.Executed.Only(func(s gtid.Source) bool { return s.UUID != primary.UUID })
	if r := primary.Replication; r != nil && r.Receiver != topology.ThreadOff { // it goes on taking over foreign ones
		foreign = foreign.Only(func(s gtid.Source) bool { _, marker := topology.MarkerOf(s.UUID); return marker })
	}
	return foreign.Union(primary.Purged)
}

// Acking are the servers that can acknowledge what the primary commits right now.
func Acking(s topology.Snapshot, primary topology.Address) topology.ServerSet {
	return s.Ruleset.Ackers(primary).Where(func(a topology.Address) bool {
		o := s.Server(a)
		r := o.Replication
		return o.OK() && r != nil && r.Source == primary && r.Receiver == topology.ThreadOn && o.SemiSync.ReplicaEnabled
	})
}

// Needed says why a server cannot be taken out of replication now; empty when it can. While it is settled it acknowledges
// nothing and serves nobody, and it may come back without what it has received.
func Needed(s topology.Snapshot, primary, server topology.Address) string {
	return needed(s, primary, server, topology.ServerSet{})
}

// Indispensable says why a server cannot be stopped now; empty when it can. Its cascaded replicas do not stand in the way: they
// wait for it, or are attached to the primary when that takes long.
func Indispensable(s topology.Snapshot, primary, server topology.Address) string {
	return needed(s, primary, server, s.Ruleset.Cascaded(server, primary))
}

func needed(s topology.Snapshot, primary, server topology.Address, waiting topology.ServerSet) string {
	o := s.Server(server)
	switch {
	case server == primary:
		return fmt.Sprintf("%s is the primary", server)
	case !s.Ruleset.CanComplete(primary, Acking(s, primary).Without(server)):
		return fmt.Sprintf("without %s the commits of %s would wait: %d acknowledgements are needed, and only %s can give them",
			server, primary, s.Ruleset.AcksNeeded(primary), Acking(s, primary).Without(server))
	}
	for _, a := range o.Replicas { // the list is asked for rarely: a replica that is reached knows better
		if waiting.Has(a) {
			continue
		}
		if r := s.Server(a).Replication; !s.Server(a).OK() || r != nil && r.Source == server {
			return fmt.Sprintf("%s replicates from %s; attach it to another server first", a, server)
		}
	}
	return ""
}

// Unlike says why data of one version cannot be cloned to a server of another; empty when it can. MySQL clones within a
// series since 8.0.37, and before it between equal versions only. Tried on 9.7.4; the rest is by the manual.
func Unlike(donor, recipient string) string {
	from, to := numbers(donor), numbers(recipient)
	same := from[0] == to[0] && from[1] == to[1]
	if same && from[0] == 8 && from[1] == 0 && min(from[2], to[2]) < 37 {
		same = from[2] == to[2]
	}
	if same {
		return ""
	}
	return fmt.Sprintf("runs MySQL %s, which cannot be cloned to %s", donor, recipient)
}

func numbers(version string) (n [3]int) {
	plain, _, _ := strings.Cut(version, "-")
	for i, part := range strings.SplitN(plain, ".", len(n)) {
		n[i], _ = strconv.Atoi(part)
	}
	return n
}
