// Package porttest finds addresses for servers that tests start.
package porttest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// They are looked for below the range from which the kernel serves outgoing connections: a port from that range can be lost to
// a client before its server listens, or while that is being restarted. Above lie those of the MySQL servers of tests.
const (
	first = 10000
	last  = 19999
)

var given struct {
	sync.Mutex
	ports map[int]bool
}

// Free is an address of this machine on which nobody listens. No test of this process is given it again.
func Free() (string, error) {
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	for range 200 {
		port := first + rand.IntN(last-first+1)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if given.ports[port] || !listens(address) {
			continue
		}
		given.ports[port] = true
		return address, nil
	}
	return "", fmt.Errorf("no free port between %d and %d", first, last)
}

// listens tells whether somebody can listen there.
func listens(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}
