package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rules checks what single values cannot show, and fills in what depends on other values.
func (c *check) rules(cfg *Config) {
	c.node(cfg)
	c.auth(&cfg.Auth, cfg.TLS)
	c.serverTLS(cfg.TLS)
	c.listen(*cfg)
	c.advertise(*cfg)
	c.store(&cfg.Store)
	c.mysql(&cfg.MySQL)
	c.replication(&cfg.Replication)
	c.detection(cfg.Detection, cfg.Replication.Heartbeat)
	c.antiflap(cfg.Antiflap)
	c.errant(cfg.Errant)
	c.clone(cfg.Clone)
	c.clusters(cfg.Clusters)
	c.hooks(cfg.Hooks)
}

func entry(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// plainName is what may stand in a URL, a metric label and a key of the store without being escaped.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

const plainNameRule = "use letters, digits, dots, hyphens and underscores, at most 63, with a letter or digit first"

func (c *check) node(cfg *Config) {
	if cfg.Node == "" && !c.given("node") {
		cfg.Node = hostName()
	}
	if c.sound("node") && !plainName.MatchString(cfg.Node) {
		c.refuse("node", "%q cannot name an elector; %s", cfg.Node, plainNameRule)
	}
}

// hostName is this elector's name unless one is given.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || !plainName.MatchString(name) {
		return "primacy"
	}
	return name
}

// address checks host:port. With anyHost the host may be left out, which means all of this machine's.
func (c *check) address(path, address string, anyHost bool) bool {
	host, port, err := net.SplitHostPort(address)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	switch {
	case !c.sound(path):
	case strings.ContainsAny(address, "/@ "):
		c.spoil(path, "%q is more than an address; write host:port, such as 127.0.0.1:3306", address)
	case err != nil && strings.Count(address, ":") > 1 && !strings.Contains(address, "["):
		c.spoil(path, "%q is no address; write an IPv6 address in brackets and with its port, such as [::1]:3306", address)
	case err != nil && !strings.Contains(address, ":"):
		c.spoil(path, "%q has no port; write host:port, such as 127.0.0.1:3306", address)
	case err != nil:
		c.spoil(path, "%q is no address; write host:port, such as 127.0.0.1:3306", address)
	case notNumber != nil || number == 0:
		c.spoil(path, "%q has no usable port; it is a number from 1 to 65535", address)
	case host == "" && !anyHost:
		c.spoil(path, "%q has no host; write host:port, such as 127.0.0.1:%s", address, port)
	default:
		return true
	}
	return false
}

// loopback tells whether only this machine can connect to the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	return loopbackHost(host)
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// listen keeps an API that can move primaries from standing open to a network.
func (c *check) listen(cfg Config) {
	if !c.address("listen", cfg.Listen, true) || loopback(cfg.Listen) || !c.sound("auth", "tls") {
		return
	}
	var missing []string
	if !cfg.Auth.Enabled() {
		missing = append(missing, "auth")
	}
	if !cfg.TLS.Enabled() {
		missing = append(missing, "tls")
	}
	if len(missing) > 0 {
		c.refuse("listen", "%s can be reached from other machines, which needs auth and tls; configure %s, or listen on 127.0.0.1",
			cfg.Listen, strings.Join(missing, " and "))
	}
}

