package gtid

import (
	"fmt"
	"strconv"
	"strings"
)

// maxTag is the length of the longest tag.
const maxTag = 32

// Parse reads a GTID set. Errors name the byte, counted from 1, at which the
// text stops making sense, and what was expected there.
func Parse(text string) (Set, error) {
	p := parser{text: text, what: "gtid set", spans: make([]span, 0, strings.Count(text, ":"))}
	for p.skipEmpty(); p.at < len(text); p.skipEmpty() {
		if err := p.element(); err != nil {
			return Set{}, err
		}
	}
	return assemble(p.streams), nil
}

// MustParse is Parse for texts that are part of a program; it panics on errors.
func MustParse(text string) Set {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

// ParseGTID reads a single GTID, with the rules of Parse.
func ParseGTID(text string) (GTID, error) {
	p := parser{text: text, what: "gtid"}
	p.skipSpace()
	if err := p.element(); err != nil {
		return GTID{}, err
	}
	if p.at < len(text) {
		return GTID{}, p.unexpected("the end")
	}
	if len(p.spans) != 1 || p.ranged {
		return GTID{}, fmt.Errorf("gtid %q: expected a single transaction, found several", clip(text))
	}
	only := p.streams[0]
	return GTID{only.source.UUID, only.source.Tag, only.spans[0].first}, nil
}

// parser reads one text from left to right, once.
type parser struct {
	text    string
	what    string // what is being read, for errors
	at      int    // offset of the next byte
	spans   []span // of all streams, in the order of the text
	streams []stream
	ranged  bool // an interval with two ends was read
}

// element reads uuid:interval:interval:tag:interval and so on, up to the next
// comma or the end.
func (p *parser) element() error {
	id, err := p.uuid()
	if err != nil {
		return err
	}
	if p.skipSpace(); p.peek() != ':' {
		return p.unexpected("':' and a transaction number")
	}
	source := Source{UUID: id}
	for p.peek() == ':' {
		p.at++
		if p.skipSpace(); isTagStart(p.peek()) {
			source.Tag, err = p.tag()
		} else {
			err = p.intervals(source)
		}
		if err != nil {
			return err
		}
	}
	if p.at < len(p.text) && p.peek() != ',' {
		return p.unexpected("':', ',' or the end")
	}
	return nil
}

func (p *parser) uuid() (UUID, error) {
	id, length, expected := scanUUID(p.text[p.at:])
	p.at += length
	if expected != "" {
		return UUID{}, p.unexpected(expected + " of a uuid")
	}
	return id, nil
}

// tag reads a tag and the space behind it. A tag without a number is refused.
func (p *parser) tag() (string, error) {
	start := p.at
	for p.at < len(p.text) && isTagByte(p.text[p.at]) {
		p.at++
	}
	tag := p.text[start:p.at]
	if len(tag) > maxTag {
		p.at = start
		return "", p.fail("tag of %d characters is longer than %d", len(tag), maxTag)
	}
	if p.skipSpace(); p.peek() != ':' {
		return "", p.unexpected("':' and a transaction number after the tag")
	}
	if p.tagFollows() {
		p.at++
		return "", p.unexpected("a transaction number after the tag")
	}
	// The copy keeps a small set from holding on to a large text.
	return strings.Clone(strings.ToLower(tag)), nil
}

// intervals reads as many intervals as follow each other, with the first ':'
// already read, and leaves the parser at what comes next.
func (p *parser) intervals(source Source) error {
	start := len(p.spans)
	for {
		s, err := p.interval()
		if err != nil {
			return err
		}
		p.spans = append(p.spans, s)
		if p.peek() != ':' || p.tagFollows() {
			break
		}
		p.at++
	}
	own := canonical(p.spans[start:])
	p.streams = append(p.streams, stream{source, own[:len(own):len(own)]})
	return nil
}

func (p *parser) interval() (span, error) {
	p.skipSpace()
	first, err := p.number()
	if err != nil {
		return span{}, err
	}
	if p.skipSpace(); p.peek() != '-' {
		return span{first, first}, nil
	}
	p.at++
	p.ranged = true
	p.skipSpace()
	start := p.at
	last, err := p.number()
	if err == nil && last < first {
		p.at = start
		err = p.fail("interval end %d is before its start %d", last, first)
	}
	p.skipSpace()
	return span{first, last}, err
}

func (p *parser) number() (int64, error) {
	n, end := decimal(p.text, p.at)
	switch {
	case end == p.at:
		return 0, p.unexpected("a transaction number")
	case p.text[p.at] == '0':
		return 0, p.fail("transaction number starts with 0; they count from 1 and are decimal")
	// Nineteen digits always fit into 64 bits, so n is exact up to there.
	case end-p.at > 19 || n > uint64(MaxNumber):
		return 0, p.fail("transaction number is above %d", MaxNumber)
	}
	p.at = end
	return int64(n), nil
}

// decimal reads the digits at an offset and returns the offset behind them.
func decimal(text string, at int) (n uint64, end int) {
	for ; at < len(text); at++ {
		digit := text[at] - '0'
		if digit > 9 {
			break
		}
		n = n*10 + uint64(digit)
	}
	return n, at
}

// skipEmpty passes over space and commas; servers allow nothing between them.
func (p *parser) skipEmpty() {
	for p.skipSpace(); p.peek() == ','; p.skipSpace() {
		p.at++
	}
}

func (p *parser) skipSpace() {
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
}

// peek returns the next byte, 0 at the end. A 0 byte in the text is read as one
// that is nowhere expected.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// tagFollows reports whether a tag stands behind the ':' that is next.
func (p *parser) tagFollows() bool {
	at := p.at + 1
	for at < len(p.text) && isSpace(p.text[at]) {
		at++
	}
	return at < len(p.text) && isTagStart(p.text[at])
}

func (p *parser) unexpected(expected string) error {
	return p.fail("expected %s, found %s", expected, found(p.text, p.at))
}

func (p *parser) fail(format string, args ...any) error {
	return fmt.Errorf("%s: position %d: %s", p.what, p.at+1, fmt.Sprintf(format, args...))
}

// found names the text at an offset, short enough for one line of a log.
func found(text string, at int) string {
	if at >= len(text) {
		return "the end"
	}
	return strconv.Quote(clip(text[at:]))
}

func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}

func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

func isTagStart(c byte) bool { return c|0x20-'a' <= 'z'-'a' || c == '_' }

func isTagByte(c byte) bool { return isTagStart(c) || c-'0' <= 9 }

// isTag reports whether a tag is in the form that servers store.
func isTag(tag string) bool {
	for i := range len(tag) {
		if !isTagByte(tag[i]) || tag[i]-'A' <= 'Z'-'A' {
			return false
		}
	}
	return tag != "" && len(tag) <= maxTag && isTagStart(tag[0])
}
