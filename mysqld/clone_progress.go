package mysqld

import (
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

// tellProgress tells how much of the donor's data has arrived. What cannot be asked now is asked next time: at its end the
// clone shuts the server down.
func (j *job) tellProgress(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, progressEvery)
	defer cancel()
	rows, err := j.query(ctx, "SELECT stage, state, estimate, data FROM performance_schema.clone_progress ORDER BY id DESC, begin_time")
	if err != nil || j.tell == nil {
		return
	}
	p := settle.Progress{Step: settle.StepClone, Unit: "bytes"}
	for _, r := range rows {
		p.Of += uint64(max(r[2].number(), 0))
		p.Done += uint64(max(r[3].number(), 0))
		if r[1].text == "In Progress" {
			p.Text = strings.ToLower(r[0].text)
		}
	}
	j.tell(p)
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
