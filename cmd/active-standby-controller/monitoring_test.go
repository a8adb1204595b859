package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// rule is an alert of manifests/monitoring.
type rule struct {
	Alert, Expr string
	Annotations map[string]string
}

// Each alert says where its runbook is, and each runbook is of an alert.
func TestAlertsHaveRunbooks(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/monitoring.md"))
	if err != nil {
		t.Fatal(err)
	}
	var alerts []string
	for _, r := range rules(t) {
		alerts = append(alerts, r.Alert)
		want := "https://github.com/qoqodev/active-standby-controller/blob/main/docs/monitoring.md#" + strings.ToLower(r.Alert)
		if got := r.Annotations["runbook_url"]; got != want {
			t.Errorf("the runbook_url of %s is %q, want %q", r.Alert, got, want)
		}
	}
	var headings []string
	for _, heading := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllSubmatch(page, -1) {
		headings = append(headings, string(heading[1]))
	}
	if diff := cmp.Diff(alerts, headings); diff != "" {
		t.Errorf("headings of docs/monitoring.md (-want +got):\n%s", diff)
	}
}

// The alerts and the dashboard ask for metrics that the controller has.
func TestQueriesAreOfMetricsThatExist(t *testing.T) {
	known := gatherMetrics(t).names
	all := expressions(t)
	for _, expr := range all {
		named := metricsIn(expr)
		if len(named) == 0 {
			t.Errorf("no metric is found in %s", expr)
		}
		for _, name := range named {
			// The parts of a histogram have names of their own.
			if !slices.Contains(known, strings.TrimSuffix(name, "_bucket")) {
				t.Errorf("the metric %s does not exist, which is in %s", name, expr)
			}
		}
	}
	t.Run("promtool reads them", func(t *testing.T) {
		promtool, err := exec.LookPath("promtool")
		if err != nil {
			t.Skip("there is no program promtool; Debian has it in the package prometheus")
		}
		type recording struct {
			Record string `json:"record"`
			Expr   string `json:"expr"`
		}
		var recorded []recording
		for i, expr := range all {
			recorded = append(recorded, recording{fmt.Sprint("query", i), expr})
		}
		// YAML is a superset of JSON.
		text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "queries", "rules": recorded}}})
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	})
}

func TestMetricsIn(t *testing.T) {
	for expr, want := range map[string][]string{
		`absent(a)`: {"a"},
		`sum by (reason) (increase(a_total{b="c", d=~"e"}[5m])) > 0`:        {"a_total"},
		`a_bucket / on (b) group_left (c) d and on (job, e) f or vector(0)`: {"a_bucket", "d", "f"},
		`time() - max by(a) (b{c="d{e"} offset 5m) == bool 1e3`:             {"b"},
	} {
		if diff := cmp.Diff(want, metricsIn(expr)); diff != "" {
			t.Errorf("metrics in %s (-want +got):\n%s", expr, diff)
		}
	}
}

var (
	quoted = regexp.MustCompile(`"[^"]*"`)
	// besides is what has words in a PromQL expression that are names of neither metrics nor functions.
	besides = regexp.MustCompile(`\[[^]]*\]|\{[^}]*\}|\b(by|without|on|ignoring|group_left|group_right) ?\([^)]*\)|\boffset \w+`)
	// word is a name, and what shows that it is a function's.
	word = regexp.MustCompile(`\b([a-zA-Z_:][\w:]*)( *\()?`)
)

// metricsIn returns the names of the metrics in a PromQL expression.
func metricsIn(expr string) (names []string) {
	// Braces may stand in quotes.
	expr = besides.ReplaceAllString(quoted.ReplaceAllString(expr, ""), "")
	for _, w := range word.FindAllStringSubmatch(expr, -1) {
		if w[2] == "" && !slices.Contains([]string{"and", "or", "unless", "bool"}, w[1]) {
			names = append(names, w[1])
		}
	}
	return names
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	var manifest struct {
		Spec struct {
			Groups []struct{ Rules []rule }
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "manifests/monitoring/prometheus-rule.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &manifest)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range manifest.Spec.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no alert is found")
	}
	return all
}

// expressions returns the queries of the alerts and of the dashboard, with values for variables.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	for _, r := range rules(t) {
		all = append(all, r.Expr)
	}
	var dashboard struct {
		Templating struct {
			List []struct{ Type, Query string }
		}
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "manifests/monitoring/dashboard/active-standby-controller.json"))
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("$namespace", ".*", "$lease", ".*", "$__rate_interval", "1m", "$__range", "1h")
	add := func(expr string) {
		expr = values.Replace(expr)
		if strings.Contains(expr, "$") {
			t.Errorf("there is another variable in %s", expr)
		}
		all = append(all, expr)
	}
	for _, variable := range dashboard.Templating.List {
		if variable.Type == "query" {
			of := regexp.MustCompile(`^label_values\((.*), [a-z]+\)$`).FindStringSubmatch(variable.Query)
			if of == nil {
				t.Fatalf("a variable has the query %s", variable.Query)
			}
			add(of[1])
		}
	}
	for _, panel := range dashboard.Panels {
		if len(panel.Targets) == 0 && panel.Type != "row" {
			t.Errorf("the panel %s has no query", panel.Title)
		}
		for _, target := range panel.Targets {
			add(target.Expr)
		}
	}
	return all
}
