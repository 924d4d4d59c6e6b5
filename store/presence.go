package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// live is where each elector stands as long as it lives: live/SESSION/SUBJECT, tied to the same lease of etcd as its
// locks. So a presence needs no heartbeat and no clock of its own, and it vanishes in the same moment as the locks do.
// The name comes right before that of the locks, so that one range covers both and shows them as of one moment.
const live = root + "live/"

// recordsAnew is how often the documents of all clusters are read as a whole, although their watch says nothing.
const recordsAnew = time.Minute

// Company is what this elector tells the others that share its store, and what it hears of them. It says who lives and
// who holds which lock, as last heard; who may act, only a Lease says.
type Company struct {
	store   *Store
	living  mirror
	records mirror
	news    chan struct{} // something may have to be told

	mu   sync.Mutex
	me   string // the session that it was last told under
	said map[string][]byte
	sent map[string]sent
	tell func()
}

// sent is what was last put under a subject, and how often everything had been read by then.
type sent struct {
	text  []byte
	reads int
}

// Company begins to take part, and returns the same each time. It is nil for an embedded etcd of one member: nobody else
// can get at that.
func (s *Store) Company() *Company {
	if s.settings.Dir != "" && s.settings.InitialCluster == "" {
		return nil
	}
	s.joining.Do(func() {
		c := &Company{store: s, news: make(chan struct{}, 1), said: map[string][]byte{}, tell: func() {}}
		c.living = mirror{store: s, from: live, to: clientv3.GetPrefixRangeEnd(locks), every: s.settings.LeaseTTL, changed: c.heard}
		records := documents + "clusters/"
		c.records = mirror{store: s, from: records, to: clientv3.GetPrefixRangeEnd(records), every: recordsAnew, changed: func() {}}
		s.own(c.living.run)
		s.own(c.records.run)
		s.own(c.attend)
		s.company = c
	})
	return s.company
}

// Announce tells the others something about this elector, for as long as it lives, in place of what it said about the
// same subject before. It returns at once.
func (c *Company) Announce(subject string, text []byte) {
	c.mu.Lock()
	c.said[subject] = text
	c.mu.Unlock()
	c.nudge()
}

// Heard says whom to call when something is heard; tell must not block.
func (c *Company) Heard(tell func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell = tell
}

func (c *Company) heard() {
	c.nudge()
	c.mu.Lock()
	tell := c.tell
	c.mu.Unlock()
	tell()
}

func (c *Company) nudge() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// Present is who lives and who holds which lock.
type Present struct {
	Me       string                       // this elector's session; empty while it has none
	Electors map[string]map[string][]byte // by session: what each says, by subject
	Owners   map[string]Owner             // by cluster
}

// Owner is who holds a lock: by session, which may not be among the electors that live, and by name.
type Owner struct{ Session, Elector string }

// Present is what was heard last.
func (c *Company) Present() Present {
	c.mu.Lock()
	p := Present{Me: c.me, Electors: map[string]map[string][]byte{}, Owners: map[string]Owner{}}
	c.mu.Unlock()
	for key, kv := range c.living.all() {
		if cluster, isLock := strings.CutPrefix(key, locks); isLock {
			p.Owners[cluster] = Owner{Session: sessionName(clientv3.LeaseID(kv.Lease)), Elector: holderOf(kv)}
			continue
		}
		session, subject, _ := strings.Cut(strings.TrimPrefix(key, live), "/")
		if p.Electors[session] == nil {
			p.Electors[session] = map[string][]byte{}
		}
		p.Electors[session][subject] = kv.Value
	}
	return p
}

// Peek is a cluster's document as last heard of; known is false as long as nothing was heard of any.
func (c *Company) Peek(key string) (doc Document, known bool) {
	kv, reads := c.records.at(documents + key)
	if kv == nil {
		return Document{Key: key}, reads > 0
	}
	return Document{Key: key, Value: kv.Value, Revision: kv.ModRevision}, true
}

func sessionName(id clientv3.LeaseID) string { return fmt.Sprintf("%x", int64(id)) }

// attend keeps a session even while no lock is held, and tells in each what there is to tell.
func (c *Company) attend() {
	for pause(c.store.ctx, retryPause) {
		now, err := c.store.sessionIn(c.store.ctx)
		if err == nil {
			c.speak(now)
		}
	}
}

// speak tells in one session what there is to tell, until the session ends or etcd fails.
func (c *Company) speak(now *session) {
	c.mu.Lock()
	c.me, c.sent = sessionName(now.id), map[string]sent{}
	c.mu.Unlock()
	for {
		for subject, text := range c.untold() {
			if err := c.put(now, subject, text); err != nil {
				return
			}
		}
		select {
		case <-c.news:
		case <-now.ctx.Done():
			return
		}
	}
}

// untold is what etcd does not show as it was said. What was sent is given the time until everything was read again:
// an etcd that was restored from an older state may keep a session alive and have forgotten what was said in it.
func (c *Company) untold() map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	missing := map[string][]byte{}
	for subject, text := range c.said {
		kv, reads := c.living.at(c.key(subject))
		shown := kv != nil && bytes.Equal(kv.Value, text)
		last, tried := c.sent[subject]
		if waits := tried && bytes.Equal(last.text, text) && reads < last.reads+2; !shown && !waits {
			missing[subject] = text
		}
	}
	return missing
}

func (c *Company) key(subject string) string { return live + c.me + "/" + subject }

func (c *Company) put(now *session, subject string, text []byte) error {
	ctx, cancel := context.WithTimeout(now.ctx, callTimeout)
	defer cancel()
	key := live + sessionName(now.id) + "/" + subject
	_, reads := c.living.at(key)
	_, err := c.store.client.Put(ctx, key, string(text), clientv3.WithLease(now.id))
	if errors.Is(err, rpctypes.ErrLeaseNotFound) {
		now.lose(errors.New("etcd has ended the lease"))
	}
	if err == nil {
		c.mu.Lock()
		c.sent[subject] = sent{text, reads}
		c.mu.Unlock()
	}
	return err
}

// Take is Acquire without waiting: it returns neither lease nor error when somebody holds the lock, or when etcd does not
// answer.
func (c *Company) Take(ctx context.Context, name string) (*Lease, error) {
	caller, s := ctx, c.store
	ctx, cancel := within(ctx, s.ctx)
	defer cancel()
	lease, err := s.tryOnce(ctx, name)
	switch {
	case err != nil && !passing(err):
		return nil, s.explain("take the lock of "+name, err)
	case lease == nil:
		return nil, nil
	}
	lease.work = under(lease.ctx, caller)
	return lease, nil
}

// tryOnce returns neither lease nor error where another was faster.
func (s *Store) tryOnce(ctx context.Context, name string) (*Lease, error) {
	now, err := s.sessionIn(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := within(ctx, now.ctx)
	defer cancel()
	state, err := s.lockState(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case state.lock != nil && s.stray(state.lock, now):
		return nil, s.tryWithdraw(ctx, claim{name: name, value: string(state.lock.Value)})
	case state.lock != nil:
		return nil, nil
	}
	c := s.newClaim(name, now)
	lease, err := s.take(ctx, c, state)
	if lease == nil {
		s.claims.end(c.value)
	}
	return lease, err
}
