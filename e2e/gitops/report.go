package gitops

import (
	"fmt"
	"strings"

	"qoqo.dev/active-standby-controller/e2e/document"
)

// words returns the cell for a table.
func (c Cell) words() string {
	words := []string{"works"}
	if c.Failed != "" {
		words[0] = "**fails**: " + strings.ReplaceAll(strings.Join(strings.Fields(c.Failed), " "), "|", `\|`)
	}
	for _, o := range []struct {
		ms   float64
		what string
	}{{c.Newborn, "open %s when created"}, {c.Open, "**open** %s"}, {c.Closed, "no endpoint %s"}} {
		if o.ms > 0 {
			words = append(words, fmt.Sprintf(o.what, document.Duration(max(o.ms, 1))))
		}
	}
	for _, w := range c.Warnings {
		words = append(words, "`"+w+"`")
	}
	if c.Drift {
		words = append(words, "shows a difference")
	}
	return strings.Join(words, "; ")
}

// document returns docs/gitops.md as it should be.
func (r Results) document(root string) (set document.Set, err error) {
	set.Source = source
	v := r.Versions
	versions := fmt.Sprintf("Kubernetes and kubectl %s with its Kustomize 5, Helm %s and %s, `github.com/fluxcd/pkg/ssa` %s.\n",
		v["kubernetes"], v["helm3"], v["helm4"], v["flux"])
	err = set.Fill(root, page, document.Region{Name: "versions of tools", Text: versions},
		document.Region{Name: "unchanged manifests", Text: r.table(false)}, document.Region{Name: "static forms", Text: r.table(true)})
	return set, err
}

// The files, relative to the project's root.
const (
	source = "docs/gitops/results.json"
	page   = "docs/gitops.md"
)

// table has a row for each tool, and columns for each form. If what came of a form is the same with
// the policy and without it, that is one column.
func (r Results) table(static bool) string {
	type column struct {
		head  string
		cells map[string]Cell
	}
	var columns []column
	for _, f := range Forms {
		if f.Static != static {
			continue
		}
		with, without := map[string]Cell{}, map[string]Cell{}
		same := true
		for _, c := range r.Cells {
			if c.Form == f.Name && c.Policy {
				with[c.Tool] = c
			} else if c.Form == f.Name {
				without[c.Tool] = c
			}
		}
		for _, t := range Tools {
			same = same && with[t.Name].words() == without[t.Name].words()
		}
		if same {
			columns = append(columns, column{f.Name, with})
		} else {
			columns = append(columns, column{f.Name + ", with the policy", with}, column{f.Name + ", without it", without})
		}
	}
	head := []string{"tool"}
	for _, c := range columns {
		head = append(head, c.head)
	}
	table := document.Head(len(head), head...)
	for _, t := range Tools {
		row := []string{t.Name}
		for _, c := range columns {
			words := document.Nothing
			if cell, found := c.cells[t.Name]; found {
				words = cell.words()
			}
			row = append(row, words)
		}
		table += document.Row(row...)
	}
	return table
}
