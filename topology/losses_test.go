package topology_test

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

func TestWhatAStartMayHaveLostStaysLostHoweverTheSettingsAreMended(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 500e6, time.UTC)
	at := func(n int) time.Time {
		return start.Add(time.Duration(n) * time.Minute).Truncate(time.Second).Add(time.Second)
	}
	synced := topology.Settings{GTIDMode: "ON", SyncBinlog: 1}
	with := func(edit func(*topology.Settings)) topology.Settings {
		s := synced
		edit(&s)
		return s
	}
	relay := with(func(s *topology.Settings) { s.RelayLogUnsynced = true })
	drops := with(func(s *topology.Settings) { s.RelayLogRecovery = true })
	log := with(func(s *topology.Settings) { s.SyncBinlog = 1000 })
	for name, row := range map[string]struct {
		lives              []topology.Settings // of one process after the other
		received, executed int                 // the process whose start may have lost something; 0 is none
	}{
		"all is written at once":               {[]topology.Settings{synced, synced}, 0, 0},
		"the relay log is not":                 {[]topology.Settings{synced, relay}, 2, 0},
		"it was not, and is":                   {[]topology.Settings{relay, synced}, 2, 0},
		"it was not long ago":                  {[]topology.Settings{relay, synced, synced}, 2, 0},
		"relay logs are dropped":               {[]topology.Settings{synced, drops, synced, synced}, 3, 0},
		"the binary log is not":                {[]topology.Settings{log, synced}, 2, 2},
		"what was read first may have lost it": {[]topology.Settings{log}, 1, 1},
		"nothing is known of the settings":     {[]topology.Settings{{}, {}}, 0, 0},
		"one kind after the other":             {[]topology.Settings{log, synced, relay, relay}, 4, 2},
	} {
		var seen topology.Observation
		for i, settings := range row.lives {
			for range 2 { // each process is seen twice
				o := topology.Observation{Incarnation: string(rune('a' + i)), StartedAt: start.Add(time.Duration(i+1) * time.Minute), Settings: settings}
				o.Losses = o.LossesSince(&seen)
				seen = o
			}
		}
		want := topology.Losses{}
		if row.received > 0 {
			want.Received = at(row.received)
		}
		if row.executed > 0 {
			want.Executed = at(row.executed)
		}
		if seen.Losses != want {
			t.Errorf("%s: %+v, want %+v", name, seen.Losses, want)
		}
	}
}

func TestSettingsThatAreMendedAfterALossyStartDoNotUndoIt(t *testing.T) {
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	bad := topology.Observation{Incarnation: "a", StartedAt: start, Settings: topology.Settings{GTIDMode: "ON", SyncBinlog: 1, RelayLogUnsynced: true}}
	bad.Losses = bad.LossesSince(&topology.Observation{})
	mended := bad
	mended.Settings.RelayLogUnsynced = false
	if l := mended.LossesSince(&bad); l != bad.Losses || l.Received.IsZero() {
		t.Errorf("%+v after %+v", l, bad.Losses)
	}
}
