package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// remembering is a Lease that was written when that Service led the election.
func remembering(leading, handover string, seconds *int32) *coordinationv1.Lease {
	l := heldBy("uid-web-0")
	l.Annotations[api.AnnotationLeadingService] = leading
	l.Annotations[api.AnnotationHandover] = handover
	l.Spec.LeaseDurationSeconds = seconds
	return l
}

func TestSettingsThatTheLeaseRemembers(t *testing.T) {
	const after = api.HandoverAfterTermination
	handover := func(value string) func(*corev1.Service) { return asking(api.AnnotationHandover, value) }
	duration := func(value string) func(*corev1.Service) { return asking(api.AnnotationLeaseDuration, value) }
	ofA, both := remembering("a", after, nil), remembering("a", after, ptr.To[int32](15))
	type settings struct {
		AfterTermination bool
		Duration         time.Duration
		Leading          string
	}
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		services []*corev1.Service
		want     settings
	}{
		"a Lease remembers nothing":                                      {heldBy("uid-web-0"), []*corev1.Service{service("b")}, settings{}},
		"the leading Service asks for after-termination":                 {heldBy("uid-web-0"), []*corev1.Service{service("a", handover(after))}, settings{true, 0, "a"}},
		"the leading Service no longer asks for anything":                {both, []*corev1.Service{service("a"), service("b")}, settings{}},
		"the Service that led is gone":                                   {both, []*corev1.Service{service("b")}, settings{true, 15 * time.Second, "a"}},
		"the Service that leads now asks for an immediate handover":      {ofA, []*corev1.Service{service("b", handover("immediate"))}, settings{}},
		"the Service that leads now asks for after-termination itself":   {ofA, []*corev1.Service{service("b", handover(after))}, settings{true, 0, "b"}},
		"the Service that leads now asks for another duration":           {both, []*corev1.Service{service("b", duration("20s"))}, settings{true, 20 * time.Second, "a"}},
		"the handover of the Service that leads now cannot be read":      {heldBy("uid-web-0"), []*corev1.Service{service("a", handover("x"))}, settings{true, 0, "a"}},
		"the duration of the Service that leads now cannot be read":      {both, []*corev1.Service{service("a", handover(after), duration("x"))}, settings{true, 15 * time.Second, "a"}},
		"the first duration cannot be read":                              {heldBy("uid-web-0"), []*corev1.Service{service("a", duration("x"))}, settings{}},
		"the Lease has a duration that no Service can ask for":           {remembering("a", "", ptr.To[int32](1)), []*corev1.Service{service("b")}, settings{}},
		"the leading Service is not served":                              {ofA, []*corev1.Service{service("a", handover(after), refused), service("b")}, settings{true, 0, "a"}},
		"the Service with the Lease's name comes back without a setting": {remembering("web", after, nil), []*corev1.Service{service("b"), service("web")}, settings{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := looked(test.lease, test.services, nil)
			got := settings{o.Settings().AfterTermination, o.Settings().LeaseDuration, o.Terms().Leading}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestASettingThatTheLeaseRemembersIsAProblem(t *testing.T) {
	o := looked(remembering("a", api.HandoverAfterTermination, ptr.To[int32](15)), []*corev1.Service{service("b")}, nil)
	want := []api.Problem{{Reason: api.ReasonDifferingSettings, Message: "the Service a, which led the election of the Lease web before, asked for qoqo.dev/handover: after-termination and qoqo.dev/lease-duration: 15s, and that still applies; set it on this Service, to that or to another value"}}
	if diff := cmp.Diff(want, o.Problems["uid-b"]); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestNoFailbackWithAHandoverThatTheLeaseRemembers(t *testing.T) {
	o := looked(remembering("a", api.HandoverAfterTermination, nil), []*corev1.Service{service("b", asking(api.AnnotationPrefer, "tier=fast"), asking(api.AnnotationFailback, "0s"))}, nil)
	if o.Settings().Failback != nil {
		t.Error("the master moves back, though it would not stop")
	}
}
