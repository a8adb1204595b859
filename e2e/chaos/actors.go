package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// actor does something that users, kubelets, nodes or machines do.
type actor struct {
	name string
	// weight is how often it is chosen, relative to the others.
	weight int
	// do does it. a chooses the application, and the Service or election of it; b what else
	// there is to choose.
	do func(c *chaos, ctx context.Context, a, b int) error
}

// errNothing is that there was nothing to do.
var errNothing = errors.New("nothing to do")

// actors are all of them. What they choose from is always in the same order, so that a
// seed chooses the same.
var actors = []actor{
	{"fail", 6, (*chaos).failPod},
	{"fail-master", 6, (*chaos).failMaster},
	{"heal", 6, (*chaos).healPods},
	{"delete", 3, (*chaos).deletePod},
	{"delete-master", 3, (*chaos).deleteMaster},
	{"relabel", 3, (*chaos).relabelPod},
	{"tier", 2, (*chaos).changeTier},
	{"keep-out", 1, (*chaos).keepOut},

	{"cordon", 3, (*chaos).cordon},
	{"taint", 2, (*chaos).taint},
	{"remove-node", 1, (*chaos).removeNode},

	{"switchover", 8, (*chaos).switchover},
	{"lose", 1, (*chaos).loseLease},
	{"forge", 1, (*chaos).forgeLease},

	{"mode", 4, (*chaos).changeMode},
	{"strip", 1, (*chaos).stripService},
	{"typo", 1, (*chaos).misspellMode},
	{"route", 8, (*chaos).changeRouting},
	{"overwrite", 2, (*chaos).overwriteSelector},
	{"narrow", 2, (*chaos).narrowSelector},
	{"pause", 1, (*chaos).pauseElection},
	{"replace", 2, (*chaos).replaceService},

	{"kill", 3, (*chaos).killReplica},
	{"stop", 1, (*chaos).stopReplica},
	{"freeze", 4, (*chaos).freezeReplica},
	{"freeze-apiserver", 1, freezes(faultAPIServer, 4*time.Second)},
	{"freeze-etcd", 1, freezes(faultEtcd, 4*time.Second)},
	{"freeze-controller-manager", 4, freezes(faultControllerManager, 8*time.Second)},
	{"deny", 2, (*chaos).denyLabels},
}

// within is a time from a tenth of a duration to the whole of it.
func within(longest time.Duration, n int) time.Duration {
	return longest/10 + longest*9/10*time.Duration(n%100)/100
}

// Pods.

func (c *chaos) failPod(ctx context.Context, a, b int) error {
	return c.toggleReady(ctx, podName(appAt(a), b))
}

func (c *chaos) toggleReady(ctx context.Context, name string) error {
	pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	return c.setReady(ctx, pod, !slices.ContainsFunc(pod.Status.Conditions, func(p corev1.PodCondition) bool {
		return p.Type == corev1.PodReady && p.Status == corev1.ConditionTrue
	}))
}

