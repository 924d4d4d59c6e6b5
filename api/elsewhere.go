package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// A call for a change that reaches an elector which does not act for the cluster is sent on, once, to the one that does:
//
//	(1) nothing is done twice: the refusal that names another elector's address is made before anything of a call is begun
//	    (orchestrator.ElsewhereError), and only such a refusal, read to its end, has a call sent on;
//	(2) nobody learns a token who could not have had it before: the first elector has it; what is sent on goes over https
//	    and through the same transport, so to somebody whose certificate the same authorities have signed for the name that
//	    is asked, which is settled before a request is written; or it never leaves this machine, and did not before;
//	(3) it ends: what comes back of a call that was sent on is not looked at for where to send it next.

// SentOnError says that a call was sent on to the elector that acts for the cluster, and what came of it when that was no
// answer.
type SentOnError struct {
	Elector string
	Err     error
}

// Error names the elector.
func (e *SentOnError) Error() string {
	return fmt.Sprintf("the call was sent on to %s, which acts for the cluster: %v", e.Elector, e.Err)
}

// Unwrap gives the cause.
func (e *SentOnError) Unwrap() error { return e.Err }

// sendOn asks the elector that a refusal names. Where it is not asked, the refusal says why.
func (c *Client) sendOn(ctx context.Context, refusal *Problem, key, method, path string, query url.Values, body []byte, into any) error {
	there, why := c.elsewhere(refusal.API)
	if why != "" {
		told := *refusal
		told.Detail += "; it was not asked from here: " + why
		return &told
	}
	c.follow(refusal.Elector, there.URL())
	err := there.sendText(ctx, key, method, path, query, body, into)
	if err == nil || errors.As(err, new(*Problem)) {
		return err
	}
	return &SentOnError{refusal.Elector, err}
}

// refusedHere is the refusal of an elector that names the one to ask, where calls are sent on; else nil.
func (c *Client) refusedHere(err error) *Problem {
	var p *Problem
	if c.follow != nil && errors.As(err, &p) && p.Code == CodeNotLeading && p.API != "" {
		return p
	}
	return nil
}

// elsewhere speaks to another elector in the same way, or says why not.
func (c *Client) elsewhere(address string) (there *Client, why string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Sprintf("%q is no URL of a control plane", clip(address))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, "its URL has more than a host and a path"
	case u.Scheme == "http" && c.base.Scheme == "https":
		return nil, "it would go from https to clear text; ask it with --api if that is meant"
	case u.Scheme == "http" && (!localName(u.Host) || !localName(c.base.Host)):
		return nil, "it would travel in clear text; ask it with --api if that is meant"
	case strings.TrimSuffix(u.String(), "/") == strings.TrimSuffix(c.base.String(), "/"):
		return nil, "that is where this answer comes from"
	}
	other := *c
	other.base = u
	return &other, ""
}
