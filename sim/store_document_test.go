package sim

import "testing"

// A document becomes text when it is read, which may be long after it was written: until then nothing may change what it
// is made of. So a life in which each is read at the next call to the store has the same ones as a life in which those
// that nobody asked for are read when all is over.
func TestADocumentSaysWhatItsWriterMeantHoweverLateItIsRead(t *testing.T) {
	for seed := range uint64(12) {
		soon, late := newWorld(seed, Options{}), newWorld(seed, Options{})
		told, read := soon.store.calling, []string(nil)
		soon.store.calling = func(elector, call string) {
			read = soon.store.history.texts(t, read)
			told(elector, call)
		}
		soon.live()
		late.live()
		read = soon.store.history.texts(t, read)
		afterwards := late.store.history.texts(t, nil)
		if len(read) != len(afterwards) || len(read) == 0 {
			t.Fatalf("seed %d: %d documents were written in one life and %d in the same again", seed, len(read), len(afterwards))
		}
		for i := range read {
			if read[i] != afterwards[i] {
				t.Fatalf("seed %d: a document that was written as\n%s\nis read later as\n%s", seed, read[i], afterwards[i])
			}
		}
	}
}

// texts are those of all entries, of which the first ones are known.
func (h *vaultHistory) texts(t *testing.T, known []string) []string {
	for _, e := range h.entries[len(known):] {
		text, err := e.document.Text()
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, e.document.Key+" "+string(text))
	}
	return known
}
