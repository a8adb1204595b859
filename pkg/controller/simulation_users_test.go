package controller

import (
	"maps"
	"slices"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// manifest is what a user has written of a Service.
func manifest(name string, annotations map[string]string, edits ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.1.0.1", IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
			Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
		},
	}
	maps.Copy(s.Annotations, annotations)
	for _, edit := range edits {
		edit(s)
	}
	return s
}

// service returns nil if there is none.
func (w *world) service(n int) *corev1.Service {
	if all := w.services.list(); len(all) > 0 {
		return all[n%len(all)]
	}
	return nil
}

func (w *world) changeService(n int, says string, edit func(*corev1.Service)) bool {
	s := w.service(n)
	if s == nil {
		return false
	}
	edited := s.DeepCopy()
	if edited.Annotations == nil {
		edited.Annotations = map[string]string{}
	}
	if edited.Spec.Selector == nil {
		edited.Spec.Selector = map[string]string{}
	}
	claimSelector(edited, func() { edit(edited) }, "kubectl")
	if maps.Equal(edited.Annotations, s.Annotations) && maps.Equal(edited.Spec.Selector, s.Spec.Selector) && edited.Spec.Type == s.Spec.Type {
		return false
	}
	if erases(w, w.services, s.Name, edited) {
		return false
	}
	put(w, w.services, edited)
	w.tell("a user %s: Service %s has now the selector %s and the annotations %s", says, s.Name, show(edited.Spec.Selector), show(edited.Annotations))
	return true
}

// annotate sets one of the annotations that the profile is about, or takes it away.
func (w *world) annotate(a, b int) bool {
	keys := slices.Sorted(maps.Keys(w.profile.annotations))
	if len(keys) == 0 {
		return false
	}
	key := keys[b%len(keys)]
	values := w.profile.annotations[key]
	value := values[b/len(keys)%len(values)]
	return w.changeService(a, "annotates", func(s *corev1.Service) {
		if s.Annotations[key] = value; value == "" {
			delete(s.Annotations, key)
		}
	})
}

// mode opts a Service out and in.
func (w *world) mode(a, b int) bool {
	return w.changeService(a, "opts out or in", func(s *corev1.Service) {
		switch _, in := s.Annotations[api.AnnotationServiceMode]; {
		case !in:
			s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
		case b%4 == 0 && w.leases.all[api.LeaseName(s)] != nil:
			// Without a Lease a slice may be all that tells of the controller, and go with its pod.
			s.Annotations = nil
		case b%4 == 1:
			s.Annotations[api.AnnotationServiceMode] = "actve-standby"
		default:
			delete(s.Annotations, api.AnnotationServiceMode)
		}
	})
}

// observe lets a Service observe its election, or take part in it.
func (w *world) observe(a, _ int) bool {
	return w.changeService(a, "observes or takes part", func(s *corev1.Service) {
		if api.Routed(s) {
			s.Annotations[api.AnnotationServiceMode] = api.ModeObserve
		} else {
			s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
		}
	})
}

// route lets a Service ask for another of the profile's routings.
func (w *world) route(a, b int) bool {
	if len(w.profile.routings) == 0 {
		return false
	}
	wanted := w.profile.routings[b%len(w.profile.routings)]
	return w.changeService(a, "changes the routing", func(s *corev1.Service) { ask(s, wanted) })
}

// ask makes the Service ask for a routing.
func ask(s *corev1.Service, wanted api.Routing) {
	delete(s.Annotations, api.AnnotationRouting)
	delete(s.Spec.Selector, api.LabelDesignation)
	switch wanted {
	case api.RoutingEndpointSlice:
		s.Annotations[api.AnnotationRouting] = string(wanted)
	case api.RoutingLabel:
		s.Spec.Selector[api.LabelDesignation] = api.DesignationActive
	}
}

// narrow lets a Service select fewer pods, or more.
func (w *world) narrow(a, b int) bool {
	return w.changeService(a, "narrows or widens the selector", func(s *corev1.Service) {
		if _, found := s.Spec.Selector["tier"]; found {
			delete(s.Spec.Selector, "tier")
		} else {
			s.Spec.Selector["tier"] = tiers[b%2]
		}
	})
}

// overwrite is what a tool does that applies its own selector, with or without the stamp.
func (w *world) overwrite(a, b int) bool {
	return w.changeService(a, "overwrites the selector", func(s *corev1.Service) {
		delete(s.Spec.Selector, api.LabelPodUID)
		delete(s.Spec.Selector, api.LabelRouting)
		if b%3 == 0 {
			delete(s.Annotations, api.AnnotationLeaseTransitions)
		}
	})
}

// unselect takes the selector away and says in an annotation whom to elect from, or takes that back.
func (w *world) unselect(a, _ int) bool {
	return w.changeService(a, "takes away the selector or restores it", func(s *corev1.Service) {
		if s.Annotations[api.AnnotationSelector] != "" {
			s.Spec.Selector = map[string]string{"app": "web"}
			delete(s.Annotations, api.AnnotationSelector)
		} else {
			s.Spec.Selector = nil
			s.Annotations[api.AnnotationSelector] = "app=web"
		}
	})
}

