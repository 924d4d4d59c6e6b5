package settle

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// WriteSQL tells the transactions as statements that would do again what they did. They are for a person to read, and to
// run where they are wanted: row changes name the row by its primary key where that is known, else by all columns.
func (t Transcript) WriteSQL(w io.Writer) error {
	p := printer{w: w}
	p.line("-- %d transactions, %d rows: %s", len(t.Transactions), t.Rows, t.Set)
	if !t.Missing.IsEmpty() {
		p.line("-- INCOMPLETE: the binary log does not hold %s", t.Missing)
	}
	if t.Truncated {
		p.line("-- INCOMPLETE: there are more rows than were read")
	}
	if t.File != "" {
		p.line("-- INCOMPLETE: they are too large to be told here, and stand in %s on the elector's host", t.File)
	}
	for _, x := range t.Lacking() {
		p.line("-- INCOMPLETE: %s holds more than is told, and its statements would do something else: %s", x.GTID, strings.Join(x.Lacks, ", "))
	}
	p.line("SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO', foreign_key_checks = 0;")
	for _, x := range t.Transactions {
		p.transaction(x)
	}
	return p.err
}

// printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *printer) transaction(x Transaction) {
	p.line("\n-- %s, committed %s on the server with server_id %d%s", x.GTID, x.CommittedAt.Format("2006-01-02 15:04:05.000000 MST"), x.ServerID, thread(x))
	if len(x.Changes) == 0 {
		for _, s := range x.Statements {
			p.statement(s)
		}
		return
	}
	for _, s := range x.rowTexts() {
		p.line("-- %s", strings.ReplaceAll(s, "\n", "\n-- "))
	}
	p.line("START TRANSACTION;")
	logged := x.Logged
	for i, c := range x.Changes {
		for ; len(logged) > 0 && logged[0].After <= i; logged = logged[1:] {
			p.statement(logged[0].Text)
		}
		p.line("%s;", c.SQL())
	}
	for _, s := range logged {
		p.statement(s.Text)
	}
	p.line("COMMIT;")
}

// rowTexts are the statements whose rows are told, for reading.
func (x Transaction) rowTexts() []string {
	return slices.DeleteFunc(slices.Clone(x.Statements), func(text string) bool {
		return slices.ContainsFunc(x.Logged, func(s Logged) bool { return s.Text == text })
	})
}

// tableWithRows is how CREATE TABLE … SELECT stands in the log. Behind such a statement only MySQL's own replication may insert;
// to a client it is a table, and then a transaction.
var tableWithRows = regexp.MustCompile(`(?is)\bCREATE\s+TABLE\b.*(\s+START\s+TRANSACTION)\s*$`)

func (p *printer) statement(text string) {
	at := tableWithRows.FindStringSubmatchIndex(text)
	if at != nil {
		text = text[:at[2]]
	}
	p.line("%s\n;", strings.TrimSuffix(text, ";")) // it may end in a comment
	if at != nil {
		p.line("START TRANSACTION;")
	}
}

func thread(x Transaction) string {
	if x.Thread == 0 {
		return ""
	}
	return fmt.Sprintf(" by connection %d", x.Thread)
}

// SQL is the change as one statement. Where the columns' names are not known it is none that MySQL would take.
func (c Change) SQL() string {
	table := name(c.Schema) + "." + name(c.Table)
	switch c.Action {
	case "insert":
		return fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, join(c.After, ", ", columnName), join(c.After, ", ", valueSQL))
	case "delete":
		return fmt.Sprintf("DELETE FROM %s WHERE %s LIMIT 1", table, where(c.Before))
	}
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s LIMIT 1", table, join(c.After, ", ", assignment), where(c.Before))
}

// where names the row that was there before.
func where(row []Value) string {
	if key := slices.DeleteFunc(slices.Clone(row), func(v Value) bool { return !v.Key }); len(key) > 0 {
		row = key
	}
	var all []string
	for _, v := range row {
		all = append(all, name(v.Column)+" <=> "+v.SQL)
	}
	return strings.Join(all, " AND ")
}

func columnName(v Value) string { return name(v.Column) }

func valueSQL(v Value) string { return v.SQL }

func assignment(v Value) string { return name(v.Column) + " = " + v.SQL }

// join leaves out what a table computes itself.
func join(row []Value, by string, say func(Value) string) string {
	var all []string
	for _, v := range row {
		if !v.Generated {
			all = append(all, say(v))
		}
	}
	return strings.Join(all, by)
}

func name(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }
