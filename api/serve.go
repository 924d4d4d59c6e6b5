package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// shutdownGrace is how long requests under way may take when the control plane stops.
const shutdownGrace = 2 * time.Second

// Serve answers on the listener until ctx ends, and then lets requests under way finish for a moment. Without
// authentication and TLS it refuses a listener that other machines can reach.
func Serve(ctx context.Context, s Settings, l net.Listener, encryption *tls.Config) error {
	s = s.withDefaults()
	if err := exposed(l.Addr(), s.Access().Enabled(), encryption != nil); err != nil {
		return errors.Join(err, l.Close())
	}
	if encryption != nil {
		l = tls.NewListener(l, encryption)
	}
	server := NewServer(s)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // what is cut off here was told nothing yet, and asks again
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the API on %s: %w", l.Addr(), err)
	}
	return nil
}

// NewServer is the API as a server that listens nowhere yet. It has no timeout for whole requests, since waits and
// streams last; the handlers bound bodies and answers. Its Shutdown ends streams and waits, which would not end by
// themselves.
func NewServer(s Settings) *http.Server {
	s = s.withDefaults()
	base, stop := context.WithCancel(context.Background())
	server := &http.Server{
		Handler: Handler(s), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return base }, ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(stop)
	return server
}

// exposed refuses to let everybody on a network move primaries.
func exposed(address net.Addr, authenticated, encrypted bool) error {
	tcp, isTCP := address.(*net.TCPAddr)
	if !isTCP || tcp.IP.IsLoopback() || authenticated && encrypted {
		return nil
	}
	return fmt.Errorf("%s can be reached from other machines, which needs authentication and TLS; configure both, or listen on 127.0.0.1", address)
}
