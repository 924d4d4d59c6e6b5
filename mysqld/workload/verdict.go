package workload

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Verdict is what became of the writes, judged by the rows of one server.
type Verdict struct {
	Acknowledged int
	Refused      int
	Unanswered   int
	// Lost are rows that were acknowledged and are not there. There must be none.
	Lost []int64
	// Ghosts are rows that were refused and are there all the same. There must be none.
	Ghosts []int64
	// Rows is how many rows the server has.
	Rows int
}

// Good tells whether every client was told the truth.
func (v Verdict) Good() bool { return len(v.Lost) == 0 && len(v.Ghosts) == 0 }

// String sums the verdict up.
func (v Verdict) String() string {
	return fmt.Sprintf("%d acknowledged, %d lost, %d refused, %d unanswered, %d refused and yet present",
		v.Acknowledged, len(v.Lost), v.Refused, v.Unanswered, len(v.Ghosts))
}

// Judge compares what clients were told with the rows of a server.
func Judge(writes []Write, rows map[int64]bool) Verdict {
	v := Verdict{Rows: len(rows)}
	for _, w := range writes {
		switch w.Told {
		case OK:
			v.Acknowledged++
			if !rows[w.ID] {
				v.Lost = append(v.Lost, w.ID)
			}
		case Refused:
			v.Refused++
			if rows[w.ID] {
				v.Ghosts = append(v.Ghosts, w.ID)
			}
		case Nothing:
			v.Unanswered++
		}
	}
	return v
}

// Rows reads which rows a server holds.
func Rows(ctx context.Context, dsn string) (map[int64]bool, error) {
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return nil, fmt.Errorf("read the workload's rows: %w", err)
	}
	defer db.Close()
	found, err := db.QueryContext(ctx, "SELECT id FROM app.writes")
	if err != nil {
		return nil, fmt.Errorf("read the workload's rows: %w", err)
	}
	defer found.Close()
	rows := map[int64]bool{}
	for found.Next() {
		var id int64
		if err := found.Scan(&id); err != nil {
			return nil, fmt.Errorf("read the workload's rows: %w", err)
		}
		rows[id] = true
	}
	return rows, found.Err()
}

// Gap is the longest time without an acknowledgement, as the client saw it: from the last one before it
// to the first one after it.
type Gap struct {
	From, To time.Time
	Servers  [2]string
}

// Length is how long nothing was acknowledged.
func (g Gap) Length() time.Duration { return g.To.Sub(g.From) }

// LongestGap finds the longest gap that ended after since.
func LongestGap(writes []Write, since time.Time) Gap {
	acked := slices.DeleteFunc(slices.Clone(writes), func(w Write) bool { return w.Told != OK })
	slices.SortFunc(acked, func(a, b Write) int { return a.Ended.Compare(b.Ended) })
	var longest Gap
	for i := 1; i < len(acked); i++ {
		g := Gap{From: acked[i-1].Ended, To: acked[i].Ended, Servers: [2]string{acked[i-1].Server, acked[i].Server}}
		if g.To.After(since) && g.Length() > longest.Length() {
			longest = g
		}
	}
	return longest
}

// MedianCommit is how long an acknowledged write took, in the middle of all of them.
func MedianCommit(writes []Write) time.Duration {
	var took []time.Duration
	for _, w := range writes {
		if w.Told == OK {
			took = append(took, w.Ended.Sub(w.Began))
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)/2]
}
