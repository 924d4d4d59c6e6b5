package topology

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// requirement is one setting that Primacy depends on.
type requirement struct {
	name     string
	broken   func(*Observation) bool
	value    func(*Settings) string
	severity Severity
	// loss is what a wrong value permits, statement what mends it.
	loss, statement string
}

// The limits of what a setting may be.
const (
	netTimeoutMax  = 4 * time.Second
	heartbeatMax   = time.Second
	retryPeriodMax = 10 * time.Second
)

// requirementsMost is how many there are.
const requirementsMost = 17

var requirements = [requirementsMost]requirement{
	{"gtid_mode", func(o *Observation) bool { return o.Settings.GTIDMode != "ON" }, func(s *Settings) string { return s.GTIDMode }, SeverityCritical,
		"positions cannot be compared, so no failover is possible", "SET PERSIST gtid_mode to ON, one step at a time"},
	{"enforce_gtid_consistency", func(o *Observation) bool { return o.Settings.EnforceGTIDConsistency != "ON" }, func(s *Settings) string { return s.EnforceGTIDConsistency }, SeverityWarning,
		"statements are possible that a GTID cannot name", "SET PERSIST enforce_gtid_consistency=ON"},
	{"log_bin", func(o *Observation) bool { return !o.Settings.LogBin }, func(s *Settings) string { return onOff(s.LogBin) }, SeverityCritical,
		"the server cannot lead, and what it applied cannot be handed on", "remove skip-log-bin from the option file and restart"},
	{"log_replica_updates", func(o *Observation) bool { return !o.Settings.LogReplicaUpdates }, func(s *Settings) string { return onOff(s.LogReplicaUpdates) }, SeverityCritical,
		"as a primary it cannot hand on what it received as a replica", "SET PERSIST_ONLY log_replica_updates=ON and restart"},
	{"binlog_format", func(o *Observation) bool { return !strings.EqualFold(o.Settings.BinlogFormat, "ROW") }, func(s *Settings) string { return s.BinlogFormat }, SeverityWarning,
		"replicas can come to differ without an error, and nothing can be rewound", "SET PERSIST binlog_format=ROW"},
	{"binlog_row_image", func(o *Observation) bool { return !strings.EqualFold(o.Settings.BinlogRowImage, "FULL") }, func(s *Settings) string { return s.BinlogRowImage }, SeverityInfo,
		"errant transactions cannot be rewound, only cloned over", "SET PERSIST binlog_row_image=FULL"},
	{"sync_binlog", func(o *Observation) bool { return o.Settings.SyncBinlog != 1 }, func(s *Settings) string { return strconv.Itoa(s.SyncBinlog) }, SeverityWarning,
		"a crash of its host loses transactions that were answered with OK", "SET PERSIST sync_binlog=1"},
	{"innodb_flush_log_at_trx_commit", func(o *Observation) bool { return o.Settings.FlushLogAtCommit != 1 }, func(s *Settings) string { return strconv.Itoa(s.FlushLogAtCommit) }, SeverityWarning,
		"a crash of its host loses transactions that were answered with OK", "SET PERSIST innodb_flush_log_at_trx_commit=1"},
	{"relay_log_recovery", func(o *Observation) bool { return o.Settings.RelayLogRecovery }, func(s *Settings) string { return onOff(s.RelayLogRecovery) }, SeverityWarning,
		"a restart throws away transactions that it acknowledged and has not applied", "SET PERSIST_ONLY relay_log_recovery=OFF and restart"},
	{"sync_relay_log", func(o *Observation) bool { return o.Settings.RelayLogUnsynced }, func(*Settings) string { return "not 1" }, SeverityWarning,
		"a crash of its host throws away transactions that it acknowledged and has not applied", "SET PERSIST sync_relay_log = 1"},
	{"skip_replica_start", func(o *Observation) bool { return !o.Settings.SkipReplicaStart }, func(s *Settings) string { return onOff(s.SkipReplicaStart) }, SeverityWarning,
		"a restart reconnects it to a primary that was revoked, and it acknowledges again", "SET PERSIST_ONLY skip_replica_start=ON"},
	{"super_read_only at boot", func(o *Observation) bool { return !o.Settings.BootReadOnly }, func(s *Settings) string { return onOff(s.BootReadOnly) }, SeverityWarning,
		"a restart brings it back writable, with transactions that nobody acknowledged", "SET PERSIST_ONLY super_read_only=ON"},
	{"replica_preserve_commit_order", func(o *Observation) bool { return !o.Settings.PreserveOrder }, func(s *Settings) string { return onOff(s.PreserveOrder) }, SeverityWarning,
		"its executed set has gaps, and readers see transactions out of order", "SET PERSIST replica_preserve_commit_order=ON while the applier is stopped"},
	{"replica_net_timeout", func(o *Observation) bool { return o.Settings.ReplicaNetTimeout > netTimeoutMax }, func(s *Settings) string { return span(s.ReplicaNetTimeout) }, SeverityWarning,
		"it takes that long to notice a silent primary, and to stop a receiver that is connecting", "SET PERSIST replica_net_timeout=4"},
	{"SOURCE_HEARTBEAT_PERIOD", slowHeartbeat, nil, SeverityWarning,
		"it is a slow witness when the primary falls silent", "CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD=0.5 while the receiver is stopped"},
	{"SOURCE_CONNECT_RETRY", func(o *Observation) bool { return o.Settings.ReplicaRetryPeriod > retryPeriodMax }, func(s *Settings) string { return span(s.ReplicaRetryPeriod) }, SeverityInfo,
		"it comes back late after a short outage of the primary", "CHANGE REPLICATION SOURCE TO SOURCE_CONNECT_RETRY=1 while the receiver is stopped"},
	{"SOURCE_AUTO_POSITION", func(o *Observation) bool { return o.Replication != nil && !o.Replication.AutoPosition }, nil, SeverityCritical,
		"it follows files and offsets, so it cannot be given another source", "CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION=1 while both threads are stopped"},
}

