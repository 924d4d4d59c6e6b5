package mysqld

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// acting is what a fleet holds in order to change servers: for each cluster the highest term that this
// process has acted under, with its sessions. The zero value is ready.
type acting struct {
	mu      sync.Mutex
	process string // tells this process from an earlier one of the same elector
	tenures map[string]*tenure
}

// tenure is our acting on one cluster under one term.
type tenure struct {
	fleet   *Fleet
	cluster string
	term    uint32
	process string

	mu       sync.Mutex
	over     bool // a higher term of ours has begun
	sessions map[topology.Address]*session
}

// tenure finds or begins our tenure. A higher term than before ends the sessions of the lower one, on
// all servers of the cluster; a lower one is refused.
func (f *Fleet) tenure(cluster string, term uint32) (*tenure, error) {
	f.acting.mu.Lock()
	defer f.acting.mu.Unlock()
	current := f.acting.tenures[cluster]
	switch {
	case current != nil && current.term == term:
		return current, nil
	case current != nil && current.term > term:
		return nil, fencedBy(current.term, "this elector acts for %s under term %d already", cluster, current.term)
	case current != nil:
		current.end()
	}
	return f.acting.begin(f, cluster, term), nil
}

func (a *acting) begin(f *Fleet, cluster string, term uint32) *tenure {
	a.process = cmp.Or(a.process, rand.Text())
	if a.tenures == nil {
		a.tenures = make(map[string]*tenure)
	}
	t := &tenure{fleet: f, cluster: cluster, term: term, process: a.process, sessions: make(map[topology.Address]*session)}
	a.tenures[cluster] = t
	return t
}

// EndTerm closes the sessions of a term whose leadership change is over. A later command of the same
// term opens them again.
func (f *Fleet) EndTerm(cluster string, term uint32) {
	f.acting.mu.Lock()
	t := f.acting.tenures[cluster]
	f.acting.mu.Unlock()
	if t != nil && t.term == term {
		t.hangUp()
	}
}

// Prepare opens the sessions of a term on several servers at once, before they are needed. A server on
// which that fails will be tried again by its first command, and says why then.
func (f *Fleet) Prepare(ctx context.Context, cluster string, term uint32, servers []topology.Address) {
	t, err := f.tenure(cluster, term)
	if err != nil {
		return
	}
	var opening sync.WaitGroup
	for _, server := range servers {
		opening.Go(func() { _ = t.prepare(ctx, server) })
	}
	opening.Wait()
}

func (t *tenure) prepare(ctx context.Context, server topology.Address) error {
	s, err := t.session(server)
	if err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.finish()
	_, err = s.incarnation(ctx)
	return err
}

// closeSessions ends everything at the end of the fleet, when no command runs any more.
func (a *acting) closeSessions() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tenures {
		t.end()
	}
}

func (t *tenure) end() {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	t.hangUp()
}

func (t *tenure) hangUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.sessions {
		s.cut()
	}
}

func (t *tenure) session(server topology.Address) (*session, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.mayAct(); err != nil {
		return nil, err
	}
	s := t.sessions[server]
	if s == nil {
		s = &session{tenure: t, server: server, turn: make(chan struct{}, 1)}
		t.sessions[server] = s
	}
	return s, nil
}

// mayAct is asked with mu held.
func (t *tenure) mayAct() error {
	if t.over {
		return refuse(reparent.ReasonFenced, "term %d of %s is over: this elector acts under a higher one", t.term, t.cluster)
	}
	return nil
}

// session is this process' standing on one server under one term: the connection that holds the
// cluster's named lock there. It is opened by its first command, kept for the later ones, and opened
// again, through the whole fence, when it has broken in between. It is never re-made inside a command.
type session struct {
	*tenure
	server topology.Address
	turn   chan struct{} // held by the one command that runs; a channel, so that waiting has a deadline

	// What follows belongs to the holder of turn; linkMu is for cut, which does not wait for its turn.
	linkMu sync.Mutex
	link   *link
	id     int64  // the connection's number on the server
	born   string // the server process' incarnation, once read; it cannot change under a connection
	// unackedBefore is how many commits had completed without their acknowledgements before our first
	// attempt at the marker; nil before there was one.
	unackedBefore *int64
	spare         *aside // a session for the marker, opened before the gap in which it is needed
	strays        strays // sessions aside that were left without their answer
}

// begin takes the turn and sees to it that the session stands, and that nothing of an earlier command is still on its way.
func (s *session) begin(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return refuse(reparent.ReasonDeadline, "an earlier command on %s has not returned", s.server)
	}
	if err := s.stand(ctx); err != nil {
		<-s.turn
		return err
	}
	if err := s.recall(ctx); err != nil {
		s.finish()
		return err
	}
	return nil
}

