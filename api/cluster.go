package api

import (
	"fmt"
	"strings"
	"time"

	"github.com/primacydb/primacy/antiflap"
	"github.com/primacydb/primacy/gtid"
	"github.com/primacydb/primacy/orchestrator"
	"github.com/primacydb/primacy/topology"
)

// Summary is a cluster in a list.
type Summary struct {
	Name     string    `json:"name" example:"shop"`
	Primary  string    `json:"primary" example:"db1:3306" doc:"The established primary; empty when there is none."`
	Term     uint32    `json:"term" doc:"Number of the leadership; 0 when none is recorded."`
	State    string    `json:"state" enum:"healthy,degraded,primary_failed,reparenting,blocked,unknown"`
	Servers  int       `json:"servers" doc:"How many members the cluster has."`
	Elector  string    `json:"elector" doc:"The elector that acts for the cluster, as far as this one knows."`
	Findings []Finding `json:"findings" nullable:"false"`

	FindingCount int       `json:"finding_count" doc:"How many findings are open, also when not all are told."`
	Reachable    int       `json:"reachable" doc:"How many members answered the latest probe."`
	ChangedAt    time.Time `json:"changed_at,omitzero" doc:"When the present leadership was established."`
	Automation   bool      `json:"automation" doc:"Whether Primacy changes the primary by itself."`
	AntiflapOpen bool      `json:"antiflap_open" doc:"Whether anti-flapping forbids automatic changes."`
	Fresh        bool      `json:"fresh" doc:"Whether the latest probes are recent enough to tell what is."`
	Leading      bool      `json:"leading" doc:"Whether the elector that answers acts for the cluster."`
	Recovery     string    `json:"recovery,omitempty" doc:"The change under way, by its id."`
}

// Cluster is everything that this elector believes about a cluster.
type Cluster struct {
	Name       string     `json:"name" example:"shop"`
	Term       uint32     `json:"term" doc:"Number of the leadership; 0 when none is recorded."`
	State      string     `json:"state" enum:"healthy,degraded,primary_failed,reparenting,blocked,unknown"`
	Primary    string     `json:"primary" doc:"The established primary; empty when there is none."`
	Durability Durability `json:"durability"`
	Servers    []Server   `json:"servers" nullable:"false"`
	Findings   []Finding  `json:"findings" nullable:"false"`
	Antiflap   Antiflap   `json:"antiflap"`
	Automation bool       `json:"automation" doc:"Whether Primacy changes the primary by itself."`
	// AutomationNote says who switched automation, and why.
	AutomationNote *Note     `json:"automation_note,omitempty"`
	Maintenance    *Note     `json:"maintenance,omitempty" doc:"Who has taken the whole cluster into maintenance, and why."`
	ProbedAt       time.Time `json:"probed_at,omitzero" doc:"When the latest round of probes began."`
	Leading        bool      `json:"leading" doc:"Whether the elector that answers acts for the cluster."`
	Elector        string    `json:"elector" doc:"The elector that acts for the cluster, as far as this one knows."`
	Refusal        string    `json:"refusal,omitempty" doc:"Why a wanted automatic change is not made."`
	Obstacle       *Obstacle `json:"obstacle,omitempty" doc:"What a wanted change would need, when it is blocked."`
	Recovery       *Recovery `json:"recovery,omitempty" doc:"The change under way."`
	Halting        *Halt     `json:"halting,omitempty" doc:"The stop or restart of servers under way."`
	Halted         *Halt     `json:"halted,omitempty" doc:"The stop or restart that ended last while this elector acted for the cluster; list-halts tells all."`
	Fresh          bool      `json:"fresh" doc:"Whether the latest probes are recent enough to tell what is."`
	ChangedAt      time.Time `json:"changed_at,omitzero" doc:"When the present leadership was established."`
	Revision       string    `json:"revision" doc:"Another one when what is on record of the cluster has changed: leadership, members and policy, switches, maintenance, anti-flapping, the change under way. For If-Match; what the probes see does not count."`
}

// Durability is when a transaction counts as safe.
type Durability struct {
	Policy        string `json:"policy" enum:"none,semi_sync,cross_zone,zones"`
	Acks          int    `json:"acks"`
	Zones         int    `json:"zones,omitempty"`
	AllowUnfenced bool   `json:"allow_unfenced,omitempty"`
	Ruleset       uint64 `json:"ruleset" doc:"Number of the recorded rules."`
	AcksNeeded    int    `json:"acks_needed" doc:"What the present primary waits for."`
}

