package mysqld

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

const (
	primaryUUID   = "aaaaaaaa-0000-0000-0000-000000000000"
	donorUUID     = "bbbbbbbb-0000-0000-0000-000000000000"
	recipientUUID = "cccccccc-0000-0000-0000-000000000000"
)

func setOf(t *testing.T, text string) gtid.Set {
	t.Helper()
	s, err := gtid.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cloneSight(t *testing.T, a topology.Address, uuid, executed string) topology.Observation {
	t.Helper()
	u, err := gtid.ParseUUID(uuid)
	if err != nil {
		t.Fatal(err)
	}
	return topology.Observation{Address: a, Reach: topology.ReachOK, UUID: u, Version: "9.7.4", ReadOnly: a != "a:1", SuperReadOnly: a != "a:1", Executed: setOf(t, executed)}
}

func TestDataIsGivenUpOnlyForACopyOfThePrimarysHistory(t *testing.T) {
	rows := []struct {
		name   string
		change func(recipient, donor, primary *topology.Observation)
		code   string
		final  bool
	}{
		{name: "an errant server, a clean donor"},
		{name: "a donor that lags behind what the primary writes", change: func(_, d, _ *topology.Observation) { d.Executed = setOf(t, primaryUUID+":1-5,"+recipientUUID+":1-9") }},
		{name: "what the recipient merely received was not executed by the primary", code: "only_copy", change: func(r, _, _ *topology.Observation) {
			r.Received = setOf(t, primaryUUID+":11")
		}},
		{name: "the recipient holds more errant transactions than were settled", code: "only_copy", change: func(r, _, _ *topology.Observation) {
			r.Executed = setOf(t, primaryUUID+":1-10,"+recipientUUID+":1-12")
		}},
		{name: "the donor lacks what the recipient wrote when it led", code: "donor_behind", change: func(_, d, _ *topology.Observation) {
			d.Executed = setOf(t, primaryUUID+":1-10,"+recipientUUID+":1-8")
		}},
		{name: "the donor lacks what the primary has purged", code: "donor_behind", change: func(_, d, p *topology.Observation) {
			p.Purged, d.Executed = setOf(t, primaryUUID+":1-7"), setOf(t, primaryUUID+":1-6,"+recipientUUID+":1-9")
		}},
		{name: "the donor is errant", code: "donor_errant", change: func(_, d, _ *topology.Observation) {
			d.Executed = setOf(t, primaryUUID+":1-10,"+recipientUUID+":1-9,"+donorUUID+":1")
		}},
		{name: "the donor holds the very transaction", code: "donor_errant", change: func(_, d, _ *topology.Observation) {
			d.Executed = setOf(t, primaryUUID+":1-10,"+recipientUUID+":1-10")
		}},
		{name: "the donor is not reached", code: "donor", change: func(_, d, _ *topology.Observation) {
			*d = topology.Observation{Address: "b:1", Reach: topology.ReachSilent}
		}},
		{name: "the donor is the server itself", code: "donor", final: true, change: func(r, d, _ *topology.Observation) { d.UUID = r.UUID }},
		{name: "the donor is of another series", code: "version", final: true, change: func(_, d, _ *topology.Observation) { d.Version = "9.6.0" }},
		{name: "somebody replicates from the server", code: "followed", change: func(r, _, _ *topology.Observation) { r.Replicas = []topology.Address{"d:1"} }},
		{name: "the server takes writes", code: "writable", change: func(r, _, _ *topology.Observation) { r.ReadOnly = false }},
		{name: "the primary is not reached", code: "primary", change: func(_, _, p *topology.Observation) { p.Reach = topology.ReachSilent }},
		{name: "the primary was replaced", code: "primary", change: func(_, d, p *topology.Observation) { p.UUID = d.UUID }},
		{name: "the primary is closed", code: "primary", change: func(_, _, p *topology.Observation) { p.ReadOnly = true }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			recipient := cloneSight(t, "c:1", recipientUUID, primaryUUID+":1-10,"+recipientUUID+":1-11")
			donor := cloneSight(t, "b:1", donorUUID, primaryUUID+":1-10,"+recipientUUID+":1-9")
			primary := cloneSight(t, "a:1", primaryUUID, primaryUUID+":1-10,"+recipientUUID+":1-9")
			j := &job{act: &act{session: &session{server: "c:1"}}, task: settle.Task{
				Server: "c:1", Donor: "b:1", Primary: "a:1", PrimaryUUID: primary.UUID, Set: setOf(t, recipientUUID+":10-11"),
			}}
			if row.change != nil {
				row.change(&recipient, &donor, &primary)
			}
			err := j.judgeClone(recipient, donor, primary)
			if row.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			no, refused := errors.AsType[cloneRefusal](err)
			if !refused || no.code != row.code || no.final != row.final {
				t.Errorf("%+v; expected %s, final %v", err, row.code, row.final)
			}
		})
	}
}

