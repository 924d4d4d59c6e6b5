package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

func (p *plane) Certificate(_ context.Context, _, id string) ([]byte, error) {
	switch {
	case id != p.end.ID:
		return nil, orchestrator.ErrNoSuchRecovery
	case p.end.Running():
		return nil, orchestrator.ErrNoCertificate
	}
	text, err := json.Marshal(p.end)
	if err != nil {
		return nil, err
	}
	return reparent.CertificateOf(text)
}

func TestACertificateIsServedToTheLetterAndWithItsVerdict(t *testing.T) {
	p := shop()
	p.end.State = reparent.StateSucceeded
	sealed, err := p.end.Sealed()
	if err != nil {
		t.Fatal(err)
	}
	p.end = sealed
	s := serveWith(t, p, nil)
	text, err := s.client.Certificate(t.Context(), "shop", p.end.ID)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := reparent.ReadCertificate(text); err != nil || c.Operation.Digest != p.end.Digest || c.Claims()[0].Standing != reparent.Holds {
		t.Errorf("%v: got %s", err, text)
	}
	var v Verification
	if err := s.client.Call(t.Context(), http.MethodGet, prefix+"/clusters/shop/recoveries/"+p.end.ID+"/verification", nil, &v); err != nil {
		t.Fatal(err)
	}
	if v.Digest != p.end.Digest || v.Claims[0] != (Claim{"seal", "holds", v.Claims[0].Detail}) || v.Follows != nil {
		t.Errorf("got %+v", v)
	}
	if v.Verified {
		t.Error("a change of which nothing is known but its end is said to be proven")
	}
}

func TestAChangeThatHasNotEndedHasNoCertificate(t *testing.T) {
	p := shop()
	p.end.State = reparent.StateRunning
	s := serveWith(t, p, nil)
	for id, code := range map[string]string{p.end.ID: CodeNoCertificate, "shop-9": CodeNoSuchRecovery} {
		_, err := s.client.Certificate(t.Context(), "shop", id)
		var problem *Problem
		if !errors.As(err, &problem) || problem.Code != code {
			t.Errorf("%s: %v, want %s", id, err, code)
		}
	}
}
