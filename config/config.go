// Package config reads the configuration file, puts PRIMACY_… environment variables on top, and checks the whole before
// anything starts. Each mistake is one line that names the place, the key and the remedy:
//
//	primacy.yaml:14: clusters[0].durability.acks: 3 acks wanted but only 2 servers besides the primary can give one; lower acks or add servers
//
// It holds values only. What they mean is said in docs/configuration.md.
package config

import "time"

// Config is a checked configuration. Passwords from files are filled in.
//
// The tag live marks what a running control plane takes over on SIGHUP; see [Changes]. The tag oneof lists the words
// that a key, or each entry of a list, accepts.
type Config struct {
	Node        string      `mapstructure:"node"`      // this elector's name; default: host name
	Listen      string      `mapstructure:"listen"`    // API, dashboard, metrics
	Advertise   string      `mapstructure:"advertise"` // the URL under which callers reach Listen; empty: none is told
	TLS         ServerTLS   `mapstructure:"tls"`       // for Listen
	Auth        Auth        `mapstructure:"auth" live:"true"`
	Store       Store       `mapstructure:"store"`
	MySQL       MySQL       `mapstructure:"mysql"`
	Replication Replication `mapstructure:"replication"`
	Detection   Detection   `mapstructure:"detection"`
	Antiflap    Antiflap    `mapstructure:"antiflap"`
	Errant      Errant      `mapstructure:"errant"`
	Clone       Clone       `mapstructure:"clone"`
	Automation  bool        `mapstructure:"automation"` // automatic changes at all
	Clusters    []Cluster   `mapstructure:"clusters"`
	Hooks       []Hook      `mapstructure:"hooks"`

	// Warnings are what is allowed and unwise, such as a password file that everybody may read.
	Warnings []Problem `mapstructure:"-"`
}

// ServerTLS is the certificate that Listen shows, and the authority whose client certificates it accepts.
type ServerTLS struct {
	CertFile     string `mapstructure:"cert_file"`
	KeyFile      string `mapstructure:"key_file"`
	ClientCAFile string `mapstructure:"client_ca_file"`
}

// Enabled says whether Listen speaks TLS.
func (t ServerTLS) Enabled() bool { return t.CertFile != "" }

// ClientTLS is how Primacy connects to somebody else. It is on when Enabled is, or when any other key is given.
type ClientTLS struct {
	Enabled    bool   `mapstructure:"enabled"`
	CAFile     string `mapstructure:"ca_file"` // empty: the system's authorities
	CertFile   string `mapstructure:"cert_file"`
	KeyFile    string `mapstructure:"key_file"`
	ServerName string `mapstructure:"server_name"` // empty: the host that is connected to
	SkipVerify bool   `mapstructure:"skip_verify"`
}

// Auth says who may call the API. The roles are viewer, operator and admin.
type Auth struct {
	Tokens       []Token       `mapstructure:"tokens"`
	Users        []User        `mapstructure:"users"`
	Certificates []Certificate `mapstructure:"certificates"`
}

// Enabled says whether callers have to show who they are.
func (a Auth) Enabled() bool { return len(a.Tokens)+len(a.Users)+len(a.Certificates) > 0 }

// Token is a bearer token.
type Token struct {
	Name      string `mapstructure:"name"`
	Role      string `mapstructure:"role" oneof:"viewer operator admin"`
	Token     Secret `mapstructure:"token"`
	TokenFile string `mapstructure:"token_file"`
}

// User signs in with name and password (basic authentication).
type User struct {
	Name         string `mapstructure:"name"`
	Role         string `mapstructure:"role" oneof:"viewer operator admin"`
	Password     Secret `mapstructure:"password"`
	PasswordFile string `mapstructure:"password_file"`
}

// Certificate is a client certificate, signed by tls.client_ca_file, with this common name.
type Certificate struct {
	Name string `mapstructure:"name"`
	Role string `mapstructure:"role" oneof:"viewer operator admin"`
}

