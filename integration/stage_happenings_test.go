package integration

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent/scenario"
	"github.com/primacydb/primacy/topology"
)

// Happen implements scenario.Stage.
func (s *stage) Happen(h scenario.Happening) error {
	a := s.actors[h.Server]
	if does := s.ofServers()[h.Kind]; does != nil {
		return does(a, h)
	}
	switch h.Kind {
	case scenario.CutOff:
		s.cutOff(visit{to: h.Server})
	case scenario.Reconnect:
		s.street.open(func(v visit) bool { return v == visit{to: h.Server} })
	case scenario.Part:
		s.street.shut(visit{h.Server, h.Source})
	case scenario.Mute:
		s.street.silence(visit{h.Server, h.Source})
		s.unheard[h.Source] = true
	case scenario.Join:
		s.street.open(func(v visit) bool { return v.who != "" })
	case scenario.GiveUpLoss:
		s.forgone = true
	case scenario.TakenOver:
		rival := s.elector("elector-99")
		s.rivals = append(s.rivals, rival)
		rival.Prepare(s.ctx, clusterName, h.Term, []topology.Address{h.Server})
	case scenario.FillDisk:
		return s.fillDisk(h.Server)
	case scenario.Payload:
		return scenario.Cannot(choking)
	case scenario.LoseStore:
		return s.loseStore()
	case scenario.AskForChange:
		return s.ask(h)
	case scenario.LiftTheWindow:
		return s.acknowledge()
	case scenario.KeepOn:
		return s.keepOn()
	case scenario.StopStore:
		return s.loop.outside.fallSilent()
	case scenario.StartStore:
		return s.loop.outside.speak()
	case scenario.RestoreStore:
		return s.loop.outside.restore(h.Delay)
	case scenario.KillElector, scenario.PauseElector:
		if h.Acks > 0 {
			return scenario.Cannot(atStatement)
		}
		return scenario.Cannot(oneElector)
	case scenario.BackAtStatement:
		return scenario.Cannot(atStatement)
	case scenario.BackAtStep:
		return s.backAt(h)
	case scenario.HireElector, scenario.Configure, scenario.EndLease:
		return scenario.Cannot(oneElector)
	case scenario.SkewElector:
		return scenario.Cannot(ownClock)
	case scenario.DeafenElector:
		s.street.hold(way{visit{to: h.Server}, true})
	case scenario.Deafen:
		return scenario.Cannot(oneWay)
	case scenario.SetClock:
		return scenario.Cannot(oneClock)
	default:
		return scenario.Cannot("nobody can bring %q about on a real server", h.Kind)
	}
	return nil
}

// cutOff keeps the elector away from a server. The loop hears nothing any more, as of a host behind a broken network. To an
// elector that goes step by step it is said at once, which saves waiting for each command's deadline.
func (s *stage) cutOff(v visit) {
	if s.loop.plane != nil {
		s.street.hold(way{v, false}, way{v, true})
		return
	}
	s.street.shut(v)
}

// ofServers is what happens to a process, or is done to it by hand.
func (s *stage) ofServers() map[scenario.Kind]func(*actor, scenario.Happening) error {
	return map[scenario.Kind]func(*actor, scenario.Happening) error{
		scenario.Crash:    func(a *actor, _ scenario.Happening) error { return a.Kill() },
		scenario.Restart:  func(a *actor, _ scenario.Happening) error { return errors.Join(a.Kill(), a.Start(s.ctx)) },
		scenario.ShutDown: func(a *actor, _ scenario.Happening) error { return s.shutDown(a) },
		scenario.Wipe:     func(a *actor, _ scenario.Happening) error { return a.Rebuild(s.ctx) },
		scenario.Clone:    s.clone,
		scenario.StopReceiver: func(a *actor, _ scenario.Happening) error {
			return s.onChannel(a, "STOP REPLICA IO_THREAD")
		},
		scenario.StartReceiver: func(a *actor, _ scenario.Happening) error {
			return s.onChannel(a, "RESET PERSIST IF EXISTS skip_replica_start", "START REPLICA IO_THREAD")
		},
		scenario.StopApplier: func(a *actor, _ scenario.Happening) error { return a.exec(s.ctx, "STOP REPLICA SQL_THREAD") },
		scenario.FallBehind:  s.fallBehind,
		scenario.NoAcker: func(a *actor, _ scenario.Happening) error {
			return a.exec(s.ctx, "SET GLOBAL rpl_semi_sync_replica_enabled = OFF", "STOP REPLICA IO_THREAD", "START REPLICA IO_THREAD")
		},
		scenario.NoSource: func(a *actor, _ scenario.Happening) error {
			return a.exec(s.ctx, "SET GLOBAL rpl_semi_sync_source_enabled = OFF")
		},
		scenario.FiniteTimeout: func(a *actor, _ scenario.Happening) error {
			return a.exec(s.ctx, "SET GLOBAL rpl_semi_sync_source_timeout = 10000")
		},
		scenario.FallBack: s.fallBack,
		scenario.WaitForAcks: func(a *actor, h scenario.Happening) error {
			return a.exec(s.ctx, fmt.Sprintf("SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = %d", h.Acks))
		},
		scenario.RelayLogRecovery: func(a *actor, _ scenario.Happening) error {
			return a.exec(s.ctx, "SET PERSIST_ONLY relay_log_recovery = ON")
		},
		scenario.Purge: s.purge,
	}
}

