package orchestrator

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// attempts is how often a server's repair failed in a row, and when it may be tried again.
type attempts struct {
	failed int
	next   time.Time
	// renewed is how often the server was told its credentials for a source anew, which has refused them ever since.
	renewed int
	source  topology.Address
}

// mend is a repair with what came of it.
type mend struct {
	command reparent.Command
	result  reparent.Result
	renews  bool // its source refused the server's login
}

// renewalsMost is how often in a row a server is told its credentials anew. The first time is enough where they were the old
// ones; the others are for a source where the account is changed at this moment.
const renewalsMost = 6

// ownerOf is the highest term that a server is known to be acted on under by an answer to a command of ours.
func ownerOf(ours uint32, r reparent.Result) uint32 {
	if r.Reason == reparent.ReasonFenced {
		return max(ours, r.Owner)
	}
	return r.Owner
}

// repairBackoffMax caps the pause between attempts to repair one server.
const repairBackoffMax = time.Minute

// repair sets replication right, off the loop, with back-off for each server.
func (c *cluster) repair(now time.Time) {
	if c.repairing {
		return
	}
	var due []reparent.Command
	for _, command := range c.detoured(reparent.Repairs(c.findings, c.snapshot, c.history(), c.sessionTerm)) {
		if c.rulesOutdated() && command.Verb != reparent.Fence { // who acknowledges, and how many have to, is not known
			continue
		}
		if !now.Before(c.repairs[command.Server].next) && !c.underSettlement(command.Server) {
			due = append(due, command)
		}
	}
	if len(due) == 0 {
		return
	}
	renews := make([]bool, len(due))
	for i, command := range due {
		renews[i] = command.Verb == reparent.Follow && c.snapshot.Find(command.Server).LockedOut(command.Source)
	}
	c.repairing = true
	lease := c.lease
	c.workers.Go(func() { c.carryOut(lease.Context(), due, renews) })
}

func (c *cluster) carryOut(ctx context.Context, due []reparent.Command, renews []bool) {
	results := c.o.fleet.Do(ctx, Batch{Commands: due})
	var all []mend
	for i, r := range results {
		all = append(all, mend{due[i], r, renews[i]})
	}
	c.inbox.mend(all)
}

func (c *cluster) repaired(all []mend, now time.Time) {
	c.repairing = false
	for _, m := range all {
		c.owner = max(c.owner, ownerOf(m.command.Term, m.result))
		a := c.repairs[m.command.Server]
		a.failed++
		text := fmt.Sprintf("repaired: %s", m.command)
		if m.command.Verb == reparent.Follow && !m.command.Acker && c.record.Ruleset.Ackers(m.command.Source).Has(m.command.Server) {
			text += ", and acknowledge nothing for now"
		}
		if why := c.moved(m, now); why != "" {
			text += ", " + why
		}
		switch {
		case m.renews:
			a, text = a.renewal(m, text)
		case m.result.Done():
			a.failed = 0
			c.fenced(m)
		default:
			text = fmt.Sprintf("repair failed: %s: %s %s", m.command, m.result.Reason, m.result.Detail)
		}
		a.next = now.Add(min(time.Second<<min(a.failed, 10), repairBackoffMax))
		c.repairs[m.command.Server] = a
		c.o.events.Tell(Event{Kind: EventRepair, At: now, Cluster: c.name, Server: m.command.Server, Text: text})
	}
	c.alarm()
}

// renewal counts that a server was told its credentials anew: the command is done long before its source has answered, so that
// it proves nothing.
func (a attempts) renewal(m mend, text string) (attempts, string) {
	if !m.result.Done() {
		return a, fmt.Sprintf("repair failed: %s: %s %s", m.command, m.result.Reason, m.result.Detail)
	}
	if a.source != m.command.Source {
		a.source, a.renewed = m.command.Source, 0
	}
	a.renewed++
	if a.renewed == renewalsMost {
		text = fmt.Sprintf("repair given up after %d attempts: %s: its login was refused, and the configured credentials were each time", a.renewed, m.command)
	}
	return a, text
}

// givenUp are the servers that are not told their credentials again, and how often they were. Who gets in, or is pointed
// elsewhere, begins anew.
func (c *cluster) givenUp() map[topology.Address]int {
	var all map[topology.Address]int
	for server, a := range c.repairs {
		if a.renewed == 0 {
			continue
		}
		if o := c.snapshot.Find(server); o != nil && o.OK() && !o.Awaits(a.source) {
			a.renewed, a.failed = 0, 0
			c.repairs[server] = a
			continue
		}
		if a.renewed >= renewalsMost {
			if all == nil {
				all = map[topology.Address]int{}
			}
			all[server] = a.renewed
		}
	}
	return all
}
