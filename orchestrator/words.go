package orchestrator

import (
	"maps"
	"slices"
	"time"

	"github.com/primacydb/primacy/topology"
)

// Electors compare what they see by question and answer. One that acts for a cluster and does not reach its primary asks;
// each other one that lists the cluster looks at once and answers what it reaches. Nothing is asked, and nothing written,
// as long as all is well.
//
// An answer counts as of the moment at which its question was asked, by the clock of the one that asked: the look was
// later than that, however late the answer comes and whatever the other's clock shows.
const (
	asksSubject    = "asks"
	answersSubject = "answers"
)

const (
	// askEvery is how long an answer is good for before the question is asked again.
	askEvery = time.Second
	// tellEvery bounds how often questions and answers are written, those about all clusters in one document.
	tellEvery = 200 * time.Millisecond
)

// asks are the numbers of the questions that an elector has about clusters.
type asks struct {
	Clusters map[string]uint64 `json:"clusters"`
}

// answers are what an elector answers about clusters.
type answers struct {
	Clusters map[string]answer `json:"clusters"`
}

// answer is what an elector reached after it had heard a question.
type answer struct {
	To     string                              `json:"to"` // the session that asked
	Number uint64                              `json:"number"`
	Reach  map[topology.Address]topology.Reach `json:"reach"`
}

// question is one of ours: its number, when it was asked, and when the one before it was.
type question struct {
	number     uint64
	at, before time.Time
}

// asked is when the question with a number was asked; false when that is too long ago.
func (q question) asked(number uint64) (time.Time, bool) {
	switch number {
	case q.number:
		return q.at, true
	case q.number - 1:
		return q.before, !q.before.IsZero()
	}
	return time.Time{}, false
}

// inquiry is the question of another, with when it was heard.
type inquiry struct {
	session string
	number  uint64
	heard   time.Time
}

// reply is an answer to us with who gave it.
type reply struct {
	node string
	answer
}

// conference is what is asked and answered. It is kept under the lock of sharing.
type conference struct {
	latest    map[string]uint64   // the number of our last question, by cluster
	questions map[string]question // ours, by cluster
	inquiries map[string]inquiry  // those of others, by cluster
	answers   map[string]answer   // ours
	replies   map[string][]reply  // those of others to us, by cluster
	changed   bool                // ours, since they were told last
	told      time.Time
}

func newConference() conference {
	return conference{latest: map[string]uint64{}, questions: map[string]question{}, inquiries: map[string]inquiry{}, answers: map[string]answer{}, replies: map[string][]reply{}}
}

// inquire asks about a cluster, again when the last question is old.
func (s *sharing) inquire(cluster string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, asked := s.talk.questions[cluster]
	if asked && now.Sub(before.at) < askEvery {
		return
	}
	s.talk.latest[cluster]++
	s.talk.questions[cluster] = question{number: s.talk.latest[cluster], at: now, before: before.at}
	s.talk.changed = true
	s.changed.Ring()
}

// content takes a question back.
func (s *sharing) content(cluster string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, asked := s.talk.questions[cluster]; asked {
		delete(s.talk.questions, cluster)
		delete(s.talk.replies, cluster)
		s.talk.changed = true
		s.changed.Ring()
	}
}

// answer answers what another has asked, if the round of probes began after the question was heard.
func (s *sharing) answer(cluster string, r round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, asked := s.talk.inquiries[cluster]
	last := s.talk.answers[cluster]
	if !asked || !r.began.After(q.heard) || last.To == q.session && last.Number == q.number {
		return
	}
	a := answer{To: q.session, Number: q.number, Reach: make(map[topology.Address]topology.Reach, len(r.servers))}
	for i := range r.servers {
		a.Reach[r.servers[i].Address] = r.servers[i].Reach
	}
	s.talk.answers[cluster], s.talk.changed = a, true
	s.changed.Ring()
}

// converse takes in what others ask and answer. Whoever is asked looks at once.
func (s *sharing) converse(me string, now time.Time) {
	s.mu.Lock()
	inquiries, replies := map[string]inquiry{}, map[string][]reply{}
	var alarmed []string
	for _, session := range slices.Sorted(maps.Keys(s.heard)) {
		c := s.heard[session]
		if session == me || c.about.Node == "" {
			continue
		}
		for cluster, number := range c.asks.Clusters {
			q := inquiry{session, number, now}
			if known := s.talk.inquiries[cluster]; known.session == session && known.number == number {
				q.heard = known.heard
			} else if s.o.clusters[cluster] != nil {
				alarmed = append(alarmed, cluster)
			}
			inquiries[cluster] = q
		}
		for cluster, a := range c.answers.Clusters {
			if _, asked := s.talk.questions[cluster]; asked && a.To == me {
				replies[cluster] = append(replies[cluster], reply{c.about.Node, a})
			}
		}
	}
	s.talk.inquiries, s.talk.replies = inquiries, replies
	before := len(s.talk.answers)
	maps.DeleteFunc(s.talk.answers, func(cluster string, _ answer) bool { return inquiries[cluster].session == "" })
	s.talk.changed = s.talk.changed || len(s.talk.answers) != before
	s.mu.Unlock()
	for _, cluster := range alarmed {
		s.o.clusters[cluster].alarm()
	}
}

// tellTalk tells what we ask and answer, if that has changed and was not told just now.
func (s *sharing) tellTalk(now time.Time) {
	s.mu.Lock()
	if !s.talk.changed || now.Sub(s.talk.told) < tellEvery {
		s.mu.Unlock()
		return
	}
	s.talk.changed, s.talk.told = false, now
	questions := asks{map[string]uint64{}}
	for cluster, q := range s.talk.questions {
		questions.Clusters[cluster] = q.number
	}
	replies := answers{maps.Clone(s.talk.answers)}
	s.mu.Unlock()
	s.say(asksSubject, questions)
	s.say(answersSubject, replies)
}

// untold tells whether something waits to be told.
func (s *sharing) untold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.talk.changed
}

// words are what others have answered about a cluster's servers.
func (s *sharing) words(cluster string) (all []topology.Word) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.talk.questions[cluster]
	for _, r := range s.talk.replies[cluster] {
		at, valid := q.asked(r.Number)
		if !valid {
			continue
		}
		for _, server := range slices.Sorted(maps.Keys(r.Reach)) {
			all = append(all, topology.Word{Elector: r.node, Server: server, At: at, Reach: r.Reach[server]})
		}
	}
	return all
}

// replies are the answers of others about a cluster, as they are.
func (s *sharing) replies(cluster string) []reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.talk.replies[cluster])
}

// confer asks others when a second pair of eyes would help, and answers them.
func (c *cluster) confer(r round) {
	s := c.o.sharing
	switch {
	case s == nil:
	case c.lease == nil:
		s.content(c.name)
		s.answer(c.name, r)
	case c.isolated() || !c.reachesPrimary():
		s.inquire(c.name, c.now())
	default:
		s.content(c.name)
	}
}

func (c *cluster) isolated() bool {
	return slices.ContainsFunc(c.findings, func(f topology.Finding) bool { return f.Code == topology.ElectorIsolated })
}

// reachesPrimary is true as well when there is none.
func (c *cluster) reachesPrimary() bool {
	current, led := c.lineage.History.Current()
	return !led || lives(c.snapshot.Server(current.Primary).Reach)
}

func lives(r topology.Reach) bool { return r == topology.ReachOK || r == topology.ReachDenied }
