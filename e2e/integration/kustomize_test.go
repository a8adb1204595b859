//go:build integration

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/manifest"
	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// overlay writes a kustomization over manifests/ with some of its components, and returns its
// directory.
func overlay(t *testing.T, lines string, components ...string) string {
	t.Helper()
	dir := t.TempDir()
	manifests := assert.Must(filepath.Rel(assert.Must(filepath.EvalSymlinks(dir))(t), filepath.Join(installation.Root, "manifests")))(t)
	text := fmt.Sprintf("resources: [%s]\n%s\n", manifests, lines)
	if len(components) > 0 {
		text += "components:\n"
	}
	for _, c := range components {
		text += fmt.Sprintf("- %s\n", filepath.Join(manifests, c))
	}
	assert.Must(0, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))(t)
	return dir
}

// built returns the objects of a kustomization.
func built(t *testing.T, dir string) []unstructured.Unstructured {
	t.Helper()
	return assert.Must(manifest.Objects(assert.Must(installation.Kubectl(t.Context(), "kustomize", dir))(t)))(t)
}

// Overlays set namespace and namePrefix, and the references between the objects follow.
func TestOverlays(t *testing.T) {
	t.Parallel()
	s := newNamespace(t)
	tests := map[string]struct {
		components []string
		// without are kinds that the overlay has none of.
		without []string
	}{
		"base":             {},
		"with policies":    {components: []string{"admission", "fail-closed", "on-demote", "network", "userns"}},
		"in one namespace": {components: []string{"namespaced", "namespaced/on-demote"}, without: []string{"ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := overlay(t, "namespace: "+s.namespace+"\nnamePrefix: my-", test.components...)
			objects := built(t, dir)
			names := map[string]bool{}
			for _, o := range objects {
				names[o.GetKind()+" "+o.GetName()] = true
				if !strings.HasPrefix(o.GetName(), "my-") {
					t.Errorf("%s has the name %s", o.GetKind(), o.GetName())
				}
				if slices.Contains(test.without, o.GetKind()) {
					t.Errorf("there is the %s %s", o.GetKind(), o.GetName())
				}
			}
			for _, o := range objects {
				refers(t, s.namespace, o, names)
			}
			// The API server ignores the namespaces that Kustomize gives to objects of kinds it
			// does not know.
			assert.Must(installation.Kubectl(t.Context(), "apply", "--dry-run=server", "-k", dir))(t)
		})
	}
}

// refers checks that an object refers to objects that there are.
func refers(t *testing.T, namespace string, o unstructured.Unstructured, names map[string]bool) {
	t.Helper()
	account := func(name, in any) {
		if !names["ServiceAccount "+fmt.Sprint(name)] || in != nil && in != namespace {
			t.Errorf("%s %s names the account %v in %v", o.GetKind(), o.GetName(), name, in)
		}
	}
	spec, _ := o.Object["spec"].(map[string]any)
	switch kind := o.GetKind(); kind {
	case "RoleBinding", "ClusterRoleBinding":
		for _, subject := range o.Object["subjects"].([]any) {
			account(subject.(map[string]any)["name"], subject.(map[string]any)["namespace"])
		}
		if ref := o.Object["roleRef"].(map[string]any); !names[fmt.Sprint(ref["kind"], " ", ref["name"])] {
			t.Errorf("%s %s has %v", kind, o.GetName(), ref)
		}
	case "ValidatingAdmissionPolicyBinding", "MutatingAdmissionPolicyBinding":
		if !names[strings.TrimSuffix(kind, "Binding")+" "+fmt.Sprint(spec["policyName"])] {
			t.Errorf("%s %s is of %v", kind, o.GetName(), spec["policyName"])
		}
		if ref, is := spec["paramRef"].(map[string]any); is {
			account(ref["name"], ref["namespace"])
		}
	case "Deployment":
		name, _, _ := unstructured.NestedString(o.Object, "spec", "template", "spec", "serviceAccountName")
		account(name, nil)
	}
}

// A controller whose account has a Role in its own namespace, and nothing besides, serves that.
func TestNamespacedInstall(t *testing.T) {
	if *guarded {
		t.Skip("the guard knows one account alone")
	}
	s := newScene(t)
	s.guard.Opened(install.ServiceAccount + "-metrics")
	assert.Must(installation.Kubectl(t.Context(), "apply", "-k", overlay(t, "namespace: "+s.namespace, "namespaced", "namespaced/on-demote")))(t)
	own := *installation
	own.Args = []string{"--namespaces=" + s.namespace}
	own.User = assert.Must(plane.ServiceAccount(t.Context(), s.namespace, install.ServiceAccount))(t)
	without(t, func() {
		for i := range 2 {
			defer assert.Must(own.Start(t.Context(), fmt.Sprint("namespaced-", i), ""))(t).Stop()
		}
		s.readyPods("web-0", "web-1")
		s.service("web", with(api.AnnotationOnDemote, api.OnDemoteDelete))
		s.awaitMaster("web", "web-0", 1)
		s.setReady("web-0", false)
		s.awaitLease("web")
		s.eventually("the former master is deleted", func() error { return s.endpoints("web", "web-1") })
		routing := string(api.RoutingEndpointSlice)
		s.annotate("web", api.AnnotationRouting, &routing)
		s.eventually("the slice is written", func() error {
			_, err := client.DiscoveryV1().EndpointSlices(s.namespace).Get(s.Context(), "web-master-ipv4", metav1.GetOptions{})
			return err
		})
		s.readyPods("web-2")
		s.editHolder("web", "web-2")
		s.eventually("the slice follows", func() error { return s.endpoints("web", "web-2") })
		wrong := "soon"
		s.annotate("web", api.AnnotationFailback, &wrong)
		s.awaitEvent("web", api.ReasonInvalidAnnotation)
		s.eventually("the other replica has found the event", func() error {
			all, err := requestsFrom(s.namespace, time.Time{})
			if err == nil && !slices.ContainsFunc(all, func(r request) bool { return r.Verb == "get" && r.ObjectRef.Resource == "events" }) {
				err = fmt.Errorf("nobody has asked for it")
			}
			return err
		})
		s.annotate("web", api.AnnotationServiceMode, nil)
		s.guard.MayGo("web")
		s.guard.Opened("web")
		s.eventually("the Lease is deleted", func() error {
			list, err := client.CoordinationV1().Leases(s.namespace).List(s.Context(), metav1.ListOptions{})
			if err == nil && len(list.Items) > 0 {
				err = fmt.Errorf("it is there")
			}
			return err
		})
	})
	all := assert.Must(requestsFrom(s.namespace, time.Time{}))(t)
	for _, r := range all {
		// Nodes and their heartbeats are optional.
		if r.ResponseStatus.Code == 403 && r.ObjectRef.Resource != "nodes" && r.ObjectRef.Namespace != "kube-node-lease" {
			t.Errorf("forbidden: %s", r)
		}
	}
	roles := assert.Must(client.RbacV1().Roles(s.namespace).List(t.Context(), metav1.ListOptions{}))(t)
	if len(roles.Items) != 2 {
		t.Errorf("%d Roles, want 2", len(roles.Items))
	}
	for _, role := range roles.Items {
		for _, problem := range needless(role.Rules, all) {
			t.Error(problem)
		}
	}
}
