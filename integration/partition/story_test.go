//go:build linux

package partition

import (
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/local"
	"github.com/primacydb/primacy/mysqld/workload"
	"github.com/primacydb/primacy/topology"
)

// story is what happens between a calm cluster and the next calm.
type story struct {
	*stage
	t      *testing.T
	client *workload.Client
	watch  *watch
	began  time.Time
	cutAt  time.Time // when something was cut last
	known  []string  // changes that were on record before

	acting, other *elector // who acted at first, and who stood by
	primary       string   // who led at first
	term          uint32
	killed        time.Time // when the primary was; zero when it lives
}

// begin waits for a calm cluster with clients that write.
func (s *stage) begin(t *testing.T) *story {
	t.Helper()
	p := &story{stage: s, t: t}
	p.await("a calm cluster", s.isCalm)
	var c api.Cluster
	p.acting, c = p.whoActs()
	p.other = s.electors[1-slices.Index(s.electors, p.acting)]
	p.primary, p.term = c.Primary, c.Term
	for _, r := range p.changes(p.acting) {
		p.known = append(p.known, r.ID)
	}
	app := s.fleet.Users.App
	var err error
	p.client, err = workload.Start(t.Context(), workload.Settings{
		Addresses: s.addresses(), User: app.Name, Password: app.Password, Writers: 3, Timeout: 2 * time.Second, Pause: 50 * time.Millisecond,
	})
	p.must(err)
	p.began = time.Now()
	p.watch, err = startWatch(context.WithoutCancel(t.Context()), s.fleet.Servers)
	p.must(err)
	p.writes(20)
	return p
}

// leave ends what the story itself has running, however it ended. Of one that failed it tells what clients saw.
func (p *story) leave() {
	if p.client != nil {
		p.client.Stop()
	}
	var pairs [][2]string
	if p.watch != nil {
		pairs = p.watch.stop()
	}
	if p.t.Failed() && p.client != nil {
		p.t.Logf("writes were completed by %v, one after the other; took writes at the same time: %v", summary(reigns(p.client.Writes())), summary(pairs))
	}
}

// summary keeps a list short that may have thousands of entries.
func summary[T any](all []T) []T { return all[:min(len(all), 10)] }

func (p *story) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.describe(context.WithoutCancel(p.t.Context())))
	}
}

func (p *story) await(what string, holds func(context.Context) bool) {
	p.t.Helper()
	p.must(await(p.t.Context(), what, holds))
}

// sees waits until the elector's view is as it should be.
func (p *story) sees(e *elector, what string, holds func(api.Cluster) bool) (c api.Cluster) {
	p.t.Helper()
	p.await(e.name+" to see "+what, func(ctx context.Context) bool {
		var err error
		c, err = e.cluster(ctx)
		return err == nil && holds(c)
	})
	return c
}

// finds waits for a finding, of any server when none is named.
func (p *story) finds(e *elector, code topology.Code, server string) (f api.Finding) {
	p.t.Helper()
	p.sees(e, string(code)+" "+server, func(c api.Cluster) (found bool) {
		f, found = finding(c, code, server)
		return found
	})
	return f
}

// whoActs waits until anybody does.
func (p *story) whoActs() (e *elector, c api.Cluster) {
	p.t.Helper()
	p.await("an elector that acts", func(ctx context.Context) bool {
		e, c = p.stage.acting(ctx)
		return e != nil
	})
	return e, c
}

// acts waits until an elector acts, and says how long that took since the last cut.
func (p *story) acts(e *elector) {
	p.t.Helper()
	p.sees(e, "that it acts", func(c api.Cluster) bool { return c.Leading && c.Elector == e.name })
	p.t.Logf("%s acts %.1f s after the cut", e.name, time.Since(p.cutAt).Seconds())
}

// looks waits until an elector has gone on looking for longer than it takes to find a primary dead and to gain a lock.
func (p *story) looks(e *elector, since time.Time) api.Cluster {
	p.t.Helper()
	return p.sees(e, "what is there now", func(c api.Cluster) bool { return c.ProbedAt.After(since.Add(lease + detection)) })
}

