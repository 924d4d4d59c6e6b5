package reparent

import (
	"bytes"
	"slices"
)

// sortedKeys puts JSON as json.Marshal writes it into the form whose bytes are under a digest: the keys of each object in
// order. It answers what digestOf would hash, without building a tree of it; false where a key has to be decoded before it
// can be compared.
func sortedKeys(text []byte) ([]byte, bool) {
	s := sorter{text: text, ends: make([]int, len(text)), plain: true}
	s.pair()
	sorted, _ := s.value(make([]byte, 0, len(text)), 0)
	return sorted, s.plain
}

type sorter struct {
	text  []byte
	ends  []int // at each place where an object or array begins: where it ends
	plain bool  // no key holds an escaped character
}

// pair finds the end of each object and array.
func (s *sorter) pair() {
	var deep [nestedMost]int
	open := deep[:0]
	for i := 0; i < len(s.text); i++ {
		switch s.text[i] {
		case '"':
			i = s.quoted(i) - 1
		case '{', '[':
			open = append(open, i)
		case '}', ']':
			s.ends[open[len(open)-1]] = i + 1
			open = open[:len(open)-1]
		}
	}
}

// member is where a key and its value stand, the value's end included.
type member struct{ key, value, end int }

// value appends the value that begins at i, and answers where it ends.
func (s *sorter) value(to []byte, i int) ([]byte, int) {
	switch s.text[i] {
	case '{':
		return s.object(to, i)
	case '[':
		return s.array(to, i)
	}
	end := s.skip(i)
	return append(to, s.text[i:end]...), end
}

func (s *sorter) object(to []byte, i int) ([]byte, int) {
	var few [32]member
	all := few[:0]
	for i++; s.text[i] != '}'; {
		if s.text[i] == ',' {
			i++
		}
		m := member{key: i, value: s.quoted(i) + 1}
		m.end = s.skip(m.value)
		all, i = append(all, m), m.end
	}
	slices.SortFunc(all, func(a, b member) int { return bytes.Compare(s.key(a), s.key(b)) })
	to = append(to, '{')
	for n, m := range all {
		if n > 0 {
			to = append(to, ',')
		}
		to = append(to, s.text[m.key:m.value]...)
		to, _ = s.value(to, m.value)
	}
	return append(to, '}'), i + 1
}

// key is what stands between the quotes.
func (s *sorter) key(m member) []byte {
	key := s.text[m.key+1 : m.value-2]
	s.plain = s.plain && bytes.IndexByte(key, '\\') < 0
	return key
}

func (s *sorter) array(to []byte, i int) ([]byte, int) {
	for to = append(to, '['); ; to = append(to, ',') {
		if i++; s.text[i] == ']' { // it is empty
			return append(to, ']'), i + 1
		}
		if to, i = s.value(to, i); s.text[i] == ']' {
			return append(to, ']'), i + 1
		}
	}
}

// skip answers where the value that begins at i ends.
func (s *sorter) skip(i int) int {
	switch s.text[i] {
	case '"':
		return s.quoted(i)
	case '{', '[':
		return s.ends[i]
	}
	for i < len(s.text) && s.text[i] != ',' && s.text[i] != ']' && s.text[i] != '}' { // a number or a word
		i++
	}
	return i
}

// quoted answers where the string that begins at i ends.
func (s *sorter) quoted(i int) int {
	for i++; ; i += 2 {
		i += bytes.IndexAny(s.text[i:], `"\`)
		if s.text[i] == '"' {
			return i + 1
		}
	}
}