// Server is one member of a cluster, as the latest probe saw it.
type Server struct {
	Address       string `json:"address" example:"db1:3306"`
	Role          string `json:"role" enum:"primary,replica,quarantined,unreachable,unknown"`
	Zone          string `json:"zone"`
	Promotion     string `json:"promotion" enum:"prefer,neutral,avoid,never"`
	Intermediate  string `json:"intermediate,omitempty" doc:"The member that it replicates from by the rules, while that does not lead; source says from whom it does now."`
	Reachable     bool   `json:"reachable"`
	Reach         string `json:"reach" enum:"ok,refused,reset,silent,denied,unresolved,unknown" doc:"How the latest probe ended."`
	ReadOnly      bool   `json:"read_only"`
	SuperReadOnly bool   `json:"super_read_only"`
	OfflineMode   bool   `json:"offline_mode"`
	GTIDExecuted  string `json:"gtid_executed"`
	GTIDReceived  string `json:"gtid_received"`
	// LagMS is how old the transaction being applied is.
	LagMS    *int64 `json:"lag_ms" doc:"Age of what is being applied, 0 when all that was received is applied; null when unknown."`
	Behind   *int64 `json:"behind" doc:"Transactions of the primary that this server has not executed; null when unknown."`
	Errant   int64  `json:"errant_transactions" doc:"Transactions that the primary's history does not contain."`
	SemiSync Semi   `json:"semi_sync"`

	Source         string `json:"source" doc:"What it replicates from; empty without a channel."`
	Receiver       string `json:"receiver" enum:"on,connecting,off,none" doc:"The receiver (IO) thread."`
	Applier        string `json:"applier" enum:"on,connecting,off,none" doc:"The applier (SQL) thread."`
	HeartbeatAgeMS *int64 `json:"heartbeat_age_ms" doc:"How long ago, by the server's own clock, it last heard of its source; null when unknown."`

	Term        uint32    `json:"term" doc:"Highest term that the server has heard of."`
	Version     string    `json:"version"`
	ServerUUID  string    `json:"server_uuid"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	ProbedAt    time.Time `json:"probed_at,omitzero"`
	ProbeMS     int64     `json:"probe_ms"`
	Failing     time.Time `json:"failing_since,omitzero" doc:"Since when probes fail."`
	Maintenance *Note     `json:"maintenance,omitempty" doc:"Who took it out, and why."`
	Errors      []string  `json:"errors" nullable:"false" doc:"What probe, receiver and applier complain of."`
}

// Semi is both sides of semi-sync on a server.
type Semi struct {
	Acker          bool  `json:"acker" doc:"Its acknowledgement counts while the present primary leads, and it gives it."`
	SourceEnabled  bool  `json:"source_enabled"`
	SourceActive   bool  `json:"source_active" doc:"False on a source means a silent fallback to asynchronous replication."`
	ReplicaEnabled bool  `json:"replica_enabled"`
	ReplicaActive  bool  `json:"replica_active"`
	Acks           int   `json:"acks" doc:"How many acknowledgements a commit waits for."`
	TimeoutMS      int64 `json:"timeout_ms"`
	Clients        int   `json:"clients" doc:"Connected semi-sync replicas."`
	Waiters        int   `json:"waiters" doc:"Sessions that wait for acknowledgements."`
}

// Finding is something that is wrong, with its evidence.
type Finding struct {
	Code     string     `json:"code" example:"primary_dead"`
	Severity string     `json:"severity" enum:"critical,warning,info"`
	Server   string     `json:"server,omitempty"`
	Message  string     `json:"message"`
	Evidence []Evidence `json:"evidence" nullable:"false"`
	Since    time.Time  `json:"since"`
	Remedy   string     `json:"remedy" doc:"What Primacy does about it by itself: emergency, reconcile, adopt, or nothing."`
	WhyNot   string     `json:"why_not,omitempty" doc:"Why nothing is done about it."`
}

// Evidence is one fact behind a finding.
type Evidence struct {
	Server string    `json:"server,omitempty"`
	By     string    `json:"by" doc:"Who saw it: probe, a replica, or an elector."`
	Fact   string    `json:"fact"`
	At     time.Time `json:"at,omitzero"`
}

// Antiflap is the window in which no automatic change of the primary is made.
type Antiflap struct {
	Open   bool      `json:"open"`
	Until  time.Time `json:"until,omitzero" doc:"Absent when closed, and when only an acknowledgement ends it."`
	LeftMS int64     `json:"left_ms"`
	Held   bool      `json:"held" doc:"Its time has passed, but the new primary never proved itself."`
	Reason string    `json:"reason"`
	Lift   string    `json:"lift" doc:"How to lift it."`
}

// Note says who did something and why.
type Note struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at,omitzero"`
	Until  time.Time `json:"until,omitzero" doc:"When it ends by itself, by the clock of the elector that acts; left out: when somebody ends it."`
}