// advertise keeps callers from being sent where they could not or should not go: they bring their tokens along.
func (c *check) advertise(cfg Config) {
	const key = "advertise"
	if cfg.Advertise == "" || !c.sound(key) {
		return
	}
	u, err := url.Parse(cfg.Advertise)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		c.refuse(key, "it is no URL; write it like https://elector-1.example.org:3900") // and may hold a password
		return
	}
	port, notNumber := strconv.ParseUint(cmp.Or(u.Port(), "443"), 10, 16)
	switch ip := net.ParseIP(u.Hostname()); {
	case u.User != nil:
		c.refuse(key, "it names a user; remove that, for callers sign in with what they have")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		c.refuse(key, "paths are put behind %s; remove what begins with ? or #", cfg.Advertise)
	case notNumber != nil || port == 0:
		c.refuse(key, "%s has no usable port; it is a number from 1 to 65535", cfg.Advertise)
	case ip != nil && ip.IsUnspecified():
		c.refuse(key, "nobody can connect to %s; name this elector's host or address", u.Hostname())
	case u.Scheme == "http" && cfg.TLS.Enabled():
		c.refuse(key, "%s is clear text, and with tls the API speaks TLS only; write https://", cfg.Advertise)
	case u.Scheme == "http" && !loopbackHost(u.Hostname()):
		c.refuse(key, "nobody is sent to %s, where a token could be read on the way; write https://, with tls configured here or in front", cfg.Advertise)
	case loopbackHost(u.Hostname()) && !loopback(cfg.Listen):
		c.warn(key, "only callers on this machine reach %s; name the host by which others do", cfg.Advertise)
	}
}

func (c *check) serverTLS(t ServerTLS) {
	c.pair("tls", "cert_file", t.CertFile, "key_file", t.KeyFile)
	if t.ClientCAFile != "" && !t.Enabled() && t.KeyFile == "" {
		c.refuse("tls.client_ca_file", "client certificates need TLS; set tls.cert_file and tls.key_file too")
	}
	c.readable("tls.cert_file", t.CertFile)
	c.readable("tls.key_file", t.KeyFile)
	c.readable("tls.client_ca_file", t.ClientCAFile)
}

// pair refuses one of two keys that are of use only together.
func (c *check) pair(section, a, valueA, b, valueB string) {
	if (valueA == "") == (valueB == "") {
		return
	}
	if valueA == "" {
		a, b = b, a
	}
	c.refuse(joined(section, a), "it is of no use without %s; set both or none", joined(section, b))
}

// clientTLS settles whether TLS is on, and refuses files that are not there.
func (c *check) clientTLS(section string, t *ClientTLS) {
	asked := t.Enabled
	t.Enabled = *t != ClientTLS{}
	if t.Enabled && !asked && c.given(joined(section, "enabled")) {
		c.refuse(joined(section, "enabled"), "false, but other keys of %s are set; remove them, or this one", section)
	}
	c.pair(section, "cert_file", t.CertFile, "key_file", t.KeyFile)
	c.readable(joined(section, "ca_file"), t.CAFile)
	c.readable(joined(section, "cert_file"), t.CertFile)
	c.readable(joined(section, "key_file"), t.KeyFile)
	if t.SkipVerify {
		c.warn(joined(section, "skip_verify"), "whoever can redirect the connection can read the password; better set ca_file")
	}
}

func (c *check) auth(a *Auth, tls ServerTLS) {
	var names []named
	for i := range a.Tokens {
		path, t := entry("auth.tokens", i), &a.Tokens[i]
		names = append(names, named{t.Name, path})
		c.role(path, t.Role)
		c.secret(path, "token", "the token", &t.Token, t.TokenFile, false)
		if t.Token.IsSet() && len(t.Token.Reveal()) < 16 {
			c.refuse(path, "a token of fewer than 16 characters can be guessed; make one with: openssl rand -hex 32")
		}
	}
	for i := range a.Users {
		path, u := entry("auth.users", i), &a.Users[i]
		names = append(names, named{u.Name, path})
		c.role(path, u.Role)
		c.secret(path, "password", "the password", &u.Password, u.PasswordFile, false)
	}
	for i, certificate := range a.Certificates {
		path := entry("auth.certificates", i)
		names = append(names, named{certificate.Name, path})
		c.role(path, certificate.Role)
		if tls.ClientCAFile == "" && c.sound("tls") {
			c.refuse(path, "client certificates cannot be checked without tls.client_ca_file; set it")
		}
	}
	c.distinct(names, "name", false)
}

