package topology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Remark is one thing that the linter does not like.
type Remark struct {
	// Code is stable, for scripts.
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	// Server is empty for what concerns the cluster as a whole.
	Server  Address `json:"server,omitempty"`
	Message string  `json:"message"`
	// Permits is the loss or the delay that it permits.
	Permits string `json:"permits"`
	// Mend is what to do, as a statement where one does it.
	Mend string `json:"mend"`
	// Fix is what the linter can do by itself.
	Fix *Fix `json:"fix,omitempty"`
}

// lintedSetting is a variable whose value now, and after the next start, is looked at.
type lintedSetting struct {
	name string
	fine func(value string) bool
	// severity, permits and mend are those of the requirement of that name where there is one. One that has a severity of its own
	// is told as a variable only.
	severity      Severity
	permits, mend string
	fix           Fix
	// onlyNext is set where the running server's value is Primacy's to choose.
	onlyNext bool
	// onlySeed is set where it matters to clusters that are found through one of their servers.
	onlySeed bool
}

// lintedSettings has those of requirements as well, for what they will be after a restart.
var lintedSettings = []lintedSetting{
	{name: "gtid_mode", fine: is("ON")},
	{name: "enforce_gtid_consistency", fine: is("ON")},
	{name: "log_replica_updates", fine: switchedOn, fix: Fix{"log_replica_updates", "ON", true}},
	{name: "binlog_format", fine: is("ROW"), fix: Fix{"binlog_format", "ROW", true}},
	{name: "binlog_row_image", fine: is("FULL"), fix: Fix{"binlog_row_image", "FULL", false}},
	{name: "sync_binlog", fine: is("1"), fix: Fix{"sync_binlog", "1", false}},
	{name: "innodb_flush_log_at_trx_commit", fine: is("1"), fix: Fix{"innodb_flush_log_at_trx_commit", "1", false}},
	{name: "relay_log_recovery", fine: switchedOff, fix: Fix{"relay_log_recovery", "OFF", true}},
	{name: "skip_replica_start", fine: switchedOn, fix: Fix{"skip_replica_start", "ON", true}},
	{name: "super_read_only at boot", fix: Fix{"super_read_only", "ON", true}},
	{name: "replica_preserve_commit_order", fine: switchedOn, fix: Fix{"replica_preserve_commit_order", "ON", true}},
	{name: "replica_net_timeout", fine: atMost(int(netTimeoutMax.Seconds())), fix: Fix{"replica_net_timeout", "4", false}},

	{name: "sync_relay_log", fine: is("1"), severity: SeverityWarning, fix: Fix{"sync_relay_log", "1", false}}, // a requirement, told with its value
	{name: "rpl_semi_sync_source_enabled", fine: switchedOff, severity: SeverityWarning, onlyNext: true, fix: Fix{"rpl_semi_sync_source_enabled", "OFF", true},
		permits: "when it comes back as a replica its own applier waits for acknowledgements that nobody sends",
		mend:    "SET PERSIST_ONLY rpl_semi_sync_source_enabled = OFF, and take it from the option file; Primacy switches it on where a server leads"},
	{name: "offline_mode", fine: switchedOn, severity: SeverityInfo, onlyNext: true,
		permits: "after a crash of the primary, readers see transactions that nobody acknowledged until it was verified or replaced",
		mend:    "where that matters: SET PERSIST_ONLY offline_mode = ON; Primacy lets clients in when the server is verified"},
	{name: "binlog_row_metadata", fine: is("FULL"), severity: SeverityInfo, fix: Fix{"binlog_row_metadata", "FULL", false},
		permits: "the rows of errant transactions are shown without the names of their columns", mend: "SET PERSIST binlog_row_metadata = FULL"},
	{name: "binlog_expire_logs_seconds", fine: keepsLogs, severity: SeverityWarning,
		permits: "a server that is away for longer than that cannot catch up, and has to be cloned", mend: "SET PERSIST binlog_expire_logs_seconds = 604800"},
	{name: "replica_exec_mode", fine: is("STRICT"), severity: SeverityWarning,
		permits: "rows that are missing or there already are passed over, so servers come to differ without an error",
		mend:    "SET PERSIST replica_exec_mode = STRICT; its applier stops at the first difference that there is already"},
	{name: "replica_skip_errors", fine: is("OFF"), severity: SeverityWarning,
		permits: "transactions that fail are passed over, so servers come to differ without an error", mend: "remove replica-skip-errors from the option file and restart"},
	{name: "replica_parallel_workers", fine: atLeast(2), severity: SeverityInfo,
		permits: "it applies one transaction at a time, and a failover waits until the new primary has applied all", mend: "SET PERSIST replica_parallel_workers = 4"},
	{name: "innodb_doublewrite", fine: is("ON", "TRUE", "DETECT_AND_RECOVER"), severity: SeverityWarning,
		permits: "a crash of its host can leave pages that cannot be read, and the server has to be cloned", mend: "remove innodb_doublewrite from the option file and restart"},
	{name: "report_host", fine: func(value string) bool { return value != "" }, severity: SeverityInfo, onlySeed: true,
		permits: "it cannot be found through a seed, nor be told from other clients that replicate", mend: "put report_host with the name that the others know it by into the option file and restart"},
}

