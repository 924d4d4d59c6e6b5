// Package mysqld speaks to real MySQL servers: it keeps connections to them, reads what they show, and
// carries out commands on them in fenced sessions. The only SQL of the project stands here, each
// statement beside the versions that it was tried on.
package mysqld
