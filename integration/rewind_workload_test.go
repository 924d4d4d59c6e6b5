package integration

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/primacydb/primacy/topology"
)

// randomSchema has every type that a column can have, keys of several kinds, and what rows can do to one another.
var randomSchema = []string{
	`CREATE TABLE app.everything (id BIGINT PRIMARY KEY, num INT UNIQUE, tiny TINYINT UNSIGNED, small SMALLINT, medium MEDIUMINT, big BIGINT UNSIGNED,
		exact DECIMAL(25,7), flo FLOAT, dou DOUBLE, bits BIT(11), name VARCHAR(400), code CHAR(10) CHARACTER SET latin1, wide CHAR(100) CHARACTER SET utf8mb4,
		bin BINARY(8), varbin VARBINARY(300), tt TINYTEXT, te TEXT CHARACTER SET utf16, mb MEDIUMBLOB, doc JSON, kind ENUM('a','b','c'), flags SET('x','y','z'),
		d DATE, t TIME(3), dt DATETIME(6), ts TIMESTAMP(2) NULL, y YEAR, place POINT,
		next INT GENERATED ALWAYS AS (num + 1) STORED, virt VARCHAR(500) GENERATED ALWAYS AS (CONCAT(name, '!')) VIRTUAL, KEY (virt), KEY ((tiny + 1)))`,
	`CREATE TABLE app.texts (word VARCHAR(20) COLLATE utf8mb4_0900_ai_ci, n SMALLINT UNSIGNED, pad BINARY(6), v TEXT, PRIMARY KEY (word, n, pad))`,
	`CREATE TABLE app.latin (word CHAR(12) CHARACTER SET latin1 COLLATE latin1_german1_ci PRIMARY KEY, v INT)`,
	`CREATE TABLE app.days (at DATETIME(3), kind ENUM('p','q'), amount DECIMAL(8,2), v INT, PRIMARY KEY (at, kind, amount))`,
	`CREATE TABLE app.parts (id INT, region INT, v VARCHAR(20), PRIMARY KEY (id, region)) PARTITION BY HASH (region) PARTITIONS 3`,
	`CREATE TABLE app.hidden (id INT, v INT, secret INT INVISIBLE DEFAULT 3, my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY)`,
	`CREATE TABLE app.parents (id INT PRIMARY KEY, v INT)`,
	`CREATE TABLE app.children (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES app.parents (id))`,
	`CREATE TABLE app.owners (id INT PRIMARY KEY, v INT)`,
	`CREATE TABLE app.owned (id INT PRIMARY KEY, owner INT, FOREIGN KEY (owner) REFERENCES app.owners (id) ON DELETE CASCADE ON UPDATE CASCADE)`,
	`CREATE TABLE app.wide (id INT PRIMARY KEY, ` + wideColumns() + `)`,
}

var randomTables = []string{"app.everything", "app.texts", "app.latin", "app.days", "app.parts", "app.hidden", "app.parents", "app.children", "app.owners", "app.owned", "app.wide"}

func wideColumns() string {
	var columns []string
	for i := range 270 {
		columns = append(columns, fmt.Sprintf("c%d TINYINT", i))
	}
	return strings.Join(columns, ", ")
}

// randomly writes transactions that a seed chooses, in one session. What the server refuses, a key that is there already
// or a row that has children, is left out.
type randomly struct {
	*cluster
	random *rand.Rand
	conn   *sql.Conn
}

func (c *cluster) random(seed uint64, a topology.Address) *randomly {
	c.t.Helper()
	return &randomly{c, rand.New(rand.NewPCG(seed, 0)), c.root(a)}
}

