package mysqld

import (
	"context"
	"fmt"
	"time"

	"github.com/primacydb/primacy/settle"
)

// A process that is told to stop writes so to the error log before it lets anybody go who waits for acknowledgements (E6);
// whoever told it may kill it a moment later, and then its binary log ends as after a crash. After a start the server reads
// what earlier processes wrote, where its error log is a file (log_error), as far back as that goes. System messages cannot
// be suppressed. Tried on 9.7; performance_schema.error_log is there since 8.0.22.
const (
	startsCode = "MY-010116" // mysqld starting as process
	stopsCode  = "MY-013172" // Received SHUTDOWN
)

const askStops = "SELECT UNIX_TIMESTAMP(LOGGED), ERROR_CODE FROM performance_schema.error_log WHERE ERROR_CODE IN ('" + startsCode + "', '" + stopsCode + "') ORDER BY LOGGED"

// said is one line of the error log.
type said struct {
	at   time.Time
	code string
}

// stops reads what the server's error log tells of starts and stops; nothing where it cannot be read.
func (l *link) stops(ctx context.Context) ([]said, error) {
	rows, err := l.query(ctx, askStops)
	if err != nil {
		return nil, fmt.Errorf("the error log of %s: %w", l.server, err)
	}
	var all []said
	for _, r := range rows {
		var seconds float64
		if _, err := fmt.Sscan(r[0].text, &seconds); err != nil {
			return nil, fmt.Errorf("the error log of %s: time %q", l.server, r[0].text)
		}
		all = append(all, said{time.UnixMicro(int64(seconds * 1e6)), r[1].text})
	}
	return all, nil
}

// startedBefore is how much later than it says the first binary log of a process may seem to begin: its time is cut to
// seconds.
const startedBefore = time.Second

// startsApart is how far starts are apart that are told from each other by their times alone: an uptime is in whole seconds, and
// a process counts it from a moment before it writes that it starts.
const startsApart = 5 * time.Second

// beganOf finds the start of the process that wrote a binary log: the last one before the log begins, for a process opens it
// after it has said that it starts, and no other one runs on its data between. What an error log has lost it lost from its
// beginning, so that start is in it if an earlier one is. It is not told where another start is so near that a process could be
// taken for the one before it.
func beganOf(p settle.Process, log []said) (at time.Time) {
	if !p.Known {
		return at
	}
	for _, line := range log {
		if line.code == startsCode && !line.at.After(p.StartedAt.Add(startedBefore)) {
			at = line.at
		}
	}
	near := 0
	for _, line := range log {
		if line.code == startsCode && line.at.Sub(at).Abs() <= startsApart {
			near++
		}
	}
	if near != 1 {
		return time.Time{}
	}
	return at
}

// stopOf finds the life of a process: it begins with the last start before its binary log does, and ends with the next one.
// Without both the log does not reach back that far, or was changed meanwhile, and says nothing.
func stopOf(p settle.Process, log []said) settle.Stop {
	if !p.Known || p.Running {
		return ""
	}
	begun, told, surely := false, false, false
	for _, line := range log {
		switch after := line.at.After(p.StartedAt.Add(startedBefore)); {
		case line.code == startsCode && !after:
			begun, told = true, surely // a start within the same second may be the next one's
		case line.code == stopsCode:
			told, surely = true, !line.at.Before(p.StartedAt)
		case line.code == startsCode && begun && told:
			return settle.StopTold
		case line.code == startsCode && begun:
			return settle.StopNotTold
		}
	}
	return ""
}
