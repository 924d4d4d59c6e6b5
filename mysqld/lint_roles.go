package mysqld

import (
	"context"
	"strings"
)

// A privilege that comes by a role counts if the role is active as soon as the account has logged in, for nobody says SET ROLE
// on a replica's connection:
//
//	(1) with activate_all_roles_on_login every role that was granted to it;
//	(2) else its default roles, as far as they are granted to it still: MySQL keeps default roles that are not;
//	(3) mandatory roles always, though the manual has them activated like others;
//	(4) and every role that was granted to an active one.
//
// Tried on 9.7 against what a session of the account may do.

// withRoles counts the hosts of an account that may replicate once they have logged in.
func (in *inspector) withRoles(ctx context.Context, name string) (int, error) {
	rows, err := in.query(ctx, askRolesAtLogin)
	if err != nil {
		return 0, err
	}
	statement, args := countReplicating(rows[0][0].on(), rolesNamed(rows[0][1].text), name)
	if rows, err = in.query(ctx, statement, args...); err != nil {
		return 0, err
	}
	return int(rows[0][0].number()), nil
}

// countReplicating asks for (1) or (2), (3) and (4).
func countReplicating(all bool, mandatory []role, name string) (string, []any) {
	atLogin, args := `SELECT e.TO_USER AS User, e.TO_HOST AS Host, e.FROM_USER AS RoleUser, e.FROM_HOST AS RoleHost FROM mysql.role_edges AS e`, []any{name}
	if !all {
		atLogin += ` JOIN mysql.default_roles AS d ON d.USER = e.TO_USER AND d.HOST = e.TO_HOST AND d.DEFAULT_ROLE_USER = e.FROM_USER AND d.DEFAULT_ROLE_HOST = e.FROM_HOST`
	}
	atLogin += ` WHERE e.TO_USER = ?`
	for _, r := range mandatory {
		atLogin += ` UNION SELECT u.User, u.Host, r.User, r.Host FROM mysql.user AS u JOIN mysql.user AS r ON r.User = ? AND r.Host = ? WHERE u.User = ?`
		args = append(args, r.user, r.host, name)
	}
	return `WITH RECURSIVE atlogin AS (` + atLogin + `), active AS (
 SELECT User, Host, RoleUser, RoleHost FROM atlogin
 UNION SELECT a.User, a.Host, e.FROM_USER, e.FROM_HOST FROM active AS a JOIN mysql.role_edges AS e ON e.TO_USER = a.RoleUser AND e.TO_HOST = a.RoleHost)
 SELECT COUNT(*) FROM mysql.user AS account WHERE account.User = ? AND (account.Repl_slave_priv = 'Y' OR EXISTS (
 SELECT 1 FROM active AS a JOIN mysql.user AS r ON r.User = a.RoleUser AND r.Host = a.RoleHost
 WHERE a.User = account.User AND a.Host = account.Host AND r.Repl_slave_priv = 'Y'))`, append(args, name)
}

// role is an account that is granted to others.
type role struct{ user, host string }

// rolesNamed reads mandatory_roles: names, quoted or not, with a host or for any.
func rolesNamed(text string) (all []role) {
	for rest := text; strings.TrimSpace(rest) != ""; {
		r := role{host: "%"}
		r.user, rest = namePart(rest)
		if after, hosted := strings.CutPrefix(rest, "@"); hosted {
			r.host, rest = namePart(after)
		}
		if r.user != "" {
			all = append(all, r)
		}
		_, rest, _ = strings.Cut(rest, ",")
	}
	return all
}

// namePart reads a name up to the @ or comma behind it, which is where the rest begins. MySQL itself finds no role with a quote in
// its name.
func namePart(text string) (name, rest string) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "`") && !strings.HasPrefix(text, "'") && !strings.HasPrefix(text, `"`) {
		end := strings.IndexAny(text, "@,")
		if end < 0 {
			end = len(text)
		}
		return strings.TrimSpace(text[:end]), text[end:]
	}
	name, rest, _ = strings.Cut(text[1:], text[:1])
	return name, strings.TrimSpace(rest)
}