// setReady does what a kubelet does when the result of a readiness probe changes.
func (c *chaos) setReady(ctx context.Context, pod *corev1.Pod, ready bool) error {
	if pod.Status.Phase != corev1.PodRunning {
		return errNothing
	}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	c.tell(pod.Labels["set"], "%s is to be Ready: %t", pod.Name, ready)
	// The UID keeps it from a later pod of the same name.
	body := fmt.Appendf(nil, `{"metadata":{"uid":%q},"status":{"conditions":[{"type":"Ready","status":%[2]q,"lastTransitionTime":%[3]q},{"type":"ContainersReady","status":%[2]q,"lastTransitionTime":%[3]q}]}}`,
		pod.UID, status, time.Now().UTC().Format(time.RFC3339))
	_, err := c.client.CoreV1().Pods(namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

func (c *chaos) failMaster(ctx context.Context, a, _ int) error {
	name, err := c.master(ctx, a)
	if err != nil {
		return err
	}
	return c.toggleReady(ctx, name)
}

// master is the holder of an election's Lease.
func (c *chaos) master(ctx context.Context, a int) (string, error) {
	l, err := c.client.CoordinationV1().Leases(namespace).Get(ctx, electionAt(a), metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if ptr.Deref(l.Spec.HolderIdentity, "") == "" {
		return "", errNothing
	}
	return *l.Spec.HolderIdentity, nil
}

// healPods makes the pods of an application Ready candidates again.
func (c *chaos) healPods(ctx context.Context, a, _ int) error {
	app := appAt(a)
	for n := range podsOfEach {
		name := podName(app, n)
		err := c.editPod(ctx, app, name, func(p *corev1.Pod) string {
			p.Labels["app"] = app
			delete(p.Annotations, api.AnnotationCandidate)
			return "a candidate again"
		})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			err = c.setReady(ctx, pod, true)
		}
		if err != nil && !errors.Is(err, errNothing) && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

func (c *chaos) deletePod(ctx context.Context, a, b int) error {
	return c.deleteNamed(ctx, podName(appAt(a), b))
}

func (c *chaos) deleteMaster(ctx context.Context, a, _ int) error {
	name, err := c.master(ctx, a)
	if err != nil {
		return err
	}
	return c.deleteNamed(ctx, name)
}

func (c *chaos) deleteNamed(ctx context.Context, name string) error {
	c.tell(name[:strings.LastIndex(name, "-")], "pod %s is deleted", name)
	return c.client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

func (c *chaos) relabelPod(ctx context.Context, a, b int) error {
	app := appAt(a)
	return c.editPod(ctx, app, podName(app, b), func(p *corev1.Pod) string {
		if p.Labels["app"] == app {
			p.Labels["app"] = "none"
		} else {
			p.Labels["app"] = app
		}
		return "app=" + p.Labels["app"]
	})
}

func (c *chaos) changeTier(ctx context.Context, a, b int) error {
	app := appAt(a)
	return c.editPod(ctx, app, podName(app, b), func(p *corev1.Pod) string {
		if p.Labels["tier"] == "fast" {
			p.Labels["tier"] = "slow"
		} else {
			p.Labels["tier"] = "fast"
		}
		return "tier=" + p.Labels["tier"]
	})
}

func (c *chaos) keepOut(ctx context.Context, a, b int) error {
	app := appAt(a)
	return c.editPod(ctx, app, podName(app, b), func(p *corev1.Pod) string {
		if p.Annotations[api.AnnotationCandidate] != "" {
			delete(p.Annotations, api.AnnotationCandidate)
			return "no longer kept out"
		}
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, api.AnnotationCandidate, "false")
		return "kept out"
	})
}

// editPod changes a pod's labels or annotations; edit says how.
func (c *chaos) editPod(ctx context.Context, app, name string, edit func(*corev1.Pod) string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		c.tell(app, "pod %s is edited: %s", name, edit(pod))
		_, err = c.client.CoreV1().Pods(namespace).Update(ctx, pod, metav1.UpdateOptions{})
		return err
	})
}

// Nodes.

// usable is how many nodes are neither cordoned nor tainted, at least.
const usable = 2

// spoil changes a node, or reverts the change.
func (c *chaos) spoil(ctx context.Context, b int, spoilt func(*corev1.Node) bool, change func(n *corev1.Node, spoil bool) string) error {
	list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	left := len(list.Items)
	for _, n := range list.Items {
		if n.Spec.Unschedulable || slices.ContainsFunc(n.Spec.Taints, chaotic) {
			left--
		}
	}
	i := slices.IndexFunc(list.Items, func(n corev1.Node) bool { return n.Name == c.nodes[b%len(c.nodes)].Name })
	if i < 0 {
		return errNothing
	}
	node := &list.Items[i]
	spoil := !spoilt(node)
	if spoil && left <= usable {
		return errNothing
	}
	c.tell("", "node %s is %s", node.Name, change(node, spoil))
	_, err = c.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
	return err
}

func (c *chaos) cordon(ctx context.Context, _, b int) error {
	return c.spoil(ctx, b, func(n *corev1.Node) bool { return n.Spec.Unschedulable }, func(n *corev1.Node, spoil bool) string {
		if n.Spec.Unschedulable = spoil; spoil {
			return "cordoned"
		}
		return "uncordoned"
	})
}

const taintKey = "chaos.example.com/out"

func chaotic(t corev1.Taint) bool { return t.Key == taintKey }

func (c *chaos) taint(ctx context.Context, _, b int) error {
	return c.spoil(ctx, b, func(n *corev1.Node) bool { return slices.ContainsFunc(n.Spec.Taints, chaotic) }, func(n *corev1.Node, spoil bool) string {
		if !spoil {
			n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, chaotic)
			return "no longer tainted"
		}
		effect := corev1.TaintEffectNoSchedule
		if b/len(c.nodes)%2 == 0 {
			effect = corev1.TaintEffectNoExecute
		}
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: taintKey, Effect: effect})
		return "tainted " + string(effect)
	})
}

