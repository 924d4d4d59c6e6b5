package mysqld

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
)

// rulesTable keeps the rules that were about to be put on record, for people: which are in force the store says. Each attempt
// is a row of its own, so that there is always something to commit.
const rulesTable = `CREATE TABLE IF NOT EXISTS _primacy.rules (
	id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
	ruleset BIGINT UNSIGNED NOT NULL,
	term INT UNSIGNED NOT NULL,
	written_at DATETIME(6) NOT NULL,
	rules LONGTEXT NOT NULL,
	PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET = utf8mb4 COMMENT = 'Changes of the rules, written by Primacy before each is recorded. Do not change.'`

const rulesRow = "INSERT INTO _primacy.rules (ruleset, term, written_at, rules) VALUES (?, ?, UTC_TIMESTAMP(6), ?)"

// barrier commits a transaction of the primary's own while clients write. When the commit has returned with semi-sync on,
// everything before it in the binary log is held by as many as acknowledged it.
func (a *act) barrier(ctx context.Context) (topology.Observation, error) {
	if err := a.barrable(ctx); err != nil {
		return topology.Observation{}, err
	}
	if err := a.createRules(ctx); err != nil {
		return topology.Observation{}, err
	}
	before, err := a.source(ctx)
	if err != nil {
		return topology.Observation{}, err
	}
	a.unackedBefore = &before.unacked
	document, err := json.Marshal(a.command.Rules)
	if err != nil {
		return topology.Observation{}, refuse(reparent.ReasonRefused, "rules: %v", err)
	}
	side, err := a.aside(ctx, dutyMark)
	if err != nil {
		return topology.Observation{}, err
	}
	defer side.close()
	side.guards = []guard{unacknowledged(a.command.Acks), closedMeanwhile}
	if err := side.run(ctx, rulesRow, int64(a.command.Rules.Number), int64(a.term), string(document)); err != nil {
		return topology.Observation{}, err
	}
	return topology.Observation{}, a.acknowledged(ctx)
}

// closedMeanwhile keeps a barrier off a server that somebody has closed: its account could write there all the same.
var closedMeanwhile = guard{
	broken: "@@GLOBAL.read_only = 1 OR @@GLOBAL.offline_mode = 1",
	reason: reparent.ReasonRefused,
	detail: "it is closed for writes",
}

// barrable checks that the process is the one that the rules are changed under.
func (a *act) barrable(ctx context.Context) error {
	if a.command.Rules == nil || a.command.Acks < 1 {
		return refuse(reparent.ReasonRefused, "a barrier takes rules and at least one acknowledgement")
	}
	born, err := a.incarnation(ctx)
	if err != nil {
		return err
	}
	if born != a.command.Incarnation {
		return refuse(reparent.ReasonRefused, "%s is not the process that led: it has restarted since", a.server)
	}
	return nil
}

// createRules makes the table where it is missing: the statement would be written to the binary log in any case.
func (a *act) createRules(ctx context.Context) error {
	rows, err := a.query(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '_primacy' AND table_name = 'rules'")
	if err != nil || rows[0][0].on() {
		return err
	}
	if err := a.runAside(ctx, dutyMark, "CREATE DATABASE IF NOT EXISTS _primacy DEFAULT CHARACTER SET = utf8mb4; "+rulesTable); err != nil {
		return fmt.Errorf("create _primacy.rules: %w", err)
	}
	return nil
}
