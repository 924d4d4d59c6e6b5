package antiflap

import (
	"fmt"
	"time"
)

// The kinds of leadership change.
const (
	Planned   = "planned"
	Emergency = "emergency"
)

// Change is a leadership change that reached establishment: the new primary's term marker is durable. Attempts that
// ended before that point are not changes; see [Cluster.AttemptFailed].
type Change struct {
	Cluster  string    `json:"cluster"`
	Term     uint64    `json:"term"`
	Kind     string    `json:"kind"` // Planned or Emergency; whatever is not Planned is treated as Emergency
	At       time.Time `json:"at,omitzero"`
	From     string    `json:"from,omitempty"`
	To       string    `json:"to,omitempty"`
	Operator string    `json:"operator,omitempty"` // who asked for it; empty when Primacy acted by itself
}

// opensWindow: a planned change that succeeded shows a healthy cluster, and somebody watched it.
func (c Change) opensWindow() bool { return c.Kind != Planned }

// brakes says that the change counts against the fleet's allowance: Primacy made it without being asked.
func (c Change) brakes() bool { return c.Operator == "" && c.Kind != Planned }

// toldBefore: the change was told already, perhaps by an elector that died between saving and going on. Terms grow with
// every leadership of a cluster, so a term that is not higher is old news.
func (c Change) toldBefore(last Change) bool { return last.Term > 0 && c.Term <= last.Term }

func (c Change) String() string {
	return fmt.Sprintf("the %s change from %s to %s (term %d) at %s", c.Kind, named(c.From), named(c.To), c.Term, clock(c.At))
}

func named(server string) string {
	if server == "" {
		return "an unknown server"
	}
	return server
}

func clock(t time.Time) string { return wall(t).Format(time.RFC3339) }
