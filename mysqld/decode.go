package mysqld

import (
	"context"
	"errors"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/settle"
	"github.com/primacydb/primacy/topology"
)

// Decode implements orchestrator.Bench.
func (f *Fleet) Decode(context.Context, topology.Address, gtid.Set, settle.Limits) (settle.Transcript, error) {
	return settle.Transcript{}, errors.New("this release cannot decode")
}

// export reads the errant transactions and has them on record before anything is done to the server.
func (f *Fleet) export(_ context.Context, t settle.Task) settle.Result { return settle.NotAvailable(t) }
