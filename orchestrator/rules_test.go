package orchestrator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/halt"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// obedient servers do what they are told, as far as it shows.
func (w *town) obedient() {
	w.obeys = func(c reparent.Command) reparent.Result {
		for i := range w.servers {
			if o := &w.servers[i]; o.Address == c.Server && c.Verb == reparent.EnableSource {
				o.SemiSync.Acks = c.Acks
			}
		}
		return reparent.Result{Outcome: reparent.Yes}
	}
}

func rulesChanged(s *Settings) { s.RulesChanges = true }

// asks is a wish for other rules with so many acks.
func (w *town) asks(acks int) RulesWish {
	p := w.ruleset.Policy
	p.Acks = acks
	return RulesWish{Cluster: w.names[0], Policy: p, Members: w.ruleset.Members, By: "ada", Reason: "a second copy"}
}

func (w *town) onRecord(t *testing.T) record {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	r, err := recordOf(DocumentOf(recordKey(w.names[0]), w.documents[recordKey(w.names[0])]), w.names[0], topology.Ruleset{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func findingOf(v View, code topology.Code) (topology.Finding, bool) {
	i := slices.IndexFunc(v.Findings, func(f topology.Finding) bool { return f.Code == code })
	if i < 0 {
		return topology.Finding{}, false
	}
	return v.Findings[i], true
}

func TestRulesThatSomebodyAsksForAreInForceAndWhoLeadsStaysAsItWas(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		w.obedient()
		e := w.join("one", rulesChanged)
		defer e.stop()
		pass(10 * time.Second)
		begun, err := e.ChangeRules(context.Background(), w.asks(2))
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		op, err := e.Recovery(context.Background(), begun.Operation.ID)
		if err != nil || op.State != reparent.StateSucceeded || op.Kind != reparent.KindRules {
			t.Fatalf("%s %v %v", op.State, op.Obstacle, err)
		}
		r, v := w.onRecord(t), e.Orchestrator.Clusters()[0]
		if r.Ruleset.Number != 2 || r.Ruleset.Policy.Acks != 2 || v.Ruleset.Policy.Acks != 2 || r.Configured == nil || r.Configured.Policy.Acks != 1 {
			t.Errorf("on record: %+v, configured %+v", r.Ruleset, r.Configured)
		}
		if v.Term != 1 || v.Primary != "A" || len(v.History.Leaderships) != 1 || r.Antiflap.Last.Term != 0 {
			t.Errorf("the leadership was touched: term %d of %s, window %+v", v.Term, v.Primary, r.Antiflap)
		}
		f, found := findingOf(v, topology.RulesetDiffers)
		if !found || f.Severity != topology.SeverityInfo || !strings.Contains(f.Evidence[0].Fact, "semi_sync with 2 acks becomes semi_sync with 1 ack") {
			t.Errorf("that the file says something else is not said: %+v", f)
		}
		three := uint64(3)
		late := w.asks(1)
		late.Number = &three
		if _, err := e.ChangeRules(context.Background(), late); !errors.Is(err, ErrOtherRevision) {
			t.Errorf("meant for other rules: %v", err)
		}
	})
}

func TestRulesAreNotChangedWhileAServerIsStopped(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour))
	d.round(t)
	d.record.Halting = &halt.Halt{ID: "h", Kind: halt.KindRestart, Servers: []topology.Address{"B"}}
	_, err := d.cluster.rule(t.Context(), RulesWish{Cluster: "shop", Policy: d.record.Ruleset.Policy, Members: d.record.Ruleset.Members[:2]}, d.now)
	if blocked, is := errors.AsType[*BlockedError](err); !is || blocked.Obstacle.Code != "halting" {
		t.Errorf("%v", err)
	}
}

// oldRules has A lead under ruleset 5, by a decision that was taken over from journals, while the store says that ruleset 3 is in
// force.
func oldRules(t *testing.T, b *topologytest.Builder) *desk {
	d := deskOf(t, b.Primary("A").EstablishedAgo(time.Hour))
	d.o.settings.RulesChanges = true
	d.record.Ruleset.Number = 3
	d.lineage.History.Leaderships[0].Ruleset = 5
	d.ruleset = d.record.Ruleset
	d.round(t)
	return d
}

