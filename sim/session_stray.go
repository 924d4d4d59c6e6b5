package sim

import (
	"slices"

	"github.com/primacydb/primacy/reparent"
)

// stray remembers a session aside that is being hung up, if its statement may not have arrived yet: a network that delays
// packets delivers it when it can, whatever was done on other connections meanwhile.
func (s *session) stray(side *aside) {
	says := side.link.says.duty
	if (says == dutyStop || says == dutyClose) && (!side.link.alive() || !side.ended.kept) {
		s.strays = append(s.strays, side.link.guest.id)
	}
}

// recall ends the strays on the server. One that has ended by itself has done whatever it was going to do. So has a
// STOP REPLICA that has arrived: it cannot be ended, and who starts replication looks for it.
func (s *session) recall(ctx *patience) error {
	if len(s.strays) == 0 {
		return nil
	}
	clock, ended := s.fleet.clock, killed{}
	for tick := clock.now + fenceEvery; ; {
		left, err := s.straying(ctx)
		if err == nil && len(left) == 0 {
			s.strays = nil
			return nil
		}
		if err == nil {
			err = s.end(ctx, s.link, left, &ended)
		}
		if err != nil {
			return refuse(reparent.ReasonUnreachable, "an earlier statement of ours may still be on its way to %s, and could not be called back: %v", s.server, err)
		}
		s.fleet.rest(ctx, tick-clock.now)
		tick = nextTick(tick, clock.now, fenceEvery)
		if ctx.Err() != nil {
			return refuse(reparent.ReasonDeadline, "an earlier statement of ours on %s was called back and has not ended in time", s.server)
		}
	}
}

// straying are the strays that may yet begin their statement, or that are still at it and can be ended.
func (s *session) straying(ctx *patience) (left []rival, err error) {
	err = s.ask(ctx, func(at *server) {
		left = nil
		for _, g := range at.sessions() {
			if slices.Contains(s.strays, g.id) && (g.says.duty == dutyClose || g.doing == idle) {
				left = append(left, rival{g.id, g.says, g.doing})
			}
		}
	})
	return left, err
}
