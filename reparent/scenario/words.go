package scenario

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/primacydb/primacy/topology"
)

// saying is a line that matched: the parts of its pattern, and the indented lines below it.
type saying struct {
	words []string
	block []string
}

// word is a line's pattern and what it does. What only expects changes nothing, so nothing has to settle after it.
type word struct {
	pattern *regexp.Regexp
	does    func(*playing, saying) error
	expects bool
}

func line(pattern string, does func(*playing, saying) error) word {
	return word{pattern: regexp.MustCompile("^" + pattern + "$"), does: does}
}

func expect(pattern string, does func(*playing, saying) error) word {
	return word{pattern: regexp.MustCompile("^expect " + pattern + "$"), does: does, expects: true}
}

// simple is a line of which the first part lists the servers to which something happens.
func simple(pattern string, kind Kind) word {
	return line(pattern, func(p *playing, s saying) error { return p.happens(s.words[1], Happening{Kind: kind}) })
}

// words are all lines that mean something; the first pattern that matches counts.
var words = slices.Concat(clusterWords(), electorWords(), loopWords(), networkWords(), serverWords(), clientWords(), changeWords(), expectations())

// number reads digits that a pattern has matched; anything else is none.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

func clusterWords() []word {
	return []word{
		line(`cluster ([\w ]+?) with (\d) acks?(, never adopted)?`, func(p *playing, s saying) error {
			return p.build(s.words[1], topology.Policy{Kind: topology.PolicySemiSync, Acks: number(s.words[2])}, s.words[3] == "")
		}),
		line(`cluster ([\w ]+?) with (\d) acks?, (\w+) from (\w+)`, func(p *playing, s saying) error {
			r := rulesetOf(s.words[1], topology.Policy{Kind: topology.PolicySemiSync, Acks: number(s.words[2])})
			for i := range r.Members {
				if m := &r.Members[i]; string(m.Address) == s.words[3] {
					m.Source, m.Promotion = topology.Address(s.words[4]), topology.PromotionNever
				}
			}
			return p.stand(Setting{Ruleset: r, Adopted: true})
		}),
		line(`cluster ([\w ]+?) with policy none( and allow_unfenced)?`, func(p *playing, s saying) error {
			return p.build(s.words[1], topology.Policy{Kind: topology.PolicyNone, AllowUnfenced: s.words[2] != ""}, true)
		}),
		line(`cluster ([\w ]+?) in zones ([\w ]+?) with (\d) acks? from other zones`, func(p *playing, s saying) error {
			return p.build(s.words[1], topology.Policy{Kind: topology.PolicyCrossZone, Acks: number(s.words[3])}, true, strings.Fields(s.words[2])...)
		}),
		line(`cluster ([\w ]+?) in zones ([\w ]+?) with acks from (\d) zones`, func(p *playing, s saying) error {
			return p.build(s.words[1], topology.Policy{Kind: topology.PolicyZones, Zones: number(s.words[3])}, true, strings.Fields(s.words[2])...)
		}),
		line(`promotion (\w+) (\w+)`, func(p *playing, s saying) error {
			return p.each(s.words[2], func(a topology.Address) error {
				for i, m := range p.book.rules.Members {
					if m.Address == a {
						p.book.rules.Members[i].Promotion = topology.Promotion(s.words[1])
					}
				}
				return nil
			})
		}),
		line(`the elector's rules say (\d) acks?`, func(p *playing, s saying) error {
			p.book.rules.Policy.Acks = number(s.words[1])
			p.book.rules.Number++
			return nil
		}),
		line(`the elector's rules know only ([\w ]+)`, func(p *playing, s saying) error {
			p.book.rules.Number++
			known, err := p.addresses(s.words[1])
			p.book.rules = restricted(p.book.rules, topology.Servers(known...))
			return err
		}),
	}
}

// restricted is a ruleset without the members that are not named.
func restricted(r topology.Ruleset, to topology.ServerSet) topology.Ruleset {
	var members []topology.Member
	for _, m := range r.Members {
		if to.Has(m.Address) {
			members = append(members, m)
		}
	}
	r.Members = members
	return r
}

