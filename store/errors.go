package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var (
	// ErrLost says that the lock is no longer held. The write that met it may still have been carried out, if it was
	// under way when the lock was lost; whoever holds the lock now reads it back from the store.
	ErrLost = errors.New("the lock is no longer held")
	// ErrUnavailable says that etcd did not answer in time, or has no quorum. What was asked for may have been done.
	ErrUnavailable = errors.New("the store does not answer")
	// ErrClosed says that Close was called.
	ErrClosed = errors.New("the store is closed")

	// errMoved says that another write came first: read again, and repeat.
	errMoved = errors.New("another write came first")
	// errHeld says that waiting for a lock was in vain.
	errHeld = errors.New("it is held")
	// errReleased is why a lease has ended that was given back in order.
	errReleased = errors.New("it was released")
	// errDisowned is why a lease has ended whose lock somebody else removed, or whose session etcd has ended.
	errDisowned = errors.New("etcd no longer knows our claim to it")
)

// persist tries until there is an answer, the deadline passes or the error is one that repeating cannot cure. The
// first attempts are short, since the next one may go to another member of the etcd cluster, and the later ones longer,
// since etcd may be slow and not dead.
func (s *Store) persist(ctx context.Context, what string, try func(context.Context) error) error {
	if err := s.unopened(); err != nil {
		return s.explain(what, err)
	}
	return s.insist(ctx, what, try)
}

// insist is persist towards an etcd that has not answered yet.
func (s *Store) insist(ctx context.Context, what string, try func(context.Context) error) error {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	for patience := firstPatience(ctx); ; patience += patience / 2 {
		err := attempt(ctx, patience, try)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errMoved) && ctx.Err() == nil:
		case !unavailable(err) || !pause(ctx, retryPause):
			return s.explain(what, err)
		}
	}
}

// bound gives a call its deadline, unless the caller has set one, and ends it when the store is closed.
func (s *Store) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if _, ok := ctx.Deadline(); !ok {
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
	}
	ctx, stop := within(ctx, s.ctx)
	return ctx, func() { stop(); cancel() }
}

// within ends ctx also when outer ends.
func within(ctx, outer context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(outer, cancel)
	return ctx, func() { stop(); cancel() }
}

// firstPatience makes five attempts fit into the time that there is.
func firstPatience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return callTimeout / 10
	}
	return max(time.Until(deadline)/10, retryPause)
}

// attempt sends nothing once ctx has ended: etcd might do what nobody waits for any more.
func attempt(ctx context.Context, patience time.Duration, try func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return try(ctx)
}

// pause waits, and says whether there is any point in going on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// unavailable says whether the same request may succeed when it is sent again.
func unavailable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUnavailable) || errors.Is(err, rpctypes.ErrTooManyRequests) {
		return true
	}
	return slices.Contains([]codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Internal}, codeOf(err))
}

func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || codeOf(err) == codes.Canceled
}

func codeOf(err error) codes.Code {
	var refused rpctypes.EtcdError
	if errors.As(err, &refused) {
		return refused.Code()
	}
	return status.Code(err)
}

// explain turns etcd's answer into an error that says what was tried, where, and what would help.
func (s *Store) explain(what string, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ErrClosed)
	case errors.Is(err, ErrLost), errors.Is(err, ErrUnavailable), canceled(err):
		return fmt.Errorf("%s: %w", what, err)
	case unavailable(err):
		return fmt.Errorf("%s: %w (%s): %w", what, ErrUnavailable, s.place(), err)
	}
	if remedy := s.remedy(err); remedy != "" {
		return fmt.Errorf("%s: %s: %w: %s", what, s.place(), err, remedy)
	}
	return fmt.Errorf("%s: %s: %w", what, s.place(), err)
}

func (s *Store) remedy(err error) string {
	switch {
	case errors.Is(err, rpctypes.ErrAuthFailed):
		return fmt.Sprintf("check the name and password of user %q", s.settings.User)
	case errors.Is(err, rpctypes.ErrUserEmpty):
		return "this etcd asks for a user; set user and password of the store"
	case errors.Is(err, rpctypes.ErrPermissionDenied):
		return fmt.Sprintf("grant user %q a role with readwrite on the prefix %s", s.settings.User, root)
	case errors.Is(err, rpctypes.ErrNoSpace):
		return "etcd has reached its quota and refuses writes; compact and defragment it, then disarm the NOSPACE alarm"
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return "write less at once: etcd takes 1.5 MiB and 128 operations in one transaction"
	}
	return ""
}
