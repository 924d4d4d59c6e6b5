package store

import (
	"bytes"
	"fmt"
	"testing"
)

// The writes that a failover waits for, with every fsync that etcd makes of them.
func BenchmarkPut(b *testing.B) {
	eachKind(b, func(b *testing.B, l *Lease) {
		text := bytes.Repeat([]byte("x"), 4000)
		for i := range b.N {
			must(b, l.Put(b.Context(), Document{Key: fmt.Sprint("operations/shop/", i%100), Value: text}))
		}
	})
}

func BenchmarkNextTerm(b *testing.B) {
	eachKind(b, func(b *testing.B, l *Lease) {
		for range b.N {
			_, err := l.NextTerm(b.Context(), 0)
			must(b, err)
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	eachKind(b, func(b *testing.B, l *Lease) {
		for range b.N {
			must(b, l.Update(b.Context(), "fleet/brake", increment))
		}
	})
}

func BenchmarkAcquireAndRelease(b *testing.B) {
	eachKind(b, func(b *testing.B, l *Lease) {
		for range b.N {
			must(b, acquire(b, l.store, "other").Release(b.Context()))
		}
	})
}

func eachKind(b *testing.B, bench func(*testing.B, *Lease)) {
	run := func(settings Settings) func(*testing.B) {
		return func(b *testing.B) {
			l := acquire(b, open(b, settings), "shop")
			b.ResetTimer()
			bench(b, l)
			b.StopTimer()
		}
	}
	b.Run("embedded", run(Settings{Dir: b.TempDir()}))
	b.Run("in another process", run(Settings{Endpoints: []string{startEtcdProcess(b).endpoint}}))
}
