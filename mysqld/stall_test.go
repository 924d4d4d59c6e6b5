package mysqld

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// commits is what sessionsTable gives for waiting sessions, each "id seconds state".
func commits(sessions ...string) []waiter {
	var lines []string
	for _, s := range sessions {
		var id, seconds int
		var state string
		if _, err := fmt.Sscanf(s, "%d %d %s", &id, &seconds, &state); err != nil {
			panic(err)
		}
		full := map[string]string{"commit": stateCommit, "ack": ackWaitState + " from replica"}[state]
		lines = append(lines, fmt.Sprintf("%d:%d:%s:app", id, seconds, full))
	}
	return waitersOf(strings.Join(lines, "\n"))
}

func TestAnHourLongStatementThatComesToItsCommitIsNoStall(t *testing.T) {
	var w waits
	now := time.Now()
	if got := w.add(now, commits("7 3600 commit")).OldestCommit; got != 0 {
		t.Errorf("at first sight %s", got)
	}
	if got := w.add(now.Add(time.Second), commits("7 3601 commit")).OldestCommit; got != time.Second {
		t.Errorf("a second later %s", got)
	}
}

func TestACommitThatStaysIsAStallThatGrows(t *testing.T) {
	var w waits
	now := time.Now()
	for s := range 10 {
		stall := w.add(now.Add(time.Duration(s)*time.Second), commits(fmt.Sprintf("7 %d commit", s+1)))
		if want := time.Duration(s) * time.Second; stall.OldestCommit != want {
			t.Errorf("after %s: %s", want, stall.OldestCommit)
		}
	}
}

func TestASessionThatCommitsAgainAndAgainIsNoStall(t *testing.T) {
	var w waits
	now := time.Now()
	for s := range 10 {
		at := now.Add(time.Duration(s) * 3 * time.Second)
		if stall := w.add(at, commits("7 1 commit")); stall.OldestCommit != 0 {
			t.Errorf("reading %d: %s", s, stall.OldestCommit)
		}
	}
}

func TestCommitsBehindAnAckWaitDoNotSpeakForTheStorage(t *testing.T) {
	var w waits
	now := time.Now()
	w.add(now, commits("7 5 ack", "8 5 commit"))
	stall := w.add(now.Add(4*time.Second), commits("7 9 ack", "8 9 commit"))
	if stall.OldestCommit != 0 || stall.OldestAckWait != 4*time.Second {
		t.Errorf("%+v", stall)
	}
	if want := "session 7, user app, " + ackWaitState + " from replica for 4s"; stall.OldestWaiter != want {
		t.Errorf("oldest waiter %q, want %q", stall.OldestWaiter, want)
	}
}

func TestAListThatWasCutOffIsReadAsFarAsItGoes(t *testing.T) {
	got := waitersOf("7:9:" + stateCommit + ":a:b\n8:9:waiting fo")
	if len(got) != 1 || got[0] != (waiter{id: 7, state: stateCommit, user: "a:b", seconds: 9}) {
		t.Errorf("%+v", got)
	}
}
