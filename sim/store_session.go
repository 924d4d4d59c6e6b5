package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

var (
	errSessionEnded = errors.New("the store has ended the session")
	errUnconfirmed  = errors.New("no keep-alive was confirmed within the lease")
)

// storeSession is a session as its elector knows it: kept alive every third of its time to live, and given up a tenth of
// that time before the vault would end it. All locks of the elector are tied to it. Once lost it stays lost.
type storeSession struct {
	client   *storeClient
	known    *vaultSession
	deadline time.Duration
	lost     bool
	leases   []*storeLease
	lives    []*life // of attempts to take a lock within this session
	alarm    timer
	due      func() // of the next keep-alive
}

// begun returns the session in use, or begins another.
func (c *storeClient) begun(ctx context.Context) (*storeSession, error) {
	if !c.opening.take(ctx, c.clock) {
		return nil, ctx.Err()
	}
	defer c.opening.give()
	if c.session != nil && c.session.alive() {
		return c.session, nil
	}
	sent := c.clock.now
	known, err := ask(ctx, c, storePatience, func() *vaultSession { return c.vault.grant(c) })
	if err != nil {
		return nil, err
	}
	s := &storeSession{client: c, known: known, deadline: deadlineOf(sent)}
	c.session = s
	s.beatAfter(sent + sessionTTL/3)
	return s, nil
}

func deadlineOf(sent time.Duration) time.Duration { return sent + sessionTTL - sessionTTL/10 }

// alive latches: a session that was once found past its deadline is lost, whatever the vault answers later.
func (s *storeSession) alive() bool {
	if s.client.clock.now >= s.deadline {
		s.lose(errUnconfirmed)
	}
	return !s.lost
}

// held answers for the moment now by the elector's own clock, which may also lie ahead.
func (s *storeSession) held(now time.Time) bool {
	return s.alive() && now.Sub(epoch)-s.client.process.skew < s.deadline
}

// beatAfter arranges the next keep-alive. While the process is paused none is sent, and the alarm is set.
func (s *storeSession) beatAfter(at time.Duration) {
	if s.due == nil {
		beat := s.beat
		s.due = func() { s.beatDue(beat) }
	}
	s.client.clock.after(at-s.client.clock.now, s.due)
}

func (s *storeSession) beatDue(beat func()) {
	p := s.client.process
	if p.dead || s.lost {
		return
	}
	if p.paused {
		s.setAlarm()
	}
	p.deliver(beat)
}

// beat sends a keep-alive. Where nothing hinders it, the few milliseconds that it takes are left out, and with them all
// events but this one.
func (s *storeSession) beat() {
	c := s.client
	if !s.alive() {
		return
	}
	if c.unhindered() {
		s.confirm(c.clock.now, c.vault.keepAlive(s.known))
		s.reread()
		return
	}
	s.setAlarm()
	sent := c.clock.now
	post(c, sessionTTL/4, func() bool { return c.vault.keepAlive(s.known) }, func(a storeAnswer[bool]) {
		if a.lost {
			c.broken = true
			s.beatAfter(c.clock.now + sessionTTL/20)
		} else {
			s.confirm(sent, a.value)
			s.reread()
		}
	})
}

// reread has all locks read again after the connection was broken: the vault may be another one than before.
func (s *storeSession) reread() {
	if c := s.client; c.broken && !s.lost {
		c.broken = false
		c.ring(func(*storeBell) bool { return true })
	}
}

// confirm takes the vault's answer to a keep-alive: the time counts from when that was sent.
func (s *storeSession) confirm(sent time.Duration, known bool) {
	switch {
	case !known:
		s.lose(errSessionEnded)
	case s.alive():
		s.deadline = deadlineOf(sent)
		s.beatAfter(sent + sessionTTL/3)
	}
}

// setAlarm makes sure that the loss is noticed at the deadline. Nothing of it is needed while keep-alives are confirmed
// as they are sent.
func (s *storeSession) setAlarm() {
	if s.alarm.set() || s.lost {
		return
	}
	p := s.client.process
	s.alarm = s.client.clock.after(s.deadline-s.client.clock.now, func() {
		s.alarm = timer{}
		p.deliver(func() {
			if s.alive() {
				s.setAlarm()
			}
		})
	})
}

