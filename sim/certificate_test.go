package sim

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/primacydb/primacy/reparent"
)

// ended are the certificates of the changes that ended in a lifetime, as they were put on record, in the order in which
// they were.
func (w *world) ended() (all []reparent.Certificate, err error) {
	for _, e := range w.store.history.entries {
		if !strings.HasPrefix(e.document.Key, "recoveries/") {
			continue
		}
		text, err := e.document.Text()
		if err != nil {
			return nil, err
		}
		var stored struct {
			Operation json.RawMessage `json:"operation"`
		}
		if err := json.Unmarshal(text, &stored); err != nil {
			return nil, err
		}
		file, err := reparent.CertificateOf(stored.Operation)
		if err != nil {
			return nil, err
		}
		c, err := reparent.ReadCertificate(file)
		if err != nil {
			return nil, err
		}
		if c.Operation.Digest != "" {
			all = append(all, c)
		}
	}
	return all, nil
}

// lives runs lifetimes on all cores, and asks something of each when it is over.
func certified(t *testing.T, n int, o Options, ask func(seed uint64, all []reparent.Certificate) error) {
	t.Helper()
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= uint64(n); seed = next.Add(1) {
				w := newWorld(seed, o)
				w.live()
				all, err := w.ended()
				if err == nil {
					err = ask(seed, all)
				}
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	workers.Wait()
}

const lifetimes = 200

func TestWhateverChangeEndsItsCertificateProvesIt(t *testing.T) {
	var mu sync.Mutex
	counted := map[string]int{}
	certified(t, lifetimes, Options{}, func(seed uint64, all []reparent.Certificate) error {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range all {
			op := c.Operation
			counted[string(op.Kind)+" "+string(op.State)]++
			for _, claim := range c.Claims() {
				counted[claim.Name+" "+string(claim.Standing)]++
				if claim.Standing == reparent.Refuted {
					return fmt.Errorf("%s: %s change, %s: %s: %s", op.ID, op.Kind, op.State, claim.Name, claim.Detail)
				}
			}
		}
		return nil
	})
	t.Log(counted)
}
