package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// To build a program for each bug would take minutes. So one program gets all of them: each function that a bug edits
// stays as it is under another name, its edited copies stand beside it, and in its place stands a choice between them
// by the name of the bug that the program was started with.

// switchName is the variable, one in each package that is edited, that holds the name of the bug.
const switchName = "plantedBug"

// switchFile declares it.
const switchFile = `package %s

import "os"

var ` + switchName + ` = os.Getenv("` + bugVariable + `")
`

// bugVariable is the environment variable by which a woven program is told its bug; without it, it has none.
const bugVariable = "PRIMACY_PLANTED_BUG"

// weave puts the edits of all bugs into a file's text.
func weave(file, text string, all []bug) (woven, pkg string, err error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, text, parser.SkipObjectResolution)
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", file, err)
	}
	functions := functionsOf(fset, parsed, text)
	for _, b := range all {
		for _, e := range b.edits {
			if e.file != file {
				continue
			}
			f, err := place(functions, e, text)
			if err != nil {
				return "", "", fmt.Errorf("plant %s: %w", b.name, err)
			}
			f.edit(b.name, e)
		}
	}
	for _, f := range slices.Backward(functions) {
		text = text[:f.begin] + f.woven() + text[f.end:]
	}
	return text, parsed.Name.Name, nil
}

// place finds the function in which an edit's text stands. It must stand in the file exactly once: else the code has
// changed since, and the bug would be planted nowhere, or somewhere else.
func place(functions []*function, e edit, text string) (*function, error) {
	if n := strings.Count(text, e.old); n != 1 {
		return nil, fmt.Errorf("%s has %d places, and not one, that read as follows; the code has changed, so change the bug too:\n%s", e.file, n, e.old)
	}
	at := strings.Index(text, e.old)
	for _, f := range functions {
		if f.begin <= at && at+len(e.old) <= f.end {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s: this does not stand in one function:\n%s", e.file, e.old)
}

// function is one that may be edited.
type function struct {
	name       string
	text       string
	begin, end int // of its text in the file
	nameAt     int // in its text
	chooser    string
	call       string // with %s for the name of a copy
	copies     []variant
}

// variant is a copy with a bug.
type variant struct{ bug, text string }

func functionsOf(fset *token.FileSet, parsed *ast.File, text string) []*function {
	offset := func(p token.Pos) int { return fset.Position(p).Offset }
	var all []*function
	for _, d := range parsed.Decls {
		decl, ok := d.(*ast.FuncDecl)
		if !ok || decl.Body == nil {
			continue
		}
		f := &function{name: decl.Name.Name, begin: offset(decl.Pos()), end: offset(decl.End())}
		f.text, f.nameAt = text[f.begin:f.end], offset(decl.Name.Pos())-f.begin
		s := signature{text: text[f.begin:offset(decl.Body.Lbrace)], begin: f.begin, offset: offset}
		f.call = s.callOf(decl)
		f.chooser = s.text
		all = append(all, f)
	}
	return all
}

// edit makes the change in the bug's copy.
func (f *function) edit(bug string, e edit) {
	for i := range f.copies {
		if c := &f.copies[i]; c.bug == bug {
			c.text = strings.Replace(c.text, e.old, e.new, 1)
			return
		}
	}
	f.copies = append(f.copies, variant{bug, strings.Replace(f.text, e.old, e.new, 1)})
}

// woven is the function with its copies; one that nobody edits is left as it is.
func (f *function) woven() string {
	if len(f.copies) == 0 {
		return f.text
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s{\n\tswitch %s {\n", f.chooser, switchName)
	for i, c := range f.copies {
		fmt.Fprintf(&b, "\tcase %q:\n\t\t%s\n", c.bug, fmt.Sprintf(f.call, f.copyName(i)))
	}
	fmt.Fprintf(&b, "\tdefault:\n\t\t%s\n\t}\n}\n", fmt.Sprintf(f.call, f.copyName(-1)))
	fmt.Fprintf(&b, "\n%s\n", f.renamed(f.text, -1))
	for i, c := range f.copies {
		fmt.Fprintf(&b, "\n%s\n", f.renamed(c.text, i))
	}
	return b.String()
}

func (f *function) copyName(i int) string {
	if i < 0 {
		return f.name + "Unchanged"
	}
	return fmt.Sprintf("%sPlanted%d", f.name, i)
}

func (f *function) renamed(text string, i int) string {
	return text[:f.nameAt] + f.copyName(i) + text[f.nameAt+len(f.name):]
}

// signature is a function's text up to its body; parameters without a name get one.
type signature struct {
	text   string
	begin  int
	offset func(token.Pos) int
	given  int
	added  int
}

// callOf is how the function, under another name, is called with the parameters that it got.
func (s *signature) callOf(decl *ast.FuncDecl) string {
	call := "%s("
	if decl.Recv != nil {
		call = s.names(decl.Recv)[0] + ".%s("
	}
	call += strings.Join(s.names(decl.Type.Params), ", ") + ")"
	if decl.Type.Results != nil {
		return "return " + call
	}
	return call
}

func (s *signature) names(fields *ast.FieldList) []string {
	var all []string
	for _, field := range fields.List {
		more := ""
		if _, variadic := field.Type.(*ast.Ellipsis); variadic {
			more = "..."
		}
		if len(field.Names) == 0 {
			all = append(all, s.name(field.Type.Pos(), "")+more)
		}
		for _, n := range field.Names {
			if n.Name == "_" {
				all = append(all, s.name(n.Pos(), "_")+more)
			} else {
				all = append(all, n.Name+more)
			}
		}
	}
	return all
}

// name puts a new name in place of what is there.
func (s *signature) name(at token.Pos, there string) string {
	s.given++
	name := fmt.Sprintf("unnamed%d", s.given)
	i, text := s.offset(at)-s.begin+s.added, name
	if there == "" {
		text += " "
	}
	s.text = s.text[:i] + text + s.text[i+len(there):]
	s.added += len(text) - len(there)
	return name
}
