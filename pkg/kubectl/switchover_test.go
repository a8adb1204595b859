package kubectl

import (
	"errors"
	"strconv"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestSwitchover(t *testing.T) {
	t.Parallel()
	routedBy := func(routing api.Routing) []runtime.Object {
		objects := web()
		s := objects[0].(*corev1.Service)
		switch routing {
		case api.RoutingLabel:
			s.Spec.Selector = map[string]string{"app": "web", api.LabelDesignation: api.DesignationActive}
			delete(s.Annotations, api.AnnotationLeaseTransitions)
		case api.RoutingEndpointSlice:
			s.Spec.Selector = map[string]string{"app": "web", api.LabelRouting: "endpointslice"}
			s.Annotations[api.AnnotationRouting] = "endpointslice"
			objects = append(objects, ownSlice("web-0", "3"))
		}
		return objects
	}
	tests := map[string]struct {
		objects    []runtime.Object
		controller running
		prepare    func(*cluster)
		line       string
		want       result
	}{
		"to the best standby": {web(), aController, nil, "switchover web", result{Out: `
web: master moved from web-0 to web-2 in 110ms (epoch 4)
`}},
		"to a pod": {web(), aController, nil, "switchover web --to web-1", result{Out: `
web: master moved from web-0 to web-1 in 110ms (epoch 4)
`}},
		"with routing by label": {routedBy(api.RoutingLabel), aController, nil, "switchover web", result{Out: `
web: master moved from web-0 to web-2 in 135ms (epoch 4)
`}},
		"with routing by EndpointSlice": {routedBy(api.RoutingEndpointSlice), aController, nil, "switchover web", result{Out: `
web: master moved from web-0 to web-2 in 110ms (epoch 4)
`}},
		"with routing by EndpointSlice, which may not be read": {
			routedBy(api.RoutingEndpointSlice),
			aController,
			func(c *cluster) { c.forbid("watch", "endpointslices") },
			"switchover web",
			result{Out: `
web: master moved from web-0 to web-2 in 145ms (epoch 4)
`},
		},
		"of an election that is observed": {observes(), aController, nil, "switchover web", result{Out: `
web: master moved from web-0 to web-1 in 100ms (epoch 4); the Service and its pods are left as they are (qoqo.dev/service-mode: observe)
`}},
		"of Services that share a Lease": {web(aService("web-ro", "web-0", 3, annotated(api.AnnotationLeaseName, "web"))), aController, nil, "switchover web-ro", result{Out: `
web-ro: master moved from web-0 to web-2 in 135ms (epoch 4)
`}},
		"to the pod that is master": {web(), aController, nil, "switchover web --to web-0", result{Out: `
web: web-0 is already master (epoch 3)
`}},
		"without waiting": {web(), aController, nil, "switchover web --wait=false", result{Out: `
web: requested a switchover from web-0 to web-2
`}},
		"after a termination": {
			[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination"), annotated(api.AnnotationOnDemote, "delete")), aLease("web", "web-0", 3), aPod("web-0", "active", fakeapi.Graceful), aPod("web-1", "standby")},
			aController,
			func(c *cluster) {
				time.AfterFunc(30*time.Second, func() { c.Stop("web-0") })
			},
			"switchover web",
			result{Out: `
web: master moved from web-0 to web-1 in 30.155s (epoch 4)
`, Err: `
web: waiting for web-0 to terminate, before another pod becomes master (qoqo.dev/handover)
`},
		},
		"a termination that does not come": {
			[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination"), annotated(api.AnnotationOnDemote, "delete")), aLease("web", "web-0", 3), aPod("web-0", "active", fakeapi.Graceful), aPod("web-1", "standby")},
			aController,
			nil, "switchover web --timeout=10s",
			result{Err: `
web: waiting for web-0 to terminate, before another pod becomes master (qoqo.dev/handover)
error: timed out after 10s: web-0 has not terminated yet; web-1 becomes master once it has
  HolderTerminating: web-0 is terminating
  AwaitingTermination: web-0 is terminating; no other pod can become master until the master has stopped (qoqo.dev/handover)
`, Code: 1},
		},
		"a Lease that has to expire first": {
			[]runtime.Object{
				aService("web", "web-0", 3, annotated(api.AnnotationLeaseDuration, "15s")),
				aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = ptr.To(int32(15)) }),
				aPod("web-0", "active"), aPod("web-1", "standby"),
			},
			aController, func(c *cluster) { c.EditPod("web-0", notReady) },
			"switchover web --timeout=10s",
			result{Err: `
web: waiting for the Lease to expire, because web-0 may not notice a new master before that
error: timed out after 10s: the Lease has not expired yet; web-1 becomes master once it has
  HolderNotReady: web-0 is not Ready
  AwaitingExpiry: web-0 is not Ready; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration)
`, Code: 1},
		},
		"a deletion that is refused": {
			[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination"), annotated(api.AnnotationOnDemote, "delete")), aLease("web", "web-0", 3), aPod("web-0", "active", fakeapi.Graceful), aPod("web-1", "standby")},
			aController,
			func(c *cluster) { c.Server.OnRequest(failing("delete", "pods")) }, "switchover web --timeout=20s",
			result{Err: `
web: waiting for web-0 to terminate, before another pod becomes master (qoqo.dev/handover)
error: timed out after 20s: web-0 has not terminated yet; web-1 becomes master once it has
  WriteRefused: the API server refuses a write of the controller: deleting the pod web-0: Internal error occurred: it is broken
  for the right to delete pods, apply manifests/on-demote
`, Code: 1},
		},
		"refused by what the controller alone knows": {web(), aController, silentNode1, "switchover web --to web-1", result{Err: `
error: the controller has refused: web-1 cannot become master: it is on a node that no longer gives signs of life; web-0 stays master in epoch 3
`, Code: 1}},
		"refused without an event": {
			web(), aMuteController, silentNode1, "switchover web --to web-1", result{Err: `
error: the controller has refused web-1; to see why: kubectl events --for service/web
`, Code: 1},
		},
		"refused without an event, after an earlier refusal": {
			web(), aMuteController, func(c *cluster) {
				silentNode1(c)
				if err := c.Server.Add(aRefusal("web", "web-1")); err != nil {
					c.Fatal(err)
				}
			},
			"switchover web --to web-1",
			result{Err: `
error: the controller has refused web-1; to see why: kubectl events --for service/web
`, Code: 1},
		},
		"refused for a reason in events that may not be read": {
			web(),
			aController,
			func(c *cluster) {
				silentNode1(c)
				c.forbid("list", "events")
			},
			"switchover web --to web-1",
			result{Err: `
error: the controller has refused web-1; to see why: kubectl events --for service/web
`, Code: 1},
		},
		"no controller": {web(), noController, nil, "switchover web --timeout=5s", result{Err: `
error: timed out after 5s: the controller has not reacted; is it running, and does it look after the namespace default? The edit stays in the Lease, and the controller follows it when it can. To take it back: kubectl patch lease web --type merge -p '{"spec":{"holderIdentity":"web-0"}}'
`, Code: 1}},
		"no controller, in a namespace that a flag names": {
			web(), noController, func(c *cluster) { c.explicit = true }, "switchover web --timeout=5s", result{Err: `
error: timed out after 5s: the controller has not reacted; is it running, and does it look after the namespace default? The edit stays in the Lease, and the controller follows it when it can. To take it back: kubectl -n default patch lease web --type merge -p '{"spec":{"holderIdentity":"web-0"}}'
`, Code: 1},
		},
		"another pod becomes master instead": {
			web(),
			noController,
			func(c *cluster) {
				time.AfterFunc(time.Second, func() {
					c.EditLease("web", func(l *coordinationv1.Lease) {
						l.Spec.HolderIdentity, l.Spec.LeaseTransitions = ptr.To("web-1"), ptr.To(int32(4))
						l.Annotations[api.AnnotationHolderUID] = "uid-web-1"
					})
				})
			},
			"switchover web --to web-2",
			result{Err: `
error: web-1 became master instead, in epoch 4 (HolderNotReady)
`, Code: 1},
		},
		"the Service is deleted during the switchover": {
			web(),
			noController,
			func(c *cluster) {
				time.AfterFunc(time.Second, func() { c.DeleteService("web") })
			},
			"switchover web",
			result{Err: `
error: service web was deleted, or is no longer annotated
`, Code: 1},
		},
		"the best standby has changed at the time of the write": {
			web(),
			aController,
			func(c *cluster) {
				c.meanwhile(1, func() {
					c.EditPod("web-2", notReady)
				})
			},
			"switchover web",
			result{Out: `
web: master moved from web-0 to web-1 in 135ms (epoch 4)
`},
		},
		"the pod is master at the time of the write": {
			web(),
			noController,
			func(c *cluster) {
				c.meanwhile(1, func() {
					c.EditLease("web", func(l *coordinationv1.Lease) {
						l.Spec.HolderIdentity, l.Spec.LeaseTransitions = ptr.To("web-1"), ptr.To(int32(4))
						l.Annotations[api.AnnotationHolderUID] = "uid-web-1"
					})
				})
			},
			"switchover web --to web-1",
			result{Out: `
web: web-1 is already master (epoch 4)
`},
		},
		"the Lease keeps changing": {
			web(), noController, func(c *cluster) { c.meanwhile(100, func() {}) }, "switchover web", result{Err: `
error: the Lease web keeps changing; try again
`, Code: 1},
		},
		"Leases may not be patched": {
			web(), noController, func(c *cluster) { c.forbid("patch", "leases") }, "switchover web", result{Err: `
error: patching the Lease: leases.coordination.k8s.io is forbidden: User "jane" cannot patch resource "leases"
`, Code: 1},
		},
		"master, but without an EndpointSlice": {
			routedBy(api.RoutingEndpointSlice), aController, func(c *cluster) {
				c.Server.OnRequest(failing("create", "endpointslices"))
				c.DeleteSlice("web-master-ipv4")
			},
			"switchover web --timeout=5s",
			result{Err: `
error: timed out after 5s: web-2 is master in epoch 4, but service web does not route to it yet; to see why: kubectl active-standby check web
  NotPublished: the EndpointSlices of the Service are not as they should be: traffic goes to no pod, though web-2 is master
`, Code: 1},
		},
		"master, but not published": {web(), aController, func(c *cluster) { c.stopKubernetes() }, "switchover web --timeout=5s", result{Err: `
error: timed out after 5s: web-2 is master in epoch 4, but the EndpointSlices of the Service are not as they should be: traffic goes to web-0, and not to web-2, which is master
`, Code: 1}},
		"master, but not routed to": {web(), aController, func(c *cluster) { c.Server.OnRequest(failing("patch", "services")) }, "switchover web --timeout=5s", result{Err: `
error: timed out after 5s: web-2 is master in epoch 4, but service web does not route to it yet; to see why: kubectl active-standby check web
  NotPublished: the EndpointSlices of the Service are not as they should be: traffic goes to web-0, and not to web-2, which is master
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				c.start(test.controller)
				if test.prepare != nil {
					test.prepare(c)
				}
				c.expect(test.line, test.want)
			})
		})
	}
}

// silentNode1 is what the controller alone knows.
func silentNode1(c *cluster) { c.silence("node-1", "node-0", "node-2") }

// failing fails such requests of the controller.
func failing(verb, resource string) func(clienttesting.Action) error {
	return func(action clienttesting.Action) error {
		if action.Matches(verb, resource) {
			return apierrors.NewInternalError(errors.New("it is broken"))
		}
		return nil
	}
}

// meanwhile changes something, and the Lease with it, before each of the first patches
// of the Lease.
func (c *cluster) meanwhile(times int, change func()) {
	c.jane.PrependReactor("patch", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
		if times--; times < 0 {
			return false, nil, nil
		}
		// The fake serves one request at a time.
		c.jane.Unlock()
		defer c.jane.Lock()
		change()
		c.EditLease("web", func(l *coordinationv1.Lease) { l.Annotations["example.com/touched"] = strconv.Itoa(times) })
		return false, nil, nil
	})
}
