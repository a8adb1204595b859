//go:build gitops

package chart

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/manifest"
)

// The chart with values renders what an overlay over manifests/ with components builds.
func TestChartIsManifests(t *testing.T) {
	const all = "failClosed.enabled=true,admission.enabled=true,onDemote.enabled=true,networkPolicy.enabled=true,monitoring.enabled=true,userNamespaces.enabled=true"
	tests := map[string]struct {
		// overlay is the rest of the kustomization.
		overlay    string
		components []string
		values     string
		// release and namespace are by default those of manifests/.
		release, namespace string
	}{
		"by default":                      {},
		"with policies":                   {components: []string{"admission"}, values: "admission.enabled=true"},
		"closed from birth":               {components: []string{"fail-closed"}, values: "failClosed.enabled=true"},
		"with the right to delete pods":   {components: []string{"on-demote"}, values: "onDemote.enabled=true"},
		"with a network policy":           {components: []string{"network"}, values: "networkPolicy.enabled=true"},
		"with monitoring":                 {components: []string{"monitoring"}, values: "monitoring.enabled=true"},
		"with a PodMonitor":               {components: []string{"monitoring", "monitoring/pod-monitor"}, values: "monitoring.enabled=true,monitoring.podMonitor=true"},
		"in a user namespace":             {components: []string{"userns"}, values: "userNamespaces.enabled=true"},
		"in one namespace":                {components: []string{"namespaced"}, values: "namespaces={kube-system}"},
		"in one namespace, deleting pods": {components: []string{"namespaced", "namespaced/on-demote"}, values: "namespaces={kube-system},onDemote.enabled=true"},
		"in one namespace that is not kube-system": {
			overlay: "namespace: shop", components: []string{"namespaced"},
			namespace: "shop", values: "namespaces={shop}",
		},
		"in one namespace, with the rights to read nodes": {
			overlay: "resources: [MANIFESTS, MANIFESTS/namespaced/nodes.yaml]", components: []string{"namespaced"},
			values: "namespaces={kube-system},rbac.nodes=true",
		},
		"with another name and namespace": {
			overlay: "namespace: failover\nnamePrefix: my-", components: []string{"admission", "fail-closed", "on-demote", "network", "monitoring", "userns"},
			release: "my", namespace: "failover", values: all,
		},
		"with another image": {
			overlay: "images: [{name: qoqodev/active-standby-controller, newName: registry.example.com/controller, newTag: main}]",
			values:  "image.repository=registry.example.com/controller,image.tag=main",
		},
	}
	var compared []string
	for title, test := range tests {
		compared = append(compared, test.components...)
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			if test.release == "" {
				test.release = name
			}
			if test.namespace == "" {
				test.namespace = "kube-system"
			}
			want := normalized(t, built(t, test.overlay, test.components...), test.namespace)
			got := normalized(t, rendered(t, test.release, test.namespace, "--set", test.values, "--api-versions", mutating), test.namespace)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("objects of the chart (-manifests +chart):\n%s", diff)
			}
		})
	}
	slices.Sort(compared)
	if diff := cmp.Diff(components(t), slices.Compact(compared)); diff != "" {
		t.Errorf("components that are compared (-manifests +test):\n%s", diff)
	}
}

// components returns the folders of manifests/ that are components of Kustomize.
func components(t *testing.T) (all []string) {
	t.Helper()
	manifests := os.DirFS(filepath.Join(root, "manifests"))
	assert.Must(0, fs.WalkDir(manifests, ".", func(path string, _ fs.DirEntry, err error) error {
		if dir, file := filepath.Split(path); dir != "" && file == "Kustomization" {
			all = append(all, filepath.Clean(dir))
		}
		return err
	}))(t)
	return all
}

// Several namespaces have each the Role that docs/install.md has applied in them.
func TestNamespaces(t *testing.T) {
	got := normalized(t, rendered(t, name, "kube-system", "--set", "namespaces={shop,billing},onDemote.enabled=true"), "kube-system")
	for _, namespace := range []string{"shop", "billing"} {
		for _, file := range []string{"namespaced/role.yaml", "namespaced/on-demote/role.yaml"} {
			text := assert.Must(os.ReadFile(filepath.Join(root, "manifests", file)))(t)
			for key, want := range normalized(t, assert.Must(manifest.Objects(string(text)))(t), namespace) {
				if diff := cmp.Diff(want, got[key]); diff != "" {
					t.Errorf("%s (-manifests +chart):\n%s", key, diff)
				}
				delete(got, key)
			}
		}
	}
	for key := range got {
		if strings.Contains(key, "Role") || strings.Contains(key, "Policy") {
			t.Errorf("there is the %s", key)
		}
	}
}

