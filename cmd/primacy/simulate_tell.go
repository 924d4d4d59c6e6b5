package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/sim"
	"github.com/primacydb/primacy/topology"
)

// told runs what is planned and tells it as it goes.
func (r *simulation) told(ctx context.Context, t *terminal) error {
	t.planned(r.plan)
	o := r.all(ctx)
	switch {
	case o.first != nil && !r.plan.keepGoing:
		t.lifetime(o.first.report)
		t.again(o.first.life.again(o.first.life.options))
	case r.plan.single && o.lifetimes == 1:
		t.lifetime(o.last.report)
	}
	if r.wantsShrinking(o) {
		t.shrunk(r.fewest(*o.first))
	}
	t.summary(o, r.plan)
	return o.verdict()
}

func (r *simulation) wantsShrinking(o *outcome) bool {
	return r.plan.shrink && !r.plan.keepGoing && o.first != nil
}

// verdict is an error that has been told already when a promise was broken.
func (o *outcome) verdict() error {
	if o.first != nil {
		return &endedError{exitFailed}
	}
	return nil
}

func (t *terminal) planned(p plan) {
	if p.recorded != "" {
		t.say("Simulating %s of %s, %d at a time.", count(p.total, "recorded lifetime"), shown(p.recorded), min(p.workers, p.total))
		return
	}
	t.say("Simulating %s from seed %d, %d at a time.", count(p.total, "lifetime"), p.seed, min(p.workers, p.total))
	if p.cluster != nil && !p.single { // a single one is told whole, with its cluster
		rules := p.cluster.Ruleset
		t.wrapped("", fmt.Sprintf("Each of %s, %s.", count(len(rules.Members), "server"), sim.PolicyText(rules.Policy)), plain)
		for _, line := range sim.ClusterText(rules) {
			t.hanging("", "  ", line, plain)
		}
	}
	if p.drawn {
		t.again(p.again)
	}
}

// again gives a command, in one line for it is there to be copied.
func (t *terminal) again(command string) { t.say("Again: %s", t.paint(bold, command)) }

// lifetime tells one lifetime, with its trace if there is one.
func (t *terminal) lifetime(r sim.Report) {
	t.say("")
	for _, e := range withoutRepeats(r.Trace) {
		t.say("%s", shown(e.String()))
	}
	if len(r.Trace) > 0 {
		t.say("")
	}
	for line := range strings.Lines(r.Text()) {
		t.reported(strings.TrimRight(line, "\n"))
	}
	t.say("  digest %016x", r.Digest)
}

func (t *terminal) reported(line string) {
	text := strings.TrimLeft(line, " \t")
	look := plain
	if strings.HasPrefix(text, "BROKEN") {
		look = red
	}
	indent := line[:len(line)-len(text)]
	t.hanging(strings.ReplaceAll(indent, "\t", "  "), "    ", text, look)
}

func (t *terminal) shrunk(s shrunk) {
	t.say("")
	if !s.report.Failed() {
		t.wrapped("", "The same seed did not break the promise a second time. A simulation that is not the same twice is a defect of the simulator: please report it.", red)
		return
	}
	t.wrapped("", fmt.Sprintf("Shrunk to %d of %s:", s.faults, count(s.from, "fault")), bold)
	t.lifetime(s.report)
	t.again(s.again)
}

func (t *terminal) summary(o *outcome, p plan) {
	t.say("")
	if o.interrupted {
		t.wrapped("", fmt.Sprintf("Interrupted after %d of %s.", o.lifetimes, count(p.total, "lifetime")), yellow)
	}
	if !p.single {
		t.sums(o)
	}
	switch {
	case len(o.broken) == 0:
		t.say("%s", t.paint(green, "Nothing was broken."))
	case p.keepGoing || p.recorded != "":
		t.tallies(o)
	default:
		t.say("%s", t.paint(red, fmt.Sprintf("Seed %d broke %s.", o.first.life.seed, promises(o.first.report))))
	}
}

func (t *terminal) sums(o *outcome) {
	t.wrapped("", fmt.Sprintf("%s, %s of virtual time, in %s (%d a minute)", count(o.lifetimes, "lifetime"), coarse(o.virtual), coarse(o.elapsed), perMinute(o.lifetimes, o.elapsed)), plain)
	t.wrapped("", fmt.Sprintf("%s of the primary in %s; %d of %s answered, %d of them unprotected, %d refused, %d unknown",
		count(o.sum.Changes, "change"), count(o.sum.Attempts, "attempt"), o.sum.Answered, count(o.sum.Writes, "write"), o.sum.Unprotected, o.sum.Refused, o.sum.Unknown), plain)
	if o.sum.Ruled > 0 {
		t.wrapped("", count(o.sum.Ruled, "change")+" of the rules that took a barrier", plain)
	}
}

