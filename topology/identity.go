package topology

import (
	"fmt"

	"github.com/primacydb/primacy/gtid"
)

// identities reports members that share an identity. Two with one server_uuid write different transactions under the
// same GTIDs and replace each other as replicas; two with one server_id skip each other's transactions.
func (q *inquiry) identities(found []Finding) []Finding {
	members := q.members
	for i, o := range members {
		for _, earlier := range members[:i] {
			if shared := sharedIdentity(earlier, o); shared != "" {
				found = append(found, Finding{
					Code: DuplicateIdentity, Severity: SeverityCritical, Server: o.Address,
					Message:  fmt.Sprintf("%s and %s both have %s", earlier.Address, o.Address, shared),
					Evidence: []Evidence{q.saw(earlier, "has %s", shared), q.saw(o, "has %s", shared)},
					WhyNot:   "give one of them its own: SET PERSIST server_id, or remove auto.cnf and restart; if both addresses lead to one server, remove one from the configuration",
				})
				break
			}
		}
	}
	return found
}

func sharedIdentity(a, b *Observation) string {
	switch {
	case !a.Reach.OK() || !b.Reach.OK():
		return ""
	case a.UUID == b.UUID && a.UUID != gtid.UUID{}:
		return "server_uuid " + a.UUID.String()
	case a.ServerID == b.ServerID && a.ServerID != 0:
		return fmt.Sprintf("server_id %d", a.ServerID)
	}
	return ""
}
