// Package local runs MySQL fleets on this machine: real mysqld processes, for the
// sandbox and for tests. It initialises, boots and connects them, crashes and
// freezes them on demand, and sees to it that none outlives the program that
// started it.
package local

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Spec says which fleet to start. Its zero value is three servers on free ports
// in a temporary directory.
type Spec struct {
	// Dir keeps the fleet; a fleet that it already holds is resumed. Empty: a
	// temporary directory, removed by Close.
	Dir     string
	Servers int // default 3; the first becomes the primary
	// BasePort is the first server's port, the others follow. 0: free ports.
	BasePort int
	Names    []string // default server-1, server-2, …; also the names of the directories
	// Hosts are the addresses of this machine on which the servers listen, one for each. Default: 127.0.0.1.
	Hosts []string
	// Options are further lines for every server's my.cnf, PerServer's for the
	// server with index i. They win over the settings that a fleet has anyway.
	Options   map[string]string
	PerServer func(i int) map[string]string
	Users     Users    // empty names get defaults, empty passwords random ones
	Schema    []string // statements that make up every server's first content, without a GTID
	// Restart boots a server again that ended without being asked to. RESTART
	// statements and clones are followed by a new start in any case.
	Restart bool
	// Unsupervised keeps from the servers that somebody starts them again: RESTART is refused, and a clone ends in a
	// server that is down until Start.
	Unsupervised bool
	Log          io.Writer // one line for each event; nil: none
}

// loopback is where a fleet listens that is not told otherwise: nobody else can connect.
const loopback = "127.0.0.1"

// Users are the accounts that every server of a fleet has.
type Users struct {
	Primacy Account // the control plane, with the grants of mysqld.Grants
	Replica Account // replicas, for reading from their source
	App     Account // an application, for the schema `app`
}

// Account is a user name with its password.
type Account struct{ Name, Password string }

// A Fleet is a set of servers that were started together. Close ends it.
type Fleet struct {
	Dir     string
	Servers []*Server
	Users   Users
	// Resumed tells that Dir held this fleet already. Its servers are then as
	// they were left, all closed to writes and with replication stopped: who
	// leads is for the control plane to find out.
	Resumed bool

	binary    Binary
	spec      Spec
	temporary bool
	restart   bool
	log       *lineWriter
	lock      *os.File
	ports     []portClaim
	forker    *forker
	running   sync.WaitGroup // one for each process that is being waited for
	closed    chan struct{}
	once      sync.Once
	closeErr  error
}

// Start boots the fleet that spec describes and returns when its first server
// takes writes and all others acknowledge them (or, for a resumed fleet, when
// all answer). Nothing is left behind when it fails.
func Start(ctx context.Context, binary Binary, spec Spec) (*Fleet, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*readyMax)
	defer cancel()
	spec, err := spec.complete()
	if err != nil {
		return nil, err
	}
	fleet, err := claim(binary, spec)
	if err != nil {
		return nil, err
	}
	if err := fleet.begin(ctx, spec); err != nil {
		return nil, errors.Join(err, fleet.Close())
	}
	return fleet, nil
}

func (spec Spec) complete() (Spec, error) {
	if spec.Servers == 0 {
		spec.Servers = cmp.Or(len(spec.Names), 3)
	}
	for i := len(spec.Names); i < spec.Servers; i++ {
		spec.Names = append(slices.Clip(spec.Names), fmt.Sprintf("server-%d", i+1))
	}
	if err := checkNames(spec); err != nil {
		return spec, err
	}
	if len(spec.Hosts) == 0 {
		spec.Hosts = slices.Repeat([]string{loopback}, spec.Servers)
	}
	if len(spec.Hosts) != spec.Servers {
		return spec, fmt.Errorf("%d hosts for %d servers", len(spec.Hosts), spec.Servers)
	}
	if spec.Log == nil {
		spec.Log = io.Discard
	}
	spec.Users = spec.Users.complete()
	return spec, nil
}

// checkNames keeps a name from leaving the fleet's directory or meaning two
// servers.
func checkNames(spec Spec) error {
	if len(spec.Names) != spec.Servers {
		return fmt.Errorf("%d names for %d servers", len(spec.Names), spec.Servers)
	}
	seen := map[string]bool{lockName: true, manifestName: true}
	for _, name := range spec.Names {
		if name == "" || seen[name] || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return fmt.Errorf("%q cannot be a server's name: it must be unique and usable as a directory", name)
		}
		seen[name] = true
	}
	return nil
}

func (u Users) complete() Users {
	return Users{u.Primacy.complete("primacy"), u.Replica.complete("replica"), u.App.complete("app")}
}

func (a Account) complete(name string) Account {
	if a.Name == "" {
		a.Name = name
	}
	if a.Password == "" {
		a.Password = rand.Text()
	}
	return a
}

// claim makes the directory and its lock ours, before anything in it is touched.
func claim(binary Binary, spec Spec) (*Fleet, error) {
	fleet := &Fleet{
		Users: spec.Users, binary: binary, restart: spec.Restart, temporary: spec.Dir == "",
		log: &lineWriter{to: spec.Log}, closed: make(chan struct{}),
	}
	dir, err := filepath.Abs(spec.Dir)
	if fleet.temporary {
		dir, err = temporaryDir(spec.Log)
	}
	if err != nil {
		return nil, err
	}
	fleet.Dir = dir
	if fleet.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	fleet.forker = newForker()
	return fleet, nil
}

