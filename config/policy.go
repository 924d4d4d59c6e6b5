package config

import (
	"net"
	"slices"
	"strings"

	"github.com/primacydb/primacy/topology"
)

func (c *check) clusters(clusters []Cluster) {
	if len(clusters) == 0 && c.sound("clusters") {
		c.refuse("clusters", "no cluster is listed; add at least one with name and servers")
	}
	var names []named
	homes := map[string]string{}
	for i := range clusters {
		path, cluster := entry("clusters", i), &clusters[i]
		names = append(names, named{cluster.Name, path})
		c.fill(path, cluster)
		c.servers(path, *cluster, homes)
		c.durability(path, *cluster)
	}
	c.distinct(names, "name", true)
}

// fill puts in what a list's entries default to.
func (c *check) fill(path string, cluster *Cluster) {
	d := &cluster.Durability
	if d.Policy == "" && c.sound(path+".durability.policy") {
		d.Policy = policySemiSync
	}
	if d.Policy != policyNone && !c.given(path+".durability.acks") {
		d.Acks = defaultAcks
	}
	for i := range cluster.Servers {
		if s := &cluster.Servers[i]; s.Promotion == "" {
			s.Promotion = promotionNeutral
		}
	}
}

// servers checks addresses. A server belongs to one cluster only: two would fight over its source.
func (c *check) servers(path string, cluster Cluster, homes map[string]string) {
	if cluster.Seed != "" {
		c.address(path+".seed", cluster.Seed, false)
	}
	if len(cluster.Servers) == 0 && cluster.Seed == "" && c.sound(path+".servers", path+".seed") {
		c.refuse(path+".servers", "no server is listed; list them, or give one of them as seed to have the others discovered")
	}
	for i, s := range cluster.Servers {
		at := entry(path+".servers", i)
		if s.Address == "" && c.sound(at+".address") {
			c.spoil(at+".address", "an address is missing; write host:port, such as db1:3306")
		}
		if !c.address(at+".address", s.Address, false) {
			continue
		}
		if home, taken := homes[canonical(s.Address)]; taken {
			c.refuse(at+".address", "%s is already listed as %s; a server belongs to one place", s.Address, home)
			continue
		}
		homes[canonical(s.Address)] = at
	}
	c.sources(path, cluster)
	c.reachability(path, cluster)
}

// sources checks from whom cascaded replicas are to replicate. Such a server can neither lead nor acknowledge, and the file has
// to say the former, for somebody may count on it.
func (c *check) sources(path string, cluster Cluster) {
	for i, s := range cluster.Servers {
		at := entry(path+".servers", i)
		place := at + ".source"
		if s.Source == "" || !c.sound(at, at+".address", place) || !c.address(place, s.Source, false) {
			continue
		}
		k := slices.IndexFunc(cluster.Servers, func(o Server) bool { return canonical(o.Address) == canonical(s.Source) })
		switch {
		case k < 0:
			c.spoil(place, "%s is not listed among the servers of this cluster; name one of them, or remove source to replicate from the primary", s.Source)
		case k == i:
			c.spoil(place, "%s cannot replicate from itself; name another server of this cluster, or remove source", s.Address)
		case cluster.Servers[k].Address != s.Source:
			c.spoil(place, "%s is listed as %s; write it the same way", s.Source, cluster.Servers[k].Address)
		case cluster.Servers[k].Source != "":
			c.spoil(place, "%s has a source itself, and a cascade is one step deep; name %s, or remove one of both", s.Source, cluster.Servers[k].Source)
		case s.Promotion != promotionNever:
			c.spoil(at+".promotion", "%s replicates from %s and not from the primary, so it cannot lead; write promotion: never, or remove source", s.Address, s.Source)
		}
	}
}

// canonical makes different spellings of one address equal.
func canonical(address string) string {
	host, port, _ := net.SplitHostPort(address)
	host = strings.ToLower(host)
	if loopback(address) {
		host = "loopback"
	} else if ip := net.ParseIP(host); ip != nil {
		host = ip.String()
	}
	return net.JoinHostPort(host, port)
}

// reachability warns when replicas on other machines would be told to connect to themselves.
func (c *check) reachability(path string, cluster Cluster) {
	local := 0
	for _, s := range cluster.Servers {
		if loopback(s.Address) {
			local++
		}
	}
	if local > 0 && local < len(cluster.Servers) {
		c.warn(path+".servers", "some addresses are loopback and others are not; replicas connect to each other by these addresses, so use ones that all of them can reach")
	}
}

