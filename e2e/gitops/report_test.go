package gitops

import (
	"flag"
	"path/filepath"
	"testing"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/document"
)

var update = flag.Bool("update", false, "write docs/gitops.md")

const root = "../.."

// docs/gitops.md says what docs/gitops/results.json says, which keeps the promises and has all tools.
func TestDocument(t *testing.T) {
	results := assert.Must(document.ReadResults[Results](filepath.Join(root, source)))(t)
	if want := 2 * len(Tools) * len(Forms); len(results.Cells) != want {
		t.Errorf("%s has %d cells, want %d: run `make test-gitops`", source, len(results.Cells), want)
	}
	for _, c := range results.Cells {
		for _, broken := range c.broken() {
			t.Errorf("%s, %s, with the policy %v: %s", c.Tool, c.Form, c.Policy, broken)
		}
	}
	if err := results.blind(); err != nil {
		t.Error(err)
	}
	set := assert.Must(results.document(root))(t)
	if *update {
		assert.Must(0, set.Write(root))(t)
	}
	assert.Must(0, set.Check(root))(t)
}

func TestWords(t *testing.T) {
	for want, c := range map[string]Cell{
		"works":                     {},
		"works; shows a difference": {Drift: true},
		"works; open 1 ms when created; **open** 12 ms; `SelectorReverted`": {Newborn: 0.2, Open: 12, Warnings: []string{"SelectorReverted"}},
		"**fails**: helm: a \\| b": {Failed: "helm:\n a | b\n"},
	} {
		if got := c.words(); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}

// What the policy must keep is a broken promise where it does not.
func TestBroken(t *testing.T) {
	for name, row := range map[string]struct {
		tool  string
		cell  Cell
		count int
	}{
		"a Service that is open with the policy breaks a promise":            {"Helm 4", Cell{Policy: true, Open: 1, Warnings: []string{"SelectorReverted"}}, 2},
		"a Service may be open without the policy":                           {"Helm 4", Cell{Open: 1, Warnings: []string{"SelectorReverted"}}, 0},
		"a Service that is open without an event breaks a promise":           {"Helm 4", Cell{Open: 1}, 1},
		"a tool that merges opens no Service":                                {"Helm 3", Cell{Open: 1, Warnings: []string{"SelectorReverted"}}, 2},
		"a failure breaks a promise":                                         {"Helm 4", Cell{Failed: "conflict"}, 1},
		"Argo CD may show a difference":                                      {"Argo CD, `ServerSideApply=true`", Cell{Policy: true, Drift: true}, 0},
		"Flux shows no difference with the policy":                           {"Flux, kustomize-controller", Cell{Policy: true, Drift: true}, 1},
		"a Service that is born open with the policy breaks a promise":       {"Helm 3", Cell{Policy: true, Newborn: 1}, 1},
		"a Service that loses its endpoint with the policy breaks a promise": {"Helm 4", Cell{Policy: true, Closed: 1}, 1},
	} {
		row.cell.Tool, row.cell.Form = row.tool, Forms[0].Name
		if got := row.cell.broken(); len(got) != row.count {
			t.Errorf("%s: %q", name, got)
		}
	}
}