// lose ends all that depends on the session, and hands it back to the vault, so that the next holder of its locks need
// not wait for it to run out.
func (s *storeSession) lose(why error) {
	if s.lost {
		return
	}
	s.lost = true
	s.alarm.cancel()
	leases, lives := s.leases, s.lives
	s.leases, s.lives = nil, nil
	for _, l := range leases {
		l.end(why)
	}
	for _, l := range lives {
		l.end(context.Canceled)
	}
	v := s.client.vault
	post(s.client, time.Second, func() bool { v.end(s.known); return true }, nil)
}

// live is a context that ends with ctx and with the session; leave takes it back.
func (s *storeSession) live(ctx context.Context) (in *life, leave func()) {
	in = s.client.clock.newLife(ctx)
	s.lives = append(s.lives, in)
	return in, func() {
		in.end(context.Canceled)
		s.lives = slices.DeleteFunc(s.lives, func(x *life) bool { return x == in })
	}
}

// Acquire implements orchestrator.Store.
func (c *storeClient) Acquire(ctx context.Context, cluster string) (orchestrator.Lease, error) {
	c.enter("acquire")
	if cluster == "" {
		return nil, errors.New("acquire a lock: the name is empty")
	}
	for {
		l, err := c.contend(ctx, cluster)
		if err == nil {
			l.workUnder(ctx)
			return l, nil
		}
		if ctx.Err() != nil || !c.pause(ctx) {
			return nil, fmt.Errorf("acquire the lock of %s: %w", cluster, err)
		}
	}
}

// contend competes for a lock within one session and ends with it.
func (c *storeClient) contend(ctx context.Context, cluster string) (*storeLease, error) {
	s, err := c.begun(ctx)
	if err != nil {
		return nil, err
	}
	in, leave := s.live(ctx)
	defer leave()
	claim := &storeClaim{elector: c.process.name, session: s.known, live: true}
	l, err := s.compete(in, cluster, claim)
	claim.live = l != nil
	return l, err
}

func (s *storeSession) compete(in *life, cluster string, claim *storeClaim) (*storeLease, error) {
	c := s.client
	freed := bell{clock: c.clock}
	hung := c.hang(cluster, freed.Ring)
	defer c.takeDown(hung)
	for {
		seen, err := ask(in, c, storePatience, func() vaultCell { return *c.vault.cell(cluster) })
		switch {
		case err != nil:
			return nil, err
		case seen.holder == nil:
			if l, err := s.take(in, claim, seen); l != nil || err != nil {
				return l, err
			}
		case s.stray(seen.holder):
			if err := s.tryWithdraw(in, storePatience, cluster, seen.holder); err != nil {
				return nil, err
			}
		default:
			if freed.Wait(in, sessionTTL); in.err != nil {
				return nil, fmt.Errorf("it is held by %s: %w", seen.holder.elector, in.err)
			}
		}
	}
}

// stray tells whether a lock is kept alive by our session and yet of use to nobody: an attempt that is being withdrawn,
// or one that the vault was restored to after it had been given back.
func (s *storeSession) stray(holder *storeClaim) bool {
	return holder.session == s.known && !holder.live
}

// taking is what became of an attempt to take a lock.
type taking struct{ taken, known bool }

// take makes the lock ours if nothing has changed since it was seen; otherwise it returns neither lease nor error. When
// nobody can say what became of the attempt, it is withdrawn, or else the lock might turn up later as ours with nobody
// to use it.
func (s *storeSession) take(ctx context.Context, claim *storeClaim, seen vaultCell) (*storeLease, error) {
	c := s.client
	got, err := ask(ctx, c, storePatience, func() (t taking) {
		t.taken, t.known = c.vault.take(seen.cluster, claim, seen.fence)
		return t
	})
	if err == nil && !got.known {
		s.lose(errSessionEnded)
		err = errLockLost
	}
	if err == nil && got.taken && !s.alive() {
		err = errLockLost
	}
	if err != nil {
		c.process.spawn(func() { s.withdraw(seen.cluster, claim) })
		return nil, err
	}
	if !got.taken {
		return nil, nil
	}
	return s.newLease(seen, claim), nil
}

// withdraw takes an attempt back until that is certain or the session's end has done it.
func (s *storeSession) withdraw(cluster string, claim *storeClaim) {
	for patience := storePatience / 10; !s.lost; patience += patience / 2 {
		if s.tryWithdraw(context.Background(), min(patience, storePatience), cluster, claim) == nil {
			return
		}
		s.client.pause(context.Background())
	}
}

func (s *storeSession) tryWithdraw(ctx context.Context, patience time.Duration, cluster string, claim *storeClaim) error {
	v := s.client.vault
	_, err := ask(ctx, s.client, patience, func() bool { v.withdraw(cluster, claim); return true })
	return err
}
