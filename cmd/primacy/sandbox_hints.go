package main

import (
	"strings"
)

// hint is a command to try, and what it shows.
type hint struct{ command, remark string }

// sandboxHints are a first tour: the first primary dies and comes back.
func sandboxHints(first, address string) []hint {
	return []hint{
		{"topology " + sandboxCluster, "who leads"},
		{"sandbox kill " + first, "kill -9 the first primary"},
		{"topology " + sandboxCluster, "somebody else leads"},
		{"recoveries", "what was done; then: explain ID"},
		{"sandbox start " + first, "it comes back as a replica"},
		{"ack " + sandboxCluster, "lift the anti-flapping window"},
		{"reparent " + sandboxCluster + " --to " + address + " --dry-run", "what moving the primary would do"},
		{"sandbox freeze " + first, "it hangs; thaw ends that"},
	}
}

// listedHints writes the hints for a program as it was called itself, with the remarks in one column.
func listedHints(program string, hints []hint) string {
	column := 0
	for _, h := range hints {
		column = max(column, cells(h.command))
	}
	var text strings.Builder
	for _, h := range hints {
		text.WriteString("  " + quotedWord(program) + " " + padded(h.command, column) + "  # " + h.remark + "\n")
	}
	return text.String()
}

// quotedWord is a word that the shell takes as it is.
func quotedWord(word string) string {
	if strings.ContainsAny(word, " \t'\"\\$&;|<>()*?[]#~`!{}") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
