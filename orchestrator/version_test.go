package orchestrator

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestDocumentsOfEarlierReleasesAreReadAndNothingInThemIsLost reads what earlier releases wrote, kept as files with
// something in each field, and expects to find all of it in what this one would write.
func TestDocumentsOfEarlierReleasesAreReadAndNothingInThemIsLost(t *testing.T) {
	for file, again := range map[string]func(Document) (Document, error){
		"record.json": func(d Document) (Document, error) {
			r, err := recordOf(d, "", ruled())
			return r.document(), err
		},
		"lineage.json": func(d Document) (Document, error) {
			l, err := lineageOf(d, "")
			return l.document(), err
		},
		"operation.json": func(d Document) (Document, error) {
			op, err := decodeOperation(d)
			return operationDocument(op), err
		},
		"brake.json":       brakeAgain,
		"brake-first.json": brakeAgain,
	} {
		text, err := os.ReadFile(filepath.Join("testdata", "version-1", file))
		if err != nil {
			t.Fatal(err)
		}
		d, err := again(DocumentOf(file, text))
		written, err2 := d.Text()
		if err := errors.Join(err, err2); err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var before, after any
		if json.Unmarshal(text, &before) != nil || json.Unmarshal(written, &after) != nil {
			t.Fatalf("%s is no JSON", file)
		}
		for _, lost := range missing("", before, after) {
			t.Errorf("%s: %s is lost", file, lost)
		}
	}
}

func brakeAgain(d Document) (Document, error) {
	f, err := decodeBrake(d)
	return brakeDocument(f), err
}

// missing names what stands in one document and not, or otherwise, in another.
func missing(path string, before, after any) []string {
	var all []string
	switch before := before.(type) {
	case map[string]any:
		others, _ := after.(map[string]any)
		for name, value := range before {
			all = append(all, missing(path+"."+name, value, others[name])...)
		}
	case []any:
		others, _ := after.([]any)
		for i := range before {
			if i >= len(others) {
				return append(all, path)
			}
			all = append(all, missing(path, before[i], others[i])...)
		}
	default:
		if !reflect.DeepEqual(before, after) {
			all = []string{path}
		}
	}
	return all
}

func TestADocumentOfALaterReleaseIsRefusedByName(t *testing.T) {
	_, err := decodeBrake(DocumentOf(brakeKey, []byte(`{"version": 2, "changes": 7}`)))
	if err == nil || !strings.Contains(err.Error(), brakeKey) || !strings.Contains(err.Error(), "run the newer release") {
		t.Error(err)
	}
}
