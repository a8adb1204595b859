// Package report turns what was measured of many elections into documents: the tables and
// the pictures in docs/scale/. They are a pure function of docs/scale/results.json; prose is
// written by hand around them.
package report

import (
	"fmt"
	"io"
	"path/filepath"

	"qoqo.dev/active-standby-controller/e2e/document"
	"qoqo.dev/active-standby-controller/e2e/scale/results"
)

// The files, relative to the project's root.
const (
	folder = "docs/scale"
	source = folder + "/results.json"
	page   = folder + "/README.md"
)

// Attack is what the documents say about an attack.
type Attack struct{ Name, Does string }

// Documents are the documents of the project in the directory Root.
type Documents struct {
	Root string
	// Attacks are in the order in which the documents have them.
	Attacks []Attack
}

// Write writes the documents.
func (d Documents) Write() error {
	documents, err := d.render()
	if err != nil {
		return err
	}
	return documents.Write(d.Root)
}

// Check returns an error that names each file that Write would change.
func (d Documents) Check() error {
	documents, err := d.render()
	if err != nil {
		return err
	}
	return documents.Check(d.Root)
}

// Print prints the tables of another file of results, those that have rows.
func (d Documents) Print(w io.Writer, path string) error {
	file, err := results.Read(path)
	if err != nil {
		return err
	}
	for _, table := range []string{summaryTable(file), detailTables(file), d.neighbourTable(file)} {
		if table == unmeasured {
			continue
		}
		if _, err := fmt.Fprint(w, "\n"+table); err != nil {
			return err
		}
	}
	return nil
}

func (d Documents) render() (documents document.Set, err error) {
	documents = document.Set{Source: source, Folder: folder}
	file, err := results.Read(filepath.Join(d.Root, source))
	if err != nil {
		return documents, err
	}
	summary := summaryTable(file)
	for _, p := range pictures(file) {
		svg, err := p.draw()
		if err != nil {
			return documents, err
		}
		documents.Picture(p.name, svg)
		summary += fmt.Sprintf("\n![%s](%s.svg)\n", p.title, p.name)
	}
	return documents, documents.Fill(d.Root, page,
		document.Region{Name: "measured-on", Text: measuredOn(file.Header)},
		document.Region{Name: "summary", Text: summary},
		document.Region{Name: "detail", Text: detailTables(file)},
		document.Region{Name: "neighbours", Text: d.neighbourTable(file)},
	)
}
