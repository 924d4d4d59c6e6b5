package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
)

// Happen implements scenario.Stage.
func (s *Stage) Happen(h scenario.Happening) error {
	s.world.report.Faults = append(s.world.report.Faults, Fault{Kind: Kind(h.Kind), At: s.world.clock.now})
	for _, some := range []map[scenario.Kind]func(scenario.Happening) error{s.toServers(), s.toReplication(), s.toTheNetwork(), s.toTheLoop()} {
		if does := some[h.Kind]; does != nil {
			return does(h)
		}
	}
	return scenario.Cannot("simulated servers do not know %q", h.Kind)
}

// simply is something that happens at once to one server.
func (s *Stage) simply(do func(*server)) func(scenario.Happening) error {
	return func(h scenario.Happening) error {
		do(s.at(h.Server))
		return nil
	}
}

// toServers is what happens to a process or its data.
func (s *Stage) toServers() map[scenario.Kind]func(scenario.Happening) error {
	return map[scenario.Kind]func(scenario.Happening) error{
		scenario.Crash:    s.simply((*server).kill),
		scenario.Restart:  func(h scenario.Happening) error { return s.restart(s.at(h.Server), (*server).kill) },
		scenario.ShutDown: s.simply(s.shutDown),
		scenario.Wipe:     func(h scenario.Happening) error { return s.restart(s.at(h.Server), (*server).wipe) },
		scenario.Clone: func(h scenario.Happening) error {
			return s.restart(s.at(h.Server), func(x *server) {
				x.kill()
				x.copyOf(s.at(h.Source))
				x.channel = nil
			})
		},
		scenario.FillDisk:         s.simply((*server).fillDisk),
		scenario.RelayLogRecovery: s.simply(func(x *server) { x.options.RelayLogRecovery = true }),
		scenario.RunVersion: func(h scenario.Happening) error {
			s.at(h.Server).options.Version = h.Text
			return nil
		},
		scenario.SetClock: func(h scenario.Happening) error {
			s.at(h.Server).skew = h.Delay
			return nil
		},
		scenario.Purge: func(h scenario.Happening) error {
			x := s.at(h.Server)
			x.purgeBinlogs()
			if !x.purged.Contains(h.Set) {
				return fmt.Errorf("%s has purged %s, and %s was to be purged", x.address, x.purged, h.Set)
			}
			return nil
		},
	}
}

// restart ends a process in some way, and starts it again.
func (s *Stage) restart(x *server, end func(*server)) error {
	end(x)
	x.boot()
	return s.until("it starts", func() bool { return x.state == processUp })
}

// shutDown ends the process in order. Whoever is told OK on its way out is noted: nobody can stand by that.
func (s *Stage) shutDown(x *server) {
	for _, w := range s.writes {
		w.forced = w.forced || w.on == x && !w.ended
	}
	x.shutDown()
}

// toReplication is what somebody does to replication by hand.
func (s *Stage) toReplication() map[scenario.Kind]func(scenario.Happening) error {
	return map[scenario.Kind]func(scenario.Happening) error{
		scenario.StopReceiver: s.byHand(stopsReceiver),
		scenario.StartReceiver: s.byHand(func(on *guest, done func(error)) {
			on.server.stored.skipReplicaStart = nil
			startsReceiver(on, done)
		}),
		scenario.StopApplier: s.byHand(stopsApplier),
		scenario.NoAcker:     s.byHand(noAcker),
		scenario.NoSource:    s.byHand(func(on *guest, done func(error)) { on.server.disableSource(on, done) }),
		scenario.FallBehind: func(h scenario.Happening) error {
			s.at(h.Server).delayApplier(h.Delay)
			return nil
		},
		scenario.FiniteTimeout: s.simply(func(x *server) { x.setTimeout(10 * time.Second) }),
		scenario.FallBack:      s.simply((*server).fallBack),
		scenario.WaitForAcks: func(h scenario.Happening) error {
			s.at(h.Server).setAcks(h.Acks)
			return nil
		},
		scenario.TakenOver: s.takenOver,
		scenario.Payload: func(scenario.Happening) error {
			s.choke()
			return nil
		},
	}
}

// noAcker switches the replica side of semi-sync off, which takes a new connection to its source.
func noAcker(on *guest, done func(error)) {
	x := on.server
	x.setReplicaSide(false)
	stopsReceiver(on, func(err error) {
		if err != nil {
			done(err)
			return
		}
		startsReceiver(on, done)
	})
}

// byHand runs a statement of root's. A server that has no source needs nothing stopped and nothing started.
func (s *Stage) byHand(statement func(on *guest, done func(error))) func(scenario.Happening) error {
	return func(h scenario.Happening) error {
		x, ended, failed := s.at(h.Server), false, error(nil)
		if x.state != processUp {
			return nil
		}
		s.world.byHand(x, func(on *guest, done func(error)) {
			statement(on, func(err error) {
				done(err)
				ended, failed = true, err
			})
		})
		err := s.until("a statement ends", func() bool { return ended })
		if failed != nil && !errors.Is(failed, errNotConfigured) {
			return failed
		}
		return err
	}
}

