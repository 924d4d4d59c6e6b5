package orchestrator

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/goccy/go-json"
)

// What electors say about themselves, each under a subject of its own.
const (
	aboutSubject = "about"
	unfitSubject = "unfit"
)

// about is what an elector says once.
type about struct {
	Version  int      `json:"version"`
	Node     string   `json:"node"`
	Process  string   `json:"process"` // tells two processes of one name apart
	Clusters []string `json:"clusters"`
	// API is where callers are sent with what this elector acts for; those of earlier releases do not say.
	API string `json:"api,omitempty"`
}

// unfit are clusters that an elector asks others to act for, by why.
type unfit struct {
	Clusters map[string]string `json:"clusters"`
}

const (
	// standInAfter is how long a lock is left to the elector that it is meant for, and that takes no other one meanwhile,
	// before another takes it, and then the next: one that lives and does not take what is its own is broken in a way that
	// nobody foresaw.
	standInAfter = 3 * time.Second
	// shunFor is how long nothing is handed over to such a one.
	shunFor = 10 * time.Minute
	// peersAfter is how long an elector that starts where nobody acts for anything waits for others. Those that are started
	// together then begin with their shares, and move nothing.
	peersAfter = time.Second
	// sameNameAfter is how long another may go by our name: what an earlier life of ours left behind is gone by then.
	sameNameAfter = 30 * time.Second
	// reckonEvery is how often the division is looked at although nobody said anything, and reckonRest how long it is let be
	// in any case: hundreds of locks that change hands are as many pieces of news, and each would divide everything anew.
	reckonEvery = time.Second
	reckonRest  = 50 * time.Millisecond
)

// sharing is how the clusters are divided among the electors of one store, as this one has heard. It decides for which
// locks to try and which to hand over. Who acts is decided by the locks alone: electors that have heard different things
// may both try for one, and one of them fails.
type sharing struct {
	o       *Orchestrator
	company Company
	process string
	changed Bell // something was heard

	mu      sync.Mutex
	turns   map[string]turn   // by cluster
	unfit   map[string]string // clusters that we ask others to act for
	asked   int               // how often that has changed
	nextOut time.Time         // when another cluster may be handed over
	taking  int               // how many clusters are being taken
	queue   []*cluster        // those that wait to be
	// shunned are electors that left a lock to us although it was meant for them, by session, and until when nothing is
	// handed over to them.
	shunned map[string]time.Time
	// gained is when each session was last heard to have gained a lock: one that takes one after the other is not broken.
	gained map[string]time.Time

	talk conference

	// What follows is the keeper's alone.
	heard   map[string]*colleague // by session
	begun   time.Time             // when we were first heard of
	settled bool                  // others had the time to show up
}

// colleague is an elector that lives, with what it says. Each is read anew only when it changes.
type colleague struct {
	says    map[string][]byte
	about   about
	unfit   unfit
	asks    asks
	answers answers
	since   time.Time
	warned  bool
}

// turn is what one cluster is to this elector.
type turn struct {
	ours  bool      // it is ours to act for
	to    string    // the session that it is for, empty when nobody knows
	node  string    // and the name of that elector
	since time.Time // since when that is so
	owner Owner     // who holds the lock
	api   string    // where that one's API is reached; empty when it does not say
	free  time.Time // since when nobody does
	place int       // our place among those who stand in when the one that it is for does not take it; 0 for none
}

func newSharing(o *Orchestrator) *sharing {
	return &sharing{
		o: o, company: o.settings.Company, process: rand.Text(), changed: o.settings.Runtime.NewBell(),
		turns: map[string]turn{}, unfit: map[string]string{}, heard: map[string]*colleague{}, shunned: map[string]time.Time{}, gained: map[string]time.Time{},
		talk: newConference(),
	}
}

// run tells the others of this elector, and divides anew whenever something is heard.
func (s *sharing) run(ctx context.Context) {
	s.company.Heard(s.changed.Ring)
	s.say(aboutSubject, about{Version: recordVersion, Node: s.o.settings.Elector, Process: s.process, Clusters: s.o.names, API: s.o.settings.API})
	rest := s.o.settings.Runtime.NewBell() // which nobody rings
	for ctx.Err() == nil {
		s.reckon(s.o.settings.Runtime.Now())
		rest.Wait(ctx, reckonRest)
		s.changed.Wait(ctx, s.patience())
	}
	s.say(aboutSubject, about{Version: recordVersion, Node: s.o.settings.Elector, Process: s.process}) // what we give back is not for us
}

func (s *sharing) patience() time.Duration {
	switch {
	case s.untold():
		return tellEvery
	case s.settled:
		return reckonEvery
	}
	return peersAfter / 10
}

func (s *sharing) say(subject string, what any) {
	text, err := json.Marshal(what)
	if err != nil {
		text = nil // names and reasons always encode
	}
	s.company.Announce(subject, text)
}

