package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// record writes the decision into the Lease, on the version that it was
// decided on, and says whether that was necessary; or renews it, if that is due. With
// two replicas one of them gets a conflict here.
func (c *Controller) record(ctx context.Context, o *observation.Observation, d election.Decision, renew bool) (written bool, err error) {
	leases := c.client.CoordinationV1().Leases(o.Key.Namespace)
	decided := d.Writes(o.LeaseView())
	unchanged := !decided && owned(o) && tidy(o) && (d.Ineligible != "" || timed(o))
	if unchanged && !renew {
		return false, nil
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: o.Key.Namespace, Name: o.Key.Name,
		Labels: map[string]string{api.LabelManagedBy: api.ManagedBy},
	}}
	if o.Lease != nil {
		lease = o.Lease.DeepCopy()
	}
	lease.OwnerReferences = ownerReferences(o)
	if d.Ineligible == "" || o.Lease == nil {
		// Otherwise a holder that is waited for may go by the one that it has read.
		lease.Spec.LeaseDurationSeconds = leaseDuration(o)
	}
	if decided {
		fill(lease, d)
	}
	if !o.Settings().DeleteDemoted {
		delete(lease.Annotations, api.AnnotationDemotedUID)
	}
	if renew {
		lease.Spec.RenewTime = ptr.To(metav1.NowMicro())
	}
	if o.Lease == nil {
		lease, err = leases.Create(ctx, lease, metav1.CreateOptions{FieldManager: api.ManagedBy})
	} else {
		lease, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: api.ManagedBy})
	}
	if apierrors.IsConflict(err) && unchanged {
		// Another replica has renewed it; of all else that it may be is yet to be heard.
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("writing the Lease: %w", err)
	}
	c.leases.in(o.Key.Namespace).wrote(lease)
	o.Lease = lease
	return decided, nil
}

// fill writes the decision into the Lease. One that does not move the master
// leaves the reason and the time of its last move.
func fill(lease *coordinationv1.Lease, d election.Decision) {
	lease.Annotations = maps.Clone(lease.Annotations)
	if lease.Annotations == nil {
		lease.Annotations = map[string]string{}
	}
	now := metav1.NowMicro()
	if d.Transition() || d.Action == election.Adopt || lease.Annotations[api.AnnotationReason] == "" {
		lease.Annotations[api.AnnotationReason] = string(d.Reason)
		lease.Spec.AcquireTime = &now
	}
	annotate := func(key, value string) {
		if value == "" {
			delete(lease.Annotations, key)
		} else {
			lease.Annotations[key] = value
		}
	}
	annotate(api.AnnotationHolderUID, string(d.HolderUID))
	annotate(api.AnnotationNextHolder, d.Next)
	if d.Transition() {
		annotate(api.AnnotationDemotedUID, string(d.Demoted))
	}
	lease.Spec.LeaseTransitions, lease.Spec.HolderIdentity = &d.Epoch, &d.Holder
	if d.Ineligible == "" {
		// Otherwise a holder that may be at work would believe in its Lease for longer.
		lease.Spec.RenewTime = &now
	}
	if d.HolderUID == "" {
		lease.Spec.HolderIdentity, lease.Spec.AcquireTime, lease.Spec.RenewTime = nil, nil, nil
	}
}

// ownerReferences makes the garbage collector remove the Lease with the last
// of its Services. Owners that somebody else added stay.
func ownerReferences(o *observation.Observation) []metav1.OwnerReference {
	var owners []metav1.OwnerReference
	if o.Lease != nil {
		owners = slices.DeleteFunc(slices.Clone(o.Lease.OwnerReferences), func(r metav1.OwnerReference) bool {
			return r.Kind == "Service" && r.APIVersion == "v1"
		})
	}
	for _, m := range o.Members {
		owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID})
	}
	return owners
}

// leaseDuration is nil if the Lease is not renewed.
func leaseDuration(o *observation.Observation) *int32 {
	if d := o.Settings().LeaseDuration; d > 0 {
		return ptr.To(int32(d.Seconds()))
	}
	return nil
}

