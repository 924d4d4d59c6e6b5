package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
	"github.com/primacydb/primacy/mysqld"
	"github.com/primacydb/primacy/reparent"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	chain, journals bool
	save, config    string
}

func verifyCommand() *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use: "verify FILE... | CLUSTER [RECOVERY]", Short: "prove afterwards why a change was safe",
		Long: `Re-computes a change from its certificate: was every earlier primary revoked, is the history that was
honoured the one that counts, is nothing missing that was seen as committed, was the new primary
chosen by the rules, and is the decision the one with that hash. It asks no server and no control
plane, but for the certificate itself where a cluster is named instead of a file (- is standard
input); without a recovery it takes the latest one. --save keeps the files.

--chain takes all changes of a cluster, and asks whether each goes by what the one before it left.
Nobody signs a certificate: whoever alters one and makes all later ones anew is found out by what
the servers themselves hold, and --journals asks those, as the configuration names them.

Exit codes: 0 it holds, 1 it does not, or could not be read, 2 bad usage.`,
		Example: "  primacy verify shop --save /var/lib/evidence\n  primacy verify /var/lib/evidence/shop-*.json --chain\n  primacy verify shop --chain --journals --config /etc/primacy/primacy.yaml",
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: completing(clusterNames),
		RunE: func(c *cobra.Command, args []string) error { return runVerify(c, args, o) },
	}
	f := c.Flags()
	f.BoolVar(&o.chain, "chain", false, "all changes of the cluster, and whether each follows the one before it")
	f.BoolVar(&o.journals, "journals", false, "compare with the journals of the servers that the configuration names")
	f.StringVarP(&o.config, "config", "c", "primacy.yaml", "with --journals: the configuration file")
	f.StringVar(&o.save, "save", "", "a directory to write the certificates to that were fetched")
	return c
}

// evidence is a certificate with what it was read from.
type evidence struct {
	from string
	text []byte
	reparent.Certificate
}

// verdict is what came of all certificates, as JSON has it.
type verdict struct {
	Verified     bool        `json:"verified"`
	Certificates []examined  `json:"certificates"`
	Chain        []api.Claim `json:"chain,omitempty"` // a claim for each certificate, named like it
}

// examined is one certificate with what was claimed of the change and what came of that.
type examined struct {
	From  string `json:"from"`
	Kind  string `json:"kind"`
	State string `json:"state"`
	Story string `json:"-"`
	api.Verification
}

func runVerify(c *cobra.Command, args []string, o verifyOptions) error {
	asJSON, err := wantsJSON(c)
	if err != nil {
		return err
	}
	all, err := gathered(c, args, o)
	if err != nil {
		return err
	}
	if o.save != "" {
		if err := saved(all, o.save); err != nil {
			return err
		}
	}
	journals, err := o.journalsOf(c.Context(), all)
	if err != nil {
		return err
	}
	v := judged(all, journals, o)
	a := &ask{terminal: newTerminal(c.OutOrStdout(), os.Getenv), json: asJSON}
	if err := a.tell(v, func() { a.verified(v) }); err != nil {
		return err
	}
	if !v.Verified {
		return &endedError{exitFailed}
	}
	return nil
}

// gathered reads the certificates that are named, the earliest first.
func gathered(c *cobra.Command, args []string, o verifyOptions) ([]evidence, error) {
	var all []evidence
	var err error
	if isFile(args[0]) {
		if o.save != "" {
			return nil, usagef("--save keeps what is fetched from a control plane; %s is a file already", args[0])
		}
		all, err = fromFiles(c.InOrStdin(), args)
	} else {
		all, err = fetched(c, args, o.chain)
	}
	slices.SortStableFunc(all, func(a, b evidence) int { return strings.Compare(a.Operation.ID, b.Operation.ID) })
	return all, err
}

// isFile tells files from clusters: a cluster's name has neither a dot nor a slash in it.
func isFile(name string) bool {
	_, err := os.Stat(name)
	return err == nil || name == "-" || strings.ContainsAny(name, "./\\")
}

