package mysqld

import (
	"testing"

	"github.com/primacydb/primacy/topology"
)

func TestWhatAProcessDroppedAtItsStartIsNotUndoneByWhatIsPersistedForTheNext(t *testing.T) {
	for name, row := range map[string]struct {
		runs      bool
		persisted string
		drops     bool
	}{
		"started with it, and mended for the next start": {true, "relay_log_recovery=OFF", true},
		"started without, and the next one drops":        {false, "relay_log_recovery=ON", true},
		"neither": {false, "relay_log_recovery=OFF", false},
	} {
		s := topology.Settings{RelayLogRecovery: row.runs}
		(&facts{loadPersisted: true}).boot(&s, row.persisted)
		if s.RelayLogRecovery != row.drops {
			t.Errorf("%s: %t", name, s.RelayLogRecovery)
		}
	}
}
