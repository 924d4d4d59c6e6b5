package sim

import (
	"context"
	"testing"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// ghost is a lease whose holder believes in it, whatever happened: its clock stands still.
func (d *depot) ghost(l *storeLease) *storeLease {
	s := &storeSession{client: l.client, known: l.session.known, deadline: 1 << 62}
	g := &storeLease{
		client: l.client, session: s, cluster: l.cluster, claim: l.claim, work: d.clock.newLife(context.Background()),
		fence: storeFence{revision: unread}, termRev: unread,
	}
	g.bell = l.client.hang(l.cluster, func() {})
	return g
}

func TestTheStoreRefusesTheWritesOfAnElectorThatMissedItsLoss(t *testing.T) {
	d := newDepot(t, 1)
	a, b := d.elector("elector-1"), d.elector("elector-2")
	first := d.acquire(a, "shop")
	d.must(d.put(first, "d", "1"))
	d.release(first)
	second := d.acquire(b, "shop")
	term, err := d.nextTerm(second, 0)
	d.must(err)
	ctx := context.Background()
	for name, write := range map[string]func(*storeLease) error{
		"put": func(g *storeLease) error { return g.Put(ctx, text("d", "stale")) },
		"update": func(g *storeLease) error {
			return g.Update(ctx, "d", func([]byte) ([]byte, error) { return []byte("stale"), nil })
		},
		"draw a term": func(g *storeLease) error { _, err := g.NextTerm(ctx, 100); return err },
	} {
		g := d.ghost(first)
		if !d.held(g) {
			t.Fatal("the ghost knows")
		}
		d.do(a, func() { d.mustFail(write(g), errLockLost) })
		if d.held(g) || g.Context().Err() == nil {
			t.Errorf("%s: the store's refusal was not remembered", name)
		}
	}
	d.release(d.ghost(first))
	if got := d.value("d"); got != "1" {
		t.Errorf("a stale write was carried out: %q", got)
	}
	next, err := d.nextTerm(second, 0)
	if d.must(err); next != term+1 || !d.held(second) {
		t.Errorf("the rightful holder drew term %d after %d, held %v", next, term, d.held(second))
	}
	d.sound()
}

func TestARestoredStoreKnowsWhatItKnewThen(t *testing.T) {
	d := newDepot(t, 1)
	a, b := d.elector("elector-1"), d.elector("elector-2")
	first := d.acquire(a, "shop")
	d.acquire(b, "other") // so that the backup knows both sessions
	d.must(d.put(first, "d", "old"))
	_, err := d.nextTerm(first, 40)
	d.must(err)
	d.pass(10 * time.Second)
	backup := d.clock.now
	d.pass(time.Second)
	d.must(d.put(first, "d", "new"))
	d.must(d.put(first, "e", "new"))
	term, err := d.nextTerm(first, 0)
	d.must(err)
	d.release(first)
	second := d.acquire(b, "shop")
	d.pass(100 * time.Millisecond)

	d.vault.restore(d.clock.now - backup)
	d.pass(sessionTTL/3 + 10*time.Millisecond) // the next keep-alive meets another vault
	if d.held(second) || second.Context().Err() == nil {
		t.Error("a lock that was taken since is still held")
	}
	if d.value("d") != "old" || d.value("e") != "" || len(d.vault.keys) != 1 {
		t.Errorf("documents say %q and %q", d.value("d"), d.value("e"))
	}
	if h := d.vault.cell("shop").holder; h != first.claim {
		t.Errorf("the lock is held by %v, at the time of the backup it was by %v", h, first.claim)
	}
	third := d.acquire(a, "shop") // although the lock of the backup is there, kept alive by its session
	again, err := d.nextTerm(third, 0)
	if d.must(err); again != term {
		t.Errorf("term %d, want %d as before: nobody said that it was used", again, term)
	}
	above, err := d.nextTerm(third, 60)
	if d.must(err); above != 61 {
		t.Errorf("term %d, want one above those that the servers show", above)
	}
	d.must(d.put(third, "d", "newest"))
	d.sound() // in another era
}

// TestALockThatIsOursInTheBackupTooSaysThatItsStoreMayHaveGoneBack as package store's does.
func TestALockThatIsOursInTheBackupTooSaysThatItsStoreMayHaveGoneBack(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	l := d.acquire(c, "shop")
	d.pass(10 * time.Second)
	backup := d.clock.now
	d.must(d.put(l, "d", "new"))
	d.pass(10 * time.Second)
	if l.Era() != 0 {
		t.Errorf("era %d, and nothing happened", l.Era())
	}
	d.vault.restore(d.clock.now - backup)
	d.pass(sessionTTL/3 + 10*time.Millisecond)
	if l.Era() != 1 || !d.held(l) || d.value("d") != "" {
		t.Errorf("era %d, held %v, document says %q", l.Era(), d.held(l), d.value("d"))
	}
}

// otherPast lets writes be under way while the store is restored, and arrive when revisions are again what they name.
func otherPast(t *testing.T, try func(ctx context.Context, l *storeLease) error) {
	t.Helper()
	arrived := 0
	for seed := range uint64(40) {
		d := newDepot(t, seed)
		c := d.elector("elector-1")
		l := d.acquire(c, "shop")
		d.must(d.put(l, "d", "old"))
		d.pass(time.Millisecond)
		backup := d.clock.now
		d.must(d.put(l, "d", "of another past"))
		d.must(d.put(l, "d", "of another past"))
		revision := d.vault.revision
		d.vault.cut(c.process, true)
		d.do(c, func() {
			ctx, cancel := c.process.Within(context.Background(), 300*time.Millisecond)
			defer cancel()
			d.mustFail(try(ctx, l), context.DeadlineExceeded)
		})
		arrived += len(c.stuck)
		d.vault.restore(d.clock.now - backup)
		d.vault.cut(c.process, false)
		for d.vault.revision < revision {
			d.must(d.put(l, "d", "new"))
		}
		d.pass(time.Second)
		if d.value("d") != "new" || d.vault.cell("shop").term != 0 {
			t.Errorf("seed %d: the document says %q, term %d was drawn", seed, d.value("d"), d.vault.cell("shop").term)
		}
		d.must(d.put(l, "d", "newest"))
		d.sound()
	}
	if arrived < 10 {
		t.Errorf("only %d requests arrived late", arrived)
	}
}

func TestAStoreWriteFromAnotherPastComesToNothingThoughRevisionsRepeat(t *testing.T) {
	otherPast(t, func(ctx context.Context, l *storeLease) error { return l.Put(ctx, text("d", "late")) })
	otherPast(t, func(ctx context.Context, l *storeLease) error { _, err := l.NextTerm(ctx, 0); return err })
}

func TestAStoredDocumentThatSaysSomethingElseAtTheSameRevisionIsNotReplaced(t *testing.T) {
	d := newDepot(t, 1)
	l := d.acquire(d.elector("elector-1"), "shop")
	d.must(d.put(l, "fleet/brake", "5"))
	cell, now := d.vault.cell("shop"), d.vault.documents["fleet/brake"]
	edit := storeChange{when: "fleet/brake", was: vaultDocument{text("fleet/brake", "1"), now.revision}, puts: []orchestrator.Document{text("fleet/brake", "2")}}
	if w := d.vault.write("shop", storeMark{l.claim, 100}, cell.fence, edit); w.revision != 0 || d.value("fleet/brake") != "5" {
		t.Errorf("what was made of 1 replaced 5 by %q", d.value("fleet/brake"))
	}
	edit.was = now
	if w := d.vault.write("shop", storeMark{l.claim, 101}, cell.fence, edit); w.revision == 0 {
		t.Error("a document as it was read is not replaced")
	}
}

func TestAnEmptiedStoreKnowsNothingAndHandsOutTermsAboveThoseOfTheServers(t *testing.T) {
	d := newDepot(t, 1)
	c := d.elector("elector-1")
	first := d.acquire(c, "shop")
	d.must(d.put(first, "d", "x"))
	_, err := d.nextTerm(first, 6)
	d.must(err)
	d.vault.empty()
	if d.value("d") != "" || d.vault.revision != 0 {
		t.Errorf("document says %q, revision %d", d.value("d"), d.vault.revision)
	}
	d.mustFail(d.put(first, "d", "x"), errLockLost)
	second := d.acquire(c, "shop")
	if second.claim.token != first.claim.token {
		t.Errorf("token %d, and %d before: revisions begin anew", second.claim.token, first.claim.token)
	}
	d.mustFail(d.put(d.ghost(first), "d", "x"), errLockLost) // the token alone would not tell them apart
	term, err := d.nextTerm(second, 7)
	if d.must(err); term != 8 {
		t.Errorf("term %d, want 8", term)
	}
	d.sound()
}

func TestTheHistoryAccusesAStoreThatAllowsWhatItMustNot(t *testing.T) {
	for _, row := range []struct {
		name  string
		wrong func(d *depot, old, new *storeLease)
	}{
		{"a write after the lock was given to another", func(d *depot, old, _ *storeLease) {
			d.vault.record(vaultEntry{kind: documentPut, cluster: "shop", claim: old.claim, document: text("d", "")})
		}},
		{"a draw after the lock was given to another", func(d *depot, old, _ *storeLease) {
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: old.claim, term: 3})
		}},
		{"a write after the lock was freed", func(d *depot, _, new *storeLease) {
			d.release(new)
			d.vault.record(vaultEntry{kind: documentPut, cluster: "shop", claim: new.claim, document: text("d", "")})
		}},
		{"a write in a cluster without a lock", func(d *depot, _, new *storeLease) {
			d.vault.record(vaultEntry{kind: documentPut, cluster: "other", claim: new.claim, document: text("d", "")})
		}},
		{"the same draw told twice", func(d *depot, _, new *storeLease) {
			d.vault.history.grant(grantedTerm{"shop", 7, storeMark{new.claim, 1}})
			d.vault.history.grant(grantedTerm{"shop", 7, storeMark{new.claim, 1}})
		}},
		{"a term that is not above the one before", func(d *depot, _, new *storeLease) {
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: new.claim, term: 3})
			d.vault.record(vaultEntry{kind: termDrawn, cluster: "shop", claim: new.claim, term: 3})
		}},
	} {
		d := newDepot(t, 1)
		c := d.elector("elector-1")
		old := d.acquire(c, "shop")
		d.must(d.put(old, "d", "x"))
		d.release(old)
		new := d.acquire(c, "shop")
		d.must(d.put(new, "d", "y"))
		d.sound()
		row.wrong(d, old, new)
		if d.vault.violation() == "" {
			t.Errorf("%s was not noticed", row.name)
		}
	}
}
