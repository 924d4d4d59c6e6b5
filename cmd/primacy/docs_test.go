package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	inlineCode = regexp.MustCompile("`(primacy [^`\n]+)`")
	shellWord  = regexp.MustCompile(`"[^"]*"|'[^']*'|[^\s"']+`)
)

// commentedCommand is a line of the example that consists of a command and what it does.
var commentedCommand = regexp.MustCompile(`(?m)^#   (primacy .*?)  `)

// commandsOn finds what a page tells its readers to type.
func commandsOn(text string) (lines []string) {
	for _, block := range shellBlock.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(block[1]) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			line, _, _ = strings.Cut(line, " | ")
			if line = strings.TrimPrefix(line, "bin/"); strings.HasPrefix(line, "primacy ") {
				lines = append(lines, line)
			}
		}
	}
	for _, code := range inlineCode.FindAllStringSubmatch(text, -1) {
		if strings.Count(code[1], " ") == 1 { // a command alone is a name
			code[1] += " --help"
		}
		lines = append(lines, code[1])
	}
	for _, code := range commentedCommand.FindAllStringSubmatch(text, -1) {
		lines = append(lines, code[1])
	}
	return lines
}

func TestEveryCommandOnThePagesIsOne(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range append(files, "../../README.md", "../../config.example.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandsOn(string(text)) {
			tried++
			if err := parses(line); err != nil {
				t.Errorf("%s: %s: %v", filepath.Base(file), line, err)
			}
		}
	}
	if tried < 30 {
		t.Errorf("only %d commands were found", tried)
	}
}

// parses does with a line what the program would do before it acts.
func parses(line string) error {
	var args []string
	for _, word := range shellWord.FindAllString(line, -1)[1:] {
		args = append(args, strings.Trim(word, `"'`))
	}
	root, _ := rootCommand()
	c, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if slices.Contains(rest, "--help") {
		return nil
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		return err
	}
	return known(c)
}

// known refuses a group of commands without one of its members, and a story that nobody can tell.
func known(c *cobra.Command) error {
	if !c.Runnable() {
		return usagef("%s alone does nothing", c.CommandPath())
	}
	if scenario := c.Flags().Lookup("scenario"); scenario != nil && scenario.Changed && !slices.Contains(scenarios, scenario.Value.String()) {
		return usagef("no scenario is called %s", scenario.Value)
	}
	return nil
}

func TestMistypedCommandsOnPagesAreNoticed(t *testing.T) {
	for _, line := range []string{
		"primacy repparent shop", "primacy reparent", "primacy reparent shop --too db2:3306", "primacy ack shop now",
		"primacy sandbox --scenario nosuch", "primacy serve --config", "primacy automation shop",
		"primacy nosuch --help",
	} {
		if parses(line) == nil {
			t.Errorf("%s is taken for a command", line)
		}
	}
}
