package reparent

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// TestScenarios plays every file of testdata/scenarios; README.md there says how they are written.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txt")
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d scenarios, error %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, string(text))
		})
	}
}

// play runs a scenario once, or once for each point at which its elector can die.
func play(t *testing.T, text string) {
	if !strings.Contains(text, "\nfor every death of the elector\n") {
		newStage(t, "").script(text)
		return
	}
	deaths := 0
	for n := 1; ; n++ {
		died := false
		for _, point := range []string{"save", "send", "apply"} {
			s := newStage(t, fmt.Sprintf("%d %s", n, point))
			s.script(text)
			if died = died || s.mortal; s.mortal {
				deaths++
			}
		}
		if !died {
			break
		}
	}
	if deaths < 12 {
		t.Errorf("the elector died only %d times", deaths)
	}
}

// stage is where a scenario is played.
type stage struct {
	t       *testing.T
	line    string
	world   *world
	op      Operation
	saved   Operation
	played  []doneStep
	before  map[topology.Address]state
	death   string // where the elector dies
	died    bool   // the elector of the last change died
	mortal  bool   // one died where it was to
	fates   map[string]fate
	written []gtid.GTID // in the order of the clock
	wrong   time.Duration
}

func newStage(t *testing.T, death string) *stage {
	return &stage{t: t, death: death, fates: map[string]fate{}}
}

// verb is a line's pattern and what it does.
type verb struct {
	pattern *regexp.Regexp
	does    func(s *stage, m []string)
}

func (s *stage) script(text string) {
	s.t.Helper()
	var block []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		s.line = strings.TrimSpace(line)
		if s.line == "" || strings.HasPrefix(s.line, "#") {
			continue
		}
		block = nil
		for j := i + 1; j < len(lines) && strings.HasPrefix(lines[j], "\t"); j++ {
			block = append(block, strings.TrimSpace(lines[j]))
		}
		if !strings.HasPrefix(line, "\t") {
			s.perform(block)
		}
	}
	if len(s.world.broken) > 0 {
		s.failf("claims that do not hold: %s", strings.Join(s.world.broken, "; "))
	}
}

func (s *stage) perform(block []string) {
	s.t.Helper()
	if s.line == "expect steps" {
		s.expectSteps(block)
		return
	}
	for _, v := range verbs {
		if m := v.pattern.FindStringSubmatch(s.line); m != nil {
			v.does(s, m)
			if s.world != nil {
				s.world.flow()
			}
			return
		}
	}
	s.failf("nobody knows what that means")
}

func (s *stage) failf(format string, values ...any) {
	s.t.Helper()
	s.t.Logf("steps so far:\n%s", strings.Join(s.steps(), "\n"))
	if s.op.ID != "" {
		s.t.Logf("the change stands at %s %s, leading %s: %+v", s.op.Phase, s.op.State, s.op.To, s.op.Obstacle)
		for _, st := range s.op.Stages {
			s.t.Logf("%s %s: %s %q", st.Name, st.Outcome, st.Detail, st.Evidence)
		}
	}
	s.t.Fatalf("%s (death %q)\n%s", s.line, s.death, fmt.Sprintf(format, values...))
}

func (s *stage) server(name string) *mysqld {
	m, ok := s.world.servers[topology.Address(name)]
	if !ok {
		s.failf("there is no server %s", name)
	}
	return m
}

func (s *stage) each(names string, do func(*mysqld)) {
	for _, name := range strings.Fields(names) {
		do(s.server(name))
	}
}

// transactions finds what was written under a name: x, or x1 to x100 as x.
func (s *stage) transactions(name string) gtid.Set {
	var set gtid.Set
	for known, g := range s.world.names {
		if known == name || (strings.HasPrefix(known, name) && strings.Trim(known[len(name):], "0123456789") == "") {
			set = set.Union(gtid.Of(g))
		}
	}
	if set.IsEmpty() {
		s.failf("nothing was written under the name %s", name)
	}
	return set
}

func (s *stage) write(name, on string) {
	m := s.server(on)
	g := s.world.write(m.name)
	if g.Number == 0 {
		s.failf("%s takes no writes", on)
	}
	s.world.names[name] = g
	s.written = append(s.written, g)
}

