package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// writeLease implements writer.
func (c *Controller) writeLease(ctx context.Context, l *coordinationv1.Lease) (written *coordinationv1.Lease, err error) {
	client := c.client.CoordinationV1().Leases(l.Namespace)
	if l.ResourceVersion == "" {
		written, err = client.Create(ctx, l, metav1.CreateOptions{FieldManager: api.ManagedBy})
	} else {
		written, err = client.Update(ctx, l, metav1.UpdateOptions{FieldManager: api.ManagedBy})
	}
	if err != nil {
		return nil, err
	}
	c.leases.in(l.Namespace).wrote(written)
	c.turns.saw(key{Namespace: l.Namespace, Name: l.Name}, written)
	return written, nil
}

// deleteLease implements writer.
func (c *Controller) deleteLease(ctx context.Context, l *coordinationv1.Lease) (deleted bool, err error) {
	err = c.client.CoordinationV1().Leases(l.Namespace).Delete(ctx, l.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &l.UID, ResourceVersion: &l.ResourceVersion},
	})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("deleting the Lease: %w", err)
	}
	return true, nil
}

// write implements writer. It sends up to workers changes at a time.
func (c *Controller) write(ctx context.Context, changes []routing.Change) []written {
	results := make([]written, len(changes))
	var sending sync.WaitGroup
	atOnce := make(chan struct{}, workers)
	for i, change := range changes {
		atOnce <- struct{}{}
		sending.Go(func() {
			results[i] = c.send(ctx, change)
			<-atOnce
		})
	}
	sending.Wait()
	return results
}

func (c *Controller) send(ctx context.Context, change routing.Change) (w written) {
	switch change.Kind {
	case routing.KindEndpointSlice:
		w = c.sendSlice(ctx, change)
	case routing.KindService:
		w = patch(ctx, c.client.CoreV1().Services(change.Namespace).Patch, change, c.services.in(change.Namespace).wrote)
	case routing.KindServiceStatus:
		w = patch(ctx, c.client.CoreV1().Services(change.Namespace).Patch, change, c.services.in(change.Namespace).wrote, "status")
	case routing.KindPod:
		w = patch(ctx, c.client.CoreV1().Pods(change.Namespace).Patch, change, c.pods.wrote)
		if apierrors.IsNotFound(w.err) {
			// A pod that is gone needs no change.
			return written{}
		}
		c.refusals.saw(change.UID, w.err)
	}
	if w.err != nil {
		w.err = fmt.Errorf("writing %s %s: %w", change.Kind, change.Name, w.err)
	}
	return w
}

// patch sends the change of a Service or a pod, and makes the result visible at once.
func patch[T runtime.Object](
	ctx context.Context, send func(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (T, error), change routing.Change, wrote func(T), part ...string,
) written {
	body, err := change.JSON()
	if err != nil {
		return written{err: err}
	}
	result, err := send(ctx, change.Name, change.PatchType(), body, metav1.PatchOptions{FieldManager: api.ManagedBy}, part...)
	if err != nil {
		return written{err: err}
	}
	// What is kept is trimmed.
	wrote(result.DeepCopyObject().(T))
	klog.FromContext(ctx).V(4).Info("Patched", "kind", change.Kind, "name", change.Name, "patch", string(body))
	return written{object: result}
}

// sendSlice writes or deletes an EndpointSlice. A slice that is gone needs no deletion.
func (c *Controller) sendSlice(ctx context.Context, change routing.Change) written {
	client := c.client.DiscoveryV1().EndpointSlices(change.Namespace)
	var result *discoveryv1.EndpointSlice
	var err error
	switch {
	case change.Slice == nil:
		err = client.Delete(ctx, change.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &change.UID, ResourceVersion: &change.ResourceVersion},
		})
		if err == nil || apierrors.IsNotFound(err) {
			return written{}
		}
	case change.UID == "":
		result, err = client.Create(ctx, change.Slice, metav1.CreateOptions{FieldManager: api.ManagedBy})
	default:
		result, err = client.Update(ctx, change.Slice, metav1.UpdateOptions{FieldManager: api.ManagedBy})
		if apierrors.IsNotFound(err) {
			// The garbage collector was first, because the pod is gone.
			err = apierrors.NewConflict(discoveryv1.Resource("endpointslices"), change.Name, err)
		}
	}
	if err != nil {
		return written{err: err}
	}
	c.slices.in(change.Namespace).wrote(result)
	return written{object: result}
}

// deletePod implements writer. A deletion cannot be taken back, so the Lease is read again
// before it.
func (c *Controller) deletePod(ctx context.Context, pod *corev1.Pod, l *coordinationv1.Lease) (deleted bool, err error) {
	if _, told := c.deleted.Get(pod.UID); told {
		return false, nil
	}
	live, err := c.client.CoordinationV1().Leases(l.Namespace).Get(ctx, l.Name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("confirming that the pod %s must be deleted: %w", pod.Name, err)
	}
	if live.ResourceVersion != l.ResourceVersion {
		return false, apierrors.NewConflict(corev1.Resource("pods"), pod.Name, errors.New("the Lease has changed since it was decided that the pod must be deleted"))
	}
	err = c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("deleting the pod %s: %w", pod.Name, err)
	}
	c.deleted.Add(pod.UID, nil, deletedFor)
	return true, nil
}
