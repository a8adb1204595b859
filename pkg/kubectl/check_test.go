package kubectl

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	byHand := &discoveryv1.EndpointSlice{ObjectMeta: metaOf("by-hand"), AddressType: discoveryv1.AddressTypeIPv4}
	byHand.Labels[discoveryv1.LabelServiceName] = "web"
	expectEach(t, map[string]expectation{
		"all is well": {web(), nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-2   node-2   no         standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"all that can be said of a pod": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationPrefer, "tier=fast"), annotated(api.AnnotationProbe, "http://:8080/healthz")), aLease("web", "web-0", 3),
				aPod("web-0", "active"), aPod("web-1", "standby", notReady), aPod("web-2", "standby", excluded), aPod("web-3", "standby", terminating), aPod("web-4", "standby", evicted),
				aPod("web-5", "standby", func(p *corev1.Pod) { p.Labels["tier"] = "fast" }), aPod("web-6", "standby", readyFor(time.Minute)), aPod("web-7", "standby"),
				aNode("node-7", true),
			},
			nil, "check web",
			result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-5   node-5   no         standby   yes        first in the order
2      web-0   node-0   no         master    yes        after web-5, which is preferred
3      web-6   node-6   no         standby   yes        after web-0, which has been Ready longer
4      web-7   node-7   yes        standby   yes        after web-6, which is on a node that is not cordoned
-      web-1   node-1   no         standby   no         it is not Ready
-      web-2   node-2   no         standby   no         it is kept from being master by the annotation qoqo.dev/candidate
-      web-3   node-3   no         standby   no         it is terminating
-      web-4   node-4   no         standby   no         it has ended

Note: the master is not web-5, which is preferred: the Service asks for no failback (qoqo.dev/failback).
Note: the controller alone knows the nodes' heartbeats, and what the pods answer to the controller's probe http://:8080/healthz.
`},
		},
		"readiness probes": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationProbe, "readiness")), aLease("web", "web-0", 3), aNode("node-0", false), aNode("node-1", false), aNode("node-2", false), aNode("node-3", false),
				aPod("web-0", "active", connects), aPod("web-1", "standby", connects), aPod("web-2", "standby"), aPod("web-3", "standby", excluded, connects),
			},
			nil, "check web",
			result{Out: `
Service:     web (routing selector)
Lease:       web
Master:      web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:    ProbeUnanswered: web-2 is not probed, because it has no readiness probe; only its readiness counts (qoqo.dev/probe: readiness)
Next:        nothing: web-0 is master in epoch 3 (HolderEligible)
Readiness:   web-0, web-1, web-3: tcp://:5432; web-2: none, because it has no readiness probe

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-1   node-1   no         standby   yes        after web-0, which comes before it by name
3      web-2   node-2   no         standby   yes        after web-1, which comes before it by name
-      web-3   node-3   no         standby   no         it is kept from being master by the annotation qoqo.dev/candidate

Note: the controller alone knows the nodes' heartbeats, and what the pods answer to the controller's probe readiness.
`},
		},
		"priorities": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationFailback, "10m")), aLease("web", "web-0", 3), aNode("node-0", false), aNode("node-1", false), aNode("node-2", false),
				aPod("web-0", "active", prioritized("40")), aPod("web-1", "standby", prioritized("-1")), aPod("web-2", "standby", prioritized("41")),
			},
			nil, "check web",
			result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible); the controller looks again within 10m0s

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   PRIORITY   WHY
1      web-2   node-2   no         standby   yes        41         first in the order
2      web-0   node-0   no         master    yes        40         after web-2, which has the higher priority
3      web-1   node-1   no         standby   yes        -1         after web-0, which has the higher priority

Note: the master is not web-2, which has a higher priority: a higher priority must last for 10m0s without a break, as the controller has seen it (qoqo.dev/failback).
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"problems": {
			web(aService("web-ro", "web-0", 3, annotated(api.AnnotationLeaseName, "web"), annotated(api.AnnotationPrefer, "tier=fast"), annotated("qoqo.dev/perfer", "x")), byHand),
			nil, "check web-ro",
			result{Out: `
Service:    web-ro (routing selector)
Lease:      web, shared with web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   UnknownAnnotation: annotation qoqo.dev/perfer is not known; did you mean qoqo.dev/prefer?
            DifferingSettings: this Service shares the Lease web with the Service web, whose settings apply, but differ in qoqo.dev/prefer; set them there
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-2   node-2   no         standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a foreign EndpointSlice": {web(byHand), nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   ForeignEndpointSlice: the EndpointSlice by-hand of this Service is not the controller's (it names no manager); the endpoints that it lists get traffic beside the master. Delete it if they should not
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-2   node-2   no         standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"nodes and EndpointSlices that may not be read": {web(byHand), []string{"nodes", "endpointslices"}, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   unknown    master    yes        first in the order
2      web-2   node-2   unknown    standby   yes        after web-0, which has been Ready longer
3      web-1   node-1   unknown    standby   yes        after web-2, which has been Ready longer

Note: EndpointSlices may not be read, so it is unknown to which pods traffic goes.
Note: nodes may not be read, so it is unknown which are cordoned.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a master that is no longer selected": {
			[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", func(p *corev1.Pod) { p.Labels["app"] = "was-web" }), aPod("web-1", "standby")},
			nil, "check web",
			result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderUnselected: the Service no longer selects web-0
            Pending: the controller has yet to act: Failover (HolderUnselected)
Next:       Failover to web-1, in epoch 4 (HolderUnselected)
Overdue:    what is Pending, although the controller acts at once; if that lasts, it does not run, does not look after the namespace, cannot write, or knows more than the plugin

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
-      web-0   node-0   no         master    no         the Service no longer selects it

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a failover is due": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderNotReady: web-0 is not Ready
            Pending: the controller has yet to act: Failover (HolderNotReady)
Next:       Failover to web-1, in epoch 4 (HolderNotReady)
Overdue:    what is Pending, although the controller acts at once; if that lasts, it does not run, does not look after the namespace, cannot write, or knows more than the plugin

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
-      web-0   node-0   no         master    no         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a master that is given time to recover": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationFailoverDelay, "30s")), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderNotReady: web-0 is not Ready
            AwaitingHolder: web-0 is not Ready; waiting for it to recover (qoqo.dev/failover-delay)
Next:       nothing: web-0 is not Ready; waiting for it to recover (qoqo.dev/failover-delay) (AwaitingHolder); the controller looks again within 30s

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
-      web-0   node-0   no         master    no         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a master that must stop first": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination"), annotated(api.AnnotationOnDemote, "delete")),
				aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Annotations[api.AnnotationNextHolder] = "web-1" }),
				aPod("web-0", "active"), aPod("web-1", "standby"),
			}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   Pending: the controller has yet to act: Stop (HolderEdited)
