package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// annotationEdit has another value after each write of an actor to a Service or a Lease.
// The controller leaves it as it is. So the judge knows from an object who wrote it, even
// if the actor got no answer.
const annotationEdit = "chaos.example.com/edit"

// How long a Service may stay open after an actor has opened it, and how long it may have no
// endpoint although a pod is eligible and no setting asks to wait. Time in which the
// controller or Kubernetes cannot act does not count.
const (
	closing = 20 * time.Second
	empty   = 20 * time.Second
)

// judge sees the versions of all objects in the order in which they were written, and says
// what must never be. It is pure: what it is fed with has the time.
type judge struct {
	now      time.Time
	services map[string]*corev1.Service
	slices   map[string]*discoveryv1.EndpointSlice
	leases   map[string]*coordinationv1.Lease
	pods     map[string]*corev1.Pod
	nodes    map[string]*corev1.Node

	// sound is how long nothing kept the controller and Kubernetes from acting.
	sound  time.Duration
	faults map[string]int
	// refused are the names of pods that a policy keeps the controller from writing to.
	refused sets.Set[string]
	// denied has when a policy last kept the controller from writing to a pod, by its name.
	denied map[string]time.Time
	// opened has when an actor last opened a Service, and paused since when it is paused.
	opened, paused map[string]time.Duration
	// moved has when a node last came or went.
	moved   map[string]time.Duration
	records map[string]*record
	gaps    map[string]*gap
	// failing are the violations that last.
	failing sets.Set[string]

	history    []moment
	violations []violation
	// changed is when an object last changed, and what that was.
	changed    time.Time
	lastChange string
	// written is when an object was last changed in a way in which the controller changes it.
	written     time.Time
	lastWritten string
	events      int
	excused     map[string]time.Duration
	interrupted []gap
	totals      map[string]*total
}

func newJudge() *judge {
	return &judge{
		services: map[string]*corev1.Service{}, slices: map[string]*discoveryv1.EndpointSlice{}, leases: map[string]*coordinationv1.Lease{},
		pods: map[string]*corev1.Pod{}, nodes: map[string]*corev1.Node{},
		faults: map[string]int{}, denied: map[string]time.Time{}, opened: map[string]time.Duration{}, moved: map[string]time.Duration{}, paused: map[string]time.Duration{},
		records: map[string]*record{}, gaps: map[string]*gap{}, failing: sets.New[string](), excused: map[string]time.Duration{}, totals: map[string]*total{},
	}
}

// unsound are the faults in which nothing can be expected of the controller.
var unsound = sets.New(faultAPIServer, faultEtcd, faultControllerManager, faultNoReplica)

// pass lets the time pass.
func (j *judge) pass(now time.Time) {
	if j.now.IsZero() {
		j.now = now
	}
	passed := max(now.Sub(j.now), 0)
	if !unsound.HasAny(slices.Collect(maps.Keys(j.faults))...) {
		j.sound += passed
	}
	for name, s := range j.services {
		if api.Annotated(s) && j.isExcused(name) && len(j.listed(name)) > 1 {
			j.excused[name] += passed
		}
	}
	j.now = j.now.Add(passed)
}

// fault says that a fault begins or ends. One kind may last several times at once.
func (j *judge) fault(now time.Time, kind string, begins bool) {
	j.pass(now)
	if begins {
		j.faults[kind]++
	} else if j.faults[kind]--; j.faults[kind] <= 0 {
		delete(j.faults, kind)
	}
	j.look()
}

// refuse says to which pods a policy keeps the controller from writing from now on.
func (j *judge) refuse(now time.Time, pods ...string) {
	j.pass(now)
	before := j.refused
	j.refused = sets.New(pods...)
	for pod := range before.Union(j.refused) {
		j.denied[pod] = j.now
	}
	j.look()
}

// denialLasts is how long a replica remembers that it could not write to a pod.
const denialLasts = 5 * time.Minute

