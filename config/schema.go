package config

import (
	"reflect"
	"strings"
	"time"
)

// kind is what stands behind a key.
type kind int

const (
	kindSection kind = iota
	kindList
	kindText
	kindSecret
	kindBool
	kindInt
	kindFloat
	kindDuration
)

// key is one known key, read from the fields of [Config], so that what is accepted cannot differ from what is kept.
type key struct {
	name   string // as in the file; empty for a list's items
	path   string // such as clusters[].servers[].zone
	kind   kind
	oneOf  []string
	fields []*key // of a section, in the order of the struct
	item   *key   // of a list
}

func schema() *key { return keyOf(reflect.TypeFor[Config](), "", "") }

func keyOf(t reflect.Type, name, path string) *key {
	k := &key{name: name, path: path, kind: kindOf(t)}
	switch k.kind {
	case kindSection:
		k.fields = fieldsOf(t, path)
	case kindList:
		k.item = keyOf(t.Elem(), "", path+"[]")
	case kindText, kindSecret, kindBool, kindInt, kindFloat, kindDuration:
	}
	return k
}

func fieldsOf(t reflect.Type, path string) []*key {
	var fields []*key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("mapstructure")
		if name == "-" {
			continue
		}
		k := keyOf(f.Type, name, joined(path, name))
		k.accept(strings.Fields(f.Tag.Get("oneof")))
		fields = append(fields, k)
	}
	return fields
}

// accept takes the words for a value, or for the entries of a list.
func (k *key) accept(words []string) {
	k.oneOf = words
	if k.kind == kindList {
		k.item.oneOf = words
	}
}

func kindOf(t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return kindDuration
	case t == reflect.TypeFor[Secret]():
		return kindSecret
	case t.Kind() == reflect.Struct:
		return kindSection
	case t.Kind() == reflect.Slice:
		return kindList
	case t.Kind() == reflect.Bool:
		return kindBool
	case t.Kind() == reflect.Int:
		return kindInt
	case t.Kind() == reflect.Float64:
		return kindFloat
	default:
		return kindText
	}
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// field finds a key of a section by name.
func (k *key) field(name string) *key {
	for _, f := range k.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (k *key) names() []string {
	names := make([]string, len(k.fields))
	for i, f := range k.fields {
		names[i] = f.name
	}
	return names
}

// each visits this key and all below it.
func (k *key) each(visit func(*key)) {
	visit(k)
	for _, f := range k.fields {
		f.each(visit)
	}
	if k.item != nil {
		k.item.each(visit)
	}
}

// leaf is a key that holds a value: no section, and no list of sections.
func (k *key) leaf() bool {
	return k.kind != kindSection && (k.kind != kindList || k.item.kind != kindSection)
}

// elsewhere lists the sections in which a key of this name is known.
func (k *key) elsewhere(name string) []string {
	var paths []string
	k.each(func(at *key) {
		if at.kind == kindSection && at.path != "" && at.field(name) != nil {
			paths = append(paths, at.path)
		}
	})
	return paths
}
