//go:build failpoints

package main

import (
	"os"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/orchestrator/failpoint"
)

// trapped puts a failpoint between the loop and everything that it acts on. Only programs for tests are built with it.
func trapped(settings orchestrator.Settings, servers orchestrator.Fleet, memory orchestrator.Store) (orchestrator.Settings, orchestrator.Fleet, orchestrator.Store) {
	trap := failpoint.Set(os.Getenv(failpoint.Variable))
	settings.Company = trap.Company(settings.Company)
	return settings, trap.Fleet(servers), trap.Store(memory)
}