// promises names what a lifetime broke.
func promises(r sim.Report) string {
	all := broken(r)
	names := slices.DeleteFunc(sim.Invariants(), func(i sim.Invariant) bool { _, was := all[i]; return !was })
	return strings.ReplaceAll(list(names), ",", " and ")
}

// tallies lists what was broken, with the first seed of each and the command for it.
func (t *terminal) tallies(o *outcome) {
	t.say("")
	rows := [][]string{}
	for _, i := range o.invariants() {
		rows = append(rows, []string{string(i), strconv.Itoa(o.broken[i].lifetimes), strconv.FormatUint(o.broken[i].first.life.seed, 10)})
	}
	t.table([]column{{title: "BROKEN", style: func(string) style { return red }}, {title: "LIFETIMES", right: true}, {title: "FIRST SEED", right: true}}, rows)
	for _, i := range o.invariants() {
		if seeds := o.broken[i].seeds; len(seeds) > 1 {
			t.say("%s: seeds %s", i, list(seeds))
		}
	}
	for _, i := range o.invariants() {
		first := o.broken[i].first
		t.again(first.life.again(first.life.options))
	}
}

// simulationAnswer is a run for programs.
type simulationAnswer struct {
	Seed        *uint64         `json:"seed,omitempty"`
	Recorded    string          `json:"recorded,omitempty"`
	Seeds       int             `json:"seeds"`
	Again       string          `json:"again"`
	Interrupted bool            `json:"interrupted"`
	Lifetimes   int             `json:"lifetimes"`
	VirtualMS   int64           `json:"virtual_ms"`
	ElapsedMS   int64           `json:"elapsed_ms"`
	PerMinute   int             `json:"per_minute"`
	Changes     int             `json:"changes"`
	Attempts    int             `json:"attempts"`
	Writes      int             `json:"writes"`
	Answered    int             `json:"answered"`
	Refused     int             `json:"refused"`
	Unknown     int             `json:"unknown"`
	Unprotected int             `json:"unprotected"`
	Ruled       int             `json:"rules_changes,omitempty"`
	Broken      []brokenAnswer  `json:"broken"`
	Lifetime    *lifetimeAnswer `json:"lifetime,omitempty"`
	Shrunk      *lifetimeAnswer `json:"shrunk,omitempty"`
}

// brokenAnswer is an invariant that was broken, and the first seed that broke it.
type brokenAnswer struct {
	Invariant string `json:"invariant"`
	Lifetimes int    `json:"lifetimes"`
	Seed      uint64 `json:"seed"`
	AtMS      int64  `json:"at_ms"`
	Text      string `json:"text"`
	Again     string `json:"again"`
	// Seeds are the first of those that broke it, up to twenty.
	Seeds []uint64 `json:"seeds"`
}

type lifetimeAnswer struct {
	Seed        uint64            `json:"seed"`
	Again       string            `json:"again"`
	Digest      string            `json:"digest"`
	Policy      string            `json:"policy"`
	Acks        int               `json:"acks"`
	Zones       int               `json:"zones,omitempty"`
	Servers     []string          `json:"servers"`
	Electors    int               `json:"electors"`
	VirtualMS   int64             `json:"virtual_ms"`
	Changes     int               `json:"changes"`
	Attempts    int               `json:"attempts"`
	Writes      int               `json:"writes"`
	Answered    int               `json:"answered"`
	Refused     int               `json:"refused"`
	Unknown     int               `json:"unknown"`
	Unprotected int               `json:"unprotected"`
	Ruled       int               `json:"rules_changes,omitempty"`
	AdoptedMS   int64             `json:"adopted_ms"`
	Members     []memberAnswer    `json:"members"`
	Faults      []faultAnswer     `json:"faults"`
	Missed      []faultAnswer     `json:"missed,omitempty"`
	Violations  []violationAnswer `json:"violations"`
	Trace       []entryAnswer     `json:"trace,omitempty"`
}

// memberAnswer is a server, and what MySQL waits for while it leads.
type memberAnswer struct {
	Address   string   `json:"address"`
	Zone      string   `json:"zone,omitempty"`
	Promotion string   `json:"promotion,omitempty"`
	Acks      int      `json:"acks"`
	Ackers    []string `json:"ackers"`
}

// faultAnswer is a fault: when it was due after the adoption, and when and to whom it happened, on the clock of the trace.
type faultAnswer struct {
	Number int    `json:"number"`
	Kind   string `json:"kind"`
	DueMS  int64  `json:"due_ms"`
	AtMS   int64  `json:"at_ms,omitempty"`
	Struck string `json:"struck,omitempty"`
	Text   string `json:"text"`
}

