package kubectl

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestCheckBeforeOptIn(t *testing.T) {
	t.Parallel()
	expectEach(t, map[string]expectation{
		"a Service with pods": {
			[]runtime.Object{aService("web", "", 0, unannotated), aPod("web-0", "", unmarked), aPod("web-1", "", unmarked, readyFor(time.Hour)), aPod("web-2", "", unmarked, notReady)},
			nil, "check web",
			result{Out: `
Service:    web (not annotated; routing selector)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       Elect web-1, in epoch 1 (FirstEligible)
Traffic:    goes to web-0, web-1 now; would go to web-1 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
2      web-0   node-0   no         standby   yes        after web-1, which has been Ready longer
-      web-2   node-2   no         standby   no         it is not Ready

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that is routed by label": {
			[]runtime.Object{aService("web", "", 0, unannotated, func(s *corev1.Service) { s.Spec.Selector[api.LabelDesignation] = api.DesignationActive }), aPod("web-0", "", unmarked)},
			nil, "check web",
			result{Out: `
Service:    web (not annotated; routing label)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       Elect web-0, in epoch 1 (FirstEligible)
Traffic:    goes to no pod now; would go to web-0 alone: the controller would label the master for the Service's selector (qoqo.dev/pod-designation: active)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         standby   yes        first in the order

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that asks for own EndpointSlices": {
			[]runtime.Object{aService("web", "", 0, unannotated, func(s *corev1.Service) {
				s.Annotations = map[string]string{api.AnnotationRouting: "endpointslice", "qoqo.dev/servicemode": "active-standby"}
			}), aPod("web-0", "", unmarked)},
			[]string{"endpointslices"},
			"check web",
			result{Out: `
Service:    web (not annotated; routing endpointslice)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web (not found)
Master:     <none>
Problems:   UnknownAnnotation: annotation qoqo.dev/servicemode is not known; did you mean qoqo.dev/service-mode?
Next:       Elect web-0, in epoch 1 (FirstEligible)
Traffic:    is unknown; would go to web-0 alone: the controller would write the Service's EndpointSlices in the place of Kubernetes (qoqo.dev/routing: endpointslice)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         standby   yes        first in the order

Note: EndpointSlices may not be read, so it is unknown to which pods traffic goes.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that selects no pods": {[]runtime.Object{aService("web", "", 0, unannotated)}, nil, "check web", result{Out: `
Service:    web (not annotated; routing selector)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       nothing: no pod is eligible yet, so there is no master (AwaitingEligible)
Traffic:    goes to no pod now; would go to no pod until one is eligible: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

The Service selects no pods.

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a Service over the pods of another election": {web(aService("web-all", "", 0, unannotated)), nil, "check web-all", result{Out: `
Service:    web-all (not annotated; routing selector)
Suppose:    kubectl annotate service web-all qoqo.dev/service-mode=active-standby
Lease:      web-all (not found)
Master:     <none>
Problems:   OverlappingElection: the Service web also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation qoqo.dev/lease-name: web on this Service
Next:       Elect web-0, in epoch 1 (FirstEligible)
Traffic:    goes to web-0, web-1, web-2 now; would go to web-0 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         standby   yes        first in the order
2      web-2   node-2   no         standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a Service that has no selector": {[]runtime.Object{aService("web", "", 0, unannotated, func(s *corev1.Service) { s.Spec.Selector = nil })}, nil, "check web", result{Out: `
Service:    web (not annotated)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Problems:   UnsupportedService: the Service has no selector of its own, so no pod can become master; give it a selector, such as {app: web}, or the annotation qoqo.dev/selector: app=web; the Service is left as it is
Next:       nothing, because the Service is not served
`}},
		"a Service of type ExternalName": {[]runtime.Object{aService("web", "", 0, unannotated, func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName })}, nil, "check web", result{Out: `
Service:    web (not annotated)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Problems:   UnsupportedService: a Service of type ExternalName has no pods; allowed: ClusterIP, NodePort and LoadBalancer; the Service is left as it is
Next:       nothing, because the Service is not served
`}},
		"a headless Service that gives its pods their names": {
			[]runtime.Object{aService("web", "", 0, unannotated, func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone }), aPod("web-0", "", unmarked, func(p *corev1.Pod) { p.Spec.Subdomain = "web" })},
			nil, "check web",
			result{Out: `
Service:    web (not annotated; routing selector)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web (not found)
Master:     <none>
Problems:   GoverningService: this headless Service gives its pods their DNS names, such as POD.web, and the standbys have lost theirs; leave it plain, and annotate another Service over the same pods
Next:       Elect web-0, in epoch 1 (FirstEligible)
Traffic:    goes to web-0 now; would go to web-0 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         standby   yes        first in the order

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service beside a foreign Lease": {[]runtime.Object{aService("web", "", 0, unannotated), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Labels = nil }), aPod("web-0", "", unmarked)}, nil, "check web", result{Out: `
Service:    web (not annotated; routing selector)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby
Lease:      web
Master:     <none>
Problems:   LeaseForeign: the Lease web is not the controller's (its holder is "web-0"): another program has made it, such as an application for its own leader election; name another in the annotation qoqo.dev/lease-name, or delete it if nothing uses it; until then the Service is left as it is: all Ready pods that its selector matches get traffic
Next:       nothing: the Lease is not the controller's (LeaseForeign)

RANK   POD     NODE     CORDONED   ROLE     ELIGIBLE   WHY
1      web-0   node-0   no         <none>   yes        first in the order

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
	})
}
