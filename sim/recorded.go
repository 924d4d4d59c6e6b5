package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/topology"
)

// Recorded is a lifetime that broke a promise once, kept so that it never does so again. In a file each is a line:
//
//	SEED [OPTION=VALUE …]  # INVARIANT: what it was
//
// The options say what the seed was run with, where that was not everything at its default: electors=3, length=60s,
// faults=crash,freeze, only=3,7, cascade=yes, rules=yes and, for a cluster that was not drawn, servers=5, policy=zones, acks=2, zones=2. Blank
// lines and lines that begin with # are for people.
type Recorded struct {
	Line      int
	Seed      uint64
	Options   Options
	Invariant Invariant
	Text      string
}

// ReadRecorded reads a file of recorded lifetimes. An error names the line.
func ReadRecorded(from io.Reader) ([]Recorded, error) {
	var all []Recorded
	lines, n := bufio.NewScanner(from), 0
	for lines.Scan() {
		n++
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		r, err := parseRecorded(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		r.Line = n
		all = append(all, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("after line %d: %w", n, err)
	}
	return all, nil
}

func parseRecorded(text string) (r Recorded, err error) {
	run, story, _ := strings.Cut(text, "#")
	words := strings.Fields(run)
	if len(words) == 0 {
		return r, fmt.Errorf("a seed is missing")
	}
	if r.Seed, err = strconv.ParseUint(words[0], 10, 64); err != nil {
		return r, fmt.Errorf("%q is no seed; it is a number from 0 to 18446744073709551615", words[0])
	}
	if r.Options, err = parseOptions(words[1:]); err != nil {
		return r, err
	}
	r.Invariant, r.Text, err = parseStory(strings.TrimSpace(story))
	return r, err
}

// parseStory wants both, since a number alone tells a reader nothing.
func parseStory(story string) (Invariant, string, error) {
	end := strings.IndexAny(story, ":,")
	if end < 0 {
		return "", "", fmt.Errorf("it is not said what the seed broke; write # INVARIANT: what it was")
	}
	name, text := Invariant(strings.TrimSpace(story[:end])), strings.TrimSpace(story[end+1:])
	if !slices.Contains(Invariants(), name) {
		return "", "", fmt.Errorf("%q is no invariant; known are %s", name, listed(Invariants()))
	}
	if text == "" {
		return "", "", fmt.Errorf("it is not said how %s was broken; write # %s: what it was", name, name)
	}
	return name, text, nil
}

// wanted collects the options of a line. A cluster is given when any of its words is.
type wanted struct {
	options Options
	given   map[string]bool
	servers int
	policy  topology.Policy
}

func parseOptions(words []string) (Options, error) {
	w := wanted{given: map[string]bool{}, policy: topology.Policy{Kind: topology.PolicySemiSync, Acks: 1}}
	for _, word := range words {
		name, value, found := strings.Cut(word, "=")
		if !found {
			return Options{}, fmt.Errorf("%q is no option; write NAME=VALUE, without blanks", word)
		}
		if w.given[name] {
			return Options{}, fmt.Errorf("%s is given twice", name)
		}
		w.given[name] = true
		if err := w.take(name, value); err != nil {
			return Options{}, err
		}
	}
	if !w.given["servers"] && !w.given["policy"] && !w.given["acks"] && !w.given["zones"] {
		return w.options, nil
	}
	return w.withCluster()
}

func (w *wanted) withCluster() (Options, error) {
	if w.policy.Kind == topology.PolicyNone && !w.given["acks"] {
		w.policy.Acks = 0
	}
	cluster, err := EvenCluster(w.servers, w.policy)
	w.options.Cluster = &cluster
	return w.options, err
}

func (w *wanted) take(name, value string) (err error) {
	switch name {
	case "electors":
		w.options.Electors, err = strconv.Atoi(value)
	case "cascade":
		w.options.Cascade = value == "yes"
		if !w.options.Cascade {
			err = errors.New("it is yes, or left out")
		}
	case "rules":
		w.options.Rules = value == "yes"
		if !w.options.Rules {
			err = errors.New("it is yes, or left out")
		}
	case "length":
		w.options.Length, err = time.ParseDuration(value)
	case "faults":
		w.options.Kinds, err = ParseKinds(value)
		return err
	case "only":
		w.options.Only, err = ParseNumbers(value)
		return err
	case "servers":
		w.servers, err = strconv.Atoi(value)
	case "policy":
		w.policy.Kind = topology.PolicyKind(value)
	case "acks":
		w.policy.Acks, err = strconv.Atoi(value)
	case "zones":
		w.policy.Zones, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("option %q is unknown; known are electors, length, faults, only, cascade, rules, servers, policy, acks and zones", name)
	}
	if err != nil || w.options.Electors < 0 || w.options.Length < 0 {
		return fmt.Errorf("%s=%s is no value for %s", name, value, name)
	}
	return nil
}

// UnknownKindError is the name of a fault that there is not.
type UnknownKindError struct{ Name string }

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("no fault is called %q; use all, none, or some of %s", e.Name, listed(Kinds()))
}

// ParseKinds reads the names of faults with commas between them. "all" is nil, "none" an empty list.
func ParseKinds(text string) ([]Kind, error) {
	switch text {
	case "all":
		return nil, nil
	case "none":
		return []Kind{}, nil
	}
	var kinds []Kind
	for name := range strings.SplitSeq(text, ",") {
		k := Kind(strings.TrimSpace(name))
		switch k {
		case "":
			return nil, fmt.Errorf("a name is missing in %q; use all, none, or names with commas between them", text)
		case "all", "none":
			return nil, fmt.Errorf("%q says it already; leave out either %s or the others", k, k)
		}
		if !slices.Contains(Kinds(), k) {
			return nil, &UnknownKindError{string(k)}
		}
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds, nil
}

// ParseNumbers reads the numbers of faults with commas between them. "none" is an empty list.
func ParseNumbers(text string) ([]int, error) {
	numbers := []int{}
	if text == "none" {
		return numbers, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of a fault; a report shows them as #3, write 3,7 or none", word)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// CheckOnly refuses numbers of faults that the seed does not draw: a lifetime without them shows nothing.
func CheckOnly(seed uint64, o Options) error {
	drawn := Drawn(seed, o)
	for _, n := range o.Only {
		switch known := slices.ContainsFunc(drawn, func(f Fault) bool { return f.Number == n }); {
		case known:
		case len(drawn) == 0:
			return fmt.Errorf("there is no fault #%d: with these options seed %d draws none", n, seed)
		default:
			return fmt.Errorf("there is no fault #%d: with these options seed %d draws #0 to #%d", n, seed, len(drawn)-1)
		}
	}
	return nil
}

func listed[T ~string](words []T) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}
