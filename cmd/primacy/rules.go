package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/primacydb/primacy/api"
)

type rulesFlags struct {
	policy, zone, promotion, source, reason string
	acks, zones                             int
	allowUnfenced, gone, dryRun             bool
	given                                   func(flag string) bool
}

func rulesCommand() *cobra.Command {
	var f rulesFlags
	c := &cobra.Command{
		Use: "rules CLUSTER [show|set|add|change|remove] [SERVER]", Short: "which servers belong to a cluster and when a transaction counts as safe, and changing that",
		Long: `The rules of a cluster are its durability policy and its members. What the configuration says
counts when it is first read and when it has changed; what is asked for here counts until then.

  show    the rules in force (the default)
  set     another policy: --policy, --acks, --zones, --allow-unfenced
  add     a server, with --zone, --promotion and --source; it has to run, and to hold nothing else
  change  a member's --zone, --promotion or --source
  remove  a member. One that is not reached goes only with --gone: you vouch that it will never
          acknowledge anything again

With a --source a server replicates from that member, and not from the primary. It acknowledges
nothing and never leads, so it needs --promotion never; --source "" ends that.

Nothing that was acknowledged is lost by a change, whenever it is interrupted: what cannot be made
safely now is refused, with what it needs. Bring the configuration in line afterwards.`,
		Example: `  primacy rules shop set --acks 2 --dry-run
  primacy rules shop remove db3:3306 --gone --reason "its disks were shredded"`,
		Args: cobra.RangeArgs(1, 3), ValidArgsFunction: completing(rulesArguments),
		RunE: func(c *cobra.Command, args []string) error {
			f.given = func(flag string) bool { return c.Flags().Changed(flag) }
			return rulesAction(c, args, f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.policy, "policy", "", "of set: none, semi_sync, cross_zone or zones")
	fs.IntVar(&f.acks, "acks", 0, "of set: how many acknowledgements a commit waits for")
	fs.IntVar(&f.zones, "zones", 0, "of set: how many zones have to hold a transaction, under policy zones")
	fs.BoolVar(&f.allowUnfenced, "allow-unfenced", false, "of set, under policy none: replace a primary although nothing stops it")
	fs.StringVar(&f.zone, "zone", "", "of add and change: the server's zone")
	fs.StringVar(&f.promotion, "promotion", "", "of add and change: prefer, neutral, avoid or never")
	fs.StringVar(&f.source, "source", "", "of add and change: the member that the server replicates from, instead of from the primary")
	fs.BoolVar(&f.gone, "gone", false, "of remove: the server is not reached, and you vouch that it acknowledges nothing any more")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say which steps would be taken, and take none")
	fs.StringVar(&f.reason, "reason", "", "why, for the record")
	_ = c.RegisterFlagCompletionFunc("policy", cobra.FixedCompletions([]string{"none", "semi_sync", "cross_zone", "zones"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("promotion", cobra.FixedCompletions([]string{"prefer", "neutral", "avoid", "never"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// rulesActions name the flags that each takes besides --dry-run and --reason.
var rulesActions = map[string][]string{
	"show": nil, "set": {"policy", "acks", "zones", "allow-unfenced"}, "add": {"zone", "promotion", "source"}, "change": {"zone", "promotion", "source"}, "remove": {"gone"},
}

func rulesArguments(ctx context.Context, client *api.Client, args []string) []string {
	switch {
	case len(args) == 0:
		return everyCluster(ctx, client)
	case len(args) == 1:
		return []string{"show", "set", "add", "change", "remove"}
	case args[1] == "change" || args[1] == "remove":
		return membersOf(ctx, client, args)
	}
	return nil
}

func rulesAction(c *cobra.Command, args []string, f rulesFlags) error {
	args = append(args, "", "")
	cluster, action, server := args[0], args[1], args[2]
	if action == "" {
		action = "show"
	}
	if err := f.fit(action, server); err != nil {
		return err
	}
	a, err := asking(c)
	if err != nil {
		return err
	}
	defer a.Close()
	now, err := a.Rules(c.Context(), cluster)
	if err != nil {
		return err
	}
	if action == "show" {
		return a.tell(now, func() { a.rules(now) })
	}
	wanted, err := f.wanted(now, action, server)
	if err != nil {
		return err
	}
	if f.dryRun {
		answer, err := a.ChangeRules(c.Context(), cluster, wanted, 0)
		if err != nil {
			return err
		}
		return a.tell(answer, func() { a.rehearsedRules(answer) })
	}
	return a.carryOut(c.Context(), cluster, func(ctx context.Context) (api.ReparentAnswer, error) { return a.ChangeRules(ctx, cluster, wanted, 0) })
}

// rehearsedRules tells a dry run of other rules.
func (t *terminal) rehearsedRules(answer api.ReparentAnswer) {
	if answer.Vouched != "" {
		t.vouched(answer)
		return
	}
	t.steps(answer)
}

// vouched tells what was put on record, where that was all that was to be done.
func (t *terminal) vouched(answer api.ReparentAnswer) {
	t.wrapped("", answer.Vouched+".", bold)
}

// fit refuses what makes no sense, whatever the rules in force are.
func (f rulesFlags) fit(action, server string) error {
	takes, known := rulesActions[action]
	if !known {
		return usagef("%q is no action; use show, set, add, change or remove", action)
	}
	for _, flag := range []string{"policy", "acks", "zones", "allow-unfenced", "zone", "promotion", "source", "gone"} {
		if f.given(flag) && !slices.Contains(takes, flag) {
			return usagef("--%s does not belong to %s", flag, action)
		}
	}
	named := action == "add" || action == "change" || action == "remove"
	switch {
	case named && server == "":
		return usagef("%s needs a server", action)
	case !named && server != "":
		return usagef("%s takes no server", action)
	case action == "set" && !slices.ContainsFunc(takes, f.given):
		return usagef("set needs --policy, --acks, --zones or --allow-unfenced")
	case action == "change" && !slices.ContainsFunc(takes, f.given):
		return usagef("change needs --zone, --promotion or --source")
	case action != "show" && f.reason == "" && !f.dryRun:
		return usagef("%s needs --reason, for it goes on record", action)
	}
	return nil
}

// wanted are the rules in force with what is to be different.
func (f rulesFlags) wanted(now api.Rules, action, server string) (api.RulesRequest, error) {
	r := api.RulesRequest{
		Policy: now.Policy, Acks: now.Acks, Zones: now.Zones, AllowUnfenced: now.AllowUnfenced,
		Ruleset: &now.Number, DryRun: f.dryRun, Reason: f.reason,
	}
	for _, m := range now.Members {
		r.Members = append(r.Members, api.RuleMember(m))
	}
	at := slices.IndexFunc(r.Members, func(m api.RuleMember) bool { return m.Address == server })
	switch {
	case action == "set":
		f.set(&r)
	case action == "add" && at >= 0:
		return r, usagef("%s is a member already; change its zone or promotion rule with change", server)
	case action == "add":
		r.Members = append(r.Members, api.RuleMember{Address: server, Zone: f.zone, Promotion: f.promotion, Source: f.source})
	case at < 0:
		return r, usagef("%s is no member; members are %s", server, strings.Join(memberNames(r.Members), ", "))
	case action == "remove":
		r.Members = slices.Delete(r.Members, at, at+1)
		if f.gone {
			r.Gone = []string{server}
		}
	default:
		if f.given("zone") {
			r.Members[at].Zone = f.zone
		}
		if f.given("promotion") {
			r.Members[at].Promotion = f.promotion
		}
		if f.given("source") {
			r.Members[at].Source = f.source
		}
	}
	return r, nil
}

// set takes the policy's flags over. Another policy begins without what belongs to the one before.
func (f rulesFlags) set(r *api.RulesRequest) {
	if f.given("policy") && f.policy != r.Policy {
		r.Policy, r.Zones, r.AllowUnfenced = f.policy, 0, false
	}
	if f.given("acks") {
		r.Acks = f.acks
	}
	if f.given("zones") {
		r.Zones = f.zones
	}
	if f.given("allow-unfenced") {
		r.AllowUnfenced = f.allowUnfenced
	}
}

func memberNames(all []api.RuleMember) []string {
	var names []string
	for _, m := range all {
		names = append(names, m.Address)
	}
	return names
}

// rules tells the rules in force.
func (t *terminal) rules(r api.Rules) {
	text := fmt.Sprintf("ruleset %d: %s", r.Number, r.Policy)
	if r.Policy != "none" {
		text += fmt.Sprintf(", acks %d", r.Acks)
	}
	if r.Policy == "zones" {
		text += fmt.Sprintf(", zones %d", r.Zones)
	}
	if r.AllowUnfenced {
		text += ", allow_unfenced"
	}
	t.wrapped("", text, bold)
	var rows [][]string
	for _, m := range r.Members {
		rows = append(rows, []string{m.Address, orDash(m.Zone), orDash(m.Promotion), orDash(m.Source)})
	}
	t.table([]column{{title: "SERVER", least: 15}, {title: "ZONE"}, {title: "PROMOTION"}, {title: "SOURCE"}}, rows)
}
