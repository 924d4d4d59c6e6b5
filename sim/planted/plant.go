package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// project is a checkout, and a directory for what is built from it.
type project struct{ root, out string }

// inProject finds the checkout in which this program is run.
func inProject(ctx context.Context, out string) (project, error) {
	text, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(text))
	if err != nil || filepath.Base(mod) != "go.mod" {
		return project{}, fmt.Errorf("find go.mod: run this within a checkout of Primacy (%w)", err)
	}
	return project{root: filepath.Dir(mod), out: out}, nil
}

// plant writes the files of the project with the bugs in them, and how go build finds those in place of the real ones.
func (p project) plant(all []bug) (overlay string, err error) {
	replace := map[string]string{}
	for _, file := range files(all) {
		text, err := os.ReadFile(filepath.Join(p.root, file))
		if err != nil {
			return "", fmt.Errorf("plant bugs in %s: %w", file, err)
		}
		woven, pkg, err := weave(file, string(text), all)
		if err != nil {
			return "", err
		}
		choice := path.Join(path.Dir(file), "planted_bug.go")
		for name, text := range map[string]string{file: woven, choice: fmt.Sprintf(switchFile, pkg)} {
			place := filepath.Join(p.out, strings.ReplaceAll(name, "/", "_"))
			if err := os.WriteFile(place, []byte(text), 0o600); err != nil {
				return "", fmt.Errorf("plant bugs in %s: %w", file, err)
			}
			replace[filepath.Join(p.root, name)] = place
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("plant bugs: %w", err)
	}
	overlay = filepath.Join(p.out, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
}

// files are those that bugs edit.
func files(all []bug) []string {
	var found []string
	for _, b := range all {
		for _, e := range b.edits {
			if !slices.Contains(found, e.file) {
				found = append(found, e.file)
			}
		}
	}
	slices.Sort(found)
	return found
}

// build makes the program with all the bugs in it, of which it is told one when it is started.
func (p project) build(ctx context.Context, all []bug) (binary string, err error) {
	overlay, err := p.plant(all)
	if err != nil {
		return "", err
	}
	binary = filepath.Join(p.out, "planted")
	return binary, p.compile(ctx, binary, "-overlay", overlay)
}

// buildUnchanged makes the program as the code is.
func (p project) buildUnchanged(ctx context.Context) (binary string, err error) {
	binary = filepath.Join(p.out, "unchanged")
	return binary, p.compile(ctx, binary)
}

func (p project) compile(ctx context.Context, binary string, flags ...string) error {
	args := append([]string{"build", "-ldflags", "-s -w", "-o", binary}, flags...)
	build := exec.CommandContext(ctx, "go", append(args, "./sim/planted")...)
	build.Dir = p.root
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", filepath.Base(binary), err, text)
	}
	return nil
}
