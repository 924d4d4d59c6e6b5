package panorama

import (
	"context"
	"encoding/json"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

var _ api.CertificatePlane = (*Plane)(nil)

// Certificate implements api.CertificatePlane.
func (p *Plane) Certificate(_ context.Context, _, id string) ([]byte, error) {
	p.mu.Lock()
	op, err := p.find(id)
	p.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case op.Running():
		return nil, orchestrator.ErrNoCertificate
	}
	if op, err = op.Sealed(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(op)
	if err != nil {
		return nil, err
	}
	return reparent.CertificateOf(text)
}