// standsBy waits until an elector knows that the other one acts, and sees the same cluster.
func (p *story) standsBy(e *elector, acting *elector) {
	p.t.Helper()
	p.sees(e, acting.name+" acting", func(c api.Cluster) bool {
		_, silent := finding(c, topology.StoreUnavailable, "")
		return !c.Leading && c.Elector == acting.name && c.Recovery == nil && !silent
	})
}

func (p *story) lose(cuts ...cut) {
	p.t.Helper()
	p.must(p.network.lose(cuts...))
	p.cutAt = time.Now()
}

func (p *story) heal() {
	p.t.Helper()
	p.must(p.network.heal())
}

// writes waits until clients are told OK n times more.
func (p *story) writes(n int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	p.must(p.client.AwaitAcks(ctx, n))
}

func (p *story) kill() {
	p.t.Helper()
	p.must(p.fleet.Server(p.primary).Kill())
	p.killed = time.Now()
}

// replaced waits until another primary serves in the eyes of an elector that acts.
func (p *story) replaced(by *elector) {
	p.t.Helper()
	p.sees(by, "a new primary", func(c api.Cluster) bool { return c.Leading && c.Primary != p.primary && serves(c) && c.Recovery == nil })
	p.writes(20)
	p.t.Logf("no write was acknowledged for %.1f s", workload.LongestGap(p.client.Writes(), p.cutAt).Length().Seconds())
}

// unchanged checks that an elector knows of no change, and why it makes none.
func (p *story) unchanged(c api.Cluster) {
	p.t.Helper()
	if c.Primary != p.primary || c.Term != p.term || c.Recovery != nil {
		p.t.Errorf("%s leads under term %d, and %s did under term %d when the network broke; under way is %v", c.Primary, c.Term, p.primary, p.term, c.Recovery)
	}
}

func (p *story) changes(e *elector) []api.Recovery {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	all, err := e.changes(ctx)
	p.must(err)
	return all
}

// end heals everything, brings the old primary back, and checks what is left: want changes of the primary, each made by
// the elector that is named, or by any when none is.
func (p *story) end(want int, by *elector) {
	p.t.Helper()
	p.heal()
	if !p.killed.IsZero() {
		p.restart()
	}
	p.await("a calm cluster", p.isCalm)
	p.client.Stop()
	pairs := p.watch.stop()
	p.converged()
	acting, c := p.whoActs()
	p.lost()
	p.leaders(want, c.Primary, pairs)
	p.record(want, by, acting, c)
	p.await("the changes acknowledged by whoever acts", func(ctx context.Context) bool {
		e, _ := p.stage.acting(ctx)
		return e != nil && e.acknowledge(ctx) == nil
	})
	p.must(p.renew())
	p.execute(p.fleet.Server(c.Primary), "TRUNCATE TABLE app.writes")
}

// restart brings the killed primary back, and rebuilds it where it is left out until somebody does.
func (p *story) restart() {
	p.t.Helper()
	old := p.fleet.Server(p.primary)
	p.must(old.Start(p.t.Context()))
	var c api.Cluster
	p.await("the old primary as a replica or left out", func(ctx context.Context) bool {
		_, c = p.stage.acting(ctx)
		return isErrant(c, p.primary) || follows(c, p.primary)
	})
	if isErrant(c, p.primary) {
		p.must(old.Rebuild(p.t.Context()))
	}
}

// converged waits until no client is at work any more and all servers hold the same transactions.
func (p *story) converged() {
	p.t.Helper()
	p.await("servers that hold the same transactions", func(context.Context) bool {
		var first gtid.Set
		for i, s := range p.fleet.Servers {
			executed, err := gtid.Parse(p.read(s, "SELECT @@GLOBAL.gtid_executed"))
			left := p.read(s, "SELECT COUNT(*) FROM performance_schema.processlist WHERE user = '"+p.fleet.Users.App.Name+"'")
			if i == 0 {
				first = executed
			}
			if err != nil || left != "0" || !executed.Equal(first) {
				return false
			}
		}
		return true
	})
}

