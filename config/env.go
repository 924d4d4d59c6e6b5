package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// prefix starts the name of every environment variable that is read here.
const prefix = "PRIMACY_"

// readElsewhere: variables with the prefix that the command line and the tests read.
func readElsewhere(name string) bool {
	return slices.Contains([]string{"PRIMACY_API", "PRIMACY_TOKEN", "PRIMACY_MYSQL_IMAGE"}, name)
}

// variable is one entry of the environment.
type variable struct{ name, value string }

// variables picks the ones with the prefix, in order of their names. An empty one counts as not set, for that is what
// container tools make of a variable that they pass on and do not have.
func variables(env []string) []variable {
	var found []variable
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && value != "" && !readElsewhere(name) {
			found = append(found, variable{name, value})
		}
	}
	slices.SortFunc(found, func(a, b variable) int {
		return slices.CompareFunc(strings.Split(a.name, "_"), strings.Split(b.name, "_"), byNumber)
	})
	return found
}

// byNumber puts entry 2 before entry 10, since entries are made in order.
func byNumber(a, b string) int {
	i, errA := strconv.Atoi(a)
	j, errB := strconv.Atoi(b)
	if errA == nil && errB == nil {
		return cmp.Compare(i, j)
	}
	return strings.Compare(a, b)
}

// overlay puts the environment on top of the file's tree.
func overlay(root *node, k *key, env []string) (wrong, warnings []Problem) {
	for _, v := range variables(env) {
		steps, ok := k.steps(strings.TrimPrefix(v.name, prefix))
		if !ok {
			warnings = append(warnings, v.unknown(k)...)
			continue
		}
		wrong = append(wrong, v.put(root, k, steps)...)
	}
	return wrong, warnings
}

// unknown warns of a variable that is nearly one of ours. Others are left alone: Kubernetes sets PRIMACY_PORT and the
// like in every pod that has a service named primacy beside it.
func (v variable) unknown(k *key) []Problem {
	var names []string
	k.each(func(at *key) {
		if at.leaf() && !strings.Contains(at.path, "[]") {
			names = append(names, variableName(at.path))
		}
	})
	near, ok := Nearest(v.name, names)
	if !ok || distance(v.name, near) > 2 {
		return nil
	}
	return []Problem{{Source: v.name, Message: "this variable is not known and was ignored; the nearest known one is " + near}}
}

// variableName is the environment variable for a path without list items.
func variableName(path string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// step is one turn on the way from the root to a key: into a field, or to a list's item.
type step struct {
	field string
	index int
}

// steps reads CLUSTERS_0_SERVERS_1_ADDRESS. Since keys contain the separator themselves, each field that fits is tried.
func (k *key) steps(name string) ([]step, bool) {
	if name == "" {
		return nil, true
	}
	if k.kind == kindList {
		number, rest, _ := strings.Cut(name, "_")
		index, err := strconv.Atoi(number)
		if err != nil || index < 0 {
			return nil, false
		}
		further, ok := k.item.steps(rest)
		return append([]step{{index: index}}, further...), ok
	}
	for _, f := range k.fields {
		rest, fits := strings.CutPrefix(name+"_", strings.ToUpper(f.name)+"_")
		if !fits {
			continue
		}
		if further, ok := f.steps(strings.TrimSuffix(rest, "_")); ok {
			return append([]step{{field: f.name}}, further...), true
		}
	}
	return nil, false
}

// put walks to the place, making what is missing on the way, and sets the value there.
func (v variable) put(at *node, k *key, steps []step) []Problem {
	first, last := steps[0], len(steps) == 1
	if k.kind == kindList {
		return v.putItem(at, k, steps)
	}
	at.become(shapeSection)
	k = k.field(first.field)
	if last {
		value, wrong := v.node(k)
		at.set(first.field, value)
		at.dropPartner(first.field)
		return wrong
	}
	if at.get(first.field) == nil {
		at.set(first.field, &node{variable: v.name})
	}
	return v.put(at.get(first.field), k, steps[1:])
}

func (v variable) putItem(at *node, k *key, steps []step) []Problem {
	at.become(shapeList)
	index := steps[0].index
	if index > len(at.items) {
		return []Problem{{Source: v.name, Key: k.path, Message: fmt.Sprintf("it has %s, so the next one is number %d; entries are counted from 0", entriesOf(len(at.items)), len(at.items))}}
	}
	if index == len(at.items) {
		at.items = append(at.items, &node{variable: v.name})
	}
	if len(steps) > 1 {
		return v.put(at.items[index], k.item, steps[1:])
	}
	value, wrong := v.node(k.item)
	at.items[index] = value
	return wrong
}

// become turns a key without a value into an empty section or list. Any other shape is left as it is: it is a mistake of
// the file, which is reported there.
func (n *node) become(s shape) {
	if n.shape == shapeNothing {
		n.shape = s
	}
}

// dropPartner lets PRIMACY_MYSQL_PASSWORD win over a password_file of the file, and the other way round.
func (n *node) dropPartner(name string) {
	partner, isFile := strings.CutSuffix(name, "_file")
	if !isFile {
		partner = name + "_file"
	}
	if p := n.get(partner); p != nil && p.variable == "" {
		n.remove(partner)
	}
}

// node reads the value as the key wants it: a single value as it is, a list with commas or as YAML, a section as YAML.
func (v variable) node(k *key) (*node, []Problem) {
	plain := &node{shape: shapeScalar, text: v.value, variable: v.name}
	switch {
	case k.kind != kindList && k.kind != kindSection:
		return plain, nil
	case k.leaf() && !strings.HasPrefix(strings.TrimSpace(v.value), "["):
		list := &node{shape: shapeList, variable: v.name}
		for item := range strings.SplitSeq(v.value, ",") {
			list.items = append(list.items, &node{shape: shapeScalar, text: strings.TrimSpace(item), variable: v.name})
		}
		return list, nil
	default:
		r := reader{source: v.name, variable: v.name}
		read := r.read([]byte(v.value))
		if read == nil {
			return &node{shape: shapeBroken, variable: v.name}, r.problems
		}
		return read, r.problems
	}
}

func entriesOf(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
