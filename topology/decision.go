package topology

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
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
	var first [8]byte
	if _, err := hex.Decode(first[:], []byte(hash[:16])); err != nil {
		return 0
	}
	return binary.BigEndian.Uint64(first[:])
}
