package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shape is what a node of the file looks like.
type shape int

const (
	shapeNothing shape = iota // a key without a value
	shapeScalar
	shapeList
	shapeSection
	shapeBroken // not YAML, and reported as such
)

func (s shape) String() string {
	return [...]string{"nothing", "a single value", "a list", "a section", "broken"}[s]
}

// node is a piece of the file, or of an environment variable, that knows where it stands.
type node struct {
	shape    shape
	text     string // of a scalar
	tag      string // of a scalar: what YAML takes it for; empty when it came from the environment
	line     int
	variable string // the environment variable that it came from
	items    []*node
	fields   []field
}

type field struct {
	name  string
	line  int
	value *node
}

// get finds a field; nil when there is none.
func (n *node) get(name string) *node {
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

func (n *node) set(name string, value *node) {
	n.remove(name)
	n.fields = append(n.fields, field{name: name, line: value.line, value: value})
}

func (n *node) remove(name string) {
	kept := n.fields[:0]
	for _, f := range n.fields {
		if f.name != name {
			kept = append(kept, f)
		}
	}
	n.fields = kept
}

// nodesMax bounds what aliases may unfold to; a real file has a few hundred nodes.
const nodesMax = 100_000

// reader turns YAML into nodes and gathers what is wrong with it as YAML.
type reader struct {
	source   string
	variable string
	lines    []string
	nodes    int
	problems []Problem
}

// read parses one document. The answer is nil when there is nothing that could be checked further.
func (r *reader) read(data []byte) *node {
	r.lines = strings.Split(string(data), "\n")
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return &node{shape: shapeNothing, variable: r.variable}
	case err != nil:
		r.invalid(err, data)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.report(second.Line, "a second document starts here; put everything into one")
	case !errors.Is(err, io.EOF):
		r.invalid(err, data)
	}
	return r.node(&document)
}

func (r *reader) report(line int, format string, args ...any) {
	p := Problem{Source: r.source, Line: line, Message: fmt.Sprintf(format, args...)}
	if r.variable != "" {
		p.Source, p.Line = r.variable, 0
	}
	r.problems = append(r.problems, p)
}

// yamlPlace is what the YAML library puts before its messages.
var yamlPlace = regexp.MustCompile(`^yaml: (line \d+: )?`)

// invalid reports a syntax error in the words of the YAML library, with a hint.
func (r *reader) invalid(err error, data []byte) {
	line := r.brokenLine(data)
	r.report(line, "not valid YAML: %s; %s", yamlPlace.ReplaceAllString(err.Error(), ""), r.hint(line))
}

// brokenLine finds where the file stops being YAML: the last line up to which it is still valid, plus one. The library
// names the start of the section around it instead, which can be the first line of the file.
func (r *reader) brokenLine(data []byte) int {
	var ignored yaml.Node
	for end := bytes.LastIndexByte(data, '\n'); end > 0; end = bytes.LastIndexByte(data[:end], '\n') {
		if yaml.Unmarshal(data[:end], &ignored) == nil {
			return bytes.Count(data[:end], []byte("\n")) + 2
		}
	}
	return 1
}

func (r *reader) hint(line int) string {
	if line <= len(r.lines) && strings.HasPrefix(strings.TrimLeft(r.lines[line-1], " "), "\t") {
		return "indent with spaces, a tab is not allowed there"
	}
	return "look for a missing colon, quote or bracket, or wrong indentation, here or just above"
}

func (r *reader) node(y *yaml.Node) *node {
	if r.nodes++; r.nodes > nodesMax {
		if r.nodes == nodesMax+1 {
			r.report(y.Line, "more than %d values once aliases are unfolded; write it without aliases", nodesMax)
		}
		return &node{line: y.Line, variable: r.variable}
	}
	switch y.Kind {
	case yaml.DocumentNode:
		return r.node(y.Content[0])
	case yaml.AliasNode:
		return r.node(y.Alias)
	case yaml.SequenceNode:
		return r.list(y)
	case yaml.MappingNode:
		return r.section(y)
	default:
		return r.scalar(y)
	}
}

func (r *reader) scalar(y *yaml.Node) *node {
	n := &node{shape: shapeScalar, text: y.Value, tag: y.ShortTag(), line: y.Line, variable: r.variable}
	if n.tag == "!!null" {
		n.shape = shapeNothing
	}
	return n
}

func (r *reader) list(y *yaml.Node) *node {
	n := &node{shape: shapeList, line: y.Line, variable: r.variable}
	for _, item := range y.Content {
		n.items = append(n.items, r.node(item))
	}
	return n
}

func (r *reader) section(y *yaml.Node) *node {
	n := &node{shape: shapeSection, line: y.Line, variable: r.variable}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		switch {
		case k.ShortTag() == "!!merge":
			merged = append(merged, r.merged(v)...)
		case k.Kind != yaml.ScalarNode:
			r.report(k.Line, "a key must be a plain word")
		case n.get(k.Value) != nil:
			r.repeated(n, k)
		default:
			n.fields = append(n.fields, r.field(k, v))
		}
	}
	n.fill(merged)
	return n
}

// field places the value at its key: a section that starts on the next line is looked for there.
func (r *reader) field(k, v *yaml.Node) field {
	value := r.node(v)
	value.line = k.Line
	return field{name: k.Value, line: k.Line, value: value}
}

func (r *reader) repeated(n *node, k *yaml.Node) {
	for _, f := range n.fields {
		if f.name == k.Value {
			r.report(k.Line, "the key %s stands here for the second time, after line %d; remove one of them", k.Value, f.line)
		}
	}
}

// merged are the sections behind a merge key (<<), one or a list.
func (r *reader) merged(v *yaml.Node) []*node {
	n := r.node(v)
	if n.shape == shapeList {
		return n.items
	}
	return []*node{n}
}

// fill adds the fields that are not there yet.
func (n *node) fill(from []*node) {
	for _, other := range from {
		for _, f := range other.fields {
			if n.get(f.name) == nil {
				n.fields = append(n.fields, f)
			}
		}
	}
}
