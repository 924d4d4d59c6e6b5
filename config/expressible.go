package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/primacydb/primacy/topology"
)

// expressible asks for every possible primary what MySQL would have to be told. MySQL waits for any so many of
// the ackers and knows no zones: a policy that names zones is therefore made stricter, and refused where it then
// cannot be met. Both is said here, with the set of ackers that a laxer rule would let through.
func (c *check) expressible(at string, cluster Cluster) {
	r := ruleset(cluster)
	if err := r.Validate(); err != nil {
		c.refuse(at, "cluster %s: %v; %s", cluster.Name, err, remedyFor(err))
		return
	}
	if e, found := strictest(r); found {
		c.warn(at, "%s", stricter(cluster.Name, r, e))
	}
}

// strictest is the leadership under which the policy asks most for more than it names; false when it is told exactly
// whoever leads.
func strictest(r topology.Ruleset) (topology.Expression, bool) {
	var worst topology.Expression
	found := false
	for _, e := range r.Expressions() {
		if !e.Exact && (!found || e.Acks-e.Spread.Len() > worst.Acks-worst.Spread.Len()) {
			worst, found = e, true
		}
	}
	return worst, found
}

// remedyFor says what to write instead of rules that were refused.
func remedyFor(err error) string {
	var unmet *topology.UnmetError
	if !errors.As(err, &unmet) {
		return "lower acks, or add servers in other zones"
	}
	never := fmt.Sprintf("give %s promotion: never", unmet.Needs.Primary)
	return unmet.Remedy("set acks: %d", "set zones: %d", "add servers outside zone "+unmet.Home, never)
}

// stricter words what a policy costs that MySQL cannot be told as it stands.
func stricter(cluster string, r topology.Ruleset, e topology.Expression) string {
	text := fmt.Sprintf("cluster %s: while %s leads, every commit waits for %d of %s, although %s would satisfy the policy: MySQL counts acks and knows no zones, and after %s a transaction could be on %s only, in %s",
		cluster, e.Primary, e.Acks, e.Ackers, e.Spread, count(e.Acks-1, "ack"), e.Crowd.With(e.Primary), zones(r, e.Crowd.With(e.Primary)))
	if spare := e.Ackers.Len() - e.Acks; spare == 0 {
		text += "; with any one of them down writes stop"
	} else {
		text += fmt.Sprintf("; with more than %d of them down writes stop", spare)
	}
	return text + "; to need fewer, spread the servers evenly over the zones, or lower zones"
}

func zoneOf(r topology.Ruleset, a topology.Address) string {
	m, _ := r.Member(a)
	return m.Zone
}

// zones names the zones of servers: "2 zones (a, b)".
func zones(r topology.Ruleset, s topology.ServerSet) string {
	var servers []Server
	for _, a := range s.List() {
		servers = append(servers, Server{Zone: zoneOf(r, a)})
	}
	names := zonesOf(servers)
	return fmt.Sprintf("%s (%s)", count(len(names), "zone"), strings.Join(names, ", "))
}
