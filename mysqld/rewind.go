package mysqld

import (
	"context"

	"github.com/primacydb/primacy/settle"
)

// rewind does one step of a rewind.
func (j *job) rewind(context.Context) settle.Result { return settle.NotAvailable(j.task) }
