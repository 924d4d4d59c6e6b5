package mysqld_test

import (
	"testing"
	"time"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// candidate makes the second server ready for a marker: the first one steps down, the third acknowledges
// to the second, which has applied everything and waits for one acknowledgement.
func (w *stage) candidate(f *mysqld.Fleet, term uint32) {
	w.Helper()
	if w.value(0, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '_primacy'") == "0" {
		w.must(f, w.command(reparent.CreateJournal, 0, term))
	}
	w.caughtUp()
	w.must(f, w.follow(2, 1, term))
	w.must(f, w.command(reparent.Demote, 0, term))
	w.caughtUp()
	enable := w.command(reparent.EnableSource, 1, term)
	enable.Acks = 1
	w.must(f, enable)
	w.eventually(2, "ON", receiverState)
}

func (w *stage) mark(i int, term uint32, d topology.Decision) reparent.Command {
	c := w.command(reparent.Mark, i, term)
	c.Acks, c.Decision = 1, d
	return c
}

func TestTheMarkerIsWrittenBeforeAnybodyElseCanWrite(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	d := w.decision(f, 1, term, reparent.KindPlanned)
	w.must(f, w.mark(1, term, d))
	if !w.executed(1).Has(d.Marker().GTID()) {
		t.Error("the marker is not in the executed set")
	}
	w.eventually(2, "1", "SELECT GTID_SUBSET(?, @@GLOBAL.gtid_executed)", d.Marker().GTID().String())
	if _, ended := w.write(1); <-ended == nil {
		t.Error("a client wrote before the server was opened")
	}
	w.must(f, w.mark(1, term, d))
	open := w.command(reparent.Open, 1, term)
	open.Acks = 1
	w.must(f, open)
	w.applies(2, w.mustWrite(1))
	for _, i := range []int{1, 2} {
		journal, err := f.Journal(t.Context(), w.address(i))
		if err != nil {
			t.Fatal(err)
		}
		if len(journal) == 0 || !journal[0].Intact() || journal[0].Hash != d.Hash {
			t.Errorf("the journal of server %d does not begin with the decision: %+v", i, journal)
		}
	}
}

func TestAMarkerThatNobodyAcknowledgesIsUnknownUntilSomebodyDoes(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	w.exec(2, "STOP REPLICA IO_THREAD")
	d := w.decision(f, 1, term, reparent.KindPlanned)
	mark := w.mark(1, term, d)
	mark.Deadline = inVain
	for range 2 {
		if r := w.do(f, mark); r.Outcome != reparent.Unknown || r.Reason != reparent.ReasonDeadline {
			t.Fatalf("%s, %s: %s; expected unknown, deadline", r.Outcome, r.Reason, r.Detail)
		}
	}
	w.exec(2, "START REPLICA IO_THREAD")
	w.must(f, w.mark(1, term, d))
	if n := w.value(1, "SELECT COUNT(*) FROM _primacy.journal WHERE term = ?", term); n != "1" {
		t.Errorf("the journal has %s rows of the term", n)
	}
}

func TestAMarkerThatWasLetGoWithoutAnAcknowledgementIsNeverAYes(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	w.exec(2, "STOP REPLICA IO_THREAD")
	mark := w.mark(1, term, w.decision(f, 1, term, reparent.KindPlanned))
	marked := make(chan reparent.Result, 1)
	go func() { marked <- w.do(f, mark) }()
	w.awaitWaiters(1, 1)
	w.exec(1, "SET GLOBAL rpl_semi_sync_source_enabled = OFF; SET GLOBAL rpl_semi_sync_source_enabled = ON")
	for _, r := range []reparent.Result{<-marked, w.do(f, mark)} {
		if r.Outcome != reparent.Unknown || r.Reason != reparent.ReasonNotSemiSync {
			t.Errorf("%s, %s: %s; expected unknown, not semi-sync", r.Outcome, r.Reason, r.Detail)
		}
	}
}

func TestAnElectorWhoseMarkerWaitsKeepsNoNewerOneOut(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.candidate(older, term)
	w.exec(2, "STOP REPLICA IO_THREAD")
	mark := w.mark(1, term, w.decision(older, 1, term, reparent.KindPlanned))
	mark.Deadline = time.Minute
	marked := make(chan reparent.Result, 1)
	go func() { marked <- w.do(older, mark) }()
	w.awaitWaiters(1, 1)
	poison := w.command(reparent.Poison, 1, term+1)
	w.must(newer, poison)
	if r := <-marked; r.Outcome != reparent.Unknown {
		t.Errorf("the older elector's marker: %s, %s; expected unknown", r.Outcome, r.Reason)
	}
	w.awaitWaiters(1, 1)
	antidote := w.command(reparent.Antidote, 1, term+1)
	antidote.Acks = 1
	w.must(newer, antidote)
	w.exec(2, "START REPLICA IO_THREAD")
	w.awaitWaiters(1, 0)
}

func TestAMarkerIsRefused(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	good := w.decision(f, 1, term, reparent.KindPlanned)
	changed := func(change func(*topology.Decision)) topology.Decision {
		d := good
		change(&d)
		return d.Sealed()
	}
	forged := good
	forged.Primary = w.address(1)
	forged.Ruleset++
	rows := map[string]struct {
		decision topology.Decision
		acks     int
		reason   reparent.Reason
		before   string
	}{
		"of a decision that was changed after it was sealed": {forged, 1, reparent.ReasonRefused, ""},
		"of another term":                       {changed(func(d *topology.Decision) { d.Term++ }), 1, reparent.ReasonRefused, ""},
		"of another cluster":                    {changed(func(d *topology.Decision) { d.Cluster = "other" }), 1, reparent.ReasonRefused, ""},
		"of another server":                     {changed(func(d *topology.Decision) { d.Primary = w.address(2) }), 1, reparent.ReasonRefused, ""},
		"of a process that has restarted since": {changed(func(d *topology.Decision) { d.Incarnation += "x" }), 1, reparent.ReasonRefused, ""},
		"when fewer acknowledgements are waited for than the policy wants": {good, 2, reparent.ReasonNotSemiSync, ""},
		"when semi-sync falls back":                                        {good, 1, reparent.ReasonNotSemiSync, "SET GLOBAL rpl_semi_sync_source_timeout = 10000"},
		"when others could write as well":                                  {good, 1, reparent.ReasonRefused, "SET GLOBAL rpl_semi_sync_source_timeout = 4294967295; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF"},
	}
	for _, name := range []string{"of a decision that was changed after it was sealed", "of another term", "of another cluster", "of another server",
		"of a process that has restarted since", "when fewer acknowledgements are waited for than the policy wants", "when semi-sync falls back", "when others could write as well"} {
		row := rows[name]
		t.Run(name, func(t *testing.T) {
			if row.before != "" {
				w.exec(1, row.before)
			}
			before := w.value(1, "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.super_read_only)")
			mark := w.mark(1, term, row.decision)
			mark.Acks = row.acks
			w.refused(f, mark, row.reason)
			if after := w.value(1, "SELECT CONCAT(@@GLOBAL.read_only, @@GLOBAL.super_read_only)"); after != before {
				t.Errorf("read_only and super_read_only are %s, they were %s", after, before)
			}
			if w.value(1, "SELECT COUNT(*) FROM _primacy.journal WHERE term IN (?, ?)", term, term+1) != "0" {
				t.Error("a row was written")
			}
		})
	}
}

func TestOfTwoDecisionsInOneTermTheSecondLeavesNoMarker(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	first := w.decision(f, 1, term, reparent.KindPlanned)
	w.must(f, w.mark(1, term, first))
	second := first
	second.Ruleset++
	w.refused(f, w.mark(1, term, second.Sealed()), reparent.ReasonFenced)
}

func TestAMarkerThatFailsClosesTheServerAgain(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	d := w.decision(f, 1, term, reparent.KindPlanned)
	w.exec(1, "SET GLOBAL super_read_only = OFF; SET SESSION sql_log_bin = OFF; RENAME TABLE _primacy.journal TO _primacy.elsewhere; SET GLOBAL super_read_only = ON")
	t.Cleanup(func() {
		w.exec(1, "SET GLOBAL super_read_only = OFF; SET SESSION sql_log_bin = OFF; RENAME TABLE _primacy.elsewhere TO _primacy.journal; SET GLOBAL super_read_only = ON")
	})
	r := w.refused(f, w.mark(1, term, d), reparent.ReasonError)
	contains(t, r.Detail, "1146")
	if w.value(1, "SELECT @@GLOBAL.super_read_only") != "1" {
		t.Error("the server was left open for administrators")
	}
	if w.executed(1).Has(d.Marker().GTID()) {
		t.Error("the marker was consumed by an empty transaction")
	}
}

func TestWithoutAPolicyTheMarkerNeedsNoSemiSync(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.candidate(f, term)
	w.must(f, w.command(reparent.DisableSource, 1, term))
	mark := w.mark(1, term, w.decision(f, 1, term, reparent.KindPlanned))
	mark.Acks = 0
	w.must(f, mark)
}

func TestAdoptionMarksAPrimaryThatStaysOpen(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.command(reparent.CreateJournal, 0, term))
	w.must(f, w.mark(0, term, w.decision(f, 0, term, reparent.KindAdoption)))
	w.mustWrite(0)
}

func TestCreatingTheJournalAgainWritesNothing(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.must(f, w.command(reparent.CreateJournal, 0, term))
	before := w.executed(0)
	w.must(f, w.command(reparent.CreateJournal, 0, term))
	if after := w.executed(0); !after.Equal(before) {
		t.Errorf("it wrote %s", after.Subtract(before))
	}
}

func TestAServerWithoutAJournalHasNoDecisions(t *testing.T) {
	w := realStage(t)
	f := w.elector("elector-1")
	w.exec(1, "SET GLOBAL super_read_only = OFF; SET SESSION sql_log_bin = OFF; CREATE DATABASE IF NOT EXISTS _primacy; "+
		"CREATE TABLE IF NOT EXISTS _primacy.journal (i INT); RENAME TABLE _primacy.journal TO _primacy.elsewhere")
	t.Cleanup(func() {
		w.exec(1, "SET SESSION sql_log_bin = OFF; RENAME TABLE _primacy.elsewhere TO _primacy.journal; SET GLOBAL super_read_only = ON")
	})
	journal, err := f.Journal(t.Context(), w.address(1))
	if err != nil || len(journal) != 0 {
		t.Errorf("%v, %v", journal, err)
	}
}
