package mysqld

import (
	"context"

	"github.com/primacydb/primacy/settle"
)

// clone does one step of a clone.
func (j *job) clone(context.Context) settle.Result { return settle.NotAvailable(j.task) }
