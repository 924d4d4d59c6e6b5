package mysqld

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/primacydb/primacy/topology"
)

// The statements of an inspection. Tried on 9.7; per manual all of it is there since 8.0.26 at the latest. None reads
// a row of anybody's data.
const (
	askVariables = `SELECT VARIABLE_NAME, present.VARIABLE_VALUE, VARIABLE_SOURCE, persisted.VARIABLE_VALUE
 FROM performance_schema.variables_info
 JOIN performance_schema.global_variables AS present USING (VARIABLE_NAME)
 LEFT JOIN performance_schema.persisted_variables AS persisted USING (VARIABLE_NAME)
 WHERE VARIABLE_NAME IN (`
	// What InnoDB has is one table for each partition, and not in each version with its indexes. A # in a name stands as @0023 there,
	// so the one of a partition's suffix is nothing else.
	askKeyless = `SELECT DISTINCT REPLACE(SUBSTRING_INDEX(SUBSTRING_INDEX(t.NAME, '#p#', 1), '#P#', 1), '/', '.') AS named` + fromKeyless + `ORDER BY named`
	// A unique index of columns that are never NULL serves as well as a primary key.
	askAllKeyless = `SELECT REPLACE(t.NAME, '/', '.') AS named` + fromKeyless + `AND t.NAME NOT LIKE '%#p#%'
 UNION SELECT CONCAT(t.TABLE_SCHEMA, '.', t.TABLE_NAME) FROM information_schema.TABLES AS t
 WHERE t.ENGINE = 'InnoDB' AND t.CREATE_OPTIONS LIKE '%partitioned%' AND t.TABLE_SCHEMA NOT IN ('mysql', 'sys', '_primacy') AND NOT EXISTS (
 SELECT 1 FROM information_schema.STATISTICS AS s WHERE s.TABLE_SCHEMA = t.TABLE_SCHEMA AND s.TABLE_NAME = t.TABLE_NAME AND s.NON_UNIQUE = 0
 GROUP BY s.INDEX_NAME HAVING SUM(s.NULLABLE = 'YES' OR s.SUB_PART IS NOT NULL OR s.COLUMN_NAME IS NULL) = 0) ORDER BY named`
	fromKeyless = ` FROM information_schema.INNODB_INDEXES AS i JOIN information_schema.INNODB_TABLES AS t USING (TABLE_ID)
 WHERE i.NAME = 'GEN_CLUST_INDEX' AND t.NAME NOT LIKE 'mysql/%' AND t.NAME NOT LIKE 'sys/%' AND t.NAME NOT LIKE '\_primacy/%' `
	askForeign = `SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME, ' (', ENGINE, ')') FROM information_schema.TABLES
 WHERE TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB'
 AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') ORDER BY TABLE_SCHEMA, TABLE_NAME`
	// The four bits are those of ON DELETE and ON UPDATE, each CASCADE and SET NULL.
	askCascading = `SELECT REPLACE(ID, '/', '.') FROM information_schema.INNODB_FOREIGN WHERE TYPE & 15 <> 0 ORDER BY ID`
	askPowerful  = `SELECT DISTINCT CONCAT(USER, '@', HOST) FROM (
 SELECT User AS USER, Host AS HOST FROM mysql.user WHERE Super_priv = 'Y'
 UNION SELECT USER, HOST FROM mysql.global_grants WHERE PRIV IN ('CONNECTION_ADMIN', 'SYSTEM_USER')) AS strong
 WHERE USER NOT IN ('mysql.session', 'mysql.sys', 'mysql.infoschema', ?) ORDER BY 1`
	askReplicationAccount = `SELECT COUNT(*), COALESCE(SUM(Repl_slave_priv = 'Y'), 0) FROM mysql.user WHERE User = ?`
	askRolesAtLogin       = `SELECT @@GLOBAL.activate_all_roles_on_login, @@GLOBAL.mandatory_roles`
	askReplicaFilters     = `SELECT CONCAT(FILTER_NAME, '=', FILTER_RULE) FROM performance_schema.replication_applier_global_filters
 WHERE FILTER_RULE <> ''
 UNION SELECT CONCAT(FILTER_NAME, '=', FILTER_RULE) FROM performance_schema.replication_applier_filters
 WHERE CHANNEL_NAME = '' AND FILTER_RULE <> ''`
	askChannels = `SELECT CONCAT(CHANNEL_NAME, ' from ', HOST) FROM performance_schema.replication_connection_configuration
 WHERE CHANNEL_NAME NOT IN ('', 'group_replication_recovery')`
	askDataDir = `SELECT @@GLOBAL.datadir`
)

