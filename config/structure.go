package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check goes over a configuration and gathers what is wrong with it.
type check struct {
	source   string
	root     *node
	schema   *key
	at       map[string]*node // where each given key stands
	spoiled  map[string]bool  // keys whose value could not be used; rules about them would only confuse
	wrong    Errors
	warnings []Problem
}

// problem makes one for a key, at its own place or else at the nearest section around it.
func (c *check) problem(path, format string, args ...any) Problem {
	p := Problem{Source: c.source, Key: path, Message: fmt.Sprintf(format, args...)}
	switch n := c.nearest(path); {
	case n == nil:
	case n.variable != "":
		p.Source = n.variable
	default:
		p.Line = n.line
	}
	return p
}

func (c *check) nearest(path string) *node {
	for path != "" {
		if n := c.at[path]; n != nil {
			return n
		}
		path = parent(path)
	}
	return nil
}

// parent is the section or list around a path: clusters[0].name, clusters[0], clusters.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

func (c *check) refuse(path, format string, args ...any) {
	c.wrong = append(c.wrong, c.problem(path, format, args...))
}

// spoil refuses a value that cannot be used at all.
func (c *check) spoil(path, format string, args ...any) {
	c.refuse(path, format, args...)
	c.spoiled[path] = true
}

func (c *check) warn(path, format string, args ...any) {
	c.warnings = append(c.warnings, c.problem(path, format, args...))
}

// sound says that all these keys have usable values, so that a rule about them makes sense.
func (c *check) sound(paths ...string) bool {
	for _, path := range paths {
		for at := path; at != ""; at = parent(at) {
			if c.spoiled[at] {
				return false
			}
		}
	}
	return true
}

// given says that the key stands in the file or the environment.
func (c *check) given(path string) bool { return c.at[path] != nil }

// value turns a node into what the key holds: a map, a list, or a Go value of its type. It is nil for what is missing or
// cannot be used.
func (c *check) value(k *key, n *node, path string) any {
	if n.shape == shapeNothing {
		return nil
	}
	if path != "" {
		c.at[path] = n
	}
	if n.shape == shapeBroken {
		c.spoiled[path] = true
		return nil
	}
	if want := k.shape(); n.shape != want {
		c.spoil(path, "%s is wanted here, not %s%s", want, n.shape, k.example())
		return nil
	}
	switch k.kind {
	case kindSection:
		return c.section(k, n, path)
	case kindList:
		return c.list(k, n, path)
	default:
		return c.scalar(k, n, path)
	}
}

func (k *key) shape() shape {
	switch k.kind {
	case kindSection:
		return shapeSection
	case kindList:
		return shapeList
	default:
		return shapeScalar
	}
}

// example shows how to write a key of which only the shape was wrong.
func (k *key) example() string {
	switch {
	case k.kind == kindSection && len(k.fields) > 0:
		return "; known keys in it: " + strings.Join(k.names(), ", ")
	case k.kind == kindList && k.item.kind == kindSection:
		return "; start each entry with a dash: - " + k.item.fields[0].name + ": …"
	case k.kind == kindList:
		return `; write ["…"]`
	default:
		return ""
	}
}

func (c *check) section(k *key, n *node, path string) any {
	values := map[string]any{}
	for _, f := range n.fields {
		known := k.field(f.name)
		if known == nil {
			c.unknown(k, f, joined(path, f.name))
			continue
		}
		if v := c.value(known, f.value, joined(path, f.name)); v != nil {
			values[f.name] = v
		}
	}
	return values
}

// unknown reports a key that is not known there, with the one that was probably meant. An exact match in another section
// is better evidence than a resemblance, but not than a single wrong letter.
func (c *check) unknown(k *key, f field, path string) {
	if c.given(path) {
		return
	}
	c.at[path] = &node{line: f.line, variable: f.value.variable}
	near, ok := Nearest(f.name, k.names())
	homes := c.schema.elsewhere(f.name)
	switch {
	case ok && (distance(bare(f.name), bare(near)) <= 1 || len(homes) == 0):
		c.refuse(path, "unknown key; the nearest known one is %s", near)
		c.misspelled(joined(parent(path), near))
	case len(homes) > 0:
		c.refuse(path, "unknown key here; %s belongs into %s", f.name, strings.Join(homes, " or "))
	default:
		c.refuse(path, "unknown key; known here: %s", strings.Join(k.names(), ", "))
	}
}

// misspelled keeps rules from missing a key that is there under a wrong name.
func (c *check) misspelled(path string) {
	if !c.given(path) {
		c.spoiled[path] = true
	}
}

func (c *check) list(k *key, n *node, path string) any {
	values := []any{}
	for i, item := range n.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		v := c.value(k.item, item, at)
		if v == nil && c.sound(at) {
			c.at[at] = item
			c.spoil(at, "an empty entry; fill it or remove it")
		}
		if v == nil {
			v = k.item.blank() // keeps the numbers of the entries that follow
		}
		values = append(values, v)
	}
	return values
}

func (k *key) blank() any {
	if k.kind == kindSection {
		return map[string]any{}
	}
	return ""
}

func (c *check) scalar(k *key, n *node, path string) any {
	switch k.kind {
	case kindSecret:
		return Secret{n.text}
	case kindBool:
		return c.boolean(n, path)
	case kindInt:
		return c.integer(n, path)
	case kindFloat:
		return c.number(n, path)
	case kindDuration:
		return c.duration(n, path)
	default:
		return c.word(k, n, path)
	}
}

func (c *check) boolean(n *node, path string) any {
	switch strings.ToLower(n.text) {
	case "true":
		return true
	case "false":
		return false
	}
	c.spoil(path, "%q is neither true nor false", n.text)
	return nil
}

func (c *check) integer(n *node, path string) any {
	v, err := strconv.Atoi(n.text)
	if err != nil {
		c.spoil(path, "%q is not a whole number", n.text)
		return nil
	}
	return v
}

func (c *check) number(n *node, path string) any {
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		c.spoil(path, "%q is not a number", n.text)
		return nil
	}
	return v
}

// duration wants a unit: what a bare number means differs from program to program, and a wrong guess would be a
// thousand times too long or too short.
func (c *check) duration(n *node, path string) any {
	if v, err := strconv.ParseFloat(n.text, 64); err == nil && v != 0 {
		c.spoil(path, "%s has no unit; write %sms, %ss or %sm", n.text, n.text, n.text, n.text)
		return nil
	}
	v, err := time.ParseDuration(n.text)
	switch {
	case err != nil && strings.HasSuffix(n.text, "d"):
		c.spoil(path, "%q is not a duration; days are written in hours, such as 24h", n.text)
	case err != nil:
		c.spoil(path, "%q is not a duration; write it like 250ms, 2s, 5m or 1h30m", n.text)
	case v <= 0:
		c.spoil(path, "%s is too short; it has to be longer than 0", n.text)
	default:
		return v
	}
	return nil
}

func (c *check) word(k *key, n *node, path string) any {
	if len(k.oneOf) == 0 || slices.Contains(k.oneOf, n.text) {
		return n.text
	}
	known := strings.Join(k.oneOf, ", ")
	if near, ok := Nearest(n.text, k.oneOf); ok {
		c.spoil(path, "%q is not known; the nearest is %s (known: %s)", n.text, near, known)
	} else {
		c.spoil(path, "%q is not known; use one of %s", n.text, known)
	}
	return nil
}
