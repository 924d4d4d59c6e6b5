package orchestrator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/goccy/go-json"

	"github.com/primacydb/primacy/topology"
)

// Revision is a short text that is another one when what is on record of the cluster is: who leads under which term, members
// and policy, switches, maintenance, anti-flapping, the change and the stop of servers under way. What probes see does not count: a change looks
// at the servers anew before it begins, and the loop sees something new several times a second.
func (v View) Revision() string {
	running, halting, window := "", "", v.Antiflap
	if v.Running != nil {
		running = v.Running.ID
	}
	if v.Halting != nil {
		halting = v.Halting.ID
	}
	text, err := json.Marshal(struct {
		Name        string
		Ruleset     topology.Ruleset
		Leaderships []topology.Leadership
		Automation  Switch
		Maintenance map[topology.Address]Note
		Held        *Note `json:",omitempty"`
		Running     string
		Halting     string `json:",omitempty"`
		// Of the window only what happened to it: how far its time has gone, another elector tells by another clock.
		Opened, Ended, Acknowledged time.Time
		Proven                      bool
		Attempts                    int
	}{
		v.Name, v.Ruleset, v.History.Leaderships, v.Automation, timeless(v.Maintenance), v.Held.timeless(), running, halting,
		window.OpenedWall, window.Ended, window.AcknowledgedAt, !window.Proven.IsZero(), window.Attempts,
	})
	if err != nil {
		panic(fmt.Sprintf("what is on record of cluster %s has no text: %v", v.Name, err)) // the store has had it as text
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
