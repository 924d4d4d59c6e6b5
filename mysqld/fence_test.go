package mysqld_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// sessions counts the announced sessions of a term on a server.
func (w *stage) sessions(i int, term uint32) string {
	return w.value(i, sessionsOfTerm, fmt.Sprint(term))
}

const sessionsOfTerm = "SELECT COUNT(*) FROM performance_schema.session_connect_attrs WHERE attr_name = 'primacy_term' AND attr_value = ?"

// stand opens a fenced session by a command that changes nothing.
func (w *stage) stand(f *mysqld.Fleet, i int, term uint32) {
	w.Helper()
	w.must(f, reparent.Command{Verb: reparent.AwaitApplied, Server: w.address(i), Term: term})
}

// freeze is a command that would show: the receiver is off afterwards.
func (w *stage) freeze(i int, term uint32) reparent.Command {
	return reparent.Command{Verb: reparent.Freeze, Server: w.address(i), Term: term}
}

func (w *stage) receiving(i int) {
	w.Helper()
	if state := w.value(i, receiverState); state != "ON" {
		w.Errorf("the receiver of server %d is %s; the command has taken effect", i, state)
	}
}

const receiverState = "SELECT service_state FROM performance_schema.replication_connection_status"

func TestANewerElectorEndsTheSessionsOfAnOlderOne(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.stand(older, 1, term)
	w.stand(newer, 1, term+1)
	if n := w.sessions(1, term); n != "0" {
		t.Errorf("%s sessions of the older term are left", n)
	}
	r := w.refused(older, w.freeze(1, term), reparent.ReasonFenced)
	contains(t, r.Detail, "elector-2")
	w.receiving(1)
	w.must(newer, w.freeze(1, term+1))
}

func TestAnElectorThatHangsInACommandIsEndedByANewerOne(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.stopAckers()
	_, ended := w.waitingWrite(0)
	hanging := make(chan reparent.Result, 1)
	go func() {
		hanging <- w.do(older, reparent.Command{Verb: reparent.Demote, Server: w.address(0), Term: term, Deadline: time.Minute})
	}()
	w.eventually(0, "1", "SELECT @@GLOBAL.super_read_only")
	w.stand(newer, 0, term+1)
	if r := <-hanging; r.Done() {
		t.Error("the older elector believes that it has demoted the server")
	}
	w.eventually(0, "0", "SELECT @@GLOBAL.super_read_only")
	w.startAckers()
	if err := <-ended; err != nil {
		t.Errorf("the write that stood in the way: %v", err)
	}
}

func TestAStatementThatOutlivesItsSessionIsEndedToo(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.stopAckers()
	w.waitingWrite(0)
	hanging := make(chan reparent.Result, 1)
	go func() {
		hanging <- w.do(older, reparent.Command{Verb: reparent.Demote, Server: w.address(0), Term: term, Deadline: time.Minute})
	}()
	w.eventually(0, "1", "SELECT @@GLOBAL.super_read_only")
	const acting = "SELECT processlist_id FROM performance_schema.session_connect_attrs WHERE attr_name = 'primacy_duty' AND attr_value = 'act'"
	w.exec(0, "KILL "+w.value(0, acting))
	w.eventually(0, "", acting)
	w.stand(newer, 0, term+1)
	if n := w.sessions(0, term); n != "0" {
		t.Errorf("%s sessions of the older term are left", n)
	}
	<-hanging
	w.startAckers()
}

func TestAMarkerOfAHigherTermFencesWhoeverMeetsIt(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.stand(older, 1, term)
	w.must(newer, reparent.Command{Verb: reparent.CreateJournal, Server: w.address(0), Term: term + 1})
	mark := reparent.Command{Verb: reparent.Mark, Server: w.address(0), Term: term + 1, Acks: 1, Decision: w.decision(newer, 0, term+1, reparent.KindAdoption)}
	w.must(newer, mark)
	w.caughtUp()
	t.Run("a session that stands since before", func(t *testing.T) {
		w.refused(older, w.freeze(1, term), reparent.ReasonFenced)
	})
	t.Run("a session that stands since before, with a statement that returns at once", func(t *testing.T) {
		prepare := w.command(reparent.PrepareSource, 1, term)
		prepare.Acks = 7
		w.refused(older, prepare, reparent.ReasonFenced)
		if w.value(1, "SELECT @@GLOBAL.rpl_semi_sync_source_wait_for_replica_count") == "7" {
			t.Error("it took effect")
		}
	})
	t.Run("a new session", func(t *testing.T) {
		w.refused(older, w.freeze(2, term), reparent.ReasonFenced)
	})
	w.receiving(1)
	w.receiving(2)
	if n := w.sessions(1, term); n != "1" {
		t.Fatalf("the guard was not what refused: %s sessions of the older term stand", n)
	}
}

func TestAMarkerThatIsReceivedAndNotAppliedFencesToo(t *testing.T) {
	w := realStage(t)
	older, newer, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.must(newer, reparent.Command{Verb: reparent.CreateJournal, Server: w.address(0), Term: term + 1})
	w.stand(older, 1, term)
	w.caughtUp()
	w.exec(1, "STOP REPLICA SQL_THREAD")
	decision := w.decision(newer, 0, term+1, reparent.KindAdoption)
	w.must(newer, reparent.Command{Verb: reparent.Mark, Server: w.address(0), Term: term + 1, Acks: 1, Decision: decision})
	w.eventually(1, "1", "SELECT GTID_SUBSET(?, received_transaction_set) FROM performance_schema.replication_connection_status", decision.Marker().GTID().String())
	w.refused(older, w.freeze(1, term), reparent.ReasonFenced)
	w.receiving(1)
}

