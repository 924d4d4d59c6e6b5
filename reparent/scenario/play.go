package scenario

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// everyDeath makes a file be played once for each point at which the first elector can die.
const everyDeath = "for every death of the elector"

// everyStatement makes a file be played once for each statement before which the loop's elector can die or pause ("before
// that statement"), as long as it comes to that.
const everyStatement = "for every statement of the elector"

// everyStep is the same for each step of a change of the loop ("before that step"): coarser than its statements, and what a
// stage can tell apart that sees an elector from outside.
const everyStep = "for every step of the change"

// fewestDeaths is how often the elector has to have died when a file asks for every death: fewer, and the file does not
// show what it is there for.
const fewestDeaths = 12

// fewestSteps is the same for steps: no change of the primary takes fewer.
const fewestSteps = 5

// Play plays a scenario from its beginning to its end, each time on a stage that open makes. It returns the first
// thing that was not as it should be; a CannotError when the stage cannot do what the scenario asks for.
func (f File) Play(open func() (Stage, error)) error {
	switch {
	case strings.Contains(f.Text, "\n"+everyStatement+"\n"):
		return f.byStatement(open, "statements", fewestDeaths)
	case strings.Contains(f.Text, "\n"+everyStep+"\n"):
		return f.byStatement(open, "steps", fewestSteps)
	case !strings.Contains(f.Text, "\n"+everyDeath+"\n"):
		_, err := f.once(open, "", 0)
		return err
	}
	deaths := 0
	for n := 1; ; n++ {
		died, err := f.dying(open, n)
		if err != nil {
			return err
		}
		if deaths += died; died == 0 {
			break
		}
	}
	if deaths < fewestDeaths {
		return fmt.Errorf("the elector died only %d times", deaths)
	}
	return nil
}

// byStatement plays it for every statement or step.
func (f File) byStatement(open func() (Stage, error), what string, fewest int) error {
	for n := 1; ; n++ {
		died, err := f.once(open, "", n)
		switch {
		case err != nil:
			return err
		case !died && n <= fewest:
			return fmt.Errorf("the elector sent only %d %s", n-1, what)
		case !died:
			return nil
		}
	}
}

// dying plays it with the first elector dying in step n, and says at how many points it did.
func (f File) dying(open func() (Stage, error), n int) (deaths int, err error) {
	for _, point := range []string{beforeSave, beforeSend, beforeApply} {
		died, err := f.once(open, fmt.Sprintf("%d %s", n, point), 0)
		if err != nil {
			return deaths, err
		}
		if died {
			deaths++
		}
	}
	return deaths, nil
}

func (f File) once(open func() (Stage, error), death string, statement int) (died bool, err error) {
	stage, err := open()
	if err != nil {
		return false, err
	}
	p := &playing{stage: stage, death: death, statement: statement, fates: map[string]Fate{}, known: map[string]gtid.GTID{}}
	err = p.script(sentences(f.Text))
	return p.mortal, err
}

// playing is one run through a scenario.
type playing struct {
	stage Stage
	line  string
	cast  Cast
	book  book
	names map[topology.Address]string // of the scenario

	op     reparent.Operation
	saved  reparent.Operation
	steps  []doneStep
	before map[topology.Address]condition
	course Course

	death     string // where the elector dies, of its own
	died      bool   // the elector of the last change died
	mortal    bool   // one died where it was to
	statement int    // or step, of the loop's elector, before which something befalls it or a server
	fused     bool   // something waits for such a statement
	fates     map[string]Fate

	known   map[string]gtid.GTID // transactions by their names
	written []gtid.GTID          // by somebody on a primary, in the order of the clock
	wrong   time.Duration        // what the elector's clock is off by
}

func (p *playing) script(story []sentence) error {
	for _, s := range story {
		if s.text == everyDeath || s.text == everyStatement || s.text == everyStep || strings.HasPrefix(s.text, leftOpen) {
			continue
		}
		p.line = s.text
		if err := p.perform(s); err != nil {
			return p.explained(err)
		}
	}
	if p.fused && p.statement == 0 && p.course.Struck == 0 {
		return p.explained(errors.New("the elector never came to the statement before which something was to befall it"))
	}
	if err := p.claims(); err != nil {
		return p.explained(err)
	}
	if err := p.mended(story); err != nil {
		return p.explained(err)
	}
	return nil
}

// claims fails when one of the stage's does not hold.
func (p *playing) claims() error {
	broken := p.stage.Broken()
	if len(broken) == 0 {
		return nil
	}
	return fmt.Errorf("claims that do not hold: %s", strings.Join(broken, "; "))
}

func (p *playing) perform(s sentence) error {
	for _, w := range words {
		m := w.pattern.FindStringSubmatch(s.text)
		if m == nil {
			continue
		}
		if p.names == nil && !strings.HasPrefix(s.text, "cluster ") {
			return errors.New("there is no cluster yet")
		}
		if err := w.does(p, saying{words: m, block: s.block}); err != nil {
			return err
		}
		if w.expects {
			return nil
		}
		return p.stage.Settle()
	}
	return errors.New("nobody knows what that means")
}

