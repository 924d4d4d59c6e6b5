package topology

import (
	"maps"
	"time"

	"github.com/primacydb/primacy/gtid"
)

// Decision is what an elector records before it acts, and what the term marker's row repeats.
type Decision struct {
	Cluster     string    `json:"cluster"`
	Term        uint32    `json:"term"`
	Kind        string    `json:"kind"` // adoption, planned or emergency
	Primary     Address   `json:"primary"`
	PrimaryUUID gtid.UUID `json:"primary_uuid"`
	// Incarnation is the process that was chosen; what another process of the same server holds under
	// this decision's marker proves nothing.
	Incarnation string `json:"incarnation"`
	Ruleset     uint64 `json:"ruleset"`
	// Base is the history that the decision honours: everything else of earlier terms is cancelled.
	Base gtid.Set `json:"base"`
	// Reached are the servers whose positions the decision rests on.
	Reached   ServerSet `json:"reached"`
	Elector   string    `json:"elector"`
	DecidedAt time.Time `json:"decided_at"`
	// Previous is the hash of the decision before this one, which makes the journal a chain.
	Previous string `json:"previous_hash"`
	// Hash is the hex SHA-256 over all the other fields.
	Hash string `json:"hash"`
}

// LatestRules is the number of the latest rules that any leadership was decided under.
func (h History) LatestRules() (number uint64) {
	for _, l := range h.Leaderships {
		number = max(number, l.Ruleset)
	}
	return number
}

// Leadership is a decision and what became of it.
type Leadership struct {
	Decision
	// EstablishedAt is zero while the outcome is unknown: the marker may or may not have been acked.
	EstablishedAt time.Time `json:"established_at,omitzero"`
	// Accepted are errant transactions that somebody had taken into the history of this leadership, by the server that
	// held them: the primary has them, or is about to get them. They belong to the history of whoever got them from the
	// primary; what that server holds of them counts once the primary was seen to hold it. The base of the next leadership
	// contains what came of them.
	Accepted map[Address]gtid.Set `json:"accepted,omitempty"`
}

// Accepts are all transactions that were taken into the leadership's history after its establishment.
func (l Leadership) Accepts() (all gtid.Set) {
	for _, set := range l.Accepted {
		all = all.Union(set)
	}
	return all
}

// Accepting is the leadership with more transactions of one server taken into its history.
func (l Leadership) Accepting(from Address, set gtid.Set) Leadership {
	accepted := map[Address]gtid.Set{}
	maps.Copy(accepted, l.Accepted)
	accepted[from] = accepted[from].Union(set)
	l.Accepted = accepted
	return l
}

// Holding is the leadership with only those transactions taken into its history that its primary holds.
func (l Leadership) Holding(held gtid.Set) Leadership {
	accepted := map[Address]gtid.Set{}
	for from, set := range l.Accepted {
		if set = set.Intersect(held); !set.IsEmpty() {
			accepted[from] = set
		}
	}
	l.Accepted = accepted
	return l
}

// Established tells whether the leadership is known to have been established.
func (l Leadership) Established() bool { return !l.EstablishedAt.IsZero() }

// Marker is the decision's term marker.
func (d Decision) Marker() Marker { return Marker{Term: d.Term, Hash: markerHash(d.Hash)} }

// History is what is known about a cluster besides what its servers show right now: recorded
// leaderships, and what was last seen of servers that may no longer answer.
type History struct {
	// Leaderships holds the established leadership and every later one whose outcome is unknown, in
	// order of term; empty for a cluster that was never adopted.
	Leaderships []Leadership `json:"leaderships"`
	// Leaders are the server UUIDs that ever led by record; a transaction of any other UUID outside
	// Base is errant by construction.
	Leaders []gtid.UUID `json:"leaders"`
	// Recovered is set when this was taken over from the servers' journals because the store had lost it, until a term is
	// established again: a change may have been begun since that nobody shows.
	Recovered bool `json:"recovered,omitempty"`
	// LastSeen is the last answered probe of each server.
	LastSeen Sightings `json:"-"`
	// Floor is the last position seen as committed on the established primary while semi-sync was
	// verified on and the process was the one that was established.
	Floor gtid.Set `json:"-"`
}

// Sightings are answered probes by server. What they point to is never changed: readers keep what they were given.
type Sightings map[Address]*Observation

// Of points to the sighting of a server; without any, to an observation that says nothing.
func (s Sightings) Of(a Address) *Observation {
	if o := s[a]; o != nil {
		return o
	}
	return &Observation{}
}

// Current is the latest established leadership; false when there is none.
func (h History) Current() (Leadership, bool) {
	for i := len(h.Leaderships) - 1; i >= 0; i-- {
		if l := &h.Leaderships[i]; !l.EstablishedAt.IsZero() {
			return *l, true
		}
	}
	return Leadership{}, false
}

// Word is what another elector says about a server: evidence from a second pair of eyes.
type Word struct {
	Elector string    `json:"elector"`
	Server  Address   `json:"server"`
	At      time.Time `json:"at"`
	Reach   Reach     `json:"reach"`
}

