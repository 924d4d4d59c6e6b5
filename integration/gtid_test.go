package integration

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/mysqld/local"
)

// GTID arithmetic is our own code; the server is the judge of it.
func TestGTIDArithmeticAgreesWithTheServer(t *testing.T) {
	binary, err := local.Find("")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := local.Start(t.Context(), binary, local.Spec{Servers: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fleet.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := sql.Open("mysql", fleet.Servers[0].AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	tags := []string{"", "", "a", "tag_b"}
	if strings.HasPrefix(binary.Version, "8.0.") {
		tags = tags[:1] // tagged GTIDs came with 8.3
	}
	for range 500 {
		agree(t, db, randomSet(random, tags), randomSet(random, tags))
	}
}

// agree asks the server for both questions and both differences at once.
func agree(t *testing.T, db *sql.DB, a, b gtid.Set) {
	t.Helper()
	var within, holds bool
	var minus, back, both string
	err := db.QueryRowContext(t.Context(),
		"SELECT GTID_SUBSET(?, ?), GTID_SUBSET(?, ?), GTID_SUBTRACT(?, ?), GTID_SUBTRACT(?, ?), GTID_SUBTRACT(?, GTID_SUBTRACT(?, ?))",
		a.String(), b.String(), b.String(), a.String(), a.String(), b.String(), b.String(), a.String(), a.String(), a.String(), b.String(),
	).Scan(&within, &holds, &minus, &back, &both)
	if err != nil {
		t.Fatalf("%s and %s: %v", a, b, err)
	}
	if b.Contains(a) != within || a.Contains(b) != holds {
		t.Errorf("%s and %s: contain %v %v, the server says %v %v", a, b, b.Contains(a), a.Contains(b), within, holds)
	}
	for _, row := range []struct {
		what   string
		ours   gtid.Set
		theirs string
	}{
		{"minus", a.Subtract(b), minus}, {"back", b.Subtract(a), back}, {"intersection", a.Intersect(b), both},
		{"union without b", a.Union(b).Subtract(b), minus},
	} {
		if printed := strings.ReplaceAll(row.theirs, "\n", ""); row.ours.String() != printed {
			t.Errorf("%s of %s and %s: %s, the server says %s", row.what, a, b, row.ours, printed)
		}
	}
}

// randomSet draws few servers, tags and numbers, so that sets meet in every way.
func randomSet(r *rand.Rand, tags []string) gtid.Set {
	var all gtid.Set
	for range r.IntN(6) {
		u, err := gtid.ParseUUID(fmt.Sprintf("0000000%d-0000-0000-0000-000000000000", 1+r.IntN(3)))
		if err != nil {
			panic(err)
		}
		source := gtid.Source{UUID: u, Tag: tags[r.IntN(len(tags))]}
		first := int64(1 + r.IntN(12))
		all = all.Union(gtid.Range(source, first, first+int64(r.IntN(6))))
	}
	return all
}
