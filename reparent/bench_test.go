package reparent

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// Sinks keep the compiler from dropping what is measured.
var (
	sinkOperation Operation
	sinkDecision  topology.Decision
	sinkText      []byte
)

// conducted is a change with what each step of it was answered.
type conducted struct {
	in      Intent
	answers [][]Result
	end     Operation
}

// conduct carries an emergency change of five servers out; each server that lives answers as it should.
func conduct(b *testing.B) conducted {
	b.Helper()
	c := conducted{in: intentOf(topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("A"))}
	servers := map[topology.Address]topology.Observation{}
	for _, o := range c.in.Snapshot.Servers {
		servers[o.Address] = o
	}
	c.end = Emergency(clearance(true), c.in, topologytest.Now)
	for c.end.Running() {
		var results []Result
		for _, command := range c.end.Next().Commands {
			results = append(results, ideal(command, servers))
		}
		c.answers = append(c.answers, results)
		c.end = c.end.Apply(results, topologytest.Now.Add(time.Duration(len(c.answers))*time.Millisecond))
	}
	if c.end.State != StateSucceeded || len(c.answers) < 5 {
		b.Fatalf("%s after %d steps: %+v", c.end.State, len(c.answers), c.end.Obstacle)
	}
	return c
}

// BenchmarkEmergencyChange is all the deciding of one change: can it succeed, what next, is it enough yet (asked after
// each answer), and what came of it.
func BenchmarkEmergencyChange(b *testing.B) {
	c, cleared := conduct(b), clearance(true)
	b.ReportAllocs()
	for b.Loop() {
		op := Emergency(cleared, c.in, topologytest.Now)
		for _, answers := range c.answers {
			commands := op.Next().Commands
			for n := range answers {
				if op.Enough(commands, answers[:n+1]) {
					break
				}
			}
			op = op.Apply(answers, topologytest.Now)
		}
		sinkOperation = op
	}
}

// BenchmarkBlockedEmergency looks for the sets of servers that would have to come back.
func BenchmarkBlockedEmergency(b *testing.B) {
	in := intentOf(topologytest.Cluster("A", "B", "C", "D", "E").Acks(2).Dead("A", "B", "C"))
	cleared := clearance(true)
	b.ReportAllocs()
	for b.Loop() {
		if sinkOperation = Emergency(cleared, in, topologytest.Now); len(sinkOperation.Obstacle.Needs) == 0 {
			b.Fatalf("%+v", sinkOperation.Obstacle)
		}
	}
}

// BenchmarkSavedOperation is what it takes to put an operation on record, which happens at most steps, and to read it.
func BenchmarkSavedOperation(b *testing.B) {
	end := conduct(b).end
	text, err := json.Marshal(end)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			sinkText, _ = json.Marshal(end)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			var op Operation
			_ = json.Unmarshal(text, &op)
			sinkOperation = op
		}
	})
}

func BenchmarkSealedDecision(b *testing.B) {
	d := *conduct(b).end.Decision
	b.ReportAllocs()
	for b.Loop() {
		sinkDecision = d.Sealed()
	}
}
