//go:build gitops

package gitops

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/document"
)

var save = flag.Bool("save", false, "write docs/gitops/results.json")

// Each tool installs the manifest and upgrades it, unchanged and changed, and goes back, with a switchover
// before each. It keeps what docs/gitops.md promises.
func TestMatrix(t *testing.T) {
	if *save && testing.Short() {
		t.Fatal("-save needs all of the matrix, and -short plays a part of it")
	}
	results := Results{Versions: assert.Must(versions())(t)}
	t.Run("tools", func(t *testing.T) {
		for _, form := range Forms {
			for _, tool := range Tools {
				for _, policy := range []bool{true, false} {
					results.Cells = append(results.Cells, Cell{})
					i := len(results.Cells) - 1
					t.Run(fmt.Sprintf("%s, %s, policy %v", strings.ReplaceAll(tool.Name, "`", ""), form.Name, policy), func(t *testing.T) {
						if testing.Short() && form.Name != Forms[0].Name {
							t.Skip("-short")
						}
						t.Parallel()
						p := newPlay(t, tool, form, policy)
						steps := []step{{tool.Upgrade, 8080}, {tool.Upgrade, 8081}}
						if tool.Back != "" {
							steps = append(steps, step{tool.Back, 8080})
						}
						c := p.play(policy, steps)
						for _, broken := range c.broken() {
							t.Error(broken)
						}
						t.Log(c.words())
						results.Cells[i] = c
					})
				}
			}
		}
	})
	results.Cells = slices.DeleteFunc(results.Cells, func(c Cell) bool { return c.Tool == "" })
	t.Logf("\n%s\n%s", results.table(false), results.table(true))
	if len(results.Cells) >= 2*len(Tools) { // not with -run
		if err := results.blind(); err != nil {
			t.Error(err)
		}
	}
	if *save {
		assert.Must(0, document.WriteResults(filepath.Join(root, source), results))(t)
	}
}

// Ten upgrades with a switchover before each meet no conflict, and the master alone gets the traffic.
func TestTenUpgrades(t *testing.T) {
	for _, name := range []string{"Helm 3", "Helm 4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlay(t, tool(name), Forms[0], true)
			var steps []step
			masters := []string{"web-0"}
			for i := range 10 {
				steps = append(steps, step{p.tool.Upgrade, 8080 + i/2})
				masters = append(masters, fmt.Sprintf("web-%d", (i+1)%2))
			}
			for _, broken := range p.play(true, steps).broken() {
				t.Error(broken)
			}
			if diff := cmp.Diff(masters, p.traffic.served()); diff != "" {
				t.Errorf("the endpoints (-want +got):\n%s", diff)
			}
		})
	}
}
