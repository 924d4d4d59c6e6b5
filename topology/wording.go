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
	return q.noted(o, fmt.Sprintf(fact, values...))
}

// noted is saw for a fact that needs no values. What is wrong for hours is worded again on every round, since the time of
// the probe is part of it.
func (q *inquiry) noted(o *Observation, fact string) Evidence {
	return q.worded(o, fact)
}

// worded is noted for a fact in pieces.
func (q *inquiry) worded(o *Observation, fact ...string) Evidence {
	return Evidence{Server: o.Address, By: byProbe, Fact: q.dated(", probed ", o.At, fact...), At: o.At}
}

// said is a fact about one server that another one reported when it was probed.
func (q *inquiry) said(about Address, reporter *Observation, fact string) Evidence {
	return Evidence{Server: about, By: string(reporter.Address), Fact: q.dated(", asked ", reporter.At, fact), At: reporter.At}
}

// dated adds to a fact when it was found, in one piece of memory.
func (q *inquiry) dated(found string, at time.Time, fact ...string) string {
	var room [24]byte
	age := appendSpan(room[:0], q.now.Sub(at))
	var b strings.Builder
	length := len(found) + len(age) + len(" ago")
	for _, piece := range fact {
		length += len(piece)
	}
	b.Grow(length)
	for _, piece := range fact {
		b.WriteString(piece)
	}
	b.WriteString(found)
	b.Write(age)
	b.WriteString(" ago")
	return b.String()
}

// lastSeen quotes the last answered probe of a server; nothing when there was none.
func (q *inquiry) lastSeen(a Address) []Evidence {
	seen := q.h.LastSeen[a]
	if seen == nil || seen.At.IsZero() {
		return nil
	}
	return []Evidence{{Server: a, By: byProbe, Fact: q.dated("last answered ", seen.At), At: seen.At}}
}

func (q *inquiry) ago(t time.Time) string { return span(q.now.Sub(t)) + " ago" }

// span writes a duration as one reads it aloud: 0.4 s, 12 s, 3 min, 5 h, 2 days.
func span(d time.Duration) string { return string(appendSpan(nil, d)) }

func appendSpan(out []byte, d time.Duration) []byte {
	d = max(d, 0)
	switch {
	case d < 10*time.Second:
		return append(strconv.AppendFloat(out, d.Seconds(), 'f', 1, 64), " s"...)
	case d < 2*time.Minute:
		return append(strconv.AppendFloat(out, d.Seconds(), 'f', 0, 64), " s"...)
	case d < 2*time.Hour:
		return append(strconv.AppendFloat(out, d.Minutes(), 'f', 0, 64), " min"...)
	case d < 48*time.Hour:
		return append(strconv.AppendFloat(out, d.Hours(), 'f', 0, 64), " h"...)
	}
	return append(strconv.AppendFloat(out, d.Hours()/24, 'f', 0, 64), " days"...)
}

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
	return strconv.Itoa(n) + " " + many
}

// does picks the form of a verb for a list of names.
func does(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