// summaryOf tells everything but the findings.
func summaryOf(v orchestrator.View, now time.Time, freshFor time.Duration) Summary {
	s := Summary{
		Name: v.Name, Primary: string(v.Primary), Term: v.Term, State: string(v.State), Servers: len(v.Ruleset.Members),
		Elector: v.Elector, FindingCount: len(v.Findings), ChangedAt: changedAt(v), Automation: v.Automation.On,
		AntiflapOpen: v.Window().Open, Fresh: !stale(v, now, freshFor), Leading: v.Leading,
	}
	for i := range v.Snapshot.Servers {
		if v.Snapshot.Servers[i].OK() {
			s.Reachable++
		}
	}
	if v.Running != nil {
		s.Recovery = v.Running.ID
	}
	return s
}

func changedAt(v orchestrator.View) time.Time {
	current, _ := v.History.Current()
	return stamp(current.EstablishedAt)
}

func clusterOf(v orchestrator.View, now time.Time, freshFor time.Duration) Cluster {
	c := Cluster{
		Name: v.Name, Term: v.Term, State: string(v.State), Primary: string(v.Primary), Durability: durabilityOf(v),
		Servers: []Server{}, Findings: findingsOf(v.Findings), Antiflap: antiflapOf(v.Window(), now),
		Automation: v.Automation.On, AutomationNote: noteOf(orchestrator.Note{By: v.Automation.By, Reason: v.Automation.Reason, At: v.Automation.At}),
		ProbedAt: stamp(v.At), Leading: v.Leading, Elector: v.Elector, Refusal: v.Refusal, Obstacle: obstacleOf(v.Obstacle),
		Fresh: !stale(v, now, freshFor), ChangedAt: changedAt(v), Revision: v.Revision(),
	}
	if v.Held != nil {
		c.Maintenance = noteOf(*v.Held)
	}
	for _, m := range v.Ruleset.Members {
		c.Servers = append(c.Servers, serverOf(v, m))
	}
	if v.Running != nil {
		running := recoveryOf(*v.Running)
		c.Recovery = &running
	}
	if v.Halting != nil {
		halting := haltOf(*v.Halting)
		c.Halting = &halting
	}
	if v.Halted != nil {
		halted := haltOf(*v.Halted)
		c.Halted = &halted
	}
	return c
}

func durabilityOf(v orchestrator.View) Durability {
	p := v.Ruleset.Policy
	return Durability{
		Policy: string(p.Kind), Acks: p.Acks, Zones: p.Zones, AllowUnfenced: p.AllowUnfenced,
		Ruleset: v.Ruleset.Number, AcksNeeded: v.Ruleset.AcksNeeded(v.Primary),
	}
}

func serverOf(v orchestrator.View, m topology.Member) Server {
	o := v.Snapshot.Server(m.Address)
	s := Server{
		Address: string(m.Address), Role: string(v.Roles[m.Address]), Zone: m.Zone, Promotion: string(m.Promotion), Intermediate: string(m.Source),
		Reachable: o.OK(), Reach: string(o.Reach), ReadOnly: o.ReadOnly, SuperReadOnly: o.SuperReadOnly, OfflineMode: o.OfflineMode,
		GTIDExecuted: o.Executed.String(), GTIDReceived: o.Received.String(), SemiSync: semiOf(v, *o),
		Receiver: "none", Applier: "none", Term: o.Term(), Version: o.Version, StartedAt: stamp(o.StartedAt),
		ProbedAt: stamp(o.At), ProbeMS: o.Latency.Milliseconds(), Failing: stamp(o.FailingSince), Errors: errorsOf(*o),
		Behind: behind(v, *o), Errant: errant(v, *o),
	}
	if s.Promotion == "" {
		s.Promotion = string(topology.PromotionNeutral)
	}
	if s.Reach == "" {
		s.Reach = "unknown"
	}
	if o.UUID != (gtid.UUID{}) {
		s.ServerUUID = o.UUID.String()
	}
	if note, out := v.Maintenance[m.Address]; out {
		s.Maintenance = noteOf(note)
	}
	return s.replicating(o.Replication)
}

