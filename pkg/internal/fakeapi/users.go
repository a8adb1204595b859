package fakeapi

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// What users, kubelets and other controllers do to a cluster. What fails, fails the test.

// Create makes the objects one after the other, so that they differ in age. A pod's node is
// made with it if there is none.
func (c *Cluster) Create(objects ...runtime.Object) {
	c.Helper()
	for _, o := range objects {
		<-time.After(time.Second)
		var err error
		switch o := o.(type) {
		case *corev1.Service:
			_, err = c.Users.CoreV1().Services(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{FieldManager: "kubectl"})
		case *corev1.Pod:
			if _, err := c.Users.CoreV1().Nodes().Create(c.Context(), Schedulable(o.Spec.NodeName), metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
				c.Fatal(err)
			}
			_, err = c.Users.CoreV1().Pods(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		case *corev1.Node:
			_, err = c.Users.CoreV1().Nodes().Create(c.Context(), o, metav1.CreateOptions{})
		case *discoveryv1.EndpointSlice:
			_, err = c.Users.DiscoveryV1().EndpointSlices(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		case *coordinationv1.Lease:
			_, err = c.Users.CoordinationV1().Leases(o.Namespace).Create(c.Context(), o, metav1.CreateOptions{})
		}
		if err != nil {
			c.Fatal(err)
		}
	}
}

// EditPod changes a pod.
func (c *Cluster) EditPod(name string, change func(*corev1.Pod)) {
	c.Helper()
	Edit(c, c.Users.CoreV1().Pods(Namespace), name, change)
}

// EditService changes a Service.
func (c *Cluster) EditService(name string, change func(*corev1.Service)) {
	c.Helper()
	Edit(c, c.Users.CoreV1().Services(Namespace), name, change)
}

// EditLease changes a Lease.
func (c *Cluster) EditLease(name string, change func(*coordinationv1.Lease)) {
	c.Helper()
	Edit(c, c.Users.CoordinationV1().Leases(Namespace), name, change)
}

// EditSlice changes an EndpointSlice.
func (c *Cluster) EditSlice(name string, change func(*discoveryv1.EndpointSlice)) {
	c.Helper()
	Edit(c, c.Users.DiscoveryV1().EndpointSlices(Namespace), name, change)
}

// SwitchTo edits the Lease's holder, as users do for a switchover.
func (c *Cluster) SwitchTo(lease, pod string) {
	c.Helper()
	c.EditLease(lease, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = &pod })
}

// Cordon does what kubectl cordon does.
func (c *Cluster) Cordon(node string) { c.setUnschedulable(node, true) }

// Uncordon does what kubectl uncordon does.
func (c *Cluster) Uncordon(node string) { c.setUnschedulable(node, false) }

func (c *Cluster) setUnschedulable(node string, unschedulable bool) {
	c.Helper()
	Edit(c, c.Users.CoreV1().Nodes(), node, func(n *corev1.Node) { n.Spec.Unschedulable = unschedulable })
}

// Editable is a client of objects that can be changed.
type Editable[T runtime.Object] interface {
	Get(ctx context.Context, name string, options metav1.GetOptions) (T, error)
	Update(ctx context.Context, o T, options metav1.UpdateOptions) (T, error)
}

// Edit changes an object.
func Edit[T runtime.Object](c *Cluster, objects Editable[T], name string, change func(T)) {
	c.Helper()
	o, err := objects.Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	change(o)
	if _, err = objects.Update(c.Context(), o, metav1.UpdateOptions{FieldManager: "kubectl"}); err != nil {
		c.Fatal(err)
	}
}

// Deletable is a client of objects that can be deleted.
type Deletable interface {
	Delete(ctx context.Context, name string, options metav1.DeleteOptions) error
}

// Delete deletes an object.
func (c *Cluster) Delete(objects Deletable, name string) {
	c.Helper()
	if err := objects.Delete(c.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.Fatal(err)
	}
}

// DeletePod deletes a pod.
func (c *Cluster) DeletePod(name string) {
	c.Helper()
	c.Delete(c.Users.CoreV1().Pods(Namespace), name)
}

// Stop does what kubelet does when the processes of a graceful pod have ended.
func (c *Cluster) Stop(pod string) {
	c.Helper()
	c.EditPod(pod, func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = nil })
	c.DeletePod(pod)
}

// DeleteService deletes a Service.
func (c *Cluster) DeleteService(name string) {
	c.Helper()
	c.Delete(c.Users.CoreV1().Services(Namespace), name)
}

// DeleteLease deletes a Lease.
func (c *Cluster) DeleteLease(name string) {
	c.Helper()
	c.Delete(c.Users.CoordinationV1().Leases(Namespace), name)
}

// DeleteSlice deletes an EndpointSlice.
func (c *Cluster) DeleteSlice(name string) {
	c.Helper()
	c.Delete(c.Users.DiscoveryV1().EndpointSlices(Namespace), name)
}
