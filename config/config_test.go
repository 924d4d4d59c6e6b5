package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func parsed(t *testing.T, file string) Config {
	t.Helper()
	cfg, err := Parse([]byte(file), "primacy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// loaded writes the file and reads it with an environment.
func loaded(t *testing.T, file string, env ...string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path, env)
	var list Errors
	if errors.As(err, &list) {
		for i := range list {
			list[i].Source = strings.Replace(list[i].Source, path, "primacy.yaml", 1)
		}
	}
	return cfg, err
}

func TestWhatIsNotGivenTakesItsDefault(t *testing.T) {
	got := parsed(t, good)
	want := Defaults()
	want.Node = "elector-1"
	want.MySQL.Password, want.Replication.Password = NewSecret("one"), NewSecret("two")
	want.Clusters = []Cluster{{
		Name:       "shop",
		Durability: Durability{Policy: "semi_sync", Acks: 1},
		Servers: []Server{
			{Address: "db1:3306", Zone: "a", Promotion: "prefer"},
			{Address: "db2:3306", Zone: "b", Promotion: "neutral"},
			{Address: "db3:3306", Zone: "c", Promotion: "neutral"},
		},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestEveryValueArrives(t *testing.T) {
	got := parsed(t, `
node: n
listen: "[::1]:4000"
automation: false
store: {lease: 9s, endpoints: ["http://e1:2379", "http://e2:2379"], user: u, password: p, tls: {server_name: s}}
mysql: {user: m, password: "a b", tls: {enabled: true}}
replication: {user: r, password: 12345, heartbeat: 20ms, tls: {ca_file: /on/the/server}}
detection: {probe_interval: 10ms, probe_timeout: 20ms, silent_after: 40ms, stuck_after: 50ms, lag_max: 1h, rehome_after: 2s, return_after: 3s, isolated_share: 1, acker_backlog_max: 99}
antiflap: {window: 1m, factor: 1.5, window_max: 2m, decay: 3m, proven_after: 10s, replace_gone_primary: false, fleet: {changes_max: 7, per: 4m}}
errant: {policy: auto, export_dir: /tmp/errant, rows_max: 77}
clone: {join: true, from_needed_acker: true, from_primary: true, rate_max_mb: 50, stall_max: 30s, time_max: 2h}
clusters:
  - {name: a, durability: {policy: none, allow_unfenced: true}, servers: [{address: "a:1"}]}
  - {name: b, durability: {policy: zones, zones: 2, acks: 2}, seed: "b:1"}
hooks:
  - {name: h, events: [refused, repair], url: "https://h/"}
  - {name: f, command: [/bin/f, -x], timeout: 3s}
auth:
  tokens: [{name: t, role: operator, token: 0123456789abcdef}]
`)
	want := Config{
		Node: "n", Listen: "[::1]:4000",
		Store: Store{Lease: 9 * time.Second, Endpoints: []string{"http://e1:2379", "http://e2:2379"}, User: "u", Password: NewSecret("p"),
			TLS: ClientTLS{Enabled: true, ServerName: "s"}},
		MySQL:       MySQL{User: "m", Password: NewSecret("a b"), TLS: ClientTLS{Enabled: true}},
		Replication: Replication{User: "r", Password: NewSecret("12345"), Heartbeat: 20 * time.Millisecond, TLS: ReplicationTLS{Enabled: true, CAFile: "/on/the/server"}},
		Detection: Detection{ProbeInterval: 10 * time.Millisecond, ProbeTimeout: 20 * time.Millisecond, SilentAfter: 40 * time.Millisecond,
			StuckAfter: 50 * time.Millisecond, LagMax: time.Hour, RehomeAfter: 2 * time.Second, ReturnAfter: 3 * time.Second, IsolatedShare: 1, AckerBacklogMax: 99},
		Antiflap: Antiflap{Window: time.Minute, Factor: 1.5, WindowMax: 2 * time.Minute, Decay: 3 * time.Minute, ProvenAfter: 10 * time.Second,
			Fleet: FleetBrake{ChangesMax: 7, Per: 4 * time.Minute}},
		Errant: Errant{Policy: "auto", ExportDir: "/tmp/errant", RowsMax: 77},
		Clone:  Clone{Join: true, FromNeededAcker: true, FromPrimary: true, RateMaxMB: 50, StallMax: 30 * time.Second, TimeMax: 2 * time.Hour},
		Clusters: []Cluster{
			{Name: "a", Durability: Durability{Policy: "none", AllowUnfenced: true}, Servers: []Server{{Address: "a:1", Promotion: "neutral"}}},
			{Name: "b", Durability: Durability{Policy: "zones", Zones: 2, Acks: 2}, Seed: "b:1"},
		},
		Hooks: []Hook{
			{Name: "h", Events: []string{"refused", "repair"}, URL: "https://h/", Timeout: 10 * time.Second},
			{Name: "f", Command: []string{"/bin/f", "-x"}, Timeout: 3 * time.Second},
		},
		Auth: Auth{Tokens: []Token{{Name: "t", Role: "operator", Token: NewSecret("0123456789abcdef")}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestWhereAnElectorIsReachedIsTakenAsItStands since it may be behind something that speaks TLS for it.
func TestWhereAnElectorIsReachedIsTakenAsItStands(t *testing.T) {
	const network = "listen: 0.0.0.0:3900\ntls: {cert_file: " + os.DevNull + ", key_file: " + os.DevNull + "}\nauth: {tokens: [{name: t, role: admin, token: 0123456789abcdef}]}"
	for _, row := range []struct{ name, listen, url, warning string }{
		{"on this machine", "", "http://127.0.0.1:3900", ""},
		{"by name on this machine", "", "http://localhost:3900", ""},
		{"behind something that speaks TLS", "", "https://elector-1.example.org", ""},
		{"under a path", "", "https://db.example.org/primacy/1/", ""},
		{"with TLS of its own", network, "https://[fd00::1]:3900", ""},
		{"on the network, told as if it were not", network, "https://127.0.0.1:3900",
			"primacy.yaml:5: advertise: only callers on this machine reach https://127.0.0.1:3900; name the host by which others do"},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := with(t, "listen: 127.0.0.1:3900", cmp.Or(row.listen, "listen: 127.0.0.1:3900")+"\nadvertise: \""+row.url+"\"")
			cfg := parsed(t, file)
			var warnings string
			for _, w := range cfg.Warnings {
				warnings += w.String()
			}
			if cfg.Advertise != row.url || warnings != row.warning {
				t.Errorf("%q, warned %q", cfg.Advertise, warnings)
			}
		})
	}
}

func TestPolicyNoneIsAcceptedWithoutAllowUnfenced(t *testing.T) {
	cfg := parsed(t, with(t, "policy: semi_sync", "policy: none", "      acks: 1\n", ""))
	if d := cfg.Clusters[0].Durability; d != (Durability{Policy: "none"}) {
		t.Errorf("got %+v", d)
	}
}

func TestAnchorsAndMergeKeysAreUnderstood(t *testing.T) {
	cfg := parsed(t, with(t, "mysql: {user: primacy, password: one}", "mysql: &account {user: primacy, password: one}",
		"replication: {user: replica, password: two}", "replication: {<<: *account, user: replica}"))
	if cfg.Replication.User != "replica" || cfg.Replication.Password.Reveal() != "one" {
		t.Errorf("got user %s", cfg.Replication.User)
	}
}

func TestAliasesThatUnfoldWithoutEndAreRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		name, before := string(rune('b'+i)), string(rune('a'+i))
		bomb += fmt.Sprintf("%s: &%s [%s]\n", name, name, strings.TrimSuffix(strings.Repeat("*"+before+",", 10), ","))
	}
	for _, file := range []string{bomb, "clusters: &c [*c]\n"} {
		if _, err := Parse([]byte(file), "primacy.yaml"); !strings.Contains(lines(err), "write it without aliases") {
			t.Errorf("got %.300s", lines(err))
		}
	}
}

func TestAHostWithoutPortIsTheDefaultName(t *testing.T) {
	cfg := parsed(t, with(t, "node: elector-1\n", ""))
	host, _ := os.Hostname()
	if cfg.Node == "" || plainName.MatchString(host) && cfg.Node != host {
		t.Errorf("node is %q on host %q", cfg.Node, host)
	}
}

func TestAPasswordFileLosesItsLineBreakAndNothingElse(t *testing.T) {
	for content, want := range map[string]string{
		"geheim": "geheim", "geheim\n": "geheim", "geheim\r\n": "geheim", " geheim \n": " geheim ", "ge#:'heim\n": "ge#:'heim",
	} {
		path := filepath.Join(t.TempDir(), "pw")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := parsed(t, with(t, "password: one", "password_file: "+path))
		if got := cfg.MySQL.Password.Reveal(); got != want {
			t.Errorf("%q became %q", content, got)
		}
		if len(cfg.Warnings) > 0 {
			t.Errorf("warned: %v", cfg.Warnings)
		}
	}
}

func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		file string
		env  []string
		got  func(Config) any
		want any
	}{
		{"a word", good, []string{"PRIMACY_NODE=elector-2"}, func(c Config) any { return c.Node }, "elector-2"},
		{"a duration in a section", good, []string{"PRIMACY_DETECTION_SILENT_AFTER=3s"}, func(c Config) any { return c.Detection.SilentAfter }, 3 * time.Second},
		{"a section that the file lacks", good, []string{"PRIMACY_STORE_LEASE=7s"}, func(c Config) any { return c.Store.Lease }, 7 * time.Second},
		{"where the API is reached", good, []string{"PRIMACY_ADVERTISE=https://h:1", "PRIMACY_API=x"}, func(c Config) any { return c.Advertise }, "https://h:1"},
		{"a section in a section", good, []string{"PRIMACY_ANTIFLAP_FLEET_CHANGES_MAX=9"}, func(c Config) any { return c.Antiflap.Fleet.ChangesMax }, 9},
		{"a switch", good, []string{"PRIMACY_AUTOMATION=false"}, func(c Config) any { return c.Automation }, false},
		{"an entry of a list", good, []string{"PRIMACY_CLUSTERS_0_SERVERS_1_ADDRESS=db9:3306"}, func(c Config) any { return c.Clusters[0].Servers[1].Address }, "db9:3306"},
		{"one entry more", good, []string{"PRIMACY_CLUSTERS_0_SERVERS_3_ADDRESS=db4:3306"}, func(c Config) any { return len(c.Clusters[0].Servers) }, 4},
		{"words with commas", good, []string{"PRIMACY_STORE_ENDPOINTS=http://a:1, http://b:2"}, func(c Config) any { return c.Store.Endpoints }, []string{"http://a:1", "http://b:2"}},
		{"words as YAML", good, []string{`PRIMACY_STORE_ENDPOINTS=["http://a:1"]`}, func(c Config) any { return c.Store.Endpoints }, []string{"http://a:1"}},
		{"a whole list as YAML", good, []string{`PRIMACY_CLUSTERS=[{name: bank, seed: "x:1"}]`}, func(c Config) any { return c.Clusters[0].Name }, "bank"},
		{"a password that YAML would take apart", good, []string{`PRIMACY_MYSQL_PASSWORD=[a]: {b} # 'c`}, func(c Config) any { return c.MySQL.Password.Reveal() }, "[a]: {b} # 'c"},
		{"a password instead of the file's password_file", with(t, "password: one", "password_file: /nowhere"), []string{"PRIMACY_MYSQL_PASSWORD=x"},
			func(c Config) any { return c.MySQL.Password.Reveal() }, "x"},
		{"a password_file instead of the file's password", good, []string{"PRIMACY_MYSQL_PASSWORD_FILE=" + file},
			func(c Config) any { return c.MySQL.Password.Reveal() }, "from a file"},
		{"an empty one does not count", good, []string{"PRIMACY_NODE="}, func(c Config) any { return c.Node }, "elector-1"},
		{"those of the command line and of Kubernetes do not count", good, []string{"PRIMACY_API=x", "PRIMACY_PORT=tcp://1.2.3.4:80", "PRIMACY_SERVICE_HOST=1.2.3.4"},
			func(c Config) any { return len(c.Warnings) }, 0},
		{"a misspelled one is warned of", good, []string{"PRIMACY_MYSQL_PASSWRD=x"}, func(c Config) any { return c.Warnings[0].String() },
			"PRIMACY_MYSQL_PASSWRD: this variable is not known and was ignored; the nearest known one is PRIMACY_MYSQL_PASSWORD"},
		{"all of it", "# nothing here\n", []string{"PRIMACY_MYSQL_PASSWORD=x", "PRIMACY_REPLICATION_PASSWORD=y", "PRIMACY_CLUSTERS_0_NAME=shop", "PRIMACY_CLUSTERS_0_SEED=a:1"},
			func(c Config) any { return c.Clusters[0].Seed }, "a:1"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			cfg, err := loaded(t, r.file, r.env...)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.got(cfg); !reflect.DeepEqual(got, r.want) {
				t.Errorf("got %v, want %v", got, r.want)
			}
		})
	}
}

func TestEntriesFromTheEnvironmentCountAsNumbers(t *testing.T) {
	env := []string{}
	for i := range 12 {
		env = append(env, fmt.Sprintf("PRIMACY_CLUSTERS_0_SERVERS_%d_ADDRESS=s%d:3306", i, i))
	}
	cfg, err := loaded(t, good, env...)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(cfg.Clusters[0].Servers); n != 12 || cfg.Clusters[0].Servers[11].Address != "s11:3306" {
		t.Errorf("%d servers: %v", n, cfg.Clusters[0].Servers)
	}
}

func TestEveryOptionCanBeSetByAVariable(t *testing.T) {
	root := schema()
	root.each(func(k *key) {
		if !k.leaf() || k.name == "" {
			return
		}
		name := strings.TrimPrefix(variableName(strings.ReplaceAll(k.path, "[]", "_0")), prefix)
		steps, ok := root.steps(name)
		if !ok || steps[len(steps)-1].field != k.name {
			t.Errorf("%s%s leads to %v (%v), not to %s", prefix, name, steps, ok, k.path)
		}
	})
}

func TestAMistakeInTheEnvironmentNamesTheVariable(t *testing.T) {
	rows := []struct{ name, env, want string }{
		{"a value that cannot be", "PRIMACY_DETECTION_SILENT_AFTER=3", `PRIMACY_DETECTION_SILENT_AFTER: detection.silent_after: 3 has no unit; write 3ms, 3s or 3m`},
		{"a value that does not fit to others", "PRIMACY_CLUSTERS_0_DURABILITY_ACKS=5",
			`PRIMACY_CLUSTERS_0_DURABILITY_ACKS: clusters[0].durability.acks: 5 acks wanted but only 2 servers besides the primary can give one; lower acks or add servers`},
		{"an entry that leaves a gap", "PRIMACY_CLUSTERS_7_NAME=x", `PRIMACY_CLUSTERS_7_NAME: clusters: it has 1 entry, so the next one is number 1; entries are counted from 0`},
		{"YAML that is none", "PRIMACY_CLUSTERS=[{", `PRIMACY_CLUSTERS: not valid YAML: did not find expected node content; look for a missing colon, quote or bracket, or wrong indentation, here or just above`},
		{"a wrong key in YAML", `PRIMACY_CLUSTERS=[{name: x, sede: "a:1", seed: "a:1"}]`, `PRIMACY_CLUSTERS: clusters[0].sede: unknown key; the nearest known one is seed`},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := loaded(t, good, r.env)
			if got := lines(err); got != r.want {
				t.Errorf("got\n%s\nwant\n%s", got, r.want)
			}
		})
	}
}

