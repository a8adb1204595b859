package routing

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestTrace(t *testing.T) {
	tests := map[string]struct {
		members []Member
		pods    []Pod
		want    Assignment
	}{
		"nothing is written yet": {
			members: []Member{member(api.RoutingSelector, "", "")}, pods: []Pod{pod("a"), pod("b", designated("active"))},
		},
		"a Service says who, and in which epoch": {
			members: []Member{member(api.RoutingSelector, "uid-a", "4")}, pods: []Pod{pod("b", standby("4"))},
			want: Assignment{"uid-a", 4},
		},
		"a Service that waits for a master says nothing of who": {
			members: []Member{member(api.RoutingSelector, "none", "4")},
			want:    Assignment{"", 4},
		},
		"a Service whose key was removed still says in which epoch": {
			members: []Member{member(api.RoutingSelector, "", "4")},
			want:    Assignment{"", 4},
		},
		"a selector without a stamp is not the controller's": {
			members: []Member{member(api.RoutingSelector, "uid-a", "")},
		},
		"a stamp that cannot be read says nothing": {
			members: []Member{member(api.RoutingSelector, "uid-a", "4.5")}, pods: []Pod{pod("a", active("3000000000"))},
		},
		"the master says so itself": {
			members: []Member{member(api.RoutingLabel, "", "")}, pods: []Pod{pod("b", standby("4")), pod("a", active("4"))},
			want: Assignment{"uid-a", 4},
		},
		"a master of an epoch before says nothing": {
			members: []Member{member(api.RoutingLabel, "", "")}, pods: []Pod{pod("a", active("3")), pod("b", standby("4"))},
			want: Assignment{"", 4},
		},
		"the highest epoch counts, wherever it is": {
			members: []Member{member(api.RoutingSelector, "uid-a", "4"), member(api.RoutingSelector, "uid-b", "5")}, pods: []Pod{pod("c", active("3"))},
			want: Assignment{"uid-b", 5},
		},
		"of the same epoch the first that says who counts": {
			members: []Member{member(api.RoutingSelector, "none", "5"), member(api.RoutingSelector, "uid-b", "5")}, pods: []Pod{pod("a", active("5"))},
			want: Assignment{"uid-b", 5},
		},
		"the marks of another election are not this one's": {
			members: []Member{member(api.RoutingSelector, "uid-a", "4")}, pods: []Pod{pod("b", active("9"), elsewhere)},
			want: Assignment{"uid-a", 4},
		},
		"a slice says who, and in which epoch, before the Service does": {
			members: []Member{member(api.RoutingEndpointSlice, "", "4").detached().with(ownSlice("b", "5"))}, pods: []Pod{pod("a", active("4"))},
			want: Assignment{"uid-b", 5},
		},
		"a slice without an endpoint still says in which epoch": {
			members: []Member{member(api.RoutingEndpointSlice, "", "4").detached().with(ownSlice("", "5"))},
			want:    Assignment{"", 5},
		},
		"a slice of an epoch before says nothing": {
			members: []Member{member(api.RoutingSelector, "uid-a", "4").with(ownSlice("b", "3"))},
			want:    Assignment{"uid-a", 4},
		},
		"in epoch 0 there is no master, whatever a selector says": {
			members: []Member{member(api.RoutingSelector, "uid-a", "0")}, pods: []Pod{pod("a", active("0"))},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Trace(test.members, test.pods)); diff != "" {
				t.Errorf("trace (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReverted(t *testing.T) {
	assignment := Assignment{"uid-a", 4}
	at := func(seconds int) *metav1.Time {
		return &metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC)}
	}
	wrote := func(manager string, at *metav1.Time, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Time: at, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const selector, ports = `{"f:spec":{"f:selector":{}}}`, `{"f:spec":{"f:ports":{}}}`

	selectorless := member(api.RoutingEndpointSlice, "", "4")
	selectorless.Settings.Selectorless = true

	tests := map[string]struct {
		member   Member
		managers []metav1.ManagedFieldsEntry
		key      string
		manager  string
	}{
		"what was written stands": {
			member:   member(api.RoutingSelector, "uid-a", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
		},
		"our key was removed": {
			member:   member(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			key:      api.LabelPodUID, manager: "kubectl",
		},
		"our key was set to another pod": {
			member:   member(api.RoutingSelector, "uid-b", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			key:      api.LabelPodUID, manager: "kubectl",
		},
		"the last one to write the selector did it": {
			member: member(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{
				wrote("kubectl", at(1), selector), wrote("argocd", at(3), selector), wrote("helm", at(2), selector),
			},
			key: api.LabelPodUID, manager: "argocd",
		},
		"neither the controller did it, nor who wrote something else": {
			member: member(api.RoutingSelector, "", "4"),
			managers: []metav1.ManagedFieldsEntry{
				wrote("kubectl", at(1), selector), wrote(api.ManagedBy, at(2), selector), wrote("helm", at(3), ports), {Manager: "empty", Time: at(4)},
			},
			key: api.LabelPodUID, manager: "kubectl",
		},
		"nobody says who did it": {
			member: member(api.RoutingSelector, "", "4"),
			key:    api.LabelPodUID, manager: "unknown",
		},
		"a Service of an epoch before is behind and not reverted": {
			member: member(api.RoutingSelector, "uid-b", "3"),
		},
		"a Service of a later epoch is ahead": {
			member: member(api.RoutingSelector, "uid-b", "5"),
		},
		"a Service that is not yet written to": {
			member: member(api.RoutingSelector, "", ""),
		},
		"our key was set to nobody": {
			member: member(api.RoutingSelector, "none", "4"),
			key:    api.LabelPodUID, manager: "unknown",
		},
		"by EndpointSlice, what was written stands": {
			member: member(api.RoutingEndpointSlice, "", "4").detached(),
		},
		"by EndpointSlice, our key was removed": {
			member:   member(api.RoutingEndpointSlice, "", "4"),
			managers: []metav1.ManagedFieldsEntry{wrote("kubectl", at(1), selector)},
			key:      api.LabelRouting, manager: "kubectl",
		},
		"a Service that is on its way from selector to EndpointSlice is not reverted": {
			member: member(api.RoutingEndpointSlice, "uid-a", "4"),
		},
		"nor one that is on its way back": {
			member: member(api.RoutingSelector, "", "4").detached(),
		},
		"nor one whose user has removed the key that was in the manifest": {
			member: member(api.RoutingSelector, "", "4").with(ownSlice("a", "4")),
		},
		"nor one without a selector": {
			member: selectorless,
		},
		"what another routing left is not a revert of routing by label": {
			member: member(api.RoutingLabel, "uid-b", "4"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.member.ManagedFields = test.managers
			before := test.member.DeepCopy()
			key, manager, reverted := Reverted(assignment, test.member)
			if key != test.key || manager != test.manager || reverted != (test.key != "") {
				t.Errorf("reverted: %v of %q by %q, want %q by %q", reverted, key, manager, test.key, test.manager)
			}
			if diff := cmp.Diff(before, test.member.Service); diff != "" {
				t.Errorf("the Service, of an informer's cache, was changed (-before +after):\n%s", diff)
			}
		})
	}
}
