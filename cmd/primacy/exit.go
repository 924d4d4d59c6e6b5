package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/config"
)

// The exit codes; scripts rely on them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2 // bad usage or configuration
	exitBlocked = 3 // nothing was changed
)

// usageError is a mistake in how the program was called.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// endedError is a change that ended otherwise than wished, and has been told already.
type endedError struct{ code int }

func (e *endedError) Error() string { return "the change did not succeed" }

// conclude tells an error and turns it into the exit code.
func conclude(err error, begun bool, t *terminal) int {
	var told *endedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &told):
		return told.code
	case errors.Is(err, errStory):
		return exitFailed
	}
	t.complain(err)
	var wrong *flagError
	switch {
	case errors.As(err, &wrong):
		t.say("See: %s --help", wrong.command)
		return exitUsage
	case !begun:
		t.say("See: primacy --help")
		return exitUsage
	}
	return codeOf(err)
}

func codeOf(err error) int {
	var usage *usageError
	var configuration config.Errors
	var problem *api.Problem
	switch {
	case errors.As(err, &usage), errors.As(err, &configuration):
		return exitUsage
	case errors.As(err, &problem):
		return codeOfProblem(problem.Code)
	}
	return exitFailed
}

func codeOfProblem(code string) int {
	switch code {
	case api.CodeBlocked, api.CodeBusy, api.CodeChanged, api.CodeCannotSettle, api.CodeNotErrant, api.CodeCannotStop:
		return exitBlocked
	case api.CodeInvalid, api.CodeNoSuchCluster, api.CodeNoSuchServer, api.CodeNoSuchRecovery:
		return exitUsage
	}
	return exitFailed
}

// asProblem is what a control plane said; nil when it said nothing.
func asProblem(err error) *api.Problem {
	var problem *api.Problem
	errors.As(err, &problem)
	return problem
}

// complain prints what went wrong and, where something is known to help, what.
func (t *terminal) complain(err error) {
	var problem *api.Problem
	if errors.As(err, &problem) && problem.Obstacle != nil {
		t.obstacle("Blocked, nothing was changed", problem.Obstacle)
		return
	}
	var configuration config.Errors
	if errors.As(err, &configuration) {
		for _, p := range configuration {
			t.say("%s", shown(p.String())) // one in a line, so that editors can jump to the place
		}
		return
	}
	for i, line := range strings.Split(spoken(err.Error(), problem), "\n") {
		if i == 0 {
			line = "primacy: " + line
		}
		t.wrapped("", line, plain)
	}
	if help := remedy(err, problem); help != "" {
		t.wrapped("  ", help, plain)
	}
}

// byFlag is how the API names what came by a flag.
var byFlag = regexp.MustCompile(`(^|; )query\.([a-z_]+)(?:\[\d+\])?: `)

// spoken has a problem speak of flags and commands, where the API does of its parameters and paths.
func spoken(text string, problem *api.Problem) string {
	switch {
	case problem == nil:
		return text
	case problem.Code == api.CodeNoSuchRecovery:
		return strings.TrimSuffix(text, "; /api/v1/recoveries lists them")
	case problem.Code != api.CodeInvalid:
		return text
	}
	return byFlag.ReplaceAllStringFunc(text, func(part string) string {
		found := byFlag.FindStringSubmatch(part)
		return found[1] + "--" + strings.ReplaceAll(found[2], "_", "-") + ": "
	})
}

func remedy(err error, problem *api.Problem) string {
	var gone *api.UnreachableError
	var untrusted *api.UntrustedError
	var sentOn *api.SentOnError
	switch {
	case errors.Is(err, context.Canceled):
		return ""
	case errors.As(err, &sentOn):
		return fmt.Sprintf("Its address comes from advertise in the configuration of %s: it has to be reached from here, with a certificate that this machine or --ca-file accepts.", sentOn.Elector)
	case errors.Is(err, api.ErrScheme):
		return ""
	case errors.As(err, &untrusted):
		return untrusted.Remedy()
	case errors.As(err, &gone):
		return "Start one with `primacy serve --config FILE` or `primacy sandbox`, or point to another with --api URL or PRIMACY_API."
	case problem == nil:
		return ""
	case problem.Code == api.CodeUnauthorized:
		return "Set PRIMACY_TOKEN, or give a file with --token-file."
	case problem.Code == api.CodeNoSuchRecovery:
		return "They are listed by `primacy recoveries`."
	case problem.Code == api.CodeForbidden:
		return "Use a token of somebody with that role."
	}
	return ""
}

// obstacle tells why a change was not made, what it needs and what would help.
func (t *terminal) obstacle(title string, o *api.Obstacle) {
	t.wrapped("", title+": "+o.Message, bold)
	for i, set := range o.Needs {
		word := "  needs "
		if i > 0 {
			word = "  or    "
		}
		t.hanging(word, "        ", strings.Join(set, " and "), plain)
	}
	if o.Remedy != "" {
		t.wrapped("  ", "Remedy: "+o.Remedy, plain)
	}
}
