package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator/failpoint"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// result is what came of a cell.
type result struct {
	cell    cell
	outcome string        // what became of the interrupted change
	acting  time.Duration // from the death, or the stop, to another elector that acts
	ended   time.Duration // and to the end of the interrupted change; 0 when it had ended or not begun
	gap     time.Duration // the longest time without an acknowledged write
	rebuilt bool          // the old primary held what nobody acknowledged
	wrong   []string
	late    []string // what took longer than it may, and is right otherwise
}

// scene is one cell being played.
type scene struct {
	*stage
	cell   cell
	before books
	began  time.Time
	client *workload.Client
	old    string // the primary at the beginning

	actor, heir *elector // who is caught first, and who has to finish
	sleepers    []*elector
	caughtAt    time.Time // when the last one was caught
	refused     chan error
	result      result
}

// play lets a change begin, catches whoever makes it, and watches what the next elector makes of it. An error says that
// the cell could not be played; what the electors did wrong stands in the result.
func (s *stage) play(ctx context.Context, c cell) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	p := &scene{stage: s, cell: c, refused: make(chan error, 1), result: result{cell: c}}
	defer p.leave()
	for _, act := range []func(context.Context) error{p.open, p.upset, p.catch, p.takenOver, p.wakeUp, p.tidy, p.judge, p.restore} {
		if err := act(ctx); err != nil {
			return p.result, fmt.Errorf("%s: %w", c, err)
		}
	}
	return p.result, nil
}

func (p *scene) leave() {
	if p.client != nil {
		p.client.Stop()
	}
}

// open waits for a calm cluster with clients that write.
func (p *scene) open(ctx context.Context) error {
	names := []string{"elector-1", "elector-2"}
	if p.cell.next != nil {
		names = append(names, "elector-3")
	}
	if err := p.man(ctx, names...); err != nil {
		return err
	}
	if err := p.calm(ctx); err != nil {
		return err
	}
	if err := p.lead(ctx); err != nil {
		return err
	}
	if p.cell.Kind == reparent.KindRules {
		if err := p.govern(ctx, p.present()); err != nil {
			return err
		}
	}
	var err error
	if p.before, err = p.memory.read(ctx); err != nil {
		return err
	}
	app := p.fleet.Users.App
	p.client, err = workload.Start(ctx, workload.Settings{
		Addresses: p.addresses(), User: app.Name, Password: app.Password, Writers: 2, Timeout: time.Second, Pause: 15 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	return p.writes(ctx)
}

// lead moves the primary away from the preferred server where the cell wants that one to be a candidate.
func (p *scene) lead(ctx context.Context) error {
	actor, c := p.acting(ctx)
	if actor == nil {
		return errors.New("no elector acts any more")
	}
	if p.cell.lagging && c.Primary == p.preferred() {
		if _, err := actor.client.Reparent(ctx, clusterName, api.ReparentRequest{Kind: "planned"}, patience); err != nil {
			return err
		}
		if err := p.calm(ctx); err != nil {
			return err
		}
		actor, c = p.acting(ctx)
	}
	p.actor, p.old = actor, c.Primary
	return nil
}

// writes waits until clients are told OK.
func (p *scene) writes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.client.AwaitAcks(ctx, 20)
}

// upset arms the electors and brings the change about.
func (p *scene) upset(ctx context.Context) error {
	if err := p.actor.arm(p.cell.Point); err != nil {
		return err
	}
	for _, e := range p.electors {
		if e != p.actor && p.cell.next != nil {
			if err := e.arm(*p.cell.next); err != nil {
				return err
			}
		}
	}
	p.began = time.Now()
	switch {
	case p.cell.Kind == reparent.KindPlanned:
		go p.ask(ctx)
		return nil
	case p.cell.Kind == reparent.KindRules:
		go p.askRules(ctx)
		return nil
	case p.cell.lagging:
		if err := p.holdBack(ctx); err != nil {
			return err
		}
	}
	return p.fleet.Server(p.old).Kill()
}

// ask asks for a planned change. Whoever is asked may die over it, so no answer is no refusal.
func (p *scene) ask(ctx context.Context) {
	_, err := p.actor.client.Reparent(ctx, clusterName, api.ReparentRequest{Kind: "planned"}, 0)
	var problem *api.Problem
	if errors.As(err, &problem) {
		p.refused <- err
	}
}

// holdBack makes the preferred server lack what another one has.
func (p *scene) holdBack(ctx context.Context) error {
	if err := execute(ctx, p.fleet.Server(p.preferred()), "STOP REPLICA IO_THREAD"); err != nil {
		return err
	}
	return p.client.AwaitAcks(ctx, 2)
}

// catch waits until every elector that is to be caught was.
func (p *scene) catch(ctx context.Context) error {
	at, err := p.actor.caught(ctx, p.cell.Point, p.refused)
	p.caughtAt = at
	if err != nil {
		return err
	}
	p.gone(p.actor)
	if p.cell.next == nil {
		return nil
	}
	next, err := p.firstCaught(ctx)
	if err != nil {
		return err
	}
	p.caughtAt, err = next.caught(ctx, *p.cell.next, nil)
	p.gone(next)
	return err
}

// gone takes an elector that was caught from those that act.
func (p *scene) gone(e *elector) {
	delete(p.electors, e.name)
	if p.cell.Action != failpoint.Kill {
		p.sleepers = append(p.sleepers, e)
		p.asleep = p.sleepers
	}
}

// firstCaught is the first of those that stand by to take over, and disarms the others.
func (p *scene) firstCaught(ctx context.Context) (*elector, error) {
	var next *elector
	err := await(ctx, fmt.Sprintf("another elector to be caught %s", p.cell.next), func(context.Context) bool {
		for _, e := range p.electors {
			if !e.armed() {
				next = e
			}
		}
		return next != nil
	})
	if err != nil {
		return nil, err
	}
	for _, e := range p.electors {
		e.disarm()
	}
	return next, nil
}

// takenOver waits until another elector acts and the cluster serves.
func (p *scene) takenOver(ctx context.Context) error {
	err := await(ctx, "another elector that acts", func(ctx context.Context) bool {
		p.heir, _ = p.acting(ctx)
		return p.heir != nil
	})
	if err != nil {
		return err
	}
	p.result.acting = time.Since(p.caughtAt)
	return errors.Join(p.await(ctx, "a primary that serves", p.served), p.writes(ctx))
}

// served tells whether nothing is under way and the primary takes writes.
func (p *scene) served(ctx context.Context) bool {
	c, err := p.heir.cluster(ctx)
	if err != nil || !c.Leading || c.Recovery != nil || p.cell.Kind == reparent.KindEmergency && c.Primary == p.old {
		return false
	}
	if b, err := p.memory.read(ctx); err != nil || b.Running != "" {
		return false
	}
	return serves(c)
}

// serves tells whether the recorded primary takes writes, as the elector sees it.
func serves(c api.Cluster) bool {
	for _, s := range c.Servers {
		if s.Address == c.Primary {
			return s.Reachable && !s.ReadOnly && !s.OfflineMode
		}
	}
	return false
}

// await adds to what was not seen what there was to see.
func (p *scene) await(ctx context.Context, what string, holds func(context.Context) bool) error {
	err := await(ctx, what, holds)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.describe(context.WithoutCancel(ctx)))
	}
	return nil
}

