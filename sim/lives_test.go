//go:build !race

package sim

// thinned is by how much fewer lifetimes tests live than they name.
const thinned = 1
