package kubectl

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestSimulate(t *testing.T) {
	t.Parallel()
	onNode := func(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }
	expectEach(t, map[string]expectation{
		"without the master": {web(aPod("web-3", "standby", notReady)), nil, "simulate web --without web-0", result{Out: `
Service:    web (routing selector)
Suppose:    pod/web-0 is gone
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       Failover to web-2, in epoch 4 (HolderGone)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-2   node-2   no         standby   yes        first in the order
2      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer
-      web-3   node-3   no         standby   no         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"without a standby": {web(), nil, "simulate web --without pod/web-2", result{Out: `
Service:    web (routing selector)
Suppose:    pod/web-2 is gone
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-0   node-0   no         master    yes        first in the order
2      web-1   node-1   no         standby   yes        after web-0, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"without the nodes of the master and of the best standby": {web(), nil, "simulate web --without node/node-0 --without node/node-2", result{Out: `
Service:    web (routing selector)
Suppose:    node/node-0, node/node-2 are gone
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       Failover to web-1, in epoch 4 (NodeGone)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
-      web-0   node-0   no         master    no         it is on a node that no longer exists
-      web-2   node-2   no         standby   no         it is on a node that no longer exists

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"without a node that may not be read": {web(), []string{"nodes"}, "simulate web --without node/node-0", result{Out: `
Service:    web (routing selector)
Suppose:    node/node-0 is gone
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       Failover to web-2, in epoch 4 (NodeGone)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-2   node-2   unknown    standby   yes        first in the order
2      web-1   node-1   unknown    standby   yes        after web-2, which has been Ready longer
-      web-0   node-0   unknown    master    no         it is on a node that no longer exists

Note: nodes may not be read, so it is unknown which are cordoned.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"without all pods": {web(), nil, "simulate web --without web-0,web-1,web-2", result{Out: `
Service:    web (routing selector)
Suppose:    pod/web-0, pod/web-1, pod/web-2 are gone
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: no pod is eligible, so web-0 stays master in epoch 3 (NobodyEligible)

The Service selects no pods.

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"without the only node": {
			[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", onNode("node-0")), aPod("web-1", "standby", onNode("node-0"))},
			nil, "simulate web --without node/node-0",
			result{Out: `
Service:    web (routing selector)
Suppose:    node/node-0 is gone
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: no pod is eligible, so web-0 stays master in epoch 3 (NobodyEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
-      web-0   node-0   no         master    no         it is on a node that no longer exists
-      web-1   node-0   no         standby   no         it is on a node that no longer exists

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Lease that must expire first": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationLeaseDuration, "15s")),
				aLease("web", "web-0", 3, func(l *coordinationv1.Lease) {
					l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = ptr.To[int32](15), l.Spec.AcquireTime
				}),
				aPod("web-0", "active"), aPod("web-1", "standby"),
			}, nil, "simulate web --without node/node-0", result{Out: `
Service:    web (routing selector)
Suppose:    node/node-0 is gone
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is on a node that no longer exists; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration) (AwaitingExpiry); the controller looks again within 15s
Then:       after 15s: Failover to web-1, in epoch 4 (NodeGone)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
-      web-0   node-0   no         master    no         it is on a node that no longer exists

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a paused election": {pausing(web()), nil, "simulate web --without web-0", result{Out: `
Service:    web (routing selector)
Suppose:    pod/web-0 is gone
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: the master's pod does not exist; no other pod becomes master while the election is paused (qoqo.dev/paused) (ElectionPaused)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-2   node-2   no         standby   yes        first in the order
2      web-1   node-1   no         standby   yes        after web-2, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a Service that is not annotated": {[]runtime.Object{aService("web", "", 0, unannotated), aPod("web-0", "", unmarked), aPod("web-1", "", unmarked)}, nil, "simulate web --without web-0", result{Out: `
Service:    web (not annotated; routing selector)
Suppose:    kubectl annotate service web qoqo.dev/service-mode=active-standby; then pod/web-0 is gone
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       Elect web-1, in epoch 1 (FirstEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a Service that is not served": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "on"))}, nil, "simulate web --without web-0", result{Err: `
error: services "web" is not served; kubectl active-standby check web
`, Code: 1}},
		"a pod of another Service": {web(), nil, "simulate web --without db-0", result{Err: `
error: --without: the election of web has no pod "db-0"
`, Code: 1}},
		"a node without a pod": {web(), nil, "simulate web --without node/node-9", result{Err: `
error: --without: the election of web has no pod on the node "node-9"
`, Code: 1}},
		"a kind that cannot be gone": {web(), nil, "simulate web --without deploy/web", result{Err: `
error: --without: "deploy/web" is not valid; allowed: POD, pod/POD or node/NODE
`, Code: 1}},
		"no pod": {web(), nil, "simulate web", result{Err: `
error: --without is required: a pod, or node/NODE
See 'kubectl active-standby simulate --help' for usage and examples
`, Code: 1}},
		"the completion of what can be gone": {web(), nil, "__completeNoDesc simulate web --without n", result{Out: `
web-0
web-1
web-2
node/node-0
node/node-1
node/node-2
:4
`, Err: `
Completion ended with directive: ShellCompDirectiveNoFileComp
`}},
	})
}
