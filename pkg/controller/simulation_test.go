package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// The simulation runs the decisions and the writes of several replicas, each
// with caches that lag behind by any amount and by kind, which crash between
// any two writes, against a store that does what the API server does with
// resource versions and UIDs; while pods come and go and users interfere.

// replica is a controller with its view of the world.
type replica struct {
	service *corev1.Service
	lease   *coordinationv1.Lease
	pods    map[string]*corev1.Pod
	slices  map[string]*discoveryv1.EndpointSlice
}

func newReplica(w *world) *replica {
	r := &replica{}
	r.hearAll(w)
	return r
}

var simulatedKey = key{Namespace: "default", Name: "web"}

// hear brings a part of the replica's view up to date.
func (r *replica) hear(w *world) {
	switch w.random.IntN(4) {
	case 0:
		r.service = w.service
	case 1:
		r.lease = w.lease
	case 2:
		name := fmt.Sprint("web-", w.random.IntN(3))
		if pod, exists := w.pods[name]; exists {
			r.pods[name] = pod
		} else {
			delete(r.pods, name)
		}
	case 3:
		r.slices = maps.Clone(w.slices)
	}
}

func (r *replica) hearAll(w *world) {
	r.service, r.lease, r.pods, r.slices = w.service, w.lease, maps.Clone(w.pods), maps.Clone(w.slices)
}

func (r *replica) look() *observation.Observation {
	o := observation.Look(simulatedKey, r.lease, []*corev1.Service{r.service}, slices.Collect(maps.Values(r.pods)))
	o.WithSlices(func(key) []*discoveryv1.EndpointSlice { return slices.Collect(maps.Values(r.slices)) })
	return o
}

func (w *world) lookAtServer(context.Context, key) (*observation.Observation, error) {
	return newReplica(w).look(), nil
}

func (w *world) livePod(_ context.Context, _, name string) (*corev1.Pod, error) {
	return w.pods[name], nil
}

func (w *world) cordoned(context.Context, string) (bool, error) { return false, nil }

// reconcile is the controller's sync, cut off after some writes.
func (r *replica) reconcile(w *world, crashAfter int) {
	fine := func(string) bool { return false }
	nodes := observation.NodeStates{Draining: fine, Silent: fine}
	o, d, err := decide(w.t.Context(), w, r.look(), nodes, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if d.Writes(o.View(nodes, time.Now()).Lease) {
		if crashAfter--; crashAfter < 0 || !w.writeLease(o, d) {
			return
		}
	}
	if err := withListed(w.t.Context(), o, w); err != nil {
		w.t.Fatal(err)
	}
	a := routing.Assignment{HolderUID: d.HolderUID, Epoch: d.Epoch}
	routing.Begin(a, o.Members, o.Pods)
	for {
		_, patches := routing.Next(a, o.Members, o.Pods)
		if len(patches) == 0 {
			if pod := makesRoom(o, d); pod != nil && crashAfter > 0 {
				w.deletePod(o, pod, d)
			}
			return
		}
		for _, p := range patches {
			if crashAfter--; crashAfter < 0 || !w.patch(o, p) {
				return
			}
		}
	}
}

// settle lets the replicas hear of everything, and then checks that what is
// written follows from the Lease and that nothing more is written.
func (w *world) settle(replicas []*replica) {
	for range 20 {
		w.reap()
		for _, r := range replicas {
			r.hearAll(w)
			r.reconcile(w, 1000)
			w.followAll()
		}
	}
	writes := w.writes
	for _, r := range replicas {
		r.hearAll(w)
		r.reconcile(w, 1000)
	}
	if w.writes != writes {
		w.t.Fatalf("%d writes at rest", w.writes-writes)
	}

	holder := types.UID(w.lease.Annotations[api.AnnotationHolderUID])
	anybody := false
	for _, pod := range w.pods {
		// What is left on others is not the election's to clean up.
		if !api.Selects(w.service, pod.Labels) {
			continue
		}
		eligible := observation.Ready(pod) && pod.DeletionTimestamp == nil
		anybody = anybody || eligible
		want := api.DesignationStandby
		if pod.UID == holder {
			want = api.DesignationActive
		}
		if got := pod.Labels[api.LabelDesignation]; got != want {
			w.t.Fatalf("pod %s is designated %q, want %q", pod.Name, got, want)
		}
	}
	served := slices.ContainsFunc(w.alive(), func(p *corev1.Pod) bool { return p.UID == holder })
	if anybody && !served && !w.heldUnselected(holder) {
		w.t.Fatalf("a pod is eligible, but the holder is %q", holder)
	}
	w.checkRouted(holder)
}

func (w *world) alive() (alive []*corev1.Pod) {
	for _, pod := range w.pods {
		if observation.Ready(pod) && pod.DeletionTimestamp == nil {
			alive = append(alive, pod)
		}
	}
	return alive
}

func TestSimulation(t *testing.T) {
	const selector, label, slice = api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice
	demoted := map[string]string{api.AnnotationOnDemote: api.OnDemoteDelete}
	stopped := map[string]string{api.AnnotationOnDemote: api.OnDemoteDelete, api.AnnotationHandover: api.HandoverAfterTermination}
	tests := map[string]struct {
		routings []api.Routing
		asked    map[string]string
	}{
		"by selector":                            {routings: []api.Routing{selector}},
		"by label":                               {routings: []api.Routing{label}},
		"by EndpointSlice":                       {routings: []api.Routing{slice}},
		"by EndpointSlice and selector, in turn": {routings: []api.Routing{slice, selector}},
		"by all of them, in turn":                {routings: []api.Routing{slice, selector, label}},
		"where who is demoted is deleted":        {[]api.Routing{selector}, demoted},
		"where the next waits for the former":    {[]api.Routing{selector}, stopped},
		"and by EndpointSlice":                   {[]api.Routing{slice}, stopped},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
					w := newWorld(t, seed, test.routings, test.asked)
					replicas := []*replica{newReplica(w), newReplica(w), newReplica(w)}
					w.between = func() {
						// Another replica comes between two writes.
						between := w.between
						w.between = nil
						if w.random.IntN(5) == 0 {
							w.disturb()
							r := replicas[w.random.IntN(len(replicas))]
							r.hear(w)
							r.reconcile(w, 1000)
						}
						w.between = between
					}
					for range 300 {
						r := replicas[w.random.IntN(len(replicas))]
						switch w.random.IntN(11) {
						case 0:
							w.disturb()
						case 1, 2, 3, 4:
							r.hear(w)
						case 5, 6:
							r.reconcile(w, w.random.IntN(4))
						case 7:
							w.follow()
						default:
							r.reconcile(w, 1000)
						}
					}
					w.between = nil
					w.settle(replicas)
				})
			}
		})
	}
}
