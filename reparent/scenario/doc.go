// Package scenario is the stories of testdata: what happens to a cluster, what is asked of Primacy, and what must come
// of it. testdata/README.md says how they are written.
//
// A story is played on a stage: on servers that exist only in the tests of package reparent, on simulated ones, on real
// ones. What a story needs of one is the interface Stage in stage.go; a stage that has the whole loop of Primacy running
// over its servers is a Looped one too. What is the same for all of them is here: the language, the elector that carries
// a change out step by step (and dies where it is told to), what it has on record, and the expectations.
//
// A stage that cannot do what a line says answers with a CannotError; File.Play hands it on, so that whoever plays the
// stories can say which of them were not on that stage, and why.
package scenario