func TestNoPrimaryIsReplacedByRulesThatAreOlderThanItsLeadership(t *testing.T) {
	for _, row := range []struct {
		name   string
		number uint64
		wide   bool // rules are numbered
		begun  bool
	}{
		{"older rules", 3, true, false},
		{"the same rules", 5, true, true},
		{"later rules", 6, true, true},
		{"rules that nobody counts", 3, false, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
			d.record.Ruleset.Number, d.o.settings.RulesChanges = row.number, row.wide
			d.servers = topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").Dead("A").Snapshot().Servers
			d.pass(t, 3*time.Second)
			_, found := findingOf(d.view(), topology.RulesOutdated)
			if begun := len(d.sent) > 0; begun != row.begun || found == row.begun || strings.Contains(d.refusal, "older than those") == row.begun {
				t.Errorf("a change was begun: %t; found: %t; refused: %q", begun, found, d.refusal)
			}
		})
	}
}

// The primary waits for two acknowledgements, as rules ask for that the record has forgotten.
func TestNothingIsLoosenedByRulesThatAreOlder(t *testing.T) {
	for _, outdated := range []bool{true, false} {
		d := oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
		d.o.settings.RulesChanges = outdated
		b := topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour)
		d.servers = b.Snapshot().Servers
		d.servers[0].SemiSync.Acks = 2
		d.pass(t, 3*time.Second)
		if told := len(d.sent) > 0; told == outdated {
			t.Errorf("outdated: %t, and it was told %v", outdated, d.sent)
		}
		d = oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
		d.o.settings.RulesChanges = outdated
		d.servers = topologytest.Cluster("A", "B", "C").Acks(1).Restarted("A").ReadOnly("A").Snapshot().Servers
		d.pass(t, 3*time.Second)
		if told := len(d.sent) > 0; told == outdated {
			t.Errorf("outdated: %t, and a restarted primary led to %v", outdated, d.sent)
		}
	}
}

func TestAPlannedChangeWaitsUntilSomebodyHasSaidWhichRulesAreInForce(t *testing.T) {
	for _, outdated := range []bool{true, false} {
		d := oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
		d.o.settings.RulesChanges = outdated
		for _, kind := range []reparent.Kind{reparent.KindPlanned, reparent.KindEmergency} {
			_, err := d.granted(t.Context(), Wish{Cluster: "shop", Kind: kind, By: "ada", DryRun: true}, d.lease, d.now)
			blocked, is := errors.AsType[*BlockedError](err)
			if refused := is && blocked.Obstacle.Code == "rules_outdated"; refused != (outdated && kind == reparent.KindPlanned) {
				t.Errorf("outdated: %t, %s: %v", outdated, kind, err)
			}
		}
	}
}

func TestNobodyIsAdoptedUnderRulesThatAreOlderThanItsLeadership(t *testing.T) {
	for _, outdated := range []bool{true, false} {
		d := oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
		d.lineage.History.Recovered, d.o.settings.RulesChanges = true, outdated
		d.pass(t, 3*time.Second)
		if f, found := findingOf(d.view(), topology.NotAdopted); !found || f.Remedy != topology.RemedyAdopt {
			t.Fatalf("nothing is tested: %+v", d.findings)
		}
		if begun := len(d.sent) > 0; begun == outdated || strings.Contains(d.refusal, "not adopted under rules that are older") != outdated {
			t.Errorf("outdated: %t, told %v, refused: %q", outdated, d.sent, d.refusal)
		}
	}
}

func TestNoServerIsSettledUnderRulesThatAreOlder(t *testing.T) {
	for _, outdated := range []bool{true, false} {
		bench := &deskBench{}
		d := settlingDesk(t, bench, rewindOf("D"))
		d.o.settings.RulesChanges = outdated
		d.lineage.History.Leaderships[0].Ruleset = d.record.Ruleset.Number + 2
		d.pass(t, 3*time.Second)
		if begun := len(bench.steps) > 0; begun == outdated {
			t.Errorf("outdated: %t, done: %v, %+v", outdated, bench.steps, d.lineage.Settling)
		}
	}
}

