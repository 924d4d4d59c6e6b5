//go:build !race

package policy

// largest is the size up to which the tests try everything.
const largest = ServersMax
