package kubectl

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// observes is a Service that only observes, with two pods that carry nothing.
func observes(change ...func(*corev1.Service)) []runtime.Object {
	s := aService("web", "", 0, append(change, annotated(api.AnnotationServiceMode, api.ModeObserve))...)
	return []runtime.Object{s, aLease("web", "web-0", 3), aPod("web-0", "", unmarked), aPod("web-1", "", unmarked)}
}

func TestObserve(t *testing.T) {
	t.Parallel()
	expectEach(t, map[string]expectation{
		"status": {observes(), nil, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Observed
`}},
		"status of what the controller has yet to release": {
			observes(func(s *corev1.Service) { s.Spec.Selector[api.LabelPodUID] = "uid" }), nil, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Observed,Pending
`},
		},
		"check": {observes(), nil, "check web", result{Out: `
Service:    web (only observed; routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)
Traffic:    goes to web-0, web-1 now; would go to web-0 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid); the Service and its pods are left as they are (qoqo.dev/service-mode: observe)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-1   node-1   no         standby   yes        after web-0, which comes before it by name

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"the master": {observes(), nil, "master web", result{Out: "web-0\n", Err: "Warning: traffic of service web does not follow the master; the Service and its pods are left as they are (qoqo.dev/service-mode: observe)\n"}},
		"a Service that observes the election of another": {
			append(web(), aService("other", "", 0, annotated(api.AnnotationServiceMode, api.ModeObserve), annotated(api.AnnotationLeaseName, "web"))), nil, "check other", result{Out: `
Service:    other (only observed; routing selector)
Lease:      web, shared with web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)
Traffic:    goes to no pod now; would go to web-0 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid); the Service and its pods are left as they are (qoqo.dev/service-mode: observe)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-2   node-2   no         standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that observes the election of one that is refused": {
			[]runtime.Object{
				aService("web", "", 0, annotated(api.AnnotationServiceMode, "on")), aLease("web", "web-0", 3),
				aService("other", "", 0, annotated(api.AnnotationServiceMode, api.ModeObserve), annotated(api.AnnotationLeaseName, "web")),
			}, nil, "check other", result{Out: `
Service:    other (only observed)
Problems:   UnknownServiceMode: the Service web, whose election it is, is not served
Next:       nothing, because the Service is not served
`},
		},
	})
}