func addresses(names string) topology.ServerSet {
	var all []topology.Address
	for _, name := range strings.Fields(names) {
		all = append(all, topology.Address(name))
	}
	return topology.Servers(all...)
}

// begin makes an intent with the options of a line: "to C", "certify A", "accept loss", "drain".
func (s *stage) begin(kind, options string) {
	in := s.world.intent()
	s.wronged(&in)
	if m := regexp.MustCompile(`to (\w+)`).FindStringSubmatch(options); m != nil {
		in.Wanted = topology.Address(m[1])
	}
	if m := regexp.MustCompile(`certifying (\w+)`).FindStringSubmatch(options); m != nil {
		in.CertifiedDown = addresses(m[1])
	}
	in.AcceptLoss = strings.Contains(options, "accepting loss")
	s.world.lossAccepted = s.world.lossAccepted || in.AcceptLoss
	s.before, s.played = s.world.states(), nil
	now := s.world.now().Add(s.wrong)
	switch kind {
	case "planned":
		s.op = Planned(clearance(false), in, now)
	case "emergency":
		s.op = Emergency(clearance(true), in, now)
	case "adoption":
		s.op = Adoption(clearance(true), in, topology.Address(strings.TrimPrefix(options, " of ")), now)
	}
	until := ""
	if m := regexp.MustCompile(`the elector dies (before|in) (\w+)`).FindStringSubmatch(options); m != nil {
		until = m[1] + " " + m[2]
	}
	s.saved = Operation{}
	s.drive("elector-1", until)
}

// wronged shifts what this elector's clock says.
func (s *stage) wronged(in *Intent) {
	in.Snapshot.At = in.Snapshot.At.Add(s.wrong)
	for i := range in.Snapshot.Servers {
		in.Snapshot.Servers[i].At = in.Snapshot.Servers[i].At.Add(s.wrong)
		in.Snapshot.Servers[i].StartedAt = in.Snapshot.Servers[i].StartedAt.Add(s.wrong)
	}
}

// drive carries the operation on, until its end or the elector's death before a phase or in it, which is when its
// commands were sent and their answers never folded in.
func (s *stage) drive(name, until string) {
	e := &elector{world: s.world, name: name, saved: s.saved}
	e.dies = func(n int, phase Phase, point string) bool {
		if !s.mortal && s.death == fmt.Sprintf("%d %s", n, point) {
			s.mortal = true
			return true
		}
		return until == "before "+string(phase) && point == "send" || until == "in "+string(phase) && point == "apply"
	}
	e.fate = func(c Command) fate {
		key := fmt.Sprintf("%s on %s", c.Verb, c.Server)
		f := s.fates[key]
		delete(s.fates, key)
		return f
	}
	s.op, s.died = e.run(s.op)
	s.saved, s.played = e.saved, append(s.played, e.done...)
	if !s.died {
		s.world.concluded(s.op)
	}
}

// steps are what was done, a line for each step: "revoking: A poison no (unreachable), B freeze". What is not said of
// a command's outcome is yes.
func (s *stage) steps() []string {
	var lines []string
	for _, step := range s.played {
		var parts []string
		for i, c := range step.Commands {
			parts = append(parts, said(c, step.results[i]))
		}
		if len(parts) == 0 {
			parts = []string{"nothing to do"}
		}
		lines = append(lines, string(step.Phase)+": "+strings.Join(parts, ", "))
	}
	return lines
}

func said(c Command, r Result) string {
	text := fmt.Sprintf("%s %s", c.Server, c.Verb)
	if c.Verb == Follow {
		text += " " + string(c.Source)
	}
	if r.Outcome != Yes {
		text += " " + string(r.Outcome)
	}
	if r.Reason != "" {
		text += " (" + string(r.Reason) + ")"
	}
	return text
}

func (s *stage) expectSteps(block []string) {
	s.t.Helper()
	if got := s.steps(); !slices.Equal(got, block) {
		s.failf("steps were\n\t%s", strings.Join(got, "\n\t"))
	}
}

