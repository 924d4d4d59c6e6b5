package integration

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roleVariable makes the test binary play another process of a test, which can be killed or paused.
const roleVariable = "PRIMACY_INTEGRATION_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func(io.Reader, io.Writer) error{"control plane": playControlPlane, "etcd": playEtcd}
	if play := roles[os.Getenv(roleVariable)]; play != nil {
		if err := play(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := playFourAtATime(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// playFourAtATime lets more tests run in parallel than there are processors, unless the command line says how many: those
// that do are scenarios, which spend most of their time waiting for servers.
func playFourAtATime() error {
	flag.Parse()
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() != parallel.DefValue {
		return nil
	}
	return parallel.Value.Set("4")
}
