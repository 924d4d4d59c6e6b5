package orchestrator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// because is why something that was wanted is not done. The reason stays the same for as long as nothing but numbers move in
// the text: a server that catches up shows other transactions with every round of probes, and an error names another port.
type because struct{ reason, text string }

// and adds what else stands against it.
func (b because) and(besides because) because {
	return because{b.reason + "; " + besides.reason, b.text + besides.text}
}

// regarding is the reason for not doing what this finding calls for.
func regarding(f topology.Finding, why because) because {
	return because{fmt.Sprintf("%s %s: %s", f.Code, f.Server, why.reason), why.text}
}

func unanswered(err error) because {
	return because{"store_silent", fmt.Sprintf("the store does not answer, nothing is changed: %v", err)}
}

// obstruction is what stays the same of an obstacle: what it is, and whom it names.
func obstruction(o *reparent.Obstacle) string {
	named := []string{o.Code}
	for _, need := range o.Needs {
		named = append(named, need.String())
	}
	for _, a := range slices.Sorted(maps.Keys(o.Branches)) {
		named = append(named, string(a))
	}
	return strings.Join(named, " ")
}

// refusedAgain is how long a reason that lasts goes without being told again.
const refusedAgain = 10 * time.Minute

// refusing is the reason that was told last, and when.
type refusing struct {
	reason string
	at     time.Time
}

// due tells whether this reason has to be told: it is another one, or the last time is long ago.
func (r refusing) due(reason string, now time.Time) bool {
	return r.reason != reason || now.Sub(r.at) >= refusedAgain || now.Before(r.at)
}

// refuse keeps why a wanted change is not made, as it is now, and tells it once for each reason. Without a text nothing is
// refused any more, and whatever is refused next is news.
func (c *cluster) refuse(why because, o *reparent.Obstacle, now time.Time) {
	c.refusal, c.obstacle = why.text, o
	if why.text == "" {
		c.refusing = refusing{}
		return
	}
	if c.refusing.due(why.reason, now) {
		c.refusing = refusing{why.reason, now}
		c.o.events.Tell(Event{Kind: EventRefused, At: now, Cluster: c.name, Text: why.text})
	}
}
