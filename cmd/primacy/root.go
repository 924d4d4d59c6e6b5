package main

import (
	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/sim/policy"
)

// rootCommand lists every command. begun turns true when one starts to run: an error before that is a mistake in
// how it was called.
func rootCommand() (root *cobra.Command, begun *bool) {
	begun = new(bool)
	root = &cobra.Command{
		Use:   "primacy",
		Short: "a control plane for semi-sync MySQL fleets",
		Long: `Primacy watches MySQL clusters, replaces a failed primary without losing an acknowledged
transaction, and moves a healthy one on request.

Of several electors any can be asked. A change that another one has to make is sent on to
it, once, which is said on standard error; never from https to http, and only to somebody
with a certificate that is trusted here (--ca-file).

Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 blocked (nothing was changed).`,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRun: func(*cobra.Command, []string) { *begun = true },
	}
	root.SetFlagErrorFunc(misused)
	addAPIFlags(root)
	root.AddCommand(
		serveCommand(), sandboxCommand(),
		clustersCommand(), topologyCommand(),
		reparentCommand(), emergencyCommand(),
		recoveriesCommand(), explainCommand(), eventsCommand(),
		checkCommand(), whatifCommand(), verifyCommand(),
		rulesCommand(), ackCommand(), automationCommand(), maintenanceCommand(), errantCommand(),
		stopServerCommand(), restartCommand(),
		simulateCommand(simulator{live: (*sim.Crew).Live, shrink: sim.Shrink, policies: policy.Check}),
		versionCommand(),
	)
	return root, begun
}