func (r *randomly) transactions(n int) {
	r.t.Helper()
	defer r.conn.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	do := func(statement string, args ...any) {
		_, _ = r.conn.ExecContext(ctx, statement, args...) // refused or not
	}
	do("SET SESSION sql_mode = '', SESSION time_zone = '+05:30'")
	do(fmt.Sprintf("SET SESSION binlog_transaction_compression = %d", r.random.IntN(2)))
	for range n {
		do("BEGIN")
		for range 1 + r.random.IntN(6) {
			if r.random.IntN(10) == 0 {
				do("SAVEPOINT here")
			}
			statement, args := r.statement()
			do(statement, args...)
			if r.random.IntN(20) == 0 {
				do("ROLLBACK TO here")
			}
		}
		do("COMMIT")
	}
	if err := ctx.Err(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *randomly) id() int { return 1 + r.random.IntN(40) }

func (r *randomly) statement() (string, []any) {
	id := r.id()
	switch r.random.IntN(24) {
	case 0, 1, 2:
		return "REPLACE INTO app.everything (id, num, tiny, small, medium, big, exact, flo, dou, bits, name, code, wide, bin, varbin, tt, te, mb, doc, kind, flags, d, t, dt, ts, y, place) VALUES (" +
			strings.TrimSuffix(strings.Repeat("?, ", 26), ", ") + ", ST_GeomFromText(?))", r.everything(id)
	case 3:
		return "UPDATE app.everything SET flo = flo * 1.37, dou = dou / 3, name = ?, doc = JSON_SET(COALESCE(doc, '{}'), '$.n', ?) WHERE id < ?", []any{r.word(), r.random.Int64(), id}
	case 4:
		return "UPDATE app.everything SET id = id + 1000, num = -num WHERE id = ?", []any{id}
	case 5:
		return "DELETE FROM app.everything WHERE id BETWEEN ? AND ?", []any{id, id + 3}
	case 6:
		return "UPDATE app.everything SET num = num + 1, bits = bits + 1, ts = NULL ORDER BY num DESC", nil
	case 7, 8:
		return "INSERT INTO app.texts VALUES (?, ?, ?, ?)", []any{r.word(), r.random.IntN(3), []byte{byte(r.random.IntN(3)), 0}, r.word()}
	case 9:
		return "UPDATE app.texts SET word = UPPER(word), v = ? WHERE n = ?", []any{r.word(), r.random.IntN(3)}
	case 10:
		return "DELETE FROM app.texts WHERE n = ? LIMIT 2", []any{r.random.IntN(3)}
	case 11:
		return "INSERT INTO app.latin VALUES (?, ?) ON DUPLICATE KEY UPDATE v = v + 1, word = VALUES(word)", []any{[]string{"straße", "Äpfel", "apfel", "x", "ZÜRICH "}[r.random.IntN(5)], id}
	case 12:
		return "INSERT INTO app.days VALUES (?, ?, ?, ?)", []any{fmt.Sprintf("2024-0%d-1%d 02:03:04.%03d", 1+r.random.IntN(9), r.random.IntN(9), r.random.IntN(1000)), 1 + r.random.IntN(2), fmt.Sprintf("%d.%02d", r.random.IntN(2000)-1000, r.random.IntN(100)), id}
	case 13:
		return "UPDATE app.days SET at = at + INTERVAL 1 HOUR, v = v + 1 WHERE v < ?", []any{id}
	case 14:
		return "INSERT INTO app.parts VALUES (?, ?, ?)", []any{id, r.random.IntN(9), r.word()}
	case 15:
		return "UPDATE app.parts SET region = region + 1 WHERE id < ? ORDER BY region DESC", []any{id}
	case 16:
		return "INSERT INTO app.hidden (id, v) VALUES (?, 1), (?, 2)", []any{id, id + 1}
	case 17:
		return "UPDATE app.hidden SET secret = secret + v, v = NULL WHERE id = ?", []any{id}
	case 18:
		return "INSERT INTO app.parents VALUES (?, 1), (?, 2)", []any{id, id + 100}
	case 19:
		return "INSERT INTO app.children VALUES (?, (SELECT MAX(id) FROM app.parents))", []any{id}
	case 20:
		return "DELETE c, p FROM app.parents p LEFT JOIN app.children c ON c.parent = p.id WHERE p.id > ?", []any{60 + id}
	case 21:
		return "INSERT INTO app.owners VALUES (?, 1)", []any{id}
	case 22:
		return "INSERT INTO app.owned VALUES (?, (SELECT MIN(id) FROM app.owners WHERE id > ?))", []any{id, r.id()}
	default:
		return []string{"UPDATE app.owners SET id = id + 500 WHERE id = ?", "DELETE FROM app.owners WHERE id = ?", "REPLACE INTO app.wide (id, c0, c7, c8, c269) VALUES (?, 1, 2, NULL, 4)",
			"UPDATE app.wide SET c100 = COALESCE(c100, 0) + 1, id = id + 1 WHERE id > ? ORDER BY id DESC"}[r.random.IntN(4)], []any{id}
	}
}

func (r *randomly) everything(id int) []any {
	bytes := make([]byte, r.random.IntN(250))
	for i := range bytes {
		bytes[i] = byte(r.random.Uint32())
	}
	all := []any{id, r.random.IntN(1000), r.random.IntN(256), r.random.IntN(60000) - 30000, r.random.IntN(8000000), r.random.Uint64(),
		fmt.Sprintf("%d.%07d", r.random.Int64N(1e18)-5e17, r.random.IntN(1e7)), r.random.NormFloat64(), r.random.NormFloat64() * 1e100, r.random.IntN(2048),
		strings.Repeat(r.word(), 1+r.random.IntN(9)), r.word(), strings.Repeat("ж", r.random.IntN(100)), bytes[:min(len(bytes), 8)], bytes, r.word(), r.word(), bytes,
		fmt.Sprintf(`{"k": [%d, %g, null, true, "%d"], "o": {"a": "2024-01-01"}}`, r.random.IntN(9), r.random.NormFloat64(), r.random.IntN(9)),
		r.random.IntN(4), r.random.IntN(8), "2024-02-29", fmt.Sprintf("-%d:11:12.345", r.random.IntN(800)), "1999-12-31 23:59:59.999999", "2020-06-07 08:09:10.12", 1990 + r.random.IntN(50),
		fmt.Sprintf("POINT(%d %d)", r.random.IntN(9), r.random.IntN(9))}
	for i := 2; i < len(all); i++ {
		if r.random.IntN(6) == 0 {
			all[i] = nil
		}
	}
	return all
}

func (r *randomly) word() string {
	return []string{"", "a", "A", "ä", "é'quote\"", "back\\slash", "日本語", "😀", "trailing ", "nul\x00byte", "line\nbreak"}[r.random.IntN(11)]
}
