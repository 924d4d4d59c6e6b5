package topology

// What to do about MySQL's error numbers. Texts change between versions and languages, numbers do not.

var loginAdvices = map[int]string{
	1040: "too many connections; raise max_connections or end idle sessions",
	1044: "the account may not use the schema; grant it what the documentation lists",
	1045: "wrong user or password; mend mysql.user and mysql.password_file, or the account on the server",
	1053: "it is shutting down",
	1129: "it blocks our host after connection errors; run TRUNCATE TABLE performance_schema.host_cache on it",
	1130: "the account may not log in from our host; create it for this host",
	1142: "a table privilege is missing; grant the account what the documentation lists",
	1203: "the account has too many connections; raise max_user_connections",
	1226: "the account is over a resource limit; raise it",
	1227: "a privilege is missing; grant the account what the documentation lists",
	1251: "the account's authentication plugin is not supported; use caching_sha2_password",
	1820: "the account's password has expired; set a new one",
	1862: "the account's password has expired; set a new one",
	2026: "TLS failed; check the certificates and mysql.tls",
	2059: "the account's authentication plugin is not supported; use caching_sha2_password",
	2061: "the account needs TLS or the server's public key; configure mysql.tls",
	3032: "it is in offline mode and the account lacks CONNECTION_ADMIN; grant it, or SET GLOBAL offline_mode=OFF",
	3118: "the account is locked; ALTER USER … ACCOUNT UNLOCK",
	3159: "it demands TLS; configure mysql.tls",
}

func loginAdvice(errno int) string {
	if advice, ok := loginAdvices[errno]; ok {
		return advice
	}
	return "see the server's error log"
}

var receiverAdvices = map[int]string{
	1040:  "the source has too many connections; raise max_connections there",
	1045:  "the replication account or its password is wrong; mend the account there, or replication.user and replication.password_file (SOURCE_USER, SOURCE_PASSWORD)",
	1129:  "the source blocks this host after connection errors; run TRUNCATE TABLE performance_schema.host_cache there",
	1130:  "the replication account may not log in from this host; create it for this host",
	1227:  "the replication account lacks REPLICATION SLAVE; grant it on the source",
	1236:  "the source cannot send what this server asks for: purged, damaged, or a packet over max_allowed_packet",
	1593:  "it cannot read what the source sends, as when its replica side of semi-sync was switched off while it ran, or both have one server_id or server_uuid",
	1698:  "the replication account has no password of that kind; mend it on the source",
	2003:  "it cannot reach the source's host and port; check network, firewall and address",
	2005:  "it cannot resolve the source's name",
	2006:  "the connection to the source broke",
	2013:  "the connection to the source broke while it was in use; check the network",
	2026:  "TLS to the source failed; check the certificates",
	2061:  "the replication account needs TLS or SOURCE_PUBLIC_KEY_PATH, GET_SOURCE_PUBLIC_KEY=1",
	3159:  "the source demands TLS from the replication account; configure replication.tls",
	13114: "the source cannot send what this server asks for: purged, damaged, or a packet over max_allowed_packet",
	13117: "it cannot read what the source sends, as when its replica side of semi-sync was switched off while it ran, or both have one server_id or server_uuid",
}

// hopelessReceiverErrno tells whether a receiver that is started again would end the same way until somebody mends its
// cause: what it asks for cannot be sent. 1593 and 13117 stand for several ends, among them those of a receiver whose
// replica side of semi-sync was switched off while it ran, and of one whose source has its own identity; only the latter
// is hopeless, and the identities themselves tell. With all other errors it tries as often as SOURCE_RETRY_COUNT says, ten
// times by default in later versions, and is then off for good.
func hopelessReceiverErrno(errno int) bool { return errno == 1236 || errno == 13114 }

// refusedLogin tells whether a receiver is refused by its source for what it was told to log in with: account, password, or
// TLS. MySQL goes on trying with the same, so that it takes another CHANGE REPLICATION SOURCE once the account was changed.
func refusedLogin(errno int) bool {
	return errno == 1045 || errno == 1698 || errno == 2026 || errno == 2061 || errno == 3159
}

func receiverAdvice(errno int) string {
	if advice, ok := receiverAdvices[errno]; ok {
		return advice
	}
	return "see performance_schema.replication_connection_status on it"
}

var applierAdvices = map[int]string{
	1032:  "a row that a transaction changes is missing: its data has diverged; rebuild it by clone",
	1050:  "a table that a transaction creates exists already: its data has diverged; rebuild it by clone",
	1051:  "a table that a transaction drops is missing: its data has diverged; rebuild it by clone",
	1062:  "a row that a transaction inserts exists already: its data has diverged; rebuild it by clone",
	1114:  "a table or the disk is full; make room and start the applier",
	1146:  "a table that a transaction changes is missing: its data has diverged; rebuild it by clone",
	1205:  "it waited too long for a lock; starting the applier tries again",
	1213:  "it met a deadlock; starting the applier tries again",
	13121: "its relay log cannot be read; fetch it again when another server holds the transactions, else keep it",
}

func applierAdvice(errno int) string {
	if advice, ok := applierAdvices[errno]; ok {
		return advice
	}
	return "see performance_schema.replication_applier_status_by_worker on it"
}

// transientApplierErrno tells whether starting the applier again may simply work.
func transientApplierErrno(errno int) bool { return errno == 1205 || errno == 1213 }
