package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake, or one warning.
type Problem struct {
	Source  string // the file, or the environment variable
	Line    int    // 0 when there is none: in an environment variable, or for the file as a whole
	Key     string // such as clusters[0].durability.acks; empty for the file as a whole
	Message string // what is wrong, and what to do
}

func (p Problem) String() string {
	place := p.Source
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.Source, p.Line)
	}
	if p.Key == "" {
		return place + ": " + p.Message
	}
	return place + ": " + p.Key + ": " + p.Message
}

// Errors is all that is wrong with a configuration, in the order of the file.
type Errors []Problem

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, p := range e {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted is by line; what has no line comes last, and the order in which problems were found decides the rest.
func sorted(problems []Problem) []Problem {
	unlined := func(p Problem) int {
		if p.Line == 0 {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(unlined(a)-unlined(b), a.Line-b.Line)
	})
	return problems
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
