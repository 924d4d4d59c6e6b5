package mysqld

import (
	"errors"

	"github.com/go-sql-driver/mysql"
)

// mysqlErrno is the number of the error that MySQL answered with; 0 when the error is of another kind,
// and then nobody knows whether the statement took effect.
func mysqlErrno(err error) int {
	if answer, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return int(answer.Number)
	}
	return 0
}
