package controller

import (
	"maps"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// The handlers of events put the keys of elections into the queue. They never block.

func (c *Controller) serviceHandler() cache.TypedResourceEventHandler[*corev1.Service] {
	enqueue := func(s *corev1.Service) {
		if api.Annotated(s) {
			c.queue.Add(observation.LeaseKey(s))
		}
		if !api.Routed(s) && (!routing.ReleaseService(s).Empty() || !api.Annotated(s) && observation.Condition(s) != nil) {
			c.queue.Add(key{Namespace: s.Namespace})
		}
	}
	// others wakes the elections that select pods of the Service's election: it has joined or
	// left one, or selects other pods, which may make a difference to each of them.
	others := func(s *corev1.Service) {
		pods, watched := c.pods.known(s.Namespace)
		if !api.Annotated(s) || !watched {
			// Each pod wakes them when it is heard of.
			return
		}
		for _, member := range append(c.services.in(s.Namespace).by(byLease, observation.LeaseKey(s).String()), s) {
			for _, pod := range selected(pods, member) {
				c.enqueueSelecting(pod)
			}
		}
	}
	left := func(before *corev1.Service) {
		if !api.Annotated(before) {
			return
		}
		c.warnings.forget(before.UID)
		c.conditions.forget(before.UID)
		c.queue.Add(key{Namespace: before.Namespace})
		others(before)
	}
	return cache.TypedResourceEventHandlerDetailedFuncs[*corev1.Service]{
		AddFunc: func(s *corev1.Service, isInInitialList bool) {
			c.hint(s)
			if enqueue(s); !isInInitialList {
				others(s)
			}
		},
		UpdateFunc: func(before, now *corev1.Service) {
			if api.MisspeltMode(before) != "" && (api.MisspeltMode(now) == "" || before.UID != now.UID) {
				// Before the election that it may have now tells of anything.
				c.warnings.forget(before.UID)
			}
			enqueue(before)
			enqueue(now)
			if former := before.Spec.Selector[api.LabelPodUID]; former != "" && former != now.Spec.Selector[api.LabelPodUID] {
				// Its marks may have waited for that.
				c.wakeFormer(now.Namespace, types.UID(former))
			}
			if api.Routed(before) && api.Observes(now) {
				c.optedOut([]*corev1.Service{now}, c.serves(observation.LeaseKey(now)))
			}
			if !api.Routed(now) {
				// It may opt in again, and then nobody has overwritten its selector.
				c.routedOnce.Remove(now.UID)
			}
			if !api.SameElection(before, now) {
				left(before)
				others(now)
			}
			c.hint(now)
		},
		DeleteFunc: func(deleted cache.DeletedObject[*corev1.Service]) {
			if s := deleted.OptionalObj; s != nil {
				enqueue(s)
				left(s)
				if api.MisspeltMode(s) != "" {
					c.warnings.forget(s.UID)
				}
			}
		},
	}
}

func (c *Controller) leaseHandler() cache.TypedResourceEventHandler[*coordinationv1.Lease] {
	enqueue := func(l *coordinationv1.Lease) { c.queue.Add(key{Namespace: l.Namespace, Name: l.Name}) }
	return cache.TypedResourceEventHandlerFuncs[*coordinationv1.Lease]{
		AddFunc: enqueue,
		UpdateFunc: func(before, now *coordinationv1.Lease) {
			if k := (key{Namespace: now.Namespace, Name: now.Name}); before.Annotations[api.AnnotationRecord] != now.Annotations[api.AnnotationRecord] && !c.isBusy(k) {
				c.turns.heard(k, now)
			}
			// A renewal ends an outage: the replica that renewed has seen the holder healthy.
			if !lease.RenewedOnly(before, now) || c.memory.has(key{Namespace: now.Namespace, Name: now.Name}) {
				enqueue(now)
			}
			if former := lease.Decode(before).HolderUID; former != "" && former != lease.Decode(now).HolderUID {
				// Its marks were the election's, even if no Service selects it.
				c.wakeFormer(now.Namespace, former)
			}
		},
		DeleteFunc: func(deleted cache.DeletedObject[*coordinationv1.Lease]) {
			if deleted.OptionalObj != nil {
				enqueue(deleted.OptionalObj)
			}
		},
	}
}

// podHandler wakes every election that selects the pod or has selected it, and those whose
// master it is. A marked pod that no election selects, or only one that is observed, wakes the
// clean-up of its namespace.
func (c *Controller) podHandler() cache.TypedResourceEventHandler[*corev1.Pod] {
	exists := func(now *corev1.Pod, before ...*corev1.Pod) {
		if !c.enqueueSelecting(now, before...) && observation.MarkedPod(now) {
			c.queue.Add(key{Namespace: now.Namespace})
		}
	}
	return cache.TypedResourceEventHandlerFuncs[*corev1.Pod]{
		AddFunc:    func(now *corev1.Pod) { exists(now) },
		UpdateFunc: func(before, now *corev1.Pod) { exists(now, before) },
		DeleteFunc: func(deleted cache.DeletedObject[*corev1.Pod]) {
			if deleted.OptionalObj != nil {
				c.enqueueSelecting(deleted.OptionalObj)
			}
		},
	}
}

// wakeFormer wakes the clean-up if no Service selects the pod that is no longer master.
func (c *Controller) wakeFormer(namespace string, uid types.UID) {
	pods, watched := c.pods.known(namespace)
	if watched && slices.ContainsFunc(pods.by(byUID, inNamespace(namespace, string(uid))), func(pod *corev1.Pod) bool {
		return observation.MarkedPod(pod) && !slices.ContainsFunc(c.selecting(namespace, pod.Labels), api.Routed)
	}) {
		c.queue.Add(key{Namespace: namespace})
	}
}

// serves reports whether a Service that can be served takes part in the election.
func (c *Controller) serves(k key) bool {
	return slices.ContainsFunc(c.services.in(k.Namespace).by(byLease, k.String()), func(s *corev1.Service) bool {
		_, _, ok := api.Parse(s)
		return ok && api.Routed(s)
	})
}

// enqueueSelecting wakes, once, each election that selects the pod as it is now or as it
// was before, and each that has the pod as its master: that may have lost its labels, and its
// election waits for it to stop. It reports whether an election selects the pod now, or must know of
// it, that is more than observed.
func (c *Controller) enqueueSelecting(now *corev1.Pod, before ...*corev1.Pod) (selected bool) {
	elections := sets.New[key]()
	for i, pod := range append([]*corev1.Pod{now}, before...) {
		for _, s := range c.selecting(pod.Namespace, pod.Labels) {
			elections.Insert(observation.LeaseKey(s))
			selected = selected || i == 0 && api.Routed(s)
		}
	}
	for _, l := range c.leases.in(now.Namespace).by(byHolder, string(now.UID)) {
		elections.Insert(key{Namespace: l.Namespace, Name: l.Name})
	}
	selected = selected || c.awaitsName(now)
	if k := (key{Namespace: now.Namespace, Name: observation.MasterOf(now)}); k.Name != "" && slices.ContainsFunc(c.services.in(k.Namespace).by(byLease, k.String()), api.Routed) {
		// Its marks are that election's.
		elections.Insert(k)
		selected = true
	}
	for k := range elections {
		c.queue.Add(k)
	}
	return selected
}

// sliceHandler wakes the election of the EndpointSlice's Service. An own slice of a Service
// that is not routed wakes the clean-up of its namespace.
func (c *Controller) sliceHandler() cache.TypedResourceEventHandler[*discoveryv1.EndpointSlice] {
	enqueue := func(s *discoveryv1.EndpointSlice) {
		service, found := c.services.in(s.Namespace).get(observation.ServiceOf(s))
		if found && api.Annotated(service) {
			c.queue.Add(observation.LeaseKey(service))
		}
		if observation.Own(s) && (!found || !api.Routed(service)) {
			c.queue.Add(key{Namespace: s.Namespace})
		}
	}
	// left wakes the clean-up for the pods that the slice listed, and that are not listed now: their
	// marks may have waited for that.
	left := func(before *discoveryv1.EndpointSlice, now ...*discoveryv1.EndpointSlice) {
		listed := observation.Listed(now)
		for uid := range observation.Listed([]*discoveryv1.EndpointSlice{before}) {
			if _, still := listed[uid]; !still && observation.Own(before) {
				c.wakeFormer(before.Namespace, uid)
			}
		}
	}
	return cache.TypedResourceEventHandlerFuncs[*discoveryv1.EndpointSlice]{
		AddFunc: enqueue,
		UpdateFunc: func(before, now *discoveryv1.EndpointSlice) {
			enqueue(before)
			enqueue(now)
			left(before, now)
		},
		DeleteFunc: func(deleted cache.DeletedObject[*discoveryv1.EndpointSlice]) {
			if deleted.OptionalObj != nil {
				enqueue(deleted.OptionalObj)
				left(deleted.OptionalObj)
			}
		},
	}
}

// publishedHandler wakes the election of the Service whose endpoints have changed.
func (c *Controller) publishedHandler() cache.TypedResourceEventHandler[*discoveryv1.EndpointSlice] {
	enqueue := func(s *discoveryv1.EndpointSlice) {
		if service, found := c.services.in(s.Namespace).get(observation.ServiceOf(s)); found && api.Annotated(service) {
			c.queue.Add(observation.LeaseKey(service))
		}
	}
	return cache.TypedResourceEventHandlerFuncs[*discoveryv1.EndpointSlice]{
		AddFunc: enqueue,
		UpdateFunc: func(before, now *discoveryv1.EndpointSlice) {
			if !apiequality.Semantic.DeepEqual(before.Endpoints, now.Endpoints) {
				enqueue(now)
			}
		},
		DeleteFunc: func(deleted cache.DeletedObject[*discoveryv1.EndpointSlice]) {
			if deleted.OptionalObj != nil {
				enqueue(deleted.OptionalObj)
			}
		},
	}
}

// nodeHandler wakes the elections with pods on a node that begins or ceases to exist, or of
// which something changes that is kept. Kubelets report more than that every few minutes.
func (c *Controller) nodeHandler() cache.TypedResourceEventHandler[*corev1.Node] {
	return cache.TypedResourceEventHandlerFuncs[*corev1.Node]{
		AddFunc: func(n *corev1.Node) {
			c.nodesWatched.forbidden.Store(false)
			c.lookAtNode(n.Name)
		},
		UpdateFunc: func(before, now *corev1.Node) {
			// Every node is heard of, changed or not, when there are rights again.
			c.nodesWatched.forbidden.Store(false)
			if !apiequality.Semantic.DeepEqual(before.Spec, now.Spec) || !maps.Equal(before.Labels, now.Labels) {
				c.lookAtNode(now.Name)
			}
		},
		DeleteFunc: func(deleted cache.DeletedObject[*corev1.Node]) {
			if deleted.OptionalObj != nil {
				c.lookAtNode(deleted.OptionalObj.Name)
			}
		},
	}
}
