package main

import (
	"fmt"
	"strings"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/reparent"
)

// storyOf is a change in a line.
func storyOf(op reparent.Operation) string {
	return fmt.Sprintf("%s change of %s under term %d, %s: from %s to %s, %s UTC", op.Kind, op.Cluster, op.Term, op.State,
		orDash(string(op.From)), orDash(string(op.To)), op.StartedAt.UTC().Format("2006-01-02 15:04:05"))
}

// verified tells one certificate claim by claim, and of several which claims do not hold.
func (t *terminal) verified(v verdict) {
	for i, one := range v.Certificates {
		if i > 0 {
			t.say("")
		}
		t.wrapped("", one.ID, bold)
		t.wrapped("", one.Story, plain)
		if len(v.Certificates) == 1 {
			t.say("")
		}
		held := 0
		for _, claim := range one.Claims {
			if claim.Standing == string(reparent.Holds) && len(v.Certificates) > 1 {
				held++
				continue
			}
			t.claim(claim)
		}
		if held > 0 {
			t.wrapped(t.paint(green, t.signs.tick)+" ", count(held, "claim")+" re-computed and found to follow from the evidence", plain)
		}
	}
	t.links(v.Chain)
	t.say("")
	text, look := conclusion(v)
	t.wrapped("", text, look)
}

// claimColumn is where what is said of a claim begins.
const claimColumn = 16

func (t *terminal) claim(c api.Claim) {
	mark, look := t.signs.tick, green
	switch reparent.Standing(c.Standing) {
	case reparent.Holds:
	case reparent.Accepted:
		mark, look = "!", yellow
	case reparent.Untold:
		mark, look = "?", dim
	case reparent.Refuted:
		mark, look = t.signs.cross, red
	}
	first := t.paint(look, mark) + " " + padded(shown(c.Name), claimColumn-3) + " "
	t.hanging(first, strings.Repeat(" ", claimColumn), c.Detail, plain)
}

// links tells where a chain breaks, or that it does not.
func (t *terminal) links(chain []api.Claim) {
	if len(chain) == 0 {
		return
	}
	t.say("")
	t.say("%s", t.paint(bold, "Chain"))
	whole := 0
	for _, link := range chain {
		if link.Standing == string(reparent.Holds) {
			whole++
			continue
		}
		mark, look := "?", dim
		if link.Standing == string(reparent.Refuted) {
			mark, look = t.signs.cross, red
		}
		t.hanging(t.paint(look, mark)+" ", "  ", link.Name+": "+link.Detail, plain)
	}
	t.wrapped(t.paint(green, t.signs.tick)+" ", fmt.Sprintf("%d of %s in place", whole, count(len(chain), "link")), plain)
}

// conclusion is the last line.
func conclusion(v verdict) (string, style) {
	accepted, open := 0, 0
	for _, one := range v.Certificates {
		for _, c := range one.Claims {
			switch reparent.Standing(c.Standing) {
			case reparent.Accepted:
				accepted++
			case reparent.Untold:
				open++
			case reparent.Holds, reparent.Refuted:
			}
		}
	}
	switch {
	case !v.Verified:
		return "Not verified: what is marked above does not follow, or was altered.", red
	case accepted > 0:
		return "Verified, but something may have been lost: who answers for that stands above.", yellow
	case open > 0:
		return "Verified as far as the file can tell; what it cannot tell is marked above.", green
	}
	return "Verified: by the evidence, nothing acknowledged was lost.", green
}
