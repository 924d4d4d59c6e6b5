package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/primacydb/primacy/topology"
)

// severities are how check shows them; what is to be read first is loud.
var severities = map[topology.Severity]struct {
	word string
	look style
}{
	topology.SeverityCritical: {"critical", red},
	topology.SeverityWarning:  {"warning", yellow},
	topology.SeverityInfo:     {"note", cyan},
}

// checked writes a report for people.
func (t *terminal) checked(r checkReport, o checkOptions) {
	for i, c := range r.Clusters {
		if i > 0 {
			t.say("")
		}
		t.checkedCluster(c)
	}
	if len(r.Configuration) > 0 {
		t.say("")
	}
	for _, w := range r.Configuration {
		t.hanging(t.severity(topology.SeverityWarning), beneath, w, plain)
	}
	t.settings(r.Settings, o.dryRun)
	t.say("")
	t.verdict(r, o)
}

// beneath is the indent of what belongs to a finding.
const beneath = "          "

func (t *terminal) severity(s topology.Severity) string {
	shown := severities[s]
	return padded(t.paint(shown.look, shown.word), len(beneath))
}

func (t *terminal) checkedCluster(c checkedCluster) {
	t.wrapped("", fmt.Sprintf("%s: %s, %s", c.Name, policyText(c.Policy), counted(len(c.Servers), "server")), bold)
	for _, g := range alike(c.Findings) {
		t.say("")
		t.hanging(t.severity(g.Severity), beneath, g.Code+where(g.servers, len(c.Servers)), bold)
		t.wrapped(beneath, g.Message, plain)
		t.hanging(beneath+"permits  ", beneath+"         ", g.Permits, plain)
		mend := g.Mend
		if g.Fix != nil {
			mend += " (--fix does it)"
		}
		t.hanging(beneath+"mend     ", beneath+"         ", mend, plain)
	}
	t.unread(c.Servers)
}

func policyText(p topology.Policy) string {
	switch p.Kind {
	case topology.PolicyNone:
		return "no acknowledgements"
	case topology.PolicySemiSync, topology.PolicyCrossZone:
		return fmt.Sprintf("%s with %s", p.Kind, counted(p.Acks, "ack"))
	case topology.PolicyZones:
		return fmt.Sprintf("%s with %s in %s", p.Kind, counted(p.Acks, "ack"), counted(p.Zones, "zone"))
	}
	return string(p.Kind)
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// group is one finding with all servers that it is said of.
type group struct {
	topology.Remark
	servers []string
}

// alike puts together what is the same on several servers, in the order of the first.
func alike(findings []topology.Remark) (groups []*group) {
	for _, f := range findings {
		i := slices.IndexFunc(groups, func(g *group) bool {
			return g.Code == f.Code && g.Message == f.Message && g.Mend == f.Mend && g.Severity == f.Severity && f.Server != ""
		})
		if i < 0 {
			i, groups = len(groups), append(groups, &group{Remark: f})
		}
		if f.Server != "" {
			groups[i].servers = append(groups[i].servers, string(f.Server))
		}
	}
	return groups
}

// where names the servers that a finding is about.
func where(servers []string, all int) string {
	switch {
	case len(servers) == 0:
		return ""
	case len(servers) == all && all > 2:
		return fmt.Sprintf(" on all %d servers", all)
	}
	return " on " + strings.Join(servers, ", ")
}

// unread says what was not looked at, so that silence about it means nothing.
func (t *terminal) unread(servers []checkedServer) {
	var reasons []string
	of := make(map[string][]string)
	for _, s := range servers {
		for _, reason := range s.Unread {
			if of[reason] == nil {
				reasons = append(reasons, reason)
			}
			of[reason] = append(of[reason], string(s.Address))
		}
	}
	if len(reasons) > 0 {
		t.say("")
	}
	for _, reason := range reasons {
		t.hanging(padded(t.paint(dim, "not read"), len(beneath)), beneath, reason+" ("+strings.TrimPrefix(where(of[reason], len(servers)), " on ")+")", dim)
	}
}

func (t *terminal) settings(made []checkedFix, dryRun bool) {
	if len(made) == 0 {
		return
	}
	t.say("")
	title := "Set:"
	if dryRun {
		title = "Would be set:"
	}
	t.wrapped("", title, bold)
	for _, s := range made {
		mark, look, text := t.signs.tick, green, string(s.Server)+": "+s.Statement
		switch {
		case s.Error != "":
			mark, look, text = t.signs.cross, red, s.Error
		case dryRun:
			mark, look = t.signs.bullet, plain
		}
		t.hanging(t.paint(look, mark)+" ", "  ", text, plain)
	}
}

func (t *terminal) verdict(r checkReport, o checkOptions) {
	if r.Critical+r.Warnings+r.Notes == 0 {
		t.wrapped("", t.signs.tick+" Nothing to mend.", green)
		return
	}
	look := green
	if !r.Passed {
		look = red
	}
	fixable := 0
	for _, c := range r.Clusters {
		for _, f := range c.Findings {
			if f.Fix != nil {
				fixable++
			}
		}
	}
	text := fmt.Sprintf("%d critical, %s, %s.", r.Critical, counted(r.Warnings, "warning"), counted(r.Notes, "note"))
	if fixable > 0 && !o.fix {
		text += fmt.Sprintf(" With --fix %s could be set.", counted(fixable, "setting"))
	}
	t.wrapped("", text, look)
}