func TestOfTwoElectorsWithOneTermTheSecondIsRefused(t *testing.T) {
	w := realStage(t)
	first, second, term := w.elector("elector-1"), w.elector("elector-2"), w.term()
	w.stand(first, 1, term)
	r := w.refused(second, w.freeze(1, term), reparent.ReasonFenced)
	contains(t, r.Detail, "our term")
	w.receiving(1)
	w.must(first, w.freeze(1, term))
}

func TestATermIsForOneProcessOfItsElector(t *testing.T) {
	w := realStage(t)
	before, after, term := w.elector("elector-1"), w.elector("elector-1"), w.term()
	w.stand(before, 1, term)
	r := w.refused(after, w.freeze(1, term), reparent.ReasonFenced)
	contains(t, r.Detail, "another process")
	w.receiving(1)
	w.must(before, w.freeze(1, term))
	w.must(after, w.freeze(1, term+1))
	w.refused(before, w.freeze(1, term), reparent.ReasonFenced)
}

func TestAPredecessorWithALowerTermDoesNotEndItsSuccessor(t *testing.T) {
	w := realStage(t)
	before, after, term := w.elector("elector-1"), w.elector("elector-1"), w.term()
	w.stand(after, 1, term+1)
	w.refused(before, w.freeze(1, term), reparent.ReasonFenced)
	w.receiving(1)
	if n := w.sessions(1, term+1); n != "1" {
		t.Errorf("%s sessions of the successor are left", n)
	}
}

func TestOurOwnHigherTermEndsTheLowerOne(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stand(f, 1, term)
	w.stand(f, 2, term+1)
	w.eventually(1, "0", sessionsOfTerm, fmt.Sprint(term))
	w.refused(f, w.freeze(1, term), reparent.ReasonFenced)
	w.receiving(1)
}

func TestAnElectorOnAnotherHostIsSeen(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr = w.users.Primacy.Name, w.users.Primacy.Password, "tcp", w.servers[1].Address()
	config.ConnectionAttributes = fmt.Sprintf("primacy_cluster:%s,primacy_elector:far,primacy_term:%d,primacy_duty:act", cluster, term+1)
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		return dialer.DialContext(ctx, network, address)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	if err := db.Ping(); err != nil {
		t.Fatal(err)
	}
	r := w.refused(f, w.freeze(1, term), reparent.ReasonFenced)
	contains(t, r.Detail, "far")
	w.receiving(1)
}

func TestALockThatAStrangerHoldsIsNamed(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	stranger := w.admin(1)
	id := scalar(t, stranger, "SELECT CONNECTION_ID() FROM (SELECT GET_LOCK('primacy/shop', 0)) AS locked")
	scalar(t, stranger, "SELECT GET_LOCK('primacy/shop', 0)")
	freeze := w.freeze(1, term)
	freeze.Deadline = inVain
	r := w.refused(f, freeze, reparent.ReasonDeadline)
	contains(t, r.Detail, "session "+id)
	w.receiving(1)
}

func TestABrokenSessionIsOpenedAgainByTheNextCommand(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	w.stand(f, 1, term)
	waiting := make(chan reparent.Result, 1)
	go func() {
		waiting <- w.do(f, reparent.Command{Verb: reparent.AwaitApplied, Server: w.address(1), Term: term, Set: topology.Marker{Term: 1}.Set()})
	}()
	const waits = "SELECT processlist_id FROM performance_schema.threads WHERE processlist_info LIKE 'SELECT WAIT_FOR_EXECUTED_GTID_SET%' AND processlist_id <> CONNECTION_ID()"
	var id string
	until(t, "the wait on the server", func() bool { id = w.value(1, waits); return id != "" })
	w.exec(1, "KILL "+id)
	if r := <-waiting; r.Outcome != reparent.No || r.Reason != reparent.ReasonUnreachable {
		t.Errorf("%s, %s: %s; expected no, unreachable: nothing that changes the server had been sent", r.Outcome, r.Reason, r.Detail)
	}
	w.must(f, w.freeze(1, term))
}

func TestEndingATermClosesItsSessions(t *testing.T) {
	w := realStage(t)
	f, term := w.elector("elector-1"), w.term()
	f.Prepare(t.Context(), cluster, term, []topology.Address{w.address(0), w.address(1), w.address(2)})
	for i := range 3 {
		if n := w.sessions(i, term); n != "1" {
			t.Errorf("%s sessions on server %d after Prepare", n, i)
		}
	}
	f.EndTerm(cluster, term)
	for i := range 3 {
		w.eventually(i, "0", sessionsOfTerm, fmt.Sprint(term))
	}
	w.must(f, w.freeze(1, term))
}

func TestAWrongPasswordIsADenialThatNamesTheServer(t *testing.T) {
	w := realStage(t)
	f := mysqld.NewFleet(mysqld.Settings{User: w.users.Primacy.Name, Password: constant("wrong"), Elector: "elector-1"})
	defer f.Close()
	r := w.refused(f, w.freeze(1, w.term()), reparent.ReasonDenied)
	contains(t, r.Detail, w.servers[1].Address())
}

func TestAServerThatIsGoneIsACertainNo(t *testing.T) {
	w := realStage(t)
	f := w.elector("elector-1")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := topology.Address(listener.Addr().String())
	listener.Close()
	r := f.Do(t.Context(), orchestrator.Batch{Commands: []reparent.Command{{Verb: reparent.Freeze, Server: gone, Cluster: cluster, Term: w.term()}}})[0]
	if r.Outcome != reparent.No || r.Reason != reparent.ReasonUnreachable {
		t.Errorf("%s, %s; expected no, unreachable", r.Outcome, r.Reason)
	}
}
