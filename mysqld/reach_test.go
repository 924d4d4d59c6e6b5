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
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/topology"
)

func TestTheWayAProbeEndedIsToldFromTheErrorsKind(t *testing.T) {
	answer := func(number uint16) error { return &mysql.MySQLError{Number: number, Message: "connection refused"} }
	network := func(number syscall.Errno) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", number)}
	}
	for name, row := range map[string]struct {
		err  error
		want topology.Reach
	}{
		"no error":                             {nil, topology.ReachOK},
		"nothing listens":                      {network(syscall.ECONNREFUSED), topology.ReachRefused},
		"the peer's kernel resets":             {network(syscall.ECONNRESET), topology.ReachReset},
		"the peer hangs up":                    {io.EOF, topology.ReachReset},
		"we write to a peer that is gone":      {network(syscall.EPIPE), topology.ReachReset},
		"our deadline passes":                  {context.DeadlineExceeded, topology.ReachSilent},
		"the kernel gives up":                  {network(syscall.ETIMEDOUT), topology.ReachSilent},
		"our caller gives up":                  {context.Canceled, topology.ReachUnknown},
		"wrong password":                       {answer(1045), topology.ReachDenied},
		"too many connections":                 {answer(1040), topology.ReachDenied},
		"our host is blocked":                  {answer(1129), topology.ReachDenied},
		"our host may not connect":             {answer(1130), topology.ReachDenied},
		"offline mode without the privilege":   {answer(3032), topology.ReachDenied},
		"the server shuts down":                {answer(1053), topology.ReachReset},
		"we were idle for too long":            {answer(4031), topology.ReachReset},
		"the name is unknown":                  {&net.DNSError{IsNotFound: true}, topology.ReachUnresolved},
		"the name server is slow":              {&net.DNSError{IsTimeout: true}, topology.ReachUnresolved},
		"no route":                             {network(syscall.EHOSTUNREACH), topology.ReachUnresolved},
		"the server has no TLS":                {mysql.ErrNoTLS, topology.ReachDenied},
		"the certificate is not to be trusted": {&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, topology.ReachDenied},
		"MariaDB":                              {errRefusedByUs, topology.ReachDenied},
		"something else":                       {errors.New("surprise"), topology.ReachSilent},
	} {
		t.Run(name, func(t *testing.T) {
			err := row.err
			if err != nil {
				err = fmt.Errorf("db-1:3306: %w", err)
			}
			if got := reachOf(err); got != row.want {
				t.Errorf("%v: %q, want %q", err, got, row.want)
			}
		})
	}
}
