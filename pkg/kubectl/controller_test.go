package kubectl

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// controller does what the controller does with one election, without its caches,
// replicas and retries, and takes its time for each write.
type controller struct {
	*cluster
	delay time.Duration
	// silent are nodes that only the controller knows to be silent.
	silent []string
	// absent: there is no controller.
	absent bool
	// mute: no events are recorded.
	mute bool
	// until is a phase that is not written any more, and what comes after it.
	until routing.Phase
}

// start follows the Lease and the pods until the test ends.
func (k *controller) start() {
	k.Helper()
	if k.absent {
		return
	}
	ctx, cancel := context.WithCancel(k.Context())
	leases, err := k.CoordinationV1().Leases("default").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		k.Fatal(err)
	}
	pods, err := k.CoreV1().Pods("default").Watch(ctx, metav1.ListOptions{})
	if err != nil {
		k.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-leases.ResultChan():
			case <-pods.ResultChan():
			case <-ctx.Done():
				return
			}
			k.sync()
		}
	}()
	k.Cleanup(func() {
		cancel()
		<-done
	})
}

func (k *controller) sync() {
	w, err := read(k.Context(), k.Clientset, "default")
	if err != nil {
		k.Error(err)
		return
	}
	if _, err := w.readSlices(k.Context(), connection{client: k.Clientset, namespace: "default"}); err != nil {
		k.Error(err)
	}
	s := service(w.services, "default", "web")
	if s == nil {
		return
	}
	o := w.look(s)
	nodes := observation.NodeStates{Draining: unknownNodes.Draining, Silent: func(node string) bool { return slices.Contains(k.silent, node) }}
	d := election.Decide(o.View(nodes, time.Now()))
	if d.Writes(o.LeaseView()) {
		<-time.After(k.delay)
		k.record(o, d)
	}
	if d.Action == election.Stop {
		k.updatePod(d.Holder, terminating)
	}
	k.route(o, d)
}

func (k *controller) record(o *observation.Observation, d election.Decision) {
	l := o.Lease.DeepCopy()
	l.Spec.HolderIdentity, l.Spec.LeaseTransitions = &d.Holder, &d.Epoch
	l.Annotations[api.AnnotationHolderUID], l.Annotations[api.AnnotationNextHolder] = string(d.HolderUID), d.Next
	if d.Transition() {
		l.Annotations[api.AnnotationReason], l.Spec.AcquireTime = string(d.Reason), ptr.To(metav1.NowMicro())
	}
	updated, err := k.CoordinationV1().Leases("default").Update(k.Context(), l, metav1.UpdateOptions{})
	if err != nil {
		k.Error(err)
		return
	}
	o.Lease = updated
	if d.Refused != nil && !k.mute {
		<-time.After(k.delay)
		e := anEvent("refusal-"+k.next(), "web", string(election.Switchover), string(election.EditRefused), d.Refused.Holder, d.Refused.Message()+"; "+d.Message(), 0)
		e.Type, e.EventTime, e.ResourceVersion = corev1.EventTypeWarning, metav1.NowMicro(), k.next()
		if _, err := k.EventsV1().Events("default").Create(k.Context(), e, metav1.CreateOptions{}); err != nil {
			k.Error(err)
		}
	}
}

func (k *controller) route(o *observation.Observation, d election.Decision) {
	a := routing.Assignment{HolderUID: d.HolderUID, Epoch: d.Epoch}
	routing.Begin(a, o.Members, o.Pods)
	for {
		phase, changes := routing.Next(a, o.Members, o.Pods)
		if phase == routing.PhaseDone || k.until > 0 && phase >= k.until {
			return
		}
		for _, change := range changes {
			<-time.After(k.delay)
			o.Took(change, k.send(change))
		}
	}
}

func (k *controller) send(change routing.Change) (result runtime.Object) {
	ctx := k.Context()
	body, err := change.JSON()
	if err != nil {
		k.Fatal(err)
	}
	switch {
	case change.Kind == routing.KindService:
		result, err = k.CoreV1().Services("default").Patch(ctx, change.Name, types.MergePatchType, body, metav1.PatchOptions{})
	case change.Kind == routing.KindPod:
		result, err = k.CoreV1().Pods("default").Patch(ctx, change.Name, types.MergePatchType, body, metav1.PatchOptions{})
	case change.Slice == nil:
		err = k.DiscoveryV1().EndpointSlices("default").Delete(ctx, change.Name, metav1.DeleteOptions{})
	case change.UID == "":
		change.Slice.UID, change.Slice.ResourceVersion = types.UID("uid-"+change.Slice.Name), k.next()
		result, err = k.DiscoveryV1().EndpointSlices("default").Create(ctx, change.Slice, metav1.CreateOptions{})
	default:
		result, err = k.DiscoveryV1().EndpointSlices("default").Update(ctx, change.Slice, metav1.UpdateOptions{})
	}
	if err != nil {
		k.Errorf("%s %s: %v", change.Kind, change.Name, err)
	}
	return result
}

// ownSlice is how the controller has left the slice of the Service web.
func ownSlice(holder string, epoch string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metaOf("web-master-ipv4"), AddressType: discoveryv1.AddressTypeIPv4}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: api.SliceManagedBy}
	s.Annotations[api.AnnotationLeaseTransitions] = epoch
	s.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: holder, UID: types.UID("uid-" + holder)}}}
	return s
}