func (s Server) replicating(r *topology.Replication) Server {
	if r == nil {
		return s
	}
	s.Source, s.Receiver, s.Applier = string(r.Source), threadWord(r.Receiver), threadWord(r.Applier)
	s.LagMS, s.HeartbeatAgeMS = known(r.Lag), known(r.HeartbeatAge)
	return s
}

func threadWord(t topology.Thread) string {
	if t == "" {
		return "none"
	}
	return strings.ToLower(string(t))
}

// known is a duration in milliseconds; nil when it is negative, which stands for unknown.
func known(d time.Duration) *int64 {
	if d < 0 {
		return nil
	}
	ms := d.Milliseconds()
	return &ms
}

func semiOf(v orchestrator.View, o topology.Observation) Semi {
	s := o.SemiSync
	acker := o.OK() && s.ReplicaEnabled && s.ReplicaActive && v.Ruleset.Ackers(v.Primary).Has(o.Address)
	return Semi{
		Acker: acker, SourceEnabled: s.SourceEnabled, SourceActive: s.SourceActive, ReplicaEnabled: s.ReplicaEnabled,
		ReplicaActive: s.ReplicaActive, Acks: s.Acks, TimeoutMS: s.Timeout.Milliseconds(), Clients: s.Clients, Waiters: s.Waiters,
	}
}

func errorsOf(o topology.Observation) []string {
	all := []string{}
	if o.Error != "" && !o.OK() {
		all = append(all, "probe: "+o.Error)
	}
	if r := o.Replication; r != nil {
		if r.ReceiverError != "" || r.ReceiverErrno != 0 {
			all = append(all, fmt.Sprintf("receiver: %d %s", r.ReceiverErrno, r.ReceiverError))
		}
		if r.ApplierError != "" || r.ApplierErrno != 0 {
			all = append(all, fmt.Sprintf("applier: %d %s", r.ApplierErrno, r.ApplierError))
		}
	}
	for _, privilege := range o.Missing {
		all = append(all, "privilege missing: "+privilege)
	}
	return all
}

// behind counts what the primary has executed, as last seen, and this server has not.
func behind(v orchestrator.View, o topology.Observation) *int64 {
	primary := lastSeen(v, v.Primary)
	if !o.OK() || v.Primary == "" || primary.Executed.IsEmpty() {
		return nil
	}
	n := int64(primary.Executed.Subtract(o.Executed).Count())
	if o.Address == v.Primary {
		n = 0
	}
	return &n
}

func lastSeen(v orchestrator.View, a topology.Address) topology.Observation {
	if o := v.Snapshot.Server(a); o.OK() {
		return *o
	}
	return *v.History.LastSeen.Of(a)
}

// errant counts the transactions behind a finding; only the analysis says that there are any.
func errant(v orchestrator.View, o topology.Observation) int64 {
	for _, f := range v.Findings {
		if f.Code == topology.Errant && f.Server == o.Address {
			primary := lastSeen(v, v.Primary)
			extra := o.Position().Subtract(primary.Position())
			return int64(extra.Only(func(s gtid.Source) bool { return s.UUID != primary.UUID }).Count())
		}
	}
	return 0
}

func findingsOf(findings []topology.Finding) []Finding {
	all := []Finding{}
	for _, f := range findings {
		all = append(all, findingOf(f))
	}
	return all
}

func findingOf(f topology.Finding) Finding {
	told := Finding{
		Code: string(f.Code), Severity: string(f.Severity), Server: string(f.Server), Message: f.Message,
		Evidence: []Evidence{}, Since: stamp(f.Since), Remedy: string(f.Remedy), WhyNot: f.WhyNot,
	}
	for _, e := range f.Evidence {
		told.Evidence = append(told.Evidence, Evidence{Server: string(e.Server), By: e.By, Fact: e.Fact, At: stamp(e.At)})
	}
	return told
}

func antiflapOf(w antiflap.Window, now time.Time) Antiflap {
	told := Antiflap{Open: w.Open, Held: w.Held, Reason: w.Reason, Lift: w.Lift, Until: stamp(w.Until)}
	if !w.Until.IsZero() {
		told.LeftMS = max(w.Until.Sub(now), 0).Milliseconds()
	}
	return told
}

func noteOf(n orchestrator.Note) *Note {
	if n == (orchestrator.Note{}) {
		return nil
	}
	return &Note{By: n.By, Reason: n.Reason, At: stamp(n.At), Until: stamp(n.Until)}
}

// stamp is how times are told: UTC, to the microsecond.
func stamp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.Round(0).UTC().Truncate(time.Microsecond)
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = string(a)
	}
	return out
}