// Store is where locks, terms and records are kept: an embedded etcd (Dir), or an existing cluster (Endpoints). With
// Name and InitialCluster the embedded one is a member beside those of the other electors. TLS, User and Password are for
// Endpoints.
type Store struct {
	Dir            string        `mapstructure:"dir"`
	Endpoints      []string      `mapstructure:"endpoints"`
	Name           string        `mapstructure:"name"`
	PeerListen     string        `mapstructure:"peer_listen"`     // host:port; empty: as in InitialCluster
	InitialCluster []string      `mapstructure:"initial_cluster"` // name=host:port of each member
	PeerTLS        PeerTLS       `mapstructure:"peer_tls"`
	TLS            ClientTLS     `mapstructure:"tls"`
	User           string        `mapstructure:"user"`
	Password       Secret        `mapstructure:"password"`
	PasswordFile   string        `mapstructure:"password_file"`
	Lease          time.Duration `mapstructure:"lease"`
}

// PeerTLS is how embedded members prove themselves to each other: all three files, or none.
type PeerTLS struct {
	CAFile   string `mapstructure:"ca_file"`
	CertFile string `mapstructure:"cert_file"`
	KeyFile  string `mapstructure:"key_file"`
}

// MySQL is how Primacy signs in to the servers.
type MySQL struct {
	User         string    `mapstructure:"user"`
	Password     Secret    `mapstructure:"password"`
	PasswordFile string    `mapstructure:"password_file"`
	TLS          ClientTLS `mapstructure:"tls"`
}

// Replication is how a replica signs in to its source.
type Replication struct {
	User         string         `mapstructure:"user"`
	Password     Secret         `mapstructure:"password"`
	PasswordFile string         `mapstructure:"password_file"`
	Heartbeat    time.Duration  `mapstructure:"heartbeat"`
	TLS          ReplicationTLS `mapstructure:"tls"`
}

// ReplicationTLS is for the connection between two servers. Its files are on the servers, not beside Primacy.
type ReplicationTLS struct {
	Enabled    bool   `mapstructure:"enabled"`
	CAFile     string `mapstructure:"ca_file"`
	CertFile   string `mapstructure:"cert_file"`
	KeyFile    string `mapstructure:"key_file"`
	SkipVerify bool   `mapstructure:"skip_verify"`
}

// Detection says how fast and on what evidence a primary counts as failed.
type Detection struct {
	ProbeInterval time.Duration `mapstructure:"probe_interval"`
	ProbeTimeout  time.Duration `mapstructure:"probe_timeout"`
	SilentAfter   time.Duration `mapstructure:"silent_after"`
	StuckAfter    time.Duration `mapstructure:"stuck_after"`
	LagMax        time.Duration `mapstructure:"lag_max"`
	RehomeAfter   time.Duration `mapstructure:"rehome_after"`
	ReturnAfter   time.Duration `mapstructure:"return_after"`
	IsolatedShare float64       `mapstructure:"isolated_share"`
	// AckerBacklogMax is how many received transactions an acker may have left to apply; 0 is any number.
	AckerBacklogMax int `mapstructure:"acker_backlog_max"`
}

// Antiflap says how patient Primacy is between two automatic changes.
type Antiflap struct {
	Window             time.Duration `mapstructure:"window"`
	Factor             float64       `mapstructure:"factor"`
	WindowMax          time.Duration `mapstructure:"window_max"`
	Decay              time.Duration `mapstructure:"decay"`
	ProvenAfter        time.Duration `mapstructure:"proven_after"`
	ReplaceGonePrimary bool          `mapstructure:"replace_gone_primary"`
	Fleet              FleetBrake    `mapstructure:"fleet"`
}

// FleetBrake allows so many automatic changes over all clusters within a time.
type FleetBrake struct {
	ChangesMax int           `mapstructure:"changes_max"`
	Per        time.Duration `mapstructure:"per"`
}

// Errant says what is done by itself about servers whose errant transactions were provably never answered to a client.
type Errant struct {
	Policy    string `mapstructure:"policy" oneof:"quarantine rewind clone auto"`
	ExportDir string `mapstructure:"export_dir"` // for transcripts that are too large for the store
	RowsMax   int    `mapstructure:"rows_max"`   // how many rows are decoded, put on record and undone
}