// namesMax is how many examples a list carries.
const namesMax = 5

// inspectionMax bounds an inspection of one server. Nobody waits for it as for a probe, so it may take its time on a busy one.
const inspectionMax = 15 * time.Second

// Inspect reads what the linter looks at. What the account may not read is named in Unread; only where no probe is answered is
// the rest empty.
func (f *Fleet) Inspect(ctx context.Context, server topology.Address) topology.Inspection {
	ctx, cancel := context.WithTimeout(ctx, inspectionMax)
	defer cancel()
	i := topology.Inspection{Observation: topology.Observation{Address: server, At: time.Now()}}
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		i.Observation = failure(i.Observation, err)
		return i
	}
	defer l.close()
	if i.Observation = f.read(ctx, l, server); !i.Reach.OK() {
		return i
	}
	in := &inspector{queryer: l, seen: &i}
	for _, read := range []func(context.Context) error{
		in.variables, in.grants, in.filters, in.channels, in.keyless, in.foreign, in.cascading,
		func(ctx context.Context) error { return in.powerful(ctx, f.settings.User) },
		func(ctx context.Context) error { return in.account(ctx, f.settings.ReplicationUser) },
		in.disk,
	} {
		if err := read(ctx); err != nil {
			i.Unread = append(i.Unread, unread(server, err))
		}
	}
	return i
}

func unread(server topology.Address, err error) string {
	return strings.TrimPrefix(err.Error(), string(server)+": ")
}

// inspector fills one inspection.
type inspector struct {
	queryer
	seen *topology.Inspection
}

func (in *inspector) variables(ctx context.Context) error {
	rows, err := in.query(ctx, askVariables+"'"+strings.Join(topology.InspectedVariables(), "', '")+"')")
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	in.seen.Variables = make(map[string]topology.Variable)
	for _, r := range rows {
		v := topology.Variable{Value: r[1].text, Origin: r[2].text}
		if !r[3].null {
			v.Persisted = &r[3].text
		}
		in.seen.Variables[r[0].text] = v
	}
	if loaded := in.seen.Variables["persisted_globals_load"]; loaded.Value == "OFF" {
		in.forgetPersisted()
	}
	return nil
}

// forgetPersisted leaves out what no start will read.
func (in *inspector) forgetPersisted() {
	for name, v := range in.seen.Variables {
		v.Persisted = nil
		in.seen.Variables[name] = v
	}
}

func (in *inspector) grants(ctx context.Context) error {
	rows, err := in.query(ctx, askGrants)
	if err != nil {
		return fmt.Errorf("our own grants: %w", err)
	}
	held := make(privileges)
	for _, r := range rows {
		held.add(r[0].text)
	}
	for _, g := range Grants {
		wider := g.Feature == FeatureCheck && held.hold("SELECT", "*.*")
		if !wider && !held.hold(g.Privilege, g.On) {
			in.seen.Grants = append(in.seen.Grants, topology.GrantLacking{Grant: g.Privilege + " ON " + g.On, Why: g.Why, Feature: g.Feature})
		}
	}
	return nil
}

func (in *inspector) filters(ctx context.Context) error {
	rows, err := in.query(ctx, askReplicaFilters)
	if err != nil {
		return fmt.Errorf("replication filters: %w", err)
	}
	in.seen.Filters = texts(rows)
	d, err := dialectOf(in.seen.Version, "")
	if err != nil {
		return err
	}
	if rows, err = in.query(ctx, d.binaryLogStatus); err != nil {
		return fmt.Errorf("filters of the binary log: %w", err)
	}
	for _, r := range rows {
		for k, name := range []string{"binlog_do_db", "binlog_ignore_db"} {
			if schemas := r[2+k].text; schemas != "" {
				in.seen.Filters = append(in.seen.Filters, name+"="+schemas)
			}
		}
	}
	return nil
}

