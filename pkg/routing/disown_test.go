package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

func claim(manager, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: metav1.NewFieldsV1(fields)}
}

func claimed(entries ...metav1.ManagedFieldsEntry) func(*observation.Member) {
	return func(m *observation.Member) { m.ManagedFields = entries }
}

const (
	ofSelector = `{"f:spec":{"f:selector":{}}}`
	ofStamp    = `{"f:metadata":{"f:annotations":{"f:qoqo.dev/lease-transitions":{}}}}`
	ofPorts    = `{"f:spec":{"f:ports":{}}}`
	ofBoth     = `{"f:metadata":{"f:annotations":{"f:qoqo.dev/lease-transitions":{}}},"f:spec":{"f:selector":{}}}`
)

func TestDisown(t *testing.T) {
	tests := map[string]struct {
		before, want []metav1.ManagedFieldsEntry
	}{
		"a Service without managed fields stays": {},
		"a claim to the stamp alone stays": {
			before: []metav1.ManagedFieldsEntry{claim(api.ManagedBy, ofStamp)},
		},
		"the claim of another to the selector stays": {
			before: []metav1.ManagedFieldsEntry{claim("helm", ofSelector), claim(api.ManagedBy, ofStamp)},
		},
		"fields that cannot be read stay": {
			before: []metav1.ManagedFieldsEntry{claim(api.ManagedBy, `{"f:spec":7}`), {Manager: api.ManagedBy}},
		},
		"the claim to the selector goes, and that to the stamp stays": {
			before: []metav1.ManagedFieldsEntry{claim("helm", ofPorts), claim(api.ManagedBy, ofBoth)},
			want:   []metav1.ManagedFieldsEntry{claim("helm", ofPorts), claim(api.ManagedBy, ofStamp)},
		},
		"a manager that claims nothing else goes": {
			before: []metav1.ManagedFieldsEntry{claim(api.ManagedBy, ofSelector), claim("helm", ofPorts)},
			want:   []metav1.ManagedFieldsEntry{claim("helm", ofPorts)},
		},
		"if no manager is left, all managed fields are set back": {
			before: []metav1.ManagedFieldsEntry{claim(api.ManagedBy, ofSelector)},
			want:   []metav1.ManagedFieldsEntry{{}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := service(api.RoutingSelector, "uid-a", "4", claimed(test.before...))
			before := m.DeepCopy()
			want := servicePatch(nil, nil)
			want.ManagedFields = test.want
			if diff := cmp.Diff(want, disown(m.Service), emptyIsNil); diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, m.Service); diff != "" {
				t.Errorf("the Service, of an informer's cache, was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestPlanDisowns(t *testing.T) {
	ours := claimed(claim(api.ManagedBy, ofBoth))
	tests := map[string]struct {
		member observation.Member
		want   bool
	}{
		"a Service that is routed is disowned":                     {service(api.RoutingSelector, "uid-a", "4", ours), true},
		"a Service that is disowned is not written":                {service(api.RoutingSelector, "uid-a", "4"), false},
		"a Service of a later epoch is left alone":                 {service(api.RoutingSelector, "uid-a", "5", ours), false},
		"a Service that migrates is disowned once it has migrated": {service(api.RoutingSelector, "uid-a", "4", ours, with(ownSlice("a", "4"))), false},
		"a Service with own slices is disowned":                    {service(api.RoutingEndpointSlice, "", "4", ours, detached, with(ownSlice("a", "4"))), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changes := NewPlan(Assignment{"uid-a", 4}, services{test.member}, marked()).Disown()
			if got := len(changes) > 0; got != test.want {
				t.Errorf("disowned: %v, want %v", got, test.want)
			}
		})
	}
}

func TestReleasedServicesAreDisowned(t *testing.T) {
	of := func(name string, annotated bool, entries ...metav1.ManagedFieldsEntry) *corev1.Service {
		s := service(api.RoutingSelector, "", "").DeepCopy()
		s.Name, s.UID, s.ManagedFields = name, "uid-"+s.UID, entries
		if annotated {
			s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
		}
		return s
	}
	ours := claim(api.ManagedBy, ofSelector)
	left := Leftovers{Services: []*corev1.Service{of("left", false, ours), of("served", true, ours), of("denied", false, ours), of("plain", false)}}
	var names []string
	for _, c := range left.Disown(nil, sets.New("denied")) {
		names = append(names, c.Name)
	}
	if diff := cmp.Diff([]string{"left"}, names); diff != "" {
		t.Errorf("Services that are disowned (-want +got):\n%s", diff)
	}
	written := of("plain", false, ours)
	written.ResourceVersion = "8"
	left.Services = []*corev1.Service{of("plain", false)}
	if changes := left.Disown([]*corev1.Service{written}, nil); len(changes) != 1 || changes[0].ResourceVersion != "8" {
		t.Errorf("changes %v, want one of the Service as it was written", changes)
	}
}
