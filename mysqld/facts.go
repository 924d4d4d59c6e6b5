package mysqld

import (
	"context"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// facts are what a probe need not ask each time: what changes rarely, and which statement the server
// and our account's privileges allow. They are learned at the first reading of a process and again when
// they are factsFor old (factsMax, when a probe or a command would have to wait for it), or turn out to
// be wrong.
type facts struct {
	at      time.Time
	process string // the incarnation that they were learned of
	dialect dialect
	// statement asks for columns, in this order.
	statement string
	columns   []column
	// denied are the privileges of parts that the server did not let us read; vital tells whether an
	// observation without them could mislead.
	denied []string
	vital  bool

	has           map[string]bool // the variables that exist, of those that columns name
	bootReadOnly  bool            // by option file or command line
	bootAcksOff   bool            // by option file, command line or default, or for want of the plugin
	bootStopped   bool            // skip_replica_start, by option file or command line
	loadPersisted bool            // persisted variables count at the next start
	journal       bool
	undone        gtid.Set // what rewinds have undone here, of which the GTIDs may still tell
	missing       []string
	replicas      []topology.Address
}

const (
	factsFor = 10 * time.Second
	factsMax = 30 * time.Second
)

// The statements of learn. Tried on 9.7; per manual all of it is there since 8.0.22 at the latest.
const (
	askVersion = `SELECT @@GLOBAL.version, @@GLOBAL.version_comment, @@GLOBAL.performance_schema, @@GLOBAL.persisted_globals_load`
	// askBoot tells the values that the next start will find by itself. One that was set since the start is DYNAMIC, one that
	// was persisted PERSISTED, and either hides what the option file says; then only a value that is persisted is believed.
	askBoot = `SELECT VARIABLE_NAME, present.VARIABLE_VALUE, VARIABLE_SOURCE FROM performance_schema.variables_info
 JOIN performance_schema.global_variables AS present USING (VARIABLE_NAME)
 WHERE VARIABLE_NAME IN ('super_read_only', 'rpl_semi_sync_replica_enabled', 'skip_replica_start') AND VARIABLE_SOURCE NOT IN ('DYNAMIC', 'PERSISTED')`
	askJournal  = `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = '_primacy' AND TABLE_NAME = 'journal'`
	askUndone   = `SELECT transactions FROM _primacy.undone`
	askGrants   = `SHOW GRANTS`
	askReplicas = `SHOW REPLICAS`
)

// learn asks for all facts anew.
func learn(ctx context.Context, q queryer) (facts, error) {
	f := facts{at: time.Now()}
	if err := f.learnVersion(ctx, q); err != nil {
		return f, err
	}
	for _, ask := range []func(context.Context, queryer) error{f.learnVariables, f.learnBoot, f.learnJournal, f.learnUndone, f.learnGrants, f.learnReplicas} {
		if err := ask(ctx, q); err != nil && !lacksPrivilege(err) {
			return f, err
		}
	}
	err := f.settle(ctx, q)
	return f, err
}

func (f *facts) learnVersion(ctx context.Context, q queryer) error {
	rows, err := q.query(ctx, askVersion)
	if mysqlErrno(err) == errUnknownVariable {
		rows, err = q.query(ctx, `SELECT @@version, @@version_comment, 1, 1`) // MariaDB, to refuse it by name
	}
	if err != nil {
		return err
	}
	if f.dialect, err = dialectOf(rows[0][0].text, rows[0][1].text); err != nil {
		return fmt.Errorf("%w: %w", errRefusedByUs, err)
	}
	if !rows[0][2].on() {
		return fmt.Errorf("%w: performance_schema is off, and what replicas and sessions do shows only there; put performance_schema=ON in the option file and restart", errRefusedByUs)
	}
	f.loadPersisted = rows[0][3].on()
	return nil
}

func (f *facts) learnVariables(ctx context.Context, q queryer) error {
	var names []string
	for _, c := range variableColumns {
		if c.variable != "" {
			names = append(names, "'"+c.variable+"'")
		}
	}
	rows, err := q.query(ctx, `SELECT VARIABLE_NAME FROM performance_schema.global_variables WHERE VARIABLE_NAME IN (`+strings.Join(names, ", ")+`)`)
	f.has = make(map[string]bool)
	for _, r := range rows {
		f.has[r[0].text] = true
	}
	return err
}

func (f *facts) learnBoot(ctx context.Context, q queryer) error {
	rows, err := q.query(ctx, askBoot)
	f.bootAcksOff = err == nil && !f.has["rpl_semi_sync_replica_enabled"]
	for _, r := range rows {
		switch r[0].text {
		case "super_read_only": // by default it is off, whatever it is now: SET read_only = OFF leaves its source as it was
			f.bootReadOnly = r[1].on() && r[2].text != "COMPILED"
		case "rpl_semi_sync_replica_enabled":
			f.bootAcksOff = !r[1].on()
		case "skip_replica_start":
			f.bootStopped = r[1].on()
		}
	}
	return err
}

func (f *facts) learnJournal(ctx context.Context, q queryer) error {
	rows, err := q.query(ctx, askJournal)
	f.journal = len(rows) > 0
	return err
}

// learnUndone reads what rewinds have noted that they undid. Most servers have had none, and no table for it.
func (f *facts) learnUndone(ctx context.Context, q queryer) error {
	rows, err := q.query(ctx, askUndone)
	if errno := mysqlErrno(err); errno == errNoSuchTable || errno == errUnknownDatabase {
		return nil
	}
	for _, row := range rows {
		set, err := gtid.Parse(row[0].text)
		if err != nil {
			return fmt.Errorf("%w: what was undone there: %w", errRefusedByUs, err)
		}
		f.undone = f.undone.Union(set)
	}
	return err
}

func (f *facts) learnGrants(ctx context.Context, q queryer) error {
	rows, err := q.query(ctx, askGrants)
	if err != nil {
		return err
	}
	held := make(privileges)
	for _, r := range rows {
		held.add(r[0].text)
	}
	f.missing = held.lacking(Grants)
	return nil
}

// learnReplicas lists those that announce an address (report_host); others cannot be told apart from
// any client of their host.
func (f *facts) learnReplicas(ctx context.Context, q queryer) (err error) {
	f.replicas, err = replicasOf(ctx, q)
	return err
}

func replicasOf(ctx context.Context, q queryer) (all []topology.Address, err error) {
	rows, err := q.query(ctx, askReplicas)
	for _, r := range rows {
		if len(r) > 2 && r[1].text != "" {
			all = append(all, topology.Address(net.JoinHostPort(r[1].text, r[2].text)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all), err
}

// settle finds the largest statement that the server answers: all parts, or when a privilege is
// lacking those that it lets us read one by one.
func (f *facts) settle(ctx context.Context, q queryer) error {
	parts := slices.Clone(probeParts)
	if !f.journal {
		parts = append(parts, journalPart)
	}
	f.statement, f.columns = f.compose(parts)
	_, err := q.query(ctx, f.statement+" LIMIT 0")
	if !lacksPrivilege(err) {
		return err
	}
	readable, err := f.readable(ctx, q, parts)
	f.statement, f.columns = f.compose(readable)
	f.missing = union(f.missing, f.denied)
	return err
}

// readable tries the parts one by one, and notes what stands in the way of the others.
func (f *facts) readable(ctx context.Context, q queryer, parts []part) (readable []part, err error) {
	for _, p := range parts {
		statement, _ := f.compose([]part{p})
		switch _, err := q.query(ctx, statement+" LIMIT 0"); {
		case err == nil:
			readable = append(readable, p)
		case lacksPrivilege(err):
			f.denied = append(f.denied, p.privilege)
			f.vital = f.vital || p.vital
		default:
			return nil, err
		}
	}
	return readable, nil
}

// compose writes one statement that asks for all columns of the parts which the server has.
func (f *facts) compose(parts []part) (string, []column) {
	var asked []column
	var expressions []string
	from := "(SELECT 1) AS one"
	for _, p := range parts {
		for _, c := range p.columns {
			if c.variable == "" || f.has[c.variable] {
				asked = append(asked, c)
				expressions = append(expressions, c.expression)
			}
		}
		if p.from != "" {
			from += "\n LEFT JOIN " + p.from
		}
	}
	return "SELECT " + strings.Join(expressions, ",\n ") + "\n FROM " + from, asked
}

// ask takes one reading, in one round trip.
func (f *facts) ask(ctx context.Context, q queryer, texts *setTexts) (reading, error) {
	r := reading{texts: texts}
	rows, err := q.query(ctx, f.statement)
	if err != nil {
		return r, err
	}
	if len(rows) != 1 || len(rows[0]) != len(f.columns) {
		return r, fmt.Errorf("%w: it answered a probe with %d rows", errRefusedByUs, len(rows))
	}
	for i, c := range f.columns {
		c.into(&r, rows[0][i])
	}
	return r, r.err
}

// privileges are what an account holds: object to privilege names.
type privileges map[string]map[string]bool

// add reads one line of SHOW GRANTS: GRANT a, b ON object TO account. Lines without an object grant
// roles, whose privileges have lines of their own while the role is active.
func (p privileges) add(line string) {
	list, rest, found := strings.Cut(strings.TrimPrefix(line, "GRANT "), " ON ")
	if !found || !strings.HasPrefix(line, "GRANT ") {
		return
	}
	object, _, _ := strings.Cut(rest, " TO ")
	object = bare(object)
	if p[object] == nil {
		p[object] = make(map[string]bool)
	}
	for privilege := range strings.SplitSeq(columnLists.ReplaceAllString(list, ""), ",") {
		p[object][strings.TrimSpace(privilege)] = true
	}
}

// columnLists narrow a privilege to some columns: whoever holds it so holds it as we need it.
var columnLists = regexp.MustCompile(` *\([^)]*\)`)

// bare takes quotes and escapes from a name, which differ between what was granted and what is shown.
func bare(object string) string { return strings.NewReplacer("`", "", `\`, "").Replace(object) }

func (p privileges) hold(privilege, object string) bool {
	privilege = columnLists.ReplaceAllString(privilege, "")
	schema, _, _ := strings.Cut(bare(object), ".")
	for _, on := range []string{"*.*", schema + ".*", bare(object)} {
		if p[on][privilege] || p[on]["ALL PRIVILEGES"] {
			return true
		}
	}
	return false
}

// lacking names, as GRANT would, what is needed in every installation and not held.
func (p privileges) lacking(needed []Grant) (missing []string) {
	for _, g := range needed {
		if g.Feature == "" && !p.hold(g.Privilege, g.On) {
			missing = append(missing, g.Privilege+" ON "+g.On)
		}
	}
	return missing
}

func union(a, b []string) []string {
	all := make(map[string]bool)
	for _, s := range slices.Concat(a, b) {
		all[s] = true
	}
	return slices.Sorted(maps.Keys(all))
}
