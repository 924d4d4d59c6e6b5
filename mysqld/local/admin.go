package local

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-sql-driver/mysql"
)

const (
	socketName = "mysqld.sock"
	// socketPathMax is the longest name that fits the address of a Unix socket on
	// every system that we know (macOS has the smallest).
	socketPathMax = 103
)

// AdminDSN reaches the server as its root account, for go-sql-driver/mysql. The
// account has no password and can be reached only through the socket, which lies
// in a directory that is closed to other users. Use it in this process only: on
// Linux a deep directory is named by an open file of ours.
func (s *Server) AdminDSN() string {
	return s.adminConfig().FormatDSN()
}

func (s *Server) adminConfig() *mysql.Config {
	config := mysql.NewConfig()
	config.User = "root"
	config.Net = "unix"
	config.Addr = filepath.Join(s.socketDir(), socketName)
	config.InterpolateParams = true
	config.Timeout = 5 * time.Second
	return config
}

func (s *Server) socketDir() string {
	if s.shortData != "" {
		return s.shortData
	}
	return s.dataPath()
}

// open gives a handle that stays silent: a server that is not up yet is no news.
func (s *Server) open() (*sql.DB, error) {
	config := s.adminConfig()
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// A statement with its parameters, which are filled in by the client: MySQL
// accepts none in account statements.
type statement struct {
	text string
	args []any
}

// execute runs statements in one session, so that a session variable set by one
// holds for the next. Errors name the statement without its parameters, for
// there are passwords among them.
func (s *Server) execute(ctx context.Context, statements ...statement) error {
	db, err := s.open()
	if err != nil {
		return err
	}
	defer db.Close()
	session, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("server %s (%s): %w", s.Name, s.Address(), err)
	}
	defer session.Close()
	for _, statement := range statements {
		if _, err := session.ExecContext(ctx, statement.text, statement.args...); err != nil {
			return fmt.Errorf("server %s (%s): %s: %w", s.Name, s.Address(), statement.text, err)
		}
	}
	return nil
}

// status reads one status variable.
func (s *Server) status(ctx context.Context, name string) (value string, err error) {
	db, err := s.open()
	if err != nil {
		return "", err
	}
	defer db.Close()
	row := db.QueryRowContext(ctx, "SELECT variable_value FROM performance_schema.global_status WHERE variable_name = ?", name)
	if err := row.Scan(&value); err != nil {
		return "", fmt.Errorf("server %s (%s): status %s: %w", s.Name, s.Address(), name, err)
	}
	return value, nil
}
