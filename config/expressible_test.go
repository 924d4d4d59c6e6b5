package config

import (
	"fmt"
	"strings"
	"testing"
)

// zoned is the good file with another durability and one server for each letter, which is its zone; a letter with an
// exclamation mark may never lead.
func zoned(durability string, zones ...string) string {
	file, _, _ := strings.Cut(good, "    durability:")
	file += "    durability: {" + durability + "}\n    servers:\n"
	for i, zone := range zones {
		promotion := "neutral"
		if strings.HasSuffix(zone, "!") {
			promotion = "never"
		}
		file += fmt.Sprintf("      - {address: \"db%d:3306\", zone: %s, promotion: %s}\n", i+1, strings.TrimSuffix(zone, "!"), promotion)
	}
	return file
}

func TestAPolicyThatMySQLCannotBeToldIsRefusedWithTheAcksThatItWouldTake(t *testing.T) {
	rows := []struct{ name, file, want string }{
		{"the others of its zone would be counted too", zoned("policy: zones, acks: 2, zones: 2", "a", "a", "a", "c"),
			`durability policy zones cannot be met while db1:3306 leads: 2 acks are needed and only db4:3306 may give one, being outside its zone a; were the others' counted too, MySQL, ` +
				`which knows no zones, would answer clients with 2 acks (db2:3306, db3:3306), which does not satisfy the policy; ` +
				`set acks: 1, add servers outside zone a or give db1:3306 promotion: never`},
		{"the others would not do harm, and still are not counted", zoned("policy: zones, acks: 2, zones: 2", "a", "a", "c"),
			`durability policy zones cannot be met while db1:3306 leads: 2 acks are needed and only db3:3306 may give one, being outside its zone a; ` +
				`set acks: 1, add servers outside zone a or give db1:3306 promotion: never`},
		{"a single server in a zone of its own", zoned("policy: cross_zone, acks: 3", "a", "b", "b", "b"),
			`durability policy cross_zone cannot be met while db2:3306 leads: 3 acks are needed and only db1:3306 may give one, being outside its zone b; were the others' counted too, MySQL, ` +
				`which knows no zones, would answer clients with 3 acks (db1:3306, db3:3306, db4:3306), which does not satisfy the policy; ` +
				`set acks: 1, add servers outside zone b or give db2:3306 promotion: never`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := Parse([]byte(row.file), "primacy.yaml")
			want := "primacy.yaml:11: clusters[0].durability: cluster shop: " + row.want
			if err == nil || lines(err) != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}

func TestAPolicyThatMySQLCanOnlyBeToldMoreStrictlySaysWhatThatCosts(t *testing.T) {
	rows := []struct{ name, file, want string }{
		{"one zone is fuller than the others", zoned("policy: zones, acks: 2, zones: 3", "a", "b", "b", "c"),
			`while db1:3306 leads, every commit waits for 3 of db2:3306, db3:3306, db4:3306, although db2:3306, db4:3306 would satisfy the policy: ` +
				`MySQL counts acks and knows no zones, and after 2 acks a transaction could be on db1:3306, db2:3306, db3:3306 only, in 2 zones (a, b); ` +
				`with any one of them down writes stop; to need fewer, spread the servers evenly over the zones, or lower zones`},
		{"some ackers may fail", zoned("policy: zones, acks: 1, zones: 3", "a", "b", "b", "c", "c"),
			`while db1:3306 leads, every commit waits for 3 of db2:3306, db3:3306, db4:3306, db5:3306, although db2:3306, db4:3306 would satisfy the policy: ` +
				`MySQL counts acks and knows no zones, and after 2 acks a transaction could be on db1:3306, db2:3306, db3:3306 only, in 2 zones (a, b); ` +
				`with more than 1 of them down writes stop; to need fewer, spread the servers evenly over the zones, or lower zones`},
		{"one server in each zone is told as it stands", zoned("policy: zones, acks: 1, zones: 3", "a", "b", "c"), ""},
		{"two zones are told as they stand, however full", zoned("policy: zones, acks: 1, zones: 2", "a", "a", "b", "b", "b"), ""},
		{"who may never lead is not asked", zoned("policy: zones, acks: 1, zones: 3", "a!", "b", "b", "c!"), ""},
		{"cross_zone is told as it stands", zoned("policy: cross_zone, acks: 1", "a", "b", "b"), ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var want, got string
			if row.want != "" {
				want = "primacy.yaml:11: clusters[0].durability: cluster shop: " + row.want
			}
			for _, w := range parsed(t, row.file).Warnings {
				got += w.String()
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Whatever is not refused passes the check of the ruleset itself, which the control plane asks as well.
func TestWhatTheConfigurationAcceptsTheControlPlaneDoes(t *testing.T) {
	accepted, refused := 0, 0
	letters := []string{"a", "b", "c"}
	for n := range 81 {
		zones := []string{"a", letters[n%3], letters[n/3%3], letters[n/9%3], letters[n/27%3]}
		for _, d := range []string{"policy: cross_zone, acks: 1", "policy: cross_zone, acks: 2", "policy: zones, acks: 1, zones: 3", "policy: zones, acks: 2, zones: 2", "policy: zones, acks: 4, zones: 3"} {
			cfg, err := Parse([]byte(zoned(d, zones...)), "primacy.yaml")
			if err != nil {
				refused++
				continue
			}
			accepted++
			if err := ruleset(cfg.Clusters[0]).Validate(); err != nil {
				t.Fatalf("%s over %v is accepted, and refused later: %v", d, zones, err)
			}
		}
	}
	if accepted < 50 || refused < 50 {
		t.Errorf("%d accepted, %d refused", accepted, refused)
	}
}
