package reparent

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// anything is a value of JSON as deep as depth, with keys and texts that have to be quoted.
func anything(depth int) *rapid.Generator[any] {
	text := rapid.StringOfN(rapid.RuneFrom([]rune("ab\"\\<{}[],:é\n")), 0, 4, -1)
	leaves := []*rapid.Generator[any]{
		rapid.Map(text, func(s string) any { return s }), rapid.Map(rapid.Int(), func(n int) any { return n }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }), rapid.Just[any](nil), rapid.Map(rapid.Float64Range(-9, 9), func(f float64) any { return f }),
	}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Map(rapid.SliceOfN(anything(depth-1), 0, 4), func(all []any) any { return all }),
			rapid.Map(rapid.SliceOfNDistinct(text, 0, 5, rapid.ID[string]), func(keys []string) any { return shuffled{keys} }),
			rapid.Map(rapid.SliceOfN(anything(depth-1), 0, 4), func(all []any) any { return struct{ Z, B, A any }{all, len(all), all} }))
	}
	return rapid.OneOf(leaves...)
}

// shuffled is an object whose keys are written in the order in which they stand.
type shuffled struct{ keys []string }

func (s shuffled) MarshalJSON() ([]byte, error) {
	text := []byte("{")
	for i, key := range s.keys {
		k, err := json.Marshal(key)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, k...), `:{"b":1,"a":[]}`...)
	}
	return append(text, '}'), nil
}

func TestWhatIsSealedIsWhatAReaderOfTheFileHashes(t *testing.T) {
	decoded := 0
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(anything(3).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		tree, err := parsed(text)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		got, plain := sortedKeys(text)
		if !plain {
			decoded++
			return
		}
		if string(got) != string(want) {
			t.Fatalf("%s\n%s\n%s", text, got, want)
		}
	})
	if decoded == 0 {
		t.Error("no key had to be decoded: that case was not met")
	}
}
