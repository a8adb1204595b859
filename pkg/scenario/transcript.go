package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The kinds of clusters that a scenario can be kept to.
const (
	Simulated = "simulated"
	Real      = "real"
)

// Scenario is what a transcript tells.
type Scenario struct {
	// Name is the name of the transcript's file, without extension.
	Name string
	// Only is the kind of cluster that it is for, empty for any.
	Only string

	path  string
	steps []step
}

// step is a block of a transcript.
type step struct {
	// line is the number of the first one.
	line int
	// before are the lines up to the separator.
	before []string
	// looks tells a step from a comment.
	looks bool
	// want is what the cluster should look like.
	want []string
}

const (
	separator = "----"
	only      = "# only: "
)

// Read reads the scenarios of a folder that are for that kind of cluster.
func Read(folder, kind string) ([]*Scenario, error) {
	files := os.DirFS(folder)
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("there are no transcripts in %s", folder)
	}
	var all []*Scenario
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		s, err := parse(filepath.Join(folder, name), string(text))
		if err != nil {
			return nil, err
		}
		if s.Only == "" || s.Only == kind {
			all = append(all, s)
		}
	}
	return all, nil
}

func parse(path, text string) (*Scenario, error) {
	s := &Scenario{Name: strings.TrimSuffix(filepath.Base(path), ".txt"), path: path}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		if lines[i] == "" {
			i++
			continue
		}
		block := step{line: i + 1}
		for ; i < len(lines) && lines[i] != ""; i++ {
			switch {
			case lines[i] == separator && block.looks:
				return nil, fmt.Errorf("%s:%d: a second %s in one step", path, i+1, separator)
			case lines[i] == separator:
				block.looks = true
			case block.looks:
				block.want = append(block.want, lines[i])
			default:
				block.before = append(block.before, lines[i])
				if kind, found := strings.CutPrefix(lines[i], only); found {
					s.Only = kind
				}
			}
		}
		if !block.looks && len(block.commands()) > 0 {
			return nil, fmt.Errorf("%s:%d: a step without %s", path, block.line, separator)
		}
		s.steps = append(s.steps, block)
	}
	if s.Only != "" && s.Only != Simulated && s.Only != Real {
		return nil, fmt.Errorf("%s: %s%s is neither %s nor %s", path, only, s.Only, Simulated, Real)
	}
	return s, nil
}

// commands are the lines of a step that are no comments.
func (s step) commands() (all []numbered) {
	for i, line := range s.before {
		if !strings.HasPrefix(line, "#") {
			all = append(all, numbered{s.line + i, line})
		}
	}
	return all
}

type numbered struct {
	number int
	text   string
}

func (s *Scenario) format() string {
	var blocks []string
	for _, block := range s.steps {
		lines := block.before
		if block.looks {
			lines = append(append(lines[:len(lines):len(lines)], separator), block.want...)
		}
		blocks = append(blocks, strings.Join(lines, "\n")+"\n")
	}
	return strings.Join(blocks, "\n")
}

// Uses reports whether one of the scenario's commands is one of these.
func (s *Scenario) Uses(verbs ...string) bool {
	for _, block := range s.steps {
		for _, line := range block.commands() {
			for _, verb := range verbs {
				if line.text == verb || strings.HasPrefix(line.text, verb+" ") {
					return true
				}
			}
		}
	}
	return false
}