// A change that somebody asked for while the rules on record were outdated, whose elector died when the primary may have been
// poisoned. The primary had waited for two acknowledgements, as the rules in force ask for.
func TestAChangeLeftUnfinishedUnderOlderRulesIsUndoneAndLoosensNothing(t *testing.T) {
	d := oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.servers = topologytest.Cluster("A", "B", "C").Acks(1).Primary("A").EstablishedAgo(time.Hour).Snapshot().Servers
	d.servers[0].SemiSync.Acks = 2
	d.obeys = true
	d.look(t)
	in := d.wished(Wish{Cluster: "shop", Kind: reparent.KindEmergency, By: "ada", Reason: "by hand"})
	in.ID, in.Term = reparent.OperationID("shop", 2), 2
	op := reparent.Emergency(d.operatorClearance(d.now), in, d.now)
	if !op.Running() {
		t.Fatalf("%+v", op.Obstacle)
	}
	d.sessionTerm, d.lineage.Running = 3, op.ID
	if err := d.saveLineage(t.Context(), operationDocument(op)); err != nil {
		t.Fatal(err)
	}
	d.round(t)
	ended, _, err := d.told(t.Context(), op.ID)
	if err != nil || ended.State != reparent.StateUndone || d.lineage.Running != "" {
		t.Fatalf("%s %v %v", ended.State, ended.Obstacle, err)
	}
	released := slices.ContainsFunc(d.sent, func(c reparent.Command) bool { return c.Verb == reparent.Antidote && c.Server == "A" && c.Acks == 2 })
	if !released {
		t.Errorf("told: %v", d.sent)
	}
	told := len(d.sent)
	d.pass(t, 3*time.Second)
	if len(d.sent) > told || len(d.record.Ruleset.Members) != 3 || d.record.Ruleset.Number != 3 {
		t.Errorf("afterwards: %v, ruleset %d", d.sent[told:], d.record.Ruleset.Number)
	}
}

func TestWhichRulesAreInForceIsSaidBySomebodyWhereTheStoreIsOlder(t *testing.T) {
	call := reparent.Call{Key: "k", Digest: "d"}
	answers := func(d *desk, w RulesWish, acks int) (Answer, error) {
		w.Cluster, w.Policy, w.Members, w.By = "shop", d.record.Ruleset.Policy, d.record.Ruleset.Members, "ada"
		w.Policy.Acks = acks
		return d.cluster.rule(t.Context(), w, d.now)
	}
	asks := func(d *desk, acks int, reason string) error {
		_, err := answers(d, RulesWish{Reason: reason, Call: call}, acks)
		return err
	}
	code := func(err error) string {
		blocked, _ := errors.AsType[*BlockedError](err)
		if blocked == nil {
			return ""
		}
		return blocked.Obstacle.Code
	}
	d := oldRules(t, topologytest.Cluster("A", "B", "C", "D").Acks(1))
	if err := asks(d, 1, ""); !errors.Is(err, ErrBadWish) {
		t.Errorf("without a reason: %v", err)
	}
	if err := asks(d, 2, "I changed them"); code(err) != "rules_outdated" || d.record.Ruleset.Number != 3 {
		t.Errorf("neither on record nor in the file: %v, ruleset %d", err, d.record.Ruleset.Number)
	}
	d.ruleset.Policy.Acks = 2
	d.reconfigure(t.Context())
	if d.record.Ruleset.Number != 3 || d.pending != nil {
		t.Errorf("the file was taken for a change of rules that are not in force: %+v", d.record.Ruleset)
	}
	if a, err := answers(d, RulesWish{DryRun: true}, 2); err != nil || !strings.Contains(a.Vouched, "would be put on record as ruleset 5") || d.record.Ruleset.Number != 3 {
		t.Errorf("a dry run: %+v, %v, ruleset %d", a, err, d.record.Ruleset.Number)
	}
	for range 2 { // whose answer got lost asks once more
		a, err := answers(d, RulesWish{Reason: "I changed them", Call: call}, 2)
		if err != nil || !strings.Contains(a.Vouched, "ruleset 5") || a.Operation.State != reparent.StateSucceeded || d.record.Ruleset.Number != 5 || d.record.Ruleset.Policy.Acks != 2 {
			t.Errorf("those of the file: %+v, %v, ruleset %+v", a, err, d.record.Ruleset)
		}
	}
	if err := asks(d, 2, "again"); err != nil {
		t.Errorf("the same call: %v", err)
	}
	if _, err := answers(d, RulesWish{Reason: "again", Call: reparent.Call{Key: "k", Digest: "other"}}, 1); !errors.Is(err, ErrCallReused) {
		t.Errorf("another call under the same key: %v", err)
	}
	d.round(t)
	if f, found := findingOf(d.view(), topology.RulesOutdated); found {
		t.Errorf("still: %+v", f)
	}
	d = oldRules(t, topologytest.Cluster("A", "B", "C").Acks(1))
	if err := asks(d, 1, "as on record"); err != nil || d.record.Ruleset.Number != 5 || d.record.Ruleset.Policy.Acks != 1 {
		t.Errorf("those on record: %v, ruleset %+v", err, d.record.Ruleset)
	}
}