// durability refuses a policy that these servers can never satisfy, and keys that do nothing under it.
func (c *check) durability(path string, cluster Cluster) {
	d, at := cluster.Durability, path+".durability"
	if !c.sound(at, at+".policy", at+".acks", at+".zones") {
		return
	}
	if c.uselessKeys(at, d) || d.Policy == policyNone {
		return
	}
	if d.Acks < 1 {
		c.refuse(at+".acks", "%d acks promise nothing; write 1 or more, or policy: none", d.Acks)
		return
	}
	if d.Policy == policyZones && d.Zones < 2 {
		c.refuse(at+".zones", "policy zones wants the number of zones that must hold a transaction, 2 or more; set zones: 2")
		return
	}
	if c.membersSound(path, cluster) {
		c.satisfiable(path, cluster)
	}
}

// uselessKeys refuses what the reader of the file would believe to have an effect.
func (c *check) uselessKeys(at string, d Durability) bool {
	before := len(c.wrong)
	if d.Policy == policyNone && c.given(at+".acks") {
		c.refuse(at+".acks", "policy none waits for no acks; remove it, or use policy: semi_sync")
	}
	if d.Policy != policyZones && c.given(at+".zones") {
		c.refuse(at+".zones", "only policy zones counts zones, this is policy %s; remove it, or use policy: zones", d.Policy)
	}
	if d.Policy != policyNone && d.AllowUnfenced {
		c.refuse(at+".allow_unfenced", "only policy none can need it, this is policy %s; remove it", d.Policy)
	}
	return len(c.wrong) > before
}

// membersSound: with servers still to be discovered, or addresses that were refused, nothing can be said about them all.
func (c *check) membersSound(path string, cluster Cluster) bool {
	if cluster.Seed != "" || len(cluster.Servers) == 0 || !c.sound(path+".servers") {
		return false
	}
	for i := range cluster.Servers {
		at := entry(path+".servers", i)
		if !c.sound(at, at+".address", at+".zone", at+".promotion", at+".source") {
			return false
		}
	}
	return true
}

// satisfiable finds the plain reasons first, for which there is a plain remedy. What is left is asked of the ruleset
// itself, so that nothing passes here which the control plane would refuse later.
func (c *check) satisfiable(path string, cluster Cluster) {
	d, at := cluster.Durability, path+".durability"
	others := direct(cluster.Servers) - 1
	zones := zonesOf(cluster.Servers)
	switch {
	case !slices.ContainsFunc(cluster.Servers, func(s Server) bool { return s.Promotion != promotionNever }):
		c.refuse(path+".servers", "every server has promotion never, so none may be primary; allow one")
	case d.Acks > others:
		c.refuse(at+".acks", "%s wanted but only %s besides the primary can give one; lower acks or add servers", count(d.Acks, "ack"), count(others, "server"))
	case d.Policy != policySemiSync && c.lacksZone(path, cluster):
	case d.Policy == policyCrossZone && len(zones) < 2:
		c.refuse(at+".policy", "policy cross_zone needs servers in two zones, and all are in %s; move servers, or use policy: semi_sync", zones[0])
	case d.Policy == policyZones && d.Zones > len(zones):
		c.refuse(at+".zones", "%d zones wanted but the servers are in %d (%s); lower zones or add servers in other ones", d.Zones, len(zones), strings.Join(zones, ", "))
	default:
		c.expressible(at, cluster)
	}
}

// lacksZone refuses servers of which a policy about zones knows nothing.
func (c *check) lacksZone(path string, cluster Cluster) bool {
	lacking := false
	for i, s := range cluster.Servers {
		if s.Zone == "" {
			c.refuse(entry(path+".servers", i), "policy %s needs a zone for %s; add zone: …", cluster.Durability.Policy, s.Address)
			lacking = true
		}
	}
	return lacking
}

// direct counts the servers that replicate from the primary, or lead.
func direct(servers []Server) (n int) {
	for _, s := range servers {
		if s.Source == "" {
			n++
		}
	}
	return n
}

func zonesOf(servers []Server) []string {
	var zones []string
	for _, s := range servers {
		if s.Zone != "" {
			zones = append(zones, s.Zone)
		}
	}
	slices.Sort(zones)
	return slices.Compact(zones)
}

func ruleset(cluster Cluster) topology.Ruleset {
	d := cluster.Durability
	r := topology.Ruleset{Policy: topology.Policy{Kind: topology.PolicyKind(d.Policy), Acks: d.Acks, Zones: d.Zones, AllowUnfenced: d.AllowUnfenced}}
	for _, s := range cluster.Servers {
		r.Members = append(r.Members, topology.Member{Address: topology.Address(s.Address), Zone: s.Zone, Promotion: topology.Promotion(s.Promotion), Source: topology.Address(s.Source)})
	}
	return r
}
