package mysqld

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The journal is a table on every server, replicated like any other: one row for each decision that got
// as far as its primary's binary log. The row is written under the term marker's GTID, which is what
// failover reads; the table is for people, and for rebuilding a lost store.

// journalTable keeps the whole decision as text beside its fields, so that its hash can be checked.
const journalTable = `CREATE TABLE IF NOT EXISTS _primacy.journal (
	term INT UNSIGNED NOT NULL,
	decision_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	previous_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
	kind VARCHAR(32) NOT NULL,
	` + "`primary`" + ` VARCHAR(300) NOT NULL,
	ruleset BIGINT UNSIGNED NOT NULL,
	base LONGTEXT NOT NULL,
	reached LONGTEXT NOT NULL,
	elector VARCHAR(255) NOT NULL,
	decided_at DATETIME(6) NOT NULL,
	decision LONGTEXT NOT NULL,
	PRIMARY KEY (term, decision_hash)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COMMENT = 'Leaderships of this cluster, written by Primacy. Do not change.'`

const journalRow = "INSERT INTO _primacy.journal (term, decision_hash, previous_hash, kind, `primary`, ruleset, base, " +
	"reached, elector, decided_at, decision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

// createJournal makes schema and table where they are missing. A statement with IF NOT EXISTS is
// written to the binary log even when it has nothing to do, hence the look before.
func (a *act) createJournal(ctx context.Context) (topology.Observation, error) {
	rows, err := a.query(ctx, `SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '_primacy' AND table_name = 'journal'),
		@@GLOBAL.read_only AND @@GLOBAL.super_read_only`)
	switch {
	case err != nil:
		return topology.Observation{}, err
	case rows[0][0].on():
		return topology.Observation{}, nil
	case rows[0][1].on():
		return topology.Observation{}, refuse(reparent.ReasonRefused, "%s is closed for writes (super_read_only)", a.server)
	}
	return topology.Observation{}, a.runAside(ctx, dutyMark, "CREATE DATABASE IF NOT EXISTS _primacy DEFAULT CHARACTER SET = utf8mb4; "+journalTable)
}

