package policy

import (
	"slices"
	"testing"

	"github.com/primacydb/primacy/topology"
)

// caught claims that a wrong judge violates a claim, among others perhaps.
func caught(t *testing.T, j judge, n int, claim string) {
	t.Helper()
	c := newChecker(j, n)
	for _, job := range c.jobs(n) {
		job()
		if c.violations[claim] > 0 {
			break
		}
	}
	for _, v := range c.report.Violations {
		if v.Claim == claim {
			t.Log(v)
			return
		}
	}
	t.Errorf("%d violations and none of %s: %v", c.report.Violated, claim, c.report.Violations)
}

// The wrong electors below are this one with a single thought taken out.
func TestAnElectorOfAFewLinesIsRight(t *testing.T) {
	if r := check(right().judged(), largest, nil); !r.OK() || r.Accepted < 10_000 {
		t.Error(r)
	}
}

func TestWrongElectorsAreCaught(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*counting)
		claim string
	}{
		{"one more loose acker is taken for bearable", func(c *counting) {
			c.enough = func(_ moment, left set, acks int) bool { return left.len() <= acks }
		}, "Revoked"},
		{"revocation is computed on zones instead of servers", func(c *counting) {
			c.enough = func(m moment, left set, acks int) bool { return zonesOf(m.rules, left) < acks }
		}, "Revoked"},
		{"revocation is computed on whole zones: one frozen server freezes its zone", func(c *counting) {
			c.loose = func(m moment, o outcome, ackers set) set {
				for i := range o.frozen.each {
					ackers = ackers.minus(zoneOf(m.rules, i))
				}
				return ackers
			}
			c.unread = c.loose
		}, "Revoked"},
		{"a majority of the members is taken for enough", func(c *counting) {
			c.enough = func(m moment, left set, _ int) bool { return 2*left.len() < len(m.rules.Members) }
		}, "Revoked"},
		{"a command that was lost counts as obeyed", func(c *counting) {
			c.loose = func(m moment, o outcome, ackers set) set {
				for i := range ackers.minus(o.frozen).each {
					return ackers.minus(o.frozen | one(i))
				}
				return ackers.minus(o.frozen)
			}
			c.unread = c.loose
		}, "Revoked"},
		{"the leader's own freeze counts as silencing it", func(c *counting) {
			c.suspects = func(m moment) set { return 0 }
			c.heirs = func(m moment, o outcome) set {
				if m.mayLead().minus(o.frozen) != 0 {
					return 0
				}
				return o.frozen.minus(m.mayLead()) & promotable(m.rules)
			}
		}, "Revoked"},
		{"the half-established primary is not revoked", func(c *counting) {
			c.suspects = func(m moment) set {
				if len(m.led) > 0 {
					return one(m.led[0])
				}
				return m.mayLead()
			}
		}, "Revoked"},
		{"with nothing on record only the primary that was seen is revoked", func(c *counting) {
			c.suspects = func(m moment) set {
				if len(m.led) == 0 {
					return one(m.writer)
				}
				return m.mayLead()
			}
		}, "Revoked"},
		{"ackers that the policy does not count are not counted", func(c *counting) {
			c.ackers = func(m moment, l int) set { return told(m.rules, l).enabled }
		}, "Revoked"},
		{"what the primary really waits for is not looked at", func(c *counting) {
			c.acks = func(m moment, l int) int { return told(m.rules, l).acks }
		}, "Revoked"},
		{"a server that lost its relay log proves that a transaction is nowhere", func(c *counting) {
			c.unread = c.loose
		}, "Found"},
		{"whoever may never lead leads", func(c *counting) {
			c.heirs = func(m moment, o outcome) set { return o.frozen.minus(m.mayLead().minus(o.silenced)) }
		}, "Established"},
		{"a leader that was not silenced leads on", func(c *counting) {
			c.heirs = func(m moment, o outcome) set { return o.frozen & promotable(m.rules) }
		}, "Established"},
		{"the marker is written for one acknowledgement less", func(c *counting) { c.lacking = 1 }, "Established"},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := right()
			row.spoil(&wrong)
			caught(t, wrong.judged(), 4, row.claim)
		})
	}
}