func TestAFileThatIsNotThereIsAnErrorThatNamesIt(t *testing.T) {
	_, err := Load("/nowhere/primacy.yaml", nil)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "/nowhere/primacy.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsAllowedAndUnwiseIsWarnedOf(t *testing.T) {
	open := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(open, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	rows := []struct{ name, file, want string }{
		{"a password file for everybody", with(t, "password: one", "password_file: "+open),
			"primacy.yaml:3: mysql.password_file: everybody on this machine may read " + open + " (mode 0644); chmod 640 or 600 it"},
		{"trusting any certificate", with(t, "password: one", "password: one, tls: {skip_verify: true}"),
			"primacy.yaml:3: mysql.tls.skip_verify: whoever can redirect the connection can read the password; better set ca_file"},
		{"loopback and other addresses in one cluster", with(t, "db1:3306", "127.0.0.1:3306"),
			"primacy.yaml:14: clusters[0].servers: some addresses are loopback and others are not; replicas connect to each other by these addresses, so use ones that all of them can reach"},
		{"an even number of members", and("store: {name: a, peer_listen: \"h:1\", initial_cluster: [\"a=h:1\", \"b=i:1\"]}\n"),
			"primacy.yaml:18: store.initial_cluster: 2 members tolerate no more failures than 1; use an odd number"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			cfg := parsed(t, r.file)
			if len(cfg.Warnings) != 1 || cfg.Warnings[0].String() != r.want {
				t.Errorf("got\n%v\nwant\n%s", cfg.Warnings, r.want)
			}
		})
	}
}

