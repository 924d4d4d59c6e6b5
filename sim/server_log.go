package sim

import (
	"slices"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// LoseLog is a loss of power with which the end of the binary log goes, and of the tables with it, as on a disk that says too
// early that it has written. Primacy asks for disks that do not (sync_binlog), so no seed draws it; planted bugs have use for it.
const LoseLog Kind = "lose_log"

// logLost is how many transactions the end of a binary log holds.
const logLost = 4

// loseLog ends the process, and takes the last transactions from its binary log.
func (s *server) loseLog() {
	s.kill()
	entries := s.log.entries
	kept := len(entries) - min(logLost, len(entries))
	var left []*transaction
	var gone gtid.Set
	for _, t := range entries[kept:] {
		gone = gone.Union(gtid.Range(t.gtid.Source(), t.gtid.Number, t.gtid.Number))
	}
	for _, t := range s.torn {
		if !gone.Has(t.gtid) {
			left = append(left, t)
		}
	}
	s.log.entries, s.torn = entries[:kept:kept], left
	s.done = historyOf(s.done.all().Subtract(gone))
	s.decided = slices.DeleteFunc(slices.Clone(s.decided), func(d *topology.Decision) bool { return gone.Has(d.Marker().GTID()) })
	s.tell("lost the end of its log", nil)
}
