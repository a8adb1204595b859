package failover

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// The objects are seen one second after another.
func TestFill(t *testing.T) {
	master := func(status corev1.ConditionStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "old", UID: "old"},
			Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}},
		}
	}
	slice := func(service string, uids ...types.UID) *discoveryv1.EndpointSlice {
		s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{discoveryv1.LabelServiceName: service}}}
		for _, uid := range uids {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{TargetRef: &corev1.ObjectReference{UID: uid}})
		}
		return s
	}
	acquired := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	lease := func(name, holder string) *coordinationv1.Lease {
		l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{api.AnnotationHolderUID: holder, api.AnnotationReason: "to " + holder}}}
		l.Spec.AcquireTime, l.Spec.HolderIdentity = new(metav1.NewMicroTime(acquired)), &holder
		return l
	}
	asked := lease("selector", "old")
	asked.Spec.HolderIdentity = new("new")
	toNew, toOld := results.Move{At: acquired, To: "new", Reason: "to new"}, results.Move{At: acquired, To: "old", Reason: "to old"}
	type seconds struct{ Noticed, Published int }
	for name, test := range map[string]struct {
		variant results.Variant
		seen    []any
		want    seconds
		moves   []results.Move
	}{
		"the steps of a failover are found": {
			variant: selector,
			seen:    []any{master(corev1.ConditionTrue), master(corev1.ConditionFalse), slice("selector"), lease("selector", "new"), slice("selector", "new")},
			want:    seconds{Noticed: 2, Published: 5}, moves: []results.Move{toNew},
		},
		"the objects of a variant with probes are found by their name": {
			variant: sliceProbe,
			seen:    []any{lease("endpointslice-probe", "new"), slice("endpointslice-probe", "new"), master(corev1.ConditionFalse)},
			want:    seconds{Noticed: 3, Published: 2}, moves: []results.Move{toNew},
		},
		"the objects of another variant do not count": {
			variant: selector,
			seen:    []any{lease("selector-probe", "new"), slice("selector-probe", "new"), slice("endpointslice", "new")},
		},
		"the old master does not count as its successor": {
			variant: selector,
			seen:    []any{lease("selector", "old"), slice("selector", "old")},
		},
		"a master moves there and back, and what is asked or renewed is no move": {
			variant: selector,
			seen:    []any{asked, lease("selector", "new"), lease("selector", "new"), lease("selector", "old")},
			moves:   []results.Move{toNew, toOld},
		},
		"a plain Service publishes when it no longer lists the old pod": {
			variant: plain,
			seen:    []any{slice("plain", "old", "other"), slice("plain", "other")},
			want:    seconds{Published: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, begin := &sightings{}, acquired
			for i, object := range test.seen {
				s.all = append(s.all, sighting{at: begin.Add(time.Duration(1+i) * time.Second), object: object})
			}
			o := results.Observation{Variant: test.variant}
			s.fill(&o, master(corev1.ConditionFalse))
			after := func(at time.Time) int {
				if at.IsZero() {
					return 0
				}
				return int(at.Sub(begin) / time.Second)
			}
			if diff := cmp.Diff(test.want, seconds{after(o.Noticed), after(o.Published)}); diff != "" {
				t.Error("(-want +got)", diff)
			}
			if diff := cmp.Diff(test.moves, o.Moves); diff != "" {
				t.Error("moves (-want +got)", diff)
			}
			if o.Decided.Equal(acquired) != (len(test.moves) > 0) {
				t.Errorf("decided at %v", o.Decided)
			}
		})
	}
}
