package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// town is a store in memory that several electors share, and a fleet whose servers are all well.
type town struct {
	names   []string
	servers []topology.Observation
	ruleset topology.Ruleset

	mu        sync.Mutex
	documents map[string][]byte
	terms     map[string]uint64
	locks     map[string]*townLease
	present   map[string]*townsman // by session
	sessions  int
	gained    map[string]int // how often each lock was taken
	writes    int
	said      int                      // how often something was announced
	era       uint64                   // how often the store went back
	reads     int                      // documents that were asked for
	changes   map[string]reparent.Kind // begun, by cluster
	// obeys answers commands, with mu held; nil: nothing comes of any. During is called before, without it.
	obeys  func(reparent.Command) reparent.Result
	during func(context.Context, Batch)
	// strangers answer probes though they are no members.
	strangers map[topology.Address]topology.Observation
}

// townsman is one elector's connection to the town.
type townsman struct {
	*town
	node    string
	session string
	says    map[string][]byte
	tell    func()
	refuses bool                           // it lives, and takes nothing
	isDeaf  bool                           // it gets no document that it asks for
	slow    time.Duration                  // to take a lock
	taking  int                            // locks at this moment
	most    int                            // locks that it took at once
	asked   int                            // how often it asked who is present
	lingers time.Duration                  // before it tells the next thing
	misses  map[topology.Address]time.Time // servers that it does not reach, and since when
}

type townLease struct {
	man     *townsman
	session string
	cluster string
	ctx     context.Context
	end     context.CancelFunc
}

// townOf has clusters that are on record as led by A under term 1.
func townOf(t *testing.T, clusters int) *town {
	t.Helper()
	b := topologytest.Cluster("A", "B", "C").Acks(1)
	w := &town{
		names: namesOf(clusters), servers: b.Snapshot().Servers, ruleset: b.Ruleset(), documents: map[string][]byte{},
		terms: map[string]uint64{}, locks: map[string]*townLease{}, present: map[string]*townsman{}, gained: map[string]int{}, changes: map[string]reparent.Kind{},
	}
	for _, name := range w.names {
		h := b.History()
		h.Leaderships[0].Kind = string(reparent.KindAdoption) // which opens no window
		if err := errors.Join(
			w.keep(lineage{Cluster: name, History: topology.History{Leaderships: h.Leaderships, Leaders: h.Leaders}}.document()),
			w.keep(record{Cluster: name, Ruleset: b.Ruleset()}.document()),
		); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *town) keep(d Document) error {
	text, err := d.Text()
	w.documents[d.Key] = text
	return err
}

// elector runs in the town until it is stopped, which also gives its locks back.
type elector struct {
	*Orchestrator
	man   *townsman
	stop  func()
	leave func() // stops the loop, and leaves the session
}

func (w *town) join(node string, change ...func(*Settings)) elector {
	man := &townsman{town: w, node: node, says: map[string][]byte{}, tell: func() {}}
	w.begin(man)
	settings := Settings{Elector: node, Limits: topologytest.Limits, Antiflap: antiflap.Defaults(), Automation: true, Company: man}
	for _, name := range w.names {
		settings.Clusters = append(settings.Clusters, ClusterSettings{Name: name, Ruleset: w.ruleset})
	}
	for _, edit := range change {
		edit(&settings)
	}
	o := New(settings, townFleet{man}, man, NewStream(nil))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { o.Run(ctx); close(done) }()
	leave := func() { cancel(); <-done }
	return elector{o, man, func() { leave(); w.end(man.session) }, leave}
}

// begin gives an elector a session.
func (w *town) begin(man *townsman) {
	w.change(func() {
		w.sessions++
		man.session = fmt.Sprintf("%02d", w.sessions)
		w.present[man.session] = man
	})
}

// end takes a session away, with its locks.
func (w *town) end(session string) {
	w.change(func() {
		delete(w.present, session)
		for name, l := range w.locks {
			if l.session == session {
				l.end()
				delete(w.locks, name)
			}
		}
	})
}

// change does something to what everybody hears of.
func (w *town) change(what func()) {
	w.mu.Lock()
	what()
	var all []func()
	for _, man := range w.present {
		all = append(all, man.tell)
	}
	w.mu.Unlock()
	for _, tell := range all {
		tell()
	}
}

// spread is how many locks each elector holds, by name.
func (w *town) spread() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	count := map[string]int{}
	for _, l := range w.locks {
		count[l.man.node]++
	}
	return count
}

func (w *town) owners() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]string{}
	for name, l := range w.locks {
		all[name] = l.session
	}
	return all
}

// announced is how often an elector has said something about itself.
func (w *town) announced() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}

func (w *town) taken() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.gained {
		n += g
	}
	return n
}

func (m *townsman) Announce(subject string, text []byte) {
	m.mu.Lock()
	lingers := m.lingers
	m.lingers = 0
	m.mu.Unlock()
	time.Sleep(lingers)
	m.change(func() {
		m.said++
		m.says = maps.Clone(m.says)
		m.says[subject] = text
	})
}

func (m *townsman) Heard(tell func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell = tell
}

func (m *townsman) Present() Present {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	p := Present{Me: m.session, Electors: map[string]map[string][]byte{}, Owners: map[string]Owner{}}
	for session, man := range m.present {
		p.Electors[session] = man.says
	}
	for name, l := range m.locks {
		p.Owners[name] = Owner{Session: l.session, Elector: l.man.node}
	}
	return p
}