// decided is the history that the change honoured.
func (s *stage) decided() gtid.Set {
	l, ok := s.op.Leadership()
	if !ok {
		s.failf("nothing was decided")
	}
	return l.Base
}

func (s *stage) says(text string) bool {
	if s.op.Obstacle != nil && strings.Contains(s.op.Obstacle.Message, text) {
		return true
	}
	return slices.ContainsFunc(s.op.Stages, func(st Stage) bool {
		return strings.Contains(st.Detail, text) || slices.ContainsFunc(st.Evidence, func(e string) bool { return strings.Contains(e, text) })
	})
}

// newest is what a failover would choose that knows no term markers and takes the branch with the latest write.
func (s *stage) newest() gtid.Set {
	for _, g := range slices.Backward(s.written) {
		for _, p := range s.op.Progress {
			if p.Frozen == Yes && p.Reading != nil && p.Reading.Position().Has(g) {
				return p.Reading.Position()
			}
		}
	}
	return gtid.Set{}
}

func on(pattern string, does func(s *stage, m []string)) verb {
	return verb{regexp.MustCompile("^" + pattern + "$"), does}
}

var verbs = []verb{
	on(`for every death of the elector`, func(*stage, []string) {}),
	on(`cluster ([\w ]+?) with (\d) acks?`, func(s *stage, m []string) {
		k, _ := strconv.Atoi(m[2])
		s.cluster(m[1], topology.Policy{Kind: topology.PolicySemiSync, Acks: k})
	}),
	on(`cluster ([\w ]+?) with policy none( and allow_unfenced)?`, func(s *stage, m []string) {
		s.cluster(m[1], topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: m[2] != ""})
	}),
	on(`cluster ([\w ]+?) in zones ([\w ]+?) with (\d) acks? from other zones`, func(s *stage, m []string) {
		k, _ := strconv.Atoi(m[3])
		s.cluster(m[1], topology.Policy{Kind: topology.PolicyCrossZone, Acks: k}, strings.Fields(m[2])...)
	}),
	on(`cluster ([\w ]+?) with 1 ack, never adopted`, func(s *stage, m []string) {
		s.cluster(m[1], topology.Policy{Kind: topology.PolicySemiSync, Acks: 1})
		s.world = unadopted(s.world.ruleset)
	}),
	on(`promotion (\w+) (\w+)`, func(s *stage, m []string) {
		for i := range s.world.ruleset.Members {
			if s.world.ruleset.Members[i].Address == topology.Address(m[2]) {
				s.world.ruleset.Members[i].Promotion = topology.Promotion(m[1])
			}
		}
	}),
	on(`(\w+) on (\w+) is (refused|dropped|lost|a crash|a restart)`, func(s *stage, m []string) {
		s.fates[m[1]+" on "+m[2]] = map[string]fate{"refused": fateRefused, "dropped": fateDropped, "lost": fateLost, "a crash": fateCrashed, "a restart": fateRestarted}[m[3]]
	}),
	on(`everybody can receive from everybody`, func(s *stage, _ []string) { s.world.apart = map[[2]topology.Address]bool{} }),
	on(`only ([\w ]+?) receives?`, func(s *stage, m []string) {
		for _, r := range s.world.all() {
			r.receiver = r.channel && addresses(m[1]).Has(r.name)
		}
	}),
	on(`all receive`, func(s *stage, _ []string) {
		for _, r := range s.world.all() {
			r.receiver, r.bootStopped = r.channel, false
		}
	}),
	on(`([\w ]+?) cannot receive from (\w+)`, func(s *stage, m []string) {
		s.each(m[1], func(r *mysqld) { s.world.apart[[2]topology.Address{r.name, s.server(m[2]).name}] = true })
	}),
	on(`write (\w+) on (\w+)`, func(s *stage, m []string) { s.write(m[1], m[2]) }),
	on(`write (\d+) times (\w+) on (\w+)`, func(s *stage, m []string) {
		n, _ := strconv.Atoi(m[1])
		for i := range n {
			s.write(fmt.Sprintf("%s%d", m[2], i+1), m[3])
		}
	}),
	on(`stray (\w+) on (\w+)`, func(s *stage, m []string) {
		g := s.server(m[2]).next()
		s.server(m[2]).commit(g, false)
		s.world.names[m[1]] = g
	}),
	on(`(\w+) enters the binary log of (\w+)`, func(s *stage, m []string) {
		g := s.server(m[2]).next()
		s.server(m[2]).commit(g, false)
		s.world.names[m[1]], s.written = g, append(s.written, g)
	}),
	on(`([\w ]+?) (?:dies|die)`, func(s *stage, m []string) { s.each(m[1], (*mysqld).crash) }),
	on(`([\w ]+?) (?:restarts|restart|comes back|come back)`, func(s *stage, m []string) { s.each(m[1], (*mysqld).restart) }),
	on(`([\w ]+?) (?:is|are) out of reach`, func(s *stage, m []string) { s.world.cut = s.world.cut.Union(addresses(m[1])) }),
	on(`([\w ]+?) (?:is|are) in reach`, func(s *stage, m []string) { s.world.cut = s.world.cut.Minus(addresses(m[1])) }),
	on(`the disk of (\w+) is full`, func(s *stage, m []string) { s.server(m[1]).stuck = true }),
	on(`(\w+) has relay_log_recovery`, func(s *stage, m []string) { s.server(m[1]).relayLogRecovery = true }),
	on(`(\w+) is wiped`, func(s *stage, m []string) { s.server(m[1]).copyOf(&mysqld{}) }),
	on(`([\w ]+?) (?:is|are) no ackers?`, func(s *stage, m []string) { s.each(m[1], func(r *mysqld) { r.semiReplica = false }) }),
	on(`(\w+) writes asynchronously`, func(s *stage, m []string) { s.server(m[1]).semiSource = false }),
	on(`the applier of (\w+) stops`, func(s *stage, m []string) { s.server(m[1]).applier = false }),
	on(`(\w+) is (\d+)h behind`, func(s *stage, m []string) {
		h, _ := strconv.Atoi(m[2])
		s.server(m[1]).lag, s.server(m[1]).lazy = time.Duration(h)*time.Hour, true
	}),
	on(`(\w+) has purged (\w+)`, func(s *stage, m []string) { s.server(m[1]).purge(s.transactions(m[2])) }),
	on(`the semi-sync timeout of (\w+) is finite`, func(s *stage, m []string) { s.server(m[1]).infinite = false }),
	on(`(\w+) falls back to async`, func(s *stage, m []string) {
		s.server(m[1]).acks = 0
		s.server(m[1]).settle()
	}),
	on(`(\w+) has version ([\d.]+)`, func(s *stage, m []string) { s.server(m[1]).version = m[2] }),
	on(`the elector looks`, func(s *stage, _ []string) { s.world.snapshot() }),
	on(`the elector's clock is wrong by (-?\d+)h`, func(s *stage, m []string) {
		h, _ := strconv.Atoi(m[1])
		s.wrong = time.Duration(h) * time.Hour
	}),
	on(`a newer elector owns (\w+)`, func(s *stage, m []string) { s.server(m[1]).owner = s.world.term + 100 }),
	on(`an elector with the same term marks (\w+)`, func(s *stage, m []string) {
		p := s.server(m[1])
		d := s.world.leaderships[len(s.world.leaderships)-1].Decision
		d.Elector = "elector-66"
		p.commit(d.Sealed().Marker().GTID(), false)
	}),
	on(`(emergency|planned|adoption)(.*)`, func(s *stage, m []string) { s.begin(m[1], m[2]) }),
	on(`the next elector takes over`, func(s *stage, _ []string) { s.takeOver() }),
	on(`the change is recovered`, func(s *stage, _ []string) { s.recover() }),
	on(`replicas are repaired`, func(s *stage, _ []string) { s.world.repair() }),
	on(`expect (succeeded|undone|blocked|failed)`, func(s *stage, m []string) { s.expect(string(s.op.State), m[1]) }),
	on(`expect obstacle (\w+)`, func(s *stage, m []string) {
		if s.op.Obstacle == nil || s.op.Obstacle.Code != m[1] {
			s.failf("the obstacle is %+v", s.op.Obstacle)
		}
	}),
	on(`expect needs (.+)`, func(s *stage, m []string) { s.expect(alternatives(s.op.Obstacle.Needs), m[1]) }),
	on(`expect primary (\w+)`, func(s *stage, m []string) { s.expect(string(s.op.To), m[1]) }),
	on(`expect (\w+) (kept|dropped)`, func(s *stage, m []string) {
		kept := s.decided().Contains(s.transactions(m[1]))
		s.expect(kept, m[2] == "kept")
	}),
	on(`expect (\w+) (not )?answered`, func(s *stage, m []string) {
		s.expect(s.world.answered.Contains(s.transactions(m[1])), m[2] == "")
	}),
	on(`expect (\w+) (not )?on ([\w ]+)`, func(s *stage, m []string) {
		s.each(m[3], func(p *mysqld) { s.expect(p.position().Contains(s.transactions(m[1])), m[2] == "") })
	}),
	on(`expect ([\w ]+?) (?:follows|follow) (\w+)`, func(s *stage, m []string) {
		s.each(m[1], func(p *mysqld) { s.expect(fmt.Sprintf("%s %t", p.source, p.receiver), m[2]+" true") })
	}),
	on(`expect (\w+) does not receive`, func(s *stage, m []string) { s.expect(s.server(m[1]).receives(), false) }),
	on(`expect (\w+) (closed|open)`, func(s *stage, m []string) {
		p := s.server(m[1])
		s.expect(!p.readOnly && !p.offline, m[2] == "open")
	}),
	on(`expect (\w+) completes writes`, func(s *stage, m []string) {
		s.expect(s.world.completes(s.server(m[1])), true)
	}),
	on(`expect everything as before`, func(s *stage, _ []string) {
		for a, now := range s.world.states() {
			s.expect(fmt.Sprintf("%s %+v", a, now), fmt.Sprintf("%s %+v", a, s.before[a]))
		}
	}),
	on(`expect nothing touched`, func(s *stage, _ []string) { s.expect(len(s.steps()), 0) }),
	on(`expect it says "(.+)"`, func(s *stage, m []string) { s.expect(s.says(m[1]), true) }),
	on(`expect newest first to give up (\w+)`, func(s *stage, m []string) {
		s.expect(s.newest().IsEmpty(), false)
		s.expect(s.newest().Intersects(s.transactions(m[1])), false)
	}),
}