// mayFailBack reports whether a replica that is started anew may move the master back, although the
// others did not: it does not know that a policy kept them from writing to the preferred pod.
func (j *judge) mayFailBack(election string) bool {
	return slices.ContainsFunc(j.members(election), func(s *corev1.Service) bool {
		settings, _, ok := api.Parse(s)
		return ok && settings.Failback != nil && slices.ContainsFunc(slices.Collect(maps.Keys(j.pods)), func(pod string) bool {
			at, denied := j.denied[pod]
			return denied && j.now.Sub(at) < denialLasts && api.Selects(s, j.pods[pod].Labels)
		})
	})
}

// act says what an actor does.
func (j *judge) act(now time.Time, election, text string) {
	j.pass(now)
	j.tell(election, text)
}

// see is for a version of an object, the last one if it was deleted.
func (j *judge) see(now time.Time, object metav1.Object, deleted bool) {
	j.pass(now)
	j.events++
	what := fmt.Sprintf("%T %s", object, object.GetName())
	written, election := true, object.GetName()
	switch o := object.(type) {
	case *corev1.Service:
		j.seeService(o, deleted)
		election = j.electionOf(o.Name)
	case *discoveryv1.EndpointSlice:
		keep(j.slices, o, deleted)
		written, election = observation.Own(o), j.electionOf(observation.ServiceOf(o).Name)
		j.tell(election, "%s", j.showSlice(o, deleted))
	case *coordinationv1.Lease:
		if before := j.leases[o.Name]; !deleted && before != nil && lease.RenewedOnly(before, o) {
			what = ""
		}
		j.seeLease(o, deleted)
	case *corev1.Pod:
		before := j.pods[o.Name]
		written = before != nil && (!maps.Equal(before.Labels, o.Labels) || !maps.Equal(before.Annotations, o.Annotations))
		if before != nil && isActive(before) && isActive(o) {
			j.activeMayJoin(before, o)
		}
		keep(j.pods, o, deleted)
		election = j.designates(o)
		j.tellPod(before, o, deleted)
	case *corev1.Node:
		if deleted || j.nodes[o.Name] == nil {
			j.moved[o.Name] = j.sound
		}
		keep(j.nodes, o, deleted)
		what = "" // its heartbeats are changes, too
	}
	if what != "" {
		j.changed, j.lastChange = j.now, what
		if written && !j.mayFailBack(election) {
			j.written, j.lastWritten = j.now, what
		}
	}
	for name, r := range j.records {
		asking, exists := j.asking(name), lease.Decode(j.leases[name]).Exists
		if asking.Len() == 0 {
			r.unasked = true
		}
		switch {
		case exists:
			r.asking = asking
			continue
		case !j.served(name), j.refused.Len() > 0:
			r.forget(j.traced(name))
		}
		// Services that opt in now know nothing of the Lease that is gone.
		if r.asking = r.asking.Intersection(asking); r.asking.Len() == 0 {
			delete(j.records, name)
		}
	}
	j.look()
}

func keep[T metav1.Object](all map[string]T, o T, deleted bool) {
	if all[o.GetName()] = o; deleted {
		delete(all, o.GetName())
	}
}

// byActor reports whether an actor wrote the later version.
func byActor(before, now metav1.Object) bool {
	edit := now.GetAnnotations()[annotationEdit]
	return edit != "" && before.GetAnnotations()[annotationEdit] != edit
}

func (j *judge) seeService(s *corev1.Service, deleted bool) {
	before := j.services[s.Name]
	keep(j.services, s, deleted)
	election := api.LeaseName(s)
	if deleted {
		j.tell(election, "Service %s is gone", s.Name)
		delete(j.paused, s.Name)
		return
	}
	optsIn := before == nil || !api.Annotated(before)
	if written := before == nil || byActor(before, s); api.Annotated(s) && written && (optsIn || isOpen(s)) {
		j.opened[s.Name] = j.sound
	}
	if before == nil || byActor(before, s) {
		j.overlapMayBegin(s)
	}
	if settings, _, ok := api.Parse(s); !ok || !api.Annotated(s) || !settings.Paused {
		delete(j.paused, s.Name)
	} else if _, is := j.paused[s.Name]; !is {
		j.paused[s.Name] = j.sound
	}
	j.tell(election, "Service %s selects %v; %s", s.Name, s.Spec.Selector, showAnnotations(s))
}

