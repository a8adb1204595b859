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

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// record writes the decision into the Lease, on the version that it was
// decided on, and says whether that was necessary. With two replicas one of
// them gets a conflict here.
func (c *Controller) record(ctx context.Context, o *observation, d election.Decision) (written bool, err error) {
	leases := c.client.CoordinationV1().Leases(o.key.Namespace)
	decided := d.Writes(o.leaseView())
	if !decided && owned(o) {
		return false, nil
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: o.key.Namespace, Name: o.key.Name,
		Labels: map[string]string{api.LabelManagedBy: api.ManagedBy},
	}}
	if o.lease != nil {
		lease = o.lease.DeepCopy()
	}
	lease.OwnerReferences = ownerReferences(o)
	if decided {
		fill(lease, d)
	}
	if o.lease == nil {
		lease, err = leases.Create(ctx, lease, metav1.CreateOptions{FieldManager: api.ManagedBy})
	} else {
		lease, err = leases.Update(ctx, lease, metav1.UpdateOptions{FieldManager: api.ManagedBy})
	}
	if err != nil {
		return false, fmt.Errorf("writing the Lease: %w", err)
	}
	c.leases.in(o.key.Namespace).wrote(lease)
	o.lease = lease
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
	lease.Annotations[api.AnnotationHolderUID] = string(d.HolderUID)
	lease.Spec.LeaseTransitions = &d.Epoch
	lease.Spec.HolderIdentity, lease.Spec.RenewTime = &d.Holder, &now
	if d.HolderUID == "" {
		delete(lease.Annotations, api.AnnotationHolderUID)
		lease.Spec.HolderIdentity, lease.Spec.AcquireTime, lease.Spec.RenewTime = nil, nil, nil
	}
}

// ownerReferences makes the garbage collector remove the Lease with the last
// of its Services. Owners that somebody else added stay.
func ownerReferences(o *observation) []metav1.OwnerReference {
	var owners []metav1.OwnerReference
	if o.lease != nil {
		owners = slices.DeleteFunc(slices.Clone(o.lease.OwnerReferences), func(r metav1.OwnerReference) bool {
			return r.Kind == "Service" && r.APIVersion == "v1"
		})
	}
	for _, m := range o.members {
		owners = append(owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID})
	}
	return owners
}

// owned says whether the Lease has the owners that it should have.
func owned(o *observation) bool {
	return apiequality.Semantic.DeepEqual(ownerReferences(o), o.lease.OwnerReferences)
}

// route writes what follows from the Lease, phase by phase, and calls routed
// once traffic goes to the holder.
func (c *Controller) route(ctx context.Context, o *observation, d election.Decision, routed func()) error {
	a := routing.Assignment{HolderUID: d.HolderUID, Epoch: d.Epoch}
	reverters := map[types.UID]string{}
	for _, m := range o.members {
		if manager, reverted := routing.Reverted(a, m); reverted {
			reverters[m.UID] = manager
		}
	}
	took := func(p routing.Patch, result runtime.Object) {
		o.took(p, result)
		if manager, reverted := reverters[p.UID]; reverted {
			c.warnReverted(result, manager)
			delete(reverters, p.UID)
		}
	}
	last := routing.PhaseCorrect - 1
	for {
		phase, patches := routing.Next(a, o.members, o.pods)
		if phase > routing.Routed(o.members) && routed != nil {
			routed()
			routed = nil
		}
		if phase == routing.PhaseDone {
			return nil
		}
		if phase <= last {
			return fmt.Errorf("phase %d is not finished by its patches; what others write undoes them", phase)
		}
		last = phase
		if err := c.patch(ctx, patches, took); err != nil {
			return err
		}
	}
}

// patch sends the patches, many at once, and calls took for each that succeeded, one
// at a time, with the result. A pod that is gone needs no patch any more: its
// result is nil.
func (c *Controller) patch(ctx context.Context, patches []routing.Patch, took func(routing.Patch, runtime.Object)) error {
	results, errs := make([]runtime.Object, len(patches)), make([]error, len(patches))
	var sending sync.WaitGroup
	atOnce := make(chan struct{}, workers)
	for i, p := range patches {
		atOnce <- struct{}{}
		sending.Go(func() {
			results[i], errs[i] = c.send(ctx, p)
			<-atOnce
		})
	}
	sending.Wait()
	for i, p := range patches {
		if errs[i] == nil {
			took(p, results[i])
		}
	}
	return errors.Join(errs...)
}

func (c *Controller) send(ctx context.Context, p routing.Patch) (runtime.Object, error) {
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
