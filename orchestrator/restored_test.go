package orchestrator

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

// backUp copies all that the town's store has; the locks stay whose they are when it is put back.
func (w *town) backUp() (restore func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	documents, terms := maps.Clone(w.documents), maps.Clone(w.terms)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.documents, w.terms = documents, terms
		w.era++
	}
}

func (w *town) stored(t *testing.T, cluster string) (r record, l lineage) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := recordOf(DocumentOf(recordKey(cluster), w.documents[recordKey(cluster)]), cluster, w.ruleset)
	if err != nil {
		t.Fatal(err)
	}
	if l, err = lineageOf(DocumentOf(lineageKey(cluster), w.documents[lineageKey(cluster)]), cluster); err != nil {
		t.Fatal(err)
	}
	return r, l
}

func (w *town) counted() (writes, reads int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes, w.reads
}

func TestWhatAStoreHasForgottenWhoseLockIsStillOursIsPutOnRecordAgain(t *testing.T) {
	inTown(t, 2, func(t *testing.T, w *town) {
		e := w.join("one")
		pass(10 * time.Second)
		restore := w.backUp()
		name := w.names[0]
		if err := e.SetMaintenance(t.Context(), w.names[0], "C", true, Order{By: "ada", Reason: "a new disk"}); err != nil {
			t.Fatal(err)
		}
		before, lineageBefore := w.stored(t, name)
		term := w.terms[name]
		restore()
		if now, _ := w.stored(t, name); reflect.DeepEqual(now.Maintenance, before.Maintenance) {
			t.Fatal("the backup has what was saved since")
		}
		pass(3 * time.Second)
		now, lineageNow := w.stored(t, name)
		if now.Maintenance["C"].By != "ada" || !reflect.DeepEqual(lineageNow, lineageBefore) || w.terms[name] <= term {
			t.Errorf("on record: %+v, term %d after %d", now, w.terms[name], term)
		}
		writes, reads := w.counted()
		pass(time.Minute)
		if more, again := w.counted(); more != writes || again != reads {
			t.Errorf("a minute later: %d writes and %d reads more", more-writes, again-reads)
		}
		e.stop()
		said := func(ev Event) bool { return strings.Contains(ev.Text, "gone back to an older state") }
		if n := len(slices.DeleteFunc(e.Events().Recent(), func(ev Event) bool { return !said(ev) })); n != 1 {
			t.Errorf("it was told %d times", n)
		}
	})
}

func TestAStoreThatHasWhatItShouldHaveIsReadOnceAndNotWrittenTo(t *testing.T) {
	inTown(t, 3, func(t *testing.T, w *town) {
		e := w.join("one")
		pass(10 * time.Second)
		writes, reads := w.counted()
		w.change(func() { w.era++ })
		pass(time.Minute)
		if more, again := w.counted(); more != writes || again-reads != 2*3 {
			t.Errorf("%d writes and %d reads", more-writes, again-reads)
		}
		e.stop()
	})
}

// TestAWriteWhoseAnswerWasLostIsNoSignOfAnOlderState whether it was carried out or not.
func TestAWriteWhoseAnswerWasLostIsNoSignOfAnOlderState(t *testing.T) {
	e := entries{}
	e.written(DocumentOf("k", []byte("1")))
	e.trying(DocumentOf("k", []byte("2")))
	for _, text := range []string{"1", "2"} {
		if !e["k"].explains(DocumentOf("k", []byte(text))) {
			t.Errorf("%s is not explained", text)
		}
	}
	for _, text := range []string{"", "0", "3"} {
		if e["k"].explains(DocumentOf("k", []byte(text))) {
			t.Errorf("%q is explained", text)
		}
	}
	if e.written(DocumentOf("k", []byte("2"))); e["k"].explains(DocumentOf("k", []byte("1"))) {
		t.Error("what was there before the last write is explained")
	}
}

func TestAStoreThatCannotBeReadWhereItMayHaveGoneBackIsAskedAgain(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		e := w.join("one")
		pass(10 * time.Second)
		restore := w.backUp()
		if err := e.SetMaintenance(t.Context(), w.names[0], "C", true, Order{By: "ada", Reason: "a new disk"}); err != nil {
			t.Fatal(err)
		}
		e.man.deaf(true)
		restore()
		pass(5 * time.Second)
		if r, _ := w.stored(t, w.names[0]); len(r.Maintenance) > 0 {
			t.Fatal("it was put on record unread")
		}
		e.man.deaf(false)
		pass(3 * time.Second)
		if r, _ := w.stored(t, w.names[0]); !slices.Contains(slices.Collect(maps.Keys(r.Maintenance)), topology.Address("C")) {
			t.Errorf("on record: %+v", r)
		}
		e.stop()
	})
}
