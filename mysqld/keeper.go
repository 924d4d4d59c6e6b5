package mysqld

import (
	"context"
	"errors"
	"time"

	"github.com/primacydb/primacy/topology"
)

// keeper keeps one connection to one watched server, and probes on it. All that is below its channels
// belongs to the goroutine of run.
type keeper struct {
	fleet    *Fleet
	server   topology.Address
	memory   *memory
	requests chan request

	ctx context.Context
	end context.CancelFunc

	link *repeater
	// login is the attempt under way, nil when there is none. It outlives a probe that gave up on it:
	// a frozen server that thaws finds one client waiting, not one per probe that hung up on it (a
	// hundred of those make MySQL block our host), and we hear of the thaw at once.
	login    chan loggedIn
	attempts int // that came to nothing since the last login
	// lost is what cut the last kept connection, until a new one stands.
	lost error
	// hung are connections that we left while the server was silent.
	hung []abandoned
}

// abandoned is a connection by the server's number for it, which means nothing to another process.
type abandoned struct {
	id      int64
	process string
}

type request struct {
	ctx   context.Context
	reply chan topology.Observation
}

type loggedIn struct {
	link *repeater
	err  error
}

// A login may take long on a server that is frozen after its kernel has accepted the connection. Each
// attempt that came to nothing doubles the patience.
const (
	loginPatience    = 10 * time.Second
	loginPatienceMax = 40 * time.Second
)

func (f *Fleet) keep(server topology.Address) *keeper {
	k := &keeper{fleet: f, server: server, memory: &memory{}, requests: make(chan request)}
	k.ctx, k.end = context.WithCancel(f.ctx)
	f.running.Go(k.run)
	return k
}

// run owns the connection until the server is no longer watched.
func (k *keeper) run() {
	defer k.leave()
	k.startLogin()
	for {
		select {
		case <-k.ctx.Done():
			return
		case r := <-k.requests:
			r.reply <- k.observe(r.ctx)
			k.refresh()
		case <-k.link.broken():
			k.lose()
		case l := <-k.login:
			if k.welcome(l) == nil && k.memory.failing() {
				k.fleet.signal(k.server, time.Now()) // it is back
			}
		}
	}
}

func (k *keeper) leave() {
	k.end()
	if k.link != nil {
		k.link.close()
	}
	if k.login == nil {
		return
	}
	if l := <-k.login; l.link != nil {
		l.link.close()
	}
}

// ask hands a probe to the goroutine that owns the connection.
func (k *keeper) ask(ctx context.Context) topology.Observation {
	o := topology.Observation{Address: k.server, At: time.Now()}
	r := request{ctx, make(chan topology.Observation, 1)}
	select {
	case k.requests <- r:
	case <-ctx.Done(): // an earlier probe has been waiting for the server all this time
		return k.memory.judge(failure(o, ctx.Err()))
	case <-k.ctx.Done():
		return failure(o, context.Canceled)
	}
	select {
	case o = <-r.reply:
		return o
	case <-k.ctx.Done():
		return failure(o, context.Canceled)
	}
}

// observe probes now. A kept connection that turns out to be cut is no answer yet: the same probe asks
// who is there now.
func (k *keeper) observe(ctx context.Context) topology.Observation {
	at := time.Now()
	kept := k.link != nil
	o := k.probe(ctx, at)
	if kept && o.Reach == topology.ReachReset {
		o = k.probe(ctx, at)
	}
	return k.memory.judge(o)
}

func (k *keeper) probe(ctx context.Context, at time.Time) topology.Observation {
	if err := k.connect(ctx); err != nil {
		return k.unreached(topology.Observation{Address: k.server, At: at}, err)
	}
	o := k.fleet.read(ctx, k.link, k.server)
	if !k.link.alive() {
		k.drop(ctx)
		return o
	}
	k.endHung(ctx)
	return o
}