func slowHeartbeat(o *Observation) bool {
	r := o.Replication
	return r != nil && (r.HeartbeatEvery > heartbeatMax || r.HeartbeatEvery == 0)
}

// fine tells at a glance what most servers are: that no requirement is broken. Where it says no, they are asked one by one.
func fine(o *Observation) bool {
	s, r := &o.Settings, o.Replication
	return s.GTIDMode == "ON" && s.EnforceGTIDConsistency == "ON" && s.LogBin && s.LogReplicaUpdates &&
		s.BinlogFormat == "ROW" && s.BinlogRowImage == "FULL" && s.SyncBinlog == 1 && s.FlushLogAtCommit == 1 &&
		!s.RelayLogRecovery && !s.RelayLogUnsynced && s.SkipReplicaStart && s.BootReadOnly && s.PreserveOrder &&
		s.ReplicaNetTimeout <= netTimeoutMax && s.ReplicaRetryPeriod <= retryPeriodMax &&
		(r == nil || r.AutoPosition && !slowHeartbeat(o))
}

// settings reports, for each server whose settings were read, those that permit a loss. A server of which none were
// read is no finding.
func (q *inquiry) settings(found []Finding) []Finding {
	for _, o := range q.members {
		if !o.Reach.OK() || o.Settings == (Settings{}) {
			continue
		}
		if f, wrong := q.wrongSettings(o); wrong {
			found = append(found, f)
		}
		if q.led && o.Address == q.leader && !o.Settings.JournalPresent && q.now.Sub(q.lead.EstablishedAt) > rarelyRead {
			found = append(found, q.journalMissing(o))
		}
	}
	return found
}

func (q *inquiry) wrongSettings(o *Observation) (f Finding, found bool) {
	if fine(o) {
		return f, false
	}
	var wrong [requirementsMost]*requirement
	var names [requirementsMost]string
	n := 0
	for i := range requirements {
		if r := &requirements[i]; r.broken(o) {
			wrong[n], names[n] = r, r.name
			n++
		}
	}
	if n == 0 {
		return f, false
	}
	f = Finding{Code: WrongSettings, Severity: SeverityInfo, Server: o.Address, Evidence: make([]Evidence, 0, n)}
	for _, r := range wrong[:n] {
		f.Evidence = append(f.Evidence, q.worded(o, r.name, " is ", r.shown(o), ": ", r.loss, ". Mend: ", r.statement))
		if r.severity.rank() < f.Severity.rank() {
			f.Severity = r.severity
		}
	}
	f.Message = string(o.Address) + " has " + plural(n, "setting that permits", "settings that permit") + " a loss: " + strings.Join(names[:n], ", ")
	return f, true
}

func (r *requirement) shown(o *Observation) string {
	switch {
	case r.value != nil:
		return r.value(&o.Settings)
	case r.name == "SOURCE_HEARTBEAT_PERIOD" && o.Replication.HeartbeatEvery > 0:
		return span(o.Replication.HeartbeatEvery)
	}
	return "off"
}

// rarelyRead is how old a setting may be in a fresh observation; a leadership younger than that has just
// written to its journal.
const rarelyRead = 20 * time.Second

func (q *inquiry) journalMissing(o *Observation) Finding {
	return Finding{
		Code: JournalMissing, Severity: SeverityWarning, Server: o.Address,
		Message:  fmt.Sprintf("%s has no table _primacy.journal: a term cannot be recorded", o.Address),
		Evidence: []Evidence{q.noted(o, "_primacy.journal does not exist")},
		WhyNot:   "create it on the primary, as the documentation of the schema says; replication carries it to the others",
	}
}

// grants reports privileges that a probe found lacking.
func (q *inquiry) grants(found []Finding) []Finding {
	for _, o := range q.members {
		if o.Reach.OK() && len(o.Missing) > 0 {
			missing := strings.Join(o.Missing, ", ")
			found = append(found, Finding{
				Code: GrantMissing, Severity: SeverityWarning, Server: o.Address,
				Message:  fmt.Sprintf("our account on %s lacks %s: GRANT %s to it", o.Address, plural(len(o.Missing), "privilege", "privileges"), missing),
				Evidence: []Evidence{q.saw(o, "lacks %s", missing)},
			})
		}
	}
	return found
}
