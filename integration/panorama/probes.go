package panorama

import (
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// Probes of a thousand clusters would keep a machine busy of which nobody sees anything. So only a cluster that was looked
// at in the last minute is probed; the first look is told what probes of the last ten minutes would have shown.
const (
	probeEvery = 2 * time.Second
	watchedFor = time.Minute
	remembered = 10 * time.Minute
)

// watch notes that somebody looks at a cluster.
func (p *Plane) watch(t *town, now time.Time) {
	if t.probed.IsZero() {
		t.probed = now.Add(-remembered)
		p.probe(t, now)
	}
	t.watched = now
}

// probe tells the rounds that are due.
func (p *Plane) probe(t *town, now time.Time) {
	for at := t.probed.Add(probeEvery); !at.After(now); at = at.Add(probeEvery) {
		t.probed = at
		seen := t.observed(at)
		for i := range seen {
			seen[i].Latency += jitter(at, i)
			if r := seen[i].Replication; r != nil && r.Lag >= 0 {
				r.Lag += jitter(at, i+7) / 4
			}
		}
		p.events.Tell(orchestrator.Event{At: at, Kind: orchestrator.EventProbed, Cluster: t.name, Probes: seen})
	}
}

// probeWatched goes on with what somebody looks at.
func (p *Plane) probeWatched(now time.Time) {
	for _, t := range p.towns {
		if now.Sub(t.watched) < watchedFor {
			p.probe(t, now)
		} else if !t.probed.IsZero() {
			t.probed = time.Time{}
		}
	}
}

// jitter is a little of the unrest that real servers show, and the same at the same time.
func jitter(at time.Time, server int) time.Duration {
	n := (at.Unix()*7919 + int64(server)*104729) % 97
	if n%31 == 0 {
		n *= 4
	}
	return time.Duration(n) * 20 * time.Microsecond
}
