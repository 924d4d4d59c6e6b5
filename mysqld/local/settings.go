package local

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A setting is one line of a server's my.cnf. Names that not every supported
// version knows carry MySQL's "loose_" prefix, which turns an unknown name into
// a warning.
type setting struct{ name, value string }

// initialSettings go into the data directory itself when it is made. They are
// part of the template's key.
func initialSettings() []setting {
	return []setting{
		{"loose_mysqlx", "OFF"},
		{"disable_log_bin", ""}, // so that every copy begins with an empty gtid_executed
		{"loose_innodb_redo_log_capacity", "8M"},
		{"innodb_buffer_pool_size", "16M"},
		{"innodb_doublewrite_files", "1"},
		{"innodb_doublewrite_pages", "8"},
	}
}

// safetySettings are what failover relies on, and what a server must come back
// with after a crash: closed to writes and with its threads stopped, so that
// whoever leads the cluster decides first what it is.
//
// The source side of semi-sync is off at boot on purpose. On a replica it would
// make the applier's own commits wait for acknowledgements, which nobody sends
// for transactions that the others already hold; catching up would never end. A
// primary that comes back is closed anyway, and whoever opens it switches the
// source side on before.
func safetySettings() []setting {
	return []setting{
		{"gtid_mode", "ON"},
		{"enforce_gtid_consistency", "ON"},
		{"log_bin", "binlog"},
		{"log_replica_updates", "ON"},
		{"relay_log", "relay"},
		{"binlog_format", "ROW"},
		{"binlog_row_image", "FULL"},
		{"loose_binlog_transaction_dependency_tracking", "WRITESET"},
		{"loose_replica_parallel_type", "LOGICAL_CLOCK"},
		{"replica_preserve_commit_order", "ON"},
		{"super_read_only", "ON"},
		{"read_only", "ON"},
		{"skip_replica_start", "ON"},
		{"plugin_load_add", "semisync_source.so"},
		{"plugin_load_add", "semisync_replica.so"},
		{"plugin_load_add", "mysql_clone.so"},
		{"rpl_semi_sync_source_enabled", "OFF"},
		{"rpl_semi_sync_source_timeout", "4294967295"},
		{"rpl_semi_sync_source_wait_for_replica_count", "1"},
		{"rpl_semi_sync_source_wait_no_replica", "ON"},
		{"rpl_semi_sync_source_wait_point", "AFTER_SYNC"},
		{"rpl_semi_sync_replica_enabled", "ON"},
		{"relay_log_recovery", "OFF"},
		{"replica_net_timeout", "4"},
		{"sync_relay_log", "1"},
		{"sync_binlog", "1"},
		{"innodb_flush_log_at_trx_commit", "1"},
	}
}