func TestPasswordsInAFileForEverybodyAreWarnedOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "primacy.yaml")
	if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path, []string{"PRIMACY_REPLICATION_PASSWORD=x"})
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Warnings) != 1 || cfg.Warnings[0].Key != "mysql.password" || cfg.Warnings[0].Line != 3 {
		t.Errorf("got %v", cfg.Warnings)
	}
}

func TestAnAPIOnTheNetworkIsAcceptedWithAuthAndTLS(t *testing.T) {
	parsed(t, with(t, "127.0.0.1:3900", "0.0.0.0:3900")+
		"auth: {users: [{name: ada, role: admin, password: x}]}\ntls: {cert_file: "+os.DevNull+", key_file: "+os.DevNull+"}\n")
}

func TestSecretsAreNeverShown(t *testing.T) {
	cfg := parsed(t, with(t, "password: one", "password: hunter-two", "password: two", "password: hunter-two")+
		"auth: {tokens: [{name: x, role: viewer, token: hunter-two-hunter-two}], users: [{name: y, role: viewer, password: hunter-two}]}\n"+
		"store: {endpoints: [\"https://e:1\"], user: u, password: hunter-two}\n")
	var shown []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, cfg), fmt.Sprintf(verb, &cfg.MySQL), fmt.Sprintf(verb, cfg.MySQL.Password), fmt.Sprintf(verb, &cfg.MySQL.Password))
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(handler).Info("loaded", "config", cfg, "mysql", cfg.MySQL, "password", cfg.MySQL.Password, "pointer", &cfg.MySQL.Password)
	}
	shown = append(shown, string(asJSON), string(asYAML), log.String())
	hex := fmt.Sprintf("%x", "hunter")
	for _, s := range shown {
		if strings.Contains(s, "hunter") || strings.Contains(strings.ToLower(s), hex) {
			t.Errorf("shown: %s", s)
		}
	}
	if !strings.Contains(string(asJSON), `"***"`) {
		t.Errorf("JSON does not show that there is one: %s", asJSON)
	}
	if (Secret{}).String() != "" {
		t.Error("a secret that is not set looks as if it were")
	}
}

