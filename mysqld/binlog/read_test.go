package binlog

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
)

// rotate is the event with which a server begins a stream: it names the file that follows, and comes before the event that
// says whether events end with a checksum.
func rotate(name string, checksum bool) []byte {
	size := replication.EventHeaderSize + 8 + len(name)
	if checksum {
		size += 4
	}
	raw := make([]byte, replication.EventHeaderSize, size)
	raw[4] = byte(replication.ROTATE_EVENT)
	binary.LittleEndian.PutUint32(raw[9:], uint32(size))
	raw = binary.LittleEndian.AppendUint64(raw, 4)
	raw = append(raw, name...)
	if checksum {
		raw = binary.LittleEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	}
	return raw
}

func TestTheNameOfTheFirstFileHoldsNoChecksum(t *testing.T) {
	for name, checksum := range map[string]bool{"events with checksums": true, "events without": false} {
		t.Run(name, func(t *testing.T) {
			r := newReader("")
			if _, err := r.parse(rotate("binlog.000001", checksum)); err != nil {
				t.Fatal(err)
			}
			if r.file != "binlog.000001" {
				t.Errorf("the file is called %q", r.file)
			}
		})
	}
}