func (w *world) retype(a, _ int) bool {
	return w.changeService(a, "changes the type", func(s *corev1.Service) {
		if s.Spec.Type == corev1.ServiceTypeExternalName {
			s.Spec.Type = corev1.ServiceTypeClusterIP
		} else {
			s.Spec.Type = corev1.ServiceTypeExternalName
		}
	})
}

// removeService deletes a Service, or creates one that is not there.
func (w *world) removeService(a, b int) bool {
	i := slices.IndexFunc(w.profile.services, func(s *corev1.Service) bool { return w.services.all[s.Name] == nil })
	if s := w.service(a); s != nil && (i < 0 || b%2 == 0) && !erases(w, w.services, s.Name, nil) {
		w.tell("a user deletes Service %s", s.Name)
		remove(w, w.services, s.Name)
		return true
	}
	if i < 0 {
		return false
	}
	w.tell("a user creates Service %s", w.profile.services[i].Name)
	put(w, w.services, w.profile.services[i].DeepCopy())
	return true
}

// replaceService deletes a Service and creates it again, from its manifest.
func (w *world) replaceService(a, _ int) bool {
	s := w.service(a)
	if s == nil {
		return false
	}
	i := slices.IndexFunc(w.profile.services, func(m *corev1.Service) bool { return m.Name == s.Name })
	if erases(w, w.services, s.Name, w.profile.services[i]) {
		return false
	}
	w.tell("a user replaces Service %s", s.Name)
	remove(w, w.services, s.Name)
	put(w, w.services, w.profile.services[i].DeepCopy())
	return true
}

// share lets a Service take part in another's election, or in its own.
func (w *world) share(a, b int) bool {
	name := []string{"", "a", "b", "shared"}[b%4]
	return w.changeService(a, "shares a Lease or does not", func(s *corev1.Service) {
		if s.Annotations[api.AnnotationLeaseName] = name; name == "" {
			delete(s.Annotations, api.AnnotationLeaseName)
		}
	})
}

// erases reports whether a change of an object, which is none to delete it, takes away the last
// record of an epoch. Of an epoch that nothing records any longer the controller cannot know, so
// nobody deletes a Lease and everything that is stamped at once.
func erases[T simulated](w *world, t table[T], name string, after T) bool {
	var none T
	unrecorded := w.unrecorded()
	before, exists := t.all[name]
	if t.all[name] = after; after == none {
		delete(t.all, name)
	}
	erased := w.unrecorded() > unrecorded
	if t.all[name] = before; !exists {
		delete(t.all, name)
	}
	return erased
}

// unrecorded counts the elections without a Lease of whose last epoch but one no object tells, or
// of whose master, which must stop before another follows. The controller gives out no epoch
// before the one before is recorded.
func (w *world) unrecorded() (count int) {
	for name, r := range w.records {
		if l := w.leases.all[name]; l != nil && says(l) || !w.routes(name) {
			continue
		}
		epoch, holders := w.recorded(name)
		master := w.pods.uid(r.last)
		awaited := master != nil && !observation.Finished(master) && slices.ContainsFunc(takers(w.services.list()), waits)
		if epoch < r.epoch-1 || awaited && !slices.Contains(holders, r.last) {
			count++
		}
	}
	return count
}

// says reports whether the Lease says anything, whosever it is: it may be given back.
func says(l *coordinationv1.Lease) bool {
	labelled := l.DeepCopy()
	labelled.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy}
	return lease.Decode(labelled).Exists
}

// recorded returns the highest epoch with which an object of the election is stamped, -1 for none,
// and the pods of which the objects tell that they were master.
func (w *world) recorded(name string) (epoch int32, holders []types.UID) {
	epoch = -1
	var selectors []labels.Selector
	for _, s := range w.services.all {
		settings, _, ok := api.Parse(s)
		if !ok || !api.Routed(s) || api.LeaseName(s) != name {
			continue
		}
		selectors = append(selectors, settings.Candidates)
		if settings.Routing == api.RoutingLabel {
			// Its stamp, which only an overlap brings, is taken away again. Its pods alone keep the epoch.
			continue
		}
		epoch = max(epoch, observation.Stamp(s))
		holders = append(holders, types.UID(s.Spec.Selector[api.LabelPodUID]))
		for _, slice := range w.slicesOf(s.Name, true) {
			epoch = max(epoch, observation.Stamp(slice))
			holders = slices.AppendSeq(append(holders, types.UID(slice.Annotations[api.AnnotationHolderUID])), maps.Keys(observation.Listed([]*discoveryv1.EndpointSlice{slice})))
		}
	}
	for _, p := range w.pods.all {
		if len(selectors) > 0 && w.designates(p) == name && !slices.ContainsFunc(selectors, func(s labels.Selector) bool { return !s.Matches(labels.Set(p.Labels)) }) {
			epoch = max(epoch, observation.PodStamp(p))
			if observation.Held(p) >= 0 {
				holders = append(holders, p.UID)
			}
		}
	}
	return epoch, holders
}

// served reports whether the Service takes part in an election.
func served(s *corev1.Service) bool {
	_, _, ok := api.Parse(s)
	return ok && api.Routed(s)
}

// takers returns those of the Services that have a say in their election, which are those that observe
// if there are no others.
func takers(services []*corev1.Service) []*corev1.Service {
	if !slices.ContainsFunc(services, api.Routed) {
		return services
	}
	return slices.DeleteFunc(slices.Clone(services), func(s *corev1.Service) bool { return !api.Routed(s) })
}
