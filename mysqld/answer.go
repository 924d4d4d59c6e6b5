package mysqld

import (
	"context"
	"errors"
	"fmt"

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

func (r refusal) Error() string { return r.detail }

func refuse(reason reparent.Reason, format string, args ...any) error {
	return refusal{reason: reason, detail: fmt.Sprintf(format, args...)}
}

// fencedBy is the refusal of a server on which a term acts that ours does not outrank.
func fencedBy(owner uint32, format string, args ...any) error {
	return refusal{reason: reparent.ReasonFenced, detail: fmt.Sprintf(format, args...), owner: owner}
}

// doubt is an error that says that nobody knows.
type doubt struct {
	reason reparent.Reason
	detail string
}

func (d doubt) Error() string { return d.detail }

func doubtful(reason reparent.Reason, format string, args ...any) error {
	return doubt{reason, fmt.Sprintf(format, args...)}
}

// MySQL's error numbers that mean something here.
const (
	errNoSuchThread        = 1094
	errNotOwnerOfThread    = 1095
	errQueryInterrupted    = 1317
	errLockWaitTimeout     = 1205
	errServerShutdown      = 1053
	errMalformedGTIDSet    = 1772
	errUnknownVariable     = 1193
	errNoSuchTable         = 1146
	errUnknownDatabase     = 1049
	errIdleTooLong         = 4031
	errNewAbortingSession  = 1184
	errNormalShutdown      = 1077
	errConnectionWasKilled = 3169
	errRestartFailed       = 3707
	errSyntax              = 1064
)

// denials are refusals of the account or of one of its privileges.
var denials = map[int]bool{
	1044: true, 1045: true, 1130: true, 1142: true, 1143: true, 1227: true, 1251: true, 1370: true,
	1698: true, 1820: true, 1862: true, 3032: true, 3118: true, 3159: true,
}

// farewells are error packets with which a server ends a connection: the statement may have run.
var farewells = map[int]bool{
	errServerShutdown: true, errIdleTooLong: true, errNewAbortingSession: true, errNormalShutdown: true, errConnectionWasKilled: true,
}

// answer is the result of a command that ended with err.
func answer(ctx context.Context, o topology.Observation, changed bool, err error) reparent.Result {
	r := reparent.Result{Observation: o}
	if err == nil {
		r.Outcome = reparent.Yes
		return r
	}
	r.Detail = err.Error()
	r.Outcome, r.Reason = verdict(ctx, changed, err)
	if no, ok := errors.AsType[refusal](err); ok {
		r.Owner = no.owner
	}
	return r
}

func verdict(ctx context.Context, changed bool, err error) (reparent.Outcome, reparent.Reason) {
	if no, ok := errors.AsType[refusal](err); ok {
		return reparent.No, no.reason
	}
	if unsure, ok := errors.AsType[doubt](err); ok {
		return reparent.Unknown, unsure.reason
	}
	errno := mysqlErrno(err)
	switch {
	case denials[errno]:
		return reparent.No, reparent.ReasonDenied
	case errno == errLockWaitTimeout:
		return reparent.No, reparent.ReasonDeadline
	case errno != 0 && !farewells[errno]:
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
	_, reason := verdict(context.Background(), true, err)
	return reason
}
