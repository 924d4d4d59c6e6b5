package failpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

func TestEveryPointIsReadAsItIsWritten(t *testing.T) {
	for _, kind := range []reparent.Kind{reparent.KindPlanned, reparent.KindEmergency, reparent.KindRules} {
		for _, step := range append(Writes(), Phases()...) {
			for _, moment := range []Moment{Before, After} {
				for _, action := range []Action{Kill, Stop, Sleepwalk} {
					p := Point{kind, moment, step, action}
					if read, err := Parse(p.String() + "\n"); err != nil || read != p {
						t.Errorf("%s is read as %s, %v", p, read, err)
					}
				}
			}
		}
	}
}

func TestAPointThatWouldNeverBeReachedIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "write it like",
		"emergency after marking":          "the action",
		"adoption after marking: kill":     "the kind",
		"emergency within marking: kill":   "the moment",
		"emergency after promotion: kill":  "use one of brake",
		"emergency during decision: kill":  "has no middle",
		"emergency after marking: explode": "the action",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// caught sets a trap for a point and says which action the elector met, in order, with what it had done by then.
type caught struct {
	trap *Trap
	file string
	log  []string
}

func setFor(t *testing.T, point string) *caught {
	t.Helper()
	c := &caught{file: filepath.Join(t.TempDir(), "failpoint")}
	c.trap = Set(c.file)
	c.trap.hit = func(a Action) { c.log = append(c.log, string(a)) }
	c.arm(t, point)
	return c
}