// takenOver leaves a session of another elector on a server.
func (s *Stage) takenOver(h scenario.Happening) error {
	w := s.world
	rival := newFleet(w.clock.newProcess("elector-99"), w.hosts, w.network.join("elector-99"), "elector-99")
	s.rivals = append(s.rivals, rival.process)
	c := reparent.Command{Verb: reparent.AwaitApplied, Server: h.Server, Cluster: clusterName, Term: h.Term}
	return s.has(rival.process, func() { rival.carryOut(w.clock.newLife(context.Background()), c) })
}

// choke has whoever leads hang in its commits, from the first one on, for as long as it leads.
func (s *Stage) choke() {
	if s.mended {
		return
	}
	for _, x := range s.world.hosts.all {
		leads := x.state == processUp && !x.readOnly && !x.offline
		switch {
		case leads && !x.disk.stuck():
			x.stallDisk()
			s.begin(x)
		case !leads && x.disk.stuck():
			x.healDisk()
		}
	}
	s.world.clock.after(chokeAgain, s.choke)
}

// chokeAgain is how soon clients try again.
const chokeAgain = 100 * time.Millisecond

// keepOn has a client write on whoever leads, again and again, unless it waits for an answer there.
func (s *Stage) keepOn() {
	if s.mended {
		return
	}
	for _, x := range s.world.hosts.all {
		waits := slices.ContainsFunc(s.writes, func(w *stagedWrite) bool { return w.on == x && !w.ended })
		if x.state == processUp && !x.readOnly && !x.offline && !waits {
			s.begin(x)
		}
	}
	s.world.clock.after(keepOnEvery, s.keepOn)
}

// keepOnEvery is the pause of a client that writes all the time.
const keepOnEvery = 200 * time.Millisecond

// toTheNetwork is what happens between servers, and between them and electors.
func (s *Stage) toTheNetwork() map[scenario.Kind]func(scenario.Happening) error {
	return map[scenario.Kind]func(scenario.Happening) error{
		scenario.CutOff:    s.simply(func(x *server) { s.world.network.cutBoth(s.desk, x.place) }),
		scenario.Reconnect: s.simply(func(x *server) { s.world.network.healBoth(s.desk, x.place) }),
		scenario.Part:      s.part,
		scenario.Mute: func(h scenario.Happening) error {
			s.muted = append(s.muted, s.pair(h))
			return nil
		},
		scenario.Deafen: func(h scenario.Happening) error {
			s.deaf = append(s.deaf, s.pair(h))
			s.world.network.cut(s.at(h.Source).place, s.at(h.Server).place)
			return nil
		},
		scenario.Join: s.join,
		scenario.KeepOn: func(scenario.Happening) error {
			s.keepOn()
			return nil
		},
		scenario.GiveUpLoss: func(scenario.Happening) error {
			s.forgone = true
			return nil
		},
	}
}

func (s *Stage) pair(h scenario.Happening) [2]*server {
	return [2]*server{s.at(h.Server), s.at(h.Source)}
}

// part keeps a replica from a source: its connection is reset, and no new one is taken.
func (s *Stage) part(h scenario.Happening) error {
	p := s.pair(h)
	s.parted = append(s.parted, p)
	reset(p)
	return nil
}

// reset ends the connection of a replica to its source.
func reset(p [2]*server) {
	c := p[0].channel
	if c == nil || c.source != p[1].address || c.receiver.pipe == nil {
		return
	}
	if c.receiver.dump != nil {
		p[1].cutDump(c.receiver.dump)
	}
	c.receiver.pipe.close(callee)
}

// isParted tells whether a replica is kept from a source.
func (s *Stage) isParted(replica, source *server) bool {
	return slices.Contains(s.parted, [2]*server{replica, source})
}

// loses tells whether an acknowledgement gets lost. Nobody sends it again.
func (s *Stage) loses(d *dump, place int) bool {
	lost := s.isMuted(d.replica, d.source)
	if lost {
		s.lost[d] = place
	}
	return lost
}

// isMuted tells whether a replica's acknowledgements get lost.
func (s *Stage) isMuted(replica, source *server) bool {
	return slices.Contains(s.muted, [2]*server{replica, source})
}

// join mends all that is between servers. Who was mute comes again, for what it said is lost.
func (s *Stage) join(scenario.Happening) error {
	for _, p := range s.deaf {
		s.world.network.healBoth(p[0].place, p[1].place)
	}
	for _, p := range s.muted {
		reset(p)
	}
	s.parted, s.deaf, s.muted = nil, nil, nil
	return nil
}

// Mend implements scenario.Mended. Clients write no more by themselves. An applier that sits out a delay of hours does so until its
// process starts again.
func (s *Stage) Mend() error {
	w := s.world
	s.mended = true
	w.network.healAll()
	w.store.stop(false)
	for _, x := range w.hosts.all {
		x.healDisk()
		if c := x.channel; c != nil && c.applier.ails.delay > 0 {
			x.delayApplier(0)
			x.kill()
		}
	}
	return s.join(scenario.Happening{})
}
