package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// equal expects one thing to be another.
func equal[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("it is %v, and %v was expected", got, want)
	}
	return nil
}

// condition is what an undone change has to give back.
type condition struct {
	up, receives, open, offline bool
	source                      topology.Address
	acks                        int
}

func conditionOf(o topology.Observation) condition {
	if !o.OK() {
		return condition{}
	}
	c := condition{up: true, open: !o.ReadOnly, offline: o.OfflineMode}
	if o.Replication != nil {
		c.receives = o.Replication.Receiver != topology.ThreadOff
		if o.ReadOnly {
			c.source = o.Replication.Source // what is left of a primary's old channel need not survive
		}
	}
	if o.SemiSync.SourceEnabled {
		c.acks = o.SemiSync.Acks
	}
	return c
}

func (p *playing) conditions() (map[topology.Address]condition, error) {
	all := map[topology.Address]condition{}
	for _, m := range p.cast.Ruleset.Members {
		o, err := p.stage.Look(m.Address)
		if err != nil {
			return nil, err
		}
		all[m.Address] = conditionOf(o)
	}
	return all, nil
}

func (p *playing) expectAsBefore() error {
	now, err := p.conditions()
	if err != nil {
		return err
	}
	for _, m := range p.cast.Ruleset.Members {
		if before := p.before[m.Address]; now[m.Address] != before {
			return fmt.Errorf("%s is %+v, and was %+v", m.Address, now[m.Address], before)
		}
	}
	return nil
}

// completes tells whether a client's commit on a server can be answered as things are.
func (p *playing) completes(a topology.Address) (bool, error) {
	primary, err := p.stage.Look(a)
	if err != nil || !primary.Writable() {
		return false, err
	}
	if s := primary.SemiSync; !s.SourceEnabled || s.Timeout < topology.TimeoutInfinite {
		return true, nil
	}
	ackers := 0
	for _, m := range p.cast.Ruleset.Members {
		o, err := p.stage.Look(m.Address)
		if err != nil {
			return false, err
		}
		if acknowledges(o, a) {
			ackers++
		}
	}
	return ackers >= primary.SemiSync.Acks, nil
}

func acknowledges(o topology.Observation, primary topology.Address) bool {
	return o.OK() && o.SemiSync.ReplicaEnabled && o.Replication != nil && o.Replication.Source == primary && o.Replication.Receiver == topology.ThreadOn
}

func (p *playing) expectSteps(block []string) error {
	if got := p.told(); !slices.Equal(got, block) {
		return fmt.Errorf("the steps were others than\n\t%s", strings.Join(block, "\n\t"))
	}
	return nil
}

func (p *playing) expectObstacle(code string) error {
	if o := p.obstacle(); o == nil || o.Code != code {
		return fmt.Errorf("the obstacle is %+v", o)
	}
	return nil
}

// obstacle is what is in the way of the last change, or of the one that the loop wants.
func (p *playing) obstacle() *reparent.Obstacle {
	if p.course.Obstacle != nil {
		return p.course.Obstacle
	}
	return p.op.Obstacle
}

func (p *playing) expectNeeds(sets string) error {
	o := p.obstacle()
	if o == nil {
		return errors.New("nothing is in its way")
	}
	var words []string
	for _, s := range o.Needs {
		words = append(words, "{"+s.String()+"}")
	}
	return equal(p.named(strings.Join(words, " or ")), sets)
}

func (p *playing) expectKept(name string, kept bool) error {
	l, decided := p.op.Leadership()
	if !decided {
		return errors.New("nothing was decided")
	}
	set, err := p.transactions(name)
	if err != nil {
		return err
	}
	if !kept && l.Base.Intersects(set) {
		return fmt.Errorf("the decision honours %s", l.Base.Intersect(set))
	}
	return equal(l.Base.Contains(set), kept)
}

func (p *playing) expectAnswered(name string, told bool) error {
	set, err := p.transactions(name)
	if err != nil {
		return err
	}
	answered, err := p.stage.Answered()
	if err != nil {
		return err
	}
	if !told && answered.Intersects(set) {
		return fmt.Errorf("clients were told OK for %s", answered.Intersect(set))
	}
	return equal(answered.Contains(set), told)
}

func (p *playing) expectOn(name, servers string, held bool) error {
	set, err := p.transactions(name)
	if err != nil {
		return err
	}
	return p.each(servers, func(a topology.Address) error {
		o, err := p.stage.Look(a)
		switch {
		case err != nil:
			return err
		case !o.OK():
			return fmt.Errorf("%s is down", a)
		case !held && o.Position().Intersects(set):
			return fmt.Errorf("%s holds %s", a, o.Position().Intersect(set))
		}
		return equal(o.Position().Contains(set), held)
	})
}

func (p *playing) expectFollow(servers, source string) error {
	return p.each(servers, func(a topology.Address) error {
		o, err := p.stage.Look(a)
		if err != nil {
			return err
		}
		if !o.OK() || o.Replication == nil || o.Replication.Receiver == topology.ThreadOff {
			return fmt.Errorf("%s follows nobody", a)
		}
		return equal(p.names[o.Replication.Source], source)
	})
}

