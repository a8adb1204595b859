package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A Lease without a holder is later than the last one that is known, or that one has been forgotten.
func TestVacant(t *testing.T) {
	routed := service("a", selecting(api.LabelPodUID, "x"), asking(api.AnnotationLeaseTransitions, "4"))
	for name, test := range map[string]struct {
		lease   *coordinationv1.Lease
		service *corev1.Service
		want    bool
	}{
		"the Lease is later than the last holder": {recordedBy("", 5, ""), routed, true},
		"the Lease is of the last holder's epoch": {recordedBy("", 4, ""), routed, false},
		"the Lease has the record of a holder":    {recordedBy("", 5, "4/x"), routed, false},
		"no holder is known":                      {recordedBy("", 5, ""), service("a"), false},
		"there is no Lease":                       {nil, routed, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := looked(test.lease, []*corev1.Service{test.service}, nil).View().Lease.Vacant; got != test.want {
				t.Errorf("vacant: %t, want %t", got, test.want)
			}
		})
	}
}

// The Lease names a holder, and has a record of what the controller has written.
func TestCompareRecord(t *testing.T) {
	routed := func(uid, epoch string) *corev1.Service {
		return service("a", selecting(api.LabelPodUID, uid), asking(api.AnnotationLeaseTransitions, epoch))
	}
	type told struct {
		Holder        types.UID
		Forged, Spent bool
		TracedEpoch   int32
		TracedHolder  types.UID
	}
	tests := map[string]struct {
		lease   *coordinationv1.Lease
		service *corev1.Service
		want    told
	}{
		"the Lease says what was written":                       {recordedBy("x", 4, "4/x"), routed("x", "4"), told{"x", false, false, 4, "x"}},
		"the UID was overwritten":                               {recordedBy("y", 4, "4/x"), routed("x", "4"), told{"x", true, false, 4, "x"}},
		"the UID was overwritten before the epoch was routed":   {recordedBy("y", 4, "4/x"), routed("w", "3"), told{"x", true, false, 4, "x"}},
		"the UID was overwritten, and the record removed":       {recordedBy("y", 4, ""), routed("x", "4"), told{"x", true, false, 4, "x"}},
		"the epoch was raised":                                  {recordedBy("x", 9, "4/x"), routed("x", "4"), told{"x", false, false, 4, "x"}},
		"the epoch was raised, and the UID overwritten":         {recordedBy("y", 9, "4/x"), routed("x", "4"), told{"x", true, true, 4, "x"}},
		"the epoch was lowered, and the UID overwritten":        {recordedBy("y", 2, "4/x"), routed("x", "4"), told{"x", true, false, 4, "x"}},
		"the epoch was lowered before it was routed":            {recordedBy("x", 2, "4/x"), routed("w", "3"), told{"x", false, false, 4, "x"}},
		"the UID was removed":                                   {recordedBy("", 4, "4/x"), routed("w", "3"), told{"", false, false, 4, "x"}},
		"an older version has moved the master since":           {recordedBy("y", 5, "4/x"), routed("y", "5"), told{"y", false, false, 5, "y"}},
		"an older version has written the Lease":                {recordedBy("x", 4, ""), routed("x", "4"), told{"x", false, false, 4, "x"}},
		"the UID was written before the controller's record":    {recordedBy("y", 0, ""), routed("x", "3"), told{"", false, false, 3, "x"}},
		"the UID was written into a Lease that never had one":   {recordedBy("y", 0, ""), service("a"), told{"", false, false, 0, ""}},
		"the UID was written into a Lease that has no holder":   {recordedBy("y", 3, ""), routed(api.NoPod, "3"), told{"", false, false, 3, ""}},
		"the record was removed, and all else overwritten":      {recordedBy("y", 2, ""), routed("x", "4"), told{"", false, false, 4, "x"}},
		"the record was removed, and the epoch lowered":         {recordedBy("x", 2, ""), routed("x", "4"), told{"x", false, false, 4, "x"}},
		"an older version has moved the master, but not routed": {recordedBy("y", 5, ""), routed("x", "4"), told{"y", false, false, 4, "x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := looked(test.lease, []*corev1.Service{test.service}, nil).View()
			got := told{v.Lease.HolderUID, v.Lease.Forged, v.Lease.Spent, v.Trace.Epoch, v.Trace.HolderUID}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A master that no Service selects any longer is among the pods as long as anything names it.
func TestAnUnselectedMasterIsKnown(t *testing.T) {
	debugged := pod("web-0", labelled("app", "debug"))
	naming := func(uid string) *corev1.Service {
		return service("a", selecting(api.LabelPodUID, uid), asking(api.AnnotationLeaseTransitions, "4"))
	}
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		services []*corev1.Service
		want     int
	}{
		"by the Lease":                                  {heldBy("uid-web-0"), []*corev1.Service{naming("none")}, 1},
		"by the Lease's record":                         {recordedBy("uid-web-1", 4, "4/uid-web-0"), []*corev1.Service{naming("none")}, 1},
		"by the Service if there is no Lease":           {nil, []*corev1.Service{naming("uid-web-0")}, 1},
		"by the Lease and not by the Service":           {recordedBy("uid-web-1", 5, "5/uid-web-1"), []*corev1.Service{naming("uid-web-0")}, 0},
		"by the Service, beside a Lease without record": {heldBy("uid-web-1"), []*corev1.Service{naming("uid-web-0")}, 1},
		"by nothing":                                    {nil, []*corev1.Service{naming("none")}, 0},
		"by the Service, though it is another's master": {nil, []*corev1.Service{naming("uid-web-0"), service("b", asking(api.AnnotationLeaseName, "other"), func(s *corev1.Service) { s.Spec.Selector = map[string]string{"app": "debug"} })}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if o := looked(test.lease, test.services, []*corev1.Pod{debugged}); len(o.Pods) != test.want {
				t.Errorf("pods: %v, want %d", o.Pods, test.want)
			}
		})
	}
}
