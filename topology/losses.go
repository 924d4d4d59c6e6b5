package topology

import "time"

// Losses is since when a server may lack what it once had told others to hold. It is carried from one sight of a server to the
// next, for what a process lost at its start stays lost however its settings are mended afterwards. Once a leadership is
// established, what was lost before that change began is of no interest any more: whatever it completes comes later.
type Losses struct {
	// Received is when the latest process started there that may have lost, at its start, what the one before it had received:
	// with its host's power, or by relay_log_recovery. Zero when none is known.
	Received time.Time `json:"received,omitzero"`
	// Executed is the same of what had been executed.
	Executed time.Time `json:"executed,omitzero"`
}

// LossesSince are those of a server that was seen before as it is remembered, or not at all.
func (o *Observation) LossesSince(before *Observation) Losses {
	l := before.Losses
	if o.Incarnation == before.Incarnation {
		return l
	}
	start := wholeSeconds(o.StartedAt)
	if o.Settings.LogUnsynced() || before.Settings.LogUnsynced() {
		l.Received, l.Executed = start, start
	}
	if o.Settings.losesReceived() || before.Settings.losesReceived() {
		l.Received = start
	}
	return l
}

// By are the same losses as somebody has to take them who knows only that they happened before now.
func (l Losses) By(now time.Time) Losses {
	if !l.Received.IsZero() {
		l.Received = wholeSeconds(now)
	}
	if !l.Executed.IsZero() {
		l.Executed = wholeSeconds(now)
	}
	return l
}

// wholeSeconds is a time, or up to a second later, as it is kept on record.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second).Add(time.Second) }

func (s *Settings) losesReceived() bool { return s.RelayLogUnsynced || s.RelayLogRecovery }

// Unsynced tells whether a crash of the server's host may take from it what it has acknowledged: what waits in its relay log or,
// once that is applied, in its binary log.
func (s *Settings) Unsynced() bool { return s.RelayLogUnsynced || s.LogUnsynced() }

// LogUnsynced tells whether it may take what it has executed. It is false as well where the settings were not read.
func (s *Settings) LogUnsynced() bool { return s.GTIDMode != "" && s.SyncBinlog != 1 }
