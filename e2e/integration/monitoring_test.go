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
	"testing"

	"sigs.k8s.io/yaml"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// A real Prometheus, fed by both replicas, takes every rule of manifests/monitoring and every query of
// docs/monitoring.md, and tells of an election that is not as it should be.
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
	s.setReady("web-0", false)
	of := fmt.Sprintf(`{namespace=%q, lease="web"}`, s.namespace)
	s.eventually("the election is shown not to be in order", func() error { return p.count("active_standby_election_ok"+of+" == 0", len(running)) })
	notOk := fmt.Sprintf(`ALERTS{alertname="ActiveStandbyElectionNotOk", namespace=%q, lease="web"}`, s.namespace)
	s.eventually("there is an alert", func() error { return p.count(notOk, 1) })
	s.eventually("all rules were evaluated", func() error { return p.rules(len(p.alerts)) })
	page := assert.Must(os.ReadFile(filepath.Join(installation.Root, "docs", "monitoring.md")))(t)
	queries := regexp.MustCompile("(?m)^\\| .* \\| `(.+)` \\|$").FindAllSubmatch(page, -1)
	if len(queries) != 5 {
		t.Errorf("the page has %d queries", len(queries))
	}
	for _, query := range queries {
		// Others' elections have masters, and moves: each query has an answer.
		s.eventually(string(query[1]), func() error {
			if n, err := p.query(string(query[1])); err != nil || n == 0 {
				return fmt.Errorf("%d results, error %w", n, err)
			}
			return nil
		})
	}

	s.setReady("web-0", true)
	s.eventually("the alert has ended", func() error { return p.count(notOk, 0) })
}

// prometheus is a server with the rules of manifests/monitoring.
type prometheus struct {
	t       *testing.T
	address string
	alerts  []string
}

func startPrometheus(t *testing.T, program string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	var rule struct {
		Spec struct {
			Groups []struct {
				Rules []struct{ Alert string }
			}
		}
	}
	manifest := assert.Must(os.ReadFile(filepath.Join(installation.Root, "manifests", "monitoring", "prometheus-rule.yaml")))(t)
	assert.Must(0, yaml.UnmarshalStrict(manifest, &map[string]any{}))(t)
	assert.Must(0, yaml.Unmarshal(manifest, &rule))(t)
	p := &prometheus{t: t, address: freeAddress(t)}
	for _, r := range rule.Spec.Groups[0].Rules {
		p.alerts = append(p.alerts, r.Alert)
	}
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

// query returns how many results it has.
func (p *prometheus) query(promQL string) (results int, err error) {
	var data struct{ Result []any }
	err = p.get("query?query="+url.QueryEscape(promQL), &data)
	return len(data.Result), err
}

// count fails unless the query has so many results.
func (p *prometheus) count(promQL string, want int) error {
	n, err := p.query(promQL)
	if err == nil && n != want {
		err = fmt.Errorf("%d results of %s, want %d", n, promQL, want)
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
