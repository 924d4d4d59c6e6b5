package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/config"
	"github.com/primacydb/primacy/store"
)

// serveOptions are the flags of serve.
type serveOptions struct{ config, logFormat, logLevel string }

func serveCommand() *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use: "serve", Short: "run the control plane", Args: cobra.NoArgs,
		Long: `Runs the control plane: probes, analysis, automatic changes, API and metrics.
SIGINT or SIGTERM stops it in order, giving its locks back; a second one at once.
SIGHUP reads the configuration again: callers of the API and the rules of clusters (durability,
servers) are taken over, and what needs a restart is said.`,
		Example: "  primacy serve --config /etc/primacy/primacy.yaml",
		RunE:    func(c *cobra.Command, _ []string) error { return runServe(c.Context(), c.ErrOrStderr(), o) },
	}
	f := c.Flags()
	f.StringVarP(&o.config, "config", "c", "primacy.yaml", "the configuration file")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	_ = c.RegisterFlagCompletionFunc("log-format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("log-level", cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runServe(ctx context.Context, errs io.Writer, o serveOptions) (err error) {
	log, err := newLog(errs, o)
	if err != nil {
		return err
	}
	c, err := loadConfig(o.config, log)
	if err != nil {
		return err
	}
	encryption, err := serverTLS(c.TLS)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	plane, err := startControlPlane(ctx, c, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer func() { err = errors.Join(err, plane.Close()); log.Info("stopped") }()
	callers := newCallers(c.Auth)
	defer rereading(o.config, c, callers, plane, log)()
	log.Info("serving", "address", listener.Addr().String(), "tls", encryption != nil, "auth", c.Auth.Enabled(), "clusters", len(c.Clusters), "version", thisBuild().Version)
	settings := apiSettings(plane, nil, log)
	settings.Access, settings.FreshFor, settings.NoticedWithin = callers.current, freshFor(c.Detection), noticedWithin(c.Detection)
	return api.Serve(ctx, settings, listener, encryption)
}

// loadConfig tells mistakes one in a line, all at once.
func loadConfig(path string, log *slog.Logger) (config.Config, error) {
	c, err := config.Load(path, os.Environ())
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return c, usagef("%v; name the file with --config, config.example.yaml shows what stands in it", err)
	}
	for _, w := range c.Warnings {
		log.Warn(w.String())
	}
	return c, err
}

// freshFor is how old a view may be for a router to trust it: probes of a silent server take their time.
func freshFor(d config.Detection) time.Duration {
	return max(d.SilentAfter, 2*(d.ProbeInterval+d.ProbeTimeout))
}

// noticedWithin is how long a primary that falls silent stays unnoticed: what the last probe waits for comes on top of the
// silence that counts.
func noticedWithin(d config.Detection) time.Duration {
	return d.SilentAfter + d.ProbeInterval + d.ProbeTimeout
}

// apiSettings is what serve and sandbox have in common.
func apiSettings(plane *controlPlane, extra http.Handler, log *slog.Logger) api.Settings {
	return api.Settings{
		Plane: plane.orch, Errant: plane.orch, Rules: plane.orch, Halt: plane.orch, Certificates: plane.orch, Inspector: plane.linting, Elector: plane.node, Events: plane.events, Charts: plane.charts, Metrics: plane.metrics.Handler(), Extra: extra, Version: thisBuild().Version,
		Temporary: func(err error) bool { return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrLost) }, Log: log,
	}
}

// serve answers on a loopback listener until the returned value is closed.
func serve(listener net.Listener, plane *controlPlane, extra http.Handler) *served {
	s := &served{server: api.NewServer(apiSettings(plane, extra, slog.New(slog.DiscardHandler))), done: make(chan error, 1)}
	go func() { s.done <- s.server.Serve(listener) }()
	return s
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen: %s is in use; stop what uses it, or choose another address with listen: in the configuration", address)
	}
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

func newLog(to io.Writer, o serveOptions) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		return nil, usagef("--log-level: %q is not known; use debug, info, warn or error", o.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch o.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(to, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(to, options)), nil
	}
	return nil, usagef("--log-format: %q is not known; use text or json", o.logFormat)
}

// serverTLS is nil when the API speaks plain HTTP.
func serverTLS(c config.ServerTLS) (*tls.Config, error) {
	if !c.Enabled() {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, usagef("tls.cert_file: %v", err)
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
	if c.ClientCAFile == "" {
		return settings, nil
	}
	trusted, err := authorities(c.ClientCAFile)
	if err != nil {
		return nil, usagef("tls.client_ca_file: %v", err)
	}
	settings.ClientCAs, settings.ClientAuth = trusted, tls.VerifyClientCertIfGiven
	return settings, nil
}

// callers is who may call the API, replaced as a whole when the configuration is read again.
type callers struct{ access atomic.Pointer[api.Access] }

func newCallers(a config.Auth) *callers {
	c := &callers{}
	c.replace(a)
	return c
}

func (c *callers) current() api.Access { return *c.access.Load() }

func (c *callers) replace(a config.Auth) {
	var access api.Access
	for _, t := range a.Tokens {
		access.Tokens = append(access.Tokens, api.Credential{Name: t.Name, Secret: t.Token.Reveal(), Role: api.ParseRole(t.Role)})
	}
	for _, u := range a.Users {
		access.Users = append(access.Users, api.Credential{Name: u.Name, Secret: u.Password.Reveal(), Role: api.ParseRole(u.Role)})
	}
	for _, certificate := range a.Certificates {
		access.Certificates = append(access.Certificates, api.Credential{Name: certificate.Name, Role: api.ParseRole(certificate.Role)})
	}
	c.access.Store(&access)
}

// rereading reads the configuration again at each SIGHUP, until the returned function is called.
func rereading(path string, running config.Config, who *callers, plane *controlPlane, log *slog.Logger) (stop func()) {
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for range hangups {
			if c, ok := reread(path, running, who, log); ok {
				takeRules(plane, c, log)
			}
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}

// rulesTaken bounds handing over the rules of all clusters.
const rulesTaken = 30 * time.Second

// takeRules has the rules of the file put in force, at once or as soon as their cluster is ready for it.
func takeRules(plane *controlPlane, c config.Config, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), rulesTaken)
	defer cancel()
	if err := plane.reconfigure(ctx, c); err != nil {
		log.Error("not all rules of the configuration were taken over", "error", err)
	}
}

// reread takes over who may call, and says what else has changed. A file with mistakes changes nothing.
func reread(path string, running config.Config, who *callers, log *slog.Logger) (config.Config, bool) {
	c, err := loadConfig(path, log)
	if err != nil {
		log.Error("the configuration was not taken over", "error", err)
		return c, false
	}
	_, waiting := config.Changes(running, c)
	if running.Auth.Enabled() == c.Auth.Enabled() {
		who.replace(c.Auth)
	} else {
		log.Warn("switching auth on or off needs a restart")
		waiting = append(waiting, "auth")
	}
	log.Info("the configuration was read again", "needs_restart", strings.Join(waiting, ", "))
	return c, true
}
