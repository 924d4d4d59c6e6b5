package topology

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
)

// byProbe is who saw what this elector's own probes saw.
const byProbe = "probe"

// saw is a fact from our own probe of a server.
func (q *inquiry) saw(o *Observation, fact string, values ...any) Evidence {
	return Evidence{Server: o.Address, By: byProbe, Fact: fmt.Sprintf(fact, values...) + ", probed " + q.ago(o.At), At: o.At}
}

// said is a fact about one server that another one reported when it was probed.
func (q *inquiry) said(about Address, reporter *Observation, fact string, values ...any) Evidence {
	return Evidence{Server: about, By: string(reporter.Address),
		Fact: fmt.Sprintf(fact, values...) + ", asked " + q.ago(reporter.At), At: reporter.At}
}

// lastSeen quotes the last answered probe of a server; nothing when there was none.
func (q *inquiry) lastSeen(a Address) []Evidence {
	seen, ok := q.h.LastSeen[a]
	if !ok || seen.At.IsZero() {
		return nil
	}
	return []Evidence{{Server: a, By: byProbe, Fact: "last answered " + q.ago(seen.At), At: seen.At}}
}

func (q *inquiry) ago(t time.Time) string { return span(q.now.Sub(t)) + " ago" }

// span writes a duration as one reads it aloud: 0.4 s, 12 s, 3 min, 5 h, 2 days.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return rounded(d.Seconds(), 1) + " s"
	case d < 2*time.Minute:
		return rounded(d.Seconds(), 0) + " s"
	case d < 2*time.Hour:
		return rounded(d.Minutes(), 0) + " min"
	case d < 48*time.Hour:
		return rounded(d.Hours(), 0) + " h"
	}
	return rounded(d.Hours()/24, 0) + " days"
}

func rounded(x float64, digits int) string { return strconv.FormatFloat(x, 'f', digits, 64) }

// named joins names: "B", "B and C", "B, C and D".
func named(names []Address) string { return joinedAddresses(names, "and") }

func joinedAddresses(names []Address, last string) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = string(n)
	}
	return joined(parts, last)
}

func joined(parts []string, last string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " " + last + " " + parts[len(parts)-1]
}

// setsShown is how many alternatives a sentence lists; a large cluster has thousands.
const setsShown = 4

// either lists alternative sets of servers: "C or D", "C and D, or C and E".
func either(sets []ServerSet) string {
	var parts []string
	for _, s := range sets[:min(len(sets), setsShown)] {
		parts = append(parts, named(s.List()))
	}
	if more := len(sets) - setsShown; more > 0 {
		parts = append(parts, fmt.Sprintf("%d other such sets", more))
	}
	return joined(parts, "or")
}

// transactionsShown is how many characters of a GTID set a sentence quotes.
const transactionsShown = 160

// transactions counts and quotes a GTID set.
func transactions(set gtid.Set) string {
	text := set.String()
	if len(text) > transactionsShown {
		text = text[:transactionsShown] + " …"
	}
	if set.Count() == 1 {
		return "1 transaction (" + text + ")"
	}
	return fmt.Sprintf("%d transactions (%s)", set.Count(), text)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// does picks the form of a verb for a list of names.
func does(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
