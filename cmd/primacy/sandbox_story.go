package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// storyPatience bounds each wait of a story; a story that waits longer has failed.
const storyPatience = 60 * time.Second

// story is a scenario played on a real fleet with a writing client. It judges by what the client saw.
type story struct {
	out     io.Writer
	fleet   *local.Fleet
	orch    *orchestrator.Orchestrator
	cluster string
	client  *workload.Client
	rounds  int
	drain   time.Duration
	gaps    map[string][]time.Duration
	report  io.Writer // of the end, as JSON; nil: none
}

// storyReport is how a story ended, for programs.
type storyReport struct {
	Rounds      int                `json:"rounds"`
	NothingLost bool               `json:"nothing_lost"`
	Servers     []storyServer      `json:"servers"`
	GapsMS      map[string][]int64 `json:"gaps_ms"` // of each kind of change, in the order in which they were made
}

type storyServer struct {
	Address      topology.Address    `json:"address"`
	Role         topology.ServerRole `json:"role"`
	Counted      bool                `json:"counted"` // it follows the primary, or is it
	Acknowledged int                 `json:"acknowledged"`
	Lost         int                 `json:"lost"`
}

// told writes the report where one is wanted.
func (s *story) told(r storyReport) error {
	if s.report == nil {
		return nil
	}
	r.Rounds, r.GapsMS = s.rounds, map[string][]int64{}
	for kind, gaps := range s.gaps {
		for _, gap := range gaps {
			r.GapsMS[kind] = append(r.GapsMS[kind], gap.Milliseconds())
		}
	}
	encoder := json.NewEncoder(s.report)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// errStory is a story that did not end well; its text has been printed already.
var errStory = errors.New("the story did not end well")

// play runs a scenario by name, as often as asked, and gives the verdict.
func (s *story) play(ctx context.Context, scenario string) error {
	acts := map[string][]func(context.Context) error{
		"kill-primary":   {s.killPrimary},
		"freeze-primary": {s.freezePrimary},
		"planned":        {s.plannedAway},
		"demo":           {s.killPrimary, s.plannedBack},
	}[scenario]
	s.gaps = map[string][]time.Duration{}
	if err := s.startWriting(ctx); err != nil {
		return err
	}
	defer s.client.Stop()
	for round := range s.rounds {
		if s.rounds > 1 {
			s.say("\nRound %d of %d", round+1, s.rounds)
		}
		for _, act := range acts {
			if err := act(ctx); err != nil {
				return err
			}
		}
	}
	return s.verdict(ctx)
}

// scenarios are the names that play knows.
var scenarios = []string{"kill-primary", "freeze-primary", "planned", "demo"}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// writePause is what a client rests between two writes: as fast as they can, four clients write more than a
// replica on the same disk can apply, and what would be measured is its backlog.
const writePause = 10 * time.Millisecond

func (s *story) startWriting(ctx context.Context) error {
	var addresses []string
	for _, server := range s.fleet.Servers {
		addresses = append(addresses, server.Address())
	}
	if _, err := s.await(ctx, "an established primary", serving); err != nil {
		return err
	}
	app := s.fleet.Users.App
	client, err := workload.Start(ctx, workload.Settings{Addresses: addresses, User: app.Name, Password: app.Password, Writers: 4, Pause: writePause})
	if err != nil {
		return err
	}
	s.client = client
	return s.warmUp(ctx)
}

// warmUp lets the client write a while before something happens to it.
func (s *story) warmUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storyPatience)
	defer cancel()
	return s.client.AwaitAcks(ctx, 100)
}

func serving(v orchestrator.View) bool {
	return v.Leading && v.Running == nil && v.Primary != "" && v.Snapshot.Server(v.Primary).Writable()
}

// await looks at the cluster after each event and each round of probes until it is as wished.
func (s *story) await(ctx context.Context, what string, holds func(orchestrator.View) bool) (orchestrator.View, error) {
	ctx, cancel := context.WithTimeout(ctx, storyPatience)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		v, err := s.orch.Cluster(s.cluster)
		if err != nil || holds(v) {
			return v, err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return v, s.stuck(what, v)
		}
	}
}

func (s *story) stuck(what string, v orchestrator.View) error {
	s.say("\nNever came: %s. The cluster is %s.", what, v.State)
	for _, f := range v.Findings {
		s.say("  %s %s: %s", f.Severity, f.Code, f.Message)
		if f.WhyNot != "" {
			s.say("    why nothing is done: %s", f.WhyNot)
		}
	}
	return errStory
}