Next:       Stop: deleting web-0: it must stop before another pod can become master (qoqo.dev/handover); reason: a switchover to web-1 was requested (HolderEdited)
Overdue:    what is Pending, although the controller acts at once; if that lasts, it does not run, does not look after the namespace, cannot write, or knows more than the plugin

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-1   node-1   no         standby   yes        after web-0, which comes before it by name

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"no Lease yet": {[]runtime.Object{aService("web", "", 0), aPod("web-0", "", unmarked)}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web (not found)
Master:     <none>
Problems:   NoLease: there is no Lease web yet; is the controller running, and does it look after the namespace default?
Next:       there is no Lease web yet; is the controller running, and does it look after the namespace default?

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         standby   yes        first in the order

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a foreign Lease": {[]runtime.Object{aService("web", "", 0), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Labels = nil }), aPod("web-0", "", unmarked)}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     <none>
Problems:   LeaseForeign: the Lease web is not the controller's (its holder is "web-0"): another program has made it, such as an application for its own leader election; name another in the annotation qoqo.dev/lease-name, or delete it if nothing uses it; until then the Service is left as it is: all Ready pods that its selector matches get traffic
Next:       nothing: the Lease is not the controller's (LeaseForeign)

RANK   POD     NODE     CORDONED   ROLE     ELIGIBLE   WHY
1      web-0   node-0   no         <none>   yes        first in the order

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"no pod was eligible yet": {[]runtime.Object{aService("web", "", 0), aLease("web", "", 0), aPod("web-0", "standby", unmarked, notReady)}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     <none>
Problems:   Pending: the controller has yet to write Service web
            AwaitingEligible: no pod is eligible yet, so there is no master
Next:       nothing: no pod is eligible yet, so there is no master (AwaitingEligible)
Overdue:    what is Pending, although the controller acts at once; if that lasts, it does not run, does not look after the namespace, cannot write, or knows more than the plugin

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
-      web-0   node-0   no         standby   no         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a paused master that is gone": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationPaused, "true")), aLease("web", "web-0", 3), aPod("web-1", "standby")}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderGone: web-0 does not exist
Next:       nothing: the master's pod does not exist; no other pod becomes master while the election is paused (qoqo.dev/paused) (ElectionPaused)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"no pod is left": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3)}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderGone: web-0 does not exist
            NobodyEligible: no pod is eligible, so web-0 stays master in epoch 3
Next:       nothing: no pod is eligible, so web-0 stays master in epoch 3 (NobodyEligible)

The Service selects no pods.

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a write of the Lease is refused": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-1", "standby"), refusedWrite("web", time.Minute)}, nil, "check web", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   HolderGone: web-0 does not exist
            Pending: the controller has yet to act: Failover (HolderGone)
            WriteRefused: the API server refuses a write of the controller: writing Pod web-1: no
Next:       Failover to web-1, in epoch 4 (HolderGone)
Overdue:    what is Pending, because the API server refuses it (WriteRefused)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"the former master may not be deleted": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationOnDemote, "delete")),
				aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Annotations[api.AnnotationDemotedUID] = "uid-web-1" }),
				aPod("web-0", "active"), aPod("web-1", "standby"), aPod("web-2", "standby"), refusedWrite("web", time.Minute),
			},
			nil, "check web",
			result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   Pending: the controller has yet to delete Pod web-1 (qoqo.dev/on-demote)
            WriteRefused: the API server refuses a write of the controller: writing Pod web-1: no
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)
Overdue:    what is Pending, because the API server refuses it (WriteRefused)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-1   node-1   no         standby   yes        after web-0, which comes before it by name
3      web-2   node-2   no         standby   yes        after web-1, which comes before it by name

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that is not served": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "on"))}, nil, "check web", result{Out: `
Service:    web
Problems:   UnknownServiceMode: annotation qoqo.dev/service-mode: "on" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic
Next:       nothing, because the Service is not served
`}},
		"a Service that does not exist": {nil, nil, "check web", result{Err: `
error: services "web" not found in default namespace
`, Code: 1}},
		"pods that may not be read": {web(), []string{"pods"}, "check web", result{Err: `
error: listing the pods: pods is forbidden: User "jane" cannot list resource "pods"
`, Code: 1}},
	})
}
