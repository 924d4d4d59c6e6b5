package reparent

import (
	"bytes"
	"slices"
)

// sortedKeys puts JSON as json.Marshal writes it into the form whose bytes are under a digest: the keys of each object in
// order. It answers what digestOf would hash, without building a tree of it; false where a key has to be decoded before it
// can be compared.
func sortedKeys(text []byte) ([]byte, bool) {
	s := sorter{text: text, to: make([]byte, 0, len(text)), plain: true}
	s.value(0)
	return s.to, s.plain
}

// sorter reads a text once, and appends each of its values in order to what it has written.
type sorter struct {
	text, to []byte
	open     []member // of the objects that are being read, the innermost last
	moved    []byte   // where an object is put in order
	plain    bool     // no key holds an escaped character
}

// member is where a key, its value and the end of it stand in what was written.
type member struct{ key, value, end int }

// value appends the value that begins at i, and answers where it ends.
func (s *sorter) value(i int) int {
	switch s.text[i] {
	case '{':
		return s.object(i + 1)
	case '[':
		return s.array(i + 1)
	}
	end := s.skip(i)
	s.to = append(s.to, s.text[i:end]...)
	return end
}

// object appends the object whose first key begins at i, and then puts its members in order.
func (s *sorter) object(i int) int {
	s.to = append(s.to, '{')
	outer, begin := len(s.open), len(s.to)
	for s.text[i] != '}' {
		if s.text[i] == ',' {
			i++
		}
		m := member{key: len(s.to)}
		value := s.quoted(i) + 1
		s.to = append(s.to, s.text[i:value]...)
		m.value = len(s.to)
		i = s.value(value)
		m.end = len(s.to)
		s.to = append(s.to, ',')
		s.open = append(s.open, m)
	}
	s.arrange(begin, s.open[outer:])
	s.open = s.open[:outer]
	return s.closed(i, '}')
}

// arrange sorts the members of the object that was written from begin on.
func (s *sorter) arrange(begin int, all []member) {
	for _, m := range all {
		s.plain = s.plain && bytes.IndexByte(s.key(m), '\\') < 0
	}
	order := func(a, b member) int { return bytes.Compare(s.key(a), s.key(b)) }
	if slices.IsSortedFunc(all, order) {
		return
	}
	slices.SortFunc(all, order)
	s.moved = s.moved[:0]
	for _, m := range all {
		s.moved = append(s.moved, s.to[m.key:m.end+1]...)
	}
	copy(s.to[begin:], s.moved)
}

// key is what stands between the quotes.
func (s *sorter) key(m member) []byte { return s.to[m.key+1 : m.value-2] }

func (s *sorter) array(i int) int {
	s.to = append(s.to, '[')
	for s.text[i] != ']' {
		if s.text[i] == ',' {
			i++
		}
		i = s.value(i)
		s.to = append(s.to, ',')
	}
	return s.closed(i, ']')
}

// closed ends an object or array, whose last member has a comma behind it.
func (s *sorter) closed(i int, with byte) int {
	if last := len(s.to) - 1; s.to[last] == ',' {
		s.to[last] = with
	} else {
		s.to = append(s.to, with)
	}
	return i + 1
}

// skip answers where the text, number or word that begins at i ends.
func (s *sorter) skip(i int) int {
	if s.text[i] == '"' {
		return s.quoted(i)
	}
	for i < len(s.text) && s.text[i] != ',' && s.text[i] != ']' && s.text[i] != '}' {
		i++
	}
	return i
}

// quoted answers where the string that begins at i ends.
func (s *sorter) quoted(i int) int {
	for i++; ; i++ {
		switch s.text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}
