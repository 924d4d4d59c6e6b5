package settle

import (
	"time"

	"github.com/primacydb/primacy/gtid"
)

// Transcript is what a server's binary log says of a set of transactions.
type Transcript struct {
	Set          gtid.Set      `json:"set"`
	ReadAt       time.Time     `json:"read_at,omitzero"`
	Transactions []Transaction `json:"transactions"`
	// Missing are those that its binary log does not hold: they were purged, or are only received so far.
	Missing gtid.Set `json:"missing,omitzero"`
	// Rows counts all rows; those beyond the limit have no values here.
	Rows      int  `json:"rows"`
	Truncated bool `json:"truncated,omitempty"`
	// File is where the whole transcript was written, when it is too large for the store.
	File string `json:"file,omitempty"`
}

// Process is one life of a server: it wrote a run of binary log files.
type Process struct {
	// Number tells the processes of one reading apart, in their order.
	Number    int       `json:"number"`
	StartedAt time.Time `json:"started_at,omitzero"` // to the second; or when the process emptied its binary log
	// Began is when the process itself started, by its error log; the binary log begins after what a crash left was recovered.
	// Zero where the error log does not tell.
	Began time.Time `json:"began,omitzero"`
	// Orderly: its last file ends as an orderly shutdown leaves it.
	Orderly bool `json:"orderly,omitempty"`
	// Stop is what the server's error log says of whether it was told to stop, for a process that is gone.
	Stop Stop `json:"stop,omitempty"`
	// Running: it is the one that runs now.
	Running bool `json:"running,omitempty"`
	// Known is false when the file that it began with is gone.
	Known bool `json:"known"`
}

// Stop is whether a process was told to stop. From that moment on it may tell OK to whoever waits, and whoever stops it may
// lose patience and kill it before its binary log shows anything.
type Stop string

// What an error log says. It says nothing where it does not reach back to the start of the process.
const (
	StopTold    Stop = "told"
	StopNotTold Stop = "not_told"
)

// Transaction is one transaction of a binary log.
type Transaction struct {
	GTID        string    `json:"gtid"`
	CommittedAt time.Time `json:"committed_at,omitzero"` // by the clock of the server that it was first committed on
	ServerID    uint32    `json:"server_id"`             // of that server
	Process     Process   `json:"process"`               // that wrote it into this binary log
	Thread      uint32    `json:"thread,omitempty"`      // the connection that ran it, when a statement tells
	File        string    `json:"file"`
	// Statements are those that were logged as such, and the texts of row changes where the server keeps them.
	Statements []string `json:"statements,omitempty"`
	// Logged are those that were logged as such alone, in their order among the changes. MySQL mixes both where binlog_format is
	// not ROW, and in CREATE TABLE … SELECT.
	Logged  []Logged `json:"logged,omitempty"`
	Changes []Change `json:"changes,omitempty"`
	// Lacks is what the log holds besides and what is not told here. Without it the statements do something else.
	Lacks []string `json:"lacks,omitempty"`
	Bytes uint64   `json:"bytes,omitempty"`
}

// Logged is a statement whose rows do not stand in the log.
type Logged struct {
	Text string `json:"text"`
	// After is how many of the transaction's changes come before it.
	After int `json:"after,omitempty"`
}

// Lacking are the transactions of which more stands in the log than is told.
func (t Transcript) Lacking() (all []Transaction) {
	for _, x := range t.Transactions {
		if len(x.Lacks) > 0 {
			all = append(all, x)
		}
	}
	return all
}

// Change is what a transaction did to one row.
type Change struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Action string `json:"action"` // insert, update, delete
	// Before and After are the row, in the order of the table's columns.
	Before []Value `json:"before,omitempty"`
	After  []Value `json:"after,omitempty"`
}

// Value is one column of a row.
type Value struct {
	Column string `json:"column"` // its name, or @1, @2… where the binary log does not tell names
	// SQL is the value as a literal of MySQL.
	SQL string `json:"sql"`
	// JSON is the value for programs: a number, a string, null, true; what is no text is in base64 under "base64".
	JSON      any  `json:"value"`
	Key       bool `json:"key,omitempty"`       // part of the primary key
	Generated bool `json:"generated,omitempty"` // computed from other columns
}