func faultAnswers(all []sim.Fault) []faultAnswer {
	answers := []faultAnswer{}
	for _, f := range all {
		answers = append(answers, faultAnswer{
			Number: f.Number, Kind: string(f.Kind), DueMS: f.At.Milliseconds(), AtMS: f.Happened.Milliseconds(), Struck: f.Struck, Text: f.String(),
		})
	}
	return answers
}

func memberAnswers(r topology.Ruleset) []memberAnswer {
	answers := []memberAnswer{}
	for _, m := range r.Members {
		a := memberAnswer{Address: string(m.Address), Zone: m.Zone, Promotion: string(m.Promotion), Acks: r.AcksNeeded(m.Address), Ackers: []string{}}
		for _, acker := range r.Ackers(m.Address).List() {
			a.Ackers = append(a.Ackers, string(acker))
		}
		answers = append(answers, a)
	}
	return answers
}

type violationAnswer struct {
	Invariant string `json:"invariant"`
	AtMS      int64  `json:"at_ms"`
	Text      string `json:"text"`
}

type entryAnswer struct {
	AtUS int64  `json:"at_us"`
	Who  string `json:"who"`
	Text string `json:"text"`
}

// toldAsJSON runs what is planned and tells it as one object at the end.
func (r *simulation) toldAsJSON(ctx context.Context, out io.Writer) error {
	o := r.all(ctx)
	answer := answerOf(o, r.plan)
	switch {
	case r.plan.single && o.lifetimes == 1:
		answer.Lifetime = lifetimeOf(o.last.report, r.plan.again)
	case o.first != nil && !r.plan.keepGoing:
		answer.Lifetime = lifetimeOf(o.first.report, o.first.life.again(o.first.life.options))
	}
	if r.wantsShrinking(o) {
		s := r.fewest(*o.first)
		answer.Shrunk = lifetimeOf(s.report, s.again)
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(answer); err != nil {
		return err
	}
	return o.verdict()
}

func answerOf(o *outcome, p plan) simulationAnswer {
	a := simulationAnswer{
		Recorded: p.recorded, Seeds: p.total, Again: p.again, Interrupted: o.interrupted, Lifetimes: o.lifetimes,
		VirtualMS: o.virtual.Milliseconds(), ElapsedMS: o.elapsed.Milliseconds(), PerMinute: perMinute(o.lifetimes, o.elapsed),
		Changes: o.sum.Changes, Attempts: o.sum.Attempts, Writes: o.sum.Writes, Answered: o.sum.Answered, Refused: o.sum.Refused, Unknown: o.sum.Unknown, Unprotected: o.sum.Unprotected, Ruled: o.sum.Ruled,
		Broken: []brokenAnswer{},
	}
	if p.recorded == "" {
		a.Seed = &p.seed
	}
	for _, i := range o.invariants() {
		first := o.broken[i].first
		v := broken(first.report)[i]
		a.Broken = append(a.Broken, brokenAnswer{
			Invariant: string(i), Lifetimes: o.broken[i].lifetimes, Seed: first.life.seed,
			AtMS: v.At.Milliseconds(), Text: v.Text, Again: first.life.again(first.life.options), Seeds: o.broken[i].seeds,
		})
	}
	return a
}

func lifetimeOf(r sim.Report, again string) *lifetimeAnswer {
	a := &lifetimeAnswer{
		Seed: r.Seed, Again: again, Digest: fmt.Sprintf("%016x", r.Digest), Policy: string(r.Ruleset.Policy.Kind), Acks: r.Ruleset.Policy.Acks, Zones: r.Ruleset.Policy.Zones,
		Servers: []string{}, Electors: r.Electors, VirtualMS: r.Virtual.Milliseconds(), Changes: r.Changes, Attempts: r.Attempts,
		Writes: r.Writes, Answered: r.Answered, Refused: r.Refused, Unknown: r.Unknown, Unprotected: r.Unprotected, Ruled: r.Ruled, AdoptedMS: r.Adopted.Milliseconds(),
		Members: memberAnswers(r.Ruleset), Faults: faultAnswers(r.Faults), Missed: faultAnswers(r.Missed), Violations: []violationAnswer{},
	}
	for _, m := range r.Ruleset.Members {
		a.Servers = append(a.Servers, string(m.Address))
	}
	for _, v := range r.Violations {
		a.Violations = append(a.Violations, violationAnswer{Invariant: string(v.Invariant), AtMS: v.At.Milliseconds(), Text: v.Text})
	}
	for _, e := range r.Trace {
		a.Trace = append(a.Trace, entryAnswer{AtUS: int64(e.At / time.Microsecond), Who: e.Who, Text: e.Text})
	}
	return a
}