func fromFiles(stdin io.Reader, names []string) (all []evidence, err error) {
	for _, name := range names {
		var text []byte
		if name == "-" {
			text, err = io.ReadAll(io.LimitReader(stdin, readMost))
		} else {
			text, err = readAtMost(name)
		}
		if err != nil {
			return nil, usagef("%v", err)
		}
		one, err := evidenceOf(name, text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// readMost is far above the size of any certificate; what is longer is refused when it is read.
const readMost = 32 << 20

func readAtMost(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, readMost))
	return text, errors.Join(err, file.Close())
}

func evidenceOf(from string, text []byte) (evidence, error) {
	certificate, err := reparent.ReadCertificate(text)
	if err != nil {
		return evidence{}, fmt.Errorf("%s: %w", from, err)
	}
	return evidence{from, text, certificate}, nil
}

// fetched asks the control plane for certificates: for one that is named, the latest, or all.
func fetched(c *cobra.Command, args []string, chain bool) ([]evidence, error) {
	if len(args) > 2 || len(args) == 2 && chain {
		return nil, usagef("give files, or a cluster and at most one of its recoveries; --chain takes all of them")
	}
	a, err := asking(c)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	ids := args[1:]
	if len(ids) == 0 {
		if ids, err = endedOf(c.Context(), a, args[0], chain); err != nil {
			return nil, err
		}
	}
	var all []evidence
	for _, id := range ids {
		text, err := a.Certificate(c.Context(), args[0], id)
		if err != nil {
			return nil, err
		}
		one, err := evidenceOf(id, text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// chainMost is how many changes of a cluster a control plane lists.
const chainMost = 1000

// endedOf lists the changes of a cluster that have ended, or the latest of them.
func endedOf(ctx context.Context, a *ask, cluster string, chain bool) ([]string, error) {
	if _, err := a.Cluster(ctx, cluster); err != nil {
		return nil, err
	}
	limit := 10 // one that is under way stands before it
	if chain {
		limit = chainMost
	}
	found, err := a.Recoveries(ctx, cluster, limit)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, r := range found {
		if r.State != string(reparent.StateRunning) && (chain || len(ids) == 0) {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("no change of cluster %s has ended yet, so there is no certificate", cluster)
	}
	return ids, nil
}

// saved writes certificates where they can be examined without the control plane.
func saved(all []evidence, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, e := range all {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(e.Operation.ID)+".json"), e.text, 0o640); err != nil {
			return err
		}
	}
	return nil
}

// journalsOf reads the journals of each cluster's servers; nil unless they are asked for.
func (o verifyOptions) journalsOf(ctx context.Context, all []evidence) (map[string]reparent.Journals, error) {
	if !o.journals {
		return nil, nil
	}
	cfg, err := loadConfig(o.config, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	settings, err := serverSettings(cfg, nil)
	if err != nil {
		return nil, err
	}
	fleet := mysqld.NewFleet(settings)
	read := map[string]reparent.Journals{}
	for _, e := range all {
		name := e.Operation.Cluster
		if _, done := read[name]; done {
			continue
		}
		clusters, err := chosen(cfg.Clusters, []string{name})
		if err != nil {
			return nil, errors.Join(err, fleet.Close())
		}
		rules, err := rulesetOf(ctx, clusters[0], fleet)
		if err != nil {
			return nil, errors.Join(err, fleet.Close())
		}
		read[name] = reparent.Journals{}
		for a := range rules.Servers().All() {
			if decisions, err := fleet.Journal(ctx, a); err == nil { // how many were read is told
				read[name][a] = decisions
			}
		}
	}
	return read, fleet.Close()
}

// judged re-computes all certificates.
func judged(all []evidence, journals map[string]reparent.Journals, o verifyOptions) verdict {
	v := verdict{Verified: true}
	for _, e := range all {
		one := examined{From: e.from, Kind: string(e.Operation.Kind), State: string(e.Operation.State), Story: storyOf(e.Operation), Verification: api.VerificationOf(e.Certificate)}
		if o.journals {
			claim := e.Against(journals[e.Operation.Cluster])
			one.Claims = append(one.Claims, api.ClaimOf(claim))
			one.Verified = one.Verified && claim.Standing != reparent.Refuted
		}
		v.Certificates = append(v.Certificates, one)
		v.Verified = v.Verified && one.Verified
	}
	if o.chain {
		v.link(all)
	}
	return v
}

// link asks about the chains of all clusters that certificates are of.
func (v *verdict) link(all []evidence) {
	for len(all) > 0 {
		cluster := all[0].Operation.Cluster
		var chain []reparent.Certificate
		for _, e := range all {
			if e.Operation.Cluster == cluster {
				chain = append(chain, e.Certificate)
			}
		}
		all = slices.DeleteFunc(slices.Clone(all), func(e evidence) bool { return e.Operation.Cluster == cluster })
		for _, claim := range reparent.Chain(chain) {
			v.Chain = append(v.Chain, api.ClaimOf(claim))
			v.Verified = v.Verified && claim.Standing != reparent.Refuted
		}
	}
}
