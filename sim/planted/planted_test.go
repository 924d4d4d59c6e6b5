package main

import "testing"

func TestEveryEditFindsItsPlace(t *testing.T) {
	p, err := inProject(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bugs() {
		if _, err := p.plant([]bug{b}); err != nil {
			t.Error(err)
		}
	}
}
