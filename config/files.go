package config

import (
	"io"
	"os"
	"strings"
)

// secretMax is more than any password needs, and keeps a path like /dev/zero from filling the memory.
const secretMax = 64 << 10

// secret settles where a password comes from: given here, or from a file. Exactly one of both is wanted, unless it is
// optional. What names it in messages.
func (c *check) secret(section, name, what string, inline *Secret, file string, optional bool) {
	path, filePath := joined(section, name), joined(section, name)+"_file"
	if !c.sound(path, filePath) {
		return
	}
	switch {
	case inline.IsSet() && file != "":
		c.refuse(filePath, "%s is given twice, here and as %s; remove one of them", what, path)
	case file != "":
		*inline = c.secretFrom(filePath, file)
	case !inline.IsSet() && !optional:
		c.refuse(path, "%s is missing; set %s_file to a file that holds it, or the variable %s", what, name, c.secretVariable(path))
	}
}

func (c *check) secretVariable(path string) string {
	return variableName(strings.NewReplacer("[", "_", "]", "").Replace(path))
}

// secretFrom reads a password file. One line break at its end is not part of the password: editors and echo put it there.
func (c *check) secretFrom(path, file string) Secret {
	f, err := os.Open(file)
	if err != nil {
		c.refuse(path, "%s; create it with the password as its only line, readable by the user that runs primacy", fileError(err))
		return Secret{}
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, secretMax+1))
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case err != nil:
		c.refuse(path, "%s", fileError(err))
	case len(data) > secretMax:
		c.refuse(path, "%s is longer than %d bytes; is it the right file?", file, secretMax)
	case text == "":
		c.refuse(path, "%s is empty; write the password into it", file)
	case strings.ContainsAny(text, "\r\n"):
		c.refuse(path, "%s has more than one line; only the password may stand in it", file)
	default:
		c.warnReadable(path, file)
		return Secret{text}
	}
	return Secret{}
}

// fileError drops nothing but the system call's name: open /x: no such file or directory becomes /x: no such file ….
func fileError(err error) string {
	_, rest, found := strings.Cut(err.Error(), " ")
	if !found {
		return err.Error()
	}
	return rest
}

// othersRead is set in modes of files that more than their owner and group may read. Groups are how a service's
// secrets are often shared on purpose.
const othersRead os.FileMode = 0o004

func (c *check) warnReadable(path, file string) {
	if mode := modeOf(file); mode.IsRegular() && mode&othersRead != 0 {
		c.warn(path, "everybody on this machine may read %s (mode %04o); chmod 640 or 600 it", file, mode.Perm())
	}
}

// inlineSecrets warns when passwords stand in a configuration file that everybody may read.
func (c *check) inlineSecrets(mode os.FileMode) {
	if mode&othersRead == 0 {
		return
	}
	c.eachSecret(func(path string, n *node) {
		if n.variable == "" {
			c.warn(path, "it stands in a file that everybody on this machine may read (mode %04o); use %s_file, or chmod 600 %s", mode.Perm(), path, c.source)
		}
	})
}

// eachSecret visits the secrets that stand in the file or the environment.
func (c *check) eachSecret(visit func(path string, n *node)) {
	var walk func(k *key, n *node, path string)
	walk = func(k *key, n *node, path string) {
		if k.kind == kindSecret && n.shape == shapeScalar {
			visit(path, n)
		}
		for _, f := range k.fields {
			if v := n.get(f.name); v != nil {
				walk(f, v, joined(path, f.name))
			}
		}
		if k.item != nil {
			for i, item := range n.items {
				walk(k.item, item, entry(path, i))
			}
		}
	}
	walk(c.schema, c.root, "")
}

// readable refuses a file that cannot be opened now, instead of when it is needed.
func (c *check) readable(path, file string) {
	if file == "" || !c.sound(path) {
		return
	}
	f, err := os.Open(file)
	if err != nil {
		c.refuse(path, "%s; name a file that the user that runs primacy may read", fileError(err))
		return
	}
	_ = f.Close()
}
