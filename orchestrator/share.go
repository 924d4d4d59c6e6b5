package orchestrator

import (
	"cmp"
	"slices"
)

// sharer is an elector to which clusters can be given.
type sharer struct {
	id   string // the session that its locks are tied to
	node string // its name, which it keeps when it is started again
	acts func(cluster string) bool
}

// shares says which elector is to act for each cluster, given who does now (by session; anybody who is not among the
// electors counts as nobody). Each elector works it out for itself; those that have heard the same say the same.
//
// Theorem: let there be n clusters and e electors, each of which may act for every cluster. Then
//
//   - even: every elector is given n/e clusters, rounded down or up;
//   - few moves: nothing moves but clusters without an owner, and of an owner that has more than its quota the surplus:
//     no even division is reached by fewer moves;
//   - steady: while what was said is being done, cluster by cluster and in any order, the same is said again about
//     every cluster, so that electors that hear of each step at different times do not work against each other.
//
// Even, since the quotas add up to n, and clusters that are in want of an elector are as many as there is room for. Steady,
// since neither quotas nor the best pairs change: an elector that was granted one more is either above n/e already, and
// stays so, or is the first in a fixed order of those that are not, and going above n/e only moves it from there to here;
// and a pair that was found is found again as long as room is kept for it, which is what doing it amounts to.
//
// Where some electors may not act for some clusters, an even division may not exist: then a cluster that would be
// nobody's is given to the elector that suits it best, though it has its quota, and a surplus that nobody can take stays.
func shares(names []string, electors []sharer, owners map[string]string) map[string]string {
	d := division{electors: electors, owners: owners, wanted: make(map[string]string, len(names)), owned: map[string][]string{}}
	var wanting []string // of an elector, or of another one
	for _, name := range names {
		if owner := d.elector(owners[name]); owner != nil && owner.acts(name) {
			d.owned[owner.id] = append(d.owned[owner.id], name)
		} else {
			wanting = append(wanting, name)
		}
	}
	d.setQuotas(len(names))
	for i := range electors {
		wanting = append(wanting, d.keep(&electors[i])...)
	}
	d.match(wanting)
	return d.wanted
}

type division struct {
	electors []sharer
	owners   map[string]string
	owned    map[string][]string // by elector
	room     map[string]int      // how many clusters an elector may have, or still be given
	wanted   map[string]string
}

func (d *division) elector(id string) *sharer {
	for i := range d.electors {
		if d.electors[i].id == id {
			return &d.electors[i]
		}
	}
	return nil
}

// setQuotas gives each elector n/e, and one more to as many as the remainder says: those that have more already first.
func (d *division) setQuotas(n int) {
	d.room = make(map[string]int, len(d.electors))
	if len(d.electors) == 0 {
		return
	}
	each, more := n/len(d.electors), n%len(d.electors)
	order := slices.Clone(d.electors)
	slices.SortFunc(order, func(a, b sharer) int {
		return cmp.Or(
			cmp.Compare(boolean(len(d.owned[b.id]) > each), boolean(len(d.owned[a.id]) > each)),
			cmp.Compare(weight(b.node, ""), weight(a.node, "")), cmp.Compare(a.id, b.id),
		)
	})
	for i, e := range order {
		d.room[e.id] = each + boolean(i < more)
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// keep leaves an elector what it has up to its quota, and returns the surplus: the clusters that suit it least.
func (d *division) keep(e *sharer) (surplus []string) {
	has, quota := d.owned[e.id], d.room[e.id]
	d.room[e.id] = max(0, quota-len(has))
	for _, name := range has {
		d.wanted[name] = e.id
	}
	if len(has) <= quota {
		return nil
	}
	slices.SortFunc(has, func(a, b string) int {
		return cmp.Or(cmp.Compare(weight(e.node, a), weight(e.node, b)), cmp.Compare(a, b))
	})
	return has[:len(has)-quota]
}

// pair is a cluster with an elector that could act for it.
type pair struct {
	cluster, id string
	weight      uint64
}

// match gives clusters to electors that have room, those that suit each other best first.
func (d *division) match(wanting []string) {
	matched := make(map[string]bool, len(wanting))
	for _, p := range d.pairs(wanting) {
		if !matched[p.cluster] && d.room[p.id] > 0 {
			d.room[p.id]--
			d.wanted[p.cluster], matched[p.cluster] = p.id, true
		}
	}
	for _, name := range wanting {
		if d.wanted[name] == "" {
			d.wanted[name] = d.suited(name)
		}
	}
}

func (d *division) pairs(wanting []string) []pair {
	var all []pair
	for i := range d.electors {
		e := &d.electors[i]
		if d.room[e.id] == 0 {
			continue
		}
		for _, name := range wanting {
			if e.acts(name) {
				all = append(all, pair{name, e.id, weight(e.node, name)})
			}
		}
	}
	slices.SortFunc(all, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.cluster, b.cluster), cmp.Compare(a.id, b.id))
	})
	return all
}

// suited is the elector that suits a cluster best, whatever it has already; none when none may act for it.
func (d *division) suited(name string) string {
	if order := ranked(name, d.electors); len(order) > 0 {
		return order[0].id
	}
	return ""
}

// ranked are the electors that may act for a cluster, the one that suits it best first.
func ranked(name string, electors []sharer) []sharer {
	able := slices.DeleteFunc(slices.Clone(electors), func(e sharer) bool { return !e.acts(name) })
	slices.SortFunc(able, func(a, b sharer) int {
		return cmp.Or(cmp.Compare(weight(b.node, name), weight(a.node, name)), cmp.Compare(a.id, b.id))
	})
	return able
}

// weight is how well an elector and a cluster suit each other: a number that looks random and is the same everywhere. It
// is FNV-1a, stirred until each bit depends on each letter.
func weight(node, cluster string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(node) {
		h = (h ^ uint64(node[i])) * prime
	}
	h *= prime // a letter of its own between the two names
	for i := range len(cluster) {
		h = (h ^ uint64(cluster[i])) * prime
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
