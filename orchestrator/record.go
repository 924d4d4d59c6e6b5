package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// recordVersion is written into every stored document; older ones are read, newer ones refused.
const recordVersion = 1

// record is what is remembered of a cluster besides who led it.
type record struct {
	Version int              `json:"version"`
	Cluster string           `json:"cluster"`
	Ruleset topology.Ruleset `json:"ruleset"`
	// Configured are the rules of the configuration as they were when Ruleset was put on record.
	Configured  *topology.Ruleset         `json:"configured,omitempty"`
	Antiflap    antiflap.Cluster          `json:"antiflap"`
	Automation  *Switch                   `json:"automation,omitempty"`
	Maintenance map[topology.Address]Note `json:"maintenance,omitempty"`
	// Held is set while the whole cluster is in maintenance.
	Held *Note `json:"held,omitempty"`
	// Seen are the processes that were last seen at each address: a server that restarted while nobody
	// watched may have lost its relay log.
	Seen map[topology.Address]identity `json:"seen,omitempty"`
	// Fenced are the processes that a repair of ours has fenced: what waited on them was answered to nobody.
	Fenced map[topology.Address]string `json:"fenced,omitempty"`
	// Lax are the processes of leaders that were seen to take writes without waiting for acknowledgements as they should.
	Lax map[topology.Address]string `json:"lax,omitempty"`
	// Halting is the stop or the restart of servers that is under way.
	Halting *halt.Halt `json:"halting,omitempty"`
	// Calls are the latest that changed something here and had a key, oldest first.
	Calls []reparent.Call `json:"calls,omitempty"`
	// SavedAt is when this was saved, by the clock of the elector that did: the only moment that its other times can be
	// compared with by one whose clock shows another time.
	SavedAt time.Time `json:"saved_at,omitzero"`
}

// from is the record as it counts for an elector whose clock shows now.
func (r record) from(now time.Time) record {
	if !r.SavedAt.IsZero() {
		r.Antiflap = r.Antiflap.Shifted(now.Sub(r.SavedAt))
		r.Maintenance, r.Held = shifted(r.Maintenance, now.Sub(r.SavedAt)), r.Held.shifted(now.Sub(r.SavedAt))
		if r.Halting != nil {
			later := r.Halting.Shifted(now.Sub(r.SavedAt))
			r.Halting = &later
		}
		r.SavedAt = now
	}
	return r
}

// lineage is who led a cluster and who may be leading it. While an operation runs, only the operation
// writes it; the record stays with the loop.
type lineage struct {
	Version int              `json:"version"`
	Cluster string           `json:"cluster"`
	History topology.History `json:"history"`
	// Running is the id of an operation that has not ended.
	Running string `json:"running,omitempty"`
	// Certified names the certificate of the latest change that ended.
	Certified reparent.Link `json:"certified,omitzero"`
	// Settling is what is being done about a server with errant transactions; it has not ended.
	Settling *settle.Settlement `json:"settling,omitempty"`
	// LeftOut is the highest term that a store which was lost may have given out; all later ones are drawn above it.
	LeftOut uint32 `json:"left_out,omitempty"`
}

type identity struct {
	UUID        gtid.UUID `json:"server_uuid"`
	Incarnation string    `json:"incarnation"`
	// AcksOff is set when the server does not acknowledge, and would not after a restart either. An elector that has not seen
	// it itself would else have to count it among those that may have acknowledged what a lost primary wrote.
	AcksOff bool `json:"acks_off,omitempty"`
	// RelayUnsynced and LogUnsynced are set when its host's crash may take what it has received, or executed, and Losses when
	// that may have happened: somebody may set it right before the next elector looks.
	RelayUnsynced bool            `json:"relay_log_unsynced,omitempty"`
	LogUnsynced   bool            `json:"binary_log_unsynced,omitempty"`
	Losses        topology.Losses `json:"losses,omitzero"`
}

func identityOf(o *topology.Observation) identity {
	return identity{
		UUID: o.UUID, Incarnation: o.Incarnation, AcksOff: !o.MayAck(),
		RelayUnsynced: o.Settings.RelayLogUnsynced || o.Settings.RelayLogRecovery, LogUnsynced: o.Settings.LogUnsynced(), Losses: o.Losses,
	}
}

// observation is what is left of a server that was seen by somebody else. When that one saw it lose something was by another
// clock, and certainly before now.
func (i identity) observation(a topology.Address, now time.Time) *topology.Observation {
	o := &topology.Observation{Address: a, UUID: i.UUID, Incarnation: i.Incarnation, Losses: i.Losses.By(now)}
	o.Settings.BootAcksOff, o.Settings.RelayLogUnsynced = i.AcksOff, i.RelayUnsynced
	if i.LogUnsynced {
		o.Settings.GTIDMode = "ON" // with sync_binlog as it stands here, which is 0
	}
	return o
}

// forgetLosses leaves out what servers may have lost before a change began that has established a primary: none of it is of
// the new leadership. It goes by what the change knew, not by clocks, which differ.
func (c *cluster) forgetLosses(op reparent.Operation) {
	if op.Established.IsZero() {
		return
	}
	seen := maps.Clone(c.lastSeen)
	for a, o := range c.lastSeen {
		if known, asked := op.Known[a]; asked && known.Incarnation == o.Incarnation && known.Losses == o.Losses && o.Losses != (topology.Losses{}) {
			now := *o
			now.Losses = topology.Losses{}
			seen[a] = &now
		}
	}
	c.lastSeen = seen
}

func recordKey(cluster string) string { return "clusters/" + cluster + "/record" }

func lineageKey(cluster string) string { return "clusters/" + cluster + "/lineage" }

func operationKey(cluster, id string) string { return "recoveries/" + cluster + "/" + id }

