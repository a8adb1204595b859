package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	clienttesting "k8s.io/client-go/testing"
)

// rights returns what the Role in the manifest allows.
func rights(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile("fencing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var role rbacv1.Role
		switch err := decoder.Decode(&role); {
		case errors.Is(err, io.EOF):
			t.Fatal("there is no Role")
		case err != nil:
			t.Fatal(err)
		case role.Kind == "Role":
			return role.Rules
		}
	}
}

// The manifest allows what a pod asks for, and no more. The right to list or watch is for
// one name, which an API server takes from the field selector.
func TestRights(t *testing.T) {
	following(t, true, func(f *follower) {
		wait(time.Minute)
		verbs := map[string]bool{}
		for _, action := range f.client.Actions() {
			name := ""
			switch a := action.(type) {
			case clienttesting.GetAction:
				name = a.GetName()
			case clienttesting.ListAction:
				name, _ = a.GetListRestrictions().Fields.RequiresExactMatch("metadata.name")
			case clienttesting.WatchAction:
				name, _ = a.GetWatchRestrictions().Fields.RequiresExactMatch("metadata.name")
			}
			if name != "fencing" || action.GetResource() != leases {
				t.Errorf("the pod asks to %s %s %q", action.GetVerb(), action.GetResource(), name)
			}
			verbs[action.GetVerb()] = true
		}
		asked := []rbacv1.PolicyRule{{APIGroups: []string{leases.Group}, Resources: []string{leases.Resource}, ResourceNames: []string{"fencing"}}}
		for verb := range verbs {
			asked[0].Verbs = append(asked[0].Verbs, verb)
		}
		slices.Sort(asked[0].Verbs)
		if diff := cmp.Diff(asked, rights(t)); diff != "" {
			t.Errorf("(-asked for +allowed):\n%s", diff)
		}
	})
}
