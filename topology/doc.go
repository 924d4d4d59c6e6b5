// Package topology is the vocabulary of a cluster and the judgement about it: servers, durability policies, what
// probes observed, what is on record, and Analyze, which says what is wrong with which evidence.
//
// It is pure: nothing here talks to a server, asks for the time or keeps state. Start reading at Ruleset.Durable, the
// one question from which acknowledgements, revocation and establishment are derived; then Observation, Snapshot and
// History, which are all that a judgement may rest on; then Analyze.
package topology
