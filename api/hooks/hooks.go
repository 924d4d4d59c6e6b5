// Package hooks tells programs and web addresses of the operator's choice what happened.
package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/primacydb/primacy/orchestrator"
)

// Hook is one listener: a command, which gets each event as JSON on its standard input, or a URL, which
// gets it by POST.
type Hook struct {
	Name    string
	Events  []orchestrator.EventKind // empty: all
	Command []string
	URL     string
	Timeout time.Duration // for each call
}

// Runner feeds the hooks from the stream; Close ends it.
type Runner struct {
	log     *slog.Logger
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Start begins to feed the hooks. A hook is told of one event at a time, in order; one that fails is
// logged and not tried again, and a slow one delays no other.
func Start(stream *orchestrator.Stream, all []Hook, log *slog.Logger) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runner{log: log, cancel: cancel}
	for _, h := range all {
		r.running.Go(func() { r.feed(ctx, stream, h) })
	}
	return r
}

// Close ends the calls under way and waits for them.
func (r *Runner) Close() {
	r.cancel()
	r.running.Wait()
}

// feed listens again, from the last event on, whenever it fell too far behind.
func (r *Runner) feed(ctx context.Context, stream *orchestrator.Stream, h Hook) {
	var last uint64
	for ctx.Err() == nil {
		events, stop := stream.Listen(last)
		last = r.drain(ctx, events, h, last)
		stop()
	}
}

func (r *Runner) drain(ctx context.Context, events <-chan orchestrator.Event, h Hook, last uint64) uint64 {
	for {
		select {
		case <-ctx.Done():
			return last
		case e, open := <-events:
			if !open {
				return last
			}
			last = e.ID
			r.tell(ctx, h, e)
		}
	}
}

func (r *Runner) tell(ctx context.Context, h Hook, e orchestrator.Event) {
	if len(h.Events) > 0 && !slices.Contains(h.Events, e.Kind) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	body, err := json.Marshal(e)
	if err == nil {
		err = h.call(ctx, body)
	}
	if err != nil {
		r.log.Warn("hook failed", "hook", h.Name, "event", string(e.Kind), "id", e.ID, "error", err.Error())
	}
}

func (h Hook) call(ctx context.Context, body []byte) error {
	if h.URL != "" {
		return withoutAddress(h.post(ctx, body))
	}
	command := exec.CommandContext(ctx, h.Command[0], h.Command[1:]...)
	command.Stdin = bytes.NewReader(body)
	command.WaitDelay = time.Second
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(output[:min(len(output), outputMax)]))
	}
	return nil
}

// outputMax is how much of a failing command's output is logged.
const outputMax = 512

// withoutAddress leaves out the address, which is in the configuration under the hook's name: its path or query may be what
// lets somebody in.
func withoutAddress(err error) error {
	if where := new(url.Error); errors.As(err, &where) {
		return where.Err
	}
	return err
}

func (h Hook) post(ctx context.Context, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, outputMax) // lets the connection be used again; its text is of no use
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}
