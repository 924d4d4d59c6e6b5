package panorama

import (
	"math/rand/v2"
	"time"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// situation is what is the matter with a cluster.
type situation struct {
	share int // how often it is met; see pick
	shows func(t *town, seen []topology.Observation, now time.Time)
	tells func(t *town, v *orchestrator.View)
}

// situations are alternatives.
type situations []*situation

// pick chooses one, in proportion to its share.
func (all situations) pick(random *rand.Rand) *situation {
	total := 0
	for _, s := range all {
		total += s.share
	}
	left := random.IntN(total)
	for _, s := range all {
		if left -= s.share; left < 0 {
			return s
		}
	}
	return all[0]
}

var (
	well        = &situation{share: 160}
	lagging     = &situation{share: 8, shows: lags}
	replicaDown = &situation{share: 6, shows: replicaGone}
	applyFails  = &situation{share: 5, shows: applierFails}
	loginFails  = &situation{share: 3, shows: receiverFails}
	astray      = &situation{share: 4, shows: errant}
	dead        = &situation{share: 2, shows: primaryGone}
	wedged      = &situation{share: 2, shows: primaryAndAckersGone}
	starved     = &situation{share: 1, shows: ackersOff}
	loose       = &situation{share: 3, shows: looseSettings}
	reparenting = &situation{share: 2, shows: primaryGone}
	windowed    = &situation{share: 3}
	repaired    = &situation{share: 3, shows: replicaGone, tells: underMaintenance}
	byHand      = &situation{share: 3, tells: automationOff}
	forgotten   = &situation{share: 2}
	elsewhere   = &situation{share: 4, tells: ledElsewhere}

	troubles  = situations{lagging, replicaDown, applyFails, loginFails, astray, dead, loose}
	landscape = append(situations{well, wedged, starved, reparenting, windowed, repaired, byHand, forgotten, elsewhere}, troubles...)
)

// replica finds a server that is not the primary.
func (t *town) replica(seen []topology.Observation, n int) *topology.Observation {
	for i := range seen {
		if seen[i].Address != t.primary {
			if n == 0 {
				return &seen[i]
			}
			n--
		}
	}
	return &seen[0]
}

func (t *town) leads(seen []topology.Observation) *topology.Observation {
	for i := range seen {
		if seen[i].Address == t.primary {
			return &seen[i]
		}
	}
	return &seen[0]
}

func lags(t *town, seen []topology.Observation, now time.Time) {
	o := t.replica(seen, 1)
	behind := 12*time.Second + now.Sub(t.since)/4
	o.Replication.Lag, o.Executed = min(behind, 10*time.Minute), t.executed(now, min(behind, 10*time.Minute))
}

// gone is a server that does not answer since the situation began.
func (t *town) gone(o *topology.Observation, reach topology.Reach, why string) {
	*o = topology.Observation{Address: o.Address, At: o.At, Latency: o.Latency, Reach: reach, Error: t.said(why), FailingSince: t.since.Add(-3 * time.Second)}
}

func replicaGone(t *town, seen []topology.Observation, _ time.Time) {
	t.gone(t.replica(seen, 1), topology.ReachRefused, "connect: connection refused")
	t.leads(seen).SemiSync.Clients--
}

func applierFails(t *town, seen []topology.Observation, now time.Time) {
	o := t.replica(seen, 0)
	o.Replication.Applier, o.Replication.ApplierErrno = topology.ThreadOff, 1062
	o.Replication.ApplierError = t.said("Could not execute Write_rows event on table app.orders; Duplicate entry '4711' for key 'PRIMARY'")
	o.Executed = t.executed(now, now.Sub(t.since))
}

func receiverFails(t *town, seen []topology.Observation, now time.Time) {
	o := t.replica(seen, 1)
	o.Replication.Receiver, o.Replication.ReceiverErrno = topology.ThreadConnecting, 1045
	o.Replication.ReceiverError = t.said("error connecting to source 'replica': Access denied")
	o.Received, o.Executed = t.executed(now, now.Sub(t.since)), t.executed(now, now.Sub(t.since))
	o.SemiSync.ReplicaActive = false
	t.leads(seen).SemiSync.Clients--
}

func errant(t *town, seen []topology.Observation, _ time.Time) {
	o := t.replica(seen, 1)
	o.Executed = o.Executed.Union(straySet(o.Address))
}

func primaryGone(t *town, seen []topology.Observation, _ time.Time) {
	t.gone(t.leads(seen), topology.ReachRefused, "connect: connection refused")
	for i := range seen {
		if r := seen[i].Replication; r != nil {
			r.Receiver, r.ReceiverErrno, r.ReceiverError = topology.ThreadConnecting, 2003, t.said("Can't connect to MySQL server")
			r.HeartbeatAge = 3 * time.Second
		}
	}
}

func primaryAndAckersGone(t *town, seen []topology.Observation, now time.Time) {
	primaryGone(t, seen, now)
	for n := range t.ruleset.Policy.Acks + 1 {
		t.gone(t.replica(seen, n), topology.ReachSilent, "i/o timeout")
	}
}

func ackersOff(t *town, seen []topology.Observation, _ time.Time) {
	for i := range seen {
		seen[i].SemiSync.ReplicaEnabled, seen[i].SemiSync.ReplicaActive = false, false
	}
	p := t.leads(seen)
	p.SemiSync.Clients, p.SemiSync.Waiters, p.Stall.OldestAckWait = 0, 14, 40*time.Second
}

func looseSettings(t *town, seen []topology.Observation, _ time.Time) {
	o := t.replica(seen, 0)
	o.Settings.SyncBinlog, o.Settings.FlushLogAtCommit = 0, 2
}

func underMaintenance(t *town, v *orchestrator.View) {
	a := t.replica(v.Snapshot.Servers, 1).Address
	v.Maintenance[a] = orchestrator.Note{By: "grace", Reason: t.said("new disks"), At: t.since}
}

func automationOff(t *town, v *orchestrator.View) {
	v.Automation = orchestrator.Switch{By: "grace", Reason: t.said("migration of the racks"), At: t.since}
}

func ledElsewhere(_ *town, v *orchestrator.View) { v.Leading, v.Elector = false, "elector-2" }