func TestMistakesDoNotShowSecrets(t *testing.T) {
	for _, file := range []string{
		with(t, "password: one", "password: {hunter: two}"),
		with(t, "password: one", "password: [hunter]"),
		and("auth: {tokens: [{name: x, role: viewer, token: hunter}]}\n"),
		with(t, "password: one", "password: hunter, password_file: /x"),
	} {
		_, err := Parse([]byte(file), "primacy.yaml")
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAReloadSaysWhatItCanTakeOver(t *testing.T) {
	rows := []struct {
		name          string
		file          string
		live, restart []string
	}{
		{"nothing", good, nil, nil},
		{"limits of detection", with(t, "250ms", "300ms"), nil, []string{"detection.probe_interval"}},
		{"anti-flapping", with(t, "window: 5m", "window: 6m, fleet: {per: 1m}"), nil, []string{"antiflap.window", "antiflap.fleet.per"}},
		{"automation", and("automation: false\n"), nil, []string{"automation"}},
		{"who should lead", with(t, "promotion: prefer", "promotion: avoid"), []string{"clusters[shop].servers[db1:3306].promotion"}, nil},
		{"a zone", with(t, "zone: b", "zone: z"), []string{"clusters[shop].servers[db2:3306].zone"}, nil},
		{"a server less", with(t, "      - {address: \"db2:3306\", zone: b}\n", ""), []string{"clusters[shop].servers[db2:3306]"}, nil},
		{"a cluster more", and("  - {name: bank, seed: \"x:1\"}\n"), nil, []string{"clusters[bank]"}},
		{"servers in another order", with(t, "db2:3306\", zone: b", "db3:3306\", zone: c", "db3:3306\", zone: c}\n      - {address: \"db3:3306\", zone: c", "db3:3306\", zone: c}\n      - {address: \"db2:3306\", zone: b"), nil, nil},
		{"a password", with(t, "password: one", "password: three"), nil, []string{"mysql.password"}},
		{"a hook more", and("hooks: [{name: h, url: \"https://h/\"}]\n"), nil, []string{"hooks[h]"}},
		{"an empty list where there was none", and("hooks: []\nstore: {endpoints: []}\n"), nil, nil},
		{"who may call", and("auth: {users: [{name: ada, role: admin, password: three}]}\n"), []string{"auth.users[ada]"}, nil},
		{"live and not live", with(t, "250ms", "300ms") + "auth: {users: [{name: ada, role: admin, password: three}]}\n", []string{"auth.users[ada]"}, []string{"detection.probe_interval"}},
	}
	old := parsed(t, good)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			live, restart := Changes(old, parsed(t, r.file))
			if !slices.Equal(live, r.live) || !slices.Equal(restart, r.restart) {
				t.Errorf("live %q, restart %q, want %q and %q", live, restart, r.live, r.restart)
			}
		})
	}
}

func FuzzParseNeverPanicsAndNeverBlamesItself(f *testing.F) {
	f.Add(good)
	f.Add("clusters: &c [*c]\n")
	f.Add("a: {b: [c")
	f.Add("mysql: {<<: [{user: x}, 3]}\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, file string) {
		_, err := Parse([]byte(file), "primacy.yaml")
		var list Errors
		if err != nil && !errors.As(err, &list) {
			t.Errorf("not a list of mistakes: %v", err)
		}
	})
}
