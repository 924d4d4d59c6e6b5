package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/primacydb/primacy/orchestrator"
)

// crowded knows many clusters, and not the one that is asked for.
type crowded struct{ *plane }

func (c crowded) Clusters() []orchestrator.View {
	all := make([]orchestrator.View, 25)
	for i := range all {
		all[i].Name = fmt.Sprintf("shop-%02d", i)
	}
	return all
}

func TestATypingErrorInALargeFleetIsNotAnsweredWithAllOfIt(t *testing.T) {
	p := shop()
	s := serveWith(t, p, func(s *Settings) { s.Plane = crowded{p} })
	err := s.client.Call(t.Context(), http.MethodGet, prefix+"/clusters/shap", nil, nil)
	var problem *Problem
	if !errors.As(err, &problem) || !strings.HasSuffix(problem.Detail, "shop-19, and 5 more") {
		t.Errorf("got %v", err)
	}
}