// fallBack lets a transaction wait for a millisecond: when that is over, all that wait are let go with it, and semi-sync is off
// until ackers have caught up. None may be attached.
func (s *stage) fallBack(a *actor, _ scenario.Happening) error {
	before, err := a.row(s.ctx, "SELECT @@GLOBAL.rpl_semi_sync_source_timeout")
	if err != nil {
		return err
	}
	if err := a.exec(s.ctx, "SET GLOBAL rpl_semi_sync_source_timeout = 1"); err != nil {
		return err
	}
	if _, err := s.Enter(a.door, gtid.GTID{}); err != nil {
		return err
	}
	if err := s.until("semi-sync that is off", func() (bool, error) {
		r, err := a.row(s.ctx, "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_status'")
		return err == nil && r[0] == "OFF", err
	}); err != nil {
		return err
	}
	return a.exec(s.ctx, "SET GLOBAL rpl_semi_sync_source_timeout = "+before[0])
}

// onChannel does something to the receiver of a server that has a source.
func (s *stage) onChannel(a *actor, statements ...string) error {
	if !a.up() {
		return nil
	}
	r, err := a.row(s.ctx, "SELECT COUNT(*) FROM performance_schema.replication_connection_configuration")
	if err != nil || r[0] == "0" {
		return err
	}
	return a.exec(s.ctx, statements...)
}

// stopPatience is how long a service manager waits for a server that was asked to end, before it kills it.
const stopPatience = 15 * time.Second

// shutDown ends the process in order, as a service manager does. What waits for acknowledgements is answered OK (E6) when
// no more than one is missing; else the server waits for them, and is killed.
func (s *stage) shutDown(a *actor) error {
	var pending []*write
	for _, w := range s.writes {
		if w.on == a.door && !w.over() {
			pending = append(pending, w)
		}
	}
	ctx, cancel := context.WithTimeout(s.ctx, stopPatience)
	defer cancel()
	err := a.Stop(ctx)
	if ctx.Err() != nil {
		err = a.Kill()
	}
	for _, w := range pending {
		<-w.ended
		w.forced = true
	}
	return err
}

// clone is a new server in place of one whose transactions nobody wants; it fetches everything from its source's binary
// log once it follows.
func (s *stage) clone(a *actor, h scenario.Happening) error {
	purged, err := s.actors[h.Source].row(s.ctx, "SELECT @@GLOBAL.gtid_purged")
	if err != nil {
		return err
	}
	if purged[0] != "" {
		return scenario.Cannot("%s has purged its binary log, and a copy of its data is not made here", h.Source)
	}
	return a.Rebuild(s.ctx)
}

// purge removes all binary logs but a new one.
func (s *stage) purge(a *actor, h scenario.Happening) error {
	if err := a.exec(s.ctx, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	if err := a.exec(s.ctx, "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY"); err != nil {
		return err
	}
	o, err := s.Look(a.door)
	if err == nil && !o.Purged.Contains(h.Set) {
		err = fmt.Errorf("%s has purged %s, and %s was to be purged", a.door, o.Purged, h.Set)
	}
	return err
}

// fallBehind makes the applier wait with each transaction until it is so old.
func (s *stage) fallBehind(a *actor, h scenario.Happening) error {
	s.late[a.door] = true
	return a.exec(s.ctx, "STOP REPLICA SQL_THREAD", fmt.Sprintf("CHANGE REPLICATION SOURCE TO SOURCE_DELAY = %d", int(h.Delay.Seconds())),
		"START REPLICA SQL_THREAD")
}
