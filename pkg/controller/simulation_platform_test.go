package controller

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// platform is what Kubernetes' own controllers know: the EndpointSlice controller lags
// behind each object by its own time, and writes later what it knows by then.
type platform struct {
	// services are the versions of each Service: the one that the controller works with,
	// and then those that it has yet to hear of. A Service that is gone is nil.
	services map[string][]*corev1.Service
	pods     map[string]*corev1.Pod
	// opened are the EndpointSlices that were last made of what a user has opened.
	opened map[string]bool
}

func newPlatform() platform {
	return platform{services: map[string][]*corev1.Service{}, pods: map[string]*corev1.Pod{}, opened: map[string]bool{}}
}

func (p platform) changed(o any, name string) {
	if s, is := o.(*corev1.Service); is {
		known := p.services[name]
		if last := len(known) - 1; last >= 0 && known[last] != nil && apiequality.Semantic.DeepEqual(known[last].Spec, s.Spec) && maps.Equal(known[last].Labels, s.Labels) {
			return
		}
		p.services[name] = append(slices.Clip(known), s)
	}
}

func (p platform) removed(o any, name string) {
	if _, is := o.(*corev1.Service); is {
		p.services[name] = append(slices.Clip(p.services[name]), nil)
	}
}

// behind reports whether the EndpointSlice controller has yet to hear of a version of the Service.
func (p platform) behind(name string) bool { return len(p.services[name]) > 1 }

// hearOfService lets the EndpointSlice controller hear of the next version of a Service.
func (p platform) hearOfService(name string) bool {
	if !p.behind(name) {
		return false
	}
	if s := p.services[name][0]; s != nil && len(s.Spec.Selector) == 0 {
		// What was published before the user took the selector away stays until it publishes anew.
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			p.opened[kubernetesSlice(name, family)] = true
		}
	}
	p.services[name] = p.services[name][1:]
	return true
}

// hearOfPod lets it hear of a pod as it is now.
func (w *world) platformHearsOfPod(name string) bool {
	now, known := w.pods.all[name], w.platform.pods[name]
	if now == known {
		return false
	}
	if w.platform.pods[name] = now; now == nil {
		delete(w.platform.pods, name)
	}
	return true
}

// publish lets it write the slices of a Service, and reports whether there was something
// to write.
func (w *world) publish(name string) (wrote bool) {
	versions := w.platform.services[name]
	if len(versions) == 0 || versions[0] == nil {
		return false
	}
	s := versions[0]
	if s.Spec.Type == corev1.ServiceTypeExternalName || len(s.Spec.Selector) == 0 {
		// What it has written before stays.
		return false
	}
	opened := isOpen(s)
	made := endpoints.Slices(s, nil, "")
	for _, pod := range sorted(w.platform.pods) {
		if !labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(pod.Labels)) || !endpoints.Listable(pod) {
			continue
		}
		if uid, identified := pod.Labels[api.LabelPodUID]; identified && uid != string(pod.UID) {
			opened = true
		}
		for i, of := range endpoints.Slices(s, pod, "") {
			made[i].Endpoints = append(made[i].Endpoints, of.Endpoints...)
			made[i].Ports = of.Ports
		}
	}
	for _, slice := range made {
		slice.Name = kubernetesSlice(name, slice.AddressType)
		slice.Labels[discoveryv1.LabelManagedBy] = observation.BuiltIn
		slice.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: name, UID: s.UID}}
		w.platform.opened[slice.Name] = opened
		live := w.slices.all[slice.Name]
		switch {
		case live != nil && apiequality.Semantic.DeepEqual(live.Endpoints, slice.Endpoints) && maps.Equal(live.Labels, slice.Labels) && live.OwnerReferences[0].UID == s.UID:
			continue
		case live != nil && live.OwnerReferences[0].UID != s.UID:
			remove(w, w.slices, slice.Name)
		}
		put(w, w.slices, slice)
		wrote = true
		w.tell("Kubernetes publishes Service %s: %s", name, showSlice(slice))
	}
	return wrote
}

// isOpen reports whether a user has opened the Service, so that Kubernetes may list more
// than one pod: it is from before it was closed, its selector was overwritten, or a label is
// what routes.
func isOpen(s *corev1.Service) bool {
	_, selecting := s.Spec.Selector[api.LabelPodUID]
	_, detached := s.Spec.Selector[api.LabelRouting]
	return !selecting && !detached
}

func sorted(pods map[string]*corev1.Pod) []*corev1.Pod { return table[*corev1.Pod]{"", pods}.list() }

// dangling are the references of an object to owners that are gone, and whether these are all it has.
func (w *world) dangling(o metav1.Object) (gone []types.UID, all bool) {
	for _, r := range o.GetOwnerReferences() {
		service, pod := w.services.all[r.Name], w.pods.all[r.Name]
		if (r.Kind != "Service" || service == nil || service.UID != r.UID) && (r.Kind != "Pod" || pod == nil || pod.UID != r.UID) {
			gone = append(gone, r.UID)
		}
	}
	return gone, len(gone) == len(o.GetOwnerReferences())
}

// collectGarbage lets the garbage collector look at one of the objects, and reports
// whether it did something.
func (w *world) collectGarbage(n int) bool {
	leases, all := w.leases.list(), w.slices.list()
	if n %= len(leases) + len(all) + 1; n < len(leases) {
		return collect(w, w.leases, leases[n].Name)
	}
	if n -= len(leases); n < len(all) {
		return collect(w, w.slices, all[n].Name)
	}
	return false
}

func collect[T simulated](w *world, t table[T], name string) bool {
	gone, all := w.dangling(t.all[name])
	switch {
	case len(gone) == 0:
		return false
	case all:
		var none T
		erased := erases(w, t, name, none)
		if erased && t.kind != w.leases.kind {
			return false
		}
		w.tell("the garbage collector deletes %s %s", t.kind, name)
		remove(w, t, name)
		if t.kind == w.leases.kind {
			w.begun = true
			if erased || !w.asked(name) {
				w.leaseEnded(name)
			}
		}
		return true
	}
	w.tell("the garbage collector takes the owners %v from %s %s", gone, t.kind, name)
	return change(w, t, name, func(o T) {
		o.SetOwnerReferences(slices.DeleteFunc(slices.Clone(o.GetOwnerReferences()), func(r metav1.OwnerReference) bool { return slices.Contains(gone, r.UID) }))
	})
}

// kubernetesSlice is the name of Kubernetes' slice of a Service for an address family.
func kubernetesSlice(service string, family discoveryv1.AddressType) string {
	return observation.SliceName(service+"-k8s", family)
}
