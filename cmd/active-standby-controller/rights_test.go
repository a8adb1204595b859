package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// rights are the verbs by resource that the roles in a manifest give, without those in
// kube-node-lease.
func rights(t *testing.T, paths ...string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, path := range paths {
		file, err := os.Open(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		for decoder := yaml.NewYAMLOrJSONDecoder(file, 4096); ; {
			// Of a binding, nothing is read.
			var role rbacv1.Role
			if err := decoder.Decode(&role); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				if role.Namespace == "" {
					found[strings.Join(append(rule.APIGroups, rule.Resources...), "/")] = strings.Join(rule.Verbs, ",")
				}
			}
		}
	}
	return found
}

// In some namespaces only, the controller has the rights that it has in all, divided.
func TestRightsInSomeNamespaces(t *testing.T) {
	all := rights(t, "manifests/rbac.yaml")
	divided := rights(t, "manifests/namespaced/role.yaml", "manifests/namespaced/nodes.yaml")
	if diff := cmp.Diff(all, divided); diff != "" || len(all) == 0 {
		t.Errorf("rights (-in all +in some):\n%s", diff)
	}
	// Each variant has the right to delete pods apart.
	everywhere, in := rights(t, "manifests/on-demote/cluster-role.yaml"), rights(t, "manifests/namespaced/on-demote/role.yaml")
	want := map[string]string{"/pods": "delete"}
	if diff := cmp.Diff(want, everywhere); diff != "" {
		t.Errorf("rights to delete, everywhere (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Errorf("rights to delete, in a namespace (-want +got):\n%s", diff)
	}
	for _, rights := range []map[string]string{all, divided} {
		if strings.Contains(rights["/pods"], "delete") {
			t.Errorf("the rights to pods are %s", rights["/pods"])
		}
	}
	if _, found := rights(t, "manifests/namespaced/role.yaml")["/nodes"]; found {
		t.Error("a Role gives rights to nodes")
	}
}