// killPrimary kills the primary's process, watches it being replaced, and starts it again.
func (s *story) killPrimary(ctx context.Context) error {
	return s.lose(ctx, "kill -9", (*local.Server).Kill, func(ctx context.Context, server *local.Server) error {
		s.say("\nThe old primary's process is started again.")
		return server.Start(ctx)
	})
}

// freezePrimary stops the primary's process in its tracks, as a hung host would be, and thaws it after it
// was replaced: it wakes up believing that it leads.
func (s *story) freezePrimary(ctx context.Context) error {
	return s.lose(ctx, "SIGSTOP", (*local.Server).Freeze, func(_ context.Context, server *local.Server) error {
		s.say("\nThe old primary is thawed; it still believes that it leads.")
		return server.Thaw()
	})
}

func (s *story) lose(ctx context.Context, how string, strike func(*local.Server) error, revive func(context.Context, *local.Server) error) error {
	before, err := s.await(ctx, "an established primary with all its replicas", allServing)
	if err != nil {
		return err
	}
	victim := s.fleet.Server(string(before.Primary))
	s.say("\n%s to the primary %s (pid %d), while %d clients write", how, before.Primary, victim.Pid(), 4)
	at := time.Now()
	if err := strike(victim); err != nil {
		return err
	}
	after, err := s.await(ctx, "a new primary", func(v orchestrator.View) bool { return serving(v) && v.Term > before.Term })
	if err != nil {
		return err
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	if err := s.tell(ctx, how, after, at); err != nil {
		return err
	}
	if err := revive(ctx, victim); err != nil {
		return err
	}
	return s.welcome(ctx, victim, before.Primary)
}

func allServing(v orchestrator.View) bool {
	if !serving(v) {
		return false
	}
	written := v.Snapshot.Server(v.Primary).Executed
	for _, o := range v.Snapshot.Servers {
		if o.Address == v.Primary || holdsErrant(v, o.Address) {
			continue
		}
		if !follows(&o, v.Primary) || written.Subtract(o.Position()).Count() > backlogMax {
			return false
		}
	}
	return true
}

// backlogMax is how many transactions a replica may have to receive for the next act to begin.
const backlogMax = 50

func follows(o *topology.Observation, primary topology.Address) bool {
	r := o.Replication
	return o.OK() && r != nil && r.Source == primary && r.Receiver == topology.ThreadOn && r.Applier == topology.ThreadOn
}

// welcome waits until the old primary is a replica again. When it is quarantined, because it holds a
// transaction that nobody acknowledged, it is rebuilt, as an operator would do it.
func (s *story) welcome(ctx context.Context, server *local.Server, old topology.Address) error {
	v, err := s.await(ctx, fmt.Sprintf("%s as a replica or in quarantine", old), func(v orchestrator.View) bool {
		return follows(v.Snapshot.Server(old), v.Primary) || holdsErrant(v, old)
	})
	if err != nil {
		return err
	}
	if follows(v.Snapshot.Server(old), v.Primary) {
		s.say("It came back read-only, holds nothing that the new primary lacks, and follows it now.")
	} else {
		s.say("It came back with transactions that were never acknowledged, and is kept in quarantine.")
		s.say("Nobody wants them: it is thrown away and rebuilt.")
		if err := s.rebuild(ctx, server, old); err != nil {
			return err
		}
	}
	_, err = s.orch.Acknowledge(ctx, s.cluster, orchestrator.Order{By: "the story", Reason: "the next act is part of it"})
	return err
}

func (s *story) rebuild(ctx context.Context, server *local.Server, old topology.Address) error {
	if err := server.Rebuild(ctx); err != nil {
		return err
	}
	_, err := s.await(ctx, fmt.Sprintf("%s as a replica", old), func(v orchestrator.View) bool {
		return follows(v.Snapshot.Server(old), v.Primary)
	})
	return err
}

func holdsErrant(v orchestrator.View, a topology.Address) bool {
	return slices.ContainsFunc(v.Findings, func(f topology.Finding) bool { return f.Code == topology.Errant && f.Server == a })
}

// plannedAway asks the primary to hand over to whoever is fit.
func (s *story) plannedAway(ctx context.Context) error { return s.planned(ctx, "") }

// plannedBack hands leadership to the first server again.
func (s *story) plannedBack(ctx context.Context) error {
	home := topology.Address(s.fleet.Servers[0].Address())
	v, err := s.await(ctx, "an established primary", serving)
	if err != nil {
		return err
	}
	if v.Primary == home || holdsErrant(v, home) {
		home = ""
	}
	return s.planned(ctx, home)
}

func (s *story) planned(ctx context.Context, to topology.Address) error {
	before, err := s.await(ctx, "a primary that its replicas follow", allServing)
	if err != nil {
		return err
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	s.say("\nPlanned reparent away from %s, while 4 clients write", before.Primary)
	at := time.Now()
	answer, err := s.orch.Reparent(ctx, orchestrator.Wish{Cluster: s.cluster, Kind: reparent.KindPlanned, To: to, Drain: s.drain, By: "the story"})
	if err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, storyPatience)
	defer cancel()
	op, err := s.orch.Await(waiting, answer.Operation.ID)
	if err != nil {
		return err
	}
	if op.State != reparent.StateSucceeded {
		s.say("It did not succeed: it is %s in phase %s", op.State, op.Phase)
		if op.Obstacle != nil {
			s.say("  %s", op.Obstacle.Message)
		}
		return errStory
	}
	after, err := s.await(ctx, "the new primary", func(v orchestrator.View) bool { return serving(v) && v.Term > before.Term })
	if err != nil {
		return err
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	return s.tell(ctx, "planned", after, at)
}

// tell prints the timeline of the last change and the write gap that clients saw.
func (s *story) tell(ctx context.Context, kind string, after orchestrator.View, since time.Time) error {
	all, err := s.orch.Recoveries(ctx, s.cluster, 1)
	if err != nil {
		return err
	}
	for _, op := range all {
		s.timeline(op, since)
	}
	gap := workload.LongestGap(s.client.Writes(), since)
	s.gaps[kind] = append(s.gaps[kind], gap.Length())
	s.say("  write gap seen by the clients: %s (%s to %s), new primary %s, term %d",
		gap.Length().Round(time.Millisecond), gap.Servers[0], gap.Servers[1], after.Primary, after.Term)
	return nil
}

func (s *story) timeline(op reparent.Operation, since time.Time) {
	for _, stage := range op.Stages {
		ended := stage.StartedAt.Add(stage.Duration).Sub(since)
		s.say("  %+8.3f s  %-10s %s", ended.Seconds(), stage.Name, shortened(stage.Detail, 100))
	}
}

func shortened(text string, width int) string {
	letters := []rune(strings.ReplaceAll(text, "\n", " "))
	if len(letters) <= width {
		return string(letters)
	}
	return string(letters[:width-1]) + "…"
}

// verdict stops the client and holds every acknowledged row against every server that follows.
func (s *story) verdict(ctx context.Context) error {
	s.client.Stop()
	v, err := s.await(ctx, "all replicas at the primary's position", converged)
	if err != nil {
		return err
	}
	writes, report := s.client.Writes(), storyReport{NothingLost: true}
	s.say("\nWhat became of the rows")
	for _, server := range s.fleet.Servers {
		a := topology.Address(server.Address())
		if a != v.Primary && !follows(v.Snapshot.Server(a), v.Primary) {
			s.say("  %s: %s, not counted", a, v.Roles[a])
			report.Servers = append(report.Servers, storyServer{Address: a, Role: v.Roles[a]})
			continue
		}
		rows, err := workload.Rows(ctx, server.AdminDSN())
		if err != nil {
			return err
		}
		verdict := workload.Judge(writes, rows)
		report.NothingLost = report.NothingLost && verdict.Good()
		report.Servers = append(report.Servers, storyServer{a, v.Roles[a], true, verdict.Acknowledged, len(verdict.Lost)})
		s.say("  %s (%s): %d acknowledged, %d lost", a, v.Roles[a], verdict.Acknowledged, len(verdict.Lost))
	}
	s.summary(writes)
	if err := s.told(report); err != nil {
		return err
	}
	if !report.NothingLost {
		return errStory
	}
	s.say("\nNothing that was acknowledged is lost.")
	return nil
}

// summary gives the gaps as times, and in commits: how many writes of one client fit into the gap is what
// can be compared between machines.
func (s *story) summary(writes []workload.Write) {
	commit := workload.MedianCommit(writes)
	for _, kind := range slices.Sorted(maps.Keys(s.gaps)) {
		gaps := slices.Sorted(slices.Values(s.gaps[kind]))
		median := gaps[len(gaps)/2]
		s.say("  write gap, %s: median %s of %d (as long as %.0f commits of %s)",
			kind, median.Round(time.Millisecond), len(gaps), float64(median)/float64(max(commit, 1)), commit.Round(100*time.Microsecond))
	}
}

// converged: every replica that follows has executed exactly what the primary has.
func converged(v orchestrator.View) bool {
	want := v.Snapshot.Server(v.Primary).Executed
	for _, o := range v.Snapshot.Servers {
		if o.Address != v.Primary && follows(&o, v.Primary) && !o.Executed.Equal(want) {
			return false
		}
	}
	return serving(v)
}
