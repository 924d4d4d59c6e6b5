package mysqld

import (
	"context"
	"slices"
	"time"

	"github.com/primacydb/primacy/reparent"
)

// strays are the names of sessions aside that were hung up without an answer to their statement. A network that delays or
// loses packets delivers the statement when it can, whatever was done on other connections meanwhile: a STOP REPLICA that
// arrives after the START that took it back, or a SET super_read_only after the server was opened again. The server cannot
// know that nobody wants it any more, so the session is ended there before the next command.
//
// Sessions that commit are none: a marker that may be on its way counts as sent.
type strays []string

// stray remembers a session aside that is being hung up, if its statement may not have arrived yet.
func (s *session) stray(side *aside) {
	if (side.duty == dutyStop || side.duty == dutyClose) && !side.link.alive() {
		s.strays = append(s.strays, side.nonce)
	}
}

// recall ends the strays on the server. One that has ended by itself, also with the server's process, has done whatever it
// was going to do. So has a STOP REPLICA that has arrived: it cannot be ended, and who starts replication looks for it.
func (s *session) recall(ctx context.Context) error {
	if len(s.strays) == 0 {
		return nil
	}
	tick := time.NewTicker(fenceEvery)
	defer tick.Stop()
	ended := killed{}
	for {
		left, err := s.straying(ctx)
		if err == nil && len(left) == 0 {
			s.strays = nil
			return nil
		}
		if err == nil {
			err = ended.kill(ctx, s.link, left)
		}
		if err != nil {
			return refuse(reparent.ReasonUnreachable, "an earlier statement of ours may still be on its way to %s, and could not be called back: %v", s.server, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return refuse(reparent.ReasonDeadline, "an earlier statement of ours on %s was called back and has not ended in time", s.server)
		}
	}
}

// straying are the strays that may yet begin their statement, or that are still at it and can be ended. One that was killed
// is waited for: until it is gone it looks like one that stops a replica.
func (s *session) straying(ctx context.Context) (left []rival, err error) {
	rows, err := s.link.query(ctx, announcedSessions)
	if err != nil {
		return nil, err
	}
	for _, r := range announced(rows) {
		if slices.Contains(s.strays, r.nonce) && (r.duty == dutyClose || r.idle) {
			left = append(left, r)
		}
	}
	return left, nil
}