// owned says whether the Lease has the owners that it should have, and timed whether it
// is valid for as long as it should be.
func owned(o *observation.Observation) bool {
	return apiequality.Semantic.DeepEqual(ownerReferences(o), o.Lease.OwnerReferences)
}

func timed(o *observation.Observation) bool {
	return ptr.Equal(leaseDuration(o), o.Lease.Spec.LeaseDurationSeconds)
}

// tidy says whether the Lease asks for no deletion that the Service does not ask for.
func tidy(o *observation.Observation) bool {
	_, asks := o.Lease.Annotations[api.AnnotationDemotedUID]
	return !asks || o.Settings().DeleteDemoted
}

// route writes what follows from the Lease, phase by phase, and calls routed
// once traffic goes to the holder. It returns errAwaited where that is not all.
func (c *Controller) route(ctx context.Context, o *observation.Observation, d election.Decision, routed func()) error {
	// Traffic does not wait for a zone that cannot be asked for.
	unzoned := c.withZone(ctx, o, d.HolderUID)
	a := routing.Assignment{HolderUID: d.HolderUID, Epoch: d.Epoch}
	routing.Begin(a, o.Members, o.Pods)
	reverted := map[types.UID]func(service runtime.Object){}
	for _, m := range o.Members {
		if key, manager, is := routing.Reverted(a, m); is {
			reverted[m.UID] = func(service runtime.Object) { c.warnReverted(service, key, manager) }
		}
	}
	took := func(p routing.Change, result runtime.Object) {
		o.Took(p, result)
		if warn, is := reverted[p.UID]; is {
			warn(result)
			delete(reverted, p.UID)
		}
	}
	last := routing.PhaseCorrect - 1
	for {
		phase, changes := routing.Next(a, o.Members, o.Pods)
		goingOver := slices.ContainsFunc(o.Members, routing.GoingOver)
		if phase > routing.Routed(o.Members) && routed != nil && !goingOver {
			routed()
			routed = nil
		}
		switch {
		case phase == routing.PhaseDone && goingOver:
			return errors.Join(errAwaited, unzoned)
		case phase == routing.PhaseDone:
			return unzoned
		case phase <= last:
			return fmt.Errorf("phase %d is not finished by its changes; what others write undoes them", phase)
		}
		last = phase
		if err := c.apply(ctx, changes, took); err != nil {
			return err
		}
	}
}

// apply sends the changes, many at once, and calls took for each that succeeded, one
// at a time, with the result. A pod that is gone needs no change any more: its
// result is nil, as is that of a deletion.
func (c *Controller) apply(ctx context.Context, changes []routing.Change, took func(routing.Change, runtime.Object)) error {
	results, errs := make([]runtime.Object, len(changes)), make([]error, len(changes))
	var sending sync.WaitGroup
	atOnce := make(chan struct{}, workers)
	for i, p := range changes {
		atOnce <- struct{}{}
		sending.Go(func() {
			results[i], errs[i] = c.send(ctx, p)
			<-atOnce
		})
	}
	sending.Wait()
	for i, p := range changes {
		if errs[i] == nil {
			took(p, results[i])
		}
	}
	return errors.Join(errs...)
}

func (c *Controller) send(ctx context.Context, p routing.Change) (runtime.Object, error) {
	if p.Kind == routing.KindEndpointSlice {
		slice, err := c.sendSlice(ctx, p)
		if slice == nil {
			return nil, err
		}
		return slice, err
	}
	body, err := p.JSON()
	if err != nil {
		return nil, err
	}
	options := metav1.PatchOptions{FieldManager: api.ManagedBy}
	var result runtime.Object
	switch p.Kind {
	case routing.KindService:
		var service *corev1.Service
		if service, err = c.client.CoreV1().Services(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, body, options); err == nil {
			c.services.in(p.Namespace).wrote(service)
			result = service
		}
	case routing.KindPod:
		var pod *corev1.Pod
		if pod, err = c.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, body, options); err == nil {
			c.pods.wrote(pod)
			result = pod
		} else if apierrors.IsNotFound(err) {
			return nil, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("patching %s %s: %w", p.Kind, p.Name, err)
	}
	klog.FromContext(ctx).V(4).Info("Patched", "kind", p.Kind, "name", p.Name, "patch", string(body))
	return result, nil
}
