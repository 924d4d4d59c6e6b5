package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
)

const keyHeader = "Idempotency-Key"

// Conditions keep a call that changes something from being carried out twice, or on another state than its caller knows.
type Conditions struct {
	Key     string `header:"Idempotency-Key" maxLength:"100" pattern:"^[ -~]+$" patternDescription:"printable ASCII" doc:"A text of the caller's choice, new for each call. One that is repeated with it, because its answer was lost, does nothing a second time: it is answered with what the first one has brought about. It is kept with that in the store, so other electors know it too, as long as what it did is among the latest 20 changes of the cluster, or the latest 20 other calls. The same key with another body is 422 with code idempotency_conflict. Dry runs need none."`
	IfMatch string `header:"If-Match" maxLength:"1000" doc:"ETag or quoted revision of the cluster, as the caller has seen it; when its revision is another one by now, nothing is done, and the answer is 412 with code changed."`
}

// order is who asks for what, and when it may be done. A key counts for one caller, one kind of call and one cluster or
// server: others may have chosen the same.
func (in Conditions) order(ctx context.Context, reason, call string, request any) (orchestrator.Order, error) {
	o := orchestrator.Order{By: callerOf(ctx).name, Reason: reason}
	var err error
	if o.Revisions, err = revisions(in.IfMatch); err != nil || in.Key == "" {
		return o, err
	}
	asked, err := json.Marshal(request)
	if err != nil {
		return o, err
	}
	o.Call = reparent.Call{Key: digest(o.By, call, in.Key), Digest: digest(string(asked))}
	return o, nil
}

// digest is of fixed length, whatever callers choose, and tells parts apart.
func digest(parts ...string) string {
	all := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256([]byte(p))
		all.Write(sum[:])
	}
	return hex.EncodeToString(all.Sum(nil)[:16])
}

// revisions are those that a header allows; none for all. Of an ETag the part that tells what the probes saw does not count.
func revisions(ifMatch string) ([]string, error) {
	var all []string
	if strings.TrimSpace(ifMatch) == "*" {
		return nil, nil
	}
	for tag := range strings.SplitSeq(ifMatch, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		inner, opened := strings.CutPrefix(tag, `"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		switch revision, _, _ := strings.Cut(inner, "."); {
		case tag == "":
		case !opened || !closed || revision == "":
			return nil, mistaken("header.If-Match", clip(tag)+` is no ETag; write it as it came, with its quotation marks`)
		default:
			all = append(all, revision)
		}
	}
	return all, nil
}
