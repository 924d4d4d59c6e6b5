package scenario

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// clusterName is what every scenario's cluster is called.
const clusterName = "shop"

// doneStep is a step with what came of its commands.
type doneStep struct {
	reparent.Step
	results []reparent.Result
}

// The points of a step at which an elector can die.
const (
	beforeSave  = "save"
	beforeSend  = "send"
	beforeApply = "apply"
)

// snapshot is a round of probes, which is remembered.
func (p *playing) snapshot() (topology.Snapshot, error) {
	seen, err := p.stage.Observe()
	if err != nil {
		return topology.Snapshot{}, err
	}
	s := topology.Snapshot{Cluster: clusterName, At: p.clock(), Ruleset: p.book.rules}
	for _, o := range seen {
		if _, known := p.book.rules.Member(o.Address); known {
			s.Servers = append(s.Servers, p.dated(o))
		}
	}
	p.book.remember(s.Servers)
	return s, nil
}

// dated is an observation by the elector's clock.
func (p *playing) dated(o topology.Observation) topology.Observation {
	o.At = o.At.Add(p.wrong)
	if !o.StartedAt.IsZero() {
		o.StartedAt = o.StartedAt.Add(p.wrong)
	}
	return o
}

func clearance(automatic bool) (antiflap.Clearance, error) {
	c, _, refused := antiflap.Settings{}.Clear(antiflap.Request{Cluster: clusterName, Automatic: automatic, Operator: "alice"},
		antiflap.Cluster{}, antiflap.Fleet{})
	if !c.Valid() {
		return c, fmt.Errorf("no clearance: %v", refused)
	}
	return c, nil
}

var (
	optionTo         = regexp.MustCompile(`to (\w+)`)
	optionCertifying = regexp.MustCompile(`certifying (\w+)`)
	optionDeath      = regexp.MustCompile(`the elector dies (before|in) (\w+)`)
	optionOf         = regexp.MustCompile(`of (\w+)`)
)

// option is the server that an option names; empty when it was not given.
func (p *playing) option(pattern *regexp.Regexp, options string) (topology.Address, error) {
	m := pattern.FindStringSubmatch(options)
	if m == nil {
		return "", nil
	}
	return p.address(m[1])
}

// intent is what a change starts from, with the options of its line: "to C", "certifying A", "accepting loss", "keeping errant".
func (p *playing) intent(options string) (reparent.Intent, error) {
	s, err := p.snapshot()
	if err != nil {
		return reparent.Intent{}, err
	}
	term := p.book.draw()
	in := reparent.Intent{
		ID: fmt.Sprintf("op-%d", term), Elector: "elector-1", Term: term, Snapshot: s, History: p.book.history(), Cause: "test",
		By: "alice", Reason: "test", Timing: p.cast.Timing, AcceptLoss: strings.Contains(options, "accepting loss"),
		KeepErrant: strings.Contains(options, "keeping errant"),
	}
	if in.Wanted, err = p.option(optionTo, options); err != nil {
		return in, err
	}
	certified, err := p.option(optionCertifying, options)
	if certified != "" {
		in.CertifiedDown = topology.Servers(certified)
	}
	return in, err
}

// change begins one and carries it to its end, or to its elector's.
func (p *playing) change(kind, options string) error {
	in, err := p.intent(options)
	if err != nil {
		return err
	}
	if in.AcceptLoss {
		if err := p.stage.Happen(Happening{Kind: GiveUpLoss}); err != nil {
			return err
		}
	}
	if p.before, err = p.conditions(); err != nil {
		return err
	}
	if p.op, err = p.begin(kind, options, in); err != nil {
		return err
	}
	p.saved, p.steps = reparent.Operation{}, nil
	until := ""
	if m := optionDeath.FindStringSubmatch(options); m != nil {
		until = m[1] + " " + m[2]
	}
	return p.drive(until)
}

func (p *playing) begin(kind, options string, in reparent.Intent) (reparent.Operation, error) {
	c, err := clearance(kind != "planned")
	if err != nil {
		return reparent.Operation{}, err
	}
	switch kind {
	case "planned":
		return reparent.Planned(c, in, p.clock()), nil
	case "emergency":
		return reparent.Emergency(c, in, p.clock()), nil
	}
	primary, err := p.option(optionOf, options)
	return reparent.Adoption(c, in, primary, p.clock()), err
}

// mostSteps is more than any change takes.
const mostSteps = 400

// drive carries the operation on, until its end or the elector's death: before a phase, or in it, which is when its
// commands were sent and their answers never folded in.
func (p *playing) drive(until string) error {
	p.died = false
	for n := 1; p.op.Running(); n++ {
		if n > mostSteps {
			return fmt.Errorf("the change never ends; it is in phase %s", p.op.Phase)
		}
		died, err := p.step(n, until)
		if err != nil {
			return err
		}
		if died {
			p.died = true
			return p.stage.ElectorDies()
		}
	}
	p.save()
	if l, decided := p.op.Leadership(); decided {
		p.book.record(l)
	}
	return nil
}