// removeNode deletes a node, which comes back later.
func (c *chaos) removeNode(ctx context.Context, _, b int) error {
	node := c.nodes[b%len(c.nodes)]
	c.tell("", "node %s is deleted", node.Name)
	if err := c.client.CoreV1().Nodes().Delete(ctx, node.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	c.during(faultNode, within(20*time.Second, b), func(ctx context.Context) error {
		c.tell("", "node %s is back", node.Name)
		_, err := c.client.CoreV1().Nodes().Create(ctx, node.DeepCopy(), metav1.CreateOptions{})
		return err
	})
	return nil
}

// Leases.

func (c *chaos) switchover(ctx context.Context, a, b int) error {
	return c.editLease(ctx, a, func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity = ptr.To(podName(appAt(a), b))
	})
}

func (c *chaos) editLease(ctx context.Context, a int, edit func(*coordinationv1.Lease)) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		l, err := c.client.CoordinationV1().Leases(namespace).Get(ctx, electionAt(a), metav1.GetOptions{})
		if err != nil {
			return err
		}
		edit(l)
		c.mark(l)
		c.tell(l.Name, "a user edits Lease %s: holder %s, epoch %d", l.Name, ptr.Deref(l.Spec.HolderIdentity, ""), ptr.Deref(l.Spec.LeaseTransitions, 0))
		_, err = c.client.CoordinationV1().Leases(namespace).Update(ctx, l, metav1.UpdateOptions{})
		return err
	})
}

func (c *chaos) loseLease(ctx context.Context, a, _ int) error {
	name := electionAt(a)
	c.tell(name, "a user deletes Lease %s", name)
	return c.client.CoordinationV1().Leases(namespace).Delete(ctx, name, metav1.DeleteOptions{})
}

// forgeLease writes what only the controller must write.
func (c *chaos) forgeLease(ctx context.Context, a, b int) error {
	pod, err := c.client.CoreV1().Pods(namespace).Get(ctx, podName(appAt(a), b), metav1.GetOptions{})
	if err != nil {
		return err
	}
	return c.editLease(ctx, a, func(l *coordinationv1.Lease) {
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, api.AnnotationReason, "Forged")
		switch b / podsOfEach % 5 {
		case 0:
			l.Spec.HolderIdentity = &pod.Name
			l.Annotations[api.AnnotationHolderUID] = string(pod.UID)
		case 1:
			l.Spec.LeaseTransitions = ptr.To(ptr.Deref(l.Spec.LeaseTransitions, 0) + 1000)
		case 2:
			l.Spec.LeaseTransitions = ptr.To(ptr.Deref(l.Spec.LeaseTransitions, 0) / 2)
		case 3:
			l.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)))
		case 4:
			l.Annotations[api.AnnotationDemotedUID] = string(pod.UID)
		}
	})
}

// Services.

// editService changes a Service; edit says what a user does, or "" for nothing.
func (c *chaos) editService(ctx context.Context, a int, edit func(s, manifest *corev1.Service) string) error {
	m := manifestAt(a)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		s, err := c.client.CoreV1().Services(namespace).Get(ctx, m.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		text := edit(s, m)
		if text == "" {
			return errNothing
		}
		c.mark(s)
		c.tell(api.LeaseName(s), "a user %s Service %s", text, s.Name)
		_, err = c.client.CoreV1().Services(namespace).Update(ctx, s, metav1.UpdateOptions{})
		return err
	})
}

// changeMode opts a Service out, mostly for some time, or in.
func (c *chaos) changeMode(ctx context.Context, a, b int) error {
	return c.optOut(ctx, a, b, "opts out", func(key string) bool { return key == api.AnnotationServiceMode })
}

// stripService opts a Service out by removing all annotations of the domain, also the
// controller's.
func (c *chaos) stripService(ctx context.Context, a, b int) error {
	return c.optOut(ctx, a, b, "removes all annotations of", func(key string) bool { return strings.HasPrefix(key, api.Domain) })
}

