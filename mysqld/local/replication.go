package local

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

func plain(text string) statement { return statement{text: text} }

// setPasswords gives the accounts, which the template left locked, the passwords
// of this fleet. They stay out of the binary log: each server gets them from us,
// and none has a transaction of its own afterwards.
func (s *Server) setPasswords(ctx context.Context, users Users) error {
	statements := []statement{plain("SET GLOBAL super_read_only = OFF"), plain("SET SESSION sql_log_bin = OFF")}
	for _, account := range []Account{users.Primacy, users.Replica, users.App} {
		text := "ALTER USER " + quoteName(account.Name) + "@'%' IDENTIFIED BY ? ACCOUNT UNLOCK"
		statements = append(statements, statement{text, []any{account.Password}})
	}
	// Persisted although the option file says the same: once a value was changed at run time, only what is
	// persisted can still be seen to hold at the next start.
	return s.execute(ctx, append(statements, plain("SET PERSIST_ONLY super_read_only = ON"), plain("SET GLOBAL super_read_only = ON"))...)
}

// follow makes the server a replica of source. Its source's key, with which the
// password is sent enciphered, costs less than TLS for every packet of a
// connection that never leaves this machine.
func (s *Server) follow(ctx context.Context, source *Server, account Account) error {
	change := `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
		SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_HEARTBEAT_PERIOD = 0.5, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 86400`
	return s.execute(ctx, statement{change, []any{source.Host, source.Port, account.Name, account.Password}}, plain("START REPLICA"))
}

// lead opens the server for writes once its ackers are attached. The order is
// the one that a failover keeps: acknowledgements are asked for before anything
// can be written.
func (s *Server) lead(ctx context.Context, ackers int) error {
	if ackers > 0 {
		if err := s.awaitAckers(ctx, ackers); err != nil {
			return err
		}
		if err := s.execute(ctx, plain("SET GLOBAL rpl_semi_sync_source_enabled = ON")); err != nil {
			return err
		}
	}
	return s.execute(ctx, plain("SET GLOBAL super_read_only = OFF"), plain("SET GLOBAL read_only = OFF"))
}

func (s *Server) awaitAckers(ctx context.Context, want int) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		value, err := s.status(ctx, "Rpl_semi_sync_source_clients")
		if err != nil {
			return err
		}
		count, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("server %s (%s): %q acknowledging replicas: %w", s.Name, s.Address(), value, err)
		}
		if count >= want {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d replicas attached to server %s (%s): %w", count, want, s.Name, s.Address(), ctx.Err())
		}
	}
}
