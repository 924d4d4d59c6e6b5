package sim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// ended are the certificates of the changes that ended in a lifetime, as they were put on record, in the order in which
// they were.
func (w *world) ended() (all []reparent.Certificate, err error) {
	for _, e := range w.store.history.entries {
		if !strings.HasPrefix(e.document.Key, "recoveries/") {
			continue
		}
		text, err := e.document.Text()
		if err != nil {
			return nil, err
		}
		var stored struct {
			Operation json.RawMessage `json:"operation"`
		}
		if err := json.Unmarshal(text, &stored); err != nil {
			return nil, err
		}
		file, err := reparent.CertificateOf(stored.Operation)
		if err != nil {
			return nil, err
		}
		c, err := reparent.ReadCertificate(file)
		if err != nil {
			return nil, err
		}
		if c.Operation.Digest != "" {
			all = append(all, c)
		}
	}
	return all, nil
}

// certified runs lifetimes on all cores, and asks something of each when it is over.
func certified(t *testing.T, n int, o Options, ask func(all []reparent.Certificate) error) {
	t.Helper()
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= uint64(n); seed = next.Add(1) {
				w := newWorld(seed, o)
				w.live()
				all, err := w.ended()
				if err == nil {
					err = ask(all)
				}
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	workers.Wait()
}

func TestTheCertificateOfEveryChangeProvesWhyItWasSafe(t *testing.T) {
	counted := map[string]int{}
	var mu sync.Mutex
	certified(t, 150/thinned, Options{}, func(all []reparent.Certificate) error {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			op := c.Operation
			counted[fmt.Sprint(op.Kind, " ", op.State)]++
			for _, claim := range c.Claims() {
				counted[fmt.Sprint(claim.Name, " ", claim.Standing)]++
				if claim.Standing == reparent.Refuted {
					return fmt.Errorf("%s: %s change, %s: %s: %s", op.ID, op.Kind, op.State, claim.Name, claim.Detail)
				}
			}
		}
		return nil
	})
	for _, seen := range []string{"emergency succeeded", "emergency blocked", "planned succeeded", "adoption succeeded", "obstacle holds", "nothing_lost holds", "nothing_lost accepted"} {
		if counted[seen] == 0 {
			t.Errorf("no %s among all those lifetimes: %v", seen, counted)
		}
	}
}

func TestCertificatesOfAClusterAreAChainAndAMissingOneIsMissed(t *testing.T) {
	kinds := slices.DeleteFunc(Kinds(), func(k Kind) bool { return k == OldStore || k == EmptyStore })
	certified(t, 30/thinned, Options{Kinds: kinds}, func(all []reparent.Certificate) error {
		if i := slices.IndexFunc(reparent.Chain(all), refuted); i >= 0 {
			return fmt.Errorf("the chain breaks: %v", reparent.Chain(all)[i])
		}
		if len(all) < 3 {
			return nil
		}
		if !slices.ContainsFunc(reparent.Chain(slices.Delete(slices.Clone(all), 1, 2)), refuted) {
			return fmt.Errorf("nobody misses %s", all[1].Operation.ID)
		}
		forged := slices.Clone(all)
		forged[1].Operation.Reason = "forged"
		sealed, err := forged[1].Operation.Sealed()
		if err != nil {
			return err
		}
		if forged[1].Operation = sealed; !slices.ContainsFunc(reparent.Chain(forged), refuted) {
			return fmt.Errorf("nobody sees that %s was put in place of another", sealed.ID)
		}
		return nil
	})
}

func refuted(c reparent.Claim) bool { return c.Standing == reparent.Refuted }

func TestWhoAltersAnythingInACertificateIsNoticed(t *testing.T) {
	one := samples(t)[0]
	n := 0
	forEachChange(t, one, func(at string, changed map[string]any) {
		if n++; n%thinned != 0 {
			return
		}
		if found, err := read(changed); err == nil && reparent.Stands(found.Claims()) {
			t.Errorf("%s: nobody notices another %s", one.Operation.ID, at)
		}
	})
}

