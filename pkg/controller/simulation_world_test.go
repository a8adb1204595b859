package controller

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// world is the API server's state. Everything in it is replaced, never changed.
type world struct {
	t       *testing.T
	random  *rand.Rand
	version int
	uids    int
	service *corev1.Service
	lease   *coordinationv1.Lease
	pods    map[string]*corev1.Pod
	slices  map[string]*discoveryv1.EndpointSlice
	// routings are those that the user changes between.
	routings []api.Routing
	builtIn  follower
	// between is called before each write that follows from a Lease, nil for nothing.
	between func()

	// What must hold for ever.
	holderOf map[int32]types.UID
	epoch    int32
	stamp    int32
	writes   int
}

func newWorld(t *testing.T, seed uint64, routings []api.Routing, asked map[string]string) *world {
	t.Helper()
	w := &world{t: t, random: rand.New(rand.NewPCG(seed, 0)), pods: map[string]*corev1.Pod{}, holderOf: map[int32]types.UID{}, slices: map[string]*discoveryv1.EndpointSlice{}, routings: routings}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: "web", UID: "service", ResourceVersion: w.next(),
		Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby},
	}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, ClusterIP: "10.1.0.1"}}
	maps.Copy(service.Annotations, asked)
	choose(service, routings[0])
	w.putService(service)
	for i := range 3 {
		w.create(fmt.Sprint("web-", i))
	}
	return w
}

func (w *world) next() string { w.version++; return strconv.Itoa(w.version) }

func (w *world) create(name string) {
	w.uids++
	status := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue}[w.random.IntN(2)]
	w.put(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(fmt.Sprint("uid-", w.uids)), Labels: map[string]string{"app": "web", "tier": w.tier()}},
		Status: corev1.PodStatus{
			PodIPs:     []corev1.PodIP{{IP: fmt.Sprint("10.0.0.", w.uids)}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}},
		},
	})
}

func (w *world) tier() string { return []string{"fast", "slow"}[w.random.IntN(2)] }

func (w *world) put(pod *corev1.Pod) {
	pod.ResourceVersion = w.next()
	w.pods[pod.Name] = pod
}

// disturb does something that the controller has no hand in.
func (w *world) disturb() {
	name := fmt.Sprint("web-", w.random.IntN(3))
	pod, exists := w.pods[name]
	what := w.random.IntN(14)
	if len(w.routings) > 1 && w.random.IntN(2) == 0 {
		// What it is about then: switches while the routing is changed.
		what = []int{7, 12}[w.random.IntN(2)]
	}
	switch what {
	case 0, 1, 2, 3:
		if exists {
			pod = pod.DeepCopy()
			status := corev1.ConditionTrue
			if observation.Ready(pod) {
				status = corev1.ConditionFalse
			}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
			w.put(pod)
		}
	case 4:
		if exists {
			pod = pod.DeepCopy()
			pod.DeletionTimestamp = ptr.To(metav1.Now())
			w.put(pod)
		}
	case 5, 6:
		if exists {
			delete(w.pods, name)
		} else {
			w.create(name)
		}
	case 7:
		if w.lease != nil {
			l := w.lease.DeepCopy()
			l.Spec.HolderIdentity = &name
			l.ResourceVersion = w.next()
			w.lease = l
		}
	case 8:
		// Of an epoch that was never derived nothing but the Lease tells, so
		// that deleting it just then loses it.
		// Nor can anybody else tell who may still be at work, if the marks on that one are
		// gone too.
		if w.lease != nil && *w.lease.Spec.LeaseTransitions == w.serviceStamp() && !w.afterTermination() {
			w.lease = nil
		}
	case 9:
		if exists {
			pod = pod.DeepCopy()
			pod.Labels["tier"] = w.tier()
			w.put(pod)
		}
	case 10:
		s := w.service.DeepCopy()
		if _, found := s.Spec.Selector["tier"]; found {
			delete(s.Spec.Selector, "tier")
		} else {
			s.Spec.Selector["tier"] = w.tier()
		}
		w.putService(s)
	case 11:
		s := w.service.DeepCopy()
		delete(s.Spec.Selector, api.LabelPodUID)
		delete(s.Spec.Selector, api.LabelRouting)
		w.putService(s)
	case 12:
		s := w.service.DeepCopy()
		choose(s, w.routings[w.random.IntN(len(w.routings))])
		w.putService(s)
	case 13:
		w.deleteOwnSlices()
	}
}

