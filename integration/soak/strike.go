package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/topology"
)

// What befalls a server. One is struck at a time and stands again, as far as a person would see to it, before the next one
// is; whether the cluster has recovered by then is not asked.
const (
	killed  = "kill -9"
	frozen  = "freeze"
	stopped = "stop" // in order; of replicas only, see strike
)

// Pauses and absences are drawn between these.
const (
	pauseMin, pauseMax   = 2 * time.Second, 12 * time.Second
	absentMin, absentMax = 500 * time.Millisecond, 12 * time.Second
)

func (s *soak) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.random.Int64N(int64(most-least)))
}

// strikeOn strikes until the time is up.
func (s *soak) strikeOn(ctx context.Context, client *workload.Client) error {
	for end := time.Now().Add(s.lasts); time.Now().Before(end); {
		if err := wait(ctx, s.between(pauseMin, pauseMax)); err != nil {
			return err
		}
		how, absent := []string{killed, killed, frozen, stopped}[s.random.IntN(4)], s.between(absentMin, absentMax)
		whom, err := s.victim()
		if err != nil {
			return err
		}
		if err := s.strike(ctx, how, whom, absent); err != nil {
			return err
		}
		v, err := s.plane.view()
		if err != nil {
			return err
		}
		s.tellEvents()
		s.tell("         primary %s, term %d, %s; %d rows", v.Primary, v.Term, v.State, len(client.Writes()))
		if v.State == topology.StateBlocked {
			s.tell("          %s", describe(v))
		}
	}
	return nil
}

// victim is the primary every other time, and else any server. A primary that has not proved itself since the last change
// is spared: if it died anti-flapping would leave the next step to a person, and rightly so.
func (s *soak) victim() (*local.Server, error) {
	primary, other := s.random.IntN(2) == 0, s.random.IntN(s.servers)
	v, err := s.plane.view()
	if err != nil {
		return nil, err
	}
	leads := s.fleet.Server(string(v.Primary))
	at := slices.Index(s.fleet.Servers, leads)
	switch {
	case leads == nil:
		return s.fleet.Servers[other], nil
	case !primary && other != at:
		return s.fleet.Servers[other], nil
	case v.Antiflap.Window(time.Now()).Open && v.Antiflap.Proven.IsZero():
		return s.fleet.Servers[(at+1+s.random.IntN(s.servers-1))%s.servers], nil
	}
	return leads, nil
}

// strike takes a server away and brings it back. A primary is not stopped in order: MySQL tells clients then that their
// commits succeeded, though nobody acknowledged them, and what to do about that is a person's to say.
func (s *soak) strike(ctx context.Context, how string, server *local.Server, absent time.Duration) error {
	v, err := s.plane.view()
	if err != nil {
		return err
	}
	role := "replica"
	if string(v.Primary) == server.Address() {
		role = "primary"
	}
	if how == stopped && role == "primary" {
		how = killed
	}
	s.strikes[how+" of a "+role]++
	s.tellEvents()
	s.tell("%-8s %s, a %s, for %s", how, server.Address(), role, absent.Round(100*time.Millisecond))
	if err := s.away(ctx, how, server); err != nil {
		return fmt.Errorf("%s of %s: %w", how, server.Address(), err)
	}
	if err := wait(ctx, absent); err != nil {
		return err
	}
	return s.back(ctx, how, server)
}

func (s *soak) away(ctx context.Context, how string, server *local.Server) error {
	switch how {
	case frozen:
		return server.Freeze()
	case stopped:
		// Who stops servers loses patience sooner or later, as systemd does.
		bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		if err := server.Stop(bounded); err != nil && ctx.Err() == nil {
			return server.Kill()
		}
		return nil
	}
	return server.Kill()
}

func (s *soak) back(ctx context.Context, how string, server *local.Server) error {
	if how == frozen {
		return server.Thaw()
	}
	return server.Start(ctx)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
