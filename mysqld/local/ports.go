package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
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

// claimPorts reserves count ports: from base on, or free ones when base is 0.
func claimPorts(base, count int) ([]portClaim, error) {
	var claims []portClaim
	for len(claims) < count {
		claim, err := nextPort(base, len(claims))
		if err != nil {
			releasePorts(claims)
			return nil, err
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

func nextPort(base, i int) (portClaim, error) {
	if base != 0 {
		return claimPort(base + i)
	}
	for range 200 {
		claim, err := claimPort(portFirst + rand.IntN(portLast-portFirst+1))
		if !errors.Is(err, errPortBusy) {
			return claim, err
		}
	}
	return portClaim{}, fmt.Errorf("no free port between %d and %d", portFirst, portLast)
}

func claimPort(port int) (portClaim, error) {
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
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
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