// explained adds to what went wrong where it did, and what had been done by then.
func (p *playing) explained(err error) error {
	if cannot, ok := errors.AsType[*CannotError](err); ok {
		return cannot
	}
	text := p.line
	if p.death != "" {
		text += " (the elector dies in step " + p.death + ")"
	}
	if p.statement > 0 {
		text += fmt.Sprintf(" (it happens before number %d of what the elector sends)", p.statement)
	}
	text += "\n" + p.named(err.Error()) + "\nsteps so far:\n\t" + strings.Join(p.told(), "\n\t")
	if p.op.ID != "" {
		text += p.named(fmt.Sprintf("\nthe change stands at %s %s, leading %s: %+v", p.op.Phase, p.op.State, p.op.To, p.op.Obstacle))
		for _, st := range p.op.Stages {
			text += p.named(fmt.Sprintf("\n%s %s: %s %q", st.Name, st.Outcome, st.Detail, st.Evidence))
		}
	}
	return errors.New(text)
}

// named puts the scenario's names in place of addresses.
func (p *playing) named(text string) string {
	var pairs []string
	for _, a := range slices.Sorted(maps.Keys(p.names)) {
		if name := p.names[a]; name != string(a) {
			pairs = append(pairs, string(a), name)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

func (p *playing) address(name string) (topology.Address, error) {
	for a, known := range p.names {
		if known == name {
			return a, nil
		}
	}
	return "", fmt.Errorf("there is no server %s", name)
}

// addresses finds the servers of a list like "B C".
func (p *playing) addresses(names string) ([]topology.Address, error) {
	var all []topology.Address
	for name := range strings.FieldsSeq(names) {
		a, err := p.address(name)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// each does something to each server of a list.
func (p *playing) each(names string, do func(topology.Address) error) error {
	all, err := p.addresses(names)
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := do(a); err != nil {
			return err
		}
	}
	return nil
}

// happens lets the same happen to each server of a list.
func (p *playing) happens(names string, h Happening) error {
	return p.each(names, func(a topology.Address) error {
		h.Server = a
		return p.stage.Happen(h)
	})
}

// transactions finds what was written under a name: x, or x1 to x100 as x.
func (p *playing) transactions(name string) (gtid.Set, error) {
	var all []gtid.GTID
	for known, g := range p.known {
		if rest, ok := strings.CutPrefix(known, name); ok && strings.Trim(rest, "0123456789") == "" {
			all = append(all, g)
		}
	}
	if len(all) == 0 {
		return gtid.Set{}, fmt.Errorf("nothing was written under the name %s", name)
	}
	return gtid.Of(all...), nil
}

func (p *playing) write(name, on string) error {
	a, err := p.address(on)
	if err != nil {
		return err
	}
	g, err := p.stage.Write(a)
	if err != nil {
		return err
	}
	if g.Number == 0 {
		return fmt.Errorf("%s takes no writes", on)
	}
	p.known[name], p.written = g, append(p.written, g)
	return nil
}

// enter is a transaction that no client wrote.
func (p *playing) enter(name, on string) (gtid.GTID, error) {
	a, err := p.address(on)
	if err != nil {
		return gtid.GTID{}, err
	}
	g, err := p.stage.Enter(a, gtid.GTID{})
	p.known[name] = g
	return g, err
}

func (p *playing) clock() time.Time { return p.stage.Now().Add(p.wrong) }

// look is a server as it is.
func (p *playing) look(name string) (topology.Observation, error) {
	a, err := p.address(name)
	if err != nil {
		return topology.Observation{}, err
	}
	return p.stage.Look(a)
}

// build begins with a cluster.
func (p *playing) build(names string, policy topology.Policy, adopted bool, zones ...string) error {
	return p.stand(Setting{Ruleset: rulesetOf(names, policy, zones...), Adopted: adopted})
}

// rulesetOf has the names of the scenario for addresses.
func rulesetOf(names string, policy topology.Policy, zones ...string) topology.Ruleset {
	r := topology.Ruleset{Number: 1, Policy: policy}
	for i, name := range strings.Fields(names) {
		m := topology.Member{Address: topology.Address(name), Zone: "a"}
		if i < len(zones) {
			m.Zone = zones[i]
		}
		r.Members = append(r.Members, m)
	}
	return r
}

// stand has a cluster built.
func (p *playing) stand(s Setting) error {
	cast, err := p.stage.Build(s)
	if err != nil {
		return err
	}
	p.cast, p.names = cast, map[topology.Address]string{}
	for i, m := range cast.Ruleset.Members {
		p.names[m.Address] = string(s.Ruleset.Members[i].Address)
	}
	p.book = newBook(cast)
	_, err = p.snapshot()
	return err
}
