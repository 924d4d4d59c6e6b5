package mysqld

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// dialect is what differs between the versions that Primacy speaks to. Everything that is not here is
// spelled alike on all of them. Tried on 9.7; the other rows are per manual.
type dialect struct {
	version release
	// binaryLogStatus shows file and position of the binary log: SHOW MASTER STATUS until 8.1, both
	// words in 8.2 and 8.3, and only the new one since 8.4.
	binaryLogStatus string
	// resetBinaryLogs empties binary log and gtid_executed; its words changed with those above.
	resetBinaryLogs string
	// taggedGTIDs tells whether GTIDs may carry a tag, since 8.3.
	taggedGTIDs bool
}

// release is a version's three numbers, in order.
type release [3]int

// oldest is the first version with the words replica and source in every variable, plugin and statement
// that Primacy uses.
var oldest = release{8, 0, 26}

func (r release) before(s release) bool {
	return cmp.Or(cmp.Compare(r[0], s[0]), cmp.Compare(r[1], s[1]), cmp.Compare(r[2], s[2])) < 0
}

func (r release) String() string { return fmt.Sprintf("%d.%d.%d", r[0], r[1], r[2]) }

// dialectOf picks the dialect by @@version and @@version_comment. It refuses what Primacy cannot lead.
func dialectOf(version, comment string) (dialect, error) {
	if strings.Contains(strings.ToLower(version+comment), "mariadb") {
		return dialect{}, fmt.Errorf("%s is MariaDB, whose GTIDs and semi-sync differ from MySQL's: it cannot be a member; use MySQL or Percona Server %s or later", version, oldest)
	}
	r, err := releaseOf(version)
	if err != nil {
		return dialect{}, err
	}
	if r.before(oldest) {
		return dialect{}, fmt.Errorf("MySQL %s is too old: it lacks the replica and source variables; upgrade it to %s or later", version, oldest)
	}
	d := dialect{version: r, binaryLogStatus: "SHOW BINARY LOG STATUS", resetBinaryLogs: "RESET BINARY LOGS AND GTIDS"}
	if r.before(release{8, 2, 0}) {
		d.binaryLogStatus, d.resetBinaryLogs = "SHOW MASTER STATUS", "RESET MASTER"
	}
	d.taggedGTIDs = !r.before(release{8, 3, 0})
	return d, nil
}

// releaseOf reads the numbers of "8.0.36-28", "9.7.4-2" or "8.4.0-commercial".
func releaseOf(version string) (r release, err error) {
	numbers, _, _ := strings.Cut(version, "-")
	parts := strings.Split(numbers, ".")
	if len(parts) != len(r) {
		return r, fmt.Errorf("version %q: expected three numbers as in %s", version, oldest)
	}
	for i, part := range parts {
		if r[i], err = strconv.Atoi(part); err != nil {
			return r, fmt.Errorf("version %q: expected three numbers as in %s", version, oldest)
		}
	}
	return r, nil
}
