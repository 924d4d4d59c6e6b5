package reparent

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/primacydb/primacy/gtid"
)

// canonical is the form of a value whose bytes are under a digest: JSON as json.Marshal writes it, the keys of each object in
// order. It answers what digestOf would hash, without making a text and a tree of it first; false where a value is of a kind
// that digestOf has to be asked for. The value is pointed to, and the text appended.
func canonical[T any](out []byte, value *T, as form) ([]byte, bool) {
	return as(out, reflect.ValueOf(value).Elem())
}

// canonicalRoom is memory for what most operations come to.
const canonicalRoom = 24 << 10

// form appends a value of one type; false when it cannot.
type form func(out []byte, v reflect.Value) ([]byte, bool)

// operationForm is worked out once: it says in which order the fields of each type stand.
var operationForm = formOf(reflect.TypeFor[Operation]())

// formOf is how values of a type are written.
func formOf(t reflect.Type) form {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return plainForm[time.Time]
	case t == reflect.TypeFor[gtid.Set]():
		return plainForm[gtid.Set]
	case t == reflect.TypeFor[gtid.UUID]():
		return plainForm[gtid.UUID]
	case t.Implements(reflect.TypeFor[json.Marshaler]()), reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]()):
		return noForm
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && t.Kind() != reflect.Pointer:
		return wordsForm
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return noForm
	}
	switch t.Kind() {
	case reflect.Bool:
		return func(out []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendBool(out, v.Bool()), true }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(out []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendInt(out, v.Int(), 10), true }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return func(out []byte, v reflect.Value) ([]byte, bool) { return strconv.AppendUint(out, v.Uint(), 10), true }
	case reflect.String:
		return func(out []byte, v reflect.Value) ([]byte, bool) { return quoted(out, v.String()) }
	case reflect.Pointer:
		return pointerForm(t)
	case reflect.Slice:
		return sliceForm(t)
	case reflect.Map:
		return mapForm(t)
	case reflect.Struct:
		return structForm(t)
	default:
		return noForm
	}
}

func noForm(out []byte, _ reflect.Value) ([]byte, bool) { return out, false }

// pointee is what a value is when it can be pointed to, so that asking it something copies nothing.
func pointee[T any](v reflect.Value) T {
	if v.CanAddr() {
		if p, is := v.Addr().Interface().(*T); is {
			return *p
		}
	}
	value, _ := v.Interface().(T)
	return value
}

// plainForm is that of what appends a text in which nothing has to be quoted.
func plainForm[T encoding.TextAppender](out []byte, v reflect.Value) ([]byte, bool) {
	out, err := pointee[T](v).AppendText(append(out, '"'))
	return append(out, '"'), err == nil
}

// wordsForm is that of what says itself what its text is.
func wordsForm(out []byte, v reflect.Value) ([]byte, bool) {
	m, is := v.Interface().(encoding.TextMarshaler)
	if !is {
		return out, false
	}
	text, err := m.MarshalText()
	if err != nil {
		return out, false
	}
	return quoted(out, string(text))
}

// plainly are the bytes that stand for themselves in a string of JSON.
var plainly = func() (table [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		table[c] = !strings.ContainsRune(`"\<>&`, rune(c))
	}
	return table
}()

// quoted appends a string of JSON. One that is no text would be another one for whoever reads it.
func quoted(out []byte, s string) ([]byte, bool) {
	for i := range len(s) {
		if !plainly[s[i]] {
			text, err := json.Marshal(s)
			return append(out, text...), err == nil && utf8.ValidString(s)
		}
	}
	return append(append(append(out, '"'), s...), '"'), true
}

func pointerForm(t reflect.Type) form {
	to := formOf(t.Elem())
	return func(out []byte, v reflect.Value) ([]byte, bool) {
		if v.IsNil() {
			return append(out, "null"...), true
		}
		return to(out, v.Elem())
	}
}

