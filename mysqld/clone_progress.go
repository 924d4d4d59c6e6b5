package mysqld

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/primacydb/primacy/settle"
)

// progressEvery is how often a clone is asked how far it is.
const progressEvery = 500 * time.Millisecond

// dutyClone runs CLONE. KILL ends it within a second or so; a server on which it is ended is empty.
const dutyClone duty = "clone"

// progressPatience is how long an answer is waited for, in a session that is given up without it.
const progressPatience = 2 * time.Second

// onlooker asks how far a clone is. It has a session of its own, and another one when that breaks: the one that is to end the
// clone must not break because a busy server is slow to answer, and what is not seen any more would pass for what has stalled.
type onlooker struct {
	job  *job
	link *link
}

func (w *onlooker) close() {
	if w.link != nil {
		w.link.close()
		w.link = nil
	}
}

func (w *onlooker) ask(ctx context.Context) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, progressPatience)
	defer cancel()
	if w.link == nil {
		var err error
		if w.link, err = w.job.fleet.dial(ctx, w.job.server, nil); err != nil {
			w.link = nil
			return nil, err
		}
	}
	rows, err := w.link.query(ctx, "SELECT stage, state, estimate, data FROM performance_schema.clone_progress ORDER BY id DESC, begin_time")
	if err != nil {
		w.close()
	}
	return rows, err
}

// tellProgress tells how much of the donor's data has arrived. What cannot be asked now is asked next time: at its end the
// clone shuts the server down.
func (w *onlooker) tellProgress(ctx context.Context) settle.Progress {
	rows, err := w.ask(ctx)
	if err != nil {
		return settle.Progress{}
	}
	p := settle.Progress{Step: settle.StepClone, Unit: "bytes"}
	for _, r := range rows {
		p.Of += uint64(max(r[2].number(), 0))
		p.Done += uint64(max(r[3].number(), 0))
		if r[1].text == "In Progress" {
			p.Text = strings.ToLower(r[0].text)
		}
	}
	if w.job.tell != nil {
		w.job.tell(p)
	}
	return p
}

// donorPatience is how long a donor may be silent. MySQL itself waits for minutes (clone_donor_timeout_after_network_failure),
// and another donor may be there meanwhile.
const donorPatience = 10 * time.Second

// cloneWatch is what was seen of a clone that runs: one that gets nowhere is ended, and tried again from somebody else.
type cloneWatch struct {
	task         settle.Task
	begun, heard time.Time // it, and from the donor
	moved        time.Time // when anything had been done since the time before
	last         settle.Progress
}

func watchClone(t settle.Task, now time.Time) cloneWatch {
	t.StallMax, t.TimeMax = cmp.Or(t.StallMax, settle.CloneStallMax), cmp.Or(t.TimeMax, settle.CloneTimeMax)
	return cloneWatch{task: t, begun: now, heard: now, moved: now}
}

// saw takes in how far the clone is, nothing when that could not be asked, and whether the donor answers.
func (w cloneWatch) saw(p settle.Progress, answers bool, now time.Time) cloneWatch {
	if answers {
		w.heard = now
	}
	if p != (settle.Progress{}) && (p.Done != w.last.Done || p.Text != w.last.Text) {
		w.moved, w.last = now, p
	}
	return w
}

// overdue says why the clone is to be ended; nil while it may go on.
func (w cloneWatch) overdue(now time.Time) error {
	switch donor := w.task.Donor; {
	case now.Sub(w.heard) > donorPatience:
		return notYet("donor", "donor %s has not answered for %s", donor, donorPatience)
	case now.Sub(w.moved) > w.task.StallMax:
		return notYet("stalled", "the clone from %s has made no progress for %s (%s, %d bytes of %d); see its disk and network, or raise clone.stall_max",
			donor, w.task.StallMax, cmp.Or(w.last.Text, "nothing begun"), w.last.Done, w.last.Of)
	case now.Sub(w.begun) > w.task.TimeMax:
		return notYet("too_long", "the clone from %s was not done after %s (%s, %d bytes of %d); raise clone.time_max, or clone.rate_max_mb where that bounds it",
			donor, w.task.TimeMax, cmp.Or(w.last.Text, "nothing begun"), w.last.Done, w.last.Of)
	}
	return nil
}

// isCloned tells whether the data is what a clone left, and no longer what was there before.
func (j *job) isCloned(ctx context.Context) (bool, error) {
	rows, err := j.query(ctx, "SELECT COUNT(*) FROM performance_schema.clone_status WHERE state = 'Completed'")
	if err != nil || !rows[0][0].on() {
		return false, err
	}
	o, err := j.observe(ctx)
	if err != nil {
		return false, err
	}
	if o.Executed.IsEmpty() || o.Executed.Has(apart) || o.Executed.Intersects(j.task.Set) {
		return false, nil
	}
	p := j.fleet.Probe(ctx, j.task.Primary)
	return p.OK() && settle.Earlier(p).Subtract(o.Executed).IsEmpty(), nil
}

// endEarlierClone ends a clone that was begun on this server for this cluster and still runs, as when the session broke in
// which we watched it. Two at once are refused.
func (j *job) endEarlierClone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, isolateTime)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ended, ours := killed{}, j.announcement(dutyAct, "")[attrCluster]
	for {
		rows, err := j.query(ctx, announcedSessions)
		if err != nil {
			return err
		}
		running := slices.DeleteFunc(announced(rows), func(r rival) bool { return r.cluster != ours || r.duty != dutyClone })
		if len(running) == 0 {
			return nil
		}
		if err := ended.kill(ctx, j.link, running); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return notYet("busy", "an earlier clone on %s does not end", j.server)
		}
	}
}
