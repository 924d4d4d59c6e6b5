package scenario

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed testdata/*.txt
var stories embed.FS

// File is one scenario.
type File struct {
	Name string // that of the file, without its ending
	Text string
}

// Files are all scenarios, in the order of their names.
func Files() ([]File, error) {
	names, err := fs.Glob(stories, "testdata/*.txt")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	files := make([]File, len(names))
	for i, name := range names {
		text, err := stories.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files[i] = File{Name: strings.TrimSuffix(path.Base(name), ".txt"), Text: string(text)}
	}
	return files, nil
}

// sentence is a line with the indented lines below it.
type sentence struct {
	text  string
	block []string
}

func sentences(text string) []sentence {
	var all []sentence
	for line := range strings.SplitSeq(text, "\n") {
		said := strings.TrimSpace(line)
		switch {
		case said == "" || strings.HasPrefix(said, "#"):
		case strings.HasPrefix(line, "\t") && len(all) > 0:
			last := &all[len(all)-1]
			last.block = append(last.block, said)
		default:
			all = append(all, sentence{text: said})
		}
	}
	return all
}
