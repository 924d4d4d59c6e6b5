package api

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"github.com/primacydb/primacy/orchestrator"
)

// Event is one thing that happened, as the stream tells it.
type Event struct {
	ID       string    `json:"id" doc:"For Last-Event-ID; opaque, and another elector or another life of this one has its own."`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind" example:"recovery_stage"`
	Cluster  string    `json:"cluster,omitempty"`
	Server   string    `json:"server,omitempty"`
	Text     string    `json:"text"`
	By       string    `json:"by,omitempty"`
	Recovery string    `json:"recovery,omitempty" doc:"Id of the change that it belongs to."`
	State    string    `json:"state,omitempty" doc:"What has become of the change, when it begins or ends."`
	Finding  *Finding  `json:"finding,omitempty"`
	Stage    *Stage    `json:"stage,omitempty"`
}

// EventGap is the kind of the event that says that others were missed: fetch everything anew.
const EventGap = "gap"

const (
	// streamsMax keeps forgotten listeners from filling the memory.
	streamsMax = 128
	// eventTimeout is how long one event may take to a listener before it counts as gone.
	eventTimeout = 10 * time.Second
)

func epoch(now time.Time) string { return strconv.FormatInt(now.UnixMicro(), 36) }

func (f *front) eventOf(e orchestrator.Event) Event {
	told := Event{
		ID: f.epoch + "-" + strconv.FormatUint(e.ID, 10), At: stamp(e.At), Kind: string(e.Kind), Cluster: e.Cluster,
		Server: string(e.Server), Text: e.Text, By: e.By, Recovery: e.RecoveryID,
	}
	if e.Recovery != nil {
		told.State = string(e.Recovery.State)
	}
	if e.Finding != nil {
		finding := findingOf(*e.Finding)
		told.Finding = &finding
	}
	if e.Stage != nil {
		stage := stageOf(*e.Stage)
		told.Stage = &stage
	}
	return told
}

// numberOf reads an event's id back, for those who go back from it; without one they begin at the newest.
func (f *front) numberOf(id string) (uint64, error) {
	if id == "" {
		return math.MaxUint64, nil
	}
	of, number, _ := strings.Cut(id, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if of != f.epoch || err != nil {
		return 0, mistaken("query.before", "this elector does not remember such an event; begin anew without it")
	}
	return n, nil
}

// resume finds out after which event a listener goes on, and whether it has missed some that nobody remembers. A
// listener without a past hears what happens from now on.
func (f *front) resume(lastID string) (after uint64, missed bool) {
	recent := f.settings.Events.Recent()
	var oldest, latest uint64
	if len(recent) > 0 {
		oldest, latest = recent[0].ID, recent[len(recent)-1].ID
	}
	if lastID == "" {
		return latest, false
	}
	of, number, _ := strings.Cut(lastID, "-")
	seen, err := strconv.ParseUint(number, 10, 64)
	if of != f.epoch || err != nil || seen > latest {
		return 0, true
	}
	return seen, seen+1 < oldest
}

// stream sends events until the listener leaves, falls behind, or the server stops.
func (f *front) stream(ctx huma.Context, cluster, lastID string) {
	r, w := humamux.Unwrap(ctx)
	select {
	case f.streams <- struct{}{}:
		defer func() { <-f.streams }()
	default:
		newProblem(http.StatusServiceUnavailable, CodeTooManyStreams, fmt.Sprintf("%d listeners are connected already; close one", streamsMax)).write(w)
		return
	}
	after, missed := f.resume(lastID)
	events, stop := f.settings.Events.Listen(after)
	defer stop()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // proxies must not hold events back
	t := teller{w: w, control: http.NewResponseController(w)}
	t.say("retry: 1000\n\n")
	if missed {
		t.tell(Event{ID: f.epoch + "-" + strconv.FormatUint(after, 10), At: stamp(time.Now()), Kind: EventGap, Text: "events were missed; fetch everything anew"})
	}
	heartbeat := time.NewTicker(f.settings.Heartbeat)
	defer heartbeat.Stop()
	for t.err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-heartbeat.C:
			t.say(": alive\n\n")
		case e, open := <-events:
			if !open {
				return // it fell behind; it comes back with Last-Event-ID
			}
			if cluster == "" || e.Cluster == cluster {
				t.tell(f.eventOf(e))
			}
		}
	}
}

// teller writes to one listener; after the first failure it does nothing more.
type teller struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

func (t *teller) say(text string) {
	if t.err != nil {
		return
	}
	_ = t.control.SetWriteDeadline(time.Now().Add(eventTimeout))
	if _, t.err = t.w.Write([]byte(text)); t.err == nil {
		t.err = t.control.Flush()
	}
}

// tell relies on JSON having no line breaks, so that no text of a server can end an event and begin its own.
func (t *teller) tell(e Event) {
	data, err := json.Marshal(e)
	if err != nil {
		t.err = err
		return
	}
	t.say(fmt.Sprintf("id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data))
}
