package orchestrator

import (
	"bytes"
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-json"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// TestStoredDocumentsAreWrittenAndReadAsTheStandardLibraryDoes holds the library that is used for its speed to what the
// one that everybody knows makes of the same documents: with nothing in them, and with something in each field.
func TestStoredDocumentsAreWrittenAndReadAsTheStandardLibraryDoes(t *testing.T) {
	for _, empty := range []any{stored{}, record{}, lineage{}, storedBrake{}} {
		full := reflect.New(reflect.TypeOf(empty))
		filler{}.fill(t, full.Elem())
		for _, document := range []any{empty, full.Elem().Interface()} {
			compareLibraries(t, document)
		}
	}
}

func TestAValueThatHasNoTextIsRefusedByTheNameOfItsDocument(t *testing.T) {
	d := written("clusters/shop/record", func() {})
	for range 2 {
		if text, err := d.Text(); text != nil || err == nil || !strings.Contains(err.Error(), d.Key) {
			t.Errorf("%q %v", text, err)
		}
	}
	if d.Same(written("", nil)) {
		t.Error("it says the same as another")
	}
}

func compareLibraries(t *testing.T, document any) {
	t.Helper()
	want, err := stdjson.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(document)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%T is written (%v)\n%s\nand by the standard library\n%s", document, err, got, want)
	}
	theirs, ours := reflect.New(reflect.TypeOf(document)), reflect.New(reflect.TypeOf(document))
	if err := stdjson.Unmarshal(want, theirs.Interface()); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, ours.Interface()); err != nil || !reflect.DeepEqual(ours.Interface(), theirs.Interface()) {
		t.Errorf("%T is read (%v)\n%+v\nand by the standard library\n%+v", document, err, ours, theirs)
	}
	for n := 0; n < len(want); n += 97 {
		if json.Unmarshal(want[:n], reflect.New(reflect.TypeOf(document)).Interface()) == nil {
			t.Fatalf("%T that ends after %q is read", document, want[:n])
		}
	}
	if n := len(want); n < 2000 && !reflect.ValueOf(document).IsZero() && reflect.TypeOf(document) == reflect.TypeOf(stored{}) {
		t.Errorf("a full operation has %d bytes only: the test fills in too little", n)
	}
}

// filler puts something into everything.
type filler struct{}

func (f filler) fill(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)))
		return
	case gtid.Set:
		set, err := gtid.Parse("5e000001-0000-0000-0000-000000000001:1-5:7,5e000002-0000-0000-0000-000000000001:3")
		if err != nil {
			t.Fatal(err)
		}
		v.Set(reflect.ValueOf(set))
		return
	case topology.ServerSet:
		v.Set(reflect.ValueOf(topology.Servers("a:3306", "b:3306")))
		return
	}
	f.fillKind(t, v)
}

func (f filler) fillKind(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.fill(t, v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		f.fill(t, v.Index(0)) // and one that is empty
	case reflect.Array:
		for i := range v.Len() {
			f.fill(t, v.Index(i))
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(t, key)
		f.fill(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.String:
		v.SetString("<\"text\" & \u2028 ü\\>\n")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(0.1)
	default:
		f.fillNumber(t, v)
	}
}

func (filler) fillNumber(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.CanInt():
		v.SetInt(7)
	case v.CanUint():
		v.SetUint(7)
	default:
		t.Fatalf("no idea what to put into a %s", v.Type())
	}
}
