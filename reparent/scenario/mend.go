package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
)

// leftOpen begins a line that says why a cluster does not become whole by itself after a story.
const leftOpen = "it does not become whole: "

// afterwards is how long the loop runs when all is mended: long enough for whatever it does about servers that all run.
const afterwards = 3 * time.Minute

// mended plays a story on past its end: all is mended, everybody is started, the loop runs, and the cluster has to be whole. A
// story that says that it does not become so must not, or what it says is not true any more. One that is played many times says
// itself how it ends.
func (p *playing) mended(story []sentence) error {
	stage, can := p.stage.(Mended)
	if !can || p.names == nil || p.statement > 0 || p.death != "" {
		return nil
	}
	p.line = "mended, and after a while"
	if err := errors.Join(stage.Mend(), p.allUp(), stage.Settle(), p.loop(afterwards), p.onceMore(), stage.Settle()); err != nil {
		return err
	}
	if err := p.claims(); err != nil {
		return err
	}
	err := p.whole()
	if !slices.ContainsFunc(story, func(s sentence) bool { return strings.HasPrefix(s.text, leftOpen) }) {
		return err
	}
	if err == nil {
		return errors.New("it became whole, and it is said that it does not")
	}
	return nil
}

// onceMore has a client write on each server that takes it. It pushes on, too, what waits for an acknowledgement that got lost: one
// of a later transaction stands for those before it.
func (p *playing) onceMore() error {
	for _, m := range p.cast.Ruleset.Members {
		g, err := p.stage.Write(m.Address)
		if err != nil {
			return err
		}
		if g.Number > 0 {
			p.known["the last write"] = g
		}
	}
	return nil
}

// whole expects one server to take writes and to hold all that was answered, the last write included, and each other one to hold
// the same as it, or to be kept apart: closed, and reported for transactions that the chosen history does not contain.
func (p *playing) whole() error {
	seen := map[topology.Address]topology.Observation{}
	var leads []topology.Address
	for _, m := range p.cast.Ruleset.Members {
		o, err := p.stage.Look(m.Address)
		if err != nil {
			return err
		}
		if seen[m.Address] = o; o.Writable() {
			leads = append(leads, m.Address)
		}
	}
	if len(leads) != 1 {
		return fmt.Errorf("%v take writes; the loop refuses to act: %q; the findings are %s", leads, p.course.Refusal, p.findings())
	}
	answered, err := p.stage.Answered()
	if err != nil {
		return err
	}
	chosen := seen[leads[0]].Executed
	if lost := answered.Subtract(chosen); !lost.IsEmpty() {
		return fmt.Errorf("%s takes writes and lacks answered %s", leads[0], lost)
	}
	if err := p.expectAnswered("the last write", true); err != nil {
		return fmt.Errorf("the last write was not answered: %w; the findings are %s", err, p.findings())
	}
	for _, m := range p.cast.Ruleset.Members {
		if err := p.same(seen[m.Address], chosen); err != nil {
			return err
		}
	}
	return nil
}

// same expects a server to hold what was chosen, or to be kept apart.
func (p *playing) same(o topology.Observation, chosen gtid.Set) error {
	apart := p.expectFinding(string(topology.Errant), p.names[o.Address], true) == nil
	switch {
	case !o.OK():
		return fmt.Errorf("%s is down", o.Address)
	case o.Executed.Equal(chosen), apart && !o.Writable():
		return nil
	}
	return fmt.Errorf("%s holds %s, and %s was chosen; the findings are %s", o.Address, o.Executed, chosen, p.findings())
}