func (m *townsman) Peek(key string) (Document, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return DocumentOf(key, m.documents[key]), true
}

func (m *townsman) Take(ctx context.Context, cluster string) (lease Lease, err error) {
	if m.refuses {
		return nil, nil
	}
	m.dawdle(ctx)
	m.change(func() {
		if m.locks[cluster] != nil || m.present[m.session] != m {
			return
		}
		l := &townLease{man: m, session: m.session, cluster: cluster}
		l.ctx, l.end = context.WithCancel(ctx)
		m.locks[cluster], lease = l, l
		m.gained[cluster]++
	})
	return lease, nil
}

// deaf keeps documents from an elector, or no longer.
func (m *townsman) deaf(is bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.isDeaf = is
}

// dawdle takes as long as it takes to take a lock.
func (m *townsman) dawdle(ctx context.Context) {
	m.count(1)
	defer m.count(-1)
	if m.slow > 0 {
		Process{}.NewBell().Wait(ctx, m.slow)
	}
}

func (m *townsman) count(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.taking += n
	m.most = max(m.most, m.taking)
}

func (m *townsman) Acquire(context.Context, string) (Lease, error) {
	return nil, errors.New("nobody waits for a lock that is shared out")
}

func (m *townsman) Holder(context.Context, string) (string, error) {
	return "", errors.New("nobody asks who holds a lock that is shared out")
}

func (m *townsman) Get(_ context.Context, key string) (Document, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.isDeaf {
		return Document{}, false, errors.New("no answer came")
	}
	value, found := m.documents[key]
	return DocumentOf(key, value), found, nil
}

func (m *townsman) List(_ context.Context, prefix string, limit int, newestFirst bool) ([]Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.isDeaf {
		return nil, errors.New("no answer came")
	}
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(m.documents)), func(key string) bool { return !strings.HasPrefix(key, prefix) })
	if newestFirst {
		slices.Reverse(keys)
	}
	var all []Document
	for _, key := range keys[:min(len(keys), limit)] {
		all = append(all, DocumentOf(key, m.documents[key]))
	}
	return all, nil
}

func (m *townsman) Ready(context.Context) error { return nil }

func (l *townLease) Held(time.Time) bool { return l.ctx.Err() == nil }

func (l *townLease) Context() context.Context { return l.ctx }

func (l *townLease) Put(_ context.Context, docs ...Document) error {
	var failed error
	lost := l.write(func() {
		for _, d := range docs {
			failed = errors.Join(failed, l.man.keep(d))
		}
	})
	return errors.Join(lost, failed)
}

func (l *townLease) write(what func()) error {
	l.man.mu.Lock()
	defer l.man.mu.Unlock()
	if l.man.locks[l.cluster] != l {
		return ErrNotLeading
	}
	l.man.writes++
	what()
	return nil
}

func (l *townLease) Update(_ context.Context, key string, edit func([]byte) ([]byte, error)) (err error) {
	lost := l.write(func() {
		var value []byte
		if value, err = edit(l.man.documents[key]); err == nil {
			l.man.documents[key] = value
		}
	})
	return errors.Join(lost, err)
}

func (l *townLease) NextTerm(_ context.Context, above uint64) (term uint64, err error) {
	err = l.write(func() {
		term = max(l.man.terms[l.cluster], above) + 1
		l.man.terms[l.cluster] = term
	})
	return term, err
}

func (l *townLease) Era() uint64 {
	l.man.mu.Lock()
	defer l.man.mu.Unlock()
	return l.man.era
}

func (l *townLease) Release(context.Context) error {
	l.man.change(func() {
		l.end()
		if l.man.locks[l.cluster] == l {
			delete(l.man.locks, l.cluster)
		}
	})
	return nil
}

// misses has an elector reach some servers no longer, and all others.
func (w *town) misses(e elector, servers ...topology.Address) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.man.misses = map[topology.Address]time.Time{}
	for _, a := range servers {
		e.man.misses[a] = time.Now()
	}
}

type townFleet struct{ *townsman }

func (townFleet) Watch(string, []topology.Address) {}

func (f townFleet) Observe(context.Context, string) []topology.Observation {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := slices.Clone(f.servers)
	for i := range all {
		all[i].At = time.Now()
		if since, missed := f.townsman.misses[all[i].Address]; missed {
			all[i] = topology.Observation{Address: all[i].Address, At: time.Now(), Reach: topology.ReachSilent, FailingSince: since}
		}
	}
	return all
}

func (townFleet) Signals(func(Signal)) {}

func (f townFleet) Do(ctx context.Context, batch Batch) []reparent.Result {
	if batch.Kind != "" && len(batch.Commands) > 0 {
		f.mu.Lock()
		f.changes[batch.Commands[0].Cluster] = batch.Kind
		f.mu.Unlock()
	}
	if f.during != nil {
		f.during(ctx, batch)
	}
	results := make([]reparent.Result, len(batch.Commands))
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range results {
		if f.obeys != nil {
			results[i] = f.obeys(batch.Commands[i])
		}
	}
	return results
}

func (townFleet) Journal(context.Context, topology.Address) ([]topology.Decision, error) {
	return nil, nil
}

func (f townFleet) Probe(_ context.Context, a topology.Address) topology.Observation {
	return f.strangers[a]
}