// Clone says how servers get the data of another one.
type Clone struct {
	Join            bool `mapstructure:"join"`              // clone a member that nobody can send what it lacks, without being asked
	FromNeededAcker bool `mapstructure:"from_needed_acker"` // the donor may be a replica whose acknowledgements commits need
	FromPrimary     bool `mapstructure:"from_primary"`      // the donor may be the primary where no replica will do
	RateMaxMB       int  `mapstructure:"rate_max_mb"`       // MiB per second that a donor sends at most; 0: no bound

	StallMax time.Duration `mapstructure:"stall_max"` // a clone without progress for so long is ended
	TimeMax  time.Duration `mapstructure:"time_max"`  // and so is one that is not done after that
}

// Cluster is one replication cohort. Its servers are listed, or discovered from Seed, or both.
type Cluster struct {
	Name       string     `mapstructure:"name"`
	Durability Durability `mapstructure:"durability" live:"true"`
	Servers    []Server   `mapstructure:"servers" live:"true"`
	Seed       string     `mapstructure:"seed"`
}

// Durability is when a transaction counts as safe.
type Durability struct {
	Policy        string `mapstructure:"policy" oneof:"none semi_sync cross_zone zones"`
	Acks          int    `mapstructure:"acks"`
	Zones         int    `mapstructure:"zones"`
	AllowUnfenced bool   `mapstructure:"allow_unfenced"`
}

// Server is one mysqld.
type Server struct {
	Address   string `mapstructure:"address"`
	Zone      string `mapstructure:"zone"`
	Promotion string `mapstructure:"promotion" oneof:"prefer neutral avoid never"`
	// Source is the address of the listed server that this one replicates from, instead of from the primary.
	Source string `mapstructure:"source"`
}

// Hook is a command or a webhook that is told of events.
type Hook struct {
	Name string `mapstructure:"name"`
	// Events are the kinds that it is told of; none means all.
	Events  []string      `mapstructure:"events" oneof:"finding_opened finding_closed recovery_started recovery_stage recovery_finished refused repair leading not_leading primary_changed operator store"`
	Command []string      `mapstructure:"command"` // program and arguments; the event stands on its standard input as JSON
	URL     string        `mapstructure:"url"`     // gets the event as JSON by POST
	Timeout time.Duration `mapstructure:"timeout"`
}

// HookEvents are the words that Hook.Events accepts.
func HookEvents() []string { return schema().field("hooks").item.field("events").item.oneOf }

// The words for Durability.Policy and Server.Promotion that the defaults use.
const (
	policyNone      = "none"
	policySemiSync  = "semi_sync"
	policyCrossZone = "cross_zone"
	policyZones     = "zones"

	promotionNeutral = "neutral"
	promotionNever   = "never"
)

const (
	defaultDir         = "./primacy-data"
	defaultAcks        = 1
	defaultHookTimeout = 10 * time.Second
)

// Defaults is the configuration of an empty file. It is not complete: there is no default for passwords and clusters.
// The node's name is the host's, which only [Load] and [Parse] ask for.
func Defaults() Config {
	return Config{
		Listen:      "127.0.0.1:3900",
		Automation:  true,
		Store:       Store{Dir: defaultDir, Lease: 3 * time.Second},
		MySQL:       MySQL{User: "primacy"},
		Replication: Replication{User: "replica", Heartbeat: 500 * time.Millisecond},
		Detection: Detection{
			ProbeInterval: 250 * time.Millisecond,
			ProbeTimeout:  time.Second,
			SilentAfter:   2 * time.Second,
			StuckAfter:    5 * time.Second,
			LagMax:        10 * time.Second,
			RehomeAfter:   10 * time.Second,
			ReturnAfter:   time.Minute,
			IsolatedShare: 0.5,

			AckerBacklogMax: 10000,
		},
		Antiflap: Antiflap{
			Window:             5 * time.Minute,
			Factor:             2,
			WindowMax:          time.Hour,
			Decay:              24 * time.Hour,
			ProvenAfter:        time.Minute,
			ReplaceGonePrimary: true,
			Fleet:              FleetBrake{ChangesMax: 3, Per: 10 * time.Minute},
		},
		Errant: Errant{Policy: "quarantine", RowsMax: 10000},
		Clone:  Clone{StallMax: 10 * time.Minute, TimeMax: 24 * time.Hour},
	}
}
