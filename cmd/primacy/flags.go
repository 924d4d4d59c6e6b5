package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/primacydb/primacy/config"
)

// flagError is a flag that cannot be understood.
type flagError struct{ command, text string }

func (e *flagError) Error() string { return e.text }

// misused words what is wrong with a flag for people who do not know the libraries that read it.
func misused(c *cobra.Command, err error) error {
	text := err.Error()
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		text = unknownFlag(c, unknown.GetSpecifiedName())
	case errors.As(err, &invalid):
		text = fmt.Sprintf("--%s: %q is %s", invalid.GetFlag().Name, invalid.GetValue(), wrongFor(invalid.GetFlag()))
	}
	return &flagError{c.CommandPath(), text}
}

func unknownFlag(c *cobra.Command, name string) string {
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if near, found := config.Nearest(name, names); found {
		return fmt.Sprintf("--%s: there is no such flag; the nearest is --%s", name, near)
	}
	return fmt.Sprintf("--%s: there is no such flag", name)
}

// wrongFor says of a value what it should have been.
func wrongFor(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "duration":
		return "no duration; write 500ms, 50s or 5m"
	case "int":
		return "no whole number"
	case "uint64":
		return "no number from 0 to 18446744073709551615"
	case "bool":
		return "neither true nor false"
	}
	return "no " + f.Value.Type()
}
