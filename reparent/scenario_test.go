package reparent_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/reparent/scenario"
)

// cannot says why servers which exist only here cannot play a scenario; empty when they can.
func cannot(f scenario.File) string {
	if strings.Contains(f.Text, "\nthe loop runs for ") {
		return noLoop
	}
	return ""
}

const noLoop = "Primacy's loop does not run here"

// TestScenarios plays every scenario on the servers of world_test.go.
func TestScenarios(t *testing.T) {
	files, err := scenario.Files()
	if err != nil || len(files) < 48 {
		t.Fatalf("found %d scenarios, error %v", len(files), err)
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) {
			err := played(f)
			if reason, ok := errors.AsType[*scenario.CannotError](err); ok && reason.Reason == cannot(f) {
				t.Log(err)
			} else if err != nil {
				t.Error(err)
			} else if why := cannot(f); why != "" {
				t.Errorf("it can be played: %s", why)
			}
		})
	}
}

func played(f scenario.File) error {
	return f.Play(func() (scenario.Stage, error) { return &stage{}, nil })
}

// TestAScenarioThatExpectsWhatDoesNotHappenFails says of each expectation what must make it fail.
func TestAScenarioThatExpectsWhatDoesNotHappenFails(t *testing.T) {
	const told = "cluster A B C with 1 ack\nwrite x on A\n"
	const changed = told + "A dies\nemergency\n"
	const dropped = "cluster A B C with 1 ack\nonly A receives\nwrite x on A\nA dies\nemergency\nA comes back\n"
	const blocked = "cluster A B C with 1 ack\nA B die\nemergency\n"
	rows := map[string]struct{ story, says string }{
		"a line that means nothing":                {told + "A dances", "nobody knows what that means"},
		"a line before there is a cluster":         {"write x on A", "there is no cluster yet"},
		"a server that does not exist":             {told + "Z dies", "there is no server Z"},
		"a name that nobody wrote":                 {changed + "expect y kept", "nothing was written under the name y"},
		"a write on a server that takes none":      {told + "write y on B", "B takes no writes"},
		"another state":                            {changed + "expect undone", "it is succeeded, and undone was expected"},
		"another primary":                          {changed + "expect primary C", "it is B, and C was expected"},
		"an obstacle where there is none":          {changed + "expect obstacle not_revoked", "the obstacle is"},
		"another obstacle":                         {blocked + "expect obstacle fenced", "the obstacle is"},
		"other servers that would help":            {blocked + "expect needs {C}", "and {C} was expected"},
		"words that nobody says":                   {changed + `expect it says "hocus pocus"`, "it says"},
		"a kept write that is dropped":             {changed + "expect x dropped", "the decision honours"},
		"a dropped write that is kept":             {dropped + "expect x kept", "it is false"},
		"an answer that nobody got":                {dropped + "expect x answered", "it is false"},
		"no answer where there was one":            {changed + "expect x not answered", "clients were told OK"},
		"a transaction that is not there":          {dropped + "expect x on B", "it is false"},
		"a transaction that is there":              {dropped + "expect x not on A", "A holds"},
		"a dead server to hold something":          {changed + "expect x on A", "A is down"},
		"another source":                           {changed + "expect C follows A", "it is B, and A was expected"},
		"a source of one that has none":            {changed + "expect B follows A", "B follows nobody"},
		"a receiver that runs":                     {changed + "expect C does not receive", "C receives from B"},
		"an open server to be closed":              {changed + "expect B closed", "it is true"},
		"a closed server to be open":               {changed + "expect C open", "it is false"},
		"a replica to complete writes":             {changed + "expect C completes writes", "it is false"},
		"a primary without ackers to complete":     {told + "B C die\nexpect A completes writes", "it is false"},
		"everything as before after a change":      {changed + "expect everything as before", "and was"},
		"nothing touched after a change":           {changed + "expect nothing touched", "and 0 was expected"},
		"other steps":                              {changed + "expect steps\n\trevoking: A freeze", "the steps were others"},
		"a newest branch that has the write":       {changed + "expect newest first to give up x", "it is true"},
		"changes of a loop that never ran":         {told + "expect 1 change", "there were 0 changes"},
		"a finding of a loop that never ran":       {told + "expect finding primary_dead of A", "the findings are"},
		"an elector that dies too rarely":          {"\nfor every death of the elector\ncluster A B C with 1 ack\n", "the elector died only 0 times"},
		"a second primary behind Primacy's back":   {told + "A is out of reach\nemergency\nall receive\nA writes asynchronously\nplanned to C", "can complete writes"},
		"an accepted loss that nobody had to take": {"cluster A B C with policy none and allow_unfenced\nonly A receives\nwrite x on A\nA dies\nemergency", "which clients were told is committed"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			err := played(scenario.File{Name: name, Text: row.story})
			if err == nil || !strings.Contains(err.Error(), row.says) {
				t.Errorf("it ended with %v, and not with %q", err, row.says)
			}
		})
	}
}

// stage is a world on which a scenario is played.
type stage struct{ *reparent.World }

func (s *stage) Build(set scenario.Setting) (scenario.Cast, error) {
	s.World = reparent.NewWorld(set.Ruleset, set.Adopted)
	cast := scenario.Cast{Ruleset: set.Ruleset}
	if l, led := s.Leadership(); led {
		cast.Leadership = &l
	}
	return cast, nil
}

func (s *stage) Happen(h scenario.Happening) error {
	number := int64(h.Acks) + int64(h.Term) + int64(h.Delay) // each kind has one of them
	if !s.World.Happen(string(h.Kind), h.Server, h.Source, number, h.Set, h.Text) {
		return scenario.Cannot("servers that exist only in a test do not know %q", h.Kind)
	}
	return nil
}

func (s *stage) Do(orders []scenario.Order) ([]reparent.Result, error) {
	commands, fates := make([]reparent.Command, len(orders)), make([]string, len(orders))
	for i, o := range orders {
		commands[i], fates[i] = o.Command, string(o.Fate)
	}
	return s.World.Do(commands, fates), nil
}