// finish gives the turn back. What broke is closed here, by its owner.
func (s *session) finish() {
	if !s.link.alive() {
		s.drop()
	}
	<-s.turn
}

func (s *session) stand(ctx context.Context) error {
	if s.link != nil && s.link.alive() {
		return nil
	}
	s.drop()
	l, err := s.dial(ctx, dutyAct, rand.Text())
	if err != nil {
		return err
	}
	id, err := s.fence(ctx, l)
	if err != nil {
		l.close()
		return err
	}
	return s.keep(l, id)
}

// keep makes the link ours, unless the term ended while it was opened.
func (s *session) keep(l *link, id int64) error {
	s.tenure.mu.Lock()
	defer s.tenure.mu.Unlock()
	if err := s.mayAct(); err != nil {
		l.close()
		return err
	}
	s.linkMu.Lock()
	s.link, s.id = l, id
	s.linkMu.Unlock()
	return nil
}

func (s *session) drop() {
	s.linkMu.Lock()
	l, spare := s.link, s.spare
	s.link, s.id, s.born, s.spare = nil, 0, "", nil
	s.linkMu.Unlock()
	if spare != nil {
		spare.close()
	}
	if l != nil {
		l.close()
	}
}

// cut ends the session from outside. When a command is using it, only its wire is closed: the command
// finds it broken and its owner tidies up.
func (s *session) cut() {
	select {
	case s.turn <- struct{}{}:
		s.drop()
		<-s.turn
	default:
		s.linkMu.Lock()
		defer s.linkMu.Unlock()
		if s.link != nil {
			_ = s.link.wire.Conn.Close()
		}
	}
}

// incarnation names the server process at the other end.
func (s *session) incarnation(ctx context.Context) (string, error) {
	if s.born != "" {
		return s.born, nil
	}
	o := s.fleet.read(ctx, s.link, s.server)
	if !o.OK() {
		return "", fmt.Errorf("read %s: %s", s.server, o.Error)
	}
	s.born = o.Incarnation
	return s.born, nil
}

// alive tells whether nothing has ended the connection yet; the wire knows without a round trip.
func (l *link) alive() bool {
	if l == nil {
		return false
	}
	select {
	case <-l.wire.broken:
		return false
	default:
	}
	valid, ok := l.conn.(interface{ IsValid() bool })
	return !ok || valid.IsValid()
}

// duty is what a connection of ours is for; it is announced, so that a newer elector knows what a
// session that it has killed can still be doing.
type duty string

const (
	// dutyAct holds the named lock and runs everything that returns at once.
	dutyAct duty = "act"
	// dutyStop runs STOP REPLICA, which can hang for replica_net_timeout and cannot be killed. It only
	// ever takes power away, so a newer elector need not wait for its end.
	dutyStop duty = "stop"
	// dutyClose runs SET GLOBAL super_read_only, which hangs while a commit waits; it can be killed.
	dutyClose duty = "close"
	// dutyMark commits in the journal; while that waits for acknowledgements nothing can end it (E2).
	dutyMark duty = "mark"
	// dutyKeep commits on the primary what is taken into its history; it can be killed until it waits for acknowledgements.
	dutyKeep duty = "keep"
)

// announcement is what a connection says of itself in performance_schema.session_connect_attrs.
func (t *tenure) announcement(d duty, nonce string) map[string]string {
	return map[string]string{
		attrCluster: url.QueryEscape(t.cluster),
		attrTerm:    strconv.FormatUint(uint64(t.term), 10),
		attrElector: url.QueryEscape(t.fleet.settings.Elector),
		attrProcess: t.process,
		attrDuty:    string(d),
		attrNonce:   nonce,
	}
}

const (
	attrCluster = "primacy_cluster"
	attrTerm    = "primacy_term"
	attrElector = "primacy_elector"
	attrProcess = "primacy_process"
	attrDuty    = "primacy_duty"
	attrNonce   = "primacy_session"
)

func (s *session) dial(ctx context.Context, d duty, nonce string) (*link, error) {
	l, err := s.fleet.dial(ctx, s.server, s.announcement(d, nonce))
	if err == nil {
		return l, nil
	}
	if mysqlErrno(err) != 0 {
		return nil, refuse(reparent.ReasonDenied, "login refused: %v", err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, refuse(reparent.ReasonUnreachable, "%s does not answer: %v", s.server, err)
	}
	return nil, refuse(reparent.ReasonUnreachable, "%v", err)
}

// lockName is the cluster's named lock. MySQL takes 64 characters.
func lockName(cluster string) string {
	name := "primacy/" + url.QueryEscape(cluster)
	if len(name) <= 64 {
		return name
	}
	sum := sha256.Sum256([]byte(cluster))
	return "primacy/" + hex.EncodeToString(sum[:24])
}
