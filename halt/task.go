package halt

import (
	"time"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// Task is one step as it is handed to whoever works on servers: StepCheck, StepQuiesce or StepStop.
type Task struct {
	Step    Step             `json:"step"`
	Cluster string           `json:"cluster"`
	Server  topology.Address `json:"server"`
	// Primary is the established primary: another server, but for StepCheck.
	Primary     topology.Address `json:"primary"`
	PrimaryUUID gtid.UUID        `json:"primary_uuid"`
	// Process is the one to be stopped; another one is left alone.
	Process string `json:"process,omitempty"`
	// Restart: it is asked to have itself started again, and shut down where nobody would.
	Restart bool          `json:"restart,omitempty"`
	Drain   time.Duration `json:"drain"`
	Wait    time.Duration `json:"wait"`
}

// Result is what came of a task. Yes: it is done. No: it is certainly not; with Final there is no use in trying again, else
// it counts as a try. Unknown: it was cut off, and is handed out again after a moment where it is still needed.
type Result struct {
	Outcome  reparent.Outcome `json:"outcome"`
	Code     string           `json:"code,omitempty"`
	Detail   string           `json:"detail,omitempty"`
	Final    bool             `json:"final,omitempty"`
	Evidence []string         `json:"evidence,omitempty"`
	// UUID and Process are what StepQuiesce has closed, How is how StepStop has told it to go.
	UUID    gtid.UUID `json:"server_uuid,omitzero"`
	Process string    `json:"process,omitempty"`
	How     string    `json:"how,omitempty"`
}

// Task is the step at which it stands, for whoever works on servers.
func (h Halt) Task(leader topology.Leadership) Task {
	return Task{
		Step: h.Step, Cluster: h.Cluster, Server: h.Server(), Primary: leader.Primary, PrimaryUUID: leader.PrimaryUUID, Process: h.Process,
		Restart: h.how() == HowRestart, Drain: h.Terms.Drain, Wait: h.Terms.Wait,
	}
}

// TriesMax is how often a step may fail in a row.
const TriesMax = 3

const (
	pauseAfterFailure = 10 * time.Second
	askAgain          = time.Second
)

// Apply folds in what came of the task that it has handed out.
func (h Halt) Apply(r Result, now time.Time) Halt {
	h.Code, h.Detail, h.NextAt = r.Code, r.Detail, time.Time{}
	switch {
	case r.Outcome == reparent.Yes && h.Step == StepStop: // that it is gone has to be seen
		h.Told = r.How
		return h
	case r.Outcome == reparent.Yes:
		h.UUID, h.Process = r.UUID, r.Process
		return h.done(r.Detail, now, r.Evidence...)
	case r.Outcome == reparent.No && (r.Final || r.Code == string(reparent.ReasonDenied)):
		return h.failed(r.Detail, now)
	case r.Outcome == reparent.No && r.Code != string(reparent.ReasonFenced):
		return h.missed(r.Detail, now)
	}
	h.NextAt = now.Add(askAgain)
	return h
}

// missed counts a try.
func (h Halt) missed(detail string, now time.Time) Halt {
	if h.Tries++; h.Tries >= TriesMax {
		return h.failed(detail, now)
	}
	h.Detail, h.NextAt = detail, now.Add(pauseAfterFailure)
	return h
}