func texts(rows []row) (all []string) {
	for _, r := range rows {
		all = append(all, r[0].text)
	}
	return all
}

func (in *inspector) channels(ctx context.Context) error {
	rows, err := in.query(ctx, askChannels)
	if err != nil {
		return fmt.Errorf("replication channels: %w", err)
	}
	in.seen.Channels = texts(rows)
	return nil
}

// keyless leaves those out that are partitioned where the account is shown no table.
func (in *inspector) keyless(ctx context.Context) (err error) {
	statement := askAllKeyless
	if !in.showsTables() {
		statement = askKeyless
	}
	in.seen.Keyless, err = in.list(ctx, "tables without a primary key", statement)
	if err == nil && statement == askKeyless {
		return fmt.Errorf("partitioned tables without a primary key: our account lacks %s", showTables)
	}
	return err
}

// foreign leaves the answer open where the account is shown no table: an empty list would then say nothing.
func (in *inspector) foreign(ctx context.Context) (err error) {
	if !in.showsTables() {
		return fmt.Errorf("tables of other engines: our account lacks %s", showTables)
	}
	in.seen.Foreign, err = in.list(ctx, "tables of other engines", askForeign)
	return err
}

const showTables = "SHOW VIEW ON *.*"

func (in *inspector) showsTables() bool {
	for _, g := range in.seen.Grants {
		if g.Grant == showTables {
			return false
		}
	}
	return true
}

func (in *inspector) cascading(ctx context.Context) (err error) {
	in.seen.Cascading, err = in.list(ctx, "foreign keys", askCascading)
	return err
}

func (in *inspector) powerful(ctx context.Context, own string) (err error) {
	in.seen.Powerful, err = in.list(ctx, "accounts", askPowerful, own)
	return err
}

func (in *inspector) list(ctx context.Context, what, statement string, args ...any) (topology.Listed, error) {
	rows, err := in.query(ctx, statement, args...)
	if err != nil {
		return topology.Listed{}, fmt.Errorf("%s: %w", what, err)
	}
	names := texts(rows)
	return topology.Listed{Count: len(names), Names: names[:min(len(names), namesMax)]}, nil
}

func (in *inspector) account(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	rows, err := in.query(ctx, askReplicationAccount, name)
	if err != nil {
		return fmt.Errorf("the replication account: %w", err)
	}
	a := topology.Account{Name: name, Known: true, Hosts: int(rows[0][0].number()), Reads: int(rows[0][1].number())}
	if a.Reads < a.Hosts {
		if a.Reads, err = in.withRoles(ctx, name); err != nil {
			return fmt.Errorf("the roles of the replication account: %w", err)
		}
	}
	in.seen.Account = a
	return nil
}

// disk looks at the file system of the data directory where that is on this machine. MySQL itself tells nobody how full it is.
func (in *inspector) disk(ctx context.Context) error {
	rows, err := in.query(ctx, askDataDir)
	if err != nil {
		return fmt.Errorf("disk: %w", err)
	}
	path := rows[0][0].text
	var room syscall.Statfs_t
	if !ownAddress(in.seen.Address) || syscall.Statfs(path, &room) != nil {
		return fmt.Errorf("disk: %s is not on this machine, or not ours to see", path)
	}
	in.seen.Disk = topology.Disk{Path: path, Free: room.Bavail * uint64(room.Bsize), Total: room.Blocks * uint64(room.Bsize)}
	return nil
}

// ownAddress tells whether a server's address is one of this machine's; a name that means it elsewhere is not resolved.
func ownAddress(server topology.Address) bool {
	host, _, err := net.SplitHostPort(string(server))
	if err != nil {
		return false
	}
	if own, err := os.Hostname(); host == "localhost" || err == nil && host == own {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.Equal(ip) {
			return true
		}
	}
	return ip.IsLoopback()
}
