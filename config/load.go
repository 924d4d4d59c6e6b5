package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/viper"
)

// Load reads the file, puts the environment (as from os.Environ) on top, and checks the whole. Mistakes come back as
// [Errors]. Relative paths in the file are relative to the working directory.
func Load(path string, env []string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration: %w", err)
	}
	return load(path, data, env, modeOf(path))
}

// Parse checks a configuration that is not in a file and not overridden by the environment. The name stands in messages.
func Parse(data []byte, name string) (Config, error) {
	return load(name, data, nil, 0)
}

func load(name string, data []byte, env []string, mode os.FileMode) (Config, error) {
	r := reader{source: name}
	root := r.read(data)
	if root == nil {
		return Config{}, Errors(r.problems)
	}
	if root.shape != shapeNothing && root.shape != shapeSection {
		return Config{}, Errors{{Source: name, Line: root.line, Message: fmt.Sprintf("sections such as clusters: are wanted at the top, not %s", root.shape)}}
	}
	c := &check{source: name, root: root, schema: schema(), at: map[string]*node{}, spoiled: map[string]bool{}, wrong: r.problems}
	c.overlay(env)
	if root.shape == shapeNothing {
		return Config{}, Errors{{Source: name, Message: "nothing in it; at least mysql.password_file, replication.password_file and clusters are needed, see config.example.yaml"}}
	}
	cfg, err := c.decode()
	if err != nil {
		return Config{}, err
	}
	c.rules(&cfg)
	c.inlineSecrets(mode)
	if len(c.wrong) > 0 {
		return Config{}, Errors(sorted(c.wrong))
	}
	cfg.Warnings = sorted(c.warnings)
	return cfg, nil
}

func (c *check) overlay(env []string) {
	wrong, warnings := overlay(c.root, c.schema, env)
	c.wrong = append(c.wrong, wrong...)
	c.warnings = append(c.warnings, warnings...)
}

// decode lays the checked values over the defaults. What viper could refuse here was refused before with its place, so
// an error of its own is a bug.
func (c *check) decode() (Config, error) {
	cfg := Defaults()
	values, _ := c.value(c.schema, c.root, "").(map[string]any)
	v := viper.New()
	if err := errors.Join(v.MergeConfigMap(values), v.UnmarshalExact(&cfg)); err != nil {
		return Config{}, fmt.Errorf("%s: cannot be decoded: %w", c.source, err)
	}
	return cfg, nil
}

// modeOf is the file's mode, or 0 when it cannot be told.
func modeOf(path string) os.FileMode {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Mode()
}