func settlementKey(cluster, id string) string { return "settlements/" + cluster + "/" + id }

// exportKey holds what the transactions of a settlement did: it is larger than all else, and read when somebody asks.
func exportKey(cluster, id string) string { return "exports/" + cluster + "/" + id }

// brakeKey holds the fleet brake, which all clusters share.
const brakeKey = "fleet/antiflap"

func (r record) document() Document {
	r.Version = recordVersion
	return written(recordKey(r.Cluster), &r)
}

func (l lineage) document() Document {
	l.Version = recordVersion
	return written(lineageKey(l.Cluster), &l)
}

func operationDocument(op reparent.Operation) Document {
	return written(operationKey(op.Cluster, op.ID), &stored{Version: recordVersion, Operation: op})
}

type storedSettlement struct {
	Version    int               `json:"version"`
	Settlement settle.Settlement `json:"settlement"`
}

func settlementDocument(s settle.Settlement) Document {
	return written(settlementKey(s.Cluster, s.ID), &storedSettlement{Version: recordVersion, Settlement: s})
}

func haltKey(cluster, id string) string { return "halts/" + cluster + "/" + id }

type storedHalt struct {
	Version int       `json:"version"`
	Halt    halt.Halt `json:"halt"`
}

func haltDocument(h halt.Halt) Document {
	return written(haltKey(h.Cluster, h.ID), &storedHalt{Version: recordVersion, Halt: h})
}

type storedExport struct {
	Version    int               `json:"version"`
	Transcript settle.Transcript `json:"transcript"`
}

func exportDocument(cluster, id string, t settle.Transcript) Document {
	return written(exportKey(cluster, id), &storedExport{Version: recordVersion, Transcript: t})
}

type stored struct {
	Version   int                `json:"version"`
	Operation reparent.Operation `json:"operation"`
}

func decodeOperation(d Document) (reparent.Operation, error) {
	var s stored
	err := decode(d, &s, &s.Version)
	return s.Operation, err
}

// storedBrake is the fleet brake as it is kept. One without a version is older than all that have one.
type storedBrake struct {
	Version int `json:"version"`
	antiflap.Fleet
}

func brakeDocument(f antiflap.Fleet) Document {
	return written(brakeKey, &storedBrake{Version: recordVersion, Fleet: f})
}

func decodeBrake(d Document) (antiflap.Fleet, error) {
	var s storedBrake
	err := decode(d, &s, &s.Version)
	return s.Fleet, err
}

// loadRecord reads a cluster's record, and returns it with what it was read from; a cluster that was never seen starts with
// the configured ruleset.
func loadRecord(ctx context.Context, s Store, cluster string, configured topology.Ruleset) (record, Document, error) {
	d, _, err := s.Get(ctx, recordKey(cluster))
	if err != nil {
		return record{}, d, err
	}
	r, err := recordOf(d, cluster, configured)
	return r, d, err
}

func recordOf(d Document, cluster string, configured topology.Ruleset) (record, error) {
	if d.empty() {
		configured.Number = 1
		return record{Version: recordVersion, Cluster: cluster, Ruleset: configured}, nil
	}
	var r record // decoded into nothing that exists: JSON would write into the configured members
	err := decode(d, &r, &r.Version)
	return r, err
}

func loadLineage(ctx context.Context, s Store, cluster string) (lineage, Document, error) {
	d, _, err := s.Get(ctx, lineageKey(cluster))
	if err != nil {
		return lineage{}, d, err
	}
	l, err := lineageOf(d, cluster)
	return l, d, err
}

func lineageOf(d Document, cluster string) (lineage, error) {
	l := lineage{Version: recordVersion, Cluster: cluster}
	if d.empty() {
		return l, nil
	}
	err := decode(d, &l, &l.Version)
	return l, err
}

// with notes what an operation has decided, so that its candidate counts as a possible leader from the
// moment before its marker is sent, and what it has established.
func (l lineage) with(op reparent.Operation) lineage {
	l.Running = ""
	if op.Running() {
		l.Running = op.ID
	} else {
		l.Certified = op.Link()
	}
	l.History = op.Recorded(l.History)
	return l
}

// highestTerm is the highest term on record, or left out by it.
func (l lineage) highestTerm() uint32 {
	highest := l.LeftOut
	for _, k := range l.History.Leaderships {
		highest = max(highest, k.Term)
	}
	return highest
}

// Recoveries lists the changes of a cluster, or of all when the name is empty, newest first.
func (o *Orchestrator) Recoveries(ctx context.Context, cluster string, limit int) ([]reparent.Operation, error) {
	names := o.names
	if cluster != "" {
		if _, err := o.find(cluster); err != nil {
			return nil, err
		}
		names = []string{cluster}
	}
	var all []reparent.Operation
	for _, name := range names {
		some, err := o.clusters[name].listed(ctx, limit)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b reparent.Operation) int { return b.StartedAt.Compare(a.StartedAt) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, nil
}

// Recovery finds one change by its id: the live value when it runs here, else the stored one.
func (o *Orchestrator) Recovery(ctx context.Context, id string) (reparent.Operation, error) {
	for _, name := range o.names {
		if running := o.clusters[name].view().Running; running != nil && running.ID == id {
			return *running, nil
		}
	}
	for _, name := range o.names {
		if op, found, err := o.clusters[name].told(ctx, id); found || err != nil {
			return op, err
		}
	}
	if o.storeSilent() {
		return reparent.Operation{}, fmt.Errorf("recovery %q is not among the latest that this elector remembers: %w", id, ErrStoreSilent)
	}
	return reparent.Operation{}, fmt.Errorf("%w: %q", ErrNoSuchRecovery, id)
}

// errStopped is returned to callers when the loop ends under them.
var errStopped = errors.New("the control plane is stopping")
