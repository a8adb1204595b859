//go:build gitops

package chart

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/yaml"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

func TestLint(t *testing.T) {
	t.Log(assert.Must(helm(t, "lint", "--strict", filepath.Join(root, "charts", name)))(t))
}

// The package of a release renders what the folder does.
func TestPackage(t *testing.T) {
	dir := t.TempDir()
	assert.Must(helm(t, "package", filepath.Join(root, "charts", name), "--destination", dir))(t)
	packages := assert.Must(filepath.Glob(filepath.Join(dir, "*.tgz")))(t)
	if len(packages) != 1 {
		t.Fatalf("the packages are %v", packages)
	}
	flags := []string{"--set", "admission.enabled=true,failClosed.enabled=true,onDemote.enabled=true,monitoring.enabled=true", "--api-versions", mutating}
	want := assert.Must(helm(t, append([]string{"template", name, filepath.Join(root, "charts", name)}, flags...)...))(t)
	got := assert.Must(helm(t, append([]string{"template", name, packages[0]}, flags...)...))(t)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is rendered (-folder +package):\n%s", diff)
	}
}

// Each value has the effect that it promises.
func TestValues(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	tests := map[string]struct {
		// want is in what is rendered, and was not there without the values.
		want string
		// gone was there without the values, and is not in what is rendered.
		gone string
	}{
		`fullnameOverride: web`:                                                 {want: "  name: web-metrics\n", gone: "  name: active-standby-controller\n"},
		`image: {repository: a/b}`:                                              {want: "image: a/b:v"},
		`image: {tag: main}`:                                                    {want: "image: qoqodev/active-standby-controller:main\n"},
		`image: {digest: "DIGEST"}`:                                             {want: "@" + digest + "\n"},
		`image: {pullPolicy: Never}`:                                            {want: "imagePullPolicy: Never\n"},
		`imagePullSecrets: [{name: registry}]`:                                  {want: "imagePullSecrets:\n        - name: registry\n"},
		`replicas: 3`:                                                           {want: "  replicas: 3\n", gone: "  replicas: 2\n"},
		`namespaces: [shop, billing]`:                                           {want: "--namespaces=shop,billing\n", gone: "priorityClassName"},
		`defaultRouting: endpointslice`:                                         {want: "--default-routing=endpointslice\n"},
		`defaultProbe: readiness`:                                               {want: "--default-probe=readiness\"\n"},
		`defaultProbe: "http://:8080/healthz?a=b"`:                              {want: "--default-probe=http://:8080/healthz?a=b\"\n"},
		`electionMetrics: 0`:                                                    {want: "--election-metrics=0\n"},
		`electionMetrics: 2000000`:                                              {want: "--election-metrics=2000000\n"},
		`verbosity: 4`:                                                          {want: "--v=4\n", gone: "--v=2\n"},
		`extraArgs: [--node-heartbeat-timeout=40s]`:                             {want: "- --node-heartbeat-timeout=40s\n"},
		`identityPolicy: {enabled: false}`:                                      {gone: "kind: ValidatingAdmissionPolicy\n"},
		`{namespaces: [shop], identityPolicy: {enabled: true}}`:                 {want: "matchResources:"},
		`rbac: {create: false}`:                                                 {gone: "kind: ClusterRole\n"},
		`serviceAccount: {create: false}`:                                       {gone: "kind: ServiceAccount\nmetadata"},
		`serviceAccount: {name: other}`:                                         {want: "serviceAccountName: other\n"},
		`serviceAccount: {annotations: {a: b}}`:                                 {want: "  annotations:\n    a: b\n"},
		`resources: {limits: {memory: 2Gi}}`:                                    {want: "memory: 2Gi\n", gone: "memory: 1Gi\n"},
		`goMemoryLimit: 1800MiB`:                                                {want: "value: 1800MiB}", gone: "value: 900MiB}"},
		`goMemoryLimit: ""`:                                                     {gone: "GOMEMLIMIT"},
		`priorityClassName: high`:                                               {want: "priorityClassName: high\n", gone: "system-cluster-critical"},
		`priorityClassName: none`:                                               {gone: "priorityClassName"},
		`nodeSelector: {role: infra}`:                                           {want: "        role: infra\n"},
		`tolerations: [{operator: Exists}]`:                                     {want: "tolerations:\n      - operator: Exists\n", gone: "tolerationSeconds"},
		`affinity: {nodeAffinity: {}}`:                                          {want: "affinity:\n        nodeAffinity: {}\n"},
		`topologySpreadConstraints: [{maxSkew: 2}]`:                             {want: "topologySpreadConstraints:\n      - maxSkew: 2\n", gone: "maxSkew: 1"},
		`podLabels: {team: db}`:                                                 {want: "        team: db\n"},
		`podLabels: {app.kubernetes.io/name: other}`:                            {gone: "name: other\n"},
		`podAnnotations: {a: b}`:                                                {want: "      annotations:\n        a: b\n"},
		`podDisruptionBudget: {enabled: false}`:                                 {gone: "kind: PodDisruptionBudget\n"},
		`networkPolicy: {enabled: true, metricsFrom: [{podSelector: {}}]}`:      {want: "  - from:\n    - podSelector: {}\n"},
		`{monitoring: {enabled: true, alerts: false, labels: {release: prom}}}`: {want: "    release: prom\n"},
		`{monitoring: {enabled: true, podMonitor: true}}`:                       {want: "kind: PodMonitor\n", gone: "kind: ServiceMonitor\n"},
		`{monitoring: {enabled: true, dashboard: false}}`:                       {want: "kind: ServiceMonitor\n", gone: "kind: ConfigMap\n"},
		`{monitoring: {enabled: true, labels: {release: prom}}, fullnameOverride: watcher}`: {want: "kind: PrometheusRule\nmetadata:\n  name: watcher\n"},
		`{global: {a: b}, enabled: true}`: {},
	}
	// Objects that are not there by default.
	without := assert.Must(helm(t, "template", name, filepath.Join(root, "charts", name)))(t)
	for values, test := range tests {
		t.Run(values, func(t *testing.T) {
			t.Parallel()
			set := assert.Must(yaml.YAMLToJSON([]byte(strings.ReplaceAll(values, "DIGEST", digest))))(t)
			got := assert.Must(helm(t, "template", name, filepath.Join(root, "charts", name), "--set-json", string(set)))(t)
			if test.want != "" && (strings.Contains(without, test.want) || !strings.Contains(got, test.want)) {
				t.Errorf("%q is there without the values, or not there with them:\n%s", test.want, got)
			}
			if test.gone != "" && strings.Contains(got, test.gone) {
				t.Errorf("%q is there:\n%s", test.gone, got)
			}
			for _, flag := range flags(got) {
				if !strings.Contains(reference(t), flag) {
					t.Errorf("docs/reference.md has no flag %q", flag)
				}
			}
		})
	}
}

