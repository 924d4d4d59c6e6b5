package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/api"
)

// tree draws a cluster: who replicates from whom, and what is wrong.
func (t *terminal) tree(c api.Cluster, now time.Time) {
	t.heading(c, now)
	t.say("")
	roots, children := arranged(c)
	for _, root := range roots {
		t.branch(c, root, children, "", "", now)
	}
	if c.Recovery != nil {
		t.underWay(*c.Recovery)
	}
	if c.Halting != nil {
		t.say("")
		t.underHalt(*c.Halting)
	}
	t.findings(c, now)
	t.window(c.Antiflap)
}

// outdated is when what is shown may no longer be so.
const outdated = 5 * time.Second

func (t *terminal) heading(c api.Cluster, now time.Time) {
	state := t.paint(styleOfState(c.State), strings.ToUpper(shown(c.State)))
	t.say("%s is %s", t.paint(bold, shown(c.Name)), state)
	facts := []string{durabilityText(c.Durability)}
	if c.Term > 0 {
		facts = append([]string{fmt.Sprintf("term %d", c.Term)}, facts...)
	}
	facts = append(facts, automationText(c))
	if c.Elector != "" {
		facts = append(facts, "elector "+c.Elector)
	} else {
		facts = append(facts, "no elector acts here")
	}
	t.listed(facts, dim)
	switch {
	case c.ProbedAt.IsZero():
		t.wrapped("", "not probed yet", yellow)
	case now.Sub(c.ProbedAt) > outdated:
		t.wrapped("", "as of "+coarse(now.Sub(c.ProbedAt))+" ago, when it was last probed", yellow)
	}
}

func durabilityText(d api.Durability) string {
	switch d.Policy {
	case "none":
		return "policy none: no acks"
	case "zones":
		return fmt.Sprintf("zones, %s in %d zones", count(d.Acks, "ack"), d.Zones)
	}
	return fmt.Sprintf("%s, %s", d.Policy, count(d.Acks, "ack"))
}