func TestWrongTellingsAreCaught(t *testing.T) {
	for _, row := range []struct {
		name string
		told func(r topology.Ruleset, primary int) regime
	}{
		{"a policy about zones is told as its count of acks", func(r topology.Ruleset, primary int) regime {
			return regime{told(r, primary).enabled, r.Policy.Acks}
		}},
		{"everybody may acknowledge, whatever his zone", func(r topology.Ruleset, primary int) regime {
			return regime{numbered(r.Servers()).minus(one(primary)), told(r, primary).acks}
		}},
		{"one acknowledgement less", func(r topology.Ruleset, primary int) regime {
			return regime{told(r, primary).enabled, max(told(r, primary).acks-1, 0)}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := right().judged()
			wrong.told = row.told
			caught(t, wrong, 4, "Told")
		})
	}
}

func TestWrongSuccessionsAreCaught(t *testing.T) {
	for _, row := range []struct {
		name     string
		succeeds func(old, next topology.Ruleset) string
	}{
		{"every change is let through", func(_, _ topology.Ruleset) string { return "" }},
		{"more acks are let through", func(old, next topology.Ruleset) string {
			if kindOf(old, next) == "acks up" {
				return ""
			}
			return old.Succeeds(next)
		}},
		{"a member is removed", func(old, next topology.Ruleset) string {
			if kindOf(old, next) == "member removed" {
				return ""
			}
			return old.Succeeds(next)
		}},
		{"a new member raises the acks of others", func(old, next topology.Ruleset) string {
			if kindOf(old, next) == "member added" {
				return ""
			}
			return old.Succeeds(next)
		}},
		{"servers move between zones", func(old, next topology.Ruleset) string {
			if kindOf(old, next) == "servers in other zones" {
				return ""
			}
			return old.Succeeds(next)
		}},
		{"only the count of acks is compared", func(old, next topology.Ruleset) string {
			if next.Policy.Kind == old.Policy.Kind && next.Policy.Acks <= old.Policy.Acks {
				return ""
			}
			return old.Succeeds(next)
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := right().judged()
			wrong.succeeds = row.succeeds
			caught(t, wrong, 4, "Changed")
		})
	}
}

func TestWrongOrdersOfAChangeAreCaught(t *testing.T) {
	changed, promised := []move{raise, disable, barrier, record, repair}, []move{enable, raise, barrier, record, repair}
	for _, row := range []struct {
		name           string
		instead, order []move
	}{
		{"lower acks before recording", atOnce(), []move{lower, record, enable}},
		{"enable an acker before recording", atOnce(), []move{enable, record, lower}},
		{"no barrier", changed, []move{raise, disable, record, enable, lower}},
		{"record, then disable", changed, []move{raise, barrier, record, disable, enable, lower}},
		{"record, then raise", changed, []move{disable, barrier, record, raise, enable, lower}},
		{"the barrier before the acks are raised", changed, []move{disable, barrier, raise, record, enable, lower}},
		{"the barrier before ackers are disabled", changed, []move{raise, barrier, disable, record, enable, lower}},
		{"the barrier after recording", changed, []move{raise, disable, record, barrier, enable, lower}},
		{"lower in the same stroke as the barrier", changed, []move{raise, disable, barrier, lower, record, enable}},
		{"from nothing to a promise, and no barrier", promised, []move{enable, raise, record, repair}},
		{"from nothing to a promise, and the barrier after recording", promised, []move{enable, raise, record, barrier, repair}},
		{"from nothing to a promise, and the barrier before anybody is waited for", promised, []move{enable, barrier, raise, record, repair}},
		{"from nothing to a promise, and recorded first", promised, []move{record, enable, raise, barrier, repair}},
	} {
		t.Run(row.name, func(t *testing.T) {
			wrong := right().judged()
			wrong.order = func(old, next topology.Ruleset) []move {
				if order := orderOf(old, next); !slices.Equal(order, row.instead) {
					return order
				}
				return row.order
			}
			caught(t, wrong, 4, "Changed")
		})
	}
}