// TestNobodyVouchesForRulesWithoutTheServerThatLeads: such rules cannot have been in force, and nobody would look at it again.
func TestNobodyVouchesForRulesWithoutTheServerThatLeads(t *testing.T) {
	d := oldRules(t, topologytest.Cluster("A", "B", "C", "D").Acks(1))
	d.ruleset.Members = d.ruleset.Members[1:]
	for _, dry := range []bool{true, false} {
		_, err := d.cluster.rule(t.Context(), RulesWish{Cluster: "shop", Policy: d.ruleset.Policy, Members: d.ruleset.Members, By: "ada", Reason: "as in the file", DryRun: dry}, d.now)
		blocked, _ := errors.AsType[*BlockedError](err)
		if blocked == nil || blocked.Obstacle.Code != "primary_removed" || d.record.Ruleset.Number != 3 {
			t.Errorf("dry run %t: %v, ruleset %d", dry, err, d.record.Ruleset.Number)
		}
	}
}

func TestTheFileWinsOnlyWhenItHasChangedSinceRulesWereRecorded(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		w.obedient()
		one := w.join("one", rulesChanged)
		pass(10 * time.Second)
		if _, err := one.ChangeRules(context.Background(), w.asks(2)); err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		one.stop()
		again := w.join("one", rulesChanged)
		pass(10 * time.Second)
		if r := w.onRecord(t); r.Ruleset.Number != 2 || r.Ruleset.Policy.Acks != 2 {
			t.Errorf("a restart with the same file undid it: %+v", r.Ruleset)
		}
		again.stop()
		other := w.ruleset
		other.Members = slices.Clone(other.Members)
		other.Members[2].Promotion = topology.PromotionNever
		last := w.join("one", rulesChanged, func(s *Settings) { s.Clusters[0].Ruleset = other })
		defer last.stop()
		pass(10 * time.Second)
		if r := w.onRecord(t); r.Ruleset.Number != 3 || !r.Ruleset.Same(other) || !r.Configured.Same(other) {
			t.Errorf("a file that has changed is not in force: %+v", r.Ruleset)
		}
	})
}

func TestAFileThatIsReadAgainIsInForceAsSoonAsItsClusterIsReadyForIt(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		w.obedient()
		e := w.join("one", rulesChanged)
		defer e.stop()
		pass(10 * time.Second)
		w.misses(e, "C")
		wanted := w.ruleset
		wanted.Policy.Acks = 2
		if err := e.Configure(context.Background(), ClusterSettings{Name: w.names[0], Ruleset: wanted}); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		f, found := findingOf(e.Orchestrator.Clusters()[0], topology.RulesetDiffers)
		if r := w.onRecord(t); r.Ruleset.Number != 1 || !found || !strings.Contains(f.Evidence[0].Fact, "only {B} can now") && !strings.Contains(f.Evidence[0].Fact, "only B can now") {
			t.Fatalf("ruleset %d: %+v", r.Ruleset.Number, f)
		}
		w.misses(e)
		pass(5 * time.Second)
		if r := w.onRecord(t); r.Ruleset.Number != 2 || !r.Ruleset.Same(wanted) || !r.Configured.Same(wanted) {
			t.Errorf("on record: %+v", r.Ruleset)
		}
		if f, found := findingOf(e.Orchestrator.Clusters()[0], topology.RulesetDiffers); found {
			t.Errorf("still: %+v", f)
		}
	})
}

// TestAServerThatTheFileAddsIsProbedAsSoonAsItIsAMember: the file may be read while a change is under way, and is taken over
// when that has ended.
func TestAServerThatTheFileAddsIsProbedAsSoonAsItIsAMember(t *testing.T) {
	d := deskOf(t, topologytest.Cluster("A", "B", "C").Acks(1))
	d.o.settings.RulesChanges = true
	d.ruleset.Members = append(slices.Clip(d.ruleset.Members), topology.Member{Address: "D"})
	d.reconfigure(t.Context())
	if len(d.record.Ruleset.Members) != 4 || !slices.Contains(d.watched, "D") {
		t.Errorf("on record are %v, and these are probed: %v", d.record.Ruleset.Servers(), d.watched)
	}
}

