package reparent

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
)

// certificate is what a change of a world leaves.
func certificate(t testing.TB, op Operation) (Certificate, []byte) {
	t.Helper()
	op.ID = OperationID(op.Cluster, op.Term)
	sealed, err := op.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(sealed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := CertificateOf(text)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ReadCertificate(file)
	if err != nil {
		t.Fatal(err)
	}
	return c, file
}

// refutedOf are the names of the claims that are refuted.
func refutedOf(all []Claim) (names []string) {
	for _, c := range all {
		if c.Standing == Refuted {
			names = append(names, c.Name)
		}
	}
	return names
}

func replacedPrimary(t *testing.T) Operation {
	t.Helper()
	w := newWorld(1, "A", "B", "C")
	w.write("A")
	w.servers["A"].crash()
	return w.must(t, w.emergency())
}

func TestAConclusionThatDoesNotFollowIsRefutedThoughTheSealIsMadeAnew(t *testing.T) {
	rows := []struct {
		name   string
		change func(*Operation)
		want   string
	}{
		{"another server was the best", func(op *Operation) { op.To = "C" }, "election"},
		{"less was honoured", func(op *Operation) { op.Chosen = op.History.Floor }, "history"},
		{"a server was not frozen", func(op *Operation) { op.Progress["B"] = Progress{Frozen: No, Reading: op.Progress["B"].Reading} }, "revocation"},
		{"a leader was not counted", func(op *Operation) { op.Leaders = nil }, "leaders"},
		{"a leader was content with less", func(op *Operation) { op.Leaders[0].Acks++ }, "leaders"},
		{"more was seen as committed", func(op *Operation) { op.Floor = op.Decision.Marker().Set() }, "nothing_lost"},
		{"somebody else decided", func(op *Operation) { op.Elector = "mallory" }, "decision"},
		{"an earlier decision was another", func(op *Operation) { op.History.Leaderships[0].Elector = "mallory" }, "lineage"},
		{"it was a story", func(op *Operation) { op.Stages[len(op.Stages)-3].Detail = "all is well" }, "account"},
		{"it never ended", func(op *Operation) { op.Phase = PhaseOpening }, "form"},
		{"nothing was established", func(op *Operation) { op.Established = time.Time{} }, "form"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			op := replacedPrimary(t)
			if c, _ := certificate(t, op); !Stands(c.Claims()) {
				t.Fatalf("refuted as it was: %+v", c.Claims())
			}
			op.Leaders, op.Stages, op.History.Leaderships = slices.Clone(op.Leaders), slices.Clone(op.Stages), slices.Clone(op.History.Leaderships)
			row.change(&op)
			c, _ := certificate(t, op)
			if got := refutedOf(c.Claims()); !slices.Contains(got, row.want) || slices.Contains(got, "seal") {
				t.Errorf("refuted is %q, want %q", got, row.want)
			}
		})
	}
}

func TestWhatACandidateShowsLaterIsNotWhatItWasChosenBy(t *testing.T) {
	e, op := fetching(t)
	op, _ = e.run(op)
	if op.State != StateSucceeded {
		t.Fatalf("%s: %+v", op.State, op.Obstacle)
	}
	if p := op.Progress[op.To]; p.Judged == nil || p.Judged == p.Reading {
		t.Fatal("the candidate fetched something, and what it was chosen by is not kept")
	}
	c, _ := certificate(t, op)
	for _, claim := range c.Claims() {
		if claim.Standing == Refuted {
			t.Errorf("%s: %s", claim.Name, claim.Detail)
		}
	}
}

func TestOnlyACertificateIsRead(t *testing.T) {
	_, file := certificate(t, replacedPrimary(t))
	rows := map[string]struct{ text, says string }{
		"nothing":                 {"", "no certificate"},
		"something else":          {`{"format":"x","operation":{}}`, "format"},
		"only the beginning":      {string(file[:len(file)/2]), "no certificate"},
		"something behind it":     {string(file) + "{}", "follows the end"},
		"a key that stands twice": {strings.Replace(string(file), `"term"`, `"to": "C", "term"`, 1), "stands twice"},
		"a tower of brackets":     {strings.Repeat("[", 100) + strings.Repeat("]", 100), "too deeply"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			_, err := ReadCertificate([]byte(row.text))
			if !errors.Is(err, ErrNoCertificate) || !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestLayoutIsNoAlterationAndAnUnknownFieldIsNamed(t *testing.T) {
	_, file := certificate(t, replacedPrimary(t))
	var tree map[string]any
	d := json.NewDecoder(strings.NewReader(string(file)))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	sorted, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := ReadCertificate(sorted); err != nil || !Stands(c.Claims()) {
		t.Errorf("the same on one line and in another order: %v, %+v", err, c.Claims())
	}
	for _, added := range []string{`"later": {"x": 1},`, `"To": "C",`} {
		strange := strings.Replace(string(file), `"id"`, added+`"id"`, 1)
		c, err := ReadCertificate([]byte(strange))
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.Split(added, `"`)[1]; !strings.Contains(c.strange, name) || !slices.Contains(refutedOf(c.Claims()), "seal") {
			t.Errorf("%s: strange is %q, refuted %q", added, c.strange, refutedOf(c.Claims()))
		}
	}
}

func TestServersJournalsSpeakAgainstWhoForgesTheWholeChain(t *testing.T) {
	c, _ := certificate(t, replacedPrimary(t))
	d := *c.Operation.Decision
	other := d
	other.Elector = "mallory"
	other = other.Sealed()
	earlier := c.Operation.History.Leaderships[0].Decision
	rows := []struct {
		name     string
		journals Journals
		want     Standing
	}{
		{"nobody was asked", Journals{}, Untold},
		{"those who were there hold it, and one is behind", Journals{"A": {earlier}, "B": {d, earlier}, "C": {d}}, Holds},
		{"nobody holds it", Journals{"A": {earlier}, "B": {earlier}, "C": nil}, Refuted},
		{"one holds another decision of that term", Journals{"B": {d}, "C": {other}}, Refuted},
		{"the row was altered, and not its hash", Journals{"B": {func() topology.Decision { x := d; x.Primary = "C"; return x }()}}, Refuted},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := c.Against(row.journals); got.Standing != row.want {
				t.Errorf("%s: %s", got.Standing, got.Detail)
			}
		})
	}
}

// FuzzACertificateFromAnywhereDoesNoHarm: whoever examines files gets them from anybody.
func FuzzACertificateFromAnywhereDoesNoHarm(f *testing.F) {
	for _, begin := range []func(*world) Operation{
		(*world).emergency, func(w *world) Operation { return w.planned("") },
		func(w *world) Operation { w.servers["A"].crash(); w.servers["B"].crash(); return w.emergency() },
		func(w *world) Operation { return Adoption(clearance(true), w.intent(), "A", w.now()) },
	} {
		w := newWorld(1, "A", "B", "C")
		op, _ := (&elector{world: w, name: "elector-1"}).run(begin(w))
		_, text := certificate(f, op)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ReadCertificate(text)
		if err != nil {
			return
		}
		for _, claim := range slices.Concat(c.Claims(), Chain([]Certificate{c, c}), []Claim{c.Against(Journals{"A": nil})}) {
			if claim.Name == "" && c.Operation.ID != "" || claim.Standing == "" {
				t.Errorf("%+v", claim)
			}
		}
	})
}