// reckon divides the clusters by what was heard last, and wakes those whose turn has changed.
func (s *sharing) reckon(now time.Time) {
	p := s.company.Present()
	s.listen(p, now)
	s.converse(p.Me, now)
	s.tellTalk(now)
	s.warn(p.Me, now)
	electors := s.sharers()
	owners := make(map[string]string, len(p.Owners))
	for name, o := range p.Owners {
		owners[name] = o.Session
	}
	given := map[string]string{}
	if s.settle(p, now) {
		given = shares(s.allNames(), electors, owners)
	}
	for _, name := range s.o.names {
		s.set(name, s.turn(name, given[name], p, electors), now)
	}
}

// listen keeps what each elector says, read.
func (s *sharing) listen(p Present, now time.Time) {
	maps.DeleteFunc(s.heard, func(session string, _ *colleague) bool { return p.Electors[session] == nil })
	for session, says := range p.Electors {
		c := s.heard[session]
		if c == nil {
			c = &colleague{since: now}
			s.heard[session] = c
		}
		c.hear(says)
	}
}

// hear reads what has changed. What cannot be read is taken for silence: it comes from a release that says it otherwise.
func (c *colleague) hear(says map[string][]byte) {
	if !sameText(c.says[aboutSubject], says[aboutSubject]) {
		c.about = about{}
		_ = json.Unmarshal(says[aboutSubject], &c.about)
	}
	if !sameText(c.says[unfitSubject], says[unfitSubject]) {
		c.unfit = unfit{}
		_ = json.Unmarshal(says[unfitSubject], &c.unfit)
	}
	if !sameText(c.says[asksSubject], says[asksSubject]) {
		c.asks = asks{}
		_ = json.Unmarshal(says[asksSubject], &c.asks)
	}
	if !sameText(c.says[answersSubject], says[answersSubject]) {
		c.answers = answers{}
		_ = json.Unmarshal(says[answersSubject], &c.answers)
	}
	c.says = says
}

func sameText(a, b []byte) bool { return string(a) == string(b) }

// lists tells whether the elector is configured for a cluster.
func (c *colleague) lists(cluster string) bool {
	_, found := slices.BinarySearch(c.about.Clusters, cluster)
	return found
}

// sharers are the electors that clusters can be given to. A cluster for which nobody is fit is for anybody: an elector
// that sees little of it is better than none.
func (s *sharing) sharers() []sharer {
	var all []sharer
	for session, c := range s.heard {
		if len(c.about.Clusters) == 0 || s.replaced(session, c) {
			continue
		}
		all = append(all, sharer{id: session, node: c.about.Node, acts: func(cluster string) bool {
			_, isUnfit := c.unfit.Clusters[cluster]
			return c.lists(cluster) && (!isUnfit || !s.someFit(cluster))
		}})
	}
	slices.SortFunc(all, func(a, b sharer) int { return cmp.Compare(a.id, b.id) })
	return all
}

// replaced tells whether the process of a session has begun another since, as it does when it has lost one.
func (s *sharing) replaced(session string, c *colleague) bool {
	for other, o := range s.heard {
		if other != session && o.about.Process == c.about.Process && (o.since.After(c.since) || o.since.Equal(c.since) && other > session) {
			return true
		}
	}
	return false
}

func (s *sharing) someFit(cluster string) bool {
	for _, c := range s.heard {
		if _, isUnfit := c.unfit.Clusters[cluster]; !isUnfit && c.lists(cluster) {
			return true
		}
	}
	return false
}

