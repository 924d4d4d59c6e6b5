package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/primacydb/primacy/reparent"
)

// ErrNoCertificate is returned for a change that is under way, or ended under a release that sealed none.
var ErrNoCertificate = errors.New("there is no certificate of it")

// Certificate is the file that proves of one change of a cluster why it was safe: what was put on record when it ended, to the
// letter. It says nothing of what is in it: reparent.ReadCertificate and its Claims do.
func (o *Orchestrator) Certificate(ctx context.Context, cluster, id string) ([]byte, error) {
	c, err := o.find(cluster)
	if err != nil {
		return nil, err
	}
	d, found, err := c.stored(ctx, id)
	switch {
	case err != nil && !found:
		return nil, err
	case !found && o.storeSilent():
		return nil, fmt.Errorf("recovery %q is not among the latest that this elector remembers: %w", id, ErrStoreSilent)
	case !found:
		return nil, fmt.Errorf("%w: %q", ErrNoSuchRecovery, id)
	}
	return certificateOf(d, id)
}

func certificateOf(d Document, id string) ([]byte, error) {
	op, err := decodeOperation(d)
	switch {
	case err != nil:
		return nil, err
	case op.Running():
		return nil, fmt.Errorf("recovery %s is under way: %w yet", id, ErrNoCertificate)
	case op.Digest == "":
		return nil, fmt.Errorf("recovery %s ended under a release that made none: %w", id, ErrNoCertificate)
	}
	text, err := d.Text()
	if err != nil {
		return nil, err
	}
	var whole struct {
		Operation json.RawMessage `json:"operation"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		return nil, fmt.Errorf("read stored document %s: %w", d.Key, err)
	}
	return reparent.CertificateOf(whole.Operation)
}
