package reparent

import (
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// World is a world for tests outside of this package, which play scenarios in it. It knows what happens by its name.
type World struct {
	world *world
	happens
}

// happening is what happens to a server.
type happening struct {
	server, source *mysqld
	number         int64
	set            gtid.Set
	text           string
}

type happens map[string]func(happening)

// NewWorld is a cluster with the first member as its primary, adopted or not.
func NewWorld(r topology.Ruleset, adopted bool) *World {
	w := &World{world: worldOf(r)}
	if !adopted {
		w.world = unadopted(r)
	}
	w.happens = w.world.happenings()
	return w
}

// Leadership is the one that the world began with; false when it was never adopted.
func (w *World) Leadership() (topology.Leadership, bool) { return w.world.history().Current() }

// Happen lets something happen; false when the world does not know it.
func (w *World) Happen(kind string, server, source topology.Address, number int64, set gtid.Set, text string) bool {
	does := w.happens[kind]
	if does != nil {
		does(happening{w.world.servers[server], w.world.servers[source], number, set, text})
	}
	return does != nil
}

func (w *world) happenings() happens {
	return happens{
		"crash":         func(h happening) { h.server.crash() },
		"restart":       func(h happening) { h.server.restart() },
		"wipe":          func(h happening) { h.server.copyOf(&mysqld{}) },
		"clone":         func(h happening) { h.server.copyOf(h.source) },
		"stop receiver": func(h happening) { h.server.receiver = false },
		"start receiver": func(h happening) {
			h.server.receiver, h.server.bootStopped = h.server.channel, false
		},
		"fill disk":    func(h happening) { h.server.stuck = true },
		"stop applier": func(h happening) { h.server.applier = false },
		"fall behind": func(h happening) {
			h.server.lag, h.server.lazy = time.Duration(h.number), true
		},
		"no acker":           func(h happening) { h.server.semiReplica = false },
		"no source":          func(h happening) { h.server.semiSource = false },
		"finite timeout":     func(h happening) { h.server.infinite = false },
		"fall back":          func(h happening) { h.server.waitFor(0) },
		"wait for acks":      func(h happening) { h.server.waitFor(int(h.number)) },
		"relay log recovery": func(h happening) { h.server.relayLogRecovery = true },
		"purge":              func(h happening) { h.server.purge(h.set) },
		"run version":        func(h happening) { h.server.version = h.text },
		"cut off":            func(h happening) { w.cut = w.cut.With(h.server.name) },
		"reconnect":          func(h happening) { w.cut = w.cut.Without(h.server.name) },
		"part":               func(h happening) { w.apart[[2]topology.Address{h.server.name, h.source.name}] = true },
		"mute":               func(h happening) { w.muted[[2]topology.Address{h.server.name, h.source.name}] = true },
		"shut down":          func(h happening) { h.server.shutDown() },
		"join":               func(happening) { clear(w.apart); clear(w.muted) },
		"taken over":         func(h happening) { h.server.owner = uint32(h.number) },
		"give up":            func(happening) { w.lossAccepted = true },
	}
}

// waitFor changes how many acknowledgements commits wait for.
func (s *mysqld) waitFor(acks int) {
	s.acks = acks
	s.settle()
}

// Write is a client's transaction on a server.
func (w *World) Write(a topology.Address) (gtid.GTID, error) { return w.world.write(a), nil }

// Enter is somebody's transaction.
func (w *World) Enter(a topology.Address, g gtid.GTID) (gtid.GTID, error) {
	s := w.world.servers[a]
	if !s.up {
		return g, fmt.Errorf("%s is down", a)
	}
	if g == (gtid.GTID{}) {
		g = s.next()
	}
	s.commit(g, false)
	return g, nil
}

// Settle lets replication run.
func (w *World) Settle() error {
	w.world.flow()
	return nil
}

// Observe is a round of probes.
func (w *World) Observe() ([]topology.Observation, error) { return w.world.snapshot().Servers, nil }

// ElectorDies leaves the servers as they are.
func (w *World) ElectorDies() error { return nil }

// Now moves a little each time it is asked.
func (w *World) Now() time.Time { return w.world.now() }

// Look is a server as it is.
func (w *World) Look(a topology.Address) (topology.Observation, error) {
	s := w.world.servers[a]
	o := s.observe()
	if !s.up {
		o.Reach = topology.ReachRefused
	}
	return o, nil
}

// Answered are the transactions whose client was told OK.
func (w *World) Answered() (gtid.Set, error) { return w.world.answered.Union(w.world.forced), nil }

// Broken are the claims that did not hold.
func (w *World) Broken() []string { return slices.Clone(w.world.broken) }

// Do carries commands out, each with what goes wrong with it.
func (w *World) Do(commands []Command, fates []string) []Result {
	e := &elector{world: w.world}
	e.fate = func(c Command) fate {
		for i, other := range commands {
			if other.Verb == c.Verb && other.Server == c.Server {
				return fatesByName[fates[i]]
			}
		}
		return fateNone
	}
	return e.send(Operation{}, Step{Commands: commands})
}

var fatesByName = map[string]fate{
	"": fateNone, "refused": fateRefused, "dropped": fateDropped, "lost": fateLost, "a crash": fateCrashed, "a restart": fateRestarted,
}