func is(values ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, strings.ToUpper(value)) }
}

func switchedOn(value string) bool  { return value == "1" || strings.EqualFold(value, "ON") }
func switchedOff(value string) bool { return !switchedOn(value) }

func atMost(most int) func(string) bool {
	return func(value string) bool { n, err := strconv.Atoi(value); return err == nil && n <= most }
}

func atLeast(least int) func(string) bool {
	return func(value string) bool { n, err := strconv.Atoi(value); return err == nil && n >= least }
}

// keepsLogs is true for a day and more, and for 0, which keeps all.
func keepsLogs(seconds string) bool { return seconds == "0" || atLeast(24*60*60)(seconds) }

// LintCodes are the codes of all remarks.
func LintCodes() []string {
	codes := []string{
		string(ServerUnreachable), string(ServerDenied), string(GrantMissing), string(DuplicateIdentity), "grant_optional", "not_persisted",
		"persisted_globals_load", "semi_sync_plugins", "heartbeat_too_slow", "replication_filters", "other_channels", "replication_account",
		"unfenceable_accounts", "tables_without_primary_key", "tables_without_transactions", "cascading_foreign_keys", "disk",
		"policy_none", "no_spare_acker", "no_successor", "version_order",
	}
	for k := range requirements {
		codes = append(codes, codeOf(requirements[k].name))
	}
	for k := range lintedSettings {
		codes = append(codes, codeOf(lintedSettings[k].name))
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Lint says what the servers' settings, accounts and tables permit that the rules promise not to happen. Servers that
// were not reached are remarks, for nothing is known of them. The worst come first.
func Lint(r Ruleset, limits LintLimits, seen []Inspection) []Remark {
	l := &linter{rules: r, limits: limits, seen: seen}
	l.cluster()
	for i := range seen {
		l.server(&seen[i])
	}
	l.identities()
	l.versions()
	slices.SortStableFunc(l.found, func(a, b Remark) int { return a.Severity.rank() - b.Severity.rank() })
	return l.found
}

type linter struct {
	rules  Ruleset
	limits LintLimits
	seen   []Inspection
	found  []Remark
}

func (l *linter) remark(r Remark) { l.found = append(l.found, r) }

// server looks at one server by itself.
func (l *linter) server(i *Inspection) {
	if !i.Reach.OK() {
		l.unreached(i)
		return
	}
	l.required(i)
	l.lasting(i)
	l.hidden(i)
	l.replication(i)
	l.grants(i)
	l.accounts(i)
	l.tables(i)
	l.disk(i)
}

func (l *linter) unreached(i *Inspection) {
	r := Remark{Code: string(ServerUnreachable), Severity: SeverityCritical, Server: i.Address,
		Message: "is not reached: " + reachText(&i.Observation), Permits: "nothing is known of its settings", Mend: "start it, or take it from the configuration"}
	if i.Reach == ReachDenied {
		r.Code, r.Message, r.Mend = string(ServerDenied), "refuses our login: "+i.Error, loginAdvice(i.Errno)
	}
	l.remark(r)
}

// required are the settings that the loop depends on, as they are now.
func (l *linter) required(i *Inspection) {
	for k := range requirements {
		r := &requirements[k]
		if !r.broken(&i.Observation) || toldAsVariable(r.name) {
			continue
		}
		said := Remark{
			Code: codeOf(r.name), Severity: r.severity, Server: i.Address, Message: strings.TrimSpace(r.name + " is " + r.shown(&i.Observation)),
			Permits: r.loss, Mend: r.statement, Fix: l.fixOf(r.name, i),
		}
		if r.name == "skip_replica_start" && i.AcksAlone() {
			said.Severity, said.Message = SeverityCritical, said.Message+", and rpl_semi_sync_replica_enabled is not certain to be OFF at its start"
		}
		l.remark(l.awaited(r.name, i, said))
	}
}

// toldAsVariable tells whether a requirement is looked at as a variable, which shows its value: it is not told twice.
func toldAsVariable(name string) bool {
	return slices.ContainsFunc(lintedSettings, func(s lintedSetting) bool { return s.name == name && s.severity != "" })
}

// awaited leaves only a restart to do where what is persisted is right already.
func (l *linter) awaited(name string, i *Inspection, r Remark) Remark {
	for k := range lintedSettings {
		if s := &lintedSettings[k]; s.name == name && s.fine != nil {
			if v := i.Variables[name]; v.Persisted != nil && s.fine(*v.Persisted) {
				r.Message, r.Mend, r.Fix = r.Message+", and "+*v.Persisted+" is persisted", "restart it", nil
			}
		}
	}
	return r
}

// codeOf makes a code of a name.
func codeOf(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "_") }

// fixOf is nil where nobody but a person may mend a setting, or where what is persisted would not be read.
func (l *linter) fixOf(name string, i *Inspection) *Fix {
	for k := range lintedSettings {
		if s := &lintedSettings[k]; s.name == name && s.fix != (Fix{}) && !persistedIgnored(i) {
			return &s.fix
		}
	}
	return nil
}

func persistedIgnored(i *Inspection) bool {
	v, known := i.Variables["persisted_globals_load"]
	return known && switchedOff(v.Value)
}

// lasting are the other settings as they are now, and all of them as they will be after the next start.
func (l *linter) lasting(i *Inspection) {
	for k := range lintedSettings {
		s := l.complete(lintedSettings[k])
		v, exists := i.Variables[s.name]
		if !exists || s.fine == nil || l.has(s.name, i) || s.onlySeed && !l.limits.Seed {
			continue
		}
		next, known := v.Next()
		switch {
		case !s.onlyNext && !s.fine(v.Value):
			l.remark(l.awaited(s.name, i, l.setting(s, i, s.name+" is "+orEmpty(v.Value))))
		case known && !s.fine(next) && s.fine(v.Value):
			l.remark(l.setting(s, i, s.name+" is "+orEmpty(v.Value)+", and will be "+orEmpty(next)+" after the next start"))
		case known && !s.fine(next):
			l.remark(l.setting(s, i, s.name+" will be "+orEmpty(next)+" after the next start"))
		}
	}
}

// complete takes from a requirement what it says already.
func (l *linter) complete(s lintedSetting) lintedSetting {
	for k := range requirements {
		if r := &requirements[k]; r.name == s.name {
			s.severity, s.permits, s.mend = r.severity, r.loss, r.statement
		}
	}
	return s
}

func (l *linter) setting(s lintedSetting, i *Inspection, message string) Remark {
	return Remark{Code: codeOf(s.name), Severity: s.severity, Server: i.Address, Message: message, Permits: s.permits, Mend: s.mend, Fix: l.fixOf(s.name, i)}
}

// has tells whether something was said of a setting already.
func (l *linter) has(name string, i *Inspection) bool {
	return slices.ContainsFunc(l.found, func(r Remark) bool { return r.Server == i.Address && r.Code == codeOf(name) })
}

func orEmpty(value string) string {
	if value == "" {
		return "empty"
	}
	return value
}

// hidden are settings that are right now, of which nobody can tell what they will be.
func (l *linter) hidden(i *Inspection) {
	for k := range lintedSettings {
		s := &lintedSettings[k]
		v, exists := i.Variables[s.name]
		if !exists || s.fine == nil || s.onlyNext || l.has(s.name, i) {
			continue
		}
		if _, known := v.Next(); known {
			continue
		}
		l.remark(l.passing(s, v, i))
	}
	if persistedIgnored(i) {
		l.remark(Remark{
			Code: "persisted_globals_load", Severity: SeverityWarning, Server: i.Address, Message: "persisted_globals_load is OFF",
			Permits: "what is persisted counts for nothing after a restart, and the promise of a revoked replica to stay stopped least of all: failovers are refused where skip_replica_start is not ON",
			Mend:    "remove persisted_globals_load from the option file and restart",
		})
	}
}

// passing is a value that is as it should be for as long as the process lives.
func (l *linter) passing(s *lintedSetting, v Variable, i *Inspection) Remark {
	last := Fix{Variable: s.name, Value: v.Value, NextStart: true}
	r := Remark{
		Code: "not_persisted", Severity: SeverityInfo, Server: i.Address, Message: s.name + " is " + v.Value + ", and what it will be after a restart cannot be seen",
		Permits: "a value that was set at run time is forgotten, and hides what the option file says", Mend: last.Statement(),
	}
	if l.fixOf(s.name, i) != nil {
		r.Fix = &last
	}
	return r
}

// replication is what the server replicates, and how.
func (l *linter) replication(i *Inspection) {
	if l.rules.Policy.Kind != PolicyNone && !i.SemiSync.Installed {
		l.remark(Remark{
			Code: "semi_sync_plugins", Severity: SeverityCritical, Server: i.Address, Message: "the semi-sync plugins are not both installed",
			Permits: "it can neither wait for acknowledgements nor give any: nothing is promised while it leads",
			Mend:    "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
		})
	}
	if r := i.Replication; r != nil && l.limits.SilentAfter > 0 && r.HeartbeatEvery <= heartbeatMax && 2*r.HeartbeatEvery > l.limits.SilentAfter {
		l.remark(Remark{
			Code: "heartbeat_too_slow", Severity: SeverityWarning, Server: i.Address,
			Message: fmt.Sprintf("SOURCE_HEARTBEAT_PERIOD is %s and detection.silent_after %s", span(r.HeartbeatEvery), span(l.limits.SilentAfter)),
			Permits: "one heartbeat that is late makes it testify that a living primary is silent",
			Mend:    "make silent_after at least twice the heartbeat",
		})
	}
	if len(i.Filters) > 0 {
		l.remark(Remark{
			Code: "replication_filters", Severity: SeverityCritical, Server: i.Address, Message: "it leaves out what is written: " + strings.Join(i.Filters, ", "),
			Permits: "its GTIDs say that it holds transactions whose rows it lacks: promoted, it would serve a part of the data",
			Mend:    "remove the filters, and clone it",
		})
	}
	if len(i.Channels) > 0 {
		l.remark(Remark{
			Code: "other_channels", Severity: SeverityCritical, Server: i.Address, Message: "it also replicates through " + strings.Join(i.Channels, ", "),
			Permits: "what comes in that way is errant, and no change stops it",
			Mend:    "STOP REPLICA and RESET REPLICA ALL FOR CHANNEL each of them",
		})
	}
}

func (l *linter) grants(i *Inspection) {
	for _, g := range i.Grants {
		r := Remark{Code: string(GrantMissing), Severity: SeverityCritical, Server: i.Address, Message: "our account lacks " + g.Grant, Permits: "Primacy cannot " + g.Why, Mend: "GRANT " + g.Grant + " to it, on the primary"}
		if g.Feature != "" {
			r.Code, r.Severity = "grant_optional", SeverityInfo
		}
		l.remark(r)
	}
}

func (l *linter) accounts(i *Inspection) {
	if a := i.Account; a.Known && a.Reads == 0 {
		message := fmt.Sprintf("the replication account %s has no REPLICATION SLAVE", a.Name)
		if a.Hosts == 0 {
			message = fmt.Sprintf("there is no replication account %s", a.Name)
		}
		l.remark(Remark{
			Code: "replication_account", Severity: SeverityCritical, Server: i.Address, Message: message,
			Permits: "no other server could receive from it if it led, so a failover to it would block",
			Mend:    "CREATE USER it on the primary if it is missing, and GRANT REPLICATION SLAVE ON *.* to it",
		})
	}
	l.list(i, i.Powerful, Remark{
		Code: "unfenceable_accounts", Severity: SeverityInfo, Message: "accounts with SUPER, CONNECTION_ADMIN or SYSTEM_USER",
		Permits: "read_only and offline_mode do not stop them, and a change stops at a commit of theirs that it may not end",
		Mend:    "let no application use one; REVOKE what it does not need",
	})
}

func (l *linter) tables(i *Inspection) {
	l.list(i, i.Keyless, Remark{
		Code: "tables_without_primary_key", Severity: SeverityWarning, Message: "tables without a primary key",
		Permits: "replicas search the whole table for each changed row: they fall behind, and a failover waits; such rows cannot be rewound",
		Mend:    "ALTER TABLE … ADD PRIMARY KEY, or ADD COLUMN id BIGINT AUTO_INCREMENT INVISIBLE PRIMARY KEY",
	})
	l.list(i, i.Foreign, Remark{
		Code: "tables_without_transactions", Severity: SeverityWarning, Message: "tables of other engines than InnoDB",
		Permits: "what is written to them does not wait for the commit, and a crash leaves servers that differ",
		Mend:    "ALTER TABLE … ENGINE = InnoDB",
	})
	l.list(i, i.Cascading, Remark{
		Code: "cascading_foreign_keys", Severity: SeverityInfo, Message: "foreign keys that cascade",
		Permits: "rows that a cascade changes may be missing in the binary log, so errant transactions that touch them are not rewound",
		Mend:    "nothing, unless rewinding matters to you",
	})
}

// list remarks on what there is at all.
func (l *linter) list(i *Inspection, what Listed, r Remark) {
	if what.Count == 0 {
		return
	}
	named := strings.Join(what.Names, ", ")
	if more := what.Count - len(what.Names); more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	r.Server, r.Message = i.Address, fmt.Sprintf("%s: %d (%s)", r.Message, what.Count, named)
	l.remark(r)
}

// The shares of a disk in use from which a linter speaks.
const (
	diskHigh     = 0.90
	diskCritical = 0.95
)

func (l *linter) disk(i *Inspection) {
	if i.Disk.Total == 0 {
		return
	}
	used := 1 - float64(i.Disk.Free)/float64(i.Disk.Total)
	if used < diskHigh {
		return
	}
	r := Remark{
		Code: "disk", Severity: SeverityWarning, Server: i.Address, Message: fmt.Sprintf("the disk of %s is %.0f%% full", i.Disk.Path, 100*used),
		Permits: "a full disk stops every commit, and a server with one cannot be promoted", Mend: "make room, or a larger disk",
	}
	if used >= diskCritical {
		r.Severity = SeverityCritical
	}
	l.remark(r)
}