// forgeable is all that a forger may alter who makes the digest anew, and why that proves nothing wrong. Everything else
// is a conclusion, and what is concluded anew is another thing then. All of it is under the digest that the next
// certificate names, and the decision's hash stands in the journals of servers.
var forgeable = []struct {
	why string
	at  []string
}{
	{"links to other certificates: the chain is asked about them", []string{"follows"}},
	{"times, of which no promise depends on any", []string{
		"started_at", "phase_at", "finished_at", "marked_at", "established_at", "gap_from", "gap_to", "timing", "stages[*].started_at", "stages[*].duration",
		"history.leaderships[*].established_at", "leaders[*].seen_at",
	}},
	{"what people and electors said of it", []string{
		"automatic", "by", "reason", "cause", "clearance", "elector", "session_term", "stages", "progress.*.note",
	}},
	{"what was done once the choice was made", []string{
		"ready", "mark_sent", "progress.*.applied", "progress.*.attached", "progress.*.moved", "progress.*.released", "progress.*.sourced",
	}},
	{"other evidence, from which the very same follows", []string{
		"floor", "history.leaders[*]", "known", "leaders[*].seen", "progress.*", "progress.*.reading", "progress.*.judged", "progress.*.frozen", "progress.*.silenced", "progress.*.with",
		"ruleset.members[*].zone", "ruleset.durability.acks", "ruleset.number",
	}},
}

// meant is what may be altered besides in the certificate of a change that failed or was undone: what it was about to do, and the
// words for why it did not. Nobody leads by it.
var meant = []string{"chosen", "excluded", "followers", "to", "wanted", "obstacle.code", "obstacle.message"}

func TestWhatAForgerCanAlterLeadsToTheSameDecision(t *testing.T) {
	unnoticed, idle, n := map[string]string{}, map[string]string{}, 0
	kinds := map[reparent.State]bool{}
	for _, c := range samples(t) {
		kinds[c.Operation.State] = true
		forEachChange(t, c, func(at string, changed map[string]any) {
			if n++; n%thinned != 0 {
				return
			}
			if reseal(t, changed); at == "operation.digest" {
				return
			}
			if found, err := read(changed); err == nil && reparent.Stands(found.Claims()) {
				place, places := strings.TrimPrefix(at, "operation."), unnoticed
				if s := c.Operation.State; slices.Contains(meant, place) && (s == reparent.StateFailed || s == reparent.StateUndone) {
					places = idle
				}
				places[place] = fmt.Sprint(c.Operation.Kind, " ", c.Operation.State)
			}
		})
	}
	for _, group := range forgeable {
		for _, allowed := range group.at {
			if !takeOut(unnoticed, allowed) && thinned == 1 {
				t.Errorf("%s is said to be alterable (%s), and each change of it is noticed", allowed, group.why)
			}
		}
	}
	for _, place := range meant {
		if idle[place] == "" && thinned == 1 {
			t.Errorf("%s is said to be alterable where nobody came to lead, and each change of it is noticed", place)
		}
	}
	for _, s := range []reparent.State{reparent.StateSucceeded, reparent.StateBlocked, reparent.StateFailed, reparent.StateUndone} {
		if !kinds[s] {
			t.Errorf("no change among the samples that ended as %s", s)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(unnoticed)) {
		t.Errorf("nobody notices another %s in the certificate of a change (%s)", at, unnoticed[at])
	}
}

// takeOut removes a place and what lies in it, and tells whether there was any.
func takeOut(places map[string]string, place string) bool {
	before := len(places)
	maps.DeleteFunc(places, func(at, _ string) bool {
		rest, found := strings.CutPrefix(at, place)
		return found && (rest == "" || place != "progress.*" && (rest[0] == '.' || rest[0] == '['))
	})
	return len(places) < before
}

func read(file map[string]any) (reparent.Certificate, error) {
	text, err := json.Marshal(file)
	if err != nil {
		return reparent.Certificate{}, err
	}
	return reparent.ReadCertificate(text)
}

// reseal is what a forger does who knows how the digest is made.
func reseal(t *testing.T, file map[string]any) {
	t.Helper()
	operation := file["operation"].(map[string]any)
	delete(operation, "digest")
	text, err := json.Marshal(operation)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(text)
	operation["digest"] = hex.EncodeToString(sum[:])
}

// samples are certificates of each kind and outcome.
func samples(t *testing.T) (found []reparent.Certificate) {
	t.Helper()
	var mu sync.Mutex
	kinds := map[string]reparent.Certificate{}
	cluster, err := EvenCluster(3, topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
	if err != nil {
		t.Fatal(err)
	}
	certified(t, 60, Options{Cluster: &cluster}, func(all []reparent.Certificate) error {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			op := c.Operation
			name := fmt.Sprint(op.Kind, op.State)
			if slices.ContainsFunc(c.Claims(), func(c reparent.Claim) bool { return c.Name == "obstacle" && c.Standing == reparent.Untold }) {
				continue // nothing was decided, and why is not in it
			}
			if before, known := kinds[name]; !known || cmp.Or(cmp.Compare(len(op.Stages), len(before.Operation.Stages)), cmp.Compare(op.Digest, before.Operation.Digest)) > 0 {
				kinds[name] = c
			}
		}
		return nil
	})
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		found = append(found, kinds[name])
	}
	return found
}

