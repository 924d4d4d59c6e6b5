//go:build linux

package partition

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// network is a star: every packet between two hosts passes a router, where it can be lost.
type network struct {
	router *host
	hosts  []*host
	cuts   []cut
}

// cut loses what goes from one network to another one, and nothing of what comes back. Nobody is told.
type cut struct{ from, to string }

func (c cut) rule() string { return fmt.Sprintf("from %s to %s blackhole", c.from, c.to) }

func newNetwork() (*network, error) {
	router, err := newHost("router", "", false)
	if err != nil {
		return nil, err
	}
	n := &network{router: router}
	router.at(func() { err = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0) })
	return n, errors.Join(err, router.ip("link set lo up"))
}

// attach lays a line from the router to a new host with the lowest addresses of a network of its own.
func (n *network) attach(name string, addresses int, stay bool) (*host, error) {
	prefix := fmt.Sprintf("10.98.%d.", len(n.hosts)+1)
	h, err := newHost(name, prefix+"0/24", stay)
	if err != nil {
		return nil, err
	}
	n.hosts = append(n.hosts, h)
	commands := []string{"link set lo up", fmt.Sprintf("link add eth0 type veth peer name %s netns %d", name, n.router.thread), "link set eth0 up"}
	for i := range addresses {
		commands = append(commands, fmt.Sprintf("addr add %s%d/24 dev eth0", prefix, i+1))
	}
	if err := h.ip(append(commands, "route add default via "+prefix+"254")...); err != nil {
		return nil, err
	}
	return h, n.router.ip(fmt.Sprintf("addr add %s254/24 dev %s", prefix, name), fmt.Sprintf("link set %s up", name))
}

// address is the i-th of a host.
func (h *host) address(i int) string {
	return h.subnet[:len(h.subnet)-len("0/24")] + fmt.Sprint(i)
}

// lose begins to lose packets.
func (n *network) lose(cuts ...cut) error {
	var commands []string
	for _, c := range cuts {
		if !slices.Contains(n.cuts, c) {
			n.cuts = append(n.cuts, c)
			commands = append(commands, "rule add "+c.rule())
		}
	}
	return n.router.ip(commands...)
}

// heal lets everything pass again.
func (n *network) heal() error {
	var commands []string
	for _, c := range n.cuts {
		commands = append(commands, "rule del "+c.rule())
	}
	n.cuts = nil
	if len(commands) == 0 {
		return nil
	}
	return n.router.ip(commands...)
}

// between is a cut in both directions of each pair.
func between(one string, others ...string) []cut {
	var cuts []cut
	for _, other := range others {
		cuts = append(cuts, cut{one, other}, cut{other, one})
	}
	return cuts
}

func (n *network) close() {
	for _, h := range n.hosts {
		h.close()
	}
	n.router.close()
}
