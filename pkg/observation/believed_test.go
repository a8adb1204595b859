package observation

import (
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestStampsFarAheadOfTheLease(t *testing.T) {
	// epoch4 is a Lease of web-0 in epoch 4, and recorded one with a record of that.
	epoch4 := func() *coordinationv1.Lease {
		l := heldBy("uid-web-0")
		l.Labels, l.Spec.LeaseTransitions = map[string]string{api.LabelManagedBy: api.ManagedBy}, ptr.To[int32](4)
		return l
	}
	recorded := epoch4()
	recorded.Annotations[api.AnnotationRecord] = "4/uid-web-0"
	lowered := recorded.DeepCopy()
	lowered.Spec.LeaseTransitions, lowered.Annotations[api.AnnotationRecord] = ptr.To[int32](4), "2000004/uid-web-0"
	foreign := recorded.DeepCopy()
	foreign.Labels = nil
	stamped := func(epoch, witness string) []*corev1.Pod {
		return []*corev1.Pod{pod("web-0"), pod("web-1", annotated(api.AnnotationLeaseTransitions, epoch), annotated(api.AnnotationWitness, witness))}
	}
	forgedSlice := slice("web-master-ipv4", "web", api.SliceManagedBy, ready("web-0"))
	forgedSlice.Annotations = map[string]string{api.AnnotationLeaseTransitions: "1073741823"}
	plain := []*corev1.Service{service("web")}
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		services []*corev1.Service
		pods     []*corev1.Pod
		slices   []*discoveryv1.EndpointSlice
		want     int32
		problem  string
	}{
		"another replica's later epoch counts":           {lease: recorded, services: plain, pods: stamped("5", "uid-web-1"), want: 5},
		"a stamp as far ahead as a backup is old counts": {lease: recorded, services: plain, pods: stamped("1048580", "uid-web-1"), want: 1048580},
		"a stamp further ahead does not count":           {lease: recorded, services: plain, pods: stamped("1048581", "uid-web-1"), want: 4, problem: "web-1 (1048581)"},
		"a stamp that leaves no epoch does not count":    {lease: recorded, services: plain, pods: stamped("1073741823", "uid-web-1"), want: 4, problem: "web-1 (1073741823)"},
		"a witness further ahead does not count":         {lease: recorded, services: plain, pods: stamped("4", "uid-web-1@1073741823"), want: 4, problem: "web-1 (1073741823)"},
		"a Service's stamp further ahead does not count": {lease: recorded, services: []*corev1.Service{service("web", asking(api.AnnotationLeaseTransitions, "1073741823"))}, want: 4, problem: "web (1073741823)"},
		"an EndpointSlice's stamp further ahead does not count": {
			lease: recorded, services: plain, slices: []*discoveryv1.EndpointSlice{forgedSlice}, want: 4, problem: "web-master-ipv4 (1073741823)",
		},
		"a stamp counts as far as the record is, at least": {lease: lowered, services: plain, pods: stamped("3000000", "uid-web-1"), want: 3000000},
		"any stamp counts without a Lease":                 {services: plain, pods: stamped("1073741823", "uid-web-1"), want: 1073741823},
		"any stamp counts without a record":                {lease: epoch4(), services: plain, pods: stamped("1073741823", "uid-web-1"), want: 1073741823},
		"any stamp counts beside a foreign Lease":          {lease: foreign, services: plain, pods: stamped("1073741823", "uid-web-1"), want: 1073741823},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Look(Inputs{Key: web, Now: now, Lease: test.lease, Services: test.services, Pods: test.pods, Slices: test.slices})
			if got := o.View().Trace.Epoch; got != test.want {
				t.Errorf("epoch %d was given out, want %d", got, test.want)
			}
			found := ""
			for _, p := range o.Problems["uid-web"] {
				if p.Reason == api.ReasonInvalidAnnotation {
					found = p.Message
				}
			}
			if (found == "") != (test.problem == "") || !strings.HasSuffix(found, test.problem) {
				t.Errorf("problem %q, want one of %q", found, test.problem)
			}
			for _, p := range o.Pods {
				if _, kept := p.Annotations[api.AnnotationLeaseTransitions]; kept && test.problem != "" {
					t.Errorf("%s keeps its stamp, so that it is not written anew", p.Name)
				}
			}
		})
	}
}
