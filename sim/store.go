package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// What package store and etcd take by default.
const (
	sessionTTL     = 3 * time.Second
	expiryInterval = 500 * time.Millisecond // how often etcd looks for sessions that have run out
)

// vault is the store that all electors of a world share: documents, a lock and a term for each cluster, and the sessions
// to which locks are tied. It behaves like etcd as package store uses it. Requests are carried out one at a time, each
// as a whole; what comes between an elector and the vault is storeClient's business.
type vault struct {
	clock *clock
	// calling, unless nil, is told of each call that an elector makes, before it is made.
	calling func(elector, call string)

	revision  int64
	documents map[string]vaultDocument
	keys      []string // of the documents, in order
	cells     []*vaultCell
	sessions  []*vaultSession // in the order in which they were granted

	clients  []*storeClient
	stopped  bool     // no majority: nothing is carried out, and nothing runs out
	deferred []func() // requests that arrived meanwhile, and will be carried out late

	history vaultHistory
}

type vaultDocument struct {
	orchestrator.Document
	revision int64
}

// vaultCell is what the vault knows of one cluster.
type vaultCell struct {
	cluster      string
	holder       *storeClaim // nil when the lock is free
	fence        storeFence  // what the last guarded write, taking or withdrawal of the lock left
	term         uint64
	termRevision int64
}

// storeClaim is one attempt at a lock, and unlike every other.
type storeClaim struct {
	elector string
	session *vaultSession
	token   int64 // the revision at which it succeeded
	live    bool  // it is under way or has become a lease, as far as its elector knows
}

// storeFence is what a fence was when it was read or written. Its revision alone would not tell: a vault that is restored
// counts from its backup on, and gives revisions that were seen before to other writes.
type storeFence struct {
	revision int64
	mark     storeMark
}

// storeMark names one attempt at a write, or what became of a claim.
type storeMark struct {
	claim  *storeClaim
	number int64 // of the attempt, from 1 on
}

// What a claim leaves in the fence instead of an attempt's number.
const (
	markTaken     = 0
	markWithdrawn = -1
)

// vaultSession is a session as the vault knows it.
type vaultSession struct {
	client  *storeClient
	since   time.Duration
	expires time.Duration
	ended   bool
	look    timer
}

func newVault(c *clock) *vault {
	return &vault{clock: c, documents: map[string]vaultDocument{}}
}

// cell is what is known of a cluster; there are few.
func (v *vault) cell(cluster string) *vaultCell {
	for _, c := range v.cells {
		if c.cluster == cluster {
			return c
		}
	}
	c := &vaultCell{cluster: cluster}
	v.cells = append(v.cells, c)
	return c
}

// grant begins a session.
func (v *vault) grant(c *storeClient) *vaultSession {
	s := &vaultSession{client: c, since: v.clock.now}
	v.sessions = append(v.sessions, s)
	v.prolong(s)
	return s
}

// prolong lets a session have its whole time to live again.
func (v *vault) prolong(s *vaultSession) {
	s.expires = v.clock.now + sessionTTL
	if !s.look.set() {
		v.lookAgain(s)
	}
}

// lookAgain looks at a session when it may have run out. Keep-alives do not move that: they would need an event each.
func (v *vault) lookAgain(s *vaultSession) {
	at := (s.expires + expiryInterval - 1) / expiryInterval * expiryInterval
	s.look = v.clock.after(at-v.clock.now, func() {
		s.look = timer{}
		switch {
		case s.ended || v.stopped:
		case v.clock.now < s.expires:
			v.lookAgain(s)
		default:
			v.end(s)
		}
	})
}

// keepAlive is false when the session is gone.
func (v *vault) keepAlive(s *vaultSession) bool {
	if s.ended {
		return false
	}
	v.prolong(s)
	return true
}

// end ends a session and frees its locks.
func (v *vault) end(s *vaultSession) {
	if s.ended {
		return
	}
	v.drop(s)
	for _, c := range v.cells {
		if c.holder != nil && c.holder.session == s {
			v.free(c)
		}
	}
}

func (v *vault) drop(s *vaultSession) {
	s.ended = true
	s.look.cancel()
	s.look = timer{}
	v.sessions = slices.DeleteFunc(v.sessions, func(x *vaultSession) bool { return x == s })
}

// free deletes a lock, and lets everybody know who waits for it or relies on it.
func (v *vault) free(c *vaultCell) {
	v.revision++
	v.record(vaultEntry{kind: lockFreed, cluster: c.cluster, claim: c.holder})
	c.holder = nil
	for _, client := range v.clients {
		client.news(c.cluster)
	}
}

// take gives a free lock to a claim, if nothing has happened since its fence was read. It is false when the session is
// gone, which is another thing than being late.
func (v *vault) take(cluster string, claim *storeClaim, fence storeFence) (taken, known bool) {
	c := v.cell(cluster)
	switch {
	case claim.session.ended:
		return false, false
	case c.holder != nil || c.fence != fence:
		return false, true
	}
	v.revision++
	claim.token = v.revision
	c.holder, c.fence = claim, storeFence{v.revision, storeMark{claim, markTaken}}
	v.record(vaultEntry{kind: lockTaken, cluster: cluster, claim: claim})
	return true, true
}

// withdraw takes an attempt at a lock back, whether or not it has been carried out.
func (v *vault) withdraw(cluster string, claim *storeClaim) {
	c := v.cell(cluster)
	if c.holder != nil && c.holder != claim {
		return
	}
	if c.holder == claim {
		v.free(c)
	}
	v.revision++
	c.fence = storeFence{v.revision, storeMark{claim, markWithdrawn}}
	v.record(vaultEntry{kind: fenceMoved, cluster: cluster, claim: claim})
}