// wakeUp lets those that were stopped go on, and waits until they have found out that they no longer act.
func (p *scene) wakeUp(ctx context.Context) error {
	for _, e := range p.sleepers {
		woken := time.Now()
		if err := e.wake(); err != nil {
			return err
		}
		err := p.await(ctx, e.name+" to find out that another one acts", func(ctx context.Context) bool {
			c, err := e.cluster(ctx)
			return err == nil && !c.Leading && c.Recovery == nil && c.ProbedAt.After(woken) && c.Elector == p.heir.name
		})
		if err != nil {
			return err
		}
		p.electors[e.name] = e
	}
	p.asleep = nil
	return p.writes(ctx)
}

// tidy brings the killed primary back, rebuilds what is quarantined, and waits until nothing is wrong.
func (p *scene) tidy(ctx context.Context) error {
	p.result.gap = workload.LongestGap(p.client.Writes(), p.began).Length()
	p.client.Stop()
	if p.cell.Kind == reparent.KindEmergency {
		if err := p.fleet.Server(p.old).Start(ctx); err != nil {
			return err
		}
		quarantined, err := p.returned(ctx)
		if err != nil {
			return err
		}
		if quarantined {
			p.result.rebuilt = true
			if err := p.fleet.Server(p.old).Rebuild(ctx); err != nil {
				return err
			}
		}
	}
	return p.calm(ctx)
}

// returned waits until it is clear what becomes of the old primary.
func (p *scene) returned(ctx context.Context) (quarantined bool, err error) {
	err = p.await(ctx, p.old+" as a replica or in quarantine", func(ctx context.Context) bool {
		c, err := p.heir.cluster(ctx)
		if err != nil {
			return false
		}
		for _, f := range c.Findings {
			quarantined = quarantined || f.Code == string(topology.Errant) && f.Server == p.old
		}
		return quarantined || follows(c, p.old)
	})
	return quarantined, err
}

// calm waits until an elector acts, every server is where it belongs, and no finding is open.
func (s *stage) calm(ctx context.Context) error {
	err := await(ctx, "a calm cluster", func(ctx context.Context) bool {
		e, c := s.acting(ctx)
		return e != nil && isCalm(c) && s.standBy(ctx, e)
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.describe(context.WithoutCancel(ctx)))
	}
	return nil
}

// running is how the API calls a thread that runs.
const running = "on"

// follows tells whether a server is a replica whose threads run.
func follows(c api.Cluster, server string) bool {
	for _, s := range c.Servers {
		if s.Address == server {
			return s.Role == string(topology.RoleReplica) && s.Receiver == running && s.Applier == running
		}
	}
	return false
}

func isCalm(c api.Cluster) bool {
	if !serves(c) || c.Recovery != nil {
		return false
	}
	for _, s := range c.Servers {
		if s.Address != c.Primary && !follows(c, s.Address) {
			return false
		}
	}
	for _, f := range c.Findings {
		if f.Code != string(topology.WouldBlock) && (f.Code != string(topology.RulesetDiffers) || f.Severity != string(topology.SeverityInfo)) {
			return false
		}
	}
	return true
}

// standBy tells whether all others see the one that acts.
func (s *stage) standBy(ctx context.Context, acting *elector) bool {
	for _, e := range s.electors {
		if e == acting {
			continue
		}
		if c, err := e.cluster(ctx); err != nil || c.Leading || c.Elector != acting.name {
			return false
		}
	}
	return true
}

// restore makes the stage what it was before the cell.
func (p *scene) restore(ctx context.Context) error {
	if p.cell.Kind == reparent.KindRules {
		if err := p.ordain(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, p.describe(context.WithoutCancel(ctx)))
		}
	}
	actor, c := p.acting(ctx)
	if actor == nil {
		return errors.New("no elector acts any more")
	}
	if _, err := actor.client.Acknowledge(ctx, clusterName, "the cell is over"); err != nil {
		return err
	}
	if e := p.electors["elector-3"]; e != nil {
		delete(p.electors, e.name)
		if err := e.stop(ctx); err != nil {
			return err
		}
	}
	return execute(ctx, p.fleet.Server(c.Primary), "TRUNCATE TABLE app.writes")
}