// smallSettings make several servers fit on one machine. The performance schema
// keeps what replication is watched with (threads, connection attributes,
// replication tables, metadata locks) and loses its statistics, which are most
// of its memory.
func smallSettings() []setting {
	return []setting{
		{"replica_parallel_workers", "2"}, // each takes about 9 MB before it has done anything
		{"max_connections", "150"},
		{"table_open_cache", "200"},
		{"table_definition_cache", "400"},
		{"table_open_cache_instances", "1"},
		{"thread_cache_size", "16"},
		{"key_buffer_size", "1M"},
		{"tmp_table_size", "4M"},
		{"max_heap_table_size", "4M"},
		{"temptable_max_ram", "4M"},
		{"host_cache_size", "0"},
		{"innodb_buffer_pool_size", "16M"},
		{"innodb_log_buffer_size", "1M"},
		{"loose_innodb_redo_log_capacity", "64M"},
		{"innodb_page_cleaners", "1"},
		{"innodb_read_io_threads", "1"},
		{"innodb_write_io_threads", "1"},
		{"innodb_purge_threads", "1"},
		{"innodb_sort_buffer_size", "64K"},
		{"innodb_adaptive_hash_index", "OFF"},
		{"innodb_use_native_aio", "OFF"}, // the kernel's requests are a small number shared by the machine
		{"innodb_buffer_pool_dump_at_shutdown", "OFF"},
		{"innodb_buffer_pool_load_at_startup", "OFF"},
		// At every start all pages of these files are read into memory.
		{"innodb_doublewrite_files", "1"},
		{"innodb_doublewrite_pages", "8"},
		{"performance_schema_max_thread_instances", "220"},
		{"performance_schema_accounts_size", "0"},
		{"performance_schema_digests_size", "0"},
		{"performance_schema_error_size", "0"},
		{"performance_schema_events_stages_history_long_size", "0"},
		{"performance_schema_events_stages_history_size", "0"},
		{"performance_schema_events_statements_history_long_size", "0"},
		{"performance_schema_events_statements_history_size", "0"},
		{"performance_schema_events_transactions_history_long_size", "0"},
		{"performance_schema_events_transactions_history_size", "0"},
		{"performance_schema_events_waits_history_long_size", "0"},
		{"performance_schema_events_waits_history_size", "0"},
		{"performance_schema_hosts_size", "0"},
		{"performance_schema_max_cond_classes", "0"},
		{"performance_schema_max_digest_length", "0"},
		{"performance_schema_max_file_classes", "0"},
		{"performance_schema_max_file_instances", "0"},
		{"performance_schema_max_index_stat", "0"},
		{"performance_schema_max_memory_classes", "0"},
		{"performance_schema_max_mutex_classes", "0"},
		{"performance_schema_max_prepared_statements_instances", "0"},
		{"performance_schema_max_program_instances", "0"},
		{"performance_schema_max_rwlock_classes", "0"},
		{"performance_schema_max_socket_classes", "0"},
		{"performance_schema_max_sql_text_length", "1024"},
		{"performance_schema_max_statement_classes", "0"},
		{"performance_schema_max_statement_stack", "2"},
		{"performance_schema_max_table_handles", "0"},
		{"performance_schema_max_table_instances", "0"},
		{"performance_schema_max_table_lock_stat", "0"},
		{"performance_schema_users_size", "0"},
		{"max_digest_length", "0"},
	}
}

// placeSettings tie a server to its own directory and its own address. The
// socket's path is relative to the data directory, which keeps it below the
// kernel's limit of 107 bytes however deep the directory lies.
func placeSettings(dir, host string, port, id int) []setting {
	number := fmt.Sprint(port)
	return []setting{
		{"server_id", fmt.Sprint(id)},
		{"port", number},
		{"bind_address", host},
		{"report_host", host},
		{"report_port", number},
		{"skip_name_resolve", "ON"},
		{"loose_mysqlx", "OFF"},
		{"datadir", filepath.Join(dir, "data")},
		{"tmpdir", filepath.Join(dir, "tmp")},
		{"socket", socketName},
		{"pid_file", "mysqld.pid"},
		{"log_error", filepath.Join(dir, "error.log")},
		{"secure_file_priv", "NULL"},
		{"log_timestamps", "UTC"},
	}
}

// runAs lets a server run for the superuser, as in a container; it refuses
// otherwise.
func runAs() []setting {
	if os.Geteuid() == 0 {
		return []setting{{"user", "root"}}
	}
	return nil
}

// extraSettings puts a caller's options in a fixed order. They come last in the
// file, where the last line for a name wins.
func extraSettings(options map[string]string) []setting {
	var out []setting
	for _, name := range slices.Sorted(maps.Keys(options)) {
		out = append(out, setting{name, options[name]})
	}
	return out
}

// bakedOptions are the options that a data directory is made with and that
// cannot change afterwards.
func bakedOptions(options map[string]string) []setting {
	baked := maps.Clone(options)
	maps.DeleteFunc(baked, func(name, _ string) bool {
		return !slices.Contains([]string{"innodb_page_size", "lower_case_table_names", "innodb_data_file_path"}, name)
	})
	return extraSettings(baked)
}

func writeSettings(path string, groups ...[]setting) error {
	return os.WriteFile(path, []byte(renderSettings(groups...)), 0o600)
}

func renderSettings(groups ...[]setting) string {
	var text strings.Builder
	text.WriteString("[mysqld]\n")
	for _, s := range slices.Concat(groups...) {
		text.WriteString(s.name)
		if s.value != "" {
			text.WriteString(" = " + s.value)
		}
		text.WriteString("\n")
	}
	return text.String()
}