func TestAChangeOfTheRulesWhoseElectorStopsIsGivenUpByTheNext(t *testing.T) {
	for _, phase := range []reparent.Phase{reparent.PhaseRaising, reparent.PhaseBarrier} {
		t.Run(string(phase), func(t *testing.T) {
			inTown(t, 1, func(t *testing.T, w *town) {
				w.obedient()
				one := w.join("one", rulesChanged)
				pass(10 * time.Second)
				w.during = func(ctx context.Context, b Batch) {
					if b.Phase == phase {
						<-ctx.Done()
					}
				}
				begun, err := one.ChangeRules(context.Background(), w.asks(2))
				if err != nil {
					t.Fatal(err)
				}
				pass(time.Second)
				one.stop()
				w.during = nil
				two := w.join("two", rulesChanged)
				defer two.stop()
				pass(10 * time.Second)
				op, err := two.Recovery(context.Background(), begun.Operation.ID)
				if err != nil || op.State != reparent.StateUndone {
					t.Errorf("%s %v %v", op.State, op.Obstacle, err)
				}
				if r := w.onRecord(t); r.Ruleset.Number != 1 || w.servers[0].SemiSync.Acks != 1 {
					t.Errorf("ruleset %d is in force, and commits wait for %d", r.Ruleset.Number, w.servers[0].SemiSync.Acks)
				}
			})
		})
	}
}

func TestAServerIsLookedAtBeforeItBecomesAMember(t *testing.T) {
	good := *topologytest.Cluster("A", "B", "C", "D").Snapshot().Server("D")
	stray, twin := good, good
	for name, row := range map[string]struct {
		is   topology.Observation
		code string
	}{
		"it does not answer":          {topology.Observation{Address: "D", Reach: topology.ReachRefused}, "added_not_reached"},
		"it has a member's identity":  {twin, "added_twice"},
		"it holds other transactions": {stray, "added_errant"},
		"it holds what the others do": {good, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inTown(t, 1, func(t *testing.T, w *town) {
				w.obedient()
				is := row.is
				is.Executed, is.Received = w.servers[0].Executed, w.servers[0].Executed
				switch row.code {
				case "added_twice":
					is.UUID = topologytest.UUID("B")
				case "added_errant":
					is.Executed = is.Executed.Union(topologytest.Cluster("D").Set("D:1-3"))
				}
				w.strangers = map[topology.Address]topology.Observation{"D": is}
				e := w.join("one", rulesChanged)
				defer e.stop()
				pass(10 * time.Second)
				wish := w.asks(1)
				wish.Members = append(slices.Clip(wish.Members), topology.Member{Address: "D"})
				_, err := e.ChangeRules(context.Background(), wish)
				var blocked *BlockedError
				if row.code == "" {
					pass(2 * time.Second)
					if r := w.onRecord(t); err != nil || len(r.Ruleset.Members) != 4 {
						t.Errorf("%v: %+v", err, r.Ruleset)
					}
				} else if !errors.As(err, &blocked) || blocked.Obstacle.Code != row.code || blocked.Obstacle.Remedy == "" {
					t.Errorf("%v", err)
				}
			})
		})
	}
}

func TestWithoutTheSettingSuchAConfigurationIsRefusedAsBefore(t *testing.T) {
	inTown(t, 1, func(t *testing.T, w *town) {
		w.obedient()
		wanted := w.ruleset
		wanted.Policy.Acks = 2
		e := w.join("one", func(s *Settings) { s.Clusters[0].Ruleset = wanted })
		defer e.stop()
		pass(10 * time.Second)
		if _, err := e.ChangeRules(context.Background(), w.asks(2)); !errors.Is(err, ErrBadWish) {
			t.Errorf("by hand: %v", err)
		}
		f, found := findingOf(e.Orchestrator.Clusters()[0], topology.RulesetDiffers)
		if r := w.onRecord(t); r.Ruleset.Number != 1 || r.Configured != nil || !found || f.Severity != topology.SeverityWarning {
			t.Errorf("%+v %+v", r.Ruleset, f)
		}
	})
}
