package gtid

import "strconv"

// String returns the set as the server prints it, on one line.
func (s Set) String() string { return string(s.print()) }

// MarshalText implements encoding.TextMarshaler; in JSON a set is a string.
func (s Set) MarshalText() ([]byte, error) { return s.print(), nil }

// UnmarshalText implements encoding.TextUnmarshaler with Parse's rules. It
// replaces the set that it is called on; copies of that set stay as they are.
func (s *Set) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// print returns the text in one allocation.
func (s Set) print() []byte {
	size := 0
	for _, stream := range s.streams {
		size += stream.size()
	}
	return s.append(make([]byte, 0, size))
}

// size is at least the length of the text.
func (s stream) size() int {
	var room [20]byte // has every int64
	digits := len(strconv.AppendInt(room[:0], s.spans[len(s.spans)-1].last, 10))
	return uuidLength + len(",:") + len(s.source.Tag) + len(s.spans)*(len(":-")+2*digits)
}

// AppendText implements encoding.TextAppender: it appends what String returns.
func (s Set) AppendText(out []byte) ([]byte, error) { return s.append(out), nil }

func (s Set) append(out []byte) []byte {
	for i, stream := range s.streams {
		out = stream.appendSource(out, s.streams[:i])
		for _, r := range stream.spans {
			out = r.append(append(out, ':'))
		}
	}
	return out
}

// appendSource prints a uuid once for all its tags.
func (s stream) appendSource(out []byte, before []stream) []byte {
	if n := len(before); n > 0 && before[n-1].source.UUID == s.source.UUID {
		return append(append(out, ':'), s.source.Tag...)
	} else if n > 0 {
		out = append(out, ',')
	}
	return s.source.append(out)
}

func (s span) append(out []byte) []byte {
	out = strconv.AppendInt(out, s.first, 10)
	if s.last > s.first {
		out = strconv.AppendInt(append(out, '-'), s.last, 10)
	}
	return out
}