func (s *stage) expect(got, want any) {
	s.t.Helper()
	if got != want {
		s.failf("it is %v, and %v was expected", got, want)
	}
}

func (s *stage) cluster(names string, p topology.Policy, zones ...string) {
	var list []topology.Address
	for _, name := range strings.Fields(names) {
		list = append(list, topology.Address(name))
	}
	b := topologytest.Cluster(list...).Policy(p)
	for i, zone := range zones {
		b.Zone(zone, list[i])
	}
	s.world = worldOf(b.Ruleset())
	s.world.snapshot()
}

func (s *stage) takeOver() {
	if !s.died {
		return // only some of the deaths of "for every death" come to pass
	}
	if s.saved.ID == "" {
		s.op = Operation{}
		return // nothing was saved, so nothing was sent
	}
	e := &elector{world: s.world, name: "elector-2"}
	s.op = e.takeOver(s.saved)
	s.drive("elector-2", "")
	if !s.op.Running() {
		s.world.concluded(s.op)
	}
}

// recover is what the loop does until a primary completes writes again.
func (s *stage) recover() {
	s.world.repair()
	current, _ := s.world.history().Current()
	if p := s.world.servers[current.Primary]; len(s.world.leaderships) > 1 || !s.world.completes(p) {
		s.begin("emergency", "")
		s.world.repair()
		current, _ = s.world.history().Current()
	}
	g := s.world.write(current.Primary)
	s.expect(s.world.answered.Has(g), true)
	s.expect(s.world.servers[current.Primary].executed.Contains(s.world.answered), true)
}
