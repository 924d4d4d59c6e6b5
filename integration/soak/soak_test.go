package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/primacydb/primacy/mysqld/workload"
)

// The long form is `make soak MINUTES=30`.
func TestAClusterThatIsLeftAloneUnderStrikesEndsHealthyAndLosesNothing(t *testing.T) {
	var out bytes.Buffer
	err := perform(t.Context(), []string{"-minutes", "1"}, &out)
	t.Log("\n" + out.String())
	if err != nil {
		t.Error(err)
	}
}

func TestARowThatIsLostOrAServerThatDiffersFailsTheSoak(t *testing.T) {
	good := report{seed: 3, rows: workload.Verdict{Acknowledged: 5}}
	if err := good.verdict(); err != nil || !strings.Contains(good.String(), "nobody touched it") {
		t.Errorf("%v\n%s", err, good)
	}
	bad := good
	bad.wrong = []string{"on db1: 5 acknowledged, 1 lost"}
	if err := bad.verdict(); err == nil || !strings.Contains(err.Error(), "seed 3") || !strings.Contains(bad.String(), "FAILED") {
		t.Errorf("%v\n%s", err, bad)
	}
}