// Policies of a release that serves some namespaces leave others to other releases.
func TestPoliciesOfSomeNamespaces(t *testing.T) {
	bindings := 0
	for _, o := range rendered(t, name, "kube-system", "--api-versions", mutating,
		"--set", "namespaces={shop,billing},identityPolicy.enabled=true,admission.enabled=true,failClosed.enabled=true") {
		if !strings.HasSuffix(o.GetKind(), "AdmissionPolicyBinding") {
			continue
		}
		bindings++
		got, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "matchResources", "namespaceSelector", "matchExpressions")
		want := []any{map[string]any{"key": "kubernetes.io/metadata.name", "operator": "In", "values": []any{"shop", "billing"}}}
		if diff := cmp.Diff(any(want), got); diff != "" {
			t.Errorf("%s is of the namespaces (-want +got):\n%s", o.GetName(), diff)
		}
	}
	if bindings != 10 {
		t.Errorf("there are %d bindings of policies, want 10", bindings)
	}
}

// built returns what Kustomize makes of an overlay over manifests/ with some of its components.
func built(t *testing.T, lines string, components ...string) []unstructured.Unstructured {
	t.Helper()
	dir := assert.Must(filepath.EvalSymlinks(t.TempDir()))(t)
	manifests := assert.Must(filepath.Rel(dir, assert.Must(filepath.Abs(filepath.Join(root, "manifests")))(t)))(t)
	if !strings.Contains(lines, "resources:") {
		lines += "\nresources: [MANIFESTS]"
	}
	text := strings.ReplaceAll(lines, "MANIFESTS", manifests) + "\ncomponents:\n"
	for _, c := range components {
		text += fmt.Sprintf("- %s\n", filepath.Join(manifests, c))
	}
	assert.Must(0, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))(t)
	options := krusty.MakeDefaultOptions()
	// nodes.yaml is outside of the overlay's folder.
	options.LoadRestrictions = types.LoadRestrictionsNone
	resources := assert.Must(krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), dir))(t)
	return assert.Must(manifest.Objects(string(assert.Must(resources.AsYaml())(t))))(t)
}

// normalized returns the objects by kind, namespace and name, without what only Helm or only Kustomize sets. Objects without
// a namespace are applied in the given one.
func normalized(t *testing.T, all []unstructured.Unstructured, namespace string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, o := range all {
		switch {
		// Kustomize does not know that policies are of the cluster.
		case strings.HasPrefix(o.GetKind(), "Cluster") || strings.Contains(o.GetKind(), "AdmissionPolicy"):
			o.SetNamespace("")
		case o.GetNamespace() == "":
			o.SetNamespace(namespace)
		}
		if o.GetKind() == "Deployment" {
			nameNamespace(t, o, namespace)
		}
		key := fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
		if found[key] != nil {
			t.Errorf("there are two of %s", key)
		}
		found[key] = normal(o.Object).(map[string]any)
	}
	return found
}

// nameNamespace puts the namespace into the place of a variable. manifests/namespaced has the variable because the folder does
// not know the namespace that it will be applied in. The chart does.
func nameNamespace(t *testing.T, deployment unstructured.Unstructured, namespace string) {
	t.Helper()
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, path...)
	if err != nil || len(containers) != 1 {
		t.Fatalf("the containers are %v: %v", containers, err)
	}
	container := containers[0].(map[string]any)
	args := container["args"].([]any)
	at := slices.Index(args, any("--namespaces=$(NAMESPACE)"))
	if at < 0 {
		return
	}
	args[at] = "--namespaces=" + namespace
	container["env"] = slices.DeleteFunc(container["env"].([]any), func(e any) bool { return e.(map[string]any)["name"] == "NAMESPACE" })
	assert.Must(0, unstructured.SetNestedSlice(deployment.Object, containers, path...))(t)
}

// normal takes away the labels by which Helm finds its own, also where they select pods, and the line breaks that Kustomize
// doubles when it writes an expression.
func normal(of any) any {
	switch of := of.(type) {
	case map[string]any:
		for key, value := range of {
			switch {
			case slices.Contains([]string{"helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version"}, key),
				key == "app.kubernetes.io/managed-by" && value == "Helm":
				delete(of, key)
			default:
				of[key] = normal(value)
			}
		}
	case []any:
		for i, value := range of {
			of[i] = normal(value)
		}
	case string:
		return strings.Join(strings.Fields(of), " ")
	}
	return of
}
