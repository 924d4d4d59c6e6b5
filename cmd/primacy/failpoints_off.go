//go:build !failpoints

package main

import "github.com/primacydb/primacy/orchestrator"

// trapped changes nothing: a program that is not built for tests has no failpoints.
func trapped(servers orchestrator.Fleet, memory orchestrator.Store) (orchestrator.Fleet, orchestrator.Store) {
	return servers, memory
}