// storeChange is what a write is to do: documents, on condition of one that is as it was or of none, or the next term.
type storeChange struct {
	puts     []orchestrator.Document
	when     string // a document that must be as it was; empty for none
	was      vaultDocument
	term     uint64 // 0 when none is drawn; its revision must still be the given one
	revision int64
}

// written is what became of a write.
type written struct {
	revision int64 // 0 when it was refused
	owned    bool  // the lock is still the writer's
}

// write carries a change out if the claim holds the lock, the fence stands where the writer saw it, and the change's own
// condition holds.
func (v *vault) write(cluster string, mark storeMark, fence storeFence, change storeChange) written {
	c := v.cell(cluster)
	owned := c.holder == mark.claim
	if !owned || c.fence != fence || !v.meets(c, change) {
		return written{owned: owned}
	}
	v.revision++
	c.fence = storeFence{v.revision, mark}
	if change.term != 0 {
		c.term, c.termRevision = change.term, v.revision
		v.record(vaultEntry{kind: termDrawn, cluster: cluster, claim: mark.claim, number: mark.number, term: change.term})
	}
	for _, d := range change.puts {
		v.put(d)
		v.record(vaultEntry{kind: documentPut, cluster: cluster, claim: mark.claim, number: mark.number, document: d})
	}
	return written{revision: v.revision, owned: true}
}

func (v *vault) meets(c *vaultCell, change storeChange) bool {
	switch {
	case change.term != 0:
		return c.termRevision == change.revision
	case change.when != "":
		now := v.documents[change.when]
		return now.revision == change.was.revision && now.Same(change.was.Document)
	}
	return true
}

func (v *vault) put(d orchestrator.Document) {
	if _, known := v.documents[d.Key]; !known {
		at, _ := slices.BinarySearch(v.keys, d.Key)
		v.keys = slices.Insert(v.keys, at, d.Key)
	}
	v.documents[d.Key] = vaultDocument{d, v.revision}
}

// list copies documents under a prefix.
func (v *vault) list(prefix string, limit int, newestFirst bool) []orchestrator.Document {
	from, _ := slices.BinarySearch(v.keys, prefix)
	to := from
	for to < len(v.keys) && strings.HasPrefix(v.keys[to], prefix) {
		to++
	}
	found := slices.Clone(v.keys[from:to])
	if newestFirst {
		slices.Reverse(found)
	}
	if limit > 0 {
		found = found[:min(limit, len(found))]
	}
	docs := make([]orchestrator.Document, len(found))
	for i, key := range found {
		docs[i] = v.documents[key].Document
	}
	return docs
}

// stop takes the vault's majority away, or gives it back. Of the requests that arrive meanwhile some are lost and others
// carried out later. A new majority counts each session's time from its own beginning.
func (v *vault) stop(stopped bool) {
	if v.stopped == stopped {
		return
	}
	if v.stopped = stopped; stopped {
		return
	}
	v.prolongAll()
	deferred := v.deferred
	v.deferred = nil
	for _, arrive := range deferred {
		v.clock.after(v.clock.between(0, resendMax), arrive)
	}
	for _, c := range v.clients {
		c.listenAgain()
	}
}

func (v *vault) prolongAll() {
	for _, s := range v.sessions {
		v.prolong(s)
	}
}

// endLeases lets the sessions of one elector run out before their time.
func (v *vault) endLeases(p *process) {
	if c := v.client(p); c != nil {
		for _, s := range slices.Clone(v.sessions) {
			if s.client == c {
				v.end(s)
			}
		}
	}
}

// restore puts everything back to what it was some time ago, as from a backup: documents, locks, terms and the count of
// revisions. Sessions that began later are unknown then, and those that held a lock are known again. Nobody is told: a
// watch goes on, at a revision that is still to come.
func (v *vault) restore(ago time.Duration) { v.rebuild(v.clock.now - ago) }

// empty makes the vault forget everything.
func (v *vault) empty() { v.rebuild(-1) }

func (v *vault) rebuild(until time.Duration) {
	v.revision, v.documents, v.keys = 0, map[string]vaultDocument{}, nil
	for _, c := range v.cells {
		*c = vaultCell{cluster: c.cluster}
	}
	for _, e := range v.history.rewind(until) {
		v.replay(e)
	}
	for _, s := range slices.Clone(v.sessions) {
		if s.since > until {
			v.drop(s)
		}
	}
	for _, c := range v.cells {
		v.revive(c.holder)
	}
	v.prolongAll()
	for _, c := range v.clients {
		c.broken = true
	}
}

// replay does again what was done once.
func (v *vault) replay(e vaultEntry) {
	c := v.cell(e.cluster)
	v.revision = e.revision
	switch e.kind {
	case lockTaken:
		c.holder, c.fence = e.claim, storeFence{e.revision, storeMark{e.claim, markTaken}}
	case lockFreed:
		c.holder = nil
	case fenceMoved:
		c.fence = storeFence{e.revision, storeMark{e.claim, markWithdrawn}}
	case termDrawn:
		c.fence = storeFence{e.revision, storeMark{e.claim, e.number}}
		c.term, c.termRevision = e.term, e.revision
	case documentPut:
		c.fence = storeFence{e.revision, storeMark{e.claim, e.number}}
		v.put(e.document)
	}
}

// revive makes the session of a restored lock known again.
func (v *vault) revive(claim *storeClaim) {
	if claim != nil && claim.session.ended {
		claim.session.ended = false
		v.sessions = append(v.sessions, claim.session)
	}
}

// String names the holder and which of its locks it was.
func (c *storeClaim) String() string { return fmt.Sprintf("%s (token %d)", c.elector, c.token) }