func sliceForm(t reflect.Type) form {
	if t.Elem().Kind() == reflect.Uint8 {
		return noForm
	}
	each := formOf(t.Elem())
	return func(out []byte, v reflect.Value) ([]byte, bool) {
		if v.IsNil() {
			return append(out, "null"...), true
		}
		out, able := append(out, '['), true
		for i := 0; i < v.Len() && able; i++ {
			if i > 0 {
				out = append(out, ',')
			}
			out, able = each(out, v.Index(i))
		}
		return append(out, ']'), able
	}
}

// mapForm is that of objects whose keys are values. A key that has to be quoted is in order by what it stands for.
func mapForm(t reflect.Type) form {
	if t.Key().Kind() != reflect.String {
		return noForm
	}
	each := formOf(t.Elem())
	return func(out []byte, v reflect.Value) ([]byte, bool) {
		if v.IsNil() {
			return append(out, "null"...), true
		}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		value := reflect.New(t.Elem()).Elem()
		out = append(out, '{')
		var able bool
		for i, key := range keys {
			if i > 0 {
				out = append(out, ',')
			}
			if out, able = quoted(out, key.String()); !able {
				return out, false
			}
			value.Set(v.MapIndex(key))
			if out, able = each(append(out, ':'), value); !able {
				return out, false
			}
		}
		return append(out, '}'), true
	}
}

// field is one of a struct's, or of one that is embedded in it.
type field struct {
	name  string
	key   string // as it stands in the text, with what is around it
	index []int
	left  func(reflect.Value) bool // out, when its value says nothing
	as    form
}

func structForm(t reflect.Type) form {
	all, plain := fieldsOf(t, nil)
	slices.SortFunc(all, func(a, b field) int { return strings.Compare(a.name, b.name) })
	for i := range all {
		plain = plain && (i == 0 || all[i-1].name != all[i].name)
	}
	if !plain {
		return noForm
	}
	return func(out []byte, v reflect.Value) ([]byte, bool) {
		out = append(out, '{')
		begin := len(out)
		var able bool
		for i := range all {
			f := &all[i]
			value := v.Field(f.index[0])
			for _, deeper := range f.index[1:] {
				value = value.Field(deeper)
			}
			if f.left != nil && f.left(value) {
				continue
			}
			if len(out) > begin {
				out = append(out, ',')
			}
			if out, able = f.as(append(out, f.key...), value); !able {
				return out, false
			}
		}
		return append(out, '}'), true
	}
}

// fieldsOf are a struct's fields as encoding/json sees them; false when it has some of a kind that this does not know.
func fieldsOf(t reflect.Type, within []int) (all []field, plain bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(within), i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			embedded, plain := fieldsOf(f.Type, index)
			if !plain {
				return nil, false
			}
			all = append(all, embedded...)
			continue
		case f.Anonymous:
			return nil, false
		case !f.IsExported() || name == "-" && options == "":
			continue
		case name == "":
			name = f.Name
		}
		left, known := leftOut(f.Type, options)
		key, able := quoted(nil, name)
		if !known || !able {
			return nil, false
		}
		all = append(all, field{name: name, key: string(key) + ":", index: index, left: left, as: formOf(f.Type)})
	}
	return all, true
}

// leftOut is which values of a field are left out, by its options; nil for none.
func leftOut(t reflect.Type, options string) (left func(reflect.Value) bool, known bool) {
	switch {
	case options == "":
		return nil, true
	case options == "omitempty":
		return isEmpty, true
	case options != "omitzero":
		return nil, false
	case t == reflect.TypeFor[time.Time]():
		return func(v reflect.Value) bool { return pointee[time.Time](v).IsZero() }, true
	case t.Implements(reflect.TypeFor[interface{ IsZero() bool }]()), reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ IsZero() bool }]()):
		return nil, false
	}
	return reflect.Value.IsZero, true
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	default:
		return v.IsZero()
	}
}
