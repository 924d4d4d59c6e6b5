package mysqld

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// wire is a network connection on which a read is always waiting, also while nobody has asked for
// anything. The end of the peer's process is so known the moment its kernel says so, on the very
// connection that probes use: no second connection, and no polling.
type wire struct {
	net.Conn
	// broken is closed when nothing more can be read.
	broken chan struct{}

	mu      sync.Mutex
	arrived *sync.Cond
	unread  []byte
	err     error // what ended it
}

// dialWire connects. Keep-alive ends a connection whose host is gone or cut off within seconds; the
// kernel of a frozen process still answers them, so a mere freeze does not.
func dialWire(ctx context.Context, address string, timeout time.Duration) (*wire, error) {
	dialer := net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 3},
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, broken: make(chan struct{})}
	w.arrived = sync.NewCond(&w.mu)
	go w.pump() // ends with the connection: Close ends its Read
	return w, nil
}

func (w *wire) pump() {
	defer close(w.broken)
	chunk := make([]byte, 16<<10)
	for {
		n, err := w.Conn.Read(chunk)
		if !w.deliver(chunk[:n], err) {
			return
		}
	}
}

func (w *wire) deliver(data []byte, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unread = append(w.unread, data...)
	w.err = cmp.Or(w.err, err)
	w.arrived.Broadcast()
	return err == nil
}

// Read implements net.Conn on what has arrived.
func (w *wire) Read(into []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.unread) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		w.arrived.Wait()
	}
	n := copy(into, w.unread)
	w.unread = w.unread[:copy(w.unread, w.unread[n:])]
	return n, nil
}

// Write implements net.Conn. It keeps its error: the driver drops it.
func (w *wire) Write(data []byte) (int, error) {
	n, err := w.Conn.Write(data)
	if err != nil {
		w.mu.Lock()
		w.err = cmp.Or(w.err, err)
		w.mu.Unlock()
	}
	return n, err
}

// Close implements net.Conn. It returns when the pump has ended.
func (w *wire) Close() error {
	err := w.Conn.Close()
	<-w.broken
	return err
}

// cause is what the network said when the peer's end of the connection went away; nil while it is
// there, and when it was us who closed.
func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.Is(w.err, net.ErrClosed) {
		return nil
	}
	return w.err
}

// SetReadDeadline does nothing: a read that waits for the next event must not time out. Contexts bound
// what is asked.
func (w *wire) SetReadDeadline(time.Time) error { return nil }

// SetDeadline bounds writing only, see SetReadDeadline.
func (w *wire) SetDeadline(t time.Time) error { return w.Conn.SetWriteDeadline(t) }
