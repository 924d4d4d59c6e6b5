package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/primacydb/primacy/sim"
)

// repeatsMost is how many statements of one command are told one by one.
const repeatsMost = 20

// burst is what one elector sends to one server for one command.
type burst struct {
	last   int // its last line so far
	number int // and which statement that is
	hidden int // how many before it are not shown
}

// withoutRepeats shows of a command that asks again and again, as one that waits for a server does, how it begins and its
// last statement.
func withoutRepeats(trace []sim.Entry) []sim.Entry {
	bursts := map[string]*burst{}
	hidden, more := map[int]bool{}, map[int]int{}
	for i, e := range trace {
		command, number := statement(e)
		if number == 0 {
			continue
		}
		b := bursts[command]
		if b == nil || number != b.number+1 {
			b = &burst{}
			bursts[command] = b
		}
		if number > repeatsMost+1 && b.number > 0 {
			hidden[b.last] = true
			b.hidden++
			delete(more, b.last)
			more[i] = b.hidden
		}
		b.last, b.number = i, number
	}
	var all []sim.Entry
	for i, e := range trace {
		if n := more[i]; n > 0 {
			e.Text += fmt.Sprintf(", after %d more", n)
		}
		if !hidden[i] {
			all = append(all, e)
		}
	}
	return all
}

// statement takes an elector's line "C fence (7)" apart: whose command it belongs to, and the statement's number. 0 is no
// statement.
func statement(e sim.Entry) (command string, number int) {
	text, counted := strings.CutSuffix(e.Text, ")")
	at := strings.LastIndex(text, " (")
	if !counted || at < 0 {
		return "", 0
	}
	number, err := strconv.Atoi(text[at+2:])
	if err != nil {
		return "", 0
	}
	return e.Who + " " + text[:at], number
}
