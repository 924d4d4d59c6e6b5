package orchestrator

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/goccy/go-json"
)

// Document is one stored value. One that this program writes becomes text when somebody first asks for that: most are
// replaced before anybody reads them, and only a store that hands them on to other processes has to ask each time. So
// what is written must be made of values that nobody changes later, which those of the loop are.
type Document struct {
	Key  string
	text *text // nil when there is nothing
}

// text is JSON, or what will be.
type text struct {
	once  sync.Once
	value any // nil once it is text
	json  []byte
	err   error
}

// DocumentOf is a document as it was read. Nobody changes its text, so nobody copies it.
func DocumentOf(key string, json []byte) Document {
	return Document{Key: key, text: &text{json: json}}
}

// written is a document that holds a value, as it is now.
func written(key string, value any) Document {
	return Document{Key: key, text: &text{value: value}}
}

// Text is what is stored; whoever gets it does not change it. The error is that of a value that has no text.
func (d Document) Text() ([]byte, error) {
	if d.text == nil {
		return nil, nil
	}
	d.text.once.Do(d.text.make)
	if d.text.err != nil {
		return nil, fmt.Errorf("encode stored document %s: %w", d.Key, d.text.err)
	}
	return d.text.json, nil
}

func (t *text) make() {
	if t.value != nil {
		t.json, t.err = json.Marshal(t.value)
		t.value = nil
	}
}

// Same tells whether two documents say the same.
func (d Document) Same(e Document) bool {
	if d.text == e.text {
		return true
	}
	mine, err := d.Text()
	others, err2 := e.Text()
	return err == nil && err2 == nil && bytes.Equal(mine, others)
}

func (d Document) empty() bool {
	t, err := d.Text()
	return err == nil && len(t) == 0
}

// errNewer says that a document was written by a later release.
var errNewer = errors.New("run the newer release")

// decode reads a stored document into value, of which version is a part.
func decode(d Document, value any, version *int) error {
	text, err := d.Text()
	if err != nil {
		return err
	}
	if err = json.Unmarshal(text, value); err != nil { // a newer document may not even fit: then its version is the better answer
		var head struct {
			Version int `json:"version"`
		}
		if json.Unmarshal(text, &head) == nil {
			*version = head.Version
		}
	}
	if *version > recordVersion {
		return fmt.Errorf("stored document %s has version %d, this program knows %d: %w", d.Key, *version, recordVersion, errNewer)
	}
	if err != nil {
		return fmt.Errorf("read stored document %s: %w", d.Key, err)
	}
	return nil
}
