package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
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
	document orchestrator.Document
}

// vaultHistory is everything that ever happened in the vault, also what a restored backup knows nothing of.
type vaultHistory struct {
	entries  []vaultEntry
	standing []int32 // the entries that made the state as it is
	granted  []grantedTerm
	wrong    string // the first thing that must not have happened
}

// grantedTerm is a term that an elector was told to be its own, after the attempt at a write that drew it.
type grantedTerm struct {
	cluster string
	term    uint64
	by      storeMark
}

// record notes what happened just now, at the vault's revision.
func (v *vault) record(e vaultEntry) {
	h := &v.history
	e.at, e.revision = v.clock.now, v.revision
	switch e.kind {
	case documentPut:
		h.checkWriter(e)
	case termDrawn:
		h.checkWriter(e)
		h.checkTerm(e)
	case lockTaken, lockFreed, fenceMoved:
	}
	h.standing = append(h.standing, int32(len(h.entries)))
	h.entries = append(h.entries, e)
}

// checkWriter claims that nobody writes whose lock was given to another since. It looks at what happened and not at what
// the vault compares, so that it also holds for a vault that compares wrongly.
func (h *vaultHistory) checkWriter(e vaultEntry) {
	before := h.last(func(x *vaultEntry) bool { return x.cluster == e.cluster && x.kind != fenceMoved })
	switch {
	case before == nil:
		h.accuse("%s wrote %q of cluster %s without ever having had the lock", e.claim, e.document.Key, e.cluster)
	case before.claim != e.claim || before.kind == lockFreed:
		h.accuse("%s wrote %q of cluster %s at revision %d, but the lock was last had by %s or is free",
			e.claim, e.document.Key, e.cluster, e.revision, before.claim)
	}
}

// checkTerm claims that terms grow.
func (h *vaultHistory) checkTerm(e vaultEntry) {
	before := h.last(func(x *vaultEntry) bool { return x.cluster == e.cluster && x.kind == termDrawn })
	if before != nil && before.term >= e.term {
		h.accuse("%s drew term %d of cluster %s after %s had drawn %d", e.claim, e.term, e.cluster, before.claim, before.term)
	}
}

// last is the latest of the standing entries that is like this; nil when there is none.
func (h *vaultHistory) last(like func(*vaultEntry) bool) *vaultEntry {
	for _, i := range slices.Backward(h.standing) {
		if e := &h.entries[i]; like(e) {
			return e
		}
	}
	return nil
}

func (h *vaultHistory) accuse(format string, values ...any) {
	if h.wrong == "" {
		h.wrong = fmt.Sprintf(format, values...)
	}
}

// grant notes that an elector was told a term, which no draw may be the reason of twice. The same number may be drawn
// again once the store was restored, for a backup does not know what was drawn later.
func (h *vaultHistory) grant(g grantedTerm) {
	if slices.ContainsFunc(h.granted, func(before grantedTerm) bool { return before.by == g.by }) {
		h.accuse("term %d of cluster %s was given twice to %s", g.term, g.cluster, g.by.claim)
	}
	h.granted = append(h.granted, g)
}

// rewind lets only what had happened until then stand, and returns that.
func (h *vaultHistory) rewind(until time.Duration) []vaultEntry {
	kept := 0
	for kept < len(h.standing) && h.entries[h.standing[kept]].at <= until {
		kept++
	}
	h.standing = h.standing[:kept]
	past := make([]vaultEntry, kept)
	for i, n := range h.standing {
		past[i] = h.entries[n]
	}
	return past
}

// violation is the first thing that the store allowed and must not have; empty when there was none.
func (v *vault) violation() string { return v.history.wrong }
