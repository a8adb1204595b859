package controller

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// behindMost is how many changes of its selector Kubernetes' controller can be
// behind the Service. When it is behind by a change to another holder and back, that
// cannot be told from its having followed.
const behindMost = 1

// follower is Kubernetes' own EndpointSlice controller, which lags behind, too.
type follower struct {
	// services are the versions of the Service: the one that it works with, and then
	// those that it has yet to hear of, in order.
	services []*corev1.Service
	slice    *discoveryv1.EndpointSlice
}

// choose makes the Service ask for a routing.
func choose(s *corev1.Service, wanted api.Routing) {
	delete(s.Annotations, api.AnnotationRouting)
	delete(s.Spec.Selector, api.LabelDesignation)
	switch wanted {
	case api.RoutingEndpointSlice:
		s.Annotations[api.AnnotationRouting] = string(wanted)
	case api.RoutingLabel:
		s.Spec.Selector[api.LabelDesignation] = api.DesignationActive
	}
}

func (w *world) putService(s *corev1.Service) {
	s.ResourceVersion = w.next()
	w.service = s
	known := w.builtIn.services
	if len(known) == 0 || !maps.Equal(known[len(known)-1].Spec.Selector, s.Spec.Selector) {
		w.builtIn.services = append(slices.Clone(known), s)
	}
	for len(w.builtIn.services) > 1+behindMost {
		w.follow()
	}
}

// follow lets Kubernetes' controllers take a step.
func (w *world) follow() {
	f := &w.builtIn
	if len(f.services) > 1 {
		f.services = f.services[1:]
	}
	f.slice = &discoveryv1.EndpointSlice{}
	for _, pod := range w.pods {
		if labels.SelectorFromSet(f.services[0].Spec.Selector).Matches(labels.Set(pod.Labels)) && endpoints.Listable(pod) {
			f.slice.Endpoints = append(f.slice.Endpoints, endpoints.Slices(f.services[0], pod, "")[0].Endpoints...)
		}
	}
	for _, s := range w.slices {
		owner := s.OwnerReferences[0]
		if pod := w.pods[owner.Name]; owner.Kind == "Pod" && (pod == nil || pod.UID != owner.UID) && w.random.IntN(4) == 0 {
			delete(w.slices, s.Name)
		}
	}
	w.checkListed()
}

func (w *world) followAll() {
	for range 2 + behindMost {
		w.follow()
	}
}

// deleteOwnSlices is what somebody does who should not.
func (w *world) deleteOwnSlices() { clear(w.slices) }

func (w *world) published(context.Context, *corev1.Service) ([]*discoveryv1.EndpointSlice, error) {
	if w.builtIn.slice == nil {
		return nil, nil
	}
	return []*discoveryv1.EndpointSlice{w.builtIn.slice}, nil
}

func (w *world) writeSlice(o *observation.Observation, p routing.Change) bool {
	live, exists := w.slices[p.Name]
	switch {
	case p.UID == "" && exists, p.Slice != nil && p.UID != "" && !exists:
		return false
	case exists && (live.UID != p.UID || live.ResourceVersion != p.ResourceVersion):
		return false
	case p.Slice == nil:
		delete(w.slices, p.Name)
		o.Took(p, nil)
		return true
	}
	now := p.Slice.DeepCopy()
	now.ResourceVersion = w.next()
	if p.UID == "" {
		now.UID = types.UID("slice-" + now.ResourceVersion)
	}
	w.slices[p.Name] = now
	o.Took(p, now)
	return true
}

// checkListed looks for two pods that get traffic. That can be as long as
// Kubernetes' controller works with a selector from which a user has removed what
// stands for one; and with routing by label.
func (w *world) checkListed() {
	for _, s := range w.builtIn.services {
		_, selecting := s.Spec.Selector[api.LabelPodUID]
		if !selecting && !routing.Detached(s) {
			return
		}
	}
	all, _ := w.published(w.t.Context(), nil)
	all = append(all, slices.Collect(maps.Values(w.slices))...)
	ready := routing.Listed(all)
	maps.DeleteFunc(ready, func(_ types.UID, ready bool) bool { return !ready })
	if len(ready) > 1 {
		w.t.Fatalf("%v get traffic", ready)
	}
}

// checkRouted is for what must be once everything is settled.
func (w *world) checkRouted(holder types.UID) {
	settings, _, _ := api.Parse(w.service)
	all, _ := w.published(w.t.Context(), nil)
	want := map[types.UID]bool{}
	for _, pod := range w.pods {
		if pod.UID == holder && api.Selects(w.service, pod.Labels) {
			want[holder] = observation.Ready(pod) && pod.DeletionTimestamp == nil
		}
	}
	if settings.Routing == api.RoutingEndpointSlice {
		if listed := routing.Listed(all); len(listed) > 0 {
			w.t.Fatalf("Kubernetes lists %v", listed)
		}
		all = slices.Collect(maps.Values(w.slices))
	} else if len(w.slices) > 0 {
		w.t.Fatalf("%d slices are left", len(w.slices))
	}
	if listed := routing.Listed(all); !maps.Equal(want, listed) {
		w.t.Fatalf("listed are %v, want %v", listed, want)
	}
	if settings.Routing != api.RoutingSelector {
		return
	}
	target := string(holder)
	if target == "" {
		target = api.NoPod
	}
	if got := w.service.Spec.Selector[api.LabelPodUID]; got != target {
		w.t.Fatalf("the Service selects %q, want %q", got, target)
	}
}