func networkWords() []word {
	return []word{
		line(`everybody can receive from everybody`, func(p *playing, _ saying) error { return p.stage.Happen(Happening{Kind: Join}) }),
		line(`only ([\w ]+?) receives?`, func(p *playing, s saying) error { return p.onlyReceive(s.words[1]) }),
		line(`all receive`, func(p *playing, _ saying) error {
			for _, m := range p.cast.Ruleset.Members {
				if err := p.stage.Happen(Happening{Kind: StartReceiver, Server: m.Address}); err != nil {
					return err
				}
			}
			return nil
		}),
		line(`([\w ]+?) cannot receive from (\w+)`, func(p *playing, s saying) error { return p.between(s.words[1], Part, s.words[2]) }),
		line(`the acknowledgements of ([\w ]+?) do not reach (\w+)`, func(p *playing, s saying) error { return p.between(s.words[1], Mute, s.words[2]) }),
		line(`the elector hears (\w+) no more`, func(p *playing, s saying) error {
			return p.each(s.words[1], func(a topology.Address) error {
				return p.toLoop(Happening{Kind: DeafenElector, Server: a})
			})
		}),
		line(`(\w+) hears (\w+) no more`, func(p *playing, s saying) error { return p.between(s.words[1], Deafen, s.words[2]) }),
		simple(`([\w ]+?) (?:is|are) out of reach`, CutOff),
		simple(`([\w ]+?) (?:is|are) in reach`, Reconnect),
	}
}

// onlyReceive stops the receivers of all others and starts those that are named.
func (p *playing) onlyReceive(names string) error {
	receive, err := p.addresses(names)
	if err != nil {
		return err
	}
	for _, m := range p.cast.Ruleset.Members {
		h := Happening{Kind: StopReceiver, Server: m.Address}
		if topology.Servers(receive...).Has(m.Address) {
			h.Kind = StartReceiver
		}
		if err := p.stage.Happen(h); err != nil {
			return err
		}
	}
	return nil
}

// between lets something happen to replicas with respect to a source.
func (p *playing) between(replicas string, kind Kind, source string) error {
	a, err := p.address(source)
	if err != nil {
		return err
	}
	return p.happens(replicas, Happening{Kind: kind, Source: a})
}

func serverWords() []word {
	return []word{
		line(`whoever is down comes back`, func(p *playing, _ saying) error { return p.allUp() }),
		line(`(\w+) comes back before that (statement|step)`, func(p *playing, s saying) error { return p.backBefore(s.words[1], s.words[2]) }),
		simple(`([\w ]+?) (?:dies|die)`, Crash),
		simple(`([\w ]+?) (?:restarts|restart|comes back|come back)`, Restart),
		simple(`(\w+) is shut down in order`, ShutDown),
		simple(`(\w+) is wiped`, Wipe),
		simple(`the disk of (\w+) is full`, FillDisk),
		simple(`(\w+) has relay_log_recovery`, RelayLogRecovery),
		simple(`([\w ]+?) (?:is|are) no ackers?`, NoAcker),
		simple(`(\w+) writes asynchronously`, NoSource),
		simple(`the applier of (\w+) stops`, StopApplier),
		simple(`the semi-sync timeout of (\w+) is finite`, FiniteTimeout),
		simple(`(\w+) falls back to async`, FallBack),
		line(`(\w+) waits for (\d) acks?`, func(p *playing, s saying) error {
			return p.happens(s.words[1], Happening{Kind: WaitForAcks, Acks: number(s.words[2])})
		}),
		line(`(\w+) is (\d+)h behind`, func(p *playing, s saying) error {
			return p.happens(s.words[1], Happening{Kind: FallBehind, Delay: time.Duration(number(s.words[2])) * time.Hour})
		}),
		line(`the clock of (\w+) is wrong by (-?\d+)h`, func(p *playing, s saying) error {
			return p.happens(s.words[1], Happening{Kind: SetClock, Delay: time.Duration(number(s.words[2])) * time.Hour})
		}),
		line(`(\w+) has version ([\d.]+)`, func(p *playing, s saying) error {
			return p.happens(s.words[1], Happening{Kind: RunVersion, Text: s.words[2]})
		}),
		line(`(\w+) has purged (\w+)`, func(p *playing, s saying) error {
			set, err := p.transactions(s.words[2])
			if err != nil {
				return err
			}
			return p.happens(s.words[1], Happening{Kind: Purge, Set: set})
		}),
		line(`whoever leads cannot complete`, func(p *playing, _ saying) error { return p.stage.Happen(Happening{Kind: Payload}) }),
	}
}

// backBefore has a server start again in the midst of what the loop does.
func (p *playing) backBefore(name, what string) error {
	a, err := p.address(name)
	if err != nil {
		return err
	}
	kind := BackAtStatement
	if what == "step" {
		kind = BackAtStep
	}
	return p.toLoop(Happening{Kind: kind, Server: a, Acks: p.statement})
}

