package mysqld

import (
	"context"
	"strings"
	"testing"
)

// committing is a primary on which a transaction ends its commit after the first look at either set.
type committing struct {
	executed, owned string
	looked          bool
}

func (c *committing) query(_ context.Context, statement string, _ ...any) ([]row, error) {
	var answer row
	for _, word := range strings.FieldsFunc(statement, func(r rune) bool { return r == ' ' || r == ',' }) {
		switch word {
		case "@@GLOBAL.gtid_executed":
			answer = append(answer, cell{text: c.executed})
		case "@@GLOBAL.gtid_owned":
			answer = append(answer, cell{text: c.owned})
		default:
			continue
		}
		if !c.looked {
			c.looked, c.executed, c.owned = true, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-2", ""
		}
	}
	return []row{answer}, nil
}

// A server that lacks a transaction whose locks are free already must not pass for one that has all of them.
func TestATransactionThatEndsWhileThePrimaryIsAskedIsNotOverlooked(t *testing.T) {
	const source = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
	executed, owned, err := committed(t.Context(), &committing{executed: source + ":1", owned: source + ":2#47"})
	if err != nil || executed.Union(owned).String() != source+":1-2" {
		t.Errorf("executed %s, owned %s, %v", executed, owned, err)
	}
}
