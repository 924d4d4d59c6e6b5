package topology

import (
	"slices"
	"time"
)

// Inspection is what the linter read of one server: a probe, and what no loop has to ask for again and again.
type Inspection struct {
	Observation
	// Variables are those of InspectedVariables that the server has.
	Variables map[string]Variable
	// Grants are privileges of our account that are lacking, those of optional features too.
	Grants []GrantLacking
	// Account is the account with which replicas log in, as this server knows it.
	Account Account
	// Keyless are InnoDB tables without a primary key, Foreign tables of other engines, Cascading those with foreign
	// keys that change rows without a word in the binary log.
	Keyless, Foreign, Cascading Listed
	// Powerful are accounts that fencing cannot throw out.
	Powerful Listed
	// Filters are replication filters, and those of the binary log.
	Filters []string
	// Channels are replication channels besides the default one.
	Channels []string
	Disk     Disk
	// Unread is what could not be read, with the reason.
	Unread []string
}

// Listed is a count with some examples.
type Listed struct {
	Count int
	Names []string
}

// GrantLacking is one privilege that our account does not hold.
type GrantLacking struct {
	Grant   string // as GRANT would name it: PROCESS ON *.*
	Why     string
	Feature string // empty when every installation needs it
}

// Account is what a server says of the account that replicas use.
type Account struct {
	Name  string
	Known bool // mysql.user could be read
	Hosts int  // how many hosts it exists for
	Reads int  // how many of these have REPLICATION SLAVE
}

// Disk is the file system of a data directory; zero where it is not on this machine.
type Disk struct {
	Path        string
	Free, Total uint64 // bytes
}

// Variable is a system variable with what is known of its next start.
type Variable struct {
	Value string
	// Origin is VARIABLE_SOURCE: COMPILED, DYNAMIC, PERSISTED, or some kind of file or command line.
	Origin string
	// Persisted is the value that the next start reads; nil when none is persisted, or when none would be read.
	Persisted *string
}

// Next is the value after a restart. A value that was changed at run time hides what the option file says, so that
// nobody can tell.
func (v Variable) Next() (value string, known bool) {
	switch {
	case v.Persisted != nil:
		return *v.Persisted, true
	case v.Origin == "DYNAMIC", v.Origin == "PERSISTED":
		return "", false
	}
	return v.Value, true
}

// Fix is a setting that may be made without asking anybody further.
type Fix struct {
	Variable string `json:"variable"`
	Value    string `json:"value"`
	// NextStart leaves the running server as it is.
	NextStart bool `json:"next_start,omitempty"`
}

// Statement is the fix in SQL.
func (f Fix) Statement() string {
	if f.NextStart {
		return "SET PERSIST_ONLY " + f.Variable + " = " + f.Value
	}
	return "SET PERSIST " + f.Variable + " = " + f.Value
}

// InspectedVariables are the names of the variables that the linter reads, in order.
func InspectedVariables() []string {
	names := []string{"persisted_globals_load"}
	for _, s := range lintedSettings {
		if s.fine != nil {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

// Fixes are all that a linter may set.
func Fixes() []Fix {
	var all []Fix
	for _, s := range lintedSettings {
		if s.fix != (Fix{}) {
			all = append(all, s.fix)
		}
	}
	return all
}

// LintLimits are what the linter takes from the configuration.
type LintLimits struct {
	SilentAfter time.Duration
	Seed        bool // servers are found through one of them
}
