package mysqld

import (
	"strings"
	"testing"
)

func TestEachVersionGetsItsWords(t *testing.T) {
	for name, row := range map[string]struct {
		version, comment, status string
		tagged                   bool
		refused                  string
	}{
		"the oldest that is supported":  {version: "8.0.26", status: "SHOW MASTER STATUS"},
		"Percona Server":                {version: "8.0.36-28", comment: "Percona Server (GPL)", status: "SHOW MASTER STATUS"},
		"both words, the newer is used": {version: "8.2.0", status: "SHOW BINARY LOG STATUS"},
		"tags come with 8.3":            {version: "8.3.0", status: "SHOW BINARY LOG STATUS", tagged: true},
		"long-term support":             {version: "8.4.5-commercial", status: "SHOW BINARY LOG STATUS", tagged: true},
		"innovation":                    {version: "9.7.4-2", status: "SHOW BINARY LOG STATUS", tagged: true},
		"one release too old":           {version: "8.0.25", refused: "8.0.26"},
		"5.7":                           {version: "5.7.44-log", refused: "8.0.26"},
		"MariaDB":                       {version: "10.11.6-MariaDB-0+deb12u1", refused: "MariaDB"},
		"MariaDB in disguise":           {version: "5.5.5-11.4.2", comment: "mariadb.org binary", refused: "MariaDB"},
		"no version at all":             {version: "unknown", refused: "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := dialectOf(row.version, row.comment)
			if (err != nil) != (row.refused != "") {
				t.Fatalf("error %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), row.refused) {
				t.Errorf("%v does not mention %s", err, row.refused)
			}
			if err == nil && (d.binaryLogStatus != row.status || d.taggedGTIDs != row.tagged) {
				t.Errorf("%+v", d)
			}
		})
	}
}