func (c *chaos) optOut(ctx context.Context, a, b int, how string, removes func(key string) bool) error {
	optIn := func(s, manifest *corev1.Service) string {
		maps.Copy(s.Annotations, manifest.Annotations)
		return "opts in"
	}
	return c.editService(ctx, a, func(s, manifest *corev1.Service) string {
		if !api.Annotated(s) {
			return optIn(s, manifest)
		}
		maps.DeleteFunc(s.Annotations, func(key, _ string) bool { return removes(key) })
		if b%4 > 0 {
			c.editLater(a, within(15*time.Second, b), optIn)
		}
		return how
	})
}

// editLater changes a Service in a while.
func (c *chaos) editLater(a int, in time.Duration, edit func(s, manifest *corev1.Service) string) {
	c.later(in, func(ctx context.Context) error {
		err := c.editService(ctx, a, edit)
		if errors.Is(err, errNothing) || apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

// annotateFor sets an annotation of a Service that is opted in, and later its former value.
func (c *chaos) annotateFor(ctx context.Context, a int, lasts time.Duration, key, value, former string) error {
	set := func(s *corev1.Service, value string) string {
		if !api.Annotated(s) || s.Annotations[key] == value {
			return ""
		}
		if s.Annotations[key] = value; value == "" {
			delete(s.Annotations, key)
		}
		return fmt.Sprintf("sets %s=%s of", key, value)
	}
	err := c.editService(ctx, a, func(s, _ *corev1.Service) string { return set(s, value) })
	c.editLater(a, lasts, func(s, _ *corev1.Service) string { return set(s, former) })
	return err
}

func (c *chaos) misspellMode(ctx context.Context, a, b int) error {
	return c.annotateFor(ctx, a, within(10*time.Second, b), api.AnnotationServiceMode, "actve-standby", api.ModeActiveStandby)
}

func (c *chaos) pauseElection(ctx context.Context, a, b int) error {
	return c.annotateFor(ctx, a, within(30*time.Second, b), api.AnnotationPaused, "true", "")
}

func (c *chaos) changeRouting(ctx context.Context, a, b int) error {
	return c.editService(ctx, a, func(s, manifest *corev1.Service) string {
		if len(manifest.Spec.Selector) == 0 {
			return ""
		}
		wanted := []api.Routing{api.RoutingSelector, api.RoutingEndpointSlice, api.RoutingEndpointSlice, api.RoutingLabel}[b%4]
		delete(s.Annotations, api.AnnotationRouting)
		delete(s.Spec.Selector, api.LabelDesignation)
		switch wanted {
		case api.RoutingEndpointSlice:
			s.Annotations[api.AnnotationRouting] = string(wanted)
		case api.RoutingLabel:
			s.Spec.Selector[api.LabelDesignation] = api.DesignationActive
		}
		return "asks for routing " + string(wanted) + " of"
	})
}

// overwriteSelector is what a tool does that applies its own selector, with or without the
// stamp.
func (c *chaos) overwriteSelector(ctx context.Context, a, b int) error {
	return c.editService(ctx, a, func(s, manifest *corev1.Service) string {
		if len(manifest.Spec.Selector) == 0 {
			return ""
		}
		delete(s.Spec.Selector, api.LabelPodUID)
		delete(s.Spec.Selector, api.LabelRouting)
		if b%3 == 0 {
			delete(s.Annotations, api.AnnotationLeaseTransitions)
		}
		return "overwrites the selector of"
	})
}

func (c *chaos) narrowSelector(ctx context.Context, a, _ int) error {
	return c.editService(ctx, a, func(s, manifest *corev1.Service) string {
		switch {
		case len(manifest.Spec.Selector) == 0:
			return ""
		case s.Spec.Selector["tier"] != "":
			delete(s.Spec.Selector, "tier")
			return "widens the selector of"
		}
		s.Spec.Selector["tier"] = "fast"
		return "narrows the selector of"
	})
}

// replaceService deletes a Service and creates it again from its manifest, a little later.
func (c *chaos) replaceService(ctx context.Context, a, b int) error {
	m := manifestAt(a)
	c.tell(api.LeaseName(m), "a user deletes Service %s", m.Name)
	err := c.client.CoreV1().Services(namespace).Delete(ctx, m.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	c.later(time.Duration(b%3)*700*time.Millisecond, func(ctx context.Context) error {
		service := m.DeepCopy()
		c.mark(service)
		c.tell(api.LeaseName(m), "a user creates Service %s", m.Name)
		_, err := c.client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
	return nil
}