// forEachChange alters one thing after the other in a certificate. Names of servers and places in lists are left out of
// what is told of where.
func forEachChange(t *testing.T, c reparent.Certificate, try func(at string, changed map[string]any)) {
	t.Helper()
	text, err := json.Marshal(c.Operation)
	if err != nil {
		t.Fatal(err)
	}
	file := map[string]any{"format": reparent.CertificateFormat}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var operation any
	if err := d.Decode(&operation); err != nil {
		t.Fatal(err)
	}
	file["operation"] = operation
	alter("operation", operation, func(changed any) { file["operation"] = changed }, func(at string) { try(at, clone(file)) })
}

func clone(file map[string]any) map[string]any {
	operation := maps.Clone(file["operation"].(map[string]any))
	return map[string]any{"format": file["format"], "operation": operation}
}

// alter changes a value in each way, puts it where it was, and goes on with what is in it.
func alter(at string, value any, set func(any), told func(at string)) {
	for _, other := range others(value) {
		if other == value {
			continue
		}
		set(other)
		told(at)
	}
	set(value)
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			before, name := v[key], key
			if slices.Contains([]string{"operation.known", "operation.progress", "operation.barred"}, at) {
				name = "*"
			}
			if delete(v, key); !empty(before) {
				told(at + "." + name)
			}
			alter(at+"."+name, before, func(other any) { v[key] = other }, told)
		}
	case []any:
		for i := range v {
			set(slices.Concat(v[:i], v[i+1:]))
			told(at + "[*]")
			set(v)
			alter(at+"[*]", v[i], func(other any) { v[i] = other }, told)
		}
	}
}

// empty tells whether a value says no more than its absence.
func empty(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for _, one := range v {
			if !empty(one) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case string:
		return v == "" || strings.HasPrefix(v, "0001-01-01") || v == (gtid.UUID{}).String()
	case json.Number:
		return v == "0"
	}
	return value == nil || value == false
}

// others are values that might stand in a value's place.
func others(value any) []any {
	switch v := value.(type) {
	case bool:
		return []any{!v}
	case json.Number:
		n, _ := v.Int64()
		return []any{json.Number(fmt.Sprint(n + 1)), json.Number(fmt.Sprint(max(n-1, 0)))}
	case string:
		if at, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return []any{at.Add(time.Hour).Format(time.RFC3339Nano), at.Add(-time.Hour).Format(time.RFC3339Nano)}
		}
		if u, err := gtid.ParseUUID(v); err == nil {
			u[5]++
			return []any{u.String()}
		}
		if s, err := gtid.Parse(v); err == nil && !s.IsEmpty() {
			return []any{"", s.Union(gtid.Range(gtid.Source{UUID: gtid.UUID{5: 9}}, 1, 1)).String(), shorter(s).String()}
		}
		return []any{v + "x", "no", "yes", "db9:3306"}
	}
	return nil
}

// shorter is a set without one transaction.
func shorter(s gtid.Set) gtid.Set {
	for one := range s.Intervals() {
		return s.Subtract(gtid.Range(one.Source, one.Last, one.Last))
	}
	return s
}