func (c *check) role(section, role string) {
	path := joined(section, "role")
	if role == "" && c.sound(path) {
		c.refuse(path, "a role is missing; use viewer, operator or admin")
	}
}

// named is an entry of a list whose name must differ from the others'.
type named struct{ name, path string }

func (c *check) distinct(entries []named, key string, plain bool) {
	first := map[string]string{}
	for _, e := range entries {
		path := joined(e.path, key)
		before, taken := first[e.name]
		switch {
		case !c.sound(path):
		case e.name == "":
			c.refuse(path, "a name is missing")
		case taken:
			c.refuse(path, "the name %s is taken by %s; give each its own", e.name, before)
		case plain && !plainName.MatchString(e.name):
			c.refuse(path, "%q cannot be a name; %s", e.name, plainNameRule)
		}
		if !taken {
			first[e.name] = e.path
		}
	}
}

func (c *check) store(s *Store) {
	external, member := len(s.Endpoints) > 0, c.givenAny("store", "name", "peer_listen", "initial_cluster", "peer_tls")
	switch {
	case external && c.given("store.dir"):
		c.refuse("store.dir", "with store.endpoints nothing is stored here; remove one of both")
	case external && member:
		c.refuse("store.endpoints", "an existing etcd cluster and a member of its own exclude each other; remove store.endpoints, or what makes a member")
	case external:
		s.Dir = ""
		c.endpoints(s.Endpoints)
	case s.Dir == "" && c.sound("store.dir"):
		c.refuse("store.dir", "it is empty; name a directory such as %s", defaultDir)
	case member:
		c.member(*s)
	}
	c.clientTLS("store.tls", &s.TLS)
	c.storeUser(s)
	c.onlyForEndpoints(*s)
	c.lease(s.Lease)
}

func (c *check) givenAny(section string, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return c.given(joined(section, name)) })
}

// onlyForEndpoints refuses what the reader of the file would take for a protection of the embedded etcd.
func (c *check) onlyForEndpoints(s Store) {
	if len(s.Endpoints) > 0 || !c.sound("store.endpoints") {
		return
	}
	if s.TLS.Enabled {
		c.refuse("store.tls", "it is for store.endpoints only; between embedded members use store.peer_tls")
	}
	if s.User != "" {
		c.refuse("store.user", "it is for store.endpoints only; the embedded etcd takes no logins, remove it")
	}
}