// step does the next one, the way the loop does: save first where the step asks for it, send, apply.
func (p *playing) step(n int, until string) (died bool, err error) {
	step := p.op.Next()
	if p.dies(n, until, beforeSave) {
		return true, nil
	}
	if step.SaveFirst && !p.op.CoveredBy(p.saved) {
		p.save()
	}
	if p.dies(n, until, beforeSend) {
		return true, nil
	}
	results, err := p.send(step.Commands)
	if err != nil {
		return false, err
	}
	p.steps = append(p.steps, doneStep{step, results})
	if p.dies(n, until, beforeApply) {
		return true, nil
	}
	op, err := reloaded(p.op)
	p.op = op.Apply(results, p.clock())
	return false, err
}

func (p *playing) dies(n int, until, point string) bool {
	if !p.mortal && p.death == fmt.Sprintf("%d %s", n, point) {
		p.mortal = true
		return true
	}
	phase := string(p.op.Phase)
	return until == "before "+phase && point == beforeSend || until == "in "+phase && point == beforeApply
}

func (p *playing) save() { p.saved = p.op }

// reloaded is an operation after a stay in the store.
func reloaded(op reparent.Operation) (again reparent.Operation, err error) {
	text, err := json.Marshal(op)
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	return again, err
}

// send hands the commands of a step to the stage, each with the fate that a line gave it. The fate of one that was
// never sent waits for the next of its kind.
func (p *playing) send(commands []reparent.Command) ([]reparent.Result, error) {
	if len(commands) == 0 {
		return nil, nil
	}
	orders := make([]Order, len(commands))
	for i, c := range commands {
		orders[i] = Order{c, p.fates[p.fateKey(c)]}
		delete(p.fates, p.fateKey(c))
	}
	results, err := p.stage.Do(orders)
	if err == nil && len(results) != len(orders) {
		err = fmt.Errorf("%d results for %d commands", len(results), len(orders))
	}
	for i, r := range results {
		if r.Outcome == reparent.Skipped && orders[i].Fate != "" {
			p.fates[p.fateKey(commands[i])] = orders[i].Fate
		}
	}
	return results, err
}

func (p *playing) fateKey(c reparent.Command) string {
	return fmt.Sprintf("%s on %s", c.Verb, p.names[c.Server])
}

// takeOver is the next elector, with what was saved.
func (p *playing) takeOver() error {
	if !p.died {
		return nil // only some of the deaths of "for every death" come to pass
	}
	if p.saved.ID == "" {
		p.op = reparent.Operation{}
		return nil // nothing was saved, so nothing was sent
	}
	s, err := p.snapshot()
	if err != nil {
		return err
	}
	saved, err := reloaded(p.saved)
	if err != nil {
		return err
	}
	p.op = reparent.TakeOver(saved, p.book.draw(), "elector-2", s, p.clock())
	return p.drive("")
}

// told are the steps that were done, a line for each: "revoking: A poison no (unreachable), B freeze". What is not said
// of a command's outcome is yes.
func (p *playing) told() []string {
	var lines []string
	for _, step := range p.steps {
		var parts []string
		for i, c := range step.Commands {
			parts = append(parts, p.toldOf(c, step.results[i]))
		}
		if len(parts) == 0 {
			parts = []string{"nothing to do"}
		}
		lines = append(lines, string(step.Phase)+": "+strings.Join(parts, ", "))
	}
	return lines
}

func (p *playing) toldOf(c reparent.Command, r reparent.Result) string {
	text := fmt.Sprintf("%s %s", p.names[c.Server], c.Verb)
	if c.Verb == reparent.Follow {
		text += " " + p.names[c.Source]
	}
	if r.Outcome != reparent.Yes {
		text += " " + string(r.Outcome)
	}
	if r.Reason != "" {
		text += " (" + string(r.Reason) + ")"
	}
	return text
}

// looped is the stage as one on which the loop runs.
func (p *playing) looped() (Looped, error) {
	stage, ok := p.stage.(Looped)
	if !ok {
		return nil, Cannot("Primacy's loop does not run here")
	}
	return stage, nil
}

// toLoop lets something happen to the loop.
func (p *playing) toLoop(h Happening) error {
	stage, err := p.looped()
	if err != nil {
		return err
	}
	p.fused = p.fused || h.Acks > 0 && slices.Contains([]Kind{KillElector, PauseElector, BackAtStatement, BackAtStep}, h.Kind)
	return stage.Happen(h)
}

// askForChange is an operator's wish; the line says of which kind.
func (p *playing) askForChange(line, to string) error {
	h := Happening{Kind: AskForChange, Text: string(reparent.KindEmergency)}
	if strings.Contains(line, string(reparent.KindPlanned)) {
		h.Text = string(reparent.KindPlanned)
	}
	if to == "" {
		return p.toLoop(h)
	}
	a, err := p.address(to)
	if err != nil {
		return err
	}
	h.Server = a
	return p.toLoop(h)
}

// loop lets the whole loop run.
func (p *playing) loop(d time.Duration) error {
	looped, err := p.looped()
	if err != nil {
		return err
	}
	course, err := looped.Loop(d)
	if err != nil {
		return err
	}
	p.course, p.mortal = course, p.mortal || course.Struck > 0
	p.op = reparent.Operation{}
	if n := len(course.Operations); n > 0 {
		p.op = course.Operations[n-1]
	}
	return nil
}