func (c *caught) arm(t *testing.T, point string) {
	t.Helper()
	if err := os.WriteFile(c.file, []byte(point), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *caught) wants(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(c.log, want) {
		t.Errorf("%q happened, and %q should have", c.log, want)
	}
	c.log = nil
}

// answering is a fleet that answers two commands, one after the other.
type answering struct {
	orchestrator.Fleet
	c *caught
}

func (a answering) Do(_ context.Context, batch orchestrator.Batch) []reparent.Result {
	results := []reparent.Result{{Outcome: reparent.Unknown}, {Outcome: reparent.Unknown}}
	for i := range results {
		results[i].Outcome = reparent.Yes
		a.c.log = append(a.c.log, "answer")
		batch.Enough(results)
	}
	return results
}

func TestAStepIsLeftBeforeInTheMiddleAndAfterItsCommands(t *testing.T) {
	batch := orchestrator.Batch{Kind: reparent.KindPlanned, Phase: reparent.PhaseMarking, Enough: func([]reparent.Result) bool { return false }}
	for moment, want := range map[Moment][]string{
		Before: {"kill", "answer", "answer"},
		During: {"answer", "kill", "answer"},
		After:  {"answer", "answer", "kill"},
	} {
		c := setFor(t, Point{reparent.KindPlanned, moment, "marking", Kill}.String())
		fleet := c.trap.Fleet(answering{c: c})
		fleet.Do(t.Context(), batch)
		c.wants(t, want...)
		fleet.Do(t.Context(), batch)
		c.wants(t, "answer", "answer") // once is enough
	}
}

func (a answering) EndTerm(cluster string, term uint32) {
	a.c.log = append(a.c.log, fmt.Sprintf("end of term %d of %s", term, cluster))
}

func TestWhatAFleetOffersBesidesIsThereBehindTheTrap(t *testing.T) {
	c := setFor(t, "planned after marking: kill")
	f, keeps := c.trap.Fleet(answering{c: c}).(interface{ EndTerm(string, uint32) })
	if !keeps {
		t.Fatal("a cluster that is handed over would keep its sessions")
	}
	f.EndTerm("shop", 7)
	c.wants(t, "end of term 7 of shop")
}

func TestOtherStepsOtherKindsAndRepairsPass(t *testing.T) {
	c := setFor(t, "emergency before marking: stop")
	fleet := c.trap.Fleet(answering{c: c})
	for _, b := range []orchestrator.Batch{
		{Kind: reparent.KindEmergency, Phase: reparent.PhaseOpening},
		{Kind: reparent.KindPlanned, Phase: reparent.PhaseMarking},
		{Kind: reparent.KindAdoption, Phase: reparent.PhaseMarking},
		{},
	} {
		b.Enough = func([]reparent.Result) bool { return false }
		fleet.Do(t.Context(), b)
		c.wants(t, "answer", "answer")
	}
}

// writing is a store whose locks note what is written under them.
type writing struct {
	orchestrator.Store
	c    *caught
	fail error
	ctx  context.Context // as long as its locks are held
}

func (w writing) Acquire(context.Context, string) (orchestrator.Lease, error) {
	return &lock{c: w.c, fail: w.fail, ctx: w.ctx}, nil
}

type lock struct {
	orchestrator.Lease
	c    *caught
	fail error
	ctx  context.Context
}

func (l *lock) Held(time.Time) bool { return l.ctx.Err() == nil }

func (l *lock) Context() context.Context { return l.ctx }

func (l *lock) note(what string) error {
	if l.fail == nil {
		l.c.log = append(l.c.log, what)
	}
	return l.fail
}

func (l *lock) Put(_ context.Context, docs ...orchestrator.Document) error {
	return l.note(docs[0].Key)
}

func (l *lock) Update(_ context.Context, key string, _ func([]byte) ([]byte, error)) error {
	return l.note(key)
}

func (l *lock) NextTerm(context.Context, uint64) (uint64, error) { return 7, l.note("term 7") }

// busy is a company whose locks are taken, unless one is free.
type busy struct {
	orchestrator.Company
	free orchestrator.Lease
}

func (b busy) Take(context.Context, string) (orchestrator.Lease, error) {
	return b.free, nil
}

func TestALockThatIsTakenWithoutWaitingIsWatchedToo(t *testing.T) {
	c := setFor(t, "emergency before term: stop")
	if l, err := c.trap.Company(busy{}).Take(t.Context(), "shop"); l != nil || err != nil {
		t.Errorf("a lock that is not free was handed out: %v, %v", l, err)
	}
	l, err := c.trap.Company(busy{free: &lock{c: c}}).Take(t.Context(), "shop")
	if err != nil || l == nil {
		t.Fatalf("the lock was not handed out: %v", err)
	}
	if _, err := l.NextTerm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.wants(t, "stop", "term 7")
	if c.trap.Company(nil) != nil {
		t.Error("an elector without others has company")
	}
}

func lease(t *testing.T, c *caught, fail error) orchestrator.Lease {
	t.Helper()
	l, err := c.trap.Store(writing{c: c, fail: fail}).Acquire(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func document(t *testing.T, key string, value any) orchestrator.Document {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return orchestrator.DocumentOf(key, text)
}

func saved(t *testing.T, edit func(*reparent.Operation)) orchestrator.Document {
	t.Helper()
	op := reparent.Operation{ID: "shop-7", Kind: reparent.KindEmergency, Term: 7, State: reparent.StateRunning}
	if edit != nil {
		edit(&op)
	}
	return document(t, "recoveries/shop/shop-7", map[string]any{"operation": op})
}

func TestEachWriteThatASuccessorDependsOnIsAPoint(t *testing.T) {
	decided := func(op *reparent.Operation) { op.Decision = &topology.Decision{Term: 7} }
	established := func(op *reparent.Operation) { decided(op); op.Established = time.Unix(1, 0) }
	ended := func(op *reparent.Operation) { established(op); op.State = reparent.StateSucceeded }
	counted := map[string]any{"antiflap": antiflap.Cluster{Last: antiflap.Change{Term: 7, Kind: antiflap.Emergency}}}
	writes := []struct {
		step string
		send func(orchestrator.Lease) error
	}{
		{Brake, func(l orchestrator.Lease) error { return l.Update(t.Context(), brakeKey, nil) }},
		{Term, func(l orchestrator.Lease) error { _, err := l.NextTerm(t.Context(), 6); return err }},
		{Intent, func(l orchestrator.Lease) error { return l.Put(t.Context(), saved(t, nil)) }},
		{Decision, func(l orchestrator.Lease) error { return l.Put(t.Context(), saved(t, decided)) }},
		{Established, func(l orchestrator.Lease) error { return l.Put(t.Context(), saved(t, established)) }},
		{Settled, func(l orchestrator.Lease) error { return l.Put(t.Context(), saved(t, ended)) }},
		{Counted, func(l orchestrator.Lease) error {
			return l.Put(t.Context(), document(t, "clusters/shop/record", counted))
		}},
	}
	for at, wanted := range writes {
		for _, moment := range []Moment{Before, After} {
			c := setFor(t, Point{reparent.KindEmergency, moment, wanted.step, Stop}.String())
			l := lease(t, c, nil)
			for i, w := range writes {
				if err := w.send(l); err != nil {
					t.Fatal(err)
				}
				if hit := slices.Index(c.log, "stop"); i == at && hit != map[Moment]int{Before: 0, After: 1}[moment] || i != at && hit >= 0 {
					t.Errorf("%s %s: at the write of %s %q happened", moment, wanted.step, w.step, c.log)
				}
				c.log = nil
			}
		}
	}
}

// TestASleepwalkerDoesNotFindOutThatItsLockIsGone has an elector caught whose lock then goes to somebody else.
func TestASleepwalkerDoesNotFindOutThatItsLockIsGone(t *testing.T) {
	for action, believes := range map[Action]bool{Sleepwalk: true, Stop: false} {
		c := setFor(t, Point{reparent.KindEmergency, Before, Term, action}.String())
		ctx, lose := context.WithCancel(t.Context())
		store := c.trap.Store(writing{c: c, ctx: ctx})
		l, err := store.Acquire(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		c.arm(t, Point{reparent.KindEmergency, Before, Term, action}.String()) // a lock that is gained wakes it up
		under := l.Context()
		if _, err := l.NextTerm(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		lose()
		if l.Held(time.Now()) != believes || (under.Err() == nil) != believes {
			t.Errorf("%s: it believes that it holds the lock: %t, and goes on: %v", action, l.Held(time.Now()), under.Err())
		}
		if _, err := c.trap.Company(busy{free: &lock{c: c}}).Take(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		if l.Held(time.Now()) {
			t.Errorf("%s: with another lock it still believes in the first one", action)
		}
	}
}

func TestThatNewRulesAreOnRecordIsAPoint(t *testing.T) {
	record := func(number uint64) orchestrator.Document {
		return document(t, "clusters/shop/record", map[string]any{"ruleset": topology.Ruleset{Number: number}})
	}
	change := saved(t, func(op *reparent.Operation) { op.Kind, op.Rules = reparent.KindRules, &topology.Ruleset{Number: 4} })
	c := setFor(t, "rules after recorded: stop")
	l := lease(t, c, nil)
	for _, w := range []struct {
		doc  orchestrator.Document
		want []string
	}{
		{record(3), []string{"clusters/shop/record"}},
		{record(4), []string{"clusters/shop/record"}}, // nobody is about to put them in force
		{change, []string{"recoveries/shop/shop-7"}},
		{record(3), []string{"clusters/shop/record"}},
		{record(4), []string{"clusters/shop/record", "stop"}},
	} {
		if err := l.Put(t.Context(), w.doc); err != nil {
			t.Fatal(err)
		}
		c.wants(t, w.want...)
	}
}

func TestAWriteThatFailedHasNoAfter(t *testing.T) {
	c := setFor(t, "emergency after intent: kill")
	if err := lease(t, c, errors.New("the store is away")).Put(t.Context(), saved(t, nil)); err == nil {
		t.Error("the write succeeded")
	}
	c.wants(t)
}

func TestARecordThatCountsAnEarlierChangeIsNoPoint(t *testing.T) {
	c := setFor(t, "emergency after counted: kill")
	earlier := map[string]any{"antiflap": antiflap.Cluster{Last: antiflap.Change{Term: 5, Kind: antiflap.Emergency}}}
	if err := lease(t, c, nil).Put(t.Context(), document(t, "clusters/shop/record", earlier)); err != nil {
		t.Fatal(err)
	}
	c.wants(t, "clusters/shop/record")
}

func TestWithoutAFileNothingIsLookedFor(t *testing.T) {
	c := setFor(t, "planned after term: kill")
	c.trap.file = ""
	if _, err := lease(t, c, nil).NextTerm(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.wants(t, "term 7")
}