// activeMayJoin excuses the Services by label that select an active pod only since an actor has
// labelled it: it may be the master of another election.
func (j *judge) activeMayJoin(before, now *corev1.Pod) {
	for name, s := range j.services {
		selector := labels.SelectorFromSet(s.Spec.Selector)
		if _, byLabel := s.Spec.Selector[api.LabelDesignation]; byLabel && isOpen(s) && selector.Matches(podLabels(now)) && !selector.Matches(podLabels(before)) {
			j.opened[name] = j.sound
		}
	}
}

// overlapMayBegin excuses the Services by label that select pods of one that an actor has written.
// If an overlap begins by that, Kubernetes lists the active pods of both elections until the
// controller adds its key to the selector.
func (j *judge) overlapMayBegin(edited *corev1.Service) {
	for name, s := range j.services {
		_, byLabel := s.Spec.Selector[api.LabelDesignation]
		if byLabel && isOpen(s) && api.LeaseName(s) != api.LeaseName(edited) && s.Labels["set"] == edited.Labels["set"] {
			j.opened[name] = j.sound
		}
	}
}

// isOpen reports whether Kubernetes lists all pods of the Service.
func isOpen(s *corev1.Service) bool {
	_, selecting := s.Spec.Selector[api.LabelPodUID]
	_, detached := s.Spec.Selector[api.LabelRouting]
	return !selecting && !detached
}

func (j *judge) pod(uid types.UID) *corev1.Pod {
	for _, p := range j.pods {
		if p.UID == uid {
			return p
		}
	}
	return nil
}

// isExcused reports whether the Service may still be open because an actor has opened it. The
// controller leaves a Service that it cannot serve as it is.
func (j *judge) isExcused(service string) bool {
	at, is := j.opened[service]
	if _, _, ok := api.Parse(j.services[service]); !ok && isOpen(j.services[service]) {
		return true
	}
	return is && j.sound-at < closing
}

// slicesOf are the EndpointSlices of a Service that are the controller's own, or others.
func (j *judge) slicesOf(service string, own bool) (of []*discoveryv1.EndpointSlice) {
	for _, name := range slices.Sorted(maps.Keys(j.slices)) {
		if s := j.slices[name]; observation.ServiceOf(s).Name == service && observation.Own(s) == own {
			of = append(of, s)
		}
	}
	return of
}

// ready are the pods that the Service's slices of a family list as ready.
func (j *judge) ready(service string, family discoveryv1.AddressType) (ready []types.UID) {
	of := slices.DeleteFunc(append(j.slicesOf(service, true), j.slicesOf(service, false)...), func(s *discoveryv1.EndpointSlice) bool { return s.AddressType != family })
	for uid, is := range observation.Listed(of) {
		if is {
			ready = append(ready, uid)
		}
	}
	slices.Sort(ready)
	return ready
}

// listed are the pods to which the Service's traffic goes, in the family in which these are
// more.
func (j *judge) listed(service string) []types.UID {
	four, six := j.ready(service, discoveryv1.AddressTypeIPv4), j.ready(service, discoveryv1.AddressTypeIPv6)
	if len(six) > len(four) {
		return six
	}
	return four
}

// look judges what there is now.
func (j *judge) look() {
	for name, s := range j.services {
		served := api.Annotated(s) && s.Spec.Type != corev1.ServiceTypeExternalName
		ready := j.listed(name)
		j.once(served && len(ready) > 1 && !j.isExcused(name), "listed "+name, j.electionOf(name), "the traffic of Service %s goes to %s", name, j.names(ready))
		j.lookForGap(s, served && len(ready) == 0)
	}
	for name := range j.gaps {
		if j.services[name] == nil {
			j.endGap(name)
		}
	}
}