func (f *Fleet) begin(ctx context.Context, spec Spec) error {
	begun := time.Now()
	f.spec = spec
	kept, resumed, err := readManifest(f.Dir)
	if err != nil {
		return err
	}
	f.Resumed = resumed
	if resumed {
		err = f.resume(ctx, spec, kept)
	} else {
		err = f.create(ctx, spec)
	}
	if err == nil {
		f.logf("%d servers ready after %d ms in %s", len(f.Servers), time.Since(begun).Milliseconds(), f.Dir)
	}
	return err
}

// create builds a new fleet, over the remains of one that was never completed.
func (f *Fleet) create(ctx context.Context, spec Spec) error {
	if err := f.endStale(ctx, spec.Names); err != nil {
		return err
	}
	ports, err := claimPorts(spec.BasePort, spec.Hosts)
	if err != nil {
		return err
	}
	f.place(spec, ports)
	data, used, err := newTemplate(f.binary, spec).dir(ctx, f.log)
	if err != nil {
		return err
	}
	if err := errors.Join(f.all(func(_ int, s *Server) error { return s.populate(data) }), used.Close()); err != nil {
		return err
	}
	if err := f.boot(ctx, spec); err != nil {
		return err
	}
	if err := f.connect(ctx); err != nil {
		return err
	}
	return f.manifest().write(f.Dir)
}

// resume boots the fleet that the directory holds. Names and ports are its own:
// replicas remember their source by its address.
func (f *Fleet) resume(ctx context.Context, spec Spec, kept manifest) error {
	if err := kept.suits(spec); err != nil {
		return fmt.Errorf("%s: %w; ask for the same, or remove the directory to begin anew", f.Dir, err)
	}
	if err := f.endStale(ctx, spec.Names); err != nil {
		return err
	}
	for i, entry := range kept.Servers {
		port, err := claimPort(spec.Hosts[i], entry.Port)
		if err != nil {
			return err
		}
		f.ports = append(f.ports, port)
	}
	f.place(spec, f.ports)
	return f.boot(ctx, spec)
}

// place makes the servers known, each with its directory and port.
func (f *Fleet) place(spec Spec, ports []portClaim) {
	f.ports = ports
	for i, name := range spec.Names {
		f.Servers = append(f.Servers, &Server{
			Name: name, Host: spec.Hosts[i], Port: ports[i].port, Dir: filepath.Join(f.Dir, name),
			fleet: f, turn: make(chan struct{}, 1),
		})
	}
}

// boot starts all servers at once and gives the accounts their passwords.
func (f *Fleet) boot(ctx context.Context, spec Spec) error {
	return f.all(func(i int, s *Server) error {
		if err := s.configure(i, spec); err != nil {
			return err
		}
		if err := s.Start(ctx); err != nil {
			return err
		}
		return s.setPasswords(ctx, f.Users)
	})
}

// connect makes the first server the primary of all others.
func (f *Fleet) connect(ctx context.Context) error {
	err := f.all(func(i int, s *Server) error {
		if i == 0 {
			return nil
		}
		return s.follow(ctx, f.Servers[0], f.Users.Replica)
	})
	if err != nil {
		return err
	}
	return f.Servers[0].lead(ctx, len(f.Servers)-1)
}

func (f *Fleet) endStale(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := endStale(ctx, filepath.Join(f.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// all does one thing to all servers at the same time.
func (f *Fleet) all(do func(i int, s *Server) error) error {
	errs := make([]error, len(f.Servers))
	var done sync.WaitGroup
	for i, server := range f.Servers {
		done.Go(func() { errs[i] = do(i, server) })
	}
	done.Wait()
	return errors.Join(errs...)
}

func (f *Fleet) manifest() manifest {
	m := manifest{Version: f.binary.Version}
	for _, s := range f.Servers {
		m.Servers = append(m.Servers, manifestEntry{s.Name, s.Host, s.Port})
	}
	return m
}

// Server returns the server with this address, nil when the fleet has none.
func (f *Fleet) Server(address string) *Server {
	for _, s := range f.Servers {
		if s.Address() == address {
			return s
		}
	}
	return nil
}

// Close kills all servers, frozen ones included, and returns when they are gone.
// A temporary directory is removed, any other keeps its data. Closing twice does
// nothing more.
func (f *Fleet) Close() error {
	f.once.Do(func() { f.closeErr = f.shut() })
	return f.closeErr
}

func (f *Fleet) shut() error {
	close(f.closed)
	err := f.all(func(_ int, s *Server) error { return s.finish() })
	f.running.Wait()
	f.forker.close()
	releasePorts(f.ports)
	if f.temporary {
		err = errors.Join(err, os.RemoveAll(f.Dir))
	}
	return errors.Join(err, f.lock.Close())
}

func (f *Fleet) closing() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// pause waits and tells whether the fleet is still wanted afterwards.
func (f *Fleet) pause(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return !f.closing()
	case <-f.closed:
		return false
	}
}

func (f *Fleet) logf(format string, args ...any) {
	fmt.Fprintf(f.log, format+"\n", args...)
}

// A lineWriter keeps the lines of servers that speak at the same time apart.
type lineWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(line)
}
