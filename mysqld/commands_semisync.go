package mysqld

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Commands to the source side of semi-sync. Statements were tried on MySQL 9.7; variables and status
// counters have these names since 8.0.26.

// sourceSide is the source side in one small round trip. session_status shows the server-wide counters
// and is much cheaper than global_status.
const sourceSide = `SELECT @@GLOBAL.rpl_semi_sync_source_enabled, @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count,
	@@GLOBAL.rpl_semi_sync_source_timeout, @@GLOBAL.rpl_semi_sync_source_wait_no_replica, @@GLOBAL.rpl_semi_sync_source_wait_point,
	s.active, s.clients, s.waiters, s.unacked
	FROM (SELECT MAX(IF(variable_name = 'Rpl_semi_sync_source_status', variable_value, NULL)) AS active,
	MAX(IF(variable_name = 'Rpl_semi_sync_source_clients', variable_value, NULL)) AS clients,
	MAX(IF(variable_name = 'Rpl_semi_sync_source_wait_sessions', variable_value, NULL)) AS waiters,
	MAX(IF(variable_name = 'Rpl_semi_sync_source_no_tx', variable_value, NULL)) AS unacked
	FROM performance_schema.session_status WHERE variable_name IN ('Rpl_semi_sync_source_status',
	'Rpl_semi_sync_source_clients', 'Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_source_no_tx')) AS s`

// source is a reading of the source side.
type source struct {
	topology.SemiSync
	unacked int64 // commits that completed without the acknowledgements asked for
}

// source reads the source side; a server without the plugin has it switched off.
func (a *act) source(ctx context.Context) (source, error) {
	rows, err := a.query(ctx, sourceSide)
	if mysqlErrno(err) == errUnknownVariable {
		return source{}, nil
	}
	if err != nil {
		return source{}, err
	}
	r := rows[0]
	return source{topology.SemiSync{
		Installed: true, SourceEnabled: r[0].on(), Acks: int(r[1].number()), Timeout: r[2].times(time.Millisecond),
		WaitNoReplica: r[3].on(), AfterSync: r[4].text == "AFTER_SYNC",
		SourceActive: r[5].on(), Clients: int(r[6].number()), Waiters: int(r[7].number()),
	}, r[8].number()}, nil
}

// unacknowledged guards statements that rely on commits waiting for at least so many acknowledgements.
func unacknowledged(acks int) guard {
	return guard{
		broken: fmt.Sprintf("@@GLOBAL.rpl_semi_sync_source_enabled = 0 OR @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count < %d "+
			"OR @@GLOBAL.rpl_semi_sync_source_timeout < %d OR NOT EXISTS (SELECT 1 FROM performance_schema.session_status "+
			"WHERE variable_name = 'Rpl_semi_sync_source_status' AND variable_value = 'ON')", acks, topology.TimeoutInfinite.Milliseconds()),
		reason: reparent.ReasonNotSemiSync,
		detail: fmt.Sprintf("its commits do not wait for %d acknowledgements for as long as it takes", acks),
	}
}

// poison makes a leader wait for more acknowledgements than any cluster can give, and then cuts its
// clients. On a leader whose commits do not wait it would prove nothing (E1, T6).
func (a *act) poison(ctx context.Context) (topology.Observation, error) {
	before, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	if !before.Verified() {
		return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "commits on %s do not wait for acknowledgements for as long as it takes, so the ack count does not bind it", a.server)
	}
	const poisonous = "SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 65535; SET GLOBAL offline_mode = ON"
	if err := a.changeUnless(ctx, []guard{unacknowledged(1)}, poisonous); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && (!o.SemiSync.Verified() || o.SemiSync.Acks != topology.PoisonAcks || !o.OfflineMode) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else while it was poisoned", a.server)
	}
	return o, err
}

// antidote lets a poisoned leader go on: what waited completes as soon as its acknowledgements are there.
func (a *act) antidote(ctx context.Context) (topology.Observation, error) {
	if a.command.Acks < 1 {
		return topology.Observation{}, refuse(reparent.ReasonRefused, "the antidote needs the ack count to go back to")
	}
	statement := fmt.Sprintf("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = %d; SET GLOBAL offline_mode = OFF", a.command.Acks)
	if err := a.change(ctx, statement); err != nil {
		return topology.Observation{}, err
	}
	o, err := a.observe(ctx)
	if err == nil && (o.SemiSync.Acks != a.command.Acks || o.OfflineMode) {
		err = refuse(reparent.ReasonRefused, "%s was changed by somebody else meanwhile", a.server)
	}
	return o, err
}

// infinite is rpl_semi_sync_source_timeout in milliseconds: 49 days, the longest that every platform takes.
const infinite = 4294967295 * time.Millisecond

