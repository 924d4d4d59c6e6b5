package mysqld

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/topology"
)

// The error numbers with which MySQL refuses one statement for want of a grant.
const (
	errDBAccessDenied     = 1044
	errTableAccessDenied  = 1142
	errColumnAccessDenied = 1143
	errSpecificAccess     = 1227
	errRoutineDenied      = 1370
)

// mysqlErrno is the number of the error that MySQL answered with; 0 when the error is of another kind,
// and then nobody knows whether the statement took effect.
func mysqlErrno(err error) int {
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return int(answer.Number)
	}
	return 0
}

// lacksPrivilege tells whether MySQL refused one statement, not the login, for want of a grant.
func lacksPrivilege(err error) bool {
	switch mysqlErrno(err) {
	case errDBAccessDenied, errTableAccessDenied, errColumnAccessDenied, errSpecificAccess, errRoutineDenied:
		return true
	}
	return false
}

// reachOf classifies how a probe ended. What is of no known kind counts as silence: it proves nothing
// about the process.
func reachOf(err error) topology.Reach {
	var lookup *net.DNSError
	switch {
	case err == nil:
		return topology.ReachOK
	case errors.Is(err, context.Canceled):
		return topology.ReachUnknown // we did not wait for the answer
	case farewells[mysqlErrno(err)]:
		return topology.ReachReset
	case mysqlErrno(err) != 0, errors.Is(err, errRefusedByUs), handshakeFailed(err):
		return topology.ReachDenied
	case errors.As(err, &lookup), isErrno(err, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL):
		return topology.ReachUnresolved
	case isErrno(err, syscall.ECONNREFUSED):
		return topology.ReachRefused
	case isErrno(err, syscall.ECONNRESET, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return topology.ReachReset
	}
	return topology.ReachSilent
}

func isErrno(err error, numbers ...syscall.Errno) bool {
	for _, n := range numbers {
		if errors.Is(err, n) {
			return true
		}
	}
	return false
}

// errRefusedByUs marks a server that answers and that Primacy cannot work with.
var errRefusedByUs = errors.New("unusable server")

// handshakeFailed tells whether the server lives and login and we did not come to terms.
func handshakeFailed(err error) bool {
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return true
	}
	for _, known := range []error{mysql.ErrNoTLS, mysql.ErrUnknownPlugin, mysql.ErrOldPassword, mysql.ErrOldProtocol,
		mysql.ErrCleartextPassword, mysql.ErrNativePassword, errPassword} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// errPassword marks a password that could not be had.
var errPassword = errors.New("no password")

// failure is an observation of a server that gave no reading. Its latency is how long the probe waited, for the
// analysis counts silence up to the moment at which the last probe was given up.
func failure(o topology.Observation, err error) topology.Observation {
	o.Latency = time.Since(o.At)
	o.Reach, o.Errno, o.Error = reachOf(err), mysqlErrno(err), err.Error()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		o.Error = fmt.Sprintf("%s: no answer in time", o.Address)
	}
	return o
}
