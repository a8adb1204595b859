package routing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func recorded(m *observation.Member) { m.Recorded = true }

func promoted(epoch string) *observation.Pod {
	p := pod("a", active(epoch))
	return &p
}

func TestReversion(t *testing.T) {
	assignment := Assignment{"uid-a", 4}
	at := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)}
	}
	wrote := func(manager string, at *metav1.Time, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const selector, ports = `{"f:spec":{"f:selector":{}}}`, `{"f:spec":{"f:ports":{}}}`

	tests := map[string]struct {
		member   observation.Member
		managers []metav1.ManagedFieldsEntry
		holder   *observation.Pod
		want     Reversion
	}{
		"what was written stands": {
			member:   service(api.RoutingSelector, "uid-a", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
		},
		"the controller's key was removed": {
			member:   service(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			want:     Reversion{Key: api.LabelPodUID, Manager: "kubectl"},
		},
		"another election has only now contested the pods of a Service by label": {
			member: service(api.RoutingSelector, "", "", contested, recorded), holder: promoted("4"),
		},
		"the controller's key was set to another pod": {
			member:   service(api.RoutingSelector, "uid-b", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			want:     Reversion{Key: api.LabelPodUID, Manager: "kubectl"},
		},
		"the manager that wrote the selector last did it": {
			member: service(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{
				wrote("kubectl", at(1), selector), wrote("argocd", at(3), selector), wrote("helm", at(2), selector),
			},
			want: Reversion{Key: api.LabelPodUID, Manager: "argocd"},
		},
		"the controller did not do it, and a manager of other fields did not": {
			member: service(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{
				wrote("kubectl", at(1), selector), wrote(api.ManagedBy, at(2), selector), wrote("helm", at(3), ports), {Manager: "empty", Time: at(4)},
			},
			want: Reversion{Key: api.LabelPodUID, Manager: "kubectl"},
		},
		"managers whose times are missing": {
			member: service(api.RoutingSelector, "uid-b", "4"), managers: []metav1.ManagedFieldsEntry{
				{Manager: "helm", FieldsV1: metav1.NewFieldsV1(selector)}, wrote("kubectl", at(1), selector), {Manager: "argocd", FieldsV1: metav1.NewFieldsV1(selector)},
			},
			want: Reversion{Key: api.LabelPodUID, Manager: "kubectl"},
		},
		"no manager says that it did it": {
			member: service(api.RoutingSelector, "", "4"),
			want:   Reversion{Key: api.LabelPodUID, Manager: "unknown"},
		},
		"a Service of an earlier epoch is behind and not reverted": {
			member: service(api.RoutingSelector, "uid-b", "3"),
		},
		"a Service of a later epoch is ahead and not reverted": {
			member: service(api.RoutingSelector, "uid-b", "5"),
		},
		"a Service that is not yet written to is not reverted": {
			member: service(api.RoutingSelector, "", ""),
		},
		"the controller's key was set to no pod": {
			member: service(api.RoutingSelector, api.NoPod, "4"),
			want:   Reversion{Key: api.LabelPodUID, Manager: "unknown"},
		},
		"by EndpointSlice, what was written stands": {
			member: service(api.RoutingEndpointSlice, "", "4", detached),
		},
		"by EndpointSlice, the controller's key was removed": {
			member:   service(api.RoutingEndpointSlice, "", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			want:     Reversion{Key: api.LabelRouting, Manager: "kubectl"},
		},
		"a Service that migrates from selector to EndpointSlice is not reverted": {
			member: service(api.RoutingEndpointSlice, "uid-a", "4"),
		},
		"a Service that migrates back to selector is not reverted": {
			member: service(api.RoutingSelector, "", "4", detached),
		},
		"a Service whose user has removed the key that was in the manifest is not reverted": {
			member: service(api.RoutingSelector, "", "4", with(ownSlice("a", "4"))),
		},
		"a Service without a selector is not reverted": {
			member: service(api.RoutingEndpointSlice, "", "4", selectorless),
		},
		"the Service was replaced, with its stamp": {
			member: service(api.RoutingSelector, "", "", recorded), holder: promoted("4"),
			want: Reversion{Key: api.LabelPodUID, Manager: "unknown", Inferred: true},
		},
		"a Service that opts in is not reverted": {
			member: service(api.RoutingSelector, "", "", recorded),
		},
		"a Service that its user closes, to leave routing by label, is not reverted": {
			member: service(api.RoutingSelector, api.NoPod, "", recorded), holder: promoted("4"),
		},
		"a Service that joins is not reverted": {
			member: service(api.RoutingSelector, "", ""), holder: promoted("4"),
		},
		"a Service without its stamp is not reverted while the holder is not designated in the epoch": {
			member: service(api.RoutingSelector, "", "", recorded), holder: promoted("3"),
		},
		"by EndpointSlice, the Service was replaced, with its stamp": {
			member: service(api.RoutingEndpointSlice, "", "", recorded, with(ownSlice("a", "4"))),
			want:   Reversion{Key: api.LabelRouting, Manager: "unknown", Inferred: true},
		},
		"by EndpointSlice, a Service that opts in is not reverted": {
			member: service(api.RoutingEndpointSlice, "", "", recorded, with(ownSlice("a", "4", api.RoutingEndpointSlice))),
		},
		"what another routing left does not revert routing by label": {
			member: service(api.RoutingLabel, "uid-b", "4"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.member.ManagedFields = test.managers
			before := test.member.DeepCopy()
			got, found := reversion(assignment, test.member, test.holder)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("reversion (-want +got):\n%s", diff)
			}
			if found != (test.want != Reversion{}) {
				t.Errorf("found: %v", found)
			}
			if diff := cmp.Diff(before, test.member.Service); diff != "" {
				t.Errorf("the Service, of an informer's cache, was changed (-before +after):\n%s", diff)
			}
			test.member.ManagedFields = KeptManagers(test.member.Service)
			if kept, _ := reversion(assignment, test.member, test.holder); kept != got {
				t.Errorf("with the managers that are kept: %v, want %v", kept, got)
			}
		})
	}
}
