package store

import (
	"context"
	"log/slog"
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// expected are complaints of etcd about choices that were made on purpose here, and about a directory that is seconds
// old, which it asks for its version before it has written one, and then asks again.
var expected = []string{
	"Running http and grpc server on single port. This is not recommended for production.",
	"simple token is not cryptographically signed",
	"Failed to detect schema version",
	"failed to update storage version",
	"failed to update cluster version",
}

// slogCore passes etcd's log on, quieter: what etcd calls information is detail to a user of Primacy.
type slogCore struct {
	log     *slog.Logger
	ceiling slog.Level // the highest level that a record may have
	fields  []zapcore.Field
}

// etcdLogger makes a logger for etcd. A fatal error panics instead of ending the process without a word, so that Open
// can report it.
func etcdLogger(log *slog.Logger, ceiling slog.Level) *zap.Logger {
	core := slogCore{log: log.With("component", "etcd"), ceiling: ceiling}
	return zap.New(core, zap.WithFatalHook(zapcore.WriteThenPanic))
}

func (c slogCore) level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return min(slog.LevelError, c.ceiling)
	case l == zapcore.WarnLevel:
		return min(slog.LevelWarn, c.ceiling)
	}
	return slog.LevelDebug
}

func (c slogCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.InfoLevel && c.log.Enabled(context.Background(), c.level(l))
}

func (c slogCore) With(fields []zapcore.Field) zapcore.Core {
	c.fields = slices.Concat(c.fields, fields)
	return c
}

func (c slogCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !slices.Contains(expected, e.Message) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c slogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	var attrs []slog.Attr
	for _, f := range slices.Concat(c.fields, fields) {
		encoded := zapcore.NewMapObjectEncoder()
		f.AddTo(encoded)
		for k, v := range encoded.Fields {
			attrs = append(attrs, slog.Any(k, v))
		}
	}
	c.log.LogAttrs(context.Background(), c.level(e.Level), e.Message, attrs...)
	return nil
}

func (c slogCore) Sync() error { return nil }