func (c *check) endpoints(endpoints []string) {
	for i, endpoint := range endpoints {
		path := entry("store.endpoints", i)
		u, err := url.Parse(endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || u.Hostname() == "" {
			c.refuse(path, "%q is no endpoint of etcd; write it like https://etcd-1:2379", endpoint)
			continue
		}
		if slices.Contains(endpoints[:i], endpoint) {
			c.refuse(path, "%s is listed twice; remove one", endpoint)
		}
	}
}

// member checks an embedded etcd that is one of several.
func (c *check) member(s Store) {
	if !c.sound("store.name", "store.initial_cluster") {
		return
	}
	if s.Name == "" || len(s.InitialCluster) == 0 {
		c.refuse("store", "an etcd member needs both name and initial_cluster; add what is missing, or remove the keys of a member")
		return
	}
	if s.PeerListen != "" {
		c.address("store.peer_listen", s.PeerListen, true)
	}
	c.peerTLS(s.PeerTLS)
	names := make([]string, len(s.InitialCluster))
	for i, m := range s.InitialCluster {
		path := entry("store.initial_cluster", i)
		name, address, found := strings.Cut(m, "=")
		names[i] = name
		if !found || name == "" {
			c.refuse(path, "%q names no member; write it like elector-1=10.0.0.1:2380", m)
			continue
		}
		c.address(path, address, false)
	}
	if !slices.Contains(names, s.Name) {
		c.refuse("store.initial_cluster", "this member, %s, is missing; list every member, this one too", s.Name)
	}
	if len(names)%2 == 0 {
		c.warn("store.initial_cluster", "%d members tolerate no more failures than %d; use an odd number", len(names), len(names)-1)
	}
}

func (c *check) peerTLS(t PeerTLS) {
	const section = "store.peer_tls"
	if t != (PeerTLS{}) && (t.CAFile == "" || t.CertFile == "" || t.KeyFile == "") {
		c.refuse(section, "members prove themselves to each other with all of ca_file, cert_file and key_file; add what is missing")
	}
	c.readable(section+".ca_file", t.CAFile)
	c.readable(section+".cert_file", t.CertFile)
	c.readable(section+".key_file", t.KeyFile)
}

func (c *check) storeUser(s *Store) {
	if s.User == "" && (c.given("store.password") || c.given("store.password_file")) {
		c.refuse("store.user", "a password without a user; set store.user")
		return
	}
	c.secret("store", "password", "the password of "+s.User, &s.Password, s.PasswordFile, s.User == "")
}

// lease: etcd counts leases in whole seconds.
func (c *check) lease(lease time.Duration) {
	switch {
	case !c.sound("store.lease"):
	case lease < time.Second || lease%time.Second != 0:
		c.refuse("store.lease", "%s is no whole number of seconds, and etcd counts in those; write 1s or more, such as 5s", lease)
	case lease > time.Minute:
		c.refuse("store.lease", "for %s after an elector's death no other could act; write at most 1m", lease)
	}
}

func (c *check) mysql(m *MySQL) {
	c.account("mysql", m.User)
	c.secret("mysql", "password", "the password of "+m.User, &m.Password, m.PasswordFile, false)
	c.clientTLS("mysql.tls", &m.TLS)
}

// userMax is MySQL's limit for the name of an account, in characters.
const userMax = 32

func (c *check) account(section, user string) {
	path := joined(section, "user")
	switch {
	case !c.sound(path):
	case user == "":
		c.refuse(path, "it is empty; name a MySQL account")
	case len([]rune(user)) > userMax:
		c.refuse(path, "MySQL allows %d characters in an account's name, this has %d", userMax, len([]rune(user)))
	}
}

func (c *check) replication(r *Replication) {
	c.account("replication", r.User)
	c.secret("replication", "password", "the password of "+r.User, &r.Password, r.PasswordFile, false)
	if c.sound("replication.heartbeat") && r.Heartbeat < 10*time.Millisecond {
		c.refuse("replication.heartbeat", "%s would keep the servers busy with heartbeats; write 10ms or more, such as 500ms", r.Heartbeat)
	}
	asked := r.TLS.Enabled
	r.TLS.Enabled = r.TLS != ReplicationTLS{}
	if r.TLS.Enabled && !asked && c.given("replication.tls.enabled") {
		c.refuse("replication.tls.enabled", "false, but other keys of replication.tls are set; remove them, or this one")
	}
	c.pair("replication.tls", "cert_file", r.TLS.CertFile, "key_file", r.TLS.KeyFile)
}

// detection refuses limits that would take a healthy primary for a dead one.
func (c *check) detection(d Detection, heartbeat time.Duration) {
	c.notLonger("detection.probe_interval", d.ProbeInterval, "detection.silent_after", d.SilentAfter/2,
		"one late probe would count as silence; at least two have to fit in")
	c.notLonger("detection.probe_timeout", d.ProbeTimeout, "detection.silent_after", d.SilentAfter,
		"a probe has to end before its server counts as silent")
	c.notLonger("detection.probe_timeout", d.ProbeTimeout, "detection.stuck_after", d.StuckAfter,
		"a probe has to end before its server counts as stuck")
	c.notLonger("replication.heartbeat", heartbeat, "detection.silent_after", d.SilentAfter/2,
		"one late heartbeat would count as silence; at least two have to fit in")
	c.notLonger("detection.rehome_after", d.RehomeAfter, "detection.return_after", d.ReturnAfter,
		"a cascaded replica would go back to its intermediate sooner than it leaves it")
	if c.sound("detection.isolated_share") && (d.IsolatedShare <= 0 || d.IsolatedShare > 1) {
		c.refuse("detection.isolated_share", "%v is no share of all servers; write a number above 0, up to 1, such as 0.5", d.IsolatedShare)
	}
	if c.sound("detection.acker_backlog_max") && d.AckerBacklogMax < 0 {
		c.refuse("detection.acker_backlog_max", "%d is below 0; write how many transactions an acker may have left to apply, or 0 to let all acknowledge", d.AckerBacklogMax)
	}
}

// notLonger refuses a duration that must fit under a limit which another key sets.
func (c *check) notLonger(path string, d time.Duration, other string, limit time.Duration, why string) {
	if !c.sound(path, other) || d <= limit {
		return
	}
	place := path
	if !c.given(path) {
		place = other // the default of one does not fit to what was written for the other
	}
	c.refuse(place, "%s is %s, and %s allows at most %s: %s; lower the one or raise the other", path, d, other, limit, why)
}

func (c *check) antiflap(a Antiflap) {
	c.notLonger("antiflap.window", a.Window, "antiflap.window_max", a.WindowMax, "the first window cannot be longer than the longest")
	c.notLonger("antiflap.window_max", a.WindowMax, "antiflap.decay", a.Decay, "repeats would be forgotten while their window is open")
	c.notLonger("antiflap.proven_after", a.ProvenAfter, "antiflap.window", a.Window, "a primary could not prove itself within the first window")
	if c.sound("antiflap.factor") && a.Factor < 1 {
		c.refuse("antiflap.factor", "%v would make windows shorter with each repeat; write 1 or more, such as 2", a.Factor)
	}
	if c.sound("antiflap.fleet.changes_max") && a.Fleet.ChangesMax < 1 {
		c.refuse("antiflap.fleet.changes_max", "%d would forbid every automatic change; write 1 or more, or set automation: false", a.Fleet.ChangesMax)
	}
}

func (c *check) errant(e Errant) {
	const most = 1_000_000
	if c.sound("errant.rows_max") && (e.RowsMax < 1 || e.RowsMax > most) {
		c.refuse("errant.rows_max", "%d is out of range; write 1 to %d, for all rows are held in memory at once", e.RowsMax, most)
	}
}

// clone goes by what clone_max_data_bandwidth takes.
func (c *check) clone(l Clone) {
	const most = 1 << 20
	if c.sound("clone.rate_max_mb") && (l.RateMaxMB < 0 || l.RateMaxMB > most) {
		c.refuse("clone.rate_max_mb", "%d is out of range; write 0 for no bound, or up to %d MiB per second", l.RateMaxMB, most)
	}
	c.notLonger("clone.stall_max", l.StallMax, "clone.time_max", l.TimeMax, "a clone that gets nowhere would be ended for its length before it is for that")
}

func (c *check) hooks(hooks []Hook) {
	var names []named
	for i := range hooks {
		path, h := entry("hooks", i), &hooks[i]
		names = append(names, named{h.Name, path})
		if h.Timeout == 0 {
			h.Timeout = defaultHookTimeout
		}
		c.hook(path, *h)
	}
	c.distinct(names, "name", true)
}

func (c *check) hook(path string, h Hook) {
	if !c.sound(joined(path, "command"), joined(path, "url")) {
		return
	}
	switch {
	case (len(h.Command) > 0) == (h.URL != ""):
		c.refuse(path, "a hook has either a command or a url")
	case h.URL != "":
		c.webhook(joined(path, "url"), h.URL)
	case h.Command[0] == "":
		c.refuse(joined(path, "command"), "the program's name is empty")
	}
}

func (c *check) webhook(path, address string) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		c.refuse(path, "it is no URL; write it like https://example.org/hook")
	}
}
