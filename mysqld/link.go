package mysqld

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/primacydb/primacy/topology"
)

// queryer runs one statement and returns its whole (small) result.
type queryer interface {
	query(ctx context.Context, statement string, args ...any) ([]row, error)
}

// row is one row of a result, in the order of the SELECT list.
type row []cell

// cell is one value as text. A NULL is the empty text with Null set.
type cell struct {
	text string
	null bool
}

func (c cell) String() string { return c.text }

// number is the cell as an integer; 0 when it is NULL or none.
func (c cell) number() int64 {
	n, _ := strconv.ParseInt(c.text, 10, 64)
	return n
}

// on tells whether a switch is on, whichever way the server spells it.
func (c cell) on() bool {
	return c.text == "1" || strings.EqualFold(c.text, "ON") || strings.EqualFold(c.text, "YES")
}

// link is one logged-in connection. It belongs to one goroutine at a time. After any error that is not
// an answer of MySQL (see mysqlErrno) it is broken and must be closed.
type link struct {
	server topology.Address
	wire   *wire
	conn   driver.Conn
}

// dial logs in. ctx bounds all of it; attrs are announced as connection attributes, besides the
// program's name and the elector.
func (f *Fleet) dial(ctx context.Context, server topology.Address, attrs map[string]string) (*link, error) {
	config, err := f.driverConfig(server, attrs)
	if err != nil {
		return nil, err
	}
	l := &link{server: server}
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		l.wire, err = dialWire(ctx, address, f.settings.ConnectTimeout)
		if err != nil {
			return nil, err
		}
		return l.wire, nil
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("connection settings for %s: %w", server, err)
	}
	if l.conn, err = connector.Connect(ctx); err != nil {
		return nil, l.failed(ctx, err)
	}
	return l, nil
}

// driverConfig holds what every connection of Primacy has in common. Times are in UTC, so that the
// difference of two of them is right across a change of daylight saving time; the wait timeout is an
// hour, so that a kept connection outlives any pause between two probes.
func (f *Fleet) driverConfig(server topology.Address, attrs map[string]string) (*mysql.Config, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", string(server)
	config.User = f.settings.User
	config.Logger = &mysql.NopLogger{}
	config.InterpolateParams = true
	config.MultiStatements = true    // a guard and the statement that it protects are one round trip
	config.CheckConnLiveness = false // the wire knows
	config.TLS = f.settings.TLS
	if config.TLS == nil {
		config.TLS = &tls.Config{InsecureSkipVerify: true, ClientSessionCache: f.tickets} // a resumed handshake is half the time
		config.AllowFallbackToPlaintext = true
	}
	config.Params = map[string]string{"time_zone": "'+00:00'", "wait_timeout": "3600", "autocommit": "1"}
	config.ConnectionAttributes = f.attributes(attrs)
	if f.settings.Password == nil {
		return config, nil
	}
	password, err := f.settings.Password()
	if err != nil {
		return nil, fmt.Errorf("password of account %q for %s: %w", f.settings.User, server, err)
	}
	config.Passwd = password
	return config, nil
}

// attributes spells connection attributes as the driver wants them: its two separators cannot be quoted.
func (f *Fleet) attributes(attrs map[string]string) string {
	all := map[string]string{"program_name": "primacy", "primacy_elector": f.settings.Elector}
	maps.Copy(all, attrs)
	plain := strings.NewReplacer(",", "_", ":", "_")
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, plain.Replace(name)+":"+plain.Replace(all[name]))
	}
	return strings.Join(parts, ",")
}

// exec runs a statement that returns no rows.
func (l *link) exec(ctx context.Context, statement string, args ...any) error {
	_, err := l.conn.(driver.ExecerContext).ExecContext(ctx, statement, named(args))
	return l.failed(ctx, err)
}

// query implements queryer: one round trip.
func (l *link) query(ctx context.Context, statement string, args ...any) ([]row, error) {
	rows, err := l.conn.(driver.QueryerContext).QueryContext(ctx, statement, named(args))
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	all, err := collect(rows)
	return all, l.failed(ctx, err)
}

func collect(rows driver.Rows) (all []row, err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	return fetch(rows)
}

// cells copies values out of the driver's buffer.
func cells(values []driver.Value) row {
	copied := make(row, len(values))
	for i, value := range values {
		switch v := value.(type) {
		case nil:
			copied[i].null = true
		case []byte:
			copied[i].text = string(v)
		case string:
			copied[i].text = v
		case int64:
			copied[i].text = strconv.FormatInt(v, 10)
		default:
			copied[i].text = fmt.Sprint(v)
		}
	}
	return copied
}

func named(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return values
}

// failed names the server in an error, and puts in place of the driver's "invalid connection" what
// the network said.
func (l *link) failed(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, answered := errors.AsType[*mysql.MySQLError](err); answered || l.wire == nil {
		return fmt.Errorf("%s: %w", l.server, err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", l.server, ctx.Err())
	}
	if cause := l.wire.cause(); cause != nil {
		return fmt.Errorf("%s: %w", l.server, cause)
	}
	return fmt.Errorf("%s: %w", l.server, err)
}

// close says goodbye as far as that takes no time, and hangs up.
func (l *link) close() {
	_ = l.wire.SetWriteDeadline(time.Now().Add(goodbye))
	_ = l.conn.Close()
	_ = l.wire.Close()
}

// goodbye bounds the COM_QUIT packet; it only waits when the socket's send buffer is full.
const goodbye = 50 * time.Millisecond