// Snapshot is everything that the deciding code may look at: what each probe saw and when, in the
// order of the ruleset's members.
type Snapshot struct {
	Cluster string    `json:"cluster"`
	At      time.Time `json:"at"`
	Ruleset Ruleset   `json:"ruleset"`
	Servers []Observation
	Words   []Word
	// Maintenance are servers that an operator keeps out; Reparenting is set while an operation runs.
	Maintenance ServerSet
	Reparenting bool
	// MaintenanceEnds says until when, of those that do not stay out until somebody takes them back.
	MaintenanceEnds map[Address]time.Time
	// Held is set while an operator has the whole cluster in maintenance: nothing is changed by itself.
	Held *Held
	// GivenUp are servers whose source refuses the credentials that Primacy has renewed on them, and how often it did: it has
	// stopped trying.
	GivenUp map[Address]int
	// Rehomed is how often cascaded replicas were attached to the primary lately: whoever was more than once goes back later.
	Rehomed map[Address]int
	// Settling is a server with which somebody is at work because of its errant transactions, or to clone it; empty when there is none.
	Settling Address
	// RulesNumbered is set where each change of the rules is counted, so that their numbers tell which are later.
	RulesNumbered bool
	// RulesRefused says why the configured ruleset is not in force; empty when it is.
	RulesRefused string
	// RulesByHand is set instead when somebody has asked for other rules since the file was read; RulesPending when the change
	// is made as soon as the cluster is ready for it.
	RulesByHand  string
	RulesPending bool
	// StoreSilent is since when the store has not answered this elector, StoreError what the last attempt met; zero while
	// it does answer.
	StoreSilent time.Time
	StoreError  string
	// OthersLost and OthersWatched count the servers of *all* clusters that this elector cannot reach
	// or watches: whether we are the broken part.
	OthersLost, OthersWatched int
}

// Held says who has a cluster in maintenance, why, and until when; zero: until somebody ends it.
type Held struct {
	By, Reason string
	Until      time.Time
}

// Server points to what was seen of a server, which must not be changed; an address that was never probed gives ReachUnknown.
func (s Snapshot) Server(a Address) *Observation {
	if i := s.place(a); i >= 0 {
		return &s.Servers[i]
	}
	return &Observation{Address: a}
}

// Find points to what was seen of a server, which must not be changed; nil when it was never probed.
func (s *Snapshot) Find(a Address) *Observation {
	if i := s.place(a); i >= 0 {
		return &s.Servers[i]
	}
	return nil
}

// place is where an observation stands; negative when the address was never probed.
func (s *Snapshot) place(a Address) int {
	for i := range s.Servers {
		if s.Servers[i].Address == a {
			return i
		}
	}
	return -1
}

// Reached is the set of servers that answered their last probe.
func (s *Snapshot) Reached() ServerSet {
	return s.where(func(o *Observation) bool { return o.Reach.OK() })
}

// answered tells whether any server answered its last probe.
func (s *Snapshot) answered() bool {
	for i := range s.Servers {
		if s.Servers[i].Reach.OK() {
			return true
		}
	}
	return false
}

// LedBeside tells whether another server than this one takes writes as a primary does, or has, as far as was seen: it is
// open, and its commits wait for acknowledgements that somebody may give, or the ruleset asks for none. A replica that
// somebody has merely opened answers clients without any, which nobody has promised to keep.
func (s *Snapshot) LedBeside(a Address) bool {
	return !s.where(func(o *Observation) bool {
		return o.Address != a && o.Writable() && (s.Ruleset.AcksNeeded(o.Address) == 0 || o.SemiSync.Verified() && !s.Deserted(o, a))
	}).IsEmpty()
}

// Deserted tells whether an open primary has been left for another server by so many that it completes nothing, and
// completed nothing that the other one lacks: whoever gave an acknowledgement would hold what it was for. It is open
// because nobody could close it, as while it was frozen, and not because somebody opened it again.
func (s *Snapshot) Deserted(o *Observation, leftFor Address) bool {
	if !o.SemiSync.Verified() {
		return false
	}
	var successor gtid.Set
	if i := s.place(leftFor); i >= 0 {
		successor = s.Servers[i].Position()
	}
	loyal := 0
	for i := range s.Servers {
		switch x := &s.Servers[i]; {
		case x.Address == o.Address:
		case !x.Reach.OK(), x.Replication != nil && x.Replication.Source == o.Address && x.Replication.Receiver != ThreadOff:
			loyal++
		case !successor.Contains(x.Position().Only(func(source gtid.Source) bool { return source.UUID == o.UUID })):
			return false
		}
	}
	return max(loyal, o.SemiSync.Clients) < o.SemiSync.Acks
}

func (s *Snapshot) where(keep func(*Observation) bool) ServerSet {
	var kept []Address
	for i := range s.Servers {
		if keep(&s.Servers[i]) {
			if kept == nil {
				kept = make([]Address, 0, len(s.Servers)-i)
			}
			kept = append(kept, s.Servers[i].Address)
		}
	}
	return ordered(kept)
}
