//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// A real Prometheus, fed by both replicas, takes every rule of manifests/monitoring, tells of an election that is not as
// it should be, and has an answer to every query of the rules, of the dashboard and of docs/monitoring.md.
func TestMonitoring(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("there is no program prometheus; Debian has it in a package of that name")
	}
	t.Parallel()
	s := newScene(t)
	p := startPrometheus(t, program)
	s.eventually("both replicas are scraped", func() error { return p.count("up == 1", len(running)) })

	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitMaster("web", "web-1", 2)
	const moves = `sum(increase(active_standby_transitions_total{reason="HolderNotReady"}[10m])) > 0`
	s.eventually("the first move counts", func() error { return p.count(moves, 1) })
	s.setReady("web-1", false)
	of := fmt.Sprintf(`{namespace=%q, lease="web"}`, s.namespace)
	s.eventually("the election is shown not to be in order", func() error { return p.count("active_standby_election_ok"+of+" == 0", len(running)) })
	notOk := fmt.Sprintf(`ALERTS{alertname="ActiveStandbyElectionNotOk", namespace=%q, lease="web"}`, s.namespace)
	s.eventually("there is an alert", func() error { return p.count(notOk, 1) })
	s.eventually("all rules were evaluated", func() error { return p.rules(len(p.alerts)) })
	for where, query := range p.queries() {
		s.eventually(where, func() error { return p.answers(query) })
	}

	s.setReady("web-1", true)
	s.eventually("the alert has ended", func() error { return p.count(notOk, 0) })
}

// unanswered are the alerts whose query has no answer here, and why.
var unanswered = map[string]string{"ActiveStandbyControllerAbsent": "both replicas are scraped"}

// queries returns the queries of the rules, of the dashboard and of docs/monitoring.md, by where they are.
func (p *prometheus) queries() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	for _, r := range p.alerts {
		if unanswered[r.Alert] == "" {
			// What is compared has an answer also while there is no alert.
			all[r.Alert] = regexp.MustCompile(` (==|>) \d+$`).ReplaceAllString(r.Expr, "")
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ RefID, Expr string }
		}
	}
	file := filepath.Join(installation.Root, "manifests", "monitoring", "dashboard", "active-standby-controller.json")
	assert.Must(0, json.Unmarshal(assert.Must(os.ReadFile(file))(p.t), &dashboard))(p.t)
	values := strings.NewReplacer("$namespace", ".*", "$lease", ".*", "$__rate_interval", "10m", "$__range", "10m")
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all[panel.Title+", "+target.RefID] = values.Replace(target.Expr)
		}
	}
	page := assert.Must(os.ReadFile(filepath.Join(installation.Root, "docs", "monitoring.md")))(p.t)
	for _, row := range regexp.MustCompile("(?m)^\\| (.*\\?) \\| `(.+)` \\|$").FindAllSubmatch(page, -1) {
		all[string(row[1])] = string(row[2])
	}
	if len(all) < 30 {
		p.t.Errorf("only %d queries are found", len(all))
	}
	return all
}

// prometheus is a server with the rules of manifests/monitoring.
type prometheus struct {
	t       *testing.T
	address string
	alerts  []alert
}

type alert struct{ Alert, Expr string }

func startPrometheus(t *testing.T, program string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	var rule struct {
		Spec struct {
			Groups []struct {
				Rules []alert
			}
		}
	}
	manifest := assert.Must(os.ReadFile(filepath.Join(installation.Root, "manifests", "monitoring", "prometheus-rule.yaml")))(t)
	assert.Must(0, yaml.UnmarshalStrict(manifest, &map[string]any{}))(t)
	assert.Must(0, yaml.Unmarshal(manifest, &rule))(t)
	p := &prometheus{t: t, address: freeAddress(t), alerts: rule.Spec.Groups[0].Rules}
	var whole struct{ Spec json.RawMessage }
	assert.Must(0, yaml.Unmarshal(manifest, &whole))(t)
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yaml]\nscrape_configs:\n- job_name: active-standby-controller\n  honor_labels: true\n  static_configs:\n"
	for _, r := range running {
		config += fmt.Sprintf("  - targets: [%q]\n", r.Address)
	}
	for name, text := range map[string]string{"prometheus.yaml": config, "rules.yaml": string(whole.Spec)} {
		assert.Must(0, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))(t)
	}
	log := assert.Must(os.Create(filepath.Join(dir, "log")))(t)
	cmd := exec.CommandContext(t.Context(), program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address="+p.address)
	cmd.Dir, cmd.Stderr, cmd.Stdout = dir, log, log
	assert.Must(0, cmd.Start())(t)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("log of Prometheus:\n%s", text)
		}
	})
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener := assert.Must((&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"))(t)
	defer listener.Close()
	return listener.Addr().String()
}

// get reads an answer of the HTTP API.
func (p *prometheus) get(path string, into any) error {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.address+"/api/v1/"+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return nil
}

// query returns the values of its results.
func (p *prometheus) query(promQL string) (values []string, err error) {
	// A result has a time and a value.
	var data struct{ Result []struct{ Value [2]any } }
	err = p.get("query?query="+url.QueryEscape(promQL), &data)
	for _, r := range data.Result {
		values = append(values, fmt.Sprint(r.Value[1]))
	}
	return values, err
}

// count fails unless the query has so many results.
func (p *prometheus) count(promQL string, want int) error {
	values, err := p.query(promQL)
	if err == nil && len(values) != want {
		err = fmt.Errorf("%d results of %s, want %d", len(values), promQL, want)
	}
	return err
}

// answers fails unless the query has a result that is a number. A quantile of nothing is none.
func (p *prometheus) answers(promQL string) error {
	values, err := p.query(promQL)
	if err == nil && !slices.ContainsFunc(values, func(v string) bool { return v != "NaN" }) {
		err = fmt.Errorf("the results of %s are %q", promQL, values)
	}
	return err
}

// rules fails unless so many rules were evaluated without an error.
func (p *prometheus) rules(want int) error {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := p.get("rules", &data); err != nil {
		return err
	}
	fine := 0
	for _, group := range data.Groups {
		for _, r := range group.Rules {
			if r.Health == "err" {
				p.t.Errorf("%s: %s", r.Name, r.LastError)
			}
			if r.Health == "ok" {
				fine++
			}
		}
	}
	if fine != want {
		return fmt.Errorf("%d rules were evaluated, want %d", fine, want)
	}
	return nil
}
