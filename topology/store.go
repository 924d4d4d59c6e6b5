package topology

import "fmt"

// silentStore tells that this elector can hold no lock. Servers serve without it, and another elector that reaches the
// store may be acting, so nothing is critical about it until something else fails.
func (q *inquiry) silentStore(found []Finding) []Finding {
	if q.s.StoreSilent.IsZero() {
		return found
	}
	return append(found, Finding{
		Code: StoreUnavailable, Severity: SeverityWarning,
		Message:  "the store does not answer this elector: servers go on as they are, and it changes nothing by itself",
		Evidence: []Evidence{{By: "store", Fact: "no answer since then: " + q.s.StoreError, At: q.s.StoreSilent}},
		WhyNot: fmt.Sprintf("who may act is decided by a lock in the store; knowingly without it: primacy reparent %s --without-store --reason …, or primacy emergency",
			q.s.Cluster),
	})
}
