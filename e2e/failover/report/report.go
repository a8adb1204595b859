// Package report turns what was measured of failovers into documents: the tables
// and the pictures in docs/failover/, the table in docs/guarantees.md, and a part of
// it in the README. They are a pure function of docs/failover/results.json; prose is
// written by hand around them.
package report

import (
	"fmt"
	"path/filepath"

	"qoqo.dev/active-standby-controller/e2e/document"
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
	return documents.Write(root)
}

// Check returns an error that names each file that Write would change.
func Check(root string, about map[string]Scenario) error {
	documents, err := render(root, about)
	if err != nil {
		return err
	}
	return documents.Check(root)
}

func render(root string, about map[string]Scenario) (documents document.Set, err error) {
	documents = document.Set{Source: source, Folder: folder}
	file, err := results.Read(filepath.Join(root, source))
	if err != nil {
		return documents, err
	}
	if len(file.Results) == 0 {
		return documents, fmt.Errorf("%s has no results; `make e2e-failover` measures them", source)
	}
	scenarios, err := group(file.Results, about)
	if err != nil {
		return documents, err
	}
	compared, err := byProxy(file.KubeProxies, about)
	if err != nil {
		return documents, err
	}
	for _, d := range []struct {
		path    string
		regions []document.Region
	}{
		{path: readme, regions: []document.Region{{Name: "failover-brief", Text: summaryTable(brief(scenarios))}}},
		{path: summary, regions: []document.Region{{Name: "failover-summary", Text: summaryTable(scenarios)}}},
		{path: detail, regions: []document.Region{
			{Name: "measured-on", Text: measuredOn(file.Header)},
			{Name: "results", Text: resultTables(scenarios)},
			{Name: "kube-proxies", Text: proxyTables(compared)},
			{Name: "steps", Text: stepsTable(scenarios)},
		}},
	} {
		if err := documents.Fill(root, d.path, d.regions...); err != nil {
			return documents, err
		}
	}
	for _, s := range scenarios {
		svg, err := picture(s)
		if err != nil {
			return documents, err
		}
		documents.Picture(s.slug, svg)
	}
	return documents, nil
}