// lost checks on every server what clients were told.
func (p *story) lost() {
	p.t.Helper()
	for _, s := range p.fleet.Servers {
		rows, err := workload.Rows(p.t.Context(), s.AdminDSN())
		p.must(err)
		if v := workload.Judge(p.client.Writes(), rows); !v.Good() {
			p.t.Errorf("on %s: %s (lost %v, ghosts %v)", s.Address(), v, v.Lost, v.Ghosts)
		}
	}
}

// leaders checks that no two servers took writes at the same time, and that none completed one after another one had.
func (p *story) leaders(want int, primary string, pairs [][2]string) {
	p.t.Helper()
	if len(pairs) > 0 {
		p.t.Errorf("took writes at the same time: %v", summary(pairs))
	}
	reigns := reigns(p.client.Writes())
	if len(reigns) != want+1 || reigns[0] != p.primary || reigns[len(reigns)-1] != primary {
		p.t.Errorf("writes were completed by %v, one after the other; %s led at first, %s in the end, with %d changes", summary(reigns), p.primary, primary, want)
	}
	if open := p.fleet.Server(primary); open == nil || p.read(open, "SELECT @@GLOBAL.read_only") != "0" {
		p.t.Errorf("%s leads and takes no writes", primary)
	}
	for _, s := range p.fleet.Servers {
		if s.Address() != primary && p.read(s, "SELECT @@GLOBAL.super_read_only") != "1" {
			p.t.Errorf("%s leads, and %s takes writes as well", primary, s.Address())
		}
	}
}

// reigns are the servers that completed writes, in the order in which clients were told so.
func reigns(writes []workload.Write) []string {
	done := slices.DeleteFunc(writes, func(w workload.Write) bool { return w.Told != workload.OK })
	slices.SortFunc(done, func(a, b workload.Write) int { return a.Ended.Compare(b.Ended) })
	var all []string
	for _, w := range done {
		all = append(all, w.Server)
	}
	return slices.Compact(all)
}

// record checks that what is on record is what happened.
func (p *story) record(want int, by, acting *elector, c api.Cluster) {
	p.t.Helper()
	made, terms := 0, map[uint32]string{}
	for _, r := range p.changes(acting) {
		if terms[r.Term] != "" {
			p.t.Errorf("%s and %s have the same term", r.ID, terms[r.Term])
		}
		terms[r.Term] = r.ID
		if slices.Contains(p.known, r.ID) {
			continue
		}
		p.t.Logf("%s: %s by %s, to %s, %s", r.ID, r.Kind, r.Elector, r.To, r.State)
		if r.Term > p.term+100 {
			p.t.Errorf("%s left out %d terms, and the store has lost nothing", r.ID, r.Term-p.term)
		}
		if r.State == "running" {
			p.t.Errorf("%s is still under way", r.ID)
		}
		if r.Established.IsZero() {
			continue
		}
		made++
		if by != nil && r.Elector != by.name {
			p.t.Errorf("%s was made by %s, not by %s", r.ID, r.Elector, by.name)
		}
		if r.To != c.Primary || r.Term != c.Term {
			p.t.Errorf("%s made %s the primary under term %d, and %s leads under term %d", r.ID, r.To, r.Term, c.Primary, c.Term)
		}
	}
	if made != want {
		p.t.Errorf("the primary changed %d times, want %d", made, want)
	}
}

// read asks a server for one value, past the network; empty when it does not answer.
func (p *story) read(s *local.Server, query string) (value string) {
	p.at(s, func(ctx context.Context, db *sql.DB) error { return db.QueryRowContext(ctx, query).Scan(&value) })
	return value
}

func (p *story) execute(s *local.Server, statement string) {
	p.t.Helper()
	p.must(p.at(s, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	}))
}

func (p *story) at(s *local.Server, do func(context.Context, *sql.DB) error) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	db, err := sql.Open("mysql", s.AdminDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	return do(ctx, db)
}