// prepareSource sets what differs. None of it has an effect before the source side is enabled. The server
// is about to be marked, so what that takes is made ready too.
func (a *act) prepareSource(ctx context.Context) (topology.Observation, error) {
	s, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	wanted, err := a.wantedSource(s)
	if err != nil {
		return topology.Observation{}, err
	}
	if len(wanted) > 0 {
		if err := a.change(ctx, strings.Join(wanted, "; ")); err != nil {
			return topology.Observation{}, err
		}
	}
	a.warmUp(ctx)
	return topology.Observation{}, nil
}

// wantedSource lists the statements that bring the source side to the command's count.
func (a *act) wantedSource(s source) (statements []string, err error) {
	switch {
	case a.command.Acks < 1 || a.command.Acks >= topology.PoisonAcks:
		return nil, refuse(reparent.ReasonRefused, "%d is no count of acknowledgements for %s", a.command.Acks, a.server)
	case !s.Installed:
		return nil, refuse(reparent.ReasonNotSemiSync, "%s cannot be a semi-sync source: install its plugin semisync_source.so", a.server)
	}
	want := func(differs bool, assignment string) {
		if differs {
			statements = append(statements, "SET GLOBAL rpl_semi_sync_source_"+assignment)
		}
	}
	want(s.Timeout < topology.TimeoutInfinite, fmt.Sprintf("timeout = %d", infinite.Milliseconds()))
	want(!s.WaitNoReplica, "wait_no_replica = ON")
	want(!s.AfterSync, "wait_point = AFTER_SYNC")
	want(s.Acks != a.command.Acks, fmt.Sprintf("wait_for_replica_count = %d", a.command.Acks))
	return statements, nil
}

// enableSource refuses while something received is not applied: on a server that feeds others which
// hold it already, the applier would wait for acknowledgements for ever (E20).
func (a *act) enableSource(ctx context.Context) (topology.Observation, error) {
	s, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	wanted, err := a.wantedSource(s)
	if err != nil {
		return topology.Observation{}, err
	}
	if !s.SourceEnabled {
		wanted = append(wanted, "SET GLOBAL rpl_semi_sync_source_enabled = ON")
	}
	if len(wanted) > 0 {
		if err := a.changeUnless(ctx, []guard{unapplied}, strings.Join(wanted, "; ")); err != nil {
			return topology.Observation{}, err
		}
		if s, err = a.source(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	if !s.Verified() || s.Acks != a.command.Acks {
		return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "%s does not wait for %d acknowledgements although its source side was set up", a.server, a.command.Acks)
	}
	return topology.Observation{}, nil
}

// waiters guards against letting commits go that nobody acknowledged (E10). Those of the applier may go where the server is
// closed: nobody is told OK for them, and no client's commit can have joined them.
var waiters = guard{
	broken: "EXISTS (SELECT 1 FROM performance_schema.session_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions' AND variable_value > 0)" +
		" AND NOT (@@GLOBAL.read_only AND @@GLOBAL.super_read_only AND (SELECT " + onlyApplierWaits + " FROM " + waitingSessions + "))",
	reason: reparent.ReasonWaiters,
	detail: "commits wait for acknowledgements, and their clients would hear OK without one",
}

// poisoned guards a revocation: what it holds back may not be let go whatever the rules are.
var poisoned = guard{
	broken: fmt.Sprintf("@@GLOBAL.rpl_semi_sync_source_wait_for_replica_count >= %d", topology.PoisonAcks),
	reason: reparent.ReasonWaiters,
	detail: "it is poisoned, and what waits there must not complete",
}

func (a *act) disableSource(ctx context.Context) (topology.Observation, error) {
	s, err := a.source(ctx)
	if err != nil || !s.SourceEnabled {
		return topology.Observation{}, err
	}
	unless := waiters
	if a.command.Release {
		unless = poisoned
		if err := a.meant(ctx); err != nil {
			return topology.Observation{}, err
		}
	}
	if err := a.changeUnless(ctx, []guard{unless}, "SET GLOBAL rpl_semi_sync_source_enabled = OFF"); err != nil || s.Waiters == 0 {
		return topology.Observation{}, err
	}
	return a.observe(ctx)
}

// awaitAckers polls: MySQL tells nobody when a replica connects. Ackers are counted also while the
// source side is off (E21).
func (a *act) awaitAckers(ctx context.Context) (topology.Observation, error) {
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		s, err := a.source(ctx)
		switch {
		case err != nil:
			return topology.Observation{}, err
		case !s.Installed:
			return topology.Observation{}, refuse(reparent.ReasonNotSemiSync, "%s cannot be a semi-sync source: install its plugin semisync_source.so", a.server)
		case s.Clients >= a.command.Acks:
			return topology.Observation{}, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return topology.Observation{}, refuse(reparent.ReasonDeadline, "%d of %d ackers are connected to %s", s.Clients, a.command.Acks, a.server)
		}
	}
}