// allUp starts whatever does not run.
func (p *playing) allUp() error {
	for _, m := range p.cast.Ruleset.Members {
		o, err := p.stage.Look(m.Address)
		if err != nil {
			return err
		}
		if o.OK() {
			continue
		}
		if err := p.stage.Happen(Happening{Kind: Restart, Server: m.Address}); err != nil {
			return err
		}
	}
	return nil
}

func clientWords() []word {
	return []word{
		line(`write (\w+) on (\w+)`, func(p *playing, s saying) error { return p.write(s.words[1], s.words[2]) }),
		line(`write (\d+) times (\w+) on (\w+)`, func(p *playing, s saying) error {
			for i := range number(s.words[1]) {
				if err := p.write(fmt.Sprintf("%s%d", s.words[2], i+1), s.words[3]); err != nil {
					return err
				}
			}
			return nil
		}),
		line(`clients write all the time`, func(p *playing, _ saying) error { return p.stage.Happen(Happening{Kind: KeepOn}) }),
		line(`stray (\w+) on (\w+)`, func(p *playing, s saying) error {
			_, err := p.enter(s.words[1], s.words[2])
			return err
		}),
		line(`(\w+) enters the binary log of (\w+)`, func(p *playing, s saying) error {
			g, err := p.enter(s.words[1], s.words[2])
			p.written = append(p.written, g)
			return err
		}),
	}
}

func electorWords() []word {
	return []word{
		line(`(\w+) on (\w+) is (refused|dropped|lost|a crash|a restart)`, func(p *playing, s saying) error {
			p.fates[s.words[1]+" on "+s.words[2]] = Fate(s.words[3])
			return nil
		}),
		line(`the elector looks`, func(p *playing, _ saying) error {
			_, err := p.snapshot()
			return err
		}),
		line(`the elector's clock is wrong by (-?\d+)h`, func(p *playing, s saying) error {
			p.wrong = time.Duration(number(s.words[1])) * time.Hour
			return nil
		}),
		line(`a newer elector owns (\w+)`, func(p *playing, s saying) error {
			return p.happens(s.words[1], Happening{Kind: TakenOver, Term: p.book.term + 100})
		}),
		line(`an elector with the same term marks (\w+)`, func(p *playing, s saying) error {
			return p.each(s.words[1], func(a topology.Address) error {
				d := p.book.leaderships[len(p.book.leaderships)-1].Decision
				d.Elector = "elector-66"
				_, err := p.stage.Enter(a, d.Sealed().Marker().GTID())
				return err
			})
		}),
		line(`the loop runs for (\d+)(ms|s|m)`, func(p *playing, s saying) error {
			d, err := time.ParseDuration(s.words[1] + s.words[2])
			if err != nil {
				return err
			}
			return p.loop(d)
		}),
	}
}

// loopWords are about the loop: its electors, its store, and who asks it for something.
func loopWords() []word {
	return []word{
		toLoop(`another elector runs(?:, configured with (\d) acks?)?`, func(_ *playing, s saying) Happening {
			return Happening{Kind: HireElector, Acks: number(s.words[1])}
		}),
		toLoop(`the elector dies(?: before its (\d+)(?:st|nd|rd|th) statement)?`, func(_ *playing, s saying) Happening {
			return Happening{Kind: KillElector, Acks: number(s.words[1])}
		}),
		toLoop(`the elector dies before that statement`, func(p *playing, _ saying) Happening {
			return Happening{Kind: KillElector, Acks: p.statement}
		}),
		toLoop(`the elector pauses for (\d+s)(?: before its (\d+)(?:st|nd|rd|th) statement)?`, func(_ *playing, s saying) Happening {
			return Happening{Kind: PauseElector, Delay: lasting(s.words[1]), Acks: number(s.words[2])}
		}),
		toLoop(`the elector pauses for (\d+s) before that statement`, func(p *playing, s saying) Happening {
			return Happening{Kind: PauseElector, Delay: lasting(s.words[1]), Acks: p.statement}
		}),
		toLoop(`the loop's clock is wrong by (-?\d+h)`, func(_ *playing, s saying) Happening {
			return Happening{Kind: SkewElector, Delay: lasting(s.words[1])}
		}),
		toLoop(`the electors are configured with (\d) acks?`, func(_ *playing, s saying) Happening {
			return Happening{Kind: Configure, Acks: number(s.words[1])}
		}),
		toLoop(`the elector's lease ends`, kindAlone(EndLease)),
		toLoop(`the store is lost`, kindAlone(LoseStore)),
		toLoop(`the store is put back to what it was (\d+s) ago`, func(_ *playing, s saying) Happening {
			return Happening{Kind: RestoreStore, Delay: lasting(s.words[1])}
		}),
		toLoop(`the store does not answer`, kindAlone(StopStore)),
		toLoop(`the store answers again`, kindAlone(StartStore)),
		line(`an operator asks for (?:a planned|an emergency) change(?: to (\w+))?`, func(p *playing, s saying) error { return p.askForChange(s.words[0], s.words[1]) }),
		toLoop(`an operator acknowledges the last change`, kindAlone(LiftTheWindow)),
	}
}