// allNames are the clusters that any elector is configured for: all have to divide the same.
func (s *sharing) allNames() []string {
	all := map[string]bool{}
	for _, c := range s.heard {
		for _, name := range c.about.Clusters {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// settle tells whether to divide yet: not before the others hear of us, nor, while nobody has anything, before others had
// the time to show up.
func (s *sharing) settle(p Present, now time.Time) bool {
	c := s.heard[p.Me]
	if c == nil || c.about.Node == "" {
		return false
	}
	if s.begun.IsZero() {
		s.begun = now
	}
	s.settled = s.settled || len(p.Owners) > 0 || now.Sub(s.begun) >= peersAfter
	return s.settled
}

func (s *sharing) turn(name, to string, p Present, electors []sharer) turn {
	t := turn{ours: to != "" && to == p.Me, to: to, owner: p.Owners[name]}
	if c := s.heard[to]; c != nil {
		t.node = c.about.Node
	}
	if c := s.heard[t.owner.Session]; c != nil {
		t.api = c.about.API
	}
	if to == "" || t.ours || t.owner != (Owner{}) {
		return t
	}
	others := slices.DeleteFunc(ranked(name, electors), func(e sharer) bool { return e.id == to })
	t.place = 1 + slices.IndexFunc(others, func(e sharer) bool { return e.id == p.Me })
	return t
}

// set keeps a turn, with since when it is so.
func (s *sharing) set(name string, t turn, now time.Time) {
	s.mu.Lock()
	before, known := s.turns[name]
	if t.since = before.since; !known || before.to != t.to {
		t.since = now
	}
	if t.owner.Session != before.owner.Session {
		s.gained[t.owner.Session] = now
	}
	if t.owner == (Owner{}) {
		if t.free = before.free; t.free.IsZero() {
			t.free = now
		}
	}
	s.turns[name] = t
	s.mu.Unlock()
	if before != t {
		s.o.clusters[name].turned.Ring()
	}
}

// warn tells of another process that goes by our name, once.
func (s *sharing) warn(me string, now time.Time) {
	for session, c := range s.heard {
		if session == me || c.warned || c.about.Node != s.o.settings.Elector || c.about.Process == s.process || now.Sub(c.since) < sameNameAfter {
			continue
		}
		c.warned = true
		s.o.events.Tell(Event{Kind: EventStore, At: now, Text: fmt.Sprintf(
			"another elector that shares this store is called %s too; give each a node name of its own", s.o.settings.Elector)})
	}
}

// wait is how long to wait before trying for a lock: 0 for not at all, and forever when it is not for us.
func (s *sharing) wait(cluster string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.turns[cluster]
	isFree := t.owner == (Owner{})
	switch {
	case t.ours && (isFree || t.owner.Session == t.to): // our own lock here is one that nobody in this process has
		return 0
	case isFree && t.place > 0:
		since := t.free
		if last := s.gained[t.to]; last.After(since) {
			since = last
		}
		return max(0, since.Add(time.Duration(t.place)*standInAfter).Sub(now))
	}
	return forever
}

// owner is the elector that acts for a cluster, as last heard.
func (s *sharing) owner(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns[cluster].owner.Elector
}

// reached is where the API of the elector is reached that acts for a cluster, by its name; empty when it does not say, or
// another one acts by now.
func (s *sharing) reached(cluster, elector string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.turns[cluster]; t.owner.Elector == elector {
		return t.api
	}
	return ""
}

// ask has others act for a cluster that we cannot act for, or says that we can again when why is empty.
func (s *sharing) ask(cluster, why string) {
	s.mu.Lock()
	before, asked := s.unfit[cluster]
	if asked == (why != "") && before == why {
		s.mu.Unlock()
		return
	}
	if s.unfit[cluster] = why; why == "" {
		delete(s.unfit, cluster)
	}
	s.asked++
	s.mu.Unlock()
	s.sayUnfit()
}

// sayUnfit tells for which clusters others are asked to act. Several clusters may ask in one moment: whoever finds that what
// it has told was older than what is asked by now tells it again, so that the latest is what stands.
func (s *sharing) sayUnfit() {
	for told := -1; ; {
		s.mu.Lock()
		if told == s.asked {
			s.mu.Unlock()
			return
		}
		told = s.asked
		said := unfit{Clusters: maps.Clone(s.unfit)}
		s.mu.Unlock()
		s.say(unfitSubject, said)
	}
}

// take waits until a lock is ours to take, and takes it.
func (s *sharing) take(ctx context.Context, c *cluster) (Lease, error) {
	for ctx.Err() == nil {
		if wait := s.wait(c.name, c.now()); wait != 0 {
			c.turned.Wait(ctx, wait)
			continue
		}
		if !s.admit(c) {
			c.turned.Wait(ctx, takeAgain)
			continue
		}
		meantFor := s.meantForAnother(c.name)
		lease, err := s.company.Take(ctx, c.name)
		if lease != nil && meantFor != "" {
			s.shun(meantFor, c.now().Add(shunFor))
		}
		if lease != nil {
			return lease, nil
		}
		if s.taken(); err != nil {
			return nil, err
		}
		c.turned.Wait(ctx, takeAgain)
	}
	return nil, ctx.Err()
}

// takingMax is how many clusters an elector takes at a time, each with some reading and writing. When an elector with
// hundreds dies, all at once would have a slow store answer none of them in time, nor the keep-alive that all depend on.
const takingMax = 32

// admit lets a cluster be taken, until taken is called, unless so many are that it has to wait.
func (s *sharing) admit(c *cluster) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking < takingMax {
		s.taking++
		return true
	}
	if !slices.Contains(s.queue, c) {
		s.queue = append(s.queue, c)
	}
	return false
}

// taken lets the next one try. One that does not want to any more is no loss: the others try now and then.
func (s *sharing) taken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking--
	if len(s.queue) > 0 {
		s.queue[0].turned.Ring()
		s.queue = s.queue[1:]
	}
}

// meantForAnother is the session that has left a lock to us, empty when it is our own.
func (s *sharing) meantForAnother(cluster string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.turns[cluster]; !t.ours {
		return t.to
	}
	return ""
}

func (s *sharing) shun(session string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shunned[session] = until
}

// takeAgain is the pause after a lock could not be taken although it was heard to be free: the news is on its way.
const takeAgain = 250 * time.Millisecond
