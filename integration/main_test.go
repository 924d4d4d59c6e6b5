package integration

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable makes the test binary play a control plane in a process of its own, which a test can kill.
const roleVariable = "PRIMACY_INTEGRATION_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "control plane" {
		if err := playControlPlane(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
