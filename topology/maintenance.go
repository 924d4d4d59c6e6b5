package topology

import (
	"fmt"
	"strings"
	"time"
)

// held reports that an operator has the whole cluster in maintenance.
func (q *inquiry) held(found []Finding) []Finding {
	h := q.s.Held
	if h == nil {
		return found
	}
	who := strings.TrimSuffix(fmt.Sprintf("%s: %s", h.By, h.Reason), ": ")
	return append(found, Finding{
		Code: ClusterMaintenance, Severity: SeverityInfo,
		Message:  fmt.Sprintf("the whole cluster is in maintenance (%s)%s", who, q.ending(h.Until)),
		Evidence: []Evidence{{By: "the record", Fact: "maintenance of the cluster is on", At: q.s.At}},
	})
}

// ending says when maintenance ends; empty when only somebody can end it.
func (q *inquiry) ending(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return ", which ends in " + span(until.Sub(q.now))
}
