package orchestrator

import (
	"context"
	"fmt"
	"sync"
)

// recording is whether a change that was begun has come on record. Until then nobody else knows of it, and nothing has been
// done to any server for it: what comes first waits for that.
type recording struct {
	id   string
	once sync.Once
	over chan struct{} // closed once it is known
	err  error
}

func newRecording(id string) *recording { return &recording{id: id, over: make(chan struct{})} }

// end tells what came of it; the first word counts.
func (r *recording) end(err error) {
	r.once.Do(func() {
		r.err = err
		close(r.over)
	})
}

// OnRecord waits until a change that was begun here has come on record. An error says that it did not and will not: it was
// given up with the lock. Where ctx ends first, and of changes that are over, nothing is said.
func (o *Orchestrator) OnRecord(ctx context.Context, id string) error {
	for _, name := range o.names {
		if r := o.clusters[name].recordingOf(id); r != nil {
			select {
			case <-r.over:
				return r.err
			case <-ctx.Done():
				return nil
			}
		}
	}
	return nil
}

func (c *cluster) recordingOf(id string) *recording {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recording == nil || c.recording.id != id {
		return nil
	}
	return c.recording
}

// recordFrom makes the recording of a change that begins now the one that is asked for.
func (c *cluster) recordFrom(id string) *recording {
	r := newRecording(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recording = r
	return r
}

// unrecorded is what is said of a change that never came on record.
func unrecorded(id string) error {
	return fmt.Errorf("%w: %s was begun and given up before it was on record, and nothing was done to any server", ErrNotLeading, id)
}
