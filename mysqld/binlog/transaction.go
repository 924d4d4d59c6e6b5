package binlog

import (
	"context"
	"fmt"
	"time"

	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
)

// Transaction is one transaction as it stands in a binary log file.
type Transaction struct {
	GTID        gtid.GTID
	CommittedAt time.Time // by the clock of the server that it was first committed on
	ServerID    uint32    // of that server
	File        string
	Format      Event // the format description that its events follow
	// Events begin with the GTID's and end with the commit. A compressed transaction's envelope is left out, what it
	// encloses is here.
	Events []Event
	Bytes  uint64
	// Process is the number of the life of the server that wrote it: see Log.Processes.
	Process int
}

// Log is what reading a binary log tells besides its transactions.
type Log struct {
	// Processes are the lives of the server, in order, as far as what was read shows.
	Processes []settle.Process
	// Seen are all the transactions that were read of those wanted.
	Seen gtid.Set
}

// Transactions hands those transactions of a set that stand in the log behind a position to yield, in their order,
// until yield says false. What the log tells besides is complete only when it was read to its end.
func Transactions(ctx context.Context, c Config, from Position, wanted gtid.Set, yield func(Transaction) bool) (Log, error) {
	s := scan{wanted: wanted, yield: yield}
	err := Read(ctx, c, from, func(e Event) bool { return s.take(e) && s.err == nil })
	if err == nil {
		err = s.err
	}
	if err == nil && !s.stopped {
		s.flush()
	}
	return s.log, err
}

// scan gathers events into transactions.
type scan struct {
	wanted  gtid.Set
	yield   func(Transaction) bool
	log     Log
	format  Event
	open    *Transaction // wanted, and not at its end yet
	stopped bool
	err     error
}

// take is false when nobody wants more.
func (s *scan) take(e Event) bool {
	switch body := e.Event.(type) {
	case *replication.FormatDescriptionEvent:
		s.flush()
		s.begun(e, body)
	case *replication.RotateEvent:
		s.flush()
	case *replication.GTIDEvent:
		s.flush()
		s.began(e, body)
	case *replication.GtidTaggedLogEvent:
		s.flush()
		s.began(e, &body.GTIDEvent)
	case *replication.TransactionPayloadEvent:
		if s.open != nil {
			s.open.Bytes += uint64(e.Header.EventSize)
		}
	default:
		if e.Header.EventType == replication.STOP_EVENT {
			s.flush()
			s.process().Orderly = true
			break
		}
		s.add(e)
	}
	return !s.stopped
}

// begun notes which process writes the file: only the first file of a process says when it was started.
func (s *scan) begun(e Event, body *replication.FormatDescriptionEvent) {
	s.format = e
	switch {
	case body.CreateTimestamp != 0:
		s.log.Processes = append(s.log.Processes, settle.Process{StartedAt: time.Unix(int64(body.CreateTimestamp), 0).UTC(), Known: true})
	case len(s.log.Processes) == 0:
		s.log.Processes = append(s.log.Processes, settle.Process{})
	}
}

func (s *scan) process() *settle.Process {
	if len(s.log.Processes) == 0 {
		s.log.Processes = append(s.log.Processes, settle.Process{})
	}
	return &s.log.Processes[len(s.log.Processes)-1]
}

func (s *scan) began(e Event, body *replication.GTIDEvent) {
	g, err := identified(body)
	if err != nil {
		s.err = fmt.Errorf("file %s, position %d: %w", e.File, e.Header.LogPos, err)
		return
	}
	if !s.wanted.Has(g) {
		return
	}
	s.process()
	s.log.Seen = s.log.Seen.Union(gtid.Of(g))
	s.open = &Transaction{
		GTID: g, ServerID: e.Header.ServerID, File: e.File, Format: s.format, Process: len(s.log.Processes) - 1,
	}
	if body.OriginalCommitTimestamp != 0 {
		s.open.CommittedAt = time.UnixMicro(int64(body.OriginalCommitTimestamp)).UTC()
	}
	s.add(e)
}

func identified(body *replication.GTIDEvent) (gtid.GTID, error) {
	var id gtid.UUID
	if len(body.SID) != len(id) {
		return gtid.GTID{}, fmt.Errorf("a GTID with %d bytes of UUID", len(body.SID))
	}
	copy(id[:], body.SID)
	return gtid.GTID{UUID: id, Tag: body.Tag.String(), Number: body.GNO}, nil
}

func (s *scan) add(e Event) {
	if s.open == nil {
		return
	}
	s.open.Events = append(s.open.Events, e)
	if !e.Enclosed {
		s.open.Bytes += uint64(e.Header.EventSize)
	}
}

// flush hands on the transaction that has come to its end.
func (s *scan) flush() {
	if s.open != nil && !s.stopped {
		s.stopped = !s.yield(*s.open)
	}
	s.open = nil
}

// Start tells when the process began that wrote a file; known is false when an earlier file of it would have to tell.
func Start(ctx context.Context, c Config, file string) (at time.Time, known bool, err error) {
	err = Read(ctx, c, Position{File: file, Offset: 4}, func(e Event) bool {
		body, found := e.Event.(*replication.FormatDescriptionEvent)
		if found && body.CreateTimestamp != 0 {
			at, known = time.Unix(int64(body.CreateTimestamp), 0).UTC(), true
		}
		return !found
	})
	return at, known, err
}
