//go:build !failpoints

package main

import "github.com/primacydb/primacy/orchestrator"

// trapped changes nothing: a program that is not built for tests has no failpoints.
func trapped(settings orchestrator.Settings, servers orchestrator.Fleet, memory orchestrator.Store) (orchestrator.Settings, orchestrator.Fleet, orchestrator.Store) {
	return settings, servers, memory
}
