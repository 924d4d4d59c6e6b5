package halt

import (
	"fmt"
	"strings"
	"time"

	"github.com/primacydb/primacy/topology"
)

// Planned is what is going to be done with one server.
type Planned struct {
	Server topology.Address `json:"server"`
	Steps  []string         `json:"steps"`
}

// Plan tells in words what is going to be done, if everything answers as it should.
func (h Halt) Plan(leader topology.Address) []Planned {
	var all []Planned
	for _, a := range h.Servers {
		p := Planned{Server: a}
		for _, step := range h.Kind.Steps() {
			if text := h.planned(step, a == leader); text != "" {
				p.Steps = append(p.Steps, text)
			}
		}
		all = append(all, p)
	}
	return all
}

// span is a duration without the zeros at its end.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func (h Halt) planned(step Step, leads bool) string {
	t := h.Terms
	switch step {
	case StepCheck:
		if h.Kind == KindRestart {
			return "check that every member is well, and that commits can do without this one"
		}
		return "check that commits can do without it"
	case StepMove:
		if !leads {
			return ""
		}
		if t.To != "" {
			return fmt.Sprintf("move the primary to %s by a planned change", t.To)
		}
		return "move the primary elsewhere by a planned change"
	case StepHold:
		return fmt.Sprintf("put it under maintenance, for %s at most", span(t.Hold))
	case StepQuiesce:
		return fmt.Sprintf("give its clients %s, cut them, stop its receiver, and apply what it has received", span(t.Drain))
	case StepStop:
		if h.Kind == KindRestart && !t.Shutdown {
			return "RESTART; where nothing supervises it, SHUTDOWN, and somebody starts it"
		}
		return "SHUTDOWN"
	case StepStart:
		return fmt.Sprintf("wait until it is back, %s at most, and end its maintenance", span(t.Wait))
	case StepJoin:
		return fmt.Sprintf("wait until it replicates and acknowledges, %s at most", span(t.Wait))
	}
	return ""
}
