package mysqld

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// The fence. A session may change its server from the moment at which one look, taken while it holds
// the cluster's named lock, shows
//
//	(1) no session of a higher term, and none of the same term that is not ours,
//	(2) no session of a lower term that could still begin a statement,
//	(3) no marker of a higher term in executed ∪ received.
//
// Let O be an older elector's session and N a newer one's. Each announces its term when it connects,
// which is before it looks. If O connects after N's last look, then O looks while N's announcement
// stands, and (1) refuses O. If O connected before it, (2) made N kill O and wait for its end. So no
// statement of O begins once N acts, however long O's process was paused. Where N has gone again, its
// marker speaks (3); where it left none it established nothing.
//
// Attributes are read for every session of our account's name, from whatever host: session_account_connect_attrs
// would hide electors on other hosts. Tried on 9.7; the tables are the same since 8.0.26.

// fenceEvery paces the wait for killed sessions to end.
const fenceEvery = 2 * time.Millisecond

// fence lets a new link through, and returns its number on the server.
func (s *session) fence(ctx context.Context, l *link) (int64, error) {
	tick := time.NewTicker(fenceEvery)
	defer tick.Stop()
	obstacle := "has not answered"
	ended := killed{}
	for {
		seen, err := s.look(ctx, l)
		if ctx.Err() != nil {
			return 0, refuse(reparent.ReasonDeadline, "no fenced session in time: %s %s", s.server, obstacle)
		}
		if err != nil {
			return 0, fenceFailed(s.server, err)
		}
		rivals, err := s.judge(seen, ended)
		if err != nil {
			return 0, err
		}
		if seen.locked && len(rivals) == 0 {
			return seen.id, nil
		}
		obstacle = seen.obstacle(rivals)
		if err := ended.kill(ctx, l, rivals); err != nil && ctx.Err() == nil {
			return 0, fenceFailed(s.server, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func fenceFailed(server topology.Address, err error) error {
	if errno := mysqlErrno(err); denials[errno] {
		return refuse(reparent.ReasonDenied, "no fenced session on %s: %v", server, err)
	}
	return refuse(reparent.ReasonUnreachable, "no fenced session on %s: %v", server, err)
}

// look is everything that the fence depends on, in one round trip. The lock comes first, for what is
// read before it may be outdated when it is granted.
func (s *session) look(ctx context.Context, l *link) (sight, error) {
	results, err := l.queryAll(ctx, "SELECT CONNECTION_ID(), GET_LOCK(?, 0), IS_USED_LOCK(?);"+
		announcedSessions+"; SELECT @@global.gtid_executed;"+
		"SELECT received_transaction_set FROM performance_schema.replication_connection_status",
		lockName(s.cluster), lockName(s.cluster))
	if err != nil {
		return sight{}, err
	}
	if len(results) != 4 || len(results[0]) != 1 {
		return sight{}, fmt.Errorf("%d results of 4 came back", len(results))
	}
	first := results[0][0]
	seen := sight{id: first[0].number(), locked: first[1].on(), holder: first[2].number(), sessions: announced(results[1])}
	seen.position, err = positionOf(results[2], results[3])
	return seen, err
}

// announcedSessions lists the attributes of all sessions of our account's name.
const announcedSessions = `SELECT a.processlist_id, a.attr_name, a.attr_value, t.processlist_state, t.processlist_command
	FROM performance_schema.session_connect_attrs a JOIN performance_schema.threads t USING (processlist_id)
	WHERE a.attr_name LIKE 'primacy\_%' AND t.processlist_user = SUBSTRING_INDEX(USER(), '@', 1)`

// sight is what one look showed.
type sight struct {
	id       int64
	locked   bool
	holder   int64 // of the named lock
	sessions []rival
	position gtid.Set
}

// rival is another announced session on the same server, or our own.
type rival struct {
	id      int64
	cluster string
	term    uint64
	elector string
	process string
	duty    duty
	nonce   string
	state   string
	idle    bool // it waits for a statement
}

func announced(rows []row) (all []rival) {
	at := map[int64]int{}
	for _, r := range rows {
		id := r[0].number()
		i, known := at[id]
		if !known {
			i, at[id] = len(all), len(all)
			all = append(all, rival{id: id, state: r[3].text, idle: r[4].text == "Sleep"})
		}
		all[i].attribute(r[1].text, r[2].text)
	}
	return all
}

func (r *rival) attribute(name, value string) {
	switch name {
	case attrCluster:
		r.cluster = value
	case attrTerm:
		r.term, _ = strconv.ParseUint(value, 10, 64)
	case attrElector:
		r.elector = value
	case attrProcess:
		r.process = value
	case attrDuty:
		r.duty = duty(value)
	case attrNonce:
		r.nonce = value
	}
}

// killed are sessions for which KILL has returned: they begin no further statement. The performance
// schema does not tell them from others, so whoever kills has to remember. Numbers are not used twice.
type killed map[int64]bool

// spent tells whether a killed session is in a statement that cannot be ended: a commit that waits for
// acknowledgements, or behind one that does (it is tentative, and the protocol reckons with it), or a
// STOP REPLICA.
func (k killed) spent(r rival) bool {
	return k[r.id] && (r.duty == dutyStop || r.state == stateCommit || strings.HasPrefix(r.state, ackWaitState))
}

// kill ends sessions; one that has ended by itself meanwhile is no error (1094).
func (k killed) kill(ctx context.Context, l *link, rivals []rival) error {
	for _, r := range rivals {
		if k[r.id] {
			continue
		}
		if err := l.exec(ctx, "KILL "+strconv.FormatInt(r.id, 10)); err != nil && mysqlErrno(err) != errNoSuchThread {
			return err
		}
		k[r.id] = true
	}
	return nil
}

// ackWaitState begins the state of a session that waits for acknowledgements; the rest of the words
// changed with 8.0.26.
const ackWaitState = "Waiting for semi-sync ACK"

// judge applies the three rules. It returns the sessions that have to end first.
func (s *session) judge(seen sight, ended killed) ([]rival, error) {
	if m, ok := topology.HighestMarker(seen.position); ok && m.Term > s.term {
		return nil, fencedBy(m.Term, "%s holds the marker of term %d, we act under %d", s.server, m.Term, s.term)
	}
	us := s.announcement(dutyAct, "")
	var rivals []rival
	visible := false
	for _, other := range seen.sessions {
		switch {
		case other.id == seen.id:
			visible = other.process == s.process
		case other.cluster != us[attrCluster]:
		default:
			mustEnd, err := s.judgeRival(other)
			if err != nil {
				return nil, err
			}
			if mustEnd && !ended.spent(other) {
				rivals = append(rivals, other)
			}
		}
	}
	if !visible {
		return nil, refuse(reparent.ReasonRefused, "%s does not show connection attributes (performance_schema is off, or "+
			"performance_schema_session_connect_attrs_size is too small): other electors could not be seen", s.server)
	}
	return rivals, nil
}

// judgeRival tells whether one other session has to end before we act, or whether we may not act. Each
// process draws terms of its own, so one of our term that is another process', be it of our own name, was
// given out by a store that has forgotten it since: a marker may wait in that session. Whoever holds the
// lock draws a higher one.
func (s *session) judgeRival(other rival) (mustEnd bool, err error) {
	ours := other.elector == s.announcement(dutyAct, "")[attrElector]
	switch {
	case other.term > uint64(s.term):
		return false, fencedBy(uint32(min(other.term, math.MaxUint32)), "elector %q acts on %s under term %d, we under %d", other.elector, s.server, other.term, s.term)
	case other.term < uint64(s.term):
		return true, nil
	case !ours:
		return false, fencedBy(s.term, "elector %q acts on %s under our term %d", other.elector, s.server, s.term)
	case other.process != s.process:
		return false, fencedBy(s.term, "another process of elector %q acts on %s under our term %d", s.fleet.settings.Elector, s.server, s.term)
	default:
		// Our own. A second one that acts is the broken predecessor of this one; those with another duty
		// belong to commands that still have an owner.
		return other.duty == dutyAct, nil
	}
}

// obstacle says what the fence waited for.
func (v sight) obstacle(rivals []rival) string {
	if len(rivals) > 0 {
		return fmt.Sprintf("still runs session %d of elector %q, term %d, which was killed (%s)", rivals[0].id, rivals[0].elector, rivals[0].term, rivals[0].state)
	}
	return fmt.Sprintf("has the cluster's named lock held by session %d, which announces no elector; end it if it is not Primacy's", v.holder)
}

// positionOf is executed ∪ received out of the rows of both.
func positionOf(executed, received []row) (gtid.Set, error) {
	var position gtid.Set
	for _, rows := range [][]row{executed, received} {
		for _, r := range rows {
			part, err := gtid.Parse(r[0].text)
			if err != nil {
				return gtid.Set{}, fmt.Errorf("position: %w", err)
			}
			position = position.Union(part)
		}
	}
	return position, nil
}
