package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Free ports are looked for below the range from which the kernel serves
// outgoing connections: a port from that range can be lost to a client while its
// server is being restarted.
const (
	portFirst = 20000
	portLast  = 31999
)

// A portClaim reserves a port among all fleets of this user for as long as the
// fleet lives, also while its server is stopped.
type portClaim struct {
	port int
	lock *os.File
}

var errPortBusy = errors.New("in use")

// claimPorts reserves a port on each host: from base on, or free ones when base is 0. No two are the same, though the
// hosts may differ.
func claimPorts(base int, hosts []string) ([]portClaim, error) {
	var claims []portClaim
	for i, host := range hosts {
		claim, err := nextPort(host, base, i)
		if err != nil {
			releasePorts(claims)
			return nil, err
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

func nextPort(host string, base, i int) (portClaim, error) {
	if base != 0 {
		return claimPort(host, base+i)
	}
	for range 200 {
		claim, err := claimPort(host, portFirst+rand.IntN(portLast-portFirst+1))
		if !errors.Is(err, errPortBusy) {
			return claim, err
		}
	}
	return portClaim{}, fmt.Errorf("no free port between %d and %d", portFirst, portLast)
}

func claimPort(host string, port int) (portClaim, error) {
	cache, err := cacheDir()
	if err != nil {
		return portClaim{}, err
	}
	lock, err := tryLock(filepath.Join(cache, "ports", fmt.Sprint(port)))
	if errors.Is(err, errLocked) {
		return portClaim{}, fmt.Errorf("port %d belongs to another sandbox: %w", port, errPortBusy)
	}
	if err != nil {
		return portClaim{}, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(port)))
	if errors.Is(err, syscall.EADDRNOTAVAIL) {
		lock.Close()
		return portClaim{}, fmt.Errorf("%s is no address of this machine: %w", host, err)
	}
	if err != nil {
		lock.Close()
		return portClaim{}, fmt.Errorf("port %d is %w; choose another base port", port, errPortBusy)
	}
	return portClaim{port, lock}, listener.Close()
}

// releasePorts leaves the empty lock files: removing one could take it from
// under a process that has just opened it.
func releasePorts(claims []portClaim) {
	for _, claim := range claims {
		claim.lock.Close()
	}
}
