package mysqld

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/primacydb/primacy/topology"
)

// plainValue is what a value that goes into a statement may consist of.
var plainValue = regexp.MustCompile(`^[A-Z0-9_]+$`)

// Persist makes one setting of a server last. It sets nothing but what topology.Fixes names, and no other value than one that
// the linter asks for or the server has already.
func (f *Fleet) Persist(ctx context.Context, server topology.Address, fix topology.Fix) error {
	known := slices.ContainsFunc(topology.Fixes(), func(one topology.Fix) bool { return one.Variable == fix.Variable })
	if !known || !plainValue.MatchString(fix.Value) {
		return fmt.Errorf("%s: %s is not among the settings that may be made without asking", server, fix.Statement())
	}
	ctx, cancel := context.WithTimeout(ctx, inspectionMax)
	defer cancel()
	l, err := f.dial(ctx, server, nil)
	if err != nil {
		return err
	}
	defer l.close()
	if err := l.exec(ctx, fix.Statement()); err != nil {
		return fmt.Errorf("%s: %w", fix.Statement(), err)
	}
	return nil
}
