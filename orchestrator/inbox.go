package orchestrator

import (
	"context"
	"sync"
)

// inbox is what has come in for a cluster's loop. Whoever puts something in goes on; the loop takes one thing at a time.
type inbox struct {
	bell Bell // something came in

	mu      sync.Mutex
	waiting message
	queue   []*request
}

// message is one of each kind of thing that can come in.
type message struct {
	settled *settled // an operation has ended
	mended  []mend   // repairs have ended
	worked  *worked  // a step of a settlement has ended
	spelt   *spelled // a step of a halt has ended
	lost    Lease    // the lock is gone
	gained  *gain    // the lock, with what was on record
	probed  *round   // what the prober saw
	asked   *request
}

// request is work from a caller, done by the loop under its own context.
type request struct {
	work func(context.Context)
	done Bell
}

// take gives the loop one thing. A gained lock is not taken before what ran under the lock before has noticed that it
// is gone: gains says when.
func (b *inbox) take(gains bool) message {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.waiting
	var m message
	switch {
	case w.settled != nil:
		m.settled, w.settled = w.settled, nil
	case w.mended != nil:
		m.mended, w.mended = w.mended, nil
	case w.worked != nil:
		m.worked, w.worked = w.worked, nil
	case w.spelt != nil:
		m.spelt, w.spelt = w.spelt, nil
	case w.lost != nil:
		m.lost, w.lost = w.lost, nil
	case w.gained != nil && gains:
		m.gained, w.gained = w.gained, nil
	case w.probed != nil:
		m.probed, w.probed = w.probed, nil
	case len(b.queue) > 0:
		m.asked, b.queue = b.queue[0], b.queue[1:]
	}
	return m
}

// put changes what waits, and wakes the loop.
func (b *inbox) put(change func(*message)) {
	b.mu.Lock()
	change(&b.waiting)
	b.mu.Unlock()
	b.bell.Ring()
}

func (b *inbox) settle(s settled) { b.put(func(m *message) { m.settled = &s }) }

func (b *inbox) mend(all []mend) { b.put(func(m *message) { m.mended = all }) }

func (b *inbox) work(w worked) { b.put(func(m *message) { m.worked = &w }) }

func (b *inbox) spell(s spelled) { b.put(func(m *message) { m.spelt = &s }) }

func (b *inbox) gain(g gain) { b.put(func(m *message) { m.gained = &g }) }

func (b *inbox) probe(r round) { b.put(func(m *message) { m.probed = &r }) }

// lose reports a lost lock. It is true when the loop had not taken that lock yet, and now never will.
func (b *inbox) lose(l Lease) (untaken bool) {
	b.put(func(m *message) {
		if m.gained != nil && m.gained.lease == l {
			m.gained, untaken = nil, true
			return
		}
		m.lost = l
	})
	return untaken
}

func (b *inbox) ask(r *request) {
	b.mu.Lock()
	b.queue = append(b.queue, r)
	b.mu.Unlock()
	b.bell.Ring()
}

// quiet tells whether nobody has asked for anything.
func (b *inbox) quiet() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.queue) == 0
}

// withdraw takes a request back; false when the loop has it already.
func (b *inbox) withdraw(r *request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == r {
			b.queue = append(b.queue[:i:i], b.queue[i+1:]...)
			return true
		}
	}
	return false
}
