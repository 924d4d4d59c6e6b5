package gtid

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// uuidLength is the length of a printed UUID: 32 hexadecimal digits, 4 dashes.
const uuidLength = 36

// UUID is a server's identity, as in @@server_uuid.
type UUID [16]byte

// ParseUUID reads the forms that servers accept: with dashes, with dashes and
// in braces, or 32 hexadecimal digits in a row; in either case.
func ParseUUID(text string) (UUID, error) {
	id, end, expected := scanUUID(text)
	if expected == "" && end < len(text) {
		expected = "the end"
	}
	if expected != "" {
		return UUID{}, fmt.Errorf("uuid %q: position %d: expected %s, found %s", clip(text), end+1, expected, found(text, end))
	}
	return id, nil
}

// compare puts UUIDs in the order of their bytes, eight of which at a time are a number.
func (u *UUID) compare(v *UUID) int {
	if ours, theirs := binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(v[:8]); ours != theirs {
		return cmp.Compare(ours, theirs)
	}
	return cmp.Compare(binary.BigEndian.Uint64(u[8:]), binary.BigEndian.Uint64(v[8:]))
}

// String is the lower-case, dashed form.
func (u UUID) String() string {
	return string(u.append(make([]byte, 0, uuidLength)))
}

// MarshalText implements encoding.TextMarshaler.
func (u UUID) MarshalText() ([]byte, error) {
	return u.append(make([]byte, 0, uuidLength)), nil
}

// AppendText implements encoding.TextAppender: it appends what String returns.
func (u UUID) AppendText(out []byte) ([]byte, error) { return u.append(out), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseUUID's rules.
func (u *UUID) UnmarshalText(text []byte) error {
	id, err := ParseUUID(string(text))
	if err != nil {
		return err
	}
	*u = id
	return nil
}

func (u UUID) append(out []byte) []byte {
	text := [uuidLength]byte{8: '-', 13: '-', 18: '-', 23: '-'}
	for i, b := range u {
		*(*[2]byte)(text[printed[i]:]) = pairs[b]
	}
	return append(out, text[:]...)
}

// printed is where each byte stands in the text.
var printed = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// pairs are the two digits of each byte.
var pairs = func() (table [256][2]byte) {
	for i := range table {
		hex.Encode(table[i][:], []byte{byte(i)})
	}
	return table
}()

// scanUUID reads a uuid at the start of a text and returns the offset behind
// it. When there is none, the offset is that of the first byte which does not
// fit, and expected says what would.
func scanUUID(text string) (id UUID, end int, expected string) {
	if len(text) == 0 || text[0] != '{' {
		return scanDigits(text, len(text) > 8 && text[8] == '-')
	}
	id, end, expected = scanDigits(text[1:], true)
	end++
	if expected == "" && (end == len(text) || text[end] != '}') {
		expected = "'}'"
	}
	if expected == "" {
		end++
	}
	return id, end, expected
}

func scanDigits(text string, dashed bool) (id UUID, at int, expected string) {
	for i := range id {
		if dashed && (i == 4 || i == 6 || i == 8 || i == 10) {
			if at == len(text) || text[at] != '-' {
				return id, at, "'-'"
			}
			at++
		}
		for range 2 {
			if at == len(text) || nibble[text[at]] > 15 {
				return id, at, "a hexadecimal digit"
			}
			id[i] = id[i]<<4 | nibble[text[at]]
			at++
		}
	}
	return id, at, ""
}

// nibble maps a hexadecimal digit to its value and every other byte to 255.
var nibble = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		table[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		table[c] = byte(10 + i)
	}
	return table
}()
