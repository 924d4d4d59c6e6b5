package hooks

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/primacydb/primacy/orchestrator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAWebhookGetsTheEventsItAskedForInOrder(t *testing.T) {
	got := make(chan orchestrator.Event, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e orchestrator.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || r.Method != http.MethodPost {
			t.Errorf("%s %v", r.Method, err)
		}
		got <- e
	}))
	defer server.Close()
	stream := orchestrator.NewStream(nil)
	hook := Hook{Name: "web", URL: server.URL, Timeout: 10 * time.Second, Events: []orchestrator.EventKind{orchestrator.EventRefused}}
	r := Start(stream, []Hook{hook}, slog.New(slog.DiscardHandler))
	defer r.Close()
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventRefused, Text: "first"})
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventRepair, Text: "not asked for"})
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventRefused, Text: "second"})
	for _, want := range []string{"first", "second"} {
		if e := <-got; e.Text != want {
			t.Errorf("got %q, want %q", e.Text, want)
		}
	}
}

func TestACommandGetsTheEventOnItsInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event.json")
	stream := orchestrator.NewStream(nil)
	hook := Hook{Name: "file", Command: []string{"sh", "-c", `cat > "$0.new" && mv "$0.new" "$0"`, path}, Timeout: 10 * time.Second}
	r := Start(stream, []Hook{hook}, slog.New(slog.DiscardHandler))
	defer r.Close()
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventLeading, Text: "it leads", Cluster: "shop"})
	text := await(t, func() string {
		text, _ := os.ReadFile(path)
		return string(text)
	})
	if !strings.Contains(text, `"cluster":"shop"`) || !strings.Contains(text, `"text":"it leads"`) {
		t.Errorf("the command got %s", text)
	}
}

func TestAFailingHookIsLoggedWithWhatItSaid(t *testing.T) {
	var log lockedBuffer
	stream := orchestrator.NewStream(nil)
	hook := Hook{Name: "broken", Command: []string{"sh", "-c", "echo no pager >&2; exit 3"}, Timeout: 10 * time.Second}
	r := Start(stream, []Hook{hook}, slog.New(slog.NewTextHandler(&log, nil)))
	defer r.Close()
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventLeading})
	text := await(t, log.String)
	if !strings.Contains(text, "hook=broken") || !strings.Contains(text, "no pager") {
		t.Errorf("logged %s", text)
	}
}

// The path of a webhook is what many services go by instead of a password.
func TestAnAddressThatIsItsOwnPasswordIsNotLogged(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close() // so nobody answers there
	var log lockedBuffer
	stream := orchestrator.NewStream(nil)
	hook := Hook{Name: "web", URL: server.URL + "/services/T0/geheim?key=geheim", Timeout: 10 * time.Second}
	r := Start(stream, []Hook{hook}, slog.New(slog.NewTextHandler(&log, nil)))
	defer r.Close()
	stream.Tell(orchestrator.Event{Kind: orchestrator.EventLeading})
	text := await(t, log.String)
	if strings.Contains(text, "geheim") || !strings.Contains(text, "hook=web") || !strings.Contains(text, "refused") {
		t.Errorf("logged %s", text)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

var _ io.Writer = (*lockedBuffer)(nil)

// await looks again and again until there is something.
func await(t *testing.T, look func() string) string {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if text := look(); text != "" {
			return text
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("nothing came")
		}
	}
}
