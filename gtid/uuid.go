package gtid

import "fmt"

// uuidLength is the length of a printed UUID: 32 hexadecimal digits, 4 dashes.
const uuidLength = 36

// UUID is a server's identity, as in @@server_uuid.
type UUID [16]byte

// ParseUUID reads the dashed form in either case, the only form that servers
// accept in a GTID.
func ParseUUID(text string) (UUID, error) {
	if len(text) != uuidLength {
		return UUID{}, fmt.Errorf("uuid %q: expected %d characters (8-4-4-4-12 hexadecimal digits), found %d", clip(text), uuidLength, len(text))
	}
	id, wrong := decodeUUID(text)
	if wrong >= 0 {
		return UUID{}, fmt.Errorf("uuid %q: position %d: expected %s, found %s", text, wrong+1, uuidPart(wrong), found(text, wrong))
	}
	return id, nil
}

// String is the lower-case, dashed form.
func (u UUID) String() string {
	return string(u.append(make([]byte, 0, uuidLength)))
}

// MarshalText implements encoding.TextMarshaler.
func (u UUID) MarshalText() ([]byte, error) {
	return u.append(make([]byte, 0, uuidLength)), nil
}

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
	const digits = "0123456789abcdef"
	for i, b := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, digits[b>>4], digits[b&15])
	}
	return out
}

// digitAt holds the offset of each byte's first digit within the text.
var digitAt = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// decodeUUID reads the first 36 bytes of text. The second result is the offset
// of the first byte that does not belong there, or -1.
func decodeUUID(text string) (UUID, int) {
	var id UUID
	var wrong byte
	text = text[:uuidLength]
	for i, at := range digitAt {
		high, low := nibble[text[at]], nibble[text[at+1]]
		wrong |= high | low
		id[i] = high<<4 | low&15
	}
	dashed := text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-'
	if wrong > 15 || !dashed {
		return UUID{}, wrongDigit(text)
	}
	return id, -1
}

// wrongDigit finds what decodeUUID has already refused.
func wrongDigit(text string) int {
	for i := range uuidLength {
		if isDash(i) != (text[i] == '-') || !isDash(i) && nibble[text[i]] > 15 {
			return i
		}
	}
	return -1
}

func isDash(offset int) bool {
	return offset == 8 || offset == 13 || offset == 18 || offset == 23
}

func uuidPart(offset int) string {
	if isDash(offset) {
		return "'-'"
	}
	return "a hexadecimal digit"
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