// toLoop is a line about what happens to the loop.
func toLoop(pattern string, what func(*playing, saying) Happening) word {
	return line(pattern, func(p *playing, s saying) error { return p.toLoop(what(p, s)) })
}

func kindAlone(k Kind) func(*playing, saying) Happening {
	return func(*playing, saying) Happening { return Happening{Kind: k} }
}

// lasting reads a duration that a pattern has matched.
func lasting(text string) time.Duration {
	d, _ := time.ParseDuration(text)
	return d
}

func changeWords() []word {
	return []word{
		line(`(emergency|planned|adoption)(.*)`, func(p *playing, s saying) error { return p.change(s.words[1], s.words[2]) }),
		line(`the next elector takes over`, func(p *playing, _ saying) error { return p.takeOver() }),
		line(`the change is recovered`, func(p *playing, _ saying) error { return p.recover() }),
		line(`replicas are repaired`, func(p *playing, _ saying) error { return p.repair() }),
	}
}

func expectations() []word {
	return []word{
		expect(`steps`, func(p *playing, s saying) error { return p.expectSteps(s.block) }),
		expect(`(succeeded|undone|blocked|failed)`, func(p *playing, s saying) error { return equal(string(p.op.State), s.words[1]) }),
		expect(`obstacle (\w+)`, func(p *playing, s saying) error { return p.expectObstacle(s.words[1]) }),
		expect(`needs (.+)`, func(p *playing, s saying) error { return p.expectNeeds(s.words[1]) }),
		expect(`primary (\w+)`, func(p *playing, s saying) error { return equal(p.names[p.op.To], s.words[1]) }),
		expect(`(\w+) (kept|dropped)`, func(p *playing, s saying) error { return p.expectKept(s.words[1], s.words[2] == "kept") }),
		expect(`(\w+) (not )?answered`, func(p *playing, s saying) error { return p.expectAnswered(s.words[1], s.words[2] == "") }),
		expect(`(\w+) (not )?on ([\w ]+)`, func(p *playing, s saying) error { return p.expectOn(s.words[1], s.words[3], s.words[2] == "") }),
		expect(`([\w ]+?) (?:follows|follow) (\w+)`, func(p *playing, s saying) error { return p.expectFollow(s.words[1], s.words[2]) }),
		expect(`(\w+) does not receive`, func(p *playing, s saying) error { return p.expectNoReceiver(s.words[1]) }),
		expect(`(\w+) (closed|open)`, func(p *playing, s saying) error { return p.expectOpen(s.words[1], s.words[2] == "open") }),
		expect(`(\w+) completes writes`, func(p *playing, s saying) error { return p.expectCompletes(s.words[1]) }),
		expect(`everything as before`, func(p *playing, _ saying) error { return p.expectAsBefore() }),
		expect(`nothing touched`, func(p *playing, _ saying) error { return equal(len(p.steps), 0) }),
		expect(`it says "(.+)"`, func(p *playing, s saying) error { return p.expectSaid(s.words[1]) }),
		expect(`newest first to give up (\w+)`, func(p *playing, s saying) error { return p.expectNewest(s.words[1]) }),
		expect(`(no|\d+) changes?`, func(p *playing, s saying) error { return p.expectChanges(number(s.words[1])) }),
		expect(`refusal "(.+)"`, func(p *playing, s saying) error { return p.expectRefusal(s.words[1]) }),
		expect(`no refusal`, func(p *playing, _ saying) error { return equal(p.course.Refusal, "") }),
		expect(`all hold the same`, func(p *playing, _ saying) error { return p.expectSame() }),
		expect(`(no )?finding (\w+)`, func(p *playing, s saying) error { return p.expectFinding(s.words[2], "", s.words[1] == "") }),
		expect(`(no )?finding (\w+) of (\w+)`, func(p *playing, s saying) error { return p.expectFinding(s.words[2], s.words[3], s.words[1] == "") }),
	}
}
