package mysqld

import (
	"context"
	"time"

	"github.com/primacydb/primacy/topology"
)

// read is a full first-hand reading on a given connection. An error shows in Reach, Errno and Error.
func (f *Fleet) read(ctx context.Context, q queryer, server topology.Address) topology.Observation {
	_, err := q.query(ctx, "SELECT 1")
	o := topology.Observation{Address: server, At: time.Now(), Reach: topology.ReachOK}
	if err != nil {
		o.Reach, o.Errno, o.Error = topology.ReachSilent, mysqlErrno(err), err.Error()
	}
	return o
}
