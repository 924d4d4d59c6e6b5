//go:build race

package policy

// largest is smaller under the race detector, which makes this ten times slower and has nothing to find: the checker
// is one goroutine.
const largest = 4
