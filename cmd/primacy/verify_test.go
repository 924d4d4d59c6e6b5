package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/reparent"
	"github.com/primacydb/primacy/topology"
	"github.com/primacydb/primacy/topology/topologytest"
)

// archive is a control plane with the certificates of its changes.
type archive struct {
	*plane
	ops []reparent.Operation
}

func (a archive) Recoveries(context.Context, string, int) ([]reparent.Operation, error) {
	all := slices.Clone(a.ops)
	slices.Reverse(all)
	return all, nil
}

func (a archive) Certificate(_ context.Context, _, id string) ([]byte, error) {
	for _, op := range a.ops {
		if op.ID == id && op.Running() {
			return nil, orchestrator.ErrNoCertificate
		}
		if op.ID == id {
			return fileOf(op)
		}
	}
	return nil, orchestrator.ErrNoSuchRecovery
}

func fileOf(op reparent.Operation) ([]byte, error) {
	text, err := json.Marshal(op)
	if err != nil {
		return nil, err
	}
	return reparent.CertificateOf(text)
}

func verifying(t *testing.T, ops []reparent.Operation, args ...string) result {
	t.Helper()
	a := archive{newPlane(), ops}
	return against(t, api.Settings{Plane: a, Certificates: a, Events: a.events}, append([]string{"verify"}, args...)...)
}

// twoChanges are an emergency change of shop, and the next one.
func twoChanges(t *testing.T) []reparent.Operation {
	t.Helper()
	b := topologytest.Cluster("A", "B", "C")
	s := b.Snapshot()
	first := replaced(t, s, b.History(), 2, reparent.Link{})
	for i := range s.Servers {
		s.Servers[i].Executed = s.Servers[i].Executed.Union(first.Decision.Marker().Set())
	}
	return []reparent.Operation{first, replaced(t, s, first.Recorded(first.History), 3, first.Link())}
}

func replaced(t *testing.T, s topology.Snapshot, h topology.History, term uint32, follows reparent.Link) reparent.Operation {
	t.Helper()
	at := noon.Add(time.Duration(term) * time.Minute)
	clearance, _, _ := antiflap.Settings{}.Clear(antiflap.Request{Cluster: s.Cluster, Operator: "ada", Now: at}, antiflap.Cluster{}, antiflap.Fleet{})
	op := reparent.Emergency(clearance, reparent.Intent{
		ID: reparent.OperationID(s.Cluster, term), Elector: "elector-1", Term: term, Snapshot: s, History: h, Cause: "asked for by ada", By: "ada",
	}, at)
	_, op = reparent.DryRun(op, s, at)
	op.Follows = follows
	sealed, err := op.Sealed()
	if err != nil || op.State != reparent.StateSucceeded {
		t.Fatalf("%v: %s, %+v", err, op.State, op.Obstacle)
	}
	return sealed
}

func TestACertificateIsExaminedWithoutAnyServer(t *testing.T) {
	op := twoChanges(t)[0]
	text, err := fileOf(op)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "change.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("LC_ALL", "")
	r := runWith(t, "verify", file)
	r.wants(t, exitDone, "Verified")
	wantGolden(t, "verify", r.out)
	forged := bytes.ReplaceAll(text, []byte(`"to": "B"`), []byte(`"to": "C"`))
	if err := os.WriteFile(file, forged, 0o600); err != nil {
		t.Fatal(err)
	}
	r = runWith(t, "verify", file)
	r.wants(t, exitFailed, "it was altered", "Not verified")
	wantGolden(t, "verify_forged", r.out)
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	runWith(t, "verify", file).wants(t, exitFailed, "no certificate of Primacy")
	runWith(t, "verify", file+".gone").wants(t, exitUsage, "no such file")
}

func TestCertificatesAreFetchedKeptAndExaminedAsAChain(t *testing.T) {
	ops, dir := twoChanges(t), filepath.Join(t.TempDir(), "evidence")
	verifying(t, ops, "shop").wants(t, exitDone, "shop-0000000003")
	verifying(t, ops, "shop", "shop-0000000002").wants(t, exitDone, "shop-0000000002")
	r := verifying(t, ops, "shop", "--chain", "--save", dir)
	r.wants(t, exitDone, "2 of 2 links in place")
	wantGolden(t, "verify_chain", r.out)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("kept %v: %v", files, err)
	}
	runWith(t, append([]string{"verify", "--chain"}, files...)...).wants(t, exitDone, "2 of 2 links in place")
	ops[0].Reason = "so it was written later"
	if ops[0], err = ops[0].Sealed(); err != nil {
		t.Fatal(err)
	}
	verifying(t, ops[:1], "shop").wants(t, exitDone)
	verifying(t, ops, "shop", "--chain").wants(t, exitFailed, "one of them was altered", "1 of 2 links")
	r = verifying(t, ops, "shop", "--chain", "-o", "json")
	var told verdict
	if err := json.Unmarshal([]byte(r.out), &told); err != nil || told.Verified || len(told.Certificates) != 2 || len(told.Chain) != 2 {
		t.Errorf("%v: %s", err, r.out)
	}
}

func TestWhatCannotBeVerifiedIsSaid(t *testing.T) {
	ops := twoChanges(t)
	running := ops[1]
	running.ID, running.State = reparent.OperationID("shop", 4), reparent.StateRunning
	verifying(t, append(ops, running), "shop").wants(t, exitDone, "shop-0000000003")
	verifying(t, append(ops, running), "shop", running.ID).wants(t, exitFailed, "no certificate")
	verifying(t, nil, "shop").wants(t, exitFailed, "no change of cluster shop has ended yet")
	verifying(t, ops, "shap").wants(t, exitUsage, "no such cluster")
	verifying(t, ops, "shop", ops[0].ID, "--chain").wants(t, exitUsage, "--chain takes all")
	verifying(t, ops, "verify_test.go", "--save", "x").wants(t, exitUsage, "--save keeps")
	if strings.Contains(verifying(t, ops, "shop").out, "✓ journals") {
		t.Error("speaks of journals that nobody read")
	}
}
