// Package report turns what was measured of failovers into documents: the tables
// and the pictures in docs/failover/, the table in docs/guarantees.md, and a part of
// it in the README. They are a pure function of docs/failover/results.json; prose is
// written by hand around them.
package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// The files, relative to the project's root.
const (
	folder  = "docs/failover"
	source  = folder + "/results.json"
	detail  = folder + "/README.md"
	summary = "docs/guarantees.md"
	readme  = "README.md"
)

// Scenario is what the documents say about a scenario.
type Scenario struct {
	Title string
	// Why explains the figures, in Markdown.
	Why string
}

// Write writes the documents of the project in the directory root. The keys of about
// are the names of the scenarios in results.json.
func Write(root string, about map[string]Scenario) error {
	documents, err := render(root, about)
	if err != nil {
		return err
	}
	for _, d := range documents {
		if err := os.WriteFile(filepath.Join(root, d.path), d.text, 0o600); err != nil {
			return err
		}
	}
	leftovers, err := stale(root, documents)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if err := os.Remove(filepath.Join(root, path)); err != nil {
			return err
		}
	}
	return nil
}

// Check returns an error that names each file that Write would change.
func Check(root string, about map[string]Scenario) error {
	documents, err := render(root, about)
	if err != nil {
		return err
	}
	var problems error
	for _, d := range documents {
		text, err := fs.ReadFile(os.DirFS(root), d.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = errors.Join(problems, fmt.Errorf("%s is missing", d.path))
		case err != nil:
			return err
		case !bytes.Equal(text, d.text):
			problems = errors.Join(problems, fmt.Errorf("%s is not what %s says", d.path, source))
		}
	}
	leftovers, err := stale(root, documents)
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		problems = errors.Join(problems, fmt.Errorf("%s is of a scenario that is not in %s", path, source))
	}
	if problems != nil {
		return fmt.Errorf("%w\nrun `make update`", problems)
	}
	return nil
}

// document is a file as it should be.
type document struct {
	path string // relative to the root
	text []byte
}

func render(root string, about map[string]Scenario) ([]document, error) {
	file, err := results.Read(filepath.Join(root, source))
	if err != nil {
		return nil, err
	}
	if len(file.Results) == 0 {
		return nil, fmt.Errorf("%s has no results; `make e2e-failover` measures them", source)
	}
	scenarios, err := group(file.Results, about)
	if err != nil {
		return nil, err
	}
	var documents []document
	for _, d := range []struct {
		path    string
		regions []region
	}{
		{path: readme, regions: []region{{name: "failover-brief", text: summaryTable(brief(scenarios))}}},
		{path: summary, regions: []region{{name: "failover-summary", text: summaryTable(scenarios)}}},
		{path: detail, regions: []region{
			{name: "measured-on", text: measuredOn(file.Header)},
			{name: "results", text: resultTables(scenarios)},
			{name: "steps", text: stepsTable(scenarios)},
		}},
	} {
		text, err := fs.ReadFile(os.DirFS(root), d.path)
		if err != nil {
			return nil, err
		}
		for _, r := range d.regions {
			if text, err = r.replaceIn(text); err != nil {
				return nil, fmt.Errorf("%s: %w", d.path, err)
			}
		}
		documents = append(documents, document{path: d.path, text: text})
	}
	for _, s := range scenarios {
		svg, err := picture(s)
		if err != nil {
			return nil, err
		}
		documents = append(documents, document{path: folder + "/" + s.slug + ".svg", text: svg})
	}
	return documents, nil
}

// stale returns the pictures of scenarios that are no longer measured.
func stale(root string, documents []document) (paths []string, err error) {
	pictures, err := fs.Glob(os.DirFS(root), folder+"/*.svg")
	if err != nil {
		return nil, err
	}
	for _, path := range pictures {
		if !slices.ContainsFunc(documents, func(d document) bool { return d.path == path }) {
			paths = append(paths, path)
		}
	}
	return paths, nil
}
