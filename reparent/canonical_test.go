package reparent

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// hashedOf is what a reader of the file hashes.
func hashedOf(t *rapid.T, value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parsed(text)
	if err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return string(sorted)
}

// words are texts, some of which have to be quoted, and some keys of which would be in another order then.
var words = rapid.StringOfN(rapid.RuneFrom([]rune("abA\"\\<{}[],:é\n\u2028")), 0, 4, -1)

// fill puts anything into a value.
func fill(t *rapid.T, v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *time.Time:
		*to = rapid.SampledFrom([]time.Time{{}, time.Unix(1, 2).UTC(), time.Unix(99, 0).In(time.FixedZone("", 5400))}).Draw(t, "time")
		return
	case *gtid.Set:
		*to = rapid.SampledFrom([]gtid.Set{{}, gtid.Range(gtid.Source{Tag: "x"}, 3, 9), gtid.Of(gtid.GTID{Number: 4})}).Draw(t, "set")
		return
	case *topology.ServerSet:
		for _, a := range rapid.SliceOfN(words, 0, 3).Draw(t, "servers") {
			*to = to.With(topology.Address(a))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rapid.Int8().Draw(t, "int")))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rapid.Uint8Range(0, 3).Draw(t, "uint")))
	case reflect.String:
		v.SetString(words.Draw(t, "text"))
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(t, v.Field(i))
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem())
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 2).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.Map:
		if n := rapid.IntRange(-1, 3).Draw(t, "entries"); n >= 0 {
			v.Set(reflect.MakeMap(v.Type()))
			for range n {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				fill(t, key)
				fill(t, value)
				v.SetMapIndex(key, value)
			}
		}
	default:
		t.Fatalf("what goes into %s?", v.Type())
	}
}

// embedded and crooked have what operations may get one day.
type embedded struct {
	Z, A int
	M    map[string]int `json:"m,omitempty"`
}

type crooked struct {
	Later string `json:"zz"`
	embedded
	Open    *embedded            `json:"<open>,omitempty"`
	Hidden  int                  `json:"-"`
	Sets    []topology.ServerSet `json:"b,omitempty"`
	Settled topology.SemiSync    `json:"a,omitzero"`
	kept    int
}

func TestWhatIsSealedIsWhatAReaderOfTheFileHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var op Operation
		fill(t, reflect.ValueOf(&op).Elem())
		if got, able := canonical(nil, &op, operationForm); !able || string(got) != hashedOf(t, op) {
			t.Fatalf("%v\n%s\n%s", able, got, hashedOf(t, op))
		}
		c := crooked{kept: 1}
		fill(t, reflect.ValueOf(&c).Elem())
		if got, able := canonical(nil, &c, formOf(reflect.TypeFor[crooked]())); !able || string(got) != hashedOf(t, c) {
			t.Fatalf("%v\n%s\n%s", able, got, hashedOf(t, c))
		}
	})
}

func TestWhatHasNoFormIsLeftToTheLongWay(t *testing.T) {
	long := []form{
		formOf(reflect.TypeFor[struct{ F float64 }]()), formOf(reflect.TypeFor[struct{ F any }]()), formOf(reflect.TypeFor[struct{ F []byte }]()),
		formOf(reflect.TypeFor[struct{ F json.RawMessage }]()), formOf(reflect.TypeFor[struct {
			F int `json:",string"`
		}]()), formOf(reflect.TypeFor[struct{ F map[int]int }]()), formOf(reflect.TypeFor[struct {
			embedded
			A int
		}]()),
	}
	values := []any{struct{ F float64 }{}, struct{ F any }{}, struct{ F []byte }{}, struct{ F json.RawMessage }{}, struct {
		F int `json:",string"`
	}{}, struct{ F map[int]int }{map[int]int{1: 1}}, struct {
		embedded
		A int
	}{}}
	for i, as := range long {
		if _, able := as(nil, reflect.ValueOf(values[i])); able {
			t.Errorf("%T has a form", values[i])
		}
	}
	if _, able := quoted(nil, "\xff"); able {
		t.Error("what is no text is quoted; its reader would take it for something else")
	}
	op := Operation{Cause: "\xff"}
	sealed, err := op.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(op)
	tree, _ := parsed(text)
	if want, _ := digestOf(tree); sealed.Digest != want {
		t.Errorf("%s instead of %s", sealed.Digest, want)
	}
}
