package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/reparent"
)

// archive is the changes of each cluster, newest first by their terms, and how many were read.
type archive struct {
	past map[string][]reparent.Operation
	read int
}

func (a *archive) recoveries(_ context.Context, cluster string, limit int) ([]reparent.Operation, error) {
	found := a.past[cluster][:min(len(a.past[cluster]), limit)]
	a.read += len(found)
	return slices.Clone(found), nil
}

var archived = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// archiveOf has electors whose clocks differ by up to a minute and a half make a change in each cluster every half a minute or so.
func archiveOf(clusters, changes int, r *rand.Rand) (*archive, []string) {
	a, names := &archive{past: map[string][]reparent.Operation{}}, []string{}
	for i := range clusters {
		name := fmt.Sprintf("c%03d", i)
		names = append(names, name)
		for term := changes; term > 0; term-- {
			began := archived.Add(-time.Duration(changes-term)*30*time.Second + time.Duration(r.IntN(90))*time.Second)
			op := reparent.Operation{ID: reparent.OperationID(name, uint32(term)), Cluster: name, StartedAt: began, Kind: reparent.KindPlanned}
			if r.IntN(5) == 0 {
				op.Kind = reparent.KindEmergency
			}
			a.past[name] = append(a.past[name], op)
		}
	}
	return a, names
}

func emergencies(op reparent.Operation) bool { return op.Kind == reparent.KindEmergency }

func anything(reparent.Operation) bool { return true }

func nothing(reparent.Operation) bool { return false }

func TestByPagesEveryChangeIsFoundOnceAndInOrder(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 0))
		a, names := archiveOf(1+r.IntN(3), 1+r.IntN(60), r)
		wanted := []func(reparent.Operation) bool{anything, emergencies}[seed%2]
		var all, seen []string
		var whole []reparent.Operation
		for _, past := range a.past {
			whole = append(whole, slices.DeleteFunc(slices.Clone(past), func(op reparent.Operation) bool { return !wanted(op) })...)
		}
		slices.SortFunc(whole, func(a, b reparent.Operation) int { return backInTime(a).compare(backInTime(b)) })
		for _, op := range whole {
			all = append(all, op.ID)
		}
		limit := 1 + r.IntN(20)
		for before := (*position)(nil); ; {
			found := search{recoveries: a.recoveries, wanted: wanted, before: before, most: limit + 1}
			if err := found.through(t.Context(), names); err != nil {
				t.Fatal(err)
			}
			page, next := paged(found.best, backInTime, before, limit, newestFirst)
			for _, op := range page {
				seen = append(seen, op.ID)
			}
			if next == "" {
				break
			}
			before, _ = readCursor("query.before", newestFirst, next)
		}
		if !slices.Equal(all, seen) {
			t.Fatalf("seed %d, by pages of %d: %d changes of %d\n%v\n%v", seed, limit, len(seen), len(all), seen, all)
		}
	}
}

func TestAListReadsNoMoreOfTheRecordThanItHasTo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	one, name := archiveOf(1, 3000, r)
	fleet, names := archiveOf(500, 100, r)
	for _, row := range []struct {
		name   string
		of     *archive
		among  []string
		search search
		most   int
	}{
		{"the first page of one cluster", one, name, search{wanted: anything, most: 11}, 16},
		{"a filter that many fit", one, name, search{wanted: emergencies, most: 11}, 16 + 64 + 256},
		{"a filter that nothing fits", one, name, search{wanted: nothing, most: 11}, 16 + 64 + 256 + reachBack},
		{"nothing since then", one, name, search{wanted: nothing, since: archived.Add(-5 * time.Minute), most: 11}, 16 + 64},
		{"the first page of many clusters", fleet, names, search{wanted: anything, most: 51}, 17 * 500},
		{"a filter that nothing fits, of many clusters", fleet, names, search{wanted: nothing, most: 51}, (16 + 40) * 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.of.read, row.search.recoveries = 0, row.of.recoveries
			if err := row.search.through(t.Context(), row.among); err != nil || row.of.read > row.most {
				t.Errorf("%d records were read, %v", row.of.read, err)
			}
			if row.search.best != nil && len(row.search.best) > row.search.most {
				t.Errorf("%d are kept", len(row.search.best))
			}
		})
	}
}
