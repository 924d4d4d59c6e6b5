package rolling

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/primacydb/primacy/api"
)

// answer is what the command line came to.
type answer struct {
	code      int
	out, errs string
}

// primacy runs the command line against one elector, as an operator does.
func (s *stage) primacy(t *testing.T, e *elector, args ...string) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), s.program, append(args, "--api", e.url)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PRIMACY_TOKEN=", "PRIMACY_CA_FILE=")
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), flat(out.String()), flat(errs.String())}
}

// flat is a text without its line breaks.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// acts is the elector that acts, once one does.
func (s *stage) acts() (acting *elector) {
	s.await("an elector that acts", func() bool { acting = s.acting(); return acting != nil })
	return acting
}

// others are the electors that stand by.
func (s *stage) others(acting *elector) (all []*elector) {
	for _, e := range s.electors {
		if e != acting {
			all = append(all, e)
		}
	}
	return all
}

// advertise has an elector say where it is from its next start on.
func (e *elector) advertise(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(e.config())
	must(t, err)
	must(t, os.WriteFile(e.config(), append([]byte("advertise: "+e.url+"\n"), text...), 0o600))
}

// TestAChangeCanBeAskedOfAnyElector asks those that stand by, first while nobody says where it is, as in earlier releases,
// then with one after the other restarted under a configuration that says so.
func TestAChangeCanBeAskedOfAnyElector(t *testing.T) {
	s := newStage(t)
	acting := s.acts()
	before, changes := s.known(t)
	for _, e := range s.others(acting) {
		a := s.primacy(t, e, "reparent", clusterName)
		if a.code != 1 || !strings.Contains(a.errs, acting.name+" does; ask it there") || !strings.Contains(a.errs, "set advertise in the configuration of "+acting.name) {
			t.Errorf("%s, of one whose address it does not know: %+v", e.name, a)
		}
	}
	for _, e := range s.electors {
		e.advertise(t)
		s.restart(t, e, "which is to say where it is")
	}
	after, none := s.known(t)
	if after.Term != before.Term || len(none) != len(changes) {
		t.Errorf("a refused change was made: term %d became %d, with %d changes", before.Term, after.Term, len(none)-len(changes))
	}
	for range 2 {
		for i := range len(s.electors) - 1 {
			s.sentOn(t, i)
		}
	}
	s.switchedElsewhere(t)
}

// sentOn asks one of those that stand by for a planned change, which is made once, by the one that acts, and shown stage by
// stage where it was asked for.
func (s *stage) sentOn(t *testing.T, standby int) {
	before, changes := s.known(t)
	acting := s.acts()
	asked := s.others(acting)[standby]
	a := s.primacy(t, asked, "reparent", clusterName, "--reason", "asked of "+asked.name)
	said := "primacy: " + acting.name + " acts for the cluster; sending this on to it, at " + acting.url
	if a.code != 0 || a.errs != said || !strings.Contains(a.out, "establish") {
		t.Fatalf("%s was asked: %+v\nwant %q", asked.name, a, said)
	}
	after, changesAfter := s.known(t)
	if len(changesAfter) != len(changes)+1 || after.Primary == before.Primary || after.Term <= before.Term {
		t.Fatalf("%s under term %d became %s under %d, with %d changes", before.Primary, before.Term, after.Primary, after.Term, len(changesAfter)-len(changes))
	}
	made := changesAfter[0]
	if made.State != "succeeded" || made.Elector != acting.name || made.Reason != "asked of "+asked.name {
		t.Errorf("the change is %s, made by %s, because %q", made.State, made.Elector, made.Reason)
	}
	for _, stage := range made.Stages {
		alike := 0 // two gates may have measured the same
		for _, other := range made.Stages {
			if other.Detail == stage.Detail {
				alike++
			}
		}
		if n := strings.Count(a.out, flat(stage.Detail)); n != alike {
			t.Errorf("stage %s was shown %d times and not %d: %s\n%s", stage.Name, n, alike, flat(stage.Detail), a.out)
		}
	}
}

// switchedElsewhere asks one that stands by for everything else that changes something.
func (s *stage) switchedElsewhere(t *testing.T) {
	acting := s.acts()
	asked := s.others(acting)[0]
	for _, args := range [][]string{
		{"ack", clusterName, "--reason", "seen"}, {"automation", clusterName, "off", "--reason", "migration"},
		{"maintenance", s.fleet.Servers[0].Address(), "on", "--cluster", clusterName, "--reason", "disk"}, {"reparent", clusterName, "--dry-run"},
	} {
		if a := s.primacy(t, asked, args...); a.code != 0 || !strings.Contains(a.errs, "sending this on to it, at "+acting.url) {
			t.Errorf("%s, asked of %s: %+v", args[0], asked.name, a)
		}
	}
	s.await("a standby that shows what was switched", func() bool {
		c, err := asked.cluster()
		return err == nil && !c.Automation && noted(c, s.fleet.Servers[0].Address())
	})
	if a := s.primacy(t, asked, "topology", clusterName); a.code != 0 || a.errs != "" {
		t.Errorf("to read was sent on: %+v", a)
	}
}

func noted(c api.Cluster, server string) bool {
	for _, s := range c.Servers {
		if s.Address == server {
			return s.Maintenance != nil && s.Maintenance.Reason == "disk"
		}
	}
	return false
}