// unreached is an observation without a connection. Silence after a cut is still a cut: the peer's
// kernel told us that the process let go of its connection, and nobody has answered since.
func (k *keeper) unreached(o topology.Observation, err error) topology.Observation {
	o = failure(o, err)
	if k.lost != nil && o.Reach == topology.ReachSilent {
		o.Reach, o.Error = topology.ReachReset, k.lost.Error()+"; nobody has answered since"
	}
	return o
}

// connect sees to it that there is a link. An attempt that began before this probe says nothing new by
// failing; then there is another one.
func (k *keeper) connect(ctx context.Context) error {
	if k.link.isBroken() {
		k.lose()
	}
	if k.link != nil {
		return nil
	}
	earlier := k.login != nil
	if !earlier {
		k.startLogin()
	}
	err := k.await(ctx)
	if err != nil && earlier && ctx.Err() == nil {
		k.startLogin()
		err = k.await(ctx)
	}
	return err
}

func (k *keeper) await(ctx context.Context) error {
	select {
	case l := <-k.login:
		return k.welcome(l)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startLogin logs in beside run, which goes on answering; the result is always collected.
func (k *keeper) startLogin() {
	patience := min(loginPatience<<min(k.attempts, 8), loginPatienceMax)
	ctx, cancel := context.WithTimeout(k.ctx, patience)
	login := make(chan loggedIn, 1)
	k.login = login
	k.fleet.running.Go(func() {
		defer cancel()
		l, err := k.fleet.logIn(ctx, k.server, k.memory)
		login <- loggedIn{l, err}
	})
}

// welcome takes in the result of an attempt.
func (k *keeper) welcome(l loggedIn) error {
	k.login = nil
	if l.err != nil {
		k.attempts++
		return l.err
	}
	k.link, k.attempts, k.lost = l.link, 0, nil
	return nil
}

// refresh learns the facts anew when they have aged, after a probe has been answered and not in it: that
// takes several round trips.
func (k *keeper) refresh() {
	if k.link == nil || !k.memory.aging() {
		return
	}
	ctx, cancel := context.WithTimeout(k.ctx, k.fleet.settings.ProbeTimeout)
	defer cancel()
	_, _, _ = k.memory.study(ctx, k.link) // what fails shows in the next probe
	if !k.link.alive() {
		k.drop(ctx)
	}
}

// lose lets go of a link that was cut from the other side, and says so.
func (k *keeper) lose() {
	defer k.fleet.signal(k.server, time.Now())
	cause := k.link.failed(k.ctx, errors.New("connection lost"))
	if reachOf(cause) == topology.ReachReset {
		k.lost = cause
	}
	k.fleet.settings.Log.Info("kept connection broke", "server", k.server, "error", cause)
	k.link.close()
	k.link = nil
}

// drop lets go of a link after a probe on it failed. When it was us who gave up waiting, the server may
// still be busy with the question; a new login then waits for its return.
func (k *keeper) drop(ctx context.Context) {
	if ctx.Err() == nil {
		k.lose()
		return
	}
	k.hung = append(k.hung, abandoned{k.link.id, k.memory.process()})
	k.link.close()
	k.link = nil
	k.startLogin()
}

// endHung ends what earlier probes left behind, so that a server which answers late does not fill up
// with our sessions. KILL: tried on 9.7.
func (k *keeper) endHung(ctx context.Context) {
	for _, left := range k.hung {
		if left.process == k.memory.process() {
			_ = k.link.exec(ctx, "KILL ?", left.id) // mostly it has ended by itself
		}
	}
	k.hung = nil
}

// keepWatched starts and ends keepers so that each watched server has one. The caller holds mu.
func (f *Fleet) keepWatched() {
	watched := make(map[topology.Address]bool)
	for _, servers := range f.clusters {
		for _, server := range servers {
			watched[server] = true
		}
	}
	for server, k := range f.keepers {
		if !watched[server] {
			k.end()
			delete(f.keepers, server)
		}
	}
	for server := range watched {
		if f.keepers[server] == nil {
			f.keepers[server] = f.keep(server)
		}
	}
}