func TestACopyIsComparedWithThePrimary(t *testing.T) {
	primary := cloneSight(t, "a:1", primaryUUID, primaryUUID+":1-10,"+recipientUUID+":1-9")
	rows := []struct{ name, copied, complaint string }{
		{"whole and behind", primaryUUID + ":1-8," + recipientUUID + ":1-9", ""},
		{"ahead of what the primary had executed when it was asked", primaryUUID + ":1-11," + recipientUUID + ":1-9", ""},
		{"without what the recipient itself wrote", primaryUUID + ":1-8," + recipientUUID + ":1-8", "lacks"},
		{"with what was to be settled", primaryUUID + ":1-8," + recipientUUID + ":1-10", "which a:1 does not"},
		{"empty, as after a clone that failed", "", "is empty"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			j := &job{act: &act{session: &session{server: "c:1"}}, task: settle.Task{Primary: "a:1", PrimaryUUID: primary.UUID}}
			err := j.isWhole(cloneSight(t, "c:1", recipientUUID, row.copied), primary)
			if (err == nil) != (row.complaint == "") || err != nil && !strings.Contains(err.Error(), row.complaint) {
				t.Errorf("%v; expected %q", err, row.complaint)
			}
		})
	}
}

func TestErrorsOfACloneSayWhetherAnotherTryIsOfUse(t *testing.T) {
	task := settle.Task{Kind: settle.KindClone, Step: settle.StepClone, Server: "c:1"}
	rows := []struct {
		name    string
		err     error
		outcome reparent.Outcome
		code    string
		final   bool
	}{
		{"copied, nobody starts it", &mysql.MySQLError{Number: 3707}, reparent.Unknown, codeStartIt, false},
		{"copied, it restarts", errRestarts, reparent.Unknown, codeStartIt, false},
		{"the donor died", &mysql.MySQLError{Number: 3862}, reparent.No, "donor", false},
		{"killed", &mysql.MySQLError{Number: 1317}, reparent.No, "interrupted", false},
		{"killed while it read", &mysql.MySQLError{Number: 1158}, reparent.No, "interrupted", false},
		{"a missing privilege", &mysql.MySQLError{Number: 1227}, reparent.No, "denied", true},
		{"versions", &mysql.MySQLError{Number: 3864}, reparent.No, "version", true},
		{"a condition that may come to hold", notYet("only_copy", "x"), reparent.No, "only_copy", false},
		{"a higher term", fencedBy(7, "term 7"), reparent.No, "fenced", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			j := &job{act: &act{session: &session{server: "c:1"}}, task: task}
			if r := j.cloneFailed(t.Context(), row.err); r.Outcome != row.outcome || r.Code != row.code || r.Final != row.final {
				t.Errorf("%+v", r)
			}
		})
	}
	j := &job{act: &act{session: &session{server: "c:1"}}, task: task}
	if r := j.cloneFailed(t.Context(), &mysql.MySQLError{Number: errSyntax, Message: "near 'secret'"}); strings.Contains(r.Detail, "secret") {
		t.Errorf("the password is shown: %s", r.Detail)
	}
}
