package gitops

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/itchyny/gojq"
	lua "github.com/yuin/gopher-lua"
	"sigs.k8s.io/yaml"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
)

// application is the part of an Application of Argo CD that is checked here.
type application struct {
	Spec struct {
		Source struct {
			Path, Chart, TargetRevision string
			Helm                        struct{ ValuesObject map[string]any }
		} `json:"source"`
		IgnoreDifferences []struct {
			Kind              string   `json:"kind"`
			JQPathExpressions []string `json:"jqPathExpressions"`
		} `json:"ignoreDifferences"`
	} `json:"spec"`
}

// parse reads a file of YAML below the project's root.
func parse[T any](t *testing.T, path ...string) (into T) {
	t.Helper()
	text := assert.Must(os.ReadFile(filepath.Join(append([]string{root}, path...)...)))(t)
	assert.Must(0, yaml.Unmarshal(text, &into))(t)
	return into
}

// The health check of examples/argo-cd, run by the interpreter of Argo CD with the libraries that it
// allows, says how a Service is.
func TestArgoCDHealth(t *testing.T) {
	config := parse[struct{ Data map[string]string }](t, "examples", "argo-cd", "argocd-cm.yaml")
	script := config.Data["resource.customizations.health.Service"]
	const annotated = "metadata: {annotations: {qoqo.dev/service-mode: active-standby}}\n"
	has := func(condition, status string) string {
		return "status: {loadBalancer: {}, conditions: [{type: " + condition + ", message: says, status: " + `"` + status + `"}]}`
	}
	type health struct{ Status, Message string }
	for name, row := range map[string]struct {
		service string
		want    health
	}{
		"a Service without annotations is healthy":              {"metadata: {name: web}\nspec: {type: ClusterIP}\nstatus: {loadBalancer: {}}", health{"Healthy", ""}},
		"a Service with other annotations is healthy":           {"metadata: {annotations: {a: b}}\nspec: {type: ClusterIP}", health{"Healthy", ""}},
		"an annotated Service without conditions is waited for": {annotated + "spec: {type: ClusterIP}\nstatus: {loadBalancer: {}}", health{"Progressing", "no condition qoqo.dev/MasterReady yet"}},
		"another condition does not count":                      {annotated + "spec: {}\n" + has("Other", "True"), health{"Progressing", "no condition qoqo.dev/MasterReady yet"}},
		"a Service without a master is degraded":                {annotated + "spec: {}\n" + has("qoqo.dev/MasterReady", "False"), health{"Degraded", "says"}},
		"a Service with a master is healthy":                    {annotated + "spec: {}\n" + has("qoqo.dev/MasterReady", "True"), health{"Healthy", "says"}},
		"a Service that is observed is healthy":                 {annotated + "spec: {}\n" + has("qoqo.dev/MasterReady", "Unknown"), health{"Healthy", "says"}},
		"a load balancer without an address is waited for":      {annotated + "spec: {type: LoadBalancer}\n" + has("qoqo.dev/MasterReady", "True"), health{"Progressing", "no address of a load balancer yet"}},
		"a load balancer with an address is healthy":            {"metadata: {}\nspec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}", health{"Healthy", ""}},
	} {
		var service map[string]any
		assert.Must(0, yaml.UnmarshalStrict([]byte(row.service), &service))(t)
		l := lua.NewState(lua.Options{SkipOpenLibs: true})
		defer l.Close()
		for name, open := range map[string]lua.LGFunction{lua.LoadLibName: lua.OpenPackage, lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
			assert.Must(0, l.CallByParam(lua.P{Fn: l.NewFunction(open), Protect: true}, lua.LString(name)))(t)
		}
		l.SetGlobal("obj", inLua(l, service))
		if err := l.DoString(script); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		table, ok := l.Get(-1).(*lua.LTable)
		if !ok {
			t.Errorf("%s: the script returns %s", name, l.Get(-1).Type())
			continue
		}
		text := func(key string) string { return lua.LVAsString(table.RawGetString(key)) }
		if diff := cmp.Diff(row.want, health{text("status"), text("message")}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// inLua returns what YAML has as Lua has it.
func inLua(l *lua.LState, value any) lua.LValue {
	table := l.NewTable()
	switch value := value.(type) {
	case string:
		return lua.LString(value)
	case map[string]any:
		for key, v := range value {
			table.RawSetString(key, inLua(l, v))
		}
	case []any:
		for _, v := range value {
			table.Append(inLua(l, v))
		}
	}
	return table
}

// What the Application of examples/argo-cd ignores is the controller's key, and nothing else.
func TestArgoCDIgnoresTheKey(t *testing.T) {
	manifest := map[string]any{"spec": map[string]any{"selector": map[string]any{"app": "web"}}}
	ignored := parse[application](t, "examples", "argo-cd", "web.yaml").Spec.IgnoreDifferences
	if len(ignored) != 1 || ignored[0].Kind != "Service" {
		t.Fatalf("it ignores differences of %+v, want of Services", ignored)
	}
	for _, key := range []string{"qoqo.dev/pod-uid", "qoqo.dev/routing"} {
		var live any = map[string]any{"spec": map[string]any{"selector": map[string]any{"app": "web", key: "x"}}}
		for _, path := range ignored[0].JQPathExpressions {
			query := assert.Must(gojq.Parse("del(" + path + ")"))(t)
			var ok bool
			if live, ok = query.Run(live).Next(); !ok {
				t.Fatalf("%s has no result", query)
			}
		}
		if diff := cmp.Diff(any(manifest), live); diff != "" {
			t.Errorf("what differs with the key %s (-manifest +live):\n%s", key, diff)
		}
	}
	document := string(assert.Must(os.ReadFile(filepath.Join(root, page)))(t))
	for _, path := range ignored[0].JQPathExpressions {
		if !strings.Contains(document, path) {
			t.Errorf("%s does not say %s", page, path)
		}
	}
}

// The Applications of examples/argo-cd are of folders that exist, and of values that the chart knows.
func TestArgoCDSources(t *testing.T) {
	path := parse[application](t, "examples", "argo-cd", "web.yaml").Spec.Source.Path
	if manifests := assert.Must(filepath.Glob(filepath.Join(root, path, "*.yaml")))(t); len(manifests) == 0 {
		t.Errorf("no manifest is in %q", path)
	}
	controller := parse[application](t, "examples", "argo-cd", "controller.yaml").Spec.Source
	chart := parse[struct{ Name, Version string }](t, "charts", "active-standby-controller", "Chart.yaml")
	known := parse[map[string]any](t, "charts", "active-standby-controller", "values.yaml")
	for value := range controller.Helm.ValuesObject {
		if _, is := known[value]; !is {
			t.Errorf("the chart has no value %s", value)
		}
	}
	if controller.Chart != chart.Name || controller.TargetRevision != chart.Version {
		t.Errorf("it installs the chart %q, version %q; want %q, version %q", controller.Chart, controller.TargetRevision, chart.Name, chart.Version)
	}
}