// mark commits the decision under its marker while nobody else can write. When the commit has returned
// with semi-sync on, everything before it in the binary log is held by as many ackers as the policy
// asks for: it is durable under the new term.
func (a *act) mark(ctx context.Context) (topology.Observation, error) {
	if err := a.markable(ctx); err != nil {
		return topology.Observation{}, err
	}
	before, err := a.marking(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if !before.committed && a.unackedBefore == nil {
		a.unackedBefore = &before.source.unacked
	}
	switch {
	case before.committed:
	case before.pending:
		err = a.awaitMarker(ctx)
	default:
		err = a.commitMarker(ctx, before)
	}
	if err != nil {
		return topology.Observation{}, err
	}
	return topology.Observation{}, a.acknowledged(ctx)
}

// markable checks the decision itself, and that it speaks of this process.
func (a *act) markable(ctx context.Context) error {
	d := a.command.Decision
	switch {
	case !d.Intact():
		return refuse(reparent.ReasonRefused, "the decision's hash is not that of its fields")
	case d.Cluster != a.cluster || d.Term != a.term || d.Primary != a.server:
		return refuse(reparent.ReasonRefused, "the decision is about %s in term %d of %s", d.Primary, d.Term, d.Cluster)
	}
	born, err := a.incarnation(ctx)
	if err != nil {
		return err
	}
	if born != d.Incarnation {
		return refuse(reparent.ReasonRefused, "%s is not the process that was chosen: it has restarted since", a.server)
	}
	return nil
}

// marking is the state in which a marker is to be written.
type marking struct {
	switches
	source    source
	committed bool // this process has committed the marker
	pending   bool // an earlier attempt still waits for its acknowledgements
}

func (a *act) marking(ctx context.Context) (m marking, err error) {
	results, err := a.link.queryAll(ctx, readSwitches+", @@GLOBAL.gtid_owned; SELECT @@GLOBAL.gtid_executed; "+
		"SELECT received_transaction_set FROM performance_schema.replication_connection_status")
	if err != nil {
		return m, err
	}
	first := results[0][0]
	m.switches = switches{first[0].on(), first[1].on(), first[2].on()}
	executed, err := positionOf(results[1], nil)
	if err != nil {
		return m, err
	}
	position, err := positionOf(results[1], results[2])
	if err != nil {
		return m, err
	}
	marker := a.command.Decision.Marker()
	m.committed = executed.Has(marker.GTID())
	m.pending = owns(first[3].text, marker.GTID().UUID)
	if err := a.sole(position, marker); err != nil {
		return m, err
	}
	if _, err := a.whole(ctx, executed); err != nil {
		return m, err
	}
	m.source, err = a.source(ctx)
	return m, err
}

// sole refuses when another decision of the same term left its marker here.
func (a *act) sole(position gtid.Set, marker topology.Marker) error {
	for _, other := range topology.Markers(position) {
		if other.Term == marker.Term && other != marker {
			return fencedBy(marker.Term, "%s holds another marker of term %d (%s): two electors used one term", a.server, marker.Term, other)
		}
	}
	return nil
}

// commitMarker opens super_read_only for as long as the marker takes. When the commit certainly did not
// happen, it is closed again.
func (a *act) commitMarker(ctx context.Context, before marking) error {
	d := a.command.Decision
	if !before.readOnly && reparent.Kind(d.Kind) != reparent.KindAdoption {
		return refuse(reparent.ReasonRefused, "read_only is off on %s: others could write before the marker", a.server)
	}
	document, err := json.Marshal(d)
	if err != nil {
		return refuse(reparent.ReasonRefused, "decision: %v", err)
	}
	side, err := a.aside(ctx, dutyMark)
	if err != nil {
		return err
	}
	defer side.close()
	if before.closed() {
		if err := a.change(ctx, "SET GLOBAL super_read_only = OFF"); err != nil {
			return err
		}
	}
	side.guards = a.markGuards(before)
	err = side.run(ctx, "SET SESSION gtid_next = '"+d.Marker().GTID().String()+"'; "+journalRow,
		int64(d.Term), d.Hash, d.Previous, d.Kind, string(d.Primary), int64(d.Ruleset), d.Base.String(),
		d.Reached.String(), d.Elector, d.DecidedAt.UTC(), string(document))
	return a.unmarked(ctx, before, err)
}

// markGuards are checked by the server right before the commit.
func (a *act) markGuards(before marking) (guards []guard) {
	if before.readOnly {
		guards = append(guards, guard{broken: "@@GLOBAL.read_only = 0", reason: reparent.ReasonRefused, detail: "read_only was switched off meanwhile"})
	}
	if a.command.Acks > 0 {
		guards = append(guards, unacknowledged(a.command.Acks))
	}
	return append(guards, a.strayed()...)
}

// unmarked closes the server again after an attempt that certainly left nothing behind.
func (a *act) unmarked(ctx context.Context, before marking, err error) error {
	if err == nil || !before.closed() {
		return err
	}
	if outcome, _ := verdict(ctx, true, err); outcome != reparent.No {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	if undo := a.change(ctx, closeUp); undo != nil {
		return doubtful(reasonOf(err), "%v; closing %s again failed: %v", err, a.server, undo)
	}
	return err
}

// awaitMarker waits for the commit of an earlier attempt, which cannot be ended (E2).
func (a *act) awaitMarker(ctx context.Context) error {
	a.changed = true // not by this attempt, but its commit may come at any time
	for {
		rows, err := a.query(ctx, "SELECT WAIT_FOR_EXECUTED_GTID_SET("+literal(a.command.Decision.Marker().Set())+", ?)", slice(ctx).Seconds())
		if err != nil || rows[0][0].text == "0" {
			return err
		}
		if remaining(ctx) < 25*time.Millisecond {
			return doubtful(reparent.ReasonDeadline, "the marker on %s waits for acknowledgements", a.server)
		}
	}
}

// acknowledged checks afterwards that the commit came back because of acknowledgements, and not because
// somebody switched semi-sync off. An earlier attempt of ours has left the count of commits that came
// back without one; after an attempt of a predecessor only the present settings can be checked.
func (a *act) acknowledged(ctx context.Context) error {
	if a.command.Acks == 0 {
		return nil
	}
	after, err := a.source(ctx)
	if err != nil {
		return err
	}
	if !after.Verified() || after.Acks < a.command.Acks || a.unackedBefore != nil && after.unacked != *a.unackedBefore {
		return doubtful(reparent.ReasonNotSemiSync, "semi-sync was changed on %s while the marker was written", a.server)
	}
	return nil
}

// owns tells whether a session holds a GTID of this UUID: gtid_owned is "uuid:number#thread:…, …".
func owns(owned string, u gtid.UUID) bool { return strings.Contains(owned, u.String()) }

// Journal reads a server's journal, newest decision first. A server without a journal has none; whether
// a decision is as it was written is for its Intact to say.
func (f *Fleet) Journal(ctx context.Context, server topology.Address) ([]topology.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultDeadline)
	defer cancel()
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer l.close()
	rows, err := l.query(ctx, "SELECT decision FROM _primacy.journal ORDER BY term DESC, decided_at DESC")
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	decisions := make([]topology.Decision, len(rows))
	for i, r := range rows {
		if err := json.Unmarshal([]byte(r[0].text), &decisions[i]); err != nil {
			return nil, fmt.Errorf("read journal of %s: row %d from the end: %w", server, i+1, err)
		}
	}
	return decisions, nil
}
