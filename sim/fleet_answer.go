package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Inside a verb failure is an error; answer turns it into data at the one place where a command ends.

// refusal is an error that says that the command was certainly not carried out.
type refusal struct {
	reason reparent.Reason
	detail string
	owner  uint32 // the term that acts on the server, when that is the reason
}

func (r *refusal) Error() string { return r.detail }

func refuse(reason reparent.Reason, format string, values ...any) error {
	return &refusal{reason: reason, detail: fmt.Sprintf(format, values...)}
}

// fencedBy is the refusal of a server on which a term acts that ours does not outrank.
func fencedBy(owner uint32, format string, values ...any) error {
	return &refusal{reason: reparent.ReasonFenced, detail: fmt.Sprintf(format, values...), owner: owner}
}

// doubt is an error that says that nobody knows.
type doubt struct {
	reason reparent.Reason
	detail string
}

func (d *doubt) Error() string { return d.detail }

func doubtful(reason reparent.Reason, format string, values ...any) error {
	return &doubt{reason, fmt.Sprintf(format, values...)}
}

// mysqlError is a server's answer that a statement failed.
type mysqlError int

func (e mysqlError) Error() string { return fmt.Sprintf("MySQL error %d", int(e)) }

// How a connection fails that brings no answer.
var (
	errConnRefused = errors.New("connection refused")
	errConnReset   = errors.New("connection reset by peer")
	errConnTimeout = errors.New("connection timed out")
)

// The numbers of MySQL's errors that mean something here.
const (
	errNoSuchThread        mysqlError = 1094
	errLockWaitTimeout     mysqlError = 1205
	errAccessDenied        mysqlError = 1045
	errNotOwnerOfThread    mysqlError = 1095
	errQueryInterrupted    mysqlError = 1317
	errReplicaNotStopped   mysqlError = 3021
	errBothNotStopped      mysqlError = 3081
	errNotConfigured       mysqlError = 1200
	errReadOnlyOption      mysqlError = 1290
	errServerShutdown      mysqlError = 1053
	errConnectionWasKilled mysqlError = 3169
)

// answer is the result of a command that ended with err.
func answer(ctx *patience, o topology.Observation, changed bool, err error) reparent.Result {
	r := reparent.Result{Observation: o}
	if err == nil {
		r.Outcome = reparent.Yes
		return r
	}
	r.Detail = err.Error()
	r.Outcome, r.Reason = verdict(ctx, changed, err)
	if no, is := errors.AsType[*refusal](err); is {
		r.Owner = no.owner
	}
	return r
}

func verdict(ctx *patience, changed bool, err error) (reparent.Outcome, reparent.Reason) {
	if no, is := errors.AsType[*refusal](err); is {
		return reparent.No, no.reason
	}
	if nobodyKnows, is := errors.AsType[*doubt](err); is {
		return reparent.Unknown, nobodyKnows.reason
	}
	switch errnoOf(err) {
	case 0: // no answer
	case errAccessDenied, errOffline:
		return reparent.No, reparent.ReasonDenied
	case errLockWaitTimeout:
		return reparent.No, reparent.ReasonDeadline
	case errServerShutdown, errConnectionWasKilled: // with these a server ends a connection: the statement may have run
	default:
		return reparent.No, reparent.ReasonError
	}
	outcome := reparent.No
	if changed {
		outcome = reparent.Unknown
	}
	if ctx.Err() != nil {
		return outcome, reparent.ReasonDeadline
	}
	return outcome, reparent.ReasonUnreachable
}

// reasonOf is the reason that an error would be answered with.
func reasonOf(err error) reparent.Reason {
	_, reason := verdict(&patience{}, true, err)
	return reason
}

// errnoOf is the number that MySQL answered with; 0 when it did not answer.
func errnoOf(err error) mysqlError {
	number, _ := errors.AsType[mysqlError](err)
	return number
}

// patience is a context whose end is known: a life, and when it will be over at the latest.
type patience struct {
	*life
	until time.Duration
	timer timer
}

// patient is the patience of something that may take as long as given, and ends with its parent if there is one.
func (c *clock) patient(parent *life, atMost time.Duration) *patience {
	in := c.newLife(parent)
	p := c.slabs().patiences.one()
	p.life, p.until = in, c.now+atMost
	p.timer = c.after(atMost, in.expire)
	return p
}

// over gives back what patience holds.
func (p *patience) over() {
	p.timer.cancel()
	p.end(context.Canceled)
}

// Err is how it ended; the zero patience never does.
func (p *patience) Err() error {
	if p.life == nil {
		return nil
	}
	return p.life.err
}

// remaining is the time that is left.
func (p *patience) remaining() time.Duration { return max(0, p.until-p.clock.now) }
