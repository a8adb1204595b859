package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

const (
	// deletedFor is for how long it is remembered that a pod was told to go, until the
	// informer shows it, which takes milliseconds.
	deletedFor = time.Minute
	// deletedMax is of how many; forgetting one costs a request.
	deletedMax = 4096
)

// reasonDemoted is why a pod is deleted that has been master.
const reasonDemoted = "HolderDemoted"

// makesRoom is the pod that has to go, where the Service asks for that, and nil if none
// has: the holder, for another to follow it, or the one that it has followed.
func makesRoom(o *observation.Observation, d election.Decision) *corev1.Pod {
	uid := types.UID(o.Lease.Annotations[api.AnnotationDemotedUID])
	switch {
	case d.Action == election.Stop:
		uid = d.HolderUID
	case uid == d.HolderUID || !o.Settings().DeleteDemoted:
		return nil
	}
	i := slices.IndexFunc(o.Pods, func(p routing.Pod) bool { return p.UID == uid })
	if i < 0 || o.Pods[i].Unselected || o.Pods[i].Elsewhere || o.Pods[i].DeletionTimestamp != nil || observation.Finished(o.Pods[i].Pod) {
		return nil
	}
	return o.Pods[i].Pod
}

// makeRoom deletes the pod that has to go. That cannot be taken back, so that the API
// server is asked whether the Lease still says so.
func (c *Controller) makeRoom(ctx context.Context, o *observation.Observation, d election.Decision) error {
	pod := makesRoom(o, d)
	if pod == nil {
		return nil
	}
	if _, told := c.deleted.Get(pod.UID); told {
		return nil
	}
	lease, err := c.client.CoordinationV1().Leases(o.Key.Namespace).Get(ctx, o.Key.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("confirming that %s is to be deleted: %w", pod.Name, err)
	}
	if lease.ResourceVersion != o.Lease.ResourceVersion {
		return apierrors.NewConflict(corev1.Resource("pods"), pod.Name, errors.New("the Lease has changed since it was decided that the pod is to be deleted"))
	}
	err = c.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion},
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting the pod %s: %w", pod.Name, err)
	}
	c.deleted.Add(pod.UID, nil, deletedFor)
	klog.FromContext(ctx).V(2).Info("Deleted", "pod", pod.Name, "action", d.Action)
	reason, action := reasonDemoted, "Delete"
	message := fmt.Sprintf("%s is deleted, as %s has followed it as master (%s)", pod.Name, d.Holder, api.AnnotationOnDemote)
	if d.Action == election.Stop {
		reason, action, message = string(d.Reason), string(d.Action), d.Message()
	}
	for _, m := range o.Members {
		c.recorder.Eventf(m.Service, podReference(o.Key.Namespace, pod.Name, pod.UID), corev1.EventTypeNormal, reason, action, "%s", message)
	}
	return nil
}