func (w *world) writeLease(o *observation.Observation, d election.Decision) bool {
	if o.Lease != nil && (w.lease == nil || w.lease.ResourceVersion != o.Lease.ResourceVersion) || o.Lease == nil && w.lease != nil {
		return false
	}
	l := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{api.LabelManagedBy: api.ManagedBy}}}
	if o.Lease != nil {
		l = o.Lease.DeepCopy()
	}
	w.checkStopped(d)
	fill(l, d)
	l.ResourceVersion = w.next()
	w.lease, o.Lease = l, l
	w.writes++

	if d.Epoch < w.epoch {
		w.t.Fatalf("the epoch fell from %d to %d: %s", w.epoch, d.Epoch, d.Message())
	}
	w.epoch = d.Epoch
	if before, had := w.holderOf[d.Epoch]; had && d.HolderUID != "" && before != d.HolderUID {
		w.t.Fatalf("epoch %d has two holders, %s and %s: %s", d.Epoch, before, d.HolderUID, d.Message())
	}
	if d.HolderUID != "" {
		w.holderOf[d.Epoch] = d.HolderUID
	}
	return true
}

// checkStopped fails the test if a pod is followed that may be at work, where the Service
// lets none.
func (w *world) checkStopped(d election.Decision) {
	former, had := w.holderOf[w.epoch]
	if !d.Transition() || !had || !w.afterTermination() {
		return
	}
	for _, pod := range w.pods {
		if pod.UID == former && pod.UID != d.HolderUID && !observation.Finished(pod) {
			w.t.Fatalf("%s has not stopped: %s", pod.Name, d.Message())
		}
	}
}

func (w *world) afterTermination() bool {
	return w.service.Annotations[api.AnnotationHandover] == api.HandoverAfterTermination
}

// deletePod is the last step of makeRoom.
func (w *world) deletePod(o *observation.Observation, pod *corev1.Pod, d election.Decision) {
	live, exists := w.pods[pod.Name]
	if w.lease == nil || w.lease.ResourceVersion != o.Lease.ResourceVersion || !exists || live.UID != pod.UID || live.ResourceVersion != pod.ResourceVersion {
		return
	}
	if holder := w.holderOf[w.epoch]; pod.UID == holder && d.Action != election.Stop {
		w.t.Fatalf("the master %s is deleted: %s", pod.Name, d.Message())
	}
	live = live.DeepCopy()
	live.DeletionTimestamp = ptr.To(metav1.Now())
	w.put(live)
	w.writes++
}

// reap removes the pods that terminate, as kubelet does when they have stopped.
func (w *world) reap() {
	maps.DeleteFunc(w.pods, func(_ string, pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// heldUnselected says whether the holder may still be at work, and is nobody's to delete.
func (w *world) heldUnselected(holder types.UID) bool {
	for _, pod := range w.pods {
		if pod.UID == holder && !api.Selects(w.service, pod.Labels) {
			return w.afterTermination()
		}
	}
	return false
}

func (w *world) patch(o *observation.Observation, p routing.Change) bool {
	if w.between != nil {
		w.between()
	}
	merge := func(current map[string]string, changes map[string]*string) map[string]string {
		merged := map[string]string{}
		for k, v := range current {
			merged[k] = v
		}
		for k, v := range changes {
			if v == nil {
				delete(merged, k)
			} else {
				merged[k] = *v
			}
		}
		return merged
	}
	switch p.Kind {
	case routing.KindService:
		if w.service.UID != p.UID || w.service.ResourceVersion != p.ResourceVersion {
			return false
		}
		s := w.service.DeepCopy()
		s.Annotations, s.Spec.Selector = merge(s.Annotations, p.Annotations), merge(s.Spec.Selector, p.Selector)
		w.putService(s)
		o.Took(p, s)
	case routing.KindPod:
		pod, exists := w.pods[p.Name]
		if !exists {
			o.Took(p, nil)
			return true
		}
		if pod.UID != p.UID || pod.ResourceVersion != p.ResourceVersion {
			return false
		}
		pod = pod.DeepCopy()
		pod.Labels, pod.Annotations = merge(pod.Labels, p.Labels), merge(pod.Annotations, p.Annotations)
		w.put(pod)
		o.Took(p, pod)
	case routing.KindEndpointSlice:
		if !w.writeSlice(o, p) {
			return false
		}
	}
	w.writes++
	w.check()
	return true
}

func (w *world) serviceStamp() int32 {
	return routing.Trace([]routing.Member{{Service: w.service}}, nil).Epoch
}

// check looks for what must never be.
func (w *world) check() {
	if stamp := w.serviceStamp(); stamp < w.stamp && routing.MarkedService(w.service) {
		w.t.Fatalf("the Service's stamp fell from %d to %d", w.stamp, stamp)
	} else {
		w.stamp = max(w.stamp, stamp)
	}
	target, routed := w.service.Spec.Selector[api.LabelPodUID]
	served := 0
	for _, pod := range w.pods {
		if routed && pod.Labels[api.LabelPodUID] == target {
			served++
		}
	}
	if served > 1 {
		w.t.Fatalf("%d pods match the Service's selector", served)
	}
	w.checkListed()
}
