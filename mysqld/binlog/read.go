// Package binlog reads the binary log of a server as a replica would, and says what transactions did.
package binlog

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// Config says how to reach the server.
type Config struct {
	Address  string
	User     string
	Password string
	TLS      *tls.Config // nil: without
	Timeout  time.Duration
	// Attributes are announced as connection attributes.
	Attributes map[string]string
}

// Position is where reading begins. A file's own beginning is 4; only from there it says when its process began.
type Position struct {
	File   string
	Offset uint32
}

// Event is one event of a binary log file, with RawData as it stands there, header and checksum included. The events of
// a compressed transaction follow their envelope as if they stood in the file; theirs have no checksum.
type Event struct {
	*replication.BinlogEvent
	File string
	// Enclosed: it comes from within a compressed transaction.
	Enclosed bool
}

// Read hands every event from a position to the end of the log as it is now to yield, until yield says false. It sends
// no acknowledgement, and the server does not count it as a replica.
func Read(ctx context.Context, c Config, from Position, yield func(Event) bool) error {
	conn, err := dial(ctx, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Conn.Close() })()
	if err := dump(conn, from); err != nil {
		return fmt.Errorf("read the binary log of %s: %w", c.Address, cmpErr(ctx, err))
	}
	if err := newReader(from.File).events(conn, yield); err != nil {
		return fmt.Errorf("read the binary log of %s: %w", c.Address, cmpErr(ctx, err))
	}
	return nil
}

// ErrNoTLS says that the server offers no TLS.
var ErrNoTLS = errors.New("the server offers no TLS")

// cmpErr puts the end of the context before what it made of the connection.
func cmpErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func dial(ctx context.Context, c Config) (*client.Conn, error) {
	dialer := &net.Dialer{Timeout: c.Timeout}
	var plain net.Conn
	connect := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			plain = conn
			err = conn.SetDeadline(time.Now().Add(c.Timeout))
		}
		return conn, err
	}
	conn, err := client.ConnectWithDialer(ctx, "tcp", c.Address, c.User, c.Password, "", connect, func(conn *client.Conn) error {
		if c.TLS != nil {
			conn.SetTLSConfig(named(c.TLS, c.Address))
		}
		conn.SetAttributes(c.Attributes)
		return nil
	})
	if err != nil && strings.Contains(err.Error(), "does not support TLS") {
		return nil, fmt.Errorf("%s: %w", c.Address, ErrNoTLS)
	}
	if err != nil {
		return nil, fmt.Errorf("log in to %s as %q: %w", c.Address, c.User, err)
	}
	return conn, plain.SetDeadline(time.Time{})
}

// named has the server's certificate checked against its host, as clients do that are told no other name.
func named(secure *tls.Config, address string) *tls.Config {
	if secure.ServerName != "" || secure.InsecureSkipVerify {
		return secure
	}
	secure = secure.Clone()
	secure.ServerName, _, _ = net.SplitHostPort(address)
	return secure
}

// dump asks for the events. The server would wait for more at the end of the log but for the flag.
func dump(conn *client.Conn, from Position) error {
	if _, err := conn.Execute("SET @source_binlog_checksum = @@global.binlog_checksum, @master_binlog_checksum = @@global.binlog_checksum"); err != nil {
		return err
	}
	id := make([]byte, 4)
	_, _ = rand.Read(id)
	request := make([]byte, 4, 15+len(from.File)) // the packet's header comes first
	request = append(request, mysql.COM_BINLOG_DUMP)
	request = binary.LittleEndian.AppendUint32(request, from.Offset)
	request = binary.LittleEndian.AppendUint16(request, replication.BINLOG_DUMP_NON_BLOCK)
	request = append(request, id[0]|1, id[1], id[2], id[3]|0x80) // no replica has such a number by choice
	request = append(request, from.File...)
	conn.ResetSequence()
	return conn.WritePacket(request)
}

// reader turns packets into events.
type reader struct {
	outer *replication.BinlogParser
	inner *replication.BinlogParser // for what is enclosed, which has no checksums
	file  string
	// formatted: the event was read that tells of checksums.
	formatted bool
}

func newReader(file string) *reader { return &reader{outer: parser(), inner: parser(), file: file} }

// parser shows times in UTC, whatever the time zone of this process.
func parser() *replication.BinlogParser {
	p := replication.NewBinlogParser()
	p.SetVerifyChecksum(true)
	p.SetTimestampStringLocation(time.UTC)
	return p
}

var errUnexpected = errors.New("the server sent what is no part of a binary log")

func (r *reader) events(conn *client.Conn, yield func(Event) bool) error {
	for {
		packet, err := conn.ReadPacket()
		switch {
		case err != nil:
			return err
		case len(packet) == 0:
			return errUnexpected
		case packet[0] == mysql.EOF_HEADER && len(packet) < 9:
			return nil
		case packet[0] == mysql.ERR_HEADER:
			return conn.HandleErrorPacket(packet)
		case packet[0] != mysql.OK_HEADER:
			return errUnexpected
		}
		all, err := r.parse(packet[1:])
		if err != nil {
			return err
		}
		for _, e := range all {
			if !yield(e) {
				return nil
			}
		}
	}
}

// parse is one event with what it encloses.
func (r *reader) parse(raw []byte) ([]Event, error) {
	e, err := r.outer.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", r.file, err)
	}
	if rotate, ok := e.Event.(*replication.RotateEvent); ok {
		defer func() { r.file = string(r.named(raw, rotate)) }()
	}
	all := []Event{{BinlogEvent: e, File: r.file}}
	switch body := e.Event.(type) {
	case *replication.FormatDescriptionEvent:
		return all, r.format(raw)
	case *replication.TransactionPayloadEvent:
		for _, enclosed := range body.Events {
			again, err := r.inner.Parse(enclosed.RawData) // the parser that unpacked it shows times in this process's zone
			if err != nil {
				return nil, fmt.Errorf("file %s, within a compressed transaction: %w", r.file, err)
			}
			all = append(all, Event{BinlogEvent: again, File: r.file, Enclosed: true})
		}
	}
	return all, nil
}

// named is the file that an event announces. The first one comes before the parser knows of checksums, and it takes this
// one's for a part of the name.
func (r *reader) named(raw []byte, rotate *replication.RotateEvent) []byte {
	name, end := rotate.NextLogName, len(raw)-4
	if r.formatted || len(name) < 4 || crc32.ChecksumIEEE(raw[:end]) != binary.LittleEndian.Uint32(raw[end:]) {
		return name
	}
	return name[:len(name)-4]
}

// format tells the inner parser what the file's events look like, but for their checksums.
func (r *reader) format(raw []byte) error {
	r.formatted = true
	plain := append([]byte(nil), raw...)
	if at := len(plain) - 5; at > 0 {
		plain[at] = byte(replication.BINLOG_CHECKSUM_ALG_OFF)
	}
	_, err := r.inner.Parse(plain)
	return err
}
