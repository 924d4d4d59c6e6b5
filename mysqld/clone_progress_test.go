package mysqld

import (
	"errors"
	"testing"
	"time"

	"github.com/primacydb/primacy/settle"
)

func TestACloneThatGetsNowhereIsEnded(t *testing.T) {
	begun := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)
	task := settle.Task{Donor: "b:1", StallMax: time.Minute, TimeMax: time.Hour}
	copied := func(n uint64) settle.Progress {
		return settle.Progress{Step: settle.StepClone, Text: "file copy", Done: n, Of: 1000}
	}
	still := func(time.Duration) settle.Progress { return copied(1) }
	answers := func(time.Duration) bool { return true }
	for _, row := range []struct {
		name    string
		task    settle.Task
		shows   func(after time.Duration) settle.Progress
		answers func(after time.Duration) bool
		code    string
		after   time.Duration // at the latest, and not 2 s before
	}{
		{"nothing arrives", task, still, answers, "stalled", time.Minute},
		{"it cannot be asked", task, func(time.Duration) settle.Progress { return settle.Progress{} }, answers, "stalled", time.Minute},
		{"it can be asked again now and then, and shows the same", task, func(after time.Duration) settle.Progress {
			if after%(2*time.Second) == 0 {
				return settle.Progress{}
			}
			return copied(1)
		}, answers, "stalled", time.Minute},
		{"nothing arrives any more", task, func(after time.Duration) settle.Progress { return copied(uint64(min(after, 2*time.Minute))) }, answers, "stalled", 3 * time.Minute},
		{"a byte arrives now and then", task, func(after time.Duration) settle.Progress { return copied(uint64(after / (50 * time.Second))) }, answers, "too_long", time.Hour},
		{"it goes from one stage to the next", task, func(after time.Duration) settle.Progress {
			return settle.Progress{Text: []string{"drop data", "file copy", "file sync"}[min(2, after/(50*time.Second))]}
		}, answers, "stalled", 100*time.Second + time.Minute},
		{"the donor is silent", task, func(after time.Duration) settle.Progress { return copied(uint64(after)) }, func(after time.Duration) bool { return after < time.Minute }, "donor", time.Minute + donorPatience},
		{"nothing is configured", settle.Task{Donor: "b:1"}, still, answers, "stalled", settle.CloneStallMax},
	} {
		t.Run(row.name, func(t *testing.T) {
			watch, after := watchClone(row.task, begun), time.Duration(0)
			var ended error
			for ; ended == nil && after < 2*time.Hour; after += time.Second {
				watch = watch.saw(row.shows(after), row.answers(after), begun.Add(after))
				ended = watch.overdue(begun.Add(after))
			}
			no, refused := errors.AsType[cloneRefusal](ended)
			if !refused || no.code != row.code || no.final || after > row.after+3*time.Second || after < row.after {
				t.Errorf("ended after %s: %v", after, ended)
			}
		})
	}
}