func automationText(c api.Cluster) string {
	if c.Automation {
		return "automation on"
	}
	if n := c.AutomationNote; n != nil && n.By != "" {
		return fmt.Sprintf("automation OFF (%s: %s)", n.By, n.Reason)
	}
	return "automation OFF"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// leads tells whether a server is the primary, of a cluster without a recorded term too.
func leads(c api.Cluster, s api.Server) bool {
	return s.Address == c.Primary || c.Primary == "" && s.Role == "primary"
}

// arranged puts servers below their sources. Roots are the primary first, then whoever follows nobody that is a
// member or stands in a ring, so that every server is drawn once.
func arranged(c api.Cluster) (roots []api.Server, children map[string][]api.Server) {
	children = map[string][]api.Server{}
	member := map[string]bool{}
	for _, s := range c.Servers {
		member[s.Address] = true
	}
	for _, s := range c.Servers {
		if !leads(c, s) && member[s.Source] && s.Source != s.Address {
			children[s.Source] = append(children[s.Source], s)
		}
	}
	drawn := map[string]bool{}
	var mark func(s api.Server)
	mark = func(s api.Server) {
		if drawn[s.Address] {
			return
		}
		drawn[s.Address] = true
		for _, child := range children[s.Address] {
			mark(child)
		}
	}
	add := func(wanted func(api.Server) bool) {
		for _, s := range c.Servers {
			if !drawn[s.Address] && wanted(s) {
				roots = append(roots, s)
				mark(s)
			}
		}
	}
	add(func(s api.Server) bool { return leads(c, s) })
	add(func(s api.Server) bool { return !member[s.Source] })
	add(func(api.Server) bool { return true })
	return roots, withoutRings(roots, children)
}

// withoutRings draws each server below one source only, and roots below none.
func withoutRings(roots []api.Server, children map[string][]api.Server) map[string][]api.Server {
	isRoot := map[string]bool{}
	for _, r := range roots {
		isRoot[r.Address] = true
	}
	for source, all := range children {
		children[source] = slices.DeleteFunc(all, func(s api.Server) bool { return isRoot[s.Address] })
	}
	return children
}

// branch draws one server and what is below it. lead is what stands before its own line, rest before all others.
func (t *terminal) branch(c api.Cluster, s api.Server, children map[string][]api.Server, lead, rest string, now time.Time) {
	below := children[s.Address]
	t.serverLine(c, s, lead)
	inner := rest + "  "
	if len(below) > 0 {
		inner = rest + t.signs.bar + " "
	}
	if lead == "" {
		inner += "  " // as far in as its name, which stands behind a mark
	}
	for _, line := range t.details(c, s, now) {
		t.hanging(t.paint(dim, inner), t.paint(dim, inner)+"  ", line.text, line.style)
	}
	for i, child := range below {
		if i < len(below)-1 {
			t.branch(c, child, children, rest+t.signs.branch+" ", rest+t.signs.bar+"  ", now)
		} else {
			t.branch(c, child, children, rest+t.signs.last+" ", rest+"   ", now)
		}
	}
}

// serverLine says who it is: address and role on the left, zone, version and term on the right.
func (t *terminal) serverLine(c api.Cluster, s api.Server, lead string) {
	mark := ""
	switch {
	case leads(c, s):
		mark = t.paint(yellow, t.signs.star) + " "
	case lead == "" && !s.Reachable:
		mark = t.paint(red, t.signs.cross) + " "
	case lead == "":
		mark = t.paint(yellow, "?") + " " // it follows nobody
	}
	right := identity(s)
	room := width - cells(lead) - cells(mark) - len(s.Role) - cells(right) - 4
	address := t.shortened(shown(s.Address), max(room, 16))
	left := t.paint(dim, lead) + mark + t.paint(bold, address) + "  " + t.paint(styleOfRole(s.Role), shown(s.Role))
	if cells(left)+2+cells(right) > width {
		right = ""
	}
	t.say("%s", strings.TrimRight(padded(left, width-cells(right))+t.paint(dim, right), " "))
}

func identity(s api.Server) string {
	var parts []string
	if s.Zone != "" {
		parts = append(parts, "zone "+shown(s.Zone))
	}
	if s.Version != "" {
		parts = append(parts, shown(s.Version))
	}
	if s.Term > 0 {
		parts = append(parts, fmt.Sprintf("term %d", s.Term))
	}
	return strings.Join(parts, "  ")
}

func styleOfRole(role string) style {
	switch role {
	case "primary":
		return green
	case "quarantined", "unreachable":
		return red
	case "unknown":
		return yellow
	}
	return cyan
}

type detail struct {
	text  string
	style style
}

// details say how a server fares.
func (t *terminal) details(c api.Cluster, s api.Server, now time.Time) []detail {
	var all []detail
	switch {
	case !s.Reachable:
		all = append(all, detail{unreachedText(s, now), red})
	case leads(c, s):
		all = append(all, t.leading(c, s))
	default:
		all = append(all, t.following(s))
	}
	if s.Errant > 0 {
		all = append(all, detail{count(int(s.Errant), "errant transaction"), red})
	}
	if s.Maintenance != nil {
		all = append(all, detail{noteText(*s.Maintenance, now), yellow})
	}
	for _, e := range s.Errors {
		if s.Reachable || !strings.HasPrefix(e, "probe: ") {
			all = append(all, detail{t.signs.cross + " " + e, red})
		}
	}
	return all
}

func unreachedText(s api.Server, now time.Time) string {
	text := "not reached (" + s.Reach + ")"
	if !s.Failing.IsZero() {
		text += ", for " + coarse(now.Sub(s.Failing))
	}
	for _, e := range s.Errors {
		if cause, is := strings.CutPrefix(e, "probe: "); is {
			text += ": " + strings.NewReplacer(s.Address+": ", "", "dial tcp ", "", "connect: ", "").Replace(cause)
		}
	}
	return text
}

func (t *terminal) leading(c api.Cluster, s api.Server) detail {
	parts, look := []string{"takes writes"}, dim
	switch {
	case s.OfflineMode:
		parts, look = []string{"offline"}, red
	case s.ReadOnly:
		parts, look = []string{"read-only"}, red
	}
	switch {
	case c.Durability.Policy == "none":
	case !s.SemiSync.SourceActive:
		parts, look = append(parts, "does not wait for acks"), red
	default:
		parts = append(parts, fmt.Sprintf("waits for %s of %s", count(s.SemiSync.Acks, "ack"), count(s.SemiSync.Clients, "connected acker")))
	}
	if s.SemiSync.Waiters > 0 {
		parts, look = append(parts, count(s.SemiSync.Waiters, "session")+" waiting"), yellow
	}
	return detail{strings.Join(parts, " "+t.signs.dot+" "), look}
}

func (t *terminal) following(s api.Server) detail {
	look := dim
	var parts []string
	if s.SemiSync.Acker {
		parts = append(parts, t.signs.tick+" acker")
	} else {
		parts = append(parts, "no acker")
	}
	if s.Intermediate != "" && s.Source != s.Intermediate {
		parts, look = append(parts, "away from "+shown(s.Intermediate)), yellow
	}
	parts = append(parts, "receiver "+s.Receiver, "applier "+s.Applier)
	if s.Receiver != "on" || s.Applier != "on" {
		look = yellow
	}
	if s.LagMS != nil {
		parts = append(parts, "lag "+exact(time.Duration(*s.LagMS)*time.Millisecond))
	} else {
		parts = append(parts, "lag unknown")
	}
	if s.Behind != nil {
		parts = append(parts, fmt.Sprintf("behind %d", *s.Behind))
	}
	if !s.ReadOnly {
		parts, look = append(parts, "WRITABLE"), red
	}
	return detail{strings.Join(parts, " "+t.signs.dot+" "), look}
}

func (t *terminal) underWay(r api.Recovery) {
	t.say("")
	t.wrapped("", fmt.Sprintf("%s change under way (%s): %s %s %s, phase %s", r.Kind, r.ID, orDash(r.From), t.signs.arrow, orDash(r.To), r.Phase), yellow)
}

func (t *terminal) findings(c api.Cluster, now time.Time) {
	if len(c.Findings) == 0 {
		t.say("")
		t.say("%s", t.paint(green, "Nothing is wrong."))
	}
	for _, f := range c.Findings {
		t.say("")
		t.finding(f, now)
	}
	if c.Obstacle != nil {
		t.say("")
		t.obstacle("The failover is blocked", c.Obstacle)
	}
}

func styleOfSeverity(severity string) style {
	switch severity {
	case "critical":
		return red
	case "warning":
		return yellow
	}
	return dim
}

func (t *terminal) finding(f api.Finding, now time.Time) {
	look := styleOfSeverity(f.Severity)
	title := fmt.Sprintf("%s %s", t.signs.bullet, f.Severity)
	t.say("%s  %s  %s", t.paint(look, shown(title)), t.paint(bold, shown(f.Code)), t.paint(dim, "for "+coarse(now.Sub(f.Since))))
	t.wrapped("  ", f.Message, plain)
	for _, e := range f.Evidence {
		t.hanging("    - ", "      ", evidenceText(e), dim)
	}
	t.hanging("  "+t.signs.does+" ", "     ", doneText(f), plain)
}

func evidenceText(e api.Evidence) string {
	switch {
	case e.Server == "":
		return fmt.Sprintf("%s: %s", e.By, e.Fact)
	case e.By == "" || e.By == e.Server:
		return fmt.Sprintf("%s: %s", e.Server, e.Fact)
	}
	return fmt.Sprintf("%s (by %s): %s", e.Server, e.By, e.Fact)
}

// doneText says what Primacy does about a finding, or why it does nothing.
func doneText(f api.Finding) string {
	if f.WhyNot != "" {
		return "nothing is done: " + f.WhyNot
	}
	switch f.Remedy {
	case "emergency":
		return "Primacy replaces the primary"
	case "reconcile":
		return "Primacy sets this server right"
	case "adopt":
		return "Primacy records the first term"
	}
	return "for you to decide; Primacy only reports it"
}

func (t *terminal) window(w api.Antiflap) {
	if !w.Open {
		return
	}
	t.say("")
	left := coarse(time.Duration(w.LeftMS)*time.Millisecond) + " left"
	if w.Held {
		left = "until somebody acknowledges it"
	}
	t.wrapped("", "Anti-flapping window open, "+left, yellow)
	t.wrapped("  ", w.Reason, plain)
	t.wrapped("  ", "to lift it: "+w.Lift, dim)
}

// coarse is a duration for people who want to know how long ago.
func coarse(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// exact is a duration for people who compare.
func exact(d time.Duration) string {
	switch d = max(d, 0); {
	case d == 0:
		return "0 s"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d.Microseconds())/1000)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return coarse(d)
}
