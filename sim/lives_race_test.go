//go:build race

package sim

// thinned: the race detector makes a lifetime ten times as long and has little to find, for one task runs at a time. What
// is left shows that worlds beside each other share nothing.
const thinned = 5
