package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Hands carry out the commands that are the same in all worlds: those of users and of
// kubelet.
type Hands struct {
	Client    kubernetes.Interface
	Namespace string
}

// object is the type of a patch's body, or a part of it.
type object map[string]any

// Do carries out a command.
func (h Hands) Do(ctx context.Context, c Command) error {
	verbs := map[string]struct {
		args int
		more bool
		do   func([]string) error
	}{
		"ready":   {1, false, func(a []string) error { return h.ready(ctx, a[0], corev1.ConditionTrue) }},
		"unready": {1, false, func(a []string) error { return h.ready(ctx, a[0], corev1.ConditionFalse) }},
		"fail": {1, false, func(a []string) error {
			return h.patch(ctx, "pod", a[0], object{"status": object{"phase": corev1.PodFailed}}, "status")
		}},
		"exit": {1, false, func(a []string) error {
			return h.patch(ctx, "pod", a[0], object{"metadata": object{"finalizers": nil}})
		}},
		"hold": {2, false, func(a []string) error {
			return h.patch(ctx, "lease", a[0], object{"spec": object{"holderIdentity": a[1]}})
		}},
		"epoch":   {2, false, func(a []string) error { return h.epoch(ctx, a[0], a[1]) }},
		"contend": {2, false, func(a []string) error { return h.contend(ctx, a[0], a[1]) }},
		"cordon": {1, false, func(a []string) error {
			return h.patch(ctx, "node", a[0], object{"spec": object{"unschedulable": true}})
		}},
		"uncordon": {1, false, func(a []string) error {
			return h.patch(ctx, "node", a[0], object{"spec": object{"unschedulable": nil}})
		}},
		"taint": {2, false, func(a []string) error {
			return h.patch(ctx, "node", a[0], object{"spec": object{"taints": []corev1.Taint{{Key: a[1], Effect: corev1.TaintEffectNoSchedule}}}})
		}},
		"untaint": {1, false, func(a []string) error {
			return h.patch(ctx, "node", a[0], object{"spec": object{"taints": nil}})
		}},
		"annotate": {3, true, func(a []string) error { return h.mark(ctx, "annotations", a) }},
		"label":    {3, true, func(a []string) error { return h.mark(ctx, "labels", a) }},
		"select":   {2, true, func(a []string) error { return h.choose(ctx, a) }},
		"replace": {1, false, func(a []string) error {
			return h.patch(ctx, "service", a[0], object{
				"metadata": object{"annotations": object{api.AnnotationLeaseTransitions: nil}},
				"spec":     object{"selector": object{api.LabelPodUID: nil, api.LabelRouting: nil}},
			})
		}},
		"delete": {2, false, func(a []string) error { return h.delete(ctx, a[0], a[1]) }},
		"lease": {2, false, func(a []string) error {
			_, err := h.Client.CoordinationV1().Leases(h.Namespace).Create(ctx, foreignLease(a[0], a[1]), metav1.CreateOptions{})
			return err
		}},
		"slice": {3, false, func(a []string) error {
			_, err := h.Client.DiscoveryV1().EndpointSlices(h.Namespace).Create(ctx, foreignSlice(a[0], a[1], a[2]), metav1.CreateOptions{})
			return err
		}},
	}
	verb, known := verbs[c.Verb]
	if !known {
		return fmt.Errorf("%q is no command", c.Verb)
	}
	args, err := c.args(verb.args, verb.more)
	if err != nil {
		return err
	}
	return verb.do(args)
}

func (h Hands) ready(ctx context.Context, pod string, status corev1.ConditionStatus) error {
	var conditions []corev1.PodCondition
	for _, kind := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
		conditions = append(conditions, corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()})
	}
	return h.patch(ctx, "pod", pod, object{"status": object{"conditions": conditions}}, "status")
}

func (h Hands) epoch(ctx context.Context, lease, number string) error {
	epoch, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return err
	}
	return h.patch(ctx, "lease", lease, object{"spec": object{"leaseTransitions": epoch}})
}

// contend does what client-go's leader election does with a Lease that has expired, or that it
// has acquired before.
func (h Hands) contend(ctx context.Context, lease, identity string) error {
	leases := h.Client.CoordinationV1().Leases(h.Namespace)
	l, err := leases.Get(ctx, lease, metav1.GetOptions{})
	if err != nil {
		return err
	}
	now := metav1.NowMicro()
	if ptr.Deref(l.Spec.HolderIdentity, "") != identity {
		l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.LeaseTransitions = &identity, &now, ptr.To(ptr.Deref(l.Spec.LeaseTransitions, 0)+1)
	}
	l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = ptr.To[int32](15), &now
	_, err = leases.Update(ctx, l, metav1.UpdateOptions{FieldManager: "app"})
	return err
}

func (h Hands) mark(ctx context.Context, where string, args []string) error {
	changes, err := changes(args[2:])
	if err != nil {
		return err
	}
	return h.patch(ctx, args[0], args[1], object{"metadata": object{where: changes}})
}

func (h Hands) choose(ctx context.Context, args []string) error {
	changes, err := changes(args[1:])
	if err != nil {
		return err
	}
	var selector any = changes
	if value, found := changes["none"]; found && value == nil {
		selector = nil
	}
	return h.patch(ctx, "service", args[0], object{"spec": object{"selector": selector}})
}

func (h Hands) patch(ctx context.Context, kind, name string, body object, subresources ...string) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	// Conditions of a pod are merged by their type.
	how, options := types.MergePatchType, metav1.PatchOptions{FieldManager: "kubectl"}
	if len(subresources) > 0 {
		how = types.StrategicMergePatchType
	}
	switch kind {
	case "pod":
		_, err = h.Client.CoreV1().Pods(h.Namespace).Patch(ctx, name, how, data, options, subresources...)
	case "service":
		_, err = h.Client.CoreV1().Services(h.Namespace).Patch(ctx, name, how, data, options)
	case "node":
		_, err = h.Client.CoreV1().Nodes().Patch(ctx, name, how, data, options)
	case "lease":
		_, err = h.Client.CoordinationV1().Leases(h.Namespace).Patch(ctx, name, how, data, options)
	case "slice":
		_, err = h.Client.DiscoveryV1().EndpointSlices(h.Namespace).Patch(ctx, h.slice(ctx, name), how, data, options)
	default:
		err = fmt.Errorf("%q is no kind", kind)
	}
	return err
}

// delete lets a pod go at once, unless it is stubborn.
func (h Hands) delete(ctx context.Context, kind, name string) error {
	switch kind {
	case "pod":
		return h.Client.CoreV1().Pods(h.Namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To[int64](0)})
	case "service":
		return h.Client.CoreV1().Services(h.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	case "lease":
		return h.Client.CoordinationV1().Leases(h.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	case "slice":
		return h.Client.DiscoveryV1().EndpointSlices(h.Namespace).Delete(ctx, h.slice(ctx, name), metav1.DeleteOptions{})
	default:
		return fmt.Errorf("%q is no kind", kind)
	}
}

// slice returns the name of the EndpointSlice that Kubernetes has made of a Service if there
// is one, because a transcript cannot know it, and otherwise the name itself.
func (h Hands) slice(ctx context.Context, name string) string {
	list, err := h.Client.DiscoveryV1().EndpointSlices(h.Namespace).List(ctx, metav1.ListOptions{LabelSelector: ofKubernetes(name)})
	if err != nil || len(list.Items) == 0 {
		return name
	}
	return list.Items[0].Name
}