// flags returns the flags that a text has, as docs/reference.md writes them.
func flags(text string) (found []string) {
	for _, match := range regexp.MustCompile(`(?m)^ *- "?(--[a-z-]+)=`).FindAllStringSubmatch(text, -1) {
		found = append(found, match[1]+" ")
	}
	return found
}

func reference(t *testing.T) string {
	t.Helper()
	return string(assert.Must(os.ReadFile(filepath.Join(root, "docs/reference.md")))(t))
}

// A value that would have no effect, or a wrong one, is an error that names it.
func TestRefused(t *testing.T) {
	tests := map[string]struct{ values, want string }{
		"a key that does not exist":               {"replica=3", `at '': additional properties 'replica' not allowed`},
		"a key that does not exist in a group":    {"image.tga=main", `at '/image': additional properties 'tga' not allowed`},
		"a number that is text":                   {"replicas=two", `at '/replicas': got string, want integer`},
		"a routing that does not exist":           {"defaultRouting=label", `at '/defaultRouting': value must be one of`},
		"a probe that does not exist":             {"defaultProbe=readyness", `at '/defaultProbe': 'readyness' does not match pattern`},
		"a namespace that is no name":             {"namespaces={B_}", `at '/namespaces/0': 'B_' does not match pattern`},
		"a digest without its algorithm":          {"image.digest=0123", `at '/image/digest': '0123' does not match pattern`},
		"a flag without dashes":                   {"extraArgs={v=4}", `at '/extraArgs/0': 'v=4' does not match pattern`},
		"closed from birth on an old cluster":     {"failClosed.enabled=true", "failClosed.enabled: Kubernetes v1.37.0 does not serve " + mutating},
		"a memory limit in Kubernetes' notation":  {"goMemoryLimit=900Mi", `at '/goMemoryLimit': '900Mi' does not match pattern`},
		"a switch that is neither true nor false": {"onDemote.enabled=yes", `at '/onDemote/enabled': got string, want boolean`},
	}
	for title, test := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			_, err := helm(t, "template", name, filepath.Join(root, "charts", name), "--set", test.values)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
		})
	}
}

// The schema has the keys of values.yaml, and no other.
func TestSchemaHasTheValues(t *testing.T) {
	folder := filepath.Join(root, "charts", name)
	var values map[string]any
	assert.Must(0, yaml.Unmarshal(assert.Must(os.ReadFile(filepath.Join(folder, "values.yaml")))(t), &values))(t)
	var schema schema
	assert.Must(0, json.Unmarshal(assert.Must(os.ReadFile(filepath.Join(folder, "values.schema.json")))(t), &schema))(t)
	sorted := cmpopts.SortSlices(strings.Compare)
	// Helm sets the two.
	if diff := cmp.Diff(append(schema.named(values, ""), "global", "enabled"), schema.keys(""), sorted); diff != "" {
		t.Errorf("keys (-values.yaml +schema):\n%s", diff)
	}
}

type schema struct {
	Properties map[string]schema
}

// keys returns the paths of all properties.
func (s schema) keys(path string) (all []string) {
	for key, property := range s.Properties {
		all = append(append(all, path+key), property.keys(path+key+".")...)
	}
	return all
}

// named returns the paths of the values that are not a user's own keys, such as those of labels.
func (s schema) named(values map[string]any, path string) (all []string) {
	for key, value := range values {
		all = append(all, path+key)
		group, _ := value.(map[string]any)
		if property := s.Properties[key]; len(property.Properties) > 0 {
			all = append(all, property.named(group, path+key+".")...)
		}
	}
	return all
}
