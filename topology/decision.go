package topology

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
)

// Sealed returns the decision with its hash filled in. The time is cut to microseconds first, for that
// is what the journal table keeps, and the hash must come out the same when the row is read back.
func (d Decision) Sealed() Decision {
	d.DecidedAt = microseconds(d.DecidedAt)
	d.Hash = d.digest()
	return d
}

// Intact tells whether the hash is that of the other fields.
func (d Decision) Intact() bool { return d.Hash != "" && d.Hash == d.digest() }

func (d Decision) digest() string {
	d.Hash, d.DecidedAt = "", microseconds(d.DecidedAt)
	text, err := json.Marshal(d)
	if err != nil {
		return "" // a decision is plain data; an unmarshalable one is never intact
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// microseconds is a time as the journal table gives it back, whatever the time zone of the session that reads it.
func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// markerHash takes the first 64 bits of a decision's hash.
func markerHash(hash string) uint64 {
	if len(hash) < 16 {
		return 0
	}
	n, err := strconv.ParseUint(hash[:16], 16, 64)
	if err != nil {
		return 0
	}
	return n
}
