package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// good is a small valid file; rows replace pieces of it.
const good = `node: elector-1
listen: 127.0.0.1:3900
mysql: {user: primacy, password: one}
replication: {user: replica, password: two}
detection:
  probe_interval: 250ms
  silent_after: 2s
antiflap: {window: 5m}
clusters:
  - name: shop
    durability:
      policy: semi_sync
      acks: 1
    servers:
      - {address: "db1:3306", zone: a, promotion: prefer}
      - {address: "db2:3306", zone: b}
      - {address: "db3:3306", zone: c}
`

// with replaces pieces of the good file, each of which has to be there.
func with(t *testing.T, pairs ...string) string {
	t.Helper()
	text := good
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the file lacks %q", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// and appends to the good file.
func and(more string) string { return good + more }

func lines(err error) string {
	var list Errors
	if !errors.As(err, &list) {
		return "not a list of mistakes: " + errorText(err)
	}
	return list.Error()
}

func errorText(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}

func TestTheGoodFileIsGood(t *testing.T) {
	if _, err := Parse([]byte(good), "primacy.yaml"); err != nil {
		t.Fatal(err)
	}
}

// Each mistake gives exactly the lines that stand here, and no others that follow from it.
func TestEachMistakeIsOneClearLine(t *testing.T) {
	const bank = "  - name: bank\n    servers:\n      - {address: \"x1:3306\"}\n      - {address: \"x2:3306\"}\n"
	rows := []struct{ name, file, want string }{
		{"a key with a wrong letter", with(t, "probe_interval:", "probe_intervall:"),
			`primacy.yaml:6: detection.probe_intervall: unknown key; the nearest known one is probe_interval`},
		{"a key in another spelling style", with(t, "probe_interval:", "probeInterval:"),
			`primacy.yaml:6: detection.probeInterval: unknown key; the nearest known one is probe_interval`},
		{"an unknown key at the top", with(t, "node:", "nodes:"),
			`primacy.yaml:1: nodes: unknown key; the nearest known one is node`},
		{"an unknown key deep inside", with(t, "zone: b", "zome: b"),
			`primacy.yaml:16: clusters[0].servers[1].zome: unknown key; the nearest known one is zone`},
		{"a required key with a wrong letter is not missing as well", with(t, "password: one", "pasword: one"),
			`primacy.yaml:3: mysql.pasword: unknown key; the nearest known one is password`},
		{"a required key of an entry with a wrong letter", with(t, "address: \"db2", "addrss: \"db2"),
			`primacy.yaml:16: clusters[0].servers[1].addrss: unknown key; the nearest known one is address`},
		{"a key in the wrong section", and("acks: 2\n"),
			`primacy.yaml:18: acks: unknown key here; acks belongs into clusters[].durability`},
		{"a key of another section that resembles one here", and("name: x\n"),
			`primacy.yaml:18: name: unknown key here; name belongs into auth.tokens[] or auth.users[] or auth.certificates[] or store or clusters[] or hooks[]`},
		{"a key that resembles none", and("quux: 2\n"),
			`primacy.yaml:18: quux: unknown key; known here: node, listen, advertise, tls, auth, store, mysql, replication, detection, antiflap, errant, clone, automation, clusters, hooks`},
		{"a member cannot be added to a store that runs", and("store: {join_existing: true}\n"),
			`primacy.yaml:18: store.join_existing: unknown key; known here: dir, endpoints, name, peer_listen, initial_cluster, peer_tls, tls, user, password, password_file, lease`},
		{"an event with a wrong letter", and("hooks: [{name: h, url: \"https://h/\", events: [refused, primary_chnaged]}]\n"),
			`primacy.yaml:18: hooks[0].events[1]: "primary_chnaged" is not known; the nearest is primary_changed (known: ` + strings.Join(HookEvents(), ", ") + `)`},
		{"the rounds of probes are no event for hooks", and("hooks: [{name: h, url: \"https://h/\", events: [probed]}]\n"),
			`primacy.yaml:18: hooks[0].events[0]: "probed" is not known; use one of ` + strings.Join(HookEvents(), ", ")},
		{"a server listed twice in one cluster", with(t, "db2:3306", "DB1:3306"),
			`primacy.yaml:16: clusters[0].servers[1].address: DB1:3306 is already listed as clusters[0].servers[0]; a server belongs to one place`},
		{"a server in two clusters", and(strings.Replace(bank, "x1", "db3", 1)),
			`primacy.yaml:20: clusters[1].servers[0].address: db3:3306 is already listed as clusters[0].servers[2]; a server belongs to one place`},
		{"a server in two spellings of loopback", and(strings.NewReplacer("x1", "localhost", "x2", "127.0.0.1").Replace(bank)),
			`primacy.yaml:21: clusters[1].servers[1].address: 127.0.0.1:3306 is already listed as clusters[1].servers[0]; a server belongs to one place`},
		{"two clusters of one name", and(strings.Replace(bank, "bank", "shop", 1)),
			`primacy.yaml:18: clusters[1].name: the name shop is taken by clusters[0]; give each its own`},
		{"a cluster without a name", with(t, "- name: shop\n    durability", "- durability"),
			`primacy.yaml:10: clusters[0].name: a name is missing`},
		{"a name that would not fit into a URL", with(t, "name: shop", "name: the shop"),
			`primacy.yaml:10: clusters[0].name: "the shop" cannot be a name; ` + plainNameRule},
		{"more acks than other servers", with(t, "acks: 1", "acks: 3"),
			`primacy.yaml:13: clusters[0].durability.acks: 3 acks wanted but only 2 servers besides the primary can give one; lower acks or add servers`},
		{"one server and semi-sync by default", and("  - name: bank\n    servers: [{address: \"x1:3306\"}]\n"),
			`primacy.yaml:18: clusters[1].durability.acks: 1 ack wanted but only 0 servers besides the primary can give one; lower acks or add servers`},
		{"no acks", with(t, "acks: 1", "acks: 0"),
			`primacy.yaml:13: clusters[0].durability.acks: 0 acks promise nothing; write 1 or more, or policy: none`},
		{"more zones than there are", with(t, "policy: semi_sync", "policy: zones", "acks: 1", "zones: 4"),
			`primacy.yaml:13: clusters[0].durability.zones: 4 zones wanted but the servers are in 3 (a, b, c); lower zones or add servers in other ones`},
		{"zones without a number", with(t, "policy: semi_sync", "policy: zones"),
			`primacy.yaml:11: clusters[0].durability.zones: policy zones wants the number of zones that must hold a transaction, 2 or more; set zones: 2`},
		{"zones under another policy", with(t, "acks: 1", "zones: 2"),
			`primacy.yaml:13: clusters[0].durability.zones: only policy zones counts zones, this is policy semi_sync; remove it, or use policy: zones`},
		{"cross_zone with a server that has none", with(t, "policy: semi_sync", "policy: cross_zone", ", zone: b", ""),
			`primacy.yaml:16: clusters[0].servers[1]: policy cross_zone needs a zone for db2:3306; add zone: …`},
		{"cross_zone in one zone", with(t, "policy: semi_sync", "policy: cross_zone", "zone: b", "zone: a", "zone: c", "zone: a"),
			`primacy.yaml:12: clusters[0].durability.policy: policy cross_zone needs servers in two zones, and all are in a; move servers, or use policy: semi_sync`},
		{"cross_zone with too few servers abroad for one possible primary", with(t, "policy: semi_sync", "policy: cross_zone", "acks: 1", "acks: 2", "zone: b", "zone: a"),
			`primacy.yaml:11: clusters[0].durability: cluster shop: durability policy cross_zone cannot be met while db1:3306 leads: 2 acks are needed and only db3:3306 may give one, being outside its zone a; ` +
				`were the others' counted too, MySQL, which knows no zones, would answer clients with 2 acks (db2:3306, db3:3306), which does not satisfy the policy; ` +
				`set acks: 1, add servers outside zone a or give db1:3306 promotion: never`},
		{"nobody may lead", with(t, "promotion: prefer", "promotion: never", "zone: b}", "promotion: never}", "zone: c}", "promotion: never}"),
			`primacy.yaml:14: clusters[0].servers: every server has promotion never, so none may be primary; allow one`},
		{"a source that is not listed", with(t, "zone: c}", "zone: c, promotion: never, source: \"db4:3306\"}"),
			`primacy.yaml:17: clusters[0].servers[2].source: db4:3306 is not listed among the servers of this cluster; name one of them, or remove source to replicate from the primary`},
		{"a source that is the server itself", with(t, "zone: c}", "zone: c, promotion: never, source: \"db3:3306\"}"),
			`primacy.yaml:17: clusters[0].servers[2].source: db3:3306 cannot replicate from itself; name another server of this cluster, or remove source`},
		{"a source that is no address", with(t, "zone: c}", "zone: c, promotion: never, source: db2}"),
			`primacy.yaml:17: clusters[0].servers[2].source: "db2" has no port; write host:port, such as 127.0.0.1:3306`},
		{"a source that is listed in another spelling", with(t, "zone: c}", "zone: c, promotion: never, source: \"DB2:3306\"}"),
			`primacy.yaml:17: clusters[0].servers[2].source: DB2:3306 is listed as db2:3306; write it the same way`},
		{"a server with a source that may lead", with(t, "zone: c}", "zone: c, source: \"db2:3306\"}"),
			`primacy.yaml:17: clusters[0].servers[2].promotion: db3:3306 replicates from db2:3306 and not from the primary, so it cannot lead; write promotion: never, or remove source`},
		{"a cascade of two steps", with(t, "zone: b}", "zone: b}\n      - {address: \"db4:3306\", zone: c}", "zone: c}", "zone: c, promotion: never, source: \"db2:3306\"}",
			"zone: c}", "zone: c, promotion: never, source: \"db4:3306\"}"),
			`primacy.yaml:18: clusters[0].servers[3].source: db4:3306 has a source itself, and a cascade is one step deep; name db2:3306, or remove one of both`},
		{"two servers that are each other's source", with(t, "zone: b}", "zone: b, promotion: never, source: \"db3:3306\"}", "zone: c}", "zone: c, promotion: never, source: \"db2:3306\"}"),
			"primacy.yaml:16: clusters[0].servers[1].source: db3:3306 has a source itself, and a cascade is one step deep; name db2:3306, or remove one of both\n" +
				"primacy.yaml:17: clusters[0].servers[2].source: db2:3306 has a source itself, and a cascade is one step deep; name db3:3306, or remove one of both"},
		{"cascaded replicas leave too few ackers", with(t, "acks: 1", "acks: 2", "zone: c}", "zone: c, promotion: never, source: \"db2:3306\"}"),
			`primacy.yaml:13: clusters[0].durability.acks: 2 acks wanted but only 1 server besides the primary can give one; lower acks or add servers`},
		{"a cascaded replica that returns sooner than it leaves", with(t, "silent_after: 2s", "silent_after: 2s\n  rehome_after: 2m"),
			`primacy.yaml:8: detection.rehome_after: detection.rehome_after is 2m0s, and detection.return_after allows at most 1m0s: ` +
				`a cascaded replica would go back to its intermediate sooner than it leaves it; lower the one or raise the other`},
		{"acks under policy none", with(t, "policy: semi_sync", "policy: none"),
			`primacy.yaml:13: clusters[0].durability.acks: policy none waits for no acks; remove it, or use policy: semi_sync`},
		{"allow_unfenced where nothing is unfenced", with(t, "acks: 1", "allow_unfenced: true"),
			`primacy.yaml:13: clusters[0].durability.allow_unfenced: only policy none can need it, this is policy semi_sync; remove it`},
		{"a policy that is not known", with(t, "policy: semi_sync", "policy: semisync"),
			`primacy.yaml:12: clusters[0].durability.policy: "semisync" is not known; the nearest is semi_sync (known: none, semi_sync, cross_zone, zones)`},
		{"a promotion that is not known", with(t, "promotion: prefer", "promotion: preferr"),
			`primacy.yaml:15: clusters[0].servers[0].promotion: "preferr" is not known; the nearest is prefer (known: prefer, neutral, avoid, never)`},
		{"a promotion that resembles none", with(t, "promotion: prefer", "promotion: 100"),
			`primacy.yaml:15: clusters[0].servers[0].promotion: "100" is not known; use one of prefer, neutral, avoid, never`},
		{"a duration without a unit", with(t, "250ms", "250"),
			`primacy.yaml:6: detection.probe_interval: 250 has no unit; write 250ms, 250s or 250m`},
		{"a duration with a made-up unit", with(t, "250ms", "250 millis"),
			`primacy.yaml:6: detection.probe_interval: "250 millis" is not a duration; write it like 250ms, 2s, 5m or 1h30m`},
		{"a duration in days", with(t, "{window: 5m}", "{decay: 1d}"),
			`primacy.yaml:8: antiflap.decay: "1d" is not a duration; days are written in hours, such as 24h`},
		{"a duration below zero", with(t, "250ms", "-1s"),
			`primacy.yaml:6: detection.probe_interval: -1s is too short; it has to be longer than 0`},
		{"no password", with(t, ", password: one", ""),
			`primacy.yaml:3: mysql.password: the password of primacy is missing; set password_file to a file that holds it, or the variable PRIMACY_MYSQL_PASSWORD`},
		{"a password and a file", with(t, "password: one", "password: one, password_file: /x"),
			`primacy.yaml:3: mysql.password_file: the password of primacy is given twice, here and as mysql.password; remove one of them`},
		{"a password file that is not there", with(t, "password: one", "password_file: /nowhere/pw"),
			`primacy.yaml:3: mysql.password_file: /nowhere/pw: no such file or directory; create it with the password as its only line, readable by the user that runs primacy`},
		{"an account name that MySQL would refuse", with(t, "user: primacy", "user: "+strings.Repeat("p", 33)),
			`primacy.yaml:3: mysql.user: MySQL allows 32 characters in an account's name, this has 33`},
		{"an address without port", with(t, "db2:3306", "db2"),
			`primacy.yaml:16: clusters[0].servers[1].address: "db2" has no port; write host:port, such as 127.0.0.1:3306`},
		{"an address that is a URL", with(t, "db2:3306", "mysql://db2:3306"),
			`primacy.yaml:16: clusters[0].servers[1].address: "mysql://db2:3306" is more than an address; write host:port, such as 127.0.0.1:3306`},
		{"an IPv6 address without brackets", with(t, "db2:3306", "fe80::1:3306"),
			`primacy.yaml:16: clusters[0].servers[1].address: "fe80::1:3306" is no address; write an IPv6 address in brackets and with its port, such as [::1]:3306`},
		{"a port that is too high", with(t, "db2:3306", "db2:70000"),
			`primacy.yaml:16: clusters[0].servers[1].address: "db2:70000" has no usable port; it is a number from 1 to 65535`},
		{"a host that is missing", with(t, "db2:3306", ":3306"),
			`primacy.yaml:16: clusters[0].servers[1].address: ":3306" has no host; write host:port, such as 127.0.0.1:3306`},
		{"a server without address", with(t, "address: \"db2:3306\", ", ""),
			`primacy.yaml:16: clusters[0].servers[1].address: an address is missing; write host:port, such as db1:3306`},
		{"an API that is open to the network", with(t, "127.0.0.1:3900", ":3900"),
			`primacy.yaml:2: listen: :3900 can be reached from other machines, which needs auth and tls; configure auth and tls, or listen on 127.0.0.1`},
		{"an API on the network with auth only", with(t, "127.0.0.1:3900", "10.0.0.1:3900\nauth: {users: [{name: ada, role: admin, password: three}]}"),
			`primacy.yaml:2: listen: 10.0.0.1:3900 can be reached from other machines, which needs auth and tls; configure tls, or listen on 127.0.0.1`},
		{"an advertised address without scheme", and("advertise: elector-1:3900\n"),
			`primacy.yaml:18: advertise: it is no URL; write it like https://elector-1.example.org:3900`},
		{"an advertised URL without host", and("advertise: \"https://:3900\"\n"),
			`primacy.yaml:18: advertise: it is no URL; write it like https://elector-1.example.org:3900`},
		{"an advertised URL that cannot be read, with a password", and("advertise: \"https://ada:pw@h:x\"\n"),
			`primacy.yaml:18: advertise: it is no URL; write it like https://elector-1.example.org:3900`},
		{"an advertised URL of something else", and("advertise: \"etcd://h:3900\"\n"),
			`primacy.yaml:18: advertise: it is no URL; write it like https://elector-1.example.org:3900`},
		{"an advertised user", and("advertise: \"https://ada:pw@h:3900\"\n"),
			`primacy.yaml:18: advertise: it names a user; remove that, for callers sign in with what they have`},
		{"an advertised query", and("advertise: \"https://h:3900?x=1\"\n"),
			`primacy.yaml:18: advertise: paths are put behind https://h:3900?x=1; remove what begins with ? or #`},
		{"an advertised place on a page", and("advertise: \"https://h:3900/#x\"\n"),
			`primacy.yaml:18: advertise: paths are put behind https://h:3900/#x; remove what begins with ? or #`},
		{"an advertised port that is too high", and("advertise: \"https://h:70000\"\n"),
			`primacy.yaml:18: advertise: https://h:70000 has no usable port; it is a number from 1 to 65535`},
		{"an advertised port that is none", and("advertise: \"https://h:0\"\n"),
			`primacy.yaml:18: advertise: https://h:0 has no usable port; it is a number from 1 to 65535`},
		{"advertised is what it listens on", and("advertise: \"https://[::]:3900\"\n"),
			`primacy.yaml:18: advertise: nobody can connect to ::; name this elector's host or address`},
		{"advertised in clear text to a network", and("advertise: \"http://10.0.0.1:3900\"\n"),
			`primacy.yaml:18: advertise: nobody is sent to http://10.0.0.1:3900, where a token could be read on the way; write https://, with tls configured here or in front`},
		{"advertised in clear text although it speaks TLS", and("tls: {cert_file: " + os.DevNull + ", key_file: " + os.DevNull + "}\nadvertise: \"http://127.0.0.1:3900\"\n"),
			`primacy.yaml:19: advertise: http://127.0.0.1:3900 is clear text, and with tls the API speaks TLS only; write https://`},
		{"a probe that outlasts the silence", with(t, "probe_interval: 250ms", "probe_timeout: 3s"),
			`primacy.yaml:6: detection.probe_timeout: detection.probe_timeout is 3s, and detection.silent_after allows at most 2s: a probe has to end before its server counts as silent; lower the one or raise the other`},
		{"a silence too short for the default heartbeat and timeout", with(t, "silent_after: 2s", "silent_after: 900ms\n  probe_timeout: 800ms"),
			`primacy.yaml:7: detection.silent_after: replication.heartbeat is 500ms, and detection.silent_after allows at most 450ms: one late heartbeat would count as silence; at least two have to fit in; lower the one or raise the other`},
		{"a probe interval that leaves room for one", with(t, "250ms", "1500ms"),
			`primacy.yaml:6: detection.probe_interval: detection.probe_interval is 1.5s, and detection.silent_after allows at most 1s: one late probe would count as silence; at least two have to fit in; lower the one or raise the other`},
		{"a share above one", with(t, "probe_interval: 250ms", "isolated_share: 50"),
			`primacy.yaml:6: detection.isolated_share: 50 is no share of all servers; write a number above 0, up to 1, such as 0.5`},
		{"less than nothing left to apply", with(t, "probe_interval: 250ms", "acker_backlog_max: -1"),
			`primacy.yaml:6: detection.acker_backlog_max: -1 is below 0; write how many transactions an acker may have left to apply, or 0 to let all acknowledge`},
		{"a first window longer than the longest", with(t, "window: 5m", "window: 2h"),
			`primacy.yaml:8: antiflap.window: antiflap.window is 2h0m0s, and antiflap.window_max allows at most 1h0m0s: the first window cannot be longer than the longest; lower the one or raise the other`},
		{"repeats that are forgotten too early", with(t, "window: 5m", "decay: 30m"),
			`primacy.yaml:8: antiflap.decay: antiflap.window_max is 1h0m0s, and antiflap.decay allows at most 30m0s: repeats would be forgotten while their window is open; lower the one or raise the other`},
		{"a proof longer than the window", with(t, "window: 5m", "proven_after: 6m"),
			`primacy.yaml:8: antiflap.proven_after: antiflap.proven_after is 6m0s, and antiflap.window allows at most 5m0s: a primary could not prove itself within the first window; lower the one or raise the other`},
		{"windows that shrink", with(t, "window: 5m", "factor: 0.5"),
			`primacy.yaml:8: antiflap.factor: 0.5 would make windows shorter with each repeat; write 1 or more, such as 2`},
		{"more rows than fit into memory", and("errant: {rows_max: 2000000}\n"),
			`primacy.yaml:18: errant.rows_max: 2000000 is out of range; write 1 to 1000000, for all rows are held in memory at once`},
		{"a rate that clones cannot have", and("clone: {rate_max_mb: -1}\n"),
			`primacy.yaml:18: clone.rate_max_mb: -1 is out of range; write 0 for no bound, or up to 1048576 MiB per second`},
		{"a clone that may stand still for longer than it may take", and("clone: {time_max: 5m}\n"),
			`primacy.yaml:18: clone.time_max: clone.stall_max is 10m0s, and clone.time_max allows at most 5m0s: a clone that gets nowhere would be ended for its length before it is for that; lower the one or raise the other`},
		{"a clone that may never stand still", and("clone: {stall_max: 0s}\n"),
			`primacy.yaml:18: clone.stall_max: 0s is too short; it has to be longer than 0`},
		{"a brake that is always on", with(t, "window: 5m", "fleet: {changes_max: 0}"),
			`primacy.yaml:8: antiflap.fleet.changes_max: 0 would forbid every automatic change; write 1 or more, or set automation: false`},
		{"a lease below a second", and("store: {lease: 500ms}\n"),
			`primacy.yaml:18: store.lease: 500ms is no whole number of seconds, and etcd counts in those; write 1s or more, such as 5s`},
		{"a lease of a second and a half", and("store: {lease: 1500ms}\n"),
			`primacy.yaml:18: store.lease: 1.5s is no whole number of seconds, and etcd counts in those; write 1s or more, such as 5s`},
		{"a lease that keeps others waiting", and("store: {lease: 2m}\n"),
			`primacy.yaml:18: store.lease: for 2m0s after an elector's death no other could act; write at most 1m`},
		{"a store here and elsewhere", and("store: {dir: ./x, endpoints: [\"https://etcd-1:2379\"]}\n"),
			`primacy.yaml:18: store.dir: with store.endpoints nothing is stored here; remove one of both`},
		{"an endpoint without port", and("store: {endpoints: [\"https://etcd-1\"]}\n"),
			`primacy.yaml:18: store.endpoints[0]: "https://etcd-1" is no endpoint of etcd; write it like https://etcd-1:2379`},
		{"half a member", and("store: {name: elector-1}\n"),
			`primacy.yaml:18: store: an etcd member needs both name and initial_cluster; add what is missing, or remove the keys of a member`},
		{"a member beside an existing cluster", and("store: {name: a, endpoints: [\"https://etcd-1:2379\"]}\n"),
			`primacy.yaml:18: store.endpoints: an existing etcd cluster and a member of its own exclude each other; remove store.endpoints, or what makes a member`},
		{"half the files of a member", and("store: {name: a, initial_cluster: [\"a=h:1\"], peer_tls: {ca_file: " + os.DevNull + "}}\n"),
			`primacy.yaml:18: store.peer_tls: members prove themselves to each other with all of ca_file, cert_file and key_file; add what is missing`},
		{"TLS to an etcd that is inside", and("store: {tls: {enabled: true}}\n"),
			`primacy.yaml:18: store.tls: it is for store.endpoints only; between embedded members use store.peer_tls`},
		{"a login to an etcd that is inside", and("store: {user: x, password: y}\n"),
			`primacy.yaml:18: store.user: it is for store.endpoints only; the embedded etcd takes no logins, remove it`},
		{"a member that is not among the members", and("store: {name: a, peer_listen: \"10.0.0.1:2380\", initial_cluster: [\"b=10.0.0.1:2380\"]}\n"),
			`primacy.yaml:18: store.initial_cluster: this member, a, is missing; list every member, this one too`},
		{"a member without address", and("store: {name: a, peer_listen: \"10.0.0.1:2380\", initial_cluster: [\"a=10.0.0.1\"]}\n"),
			`primacy.yaml:18: store.initial_cluster[0]: "10.0.0.1" has no port; write host:port, such as 127.0.0.1:3306`},
		{"a password of nobody", and("store: {endpoints: [\"https://e:1\"], password: x}\n"),
			`primacy.yaml:18: store.user: a password without a user; set store.user`},
		{"a user of the store without password", and("store: {endpoints: [\"https://e:1\"], user: x}\n"),
			`primacy.yaml:18: store.password: the password of x is missing; set password_file to a file that holds it, or the variable PRIMACY_STORE_PASSWORD`},
		{"a list where a section is wanted", with(t, "{window: 5m}", "[5m]"),
			`primacy.yaml:8: antiflap: a section is wanted here, not a list; known keys in it: window, factor, window_max, decay, proven_after, replace_gone_primary, fleet`},
		{"a section where a list is wanted", with(t, "  - name: shop\n    durability", "    name: shop\n    durability"),
			`primacy.yaml:9: clusters: a list is wanted here, not a section; start each entry with a dash: - name: …`},
		{"a section where a value is wanted", with(t, "250ms", "{ms: 250}"),
			`primacy.yaml:6: detection.probe_interval: a single value is wanted here, not a section`},
		{"a value where a list of words is wanted", and("store: {endpoints: \"https://etcd-1:2379\"}\n"),
			`primacy.yaml:18: store.endpoints: a list is wanted here, not a single value; write ["…"]`},
		{"a word where a number is wanted", with(t, "acks: 1", "acks: all"),
			`primacy.yaml:13: clusters[0].durability.acks: "all" is not a whole number`},
		{"half an ack", with(t, "acks: 1", "acks: 1.5"),
			`primacy.yaml:13: clusters[0].durability.acks: "1.5" is not a whole number`},
		{"neither true nor false", and("automation: yes\n"),
			`primacy.yaml:18: automation: "yes" is neither true nor false`},
		{"a factor that is no number", with(t, "window: 5m", "factor: .nan"),
			`primacy.yaml:8: antiflap.factor: ".nan" is not a number`},
		{"an empty entry", with(t, "      - {address: \"db2:3306\", zone: b}", "      -"),
			`primacy.yaml:16: clusters[0].servers[1]: an empty entry; fill it or remove it`},
		{"an empty file", "", `primacy.yaml: nothing in it; at least mysql.password_file, replication.password_file and clusters are needed, see config.example.yaml`},
		{"a file of comments", "# nothing yet\n", `primacy.yaml: nothing in it; at least mysql.password_file, replication.password_file and clusters are needed, see config.example.yaml`},
		{"a file that is one word", "hello\n", `primacy.yaml:1: sections such as clusters: are wanted at the top, not a single value`},
		{"no clusters", good[:strings.Index(good, "clusters:")], `primacy.yaml: clusters: no cluster is listed; add at least one with name and servers`},
		{"an empty list of clusters", good[:strings.Index(good, "clusters:")] + "clusters: []\n", `primacy.yaml:9: clusters: no cluster is listed; add at least one with name and servers`},
		{"a cluster without servers", and("  - name: bank\n"),
			`primacy.yaml:18: clusters[1].servers: no server is listed; list them, or give one of them as seed to have the others discovered`},
		{"a key that stands twice", and("listen: 127.0.0.1:4000\n"),
			`primacy.yaml:18: the key listen stands here for the second time, after line 2; remove one of them`},
		{"a key that stands twice inside", with(t, "zone: b", "zone: b, zone: c"),
			`primacy.yaml:16: the key zone stands here for the second time, after line 16; remove one of them`},
		{"a bracket that is never closed", with(t, "{window: 5m}", "{window: 5m"),
			`primacy.yaml:8: not valid YAML: did not find expected ',' or '}'; look for a missing colon, quote or bracket, or wrong indentation, here or just above`},
		{"a quote that is never closed", with(t, "zone: b", "zone: \"b"),
			`primacy.yaml:16: not valid YAML: did not find expected ',' or '}'; look for a missing colon, quote or bracket, or wrong indentation, here or just above`},
		{"wrong indentation", with(t, "  silent_after", "   silent_after"),
			`primacy.yaml:7: not valid YAML: mapping values are not allowed in this context; look for a missing colon, quote or bracket, or wrong indentation, here or just above`},
		{"too little indentation, deep inside", with(t, "      acks", "     acks"),
			`primacy.yaml:13: not valid YAML: did not find expected key; look for a missing colon, quote or bracket, or wrong indentation, here or just above`},
		{"a tab for indentation", with(t, "  probe_interval", "\tprobe_interval"),
			`primacy.yaml:6: not valid YAML: found character that cannot start any token; indent with spaces, a tab is not allowed there`},
		{"a second document", and("---\nnode: x\n"),
			`primacy.yaml:18: a second document starts here; put everything into one`},
		{"a hook that does nothing", and("hooks: [{name: pager}]\n"),
			`primacy.yaml:18: hooks[0]: a hook has either a command or a url`},
		{"a hook with a URL that is none", and("hooks: [{name: pager, url: pager.example.org}]\n"),
			`primacy.yaml:18: hooks[0].url: it is no URL; write it like https://example.org/hook`},
		{"a token that can be guessed", and("auth: {tokens: [{name: x, role: viewer, token: short}]}\n"),
			`primacy.yaml:18: auth.tokens[0]: a token of fewer than 16 characters can be guessed; make one with: openssl rand -hex 32`},
		{"a user without a role", and("auth: {users: [{name: x, password: y}]}\n"),
			`primacy.yaml:18: auth.users[0].role: a role is missing; use viewer, operator or admin`},
		{"two who share a name", and("auth: {users: [{name: x, role: viewer, password: y}, {name: x, role: admin, password: z}]}\n"),
			`primacy.yaml:18: auth.users[1].name: the name x is taken by auth.users[0]; give each its own`},
		{"client certificates without an authority", and("auth: {certificates: [{name: x, role: viewer}]}\n"),
			`primacy.yaml:18: auth.certificates[0]: client certificates cannot be checked without tls.client_ca_file; set it`},
		{"a certificate without its key", and("tls: {cert_file: " + os.DevNull + "}\n"),
			`primacy.yaml:18: tls.cert_file: it is of no use without tls.key_file; set both or none`},
		{"an authority without a certificate", and("tls: {client_ca_file: " + os.DevNull + "}\n"),
			`primacy.yaml:18: tls.client_ca_file: client certificates need TLS; set tls.cert_file and tls.key_file too`},
		{"a certificate that is not there", with(t, "password: one", "password: one, tls: {ca_file: /nowhere/ca.pem}"),
			`primacy.yaml:3: mysql.tls.ca_file: /nowhere/ca.pem: no such file or directory; name a file that the user that runs primacy may read`},
		{"TLS that is off and configured", with(t, "password: one", "password: one, tls: {enabled: false, server_name: db}"),
			`primacy.yaml:3: mysql.tls.enabled: false, but other keys of mysql.tls are set; remove them, or this one`},
		{"a name for an elector that cannot be one", with(t, "elector-1", "elector 1"),
			`primacy.yaml:1: node: "elector 1" cannot name an elector; ` + plainNameRule},
		{"heartbeats without a pause", with(t, "password: two", "password: two, heartbeat: 1ms"),
			`primacy.yaml:4: replication.heartbeat: 1ms would keep the servers busy with heartbeats; write 10ms or more, such as 500ms`},
		{"two mistakes, in the order of the file", with(t, "acks: 1", "acks: all", "250ms", "250"),
			"primacy.yaml:6: detection.probe_interval: 250 has no unit; write 250ms, 250s or 250m\n" +
				`primacy.yaml:13: clusters[0].durability.acks: "all" is not a whole number`},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			cfg, err := Parse([]byte(r.file), "primacy.yaml")
			if got := lines(err); got != r.want {
				t.Errorf("got\n%s\nwant\n%s", got, r.want)
			}
			if cfg.Node != "" {
				t.Error("a configuration came with the mistakes")
			}
		})
	}
}

func TestPasswordFilesThatCannotServe(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rows := []struct{ name, path, want string }{
		{"an empty one", file("empty", ""), " is empty; write the password into it"},
		{"one with only a line break", file("blank", "\n"), " is empty; write the password into it"},
		{"one with two lines", file("two", "a\nb\n"), " has more than one line; only the password may stand in it"},
		{"one that is far too long", file("long", strings.Repeat("x", secretMax+1)), " is longer than 65536 bytes; is it the right file?"},
		{"a directory", dir, ": is a directory"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			_, err := Parse([]byte(with(t, "password: one", "password_file: "+r.path)), "primacy.yaml")
			if got, want := lines(err), "primacy.yaml:3: mysql.password_file: "+r.path+r.want; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