func (p *playing) expectNoReceiver(server string) error {
	o, err := p.look(server)
	if err == nil && o.OK() && o.Replication != nil && o.Replication.Receiver != topology.ThreadOff {
		return fmt.Errorf("%s receives from %s", server, o.Replication.Source)
	}
	return err
}

func (p *playing) expectOpen(server string, open bool) error {
	o, err := p.look(server)
	switch {
	case err != nil:
		return err
	case !o.OK():
		return fmt.Errorf("%s is down", server)
	}
	return equal(o.Writable(), open)
}

func (p *playing) expectCompletes(server string) error {
	a, err := p.address(server)
	if err != nil {
		return err
	}
	able, err := p.completes(a)
	if err != nil {
		return err
	}
	return equal(able, true)
}

// expectSaid looks for words in all that the last change, or the loop, tells about itself.
func (p *playing) expectSaid(words string) error {
	var said []string
	if o := p.obstacle(); o != nil {
		said = append(said, o.Message)
	}
	for _, st := range p.op.Stages {
		said = append(append(said, st.Detail), st.Evidence...)
	}
	for _, f := range p.course.Findings {
		said = append(said, f.Message, f.WhyNot)
		for _, e := range f.Evidence {
			said = append(said, e.Fact)
		}
	}
	said = append(append(said, p.course.Refusal), p.course.Answers...)
	if !slices.ContainsFunc(said, func(text string) bool { return strings.Contains(p.named(text), words) }) {
		return fmt.Errorf("it says %q", slices.DeleteFunc(said, func(text string) bool { return text == "" }))
	}
	return nil
}

// expectNewest is what a failover would choose that knows no term markers and takes the branch with the latest write.
func (p *playing) expectNewest(gives string) error {
	set, err := p.transactions(gives)
	if err != nil {
		return err
	}
	newest := p.newest()
	if newest.IsEmpty() {
		return errors.New("no server that was reached holds any write")
	}
	return equal(newest.Intersects(set), false)
}

func (p *playing) newest() gtid.Set {
	for _, g := range slices.Backward(p.written) {
		for _, m := range p.cast.Ruleset.Members {
			progress := p.op.Progress[m.Address]
			if progress.Frozen == reparent.Yes && progress.Reading != nil && progress.Reading.Position().Has(g) {
				return progress.Reading.Position()
			}
		}
	}
	return gtid.Set{}
}

// changes counts what the loop did, its adoption left out and what opened the primary again: it stayed who it was.
func (p *playing) expectChanges(n int) error {
	var kinds []string
	for _, op := range p.course.Operations {
		if op.Kind != reparent.KindAdoption && op.Kind != reparent.KindReopening {
			kinds = append(kinds, fmt.Sprintf("%s to %s (%s)", op.Kind, op.To, op.State))
		}
	}
	if len(kinds) != n {
		return fmt.Errorf("there were %d changes: %s", len(kinds), strings.Join(kinds, ", "))
	}
	return nil
}

// expectRefusal looks for words in why the loop does not change the primary.
func (p *playing) expectRefusal(words string) error {
	if !strings.Contains(p.named(p.course.Refusal), words) {
		return fmt.Errorf("the refusal is %q, with these findings: %s", p.course.Refusal, p.findings())
	}
	return nil
}

func (p *playing) findings() string {
	var texts []string
	for _, f := range p.course.Findings {
		texts = append(texts, fmt.Sprintf("%s of %s: %s", f.Code, f.Server, f.Message))
	}
	return strings.Join(texts, "; ")
}

// expectSame expects all servers to be up and to hold the same, all that was answered included, and one to take writes.
func (p *playing) expectSame() error {
	answered, err := p.stage.Answered()
	if err != nil {
		return err
	}
	var first topology.Observation
	open := 0
	for i, m := range p.cast.Ruleset.Members {
		o, err := p.stage.Look(m.Address)
		if err != nil {
			return err
		}
		if i == 0 {
			first = o
		}
		if o.Writable() {
			open++
		}
		switch {
		case !o.OK():
			return fmt.Errorf("%s is down", m.Address)
		case !o.Executed.Contains(answered):
			return fmt.Errorf("%s lacks answered %s", m.Address, answered.Subtract(o.Executed))
		case !o.Executed.Equal(first.Executed):
			return fmt.Errorf("%s holds %s, and %s holds %s", m.Address, o.Executed, first.Address, first.Executed)
		}
	}
	return equal(open, 1)
}

// expectFinding expects a finding of a server, or of any when none is named.
func (p *playing) expectFinding(code, server string, found bool) error {
	var a topology.Address
	if server != "" {
		var err error
		if a, err = p.address(server); err != nil {
			return err
		}
	}
	var codes []string
	for _, f := range p.course.Findings {
		codes = append(codes, fmt.Sprintf("%s of %s", f.Code, f.Server))
	}
	has := slices.ContainsFunc(p.course.Findings, func(f topology.Finding) bool { return string(f.Code) == code && (f.Server == a || server == "") })
	if has != found {
		return fmt.Errorf("the findings are %s", strings.Join(codes, ", "))
	}
	return nil
}
