package sim

import (
	"fmt"
	"slices"
	"time"
)

// vaultKind is what happened in the vault.
type vaultKind uint8

const (
	lockTaken vaultKind = iota
	lockFreed
	fenceMoved
	termDrawn
	documentPut
)

// vaultEntry is one thing that happened. A write of several documents is several entries of one revision.
type vaultEntry struct {
	at       time.Duration
	revision int64
	kind     vaultKind
	cluster  string
	claim    *storeClaim // who did it, or whose lock was freed
	number   int64       // of the attempt, for writes
	term     uint64
	key      string
	value    []byte // shared with the vault; nobody changes it
}

// vaultHistory is everything that ever happened in the vault, also what a restored backup knows nothing of.
type vaultHistory struct {
	entries  []vaultEntry
	standing []int32 // the entries that made the state as it is
	eras     int     // how often the vault was restored or emptied
	granted  []grantedTerm
	wrong    string // the first thing that must not have happened
}

// grantedTerm is a term that an elector was told to be its own.
type grantedTerm struct {
	cluster string
	term    uint64
	elector string
	era     int
}

// record notes what happened just now, at the vault's revision.
func (v *vault) record(e vaultEntry) {
	h := &v.history
	e.at, e.revision = v.clock.now, v.revision
	if e.kind == termDrawn || e.kind == documentPut {
		h.checkWriter(e)
	}
	h.standing = append(h.standing, int32(len(h.entries)))
	h.entries = append(h.entries, e)
}

// checkWriter claims that nobody writes whose lock was given to another since. It looks at what happened and not at what
// the vault compares, so that it also holds for a vault that compares wrongly.
func (h *vaultHistory) checkWriter(e vaultEntry) {
	for _, i := range slices.Backward(h.standing) {
		before := &h.entries[i]
		if before.cluster != e.cluster || before.kind == fenceMoved {
			continue
		}
		if before.claim != e.claim || before.kind == lockFreed {
			h.accuse(fmt.Sprintf("%s wrote %q of cluster %s at revision %d, after %s had had the lock or it was freed",
				e.claim, e.key, e.cluster, e.revision, before.claim))
		}
		return
	}
	h.accuse(fmt.Sprintf("%s wrote %q of cluster %s without ever having had the lock", e.claim, e.key, e.cluster))
}

func (h *vaultHistory) accuse(of string) {
	if h.wrong == "" {
		h.wrong = of
	}
}

// grant notes that an elector was told a term. Within one era none is told twice; in different ones it may be, for a
// backup does not know what was told later.
func (h *vaultHistory) grant(cluster string, term uint64, elector string) {
	g := grantedTerm{cluster: cluster, term: term, elector: elector, era: h.eras}
	for _, before := range h.granted {
		if before.cluster == cluster && before.term == term && before.era == h.eras {
			h.accuse(fmt.Sprintf("term %d of cluster %s was given to %s and to %s", term, cluster, before.elector, elector))
		}
	}
	h.granted = append(h.granted, g)
}

// rewind begins another era with what had happened until then, and returns that.
func (h *vaultHistory) rewind(until time.Duration) []vaultEntry {
	kept := 0
	for kept < len(h.standing) && h.entries[h.standing[kept]].at <= until {
		kept++
	}
	h.standing = h.standing[:kept]
	h.eras++
	past := make([]vaultEntry, kept)
	for i, n := range h.standing {
		past[i] = h.entries[n]
	}
	return past
}

// violation is the first thing that the store allowed and must not have; empty when there was none.
func (v *vault) violation() string { return v.history.wrong }
