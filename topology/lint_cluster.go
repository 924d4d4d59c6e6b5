package topology

import (
	"fmt"
	"strconv"
	"strings"
)

// cluster looks at what the rules permit by themselves.
func (l *linter) cluster() {
	if l.rules.Policy.Kind == PolicyNone {
		l.remark(Remark{
			Code: "policy_none", Severity: SeverityWarning, Message: "durability policy none",
			Permits: "whatever the primary has not sent yet is lost with it, and nothing on the replicas can stop a primary that is out of reach",
			Mend:    "durability: {policy: semi_sync, acks: 1}",
		})
		return
	}
	var short, stuck []Address
	for _, m := range l.rules.Members {
		if m.Promotion == PromotionNever {
			continue
		}
		if l.rules.Ackers(m.Address).Len() == l.rules.AcksNeeded(m.Address) {
			short = append(short, m.Address)
		}
		if !l.survives(m.Address) {
			stuck = append(stuck, m.Address)
		}
	}
	if len(short) > 0 {
		l.remark(Remark{
			Code: "no_spare_acker", Severity: SeverityWarning, Message: "while " + joinedAddresses(short, "or") + " leads, every acker is needed",
			Permits: "writes stop when any of them does", Mend: "add a server, or ask for fewer acks",
		})
	}
	if len(stuck) > 0 {
		l.remark(Remark{
			Code: "no_successor", Severity: SeverityCritical, Message: "if " + joinedAddresses(stuck, "or") + " leads and is lost, nobody can be promoted",
			Permits: "a failover blocks: the servers that are left are too few for the acks that the next primary needs",
			Mend:    "add a server, or ask for fewer acks",
		})
	}
}

// survives tells whether another server could establish itself with all others but this one.
func (l *linter) survives(lost Address) bool {
	left := l.rules.Servers().Without(lost)
	for _, m := range l.rules.Members {
		if m.Address != lost && m.Promotion != PromotionNever && l.rules.CanComplete(m.Address, left.Without(m.Address)) {
			return true
		}
	}
	return false
}

func (l *linter) identities() {
	for i := range l.seen {
		for k := range i {
			shared := sharedIdentity(&l.seen[k].Observation, &l.seen[i].Observation)
			if shared == "" {
				continue
			}
			l.remark(Remark{
				Code: string(DuplicateIdentity), Severity: SeverityCritical, Server: l.seen[i].Address, Message: fmt.Sprintf("it has %s, as %s has", shared, l.seen[k].Address),
				Permits: "they take each other's transactions for their own, or push each other out as replicas",
				Mend:    "give one of them its own: SET PERSIST server_id, or remove auto.cnf and restart",
			})
		}
	}
}

// versions compares series, such as 8.4; MySQL replicates from an older series to a newer one only.
func (l *linter) versions() {
	oldest, newest := l.extremes()
	if oldest == nil || seriesOf(oldest.Version) == seriesOf(newest.Version) {
		return
	}
	for i := range l.seen {
		o := &l.seen[i]
		if !o.Reach.OK() || !older(oldest.Version, o.Version) {
			continue
		}
		r := Remark{
			Code: "version_order", Severity: SeverityInfo, Server: o.Address, Message: fmt.Sprintf("it runs MySQL %s, and %s %s", o.Version, oldest.Address, oldest.Version),
			Permits: "a newer server that leads sends what older ones may not understand",
			Mend:    "upgrade the others; until then give it promotion: never",
		}
		if o.Writable() {
			r.Severity, r.Message = SeverityCritical, r.Message+", and it leads"
		} else if m, _ := l.rules.Member(o.Address); m.Promotion != PromotionNever {
			r.Severity = SeverityWarning
		}
		l.remark(r)
	}
}

func (l *linter) extremes() (oldest, newest *Inspection) {
	for i := range l.seen {
		o := &l.seen[i]
		if !o.Reach.OK() || o.Version == "" {
			continue
		}
		if oldest == nil || older(o.Version, oldest.Version) {
			oldest = o
		}
		if newest == nil || older(newest.Version, o.Version) {
			newest = o
		}
	}
	return oldest, newest
}

func older(a, b string) bool {
	x, y := seriesOf(a), seriesOf(b)
	return x[0] < y[0] || x[0] == y[0] && x[1] < y[1]
}

// seriesOf are the first two numbers of a version.
func seriesOf(version string) (series [2]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < len(series) {
			series[i], _ = strconv.Atoi(part)
		}
	}
	return series
}
