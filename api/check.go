package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// Inspector looks at what probes do not: all settings, grants, accounts and tables of a server. It is called for all
// servers of a cluster at once, and returns within a bound of its own, failure being a part of what it returns.
type Inspector interface {
	Inspect(ctx context.Context, server topology.Address) topology.Inspection
	// LintLimits are what the configuration says of a cluster, and matters to its settings.
	LintLimits(cluster string) topology.LintLimits
}

// SettingsCheck is what settings, grants, accounts and tables of a cluster permit that its durability policy promises not
// to happen.
type SettingsCheck struct {
	Cluster    string            `json:"cluster"`
	CheckedAt  time.Time         `json:"checked_at" doc:"When the servers were asked; an answer may be ten seconds old."`
	Durability Durability        `json:"durability"`
	Servers    []CheckedServer   `json:"servers" nullable:"false"`
	Findings   []SettingsFinding `json:"findings" nullable:"false"`
}

// CheckedServer is one server that was asked.
type CheckedServer struct {
	Address string   `json:"address" example:"db1:3306"`
	Reach   string   `json:"reach" doc:"ok, or why it did not answer."`
	Version string   `json:"version,omitempty"`
	Unread  []string `json:"unread" nullable:"false" doc:"What could not be looked at, with the reason: silence about it means nothing."`
}

// SettingsFinding is one thing that is permitted, and what to do about it.
type SettingsFinding struct {
	Code     string `json:"code" example:"sync_binlog"`
	Severity string `json:"severity" enum:"critical,warning,info"`
	Server   string `json:"server,omitempty" doc:"Absent for what concerns the cluster as a whole."`
	Message  string `json:"message"`
	Permits  string `json:"permits" doc:"The loss or the delay that it permits."`
	Mend     string `json:"mend" doc:"What to do, as a statement where one does it."`
	Fix      string `json:"fix,omitempty" doc:"The statement that primacy check --fix would run."`
}

// recheck is how old an answer may be: whoever looks again and again asks the servers no more often than that.
const recheck = 10 * time.Second

// checks keeps the latest answer of each cluster, and lets one caller at a time ask for a new one.
type checks struct {
	mu       sync.Mutex
	clusters map[string]*check
}

type check struct {
	mu     sync.Mutex
	asked  time.Time // when the latest was there, by a clock that nobody sets
	latest SettingsCheck
}

// of is the place of one cluster.
func (c *checks) of(cluster string) *check {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.clusters == nil {
		c.clusters = map[string]*check{}
	}
	if c.clusters[cluster] == nil {
		c.clusters[cluster] = &check{}
	}
	return c.clusters[cluster]
}

func (f *front) describeSettings(described huma.API) {
	if f.settings.Inspector == nil {
		return
	}
	huma.Register(described, needs(RoleViewer, huma.Operation{
		OperationID: "check-settings", Method: http.MethodGet, Path: prefix + "/clusters/{cluster}/check", Tags: []string{"clusters"},
		Summary: "What settings permit", Description: "What settings, grants, accounts and tables permit that the durability policy promises not to happen, as primacy check tells it. Every server is asked; nothing is changed, and no row of anybody's data is read.",
	}), func(ctx context.Context, in *clusterPath) (*body[SettingsCheck], error) {
		v, err := f.settings.Plane.Cluster(in.Cluster)
		if err != nil {
			return nil, f.problemOf(err)
		}
		return &body[SettingsCheck]{f.inspected(ctx, v)}, nil
	})
}

// inspected is the latest answer while it is young, and a new one otherwise.
func (f *front) inspected(ctx context.Context, v orchestrator.View) SettingsCheck {
	place := f.checks.of(v.Name)
	place.mu.Lock()
	defer place.mu.Unlock()
	if time.Since(place.asked) < recheck {
		return place.latest
	}
	told := f.inspect(ctx, v)
	if ctx.Err() == nil { // what a caller who went away has cut short is nobody's answer
		place.asked, place.latest = time.Now(), told
	}
	return told
}

func (f *front) inspect(ctx context.Context, v orchestrator.View) SettingsCheck {
	told := SettingsCheck{Cluster: v.Name, CheckedAt: stamp(time.Now()), Durability: durabilityOf(v), Servers: []CheckedServer{}, Findings: []SettingsFinding{}}
	seen := make([]topology.Inspection, len(v.Ruleset.Members))
	var running sync.WaitGroup
	for i, m := range v.Ruleset.Members {
		running.Go(func() { seen[i] = f.settings.Inspector.Inspect(ctx, m.Address) })
	}
	running.Wait()
	for _, s := range seen {
		told.Servers = append(told.Servers, CheckedServer{Address: string(s.Address), Reach: string(s.Reach), Version: s.Version, Unread: append([]string{}, s.Unread...)})
	}
	for _, r := range topology.Lint(v.Ruleset, f.settings.Inspector.LintLimits(v.Name), seen) {
		told.Findings = append(told.Findings, settingsFindingOf(r))
	}
	return told
}

func settingsFindingOf(r topology.Remark) SettingsFinding {
	told := SettingsFinding{Code: r.Code, Severity: string(r.Severity), Server: string(r.Server), Message: r.Message, Permits: r.Permits, Mend: r.Mend}
	if r.Fix != nil {
		told.Fix = r.Fix.Statement()
	}
	return told
}

// CheckSettings tells what a cluster's settings, grants, accounts and tables permit.
func (c *Client) CheckSettings(ctx context.Context, cluster string) (SettingsCheck, error) {
	var told SettingsCheck
	err := c.get(ctx, clusterURL(cluster)+"/check", nil, &told)
	return told, err
}
