package controller

import (
	"fmt"
	"maps"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// verb is a kind of step. Each reports whether it has changed anything.
type verb struct {
	name string
	// weight is how often it is chosen, compared with the others.
	weight int
	do     func(w *world, a, b int) bool
}

// verbs are everything that happens. What is at a place in the list is chosen by name.
var verbs = []verb{
	// Replicas.
	{"hear", 40, func(w *world, a, b int) bool { return w.replica(a).hear(b) }},
	{"hear of all", 3, func(w *world, a, _ int) bool {
		w.tell("replica %d hears of everything", w.replica(a).number)
		return w.replica(a).hearAll()
	}},
	{"begin", 25, func(w *world, a, b int) bool { return w.replica(a).begin(b) }},
	{"proceed", 30, func(w *world, a, _ int) bool { return w.replica(a).proceed(fine) }},
	{"finish", 15, func(w *world, a, _ int) bool { return w.replica(a).finish() }},
	{"go wrong", 3, func(w *world, a, b int) bool { return w.replica(a).proceed(outcome(b) % outcomes) }},
	{"die", 1, (*world).restart},
	{"believe", 0, (*world).believe},
	// Kubernetes.
	{"publish", 20, (*world).platformActs},
	{"collect", 4, func(w *world, a, _ int) bool { return w.collectGarbage(a) }},
	{"stop", 3, (*world).stopped},
	{"time", 6, (*world).passes},
	// Pods.
	{"ready", 8, (*world).turns},
	{"create", 4, (*world).createPod},
	{"delete", 2, (*world).deletePodStep},
	{"kill", 1, (*world).killPod},
	{"end", 1, (*world).endPod},
	{"label", 2, (*world).labelPod},
	{"unmark", 1, (*world).unmarkPod},
	{"exclude", 1, (*world).excludePod},
	{"prioritize", 0, (*world).prioritizePod},
	{"claim", 0, (*world).claim},
	// Nodes.
	{"cordon", 1, (*world).cordon},
	{"zone", 1, (*world).zoneOfNode},
	{"remove a node", 1, (*world).removeNode},
	{"power", 0, (*world).power},
	// Services.
	{"annotate", 0, (*world).annotate},
	{"mode", 0, (*world).mode},
	{"observe", 0, (*world).observe},
	{"route", 0, (*world).route},
	{"narrow", 1, (*world).narrow},
	{"overwrite", 1, (*world).overwrite},
	{"unselect", 0, (*world).unselect},
	{"retype", 0, (*world).retype},
	{"remove or create", 0, (*world).removeService},
	{"replace", 0, (*world).replaceService},
	{"share", 0, (*world).share},
	// Leases, slices, policies.
	{"hold", 4, (*world).editHolder},
	{"forge", 0, (*world).forge},
	{"usurp", 0, (*world).usurp},
	{"contend", 0, (*world).contend},
	{"lose", 1, (*world).loseLease},
	{"disown", 0, (*world).disownLease},
	{"unlist", 1, (*world).loseSlice},
	{"deny", 1, (*world).deny},
	// A while without anything.
	{"settle", 0, func(w *world, a, _ int) bool { return w.settle(a > 0) }},
}

func (w *world) replica(n int) *replica { return w.replicas[n%len(w.replicas)] }

// restart ends a replica in the midst of what it does, and starts another in its place.
func (w *world) restart(a, _ int) bool {
	a %= len(w.replicas)
	w.tell("replica %d dies, and is started anew", w.replicas[a].number)
	w.replicas[a].die()
	w.replicas[a] = newReplica(w, w.replicas[a].number)
	w.rateHearing()
	return true
}

// believe changes what a replica's probes and the heartbeats of nodes tell.
func (w *world) believe(a, b int) bool {
	r, pod := w.replica(a), w.pod(b)
	if pod == nil {
		return false
	}
	if b /= 7; b%4 == 3 {
		w.tell("replica %d hears nothing of %s, or does so again", r.number, pod.Spec.NodeName)
		if r.silent.Has(pod.Spec.NodeName) {
			r.silent.Delete(pod.Spec.NodeName)
		} else {
			r.silent.Insert(pod.Spec.NodeName)
		}
		w.rateHearing()
	} else {
		if !r.asked(pod.UID) {
			return false
		}
		w.version++
		w.claimed = w.version
		r.probes[pod.UID] = []probe.State{probe.Answering, probe.Suspected, probe.Unknown}[b%4]
		w.tell("to replica %d %s is now %q", r.number, pod.UID, r.probes[pod.UID])
	}
	r.wakeAll()
	return true
}

// recover takes back what the replica believes to be wrong. It goes on to hear the pods that answer.
func (r *replica) recover() {
	if len(r.probes)+len(r.silent) == 0 {
		return
	}
	maps.DeleteFunc(r.probes, func(_ types.UID, state probe.State) bool { return state != probe.Answering })
	r.world.version++
	r.world.claimed = r.world.version
	r.silent.Delete(slices.Collect(maps.Keys(r.silent))...)
	r.world.rateHearing()
	r.wakeAll()
}

// power has a node lose its power, or get it back. All replicas notice at once. They could not tell if all
// nodes were off.
func (w *world) power(a, _ int) bool {
	node := nodeNames[a%len(nodeNames)]
	switch {
	case w.off.Has(node):
		w.off.Delete(node)
	case w.off.Len() > 0:
		return false
	default:
		w.off.Insert(node)
	}
	w.tell("%s has power: %t", node, !w.off.Has(node))
	w.rateHearing()
	for _, r := range w.replicas {
		r.wakeAll()
	}
	return true
}

func (r *replica) hasUnheard() bool {
	return slices.ContainsFunc(r.caches, func(c simulatedCache) bool { return len(c.unheard()) > 0 })
}

// platformActs lets Kubernetes' EndpointSlice controller hear of something, or publish.
func (w *world) platformActs(a, b int) bool {
	names, pods := slices.Sorted(maps.Keys(w.platform.services)), w.podNames()
	switch {
	case a%4 == 0 && len(names) > 0:
		if name := names[b%len(names)]; w.platform.hearOfService(name) {
			w.tell("Kubernetes hears of Service %s", name)
			return true
		}
	case a%4 == 1 && len(pods) > 0:
		if name := pods[b%len(pods)]; w.platformHearsOfPod(name) {
			w.tell("Kubernetes hears of pod %s", name)
			return true
		}
	case len(names) > 0:
		return w.publish(names[b%len(names)])
	}
	return false
}

func (w *world) passes(a, _ int) bool {
	d := []time.Duration{10 * time.Millisecond, time.Second, 5 * time.Second, 12 * time.Second, time.Minute}[a%5]
	w.now = w.now.Add(d)
	w.tell("%s pass", d)
	return true
}

// pod returns nil if there is none.
func (w *world) pod(n int) *corev1.Pod {
	if all := w.pods.list(); len(all) > 0 {
		return all[n%len(all)]
	}
	return nil
}

func (w *world) changePod(n int, says string, edit func(*corev1.Pod)) bool {
	pod := w.pod(n)
	if pod == nil {
		return false
	}
	edited := pod.DeepCopy()
	if edit(edited); erases(w, w.pods, pod.Name, edited) {
		return false
	}
	w.tell("%s %s", pod.UID, says)
	put(w, w.pods, edited)
	return true
}

func setReadiness(p *corev1.Pod, status corev1.ConditionStatus, at time.Time) {
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(at.Truncate(time.Second))}}
}

func (w *world) turns(a, _ int) bool {
	pod := w.pod(a)
	switch {
	case pod == nil || observation.Finished(pod):
		return false
	case observation.Ready(pod):
		return w.changePod(a, "turns NotReady", func(p *corev1.Pod) { setReadiness(p, corev1.ConditionFalse, w.now) })
	case pod.DeletionTimestamp != nil:
		return false
	}
	return w.changePod(a, "turns Ready", func(p *corev1.Pod) { setReadiness(p, corev1.ConditionTrue, w.now) })
}

var (
	podNames     = []string{"web-0", "web-1", "web-2", "db-0"}
	serviceNames = []string{"a", "b", "c"}
	nodeNames    = []string{"node-0", "node-1"}
	tiers        = []string{"fast", "slow"}
)

func (w *world) createPod(a, b int) bool {
	name := podNames[a%len(podNames)]
	if w.pods.all[name] != nil {
		return false
	}
	if w.nodes.all[nodeNames[b%2]] == nil {
		return false
	}
	pod := newSimulatedPod(w, name, nodeNames[b%2], tiers[b/2%2], b/4%3 > 0)
	if copied := w.pod(b / 12); copied != nil && b/12%4 == 0 {
		pod.Labels, pod.Annotations = maps.Clone(copied.Labels), maps.Clone(copied.Annotations)
	}
	if b/5%6 == 0 {
		pod.OwnerReferences = nil
	}
	if b/7%4 == 0 {
		pod.Spec.Containers = nil
	}
	if b/48%4 == 0 {
		pod.Annotations = map[string]string{api.AnnotationLeaseTransitions: fmt.Sprint(api.MaxEpoch - 1)}
	}
	put(w, w.pods, pod)
	w.tell("%s is created %s, with labels %s and annotations %s", pod.UID, showPod(pod), show(pod.Labels), show(pod.Annotations))
	return true
}

// simulatedReadiness are the readiness probes of pods, one of which cannot be asked.
var simulatedReadiness = []*corev1.Probe{
	nil,
	{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}}},
	{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}},
	{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}, TimeoutSeconds: 5},
}

func newSimulatedPod(w *world, name, node, tier string, ready bool) *corev1.Pod {
	ip := w.version%250 + 1
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name[:len(name)-2], "tier": tier}, OwnerReferences: fakeapi.Workload()},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{
			Ports:          []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			ReadinessProbe: simulatedReadiness[w.version%len(simulatedReadiness)].DeepCopy(),
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: fmt.Sprint("10.0.0.", ip), PodIPs: []corev1.PodIP{
			{IP: fmt.Sprint("10.0.0.", ip)}, {IP: fmt.Sprintf("fd00::%x", ip)},
		}},
	}
	setReadiness(pod, map[bool]corev1.ConditionStatus{true: corev1.ConditionTrue, false: corev1.ConditionFalse}[ready], w.now)
	return pod
}

func (w *world) deletePodStep(a, _ int) bool {
	pod := w.pod(a)
	if pod == nil || pod.DeletionTimestamp != nil {
		return false
	}
	w.tell("%s is deleted", pod.UID)
	w.deletePod(pod.Name)
	return true
}

// deletePod has a pod terminate; one that has ended goes at once.
func (w *world) deletePod(name string) {
	switch pod := w.pods.all[name]; {
	case observation.Finished(pod):
		w.stop(pod)
	case pod.DeletionTimestamp == nil:
		change(w, w.pods, name, func(p *corev1.Pod) { p.DeletionTimestamp = ptr.To(metav1.NewTime(w.now)) })
	}
}

func (w *world) killPod(a, _ int) bool {
	pod := w.pod(a)
	return pod != nil && w.stop(pod)
}

// stop has a pod go for good.
func (w *world) stop(pod *corev1.Pod) bool {
	if erases(w, w.pods, pod.Name, nil) {
		return false
	}
	w.tell("%s is gone", pod.UID)
	remove(w, w.pods, pod.Name)
	return true
}

// stopped lets kubelet tell that a pod which terminates has stopped.
func (w *world) stopped(a, _ int) bool {
	pod := w.pod(a)
	return pod != nil && pod.DeletionTimestamp != nil && w.stop(pod)
}

func (w *world) endPod(a, b int) bool {
	phase := []corev1.PodPhase{corev1.PodFailed, corev1.PodSucceeded}[b%2]
	if pod := w.pod(a); pod == nil || observation.Finished(pod) {
		return false
	}
	return w.changePod(a, "ends: "+string(phase), func(p *corev1.Pod) {
		p.Status.Phase = phase
		setReadiness(p, corev1.ConditionFalse, w.now)
	})
}

func (w *world) labelPod(a, b int) bool {
	key, value := "tier", tiers[b%2]
	if b/2%3 == 0 {
		key, value = "app", []string{"web", "db"}[b%2]
	}
	if pod := w.pod(a); pod == nil || pod.Labels[key] == value {
		return false
	}
	return w.changePod(a, "is labelled "+key+"="+value, func(p *corev1.Pod) { p.Labels[key] = value })
}

// unmarkPod takes away what the controller has written to a pod, or a part of it.
func (w *world) unmarkPod(a, b int) bool {
	if pod := w.pod(a); pod == nil || !observation.MarkedPod(pod) {
		return false
	}
	return w.changePod(a, "loses marks", func(p *corev1.Pod) {
		delete(p.Labels, api.LabelPodUID)
		if b%2 == 0 {
			delete(p.Labels, api.LabelDesignation)
			delete(p.Annotations, api.AnnotationLeaseTransitions)
		}
	})
}

func (w *world) excludePod(a, b int) bool {
	value := []string{"true", "false"}[b%2]
	return w.changePod(a, "is annotated candidate="+value, func(p *corev1.Pod) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		p.Annotations[api.AnnotationCandidate] = value
	})
}

// prioritizePod lets an application give a pod a priority, or take it away.
func (w *world) prioritizePod(a, b int) bool {
	value := []string{"1", "2", "3", "-1", "", unreadable}[b%6]
	return w.changePod(a, "is annotated priority="+value, func(p *corev1.Pod) {
		if p.Annotations == nil {
			p.Annotations = map[string]string{}
		}
		if p.Annotations[api.AnnotationPriority] = value; value == "" {
			delete(p.Annotations, api.AnnotationPriority)
		}
	})
}

// claim has a pod answer all replicas, and claim another priority.
func (w *world) claim(a, b int) bool {
	pod := w.pod(a)
	if pod == nil {
		return false
	}
	w.claims[pod.UID] = []string{"1", "2", "3", "-1", "", unreadable}[b%6]
	w.version++
	w.claimed = w.version
	w.tell("%s answers with the priority %q", pod.UID, w.claims[pod.UID])
	for _, r := range w.replicas {
		r.probes[pod.UID] = probe.Answering
		r.wakeAll()
	}
	return true
}

// cordon cordons a node, or taints it as an autoscaler does, or takes that back.
func (w *world) cordon(a, b int) bool {
	name := nodeNames[a%len(nodeNames)]
	return change(w, w.nodes, name, func(n *corev1.Node) {
		switch {
		case b%3 < 2:
			n.Spec.Unschedulable = !n.Spec.Unschedulable
		case len(n.Spec.Taints) > 0:
			n.Spec.Taints = nil
		default:
			n.Spec.Taints = []corev1.Taint{{Key: api.DrainTaints()[0], Effect: corev1.TaintEffectNoSchedule}}
		}
		w.tell("%s is cordoned: %v, and has the taints %v", name, n.Spec.Unschedulable, n.Spec.Taints)
	})
}

// removeNode deletes a node, and leaves its pods; or it creates the one that was deleted.
func (w *world) removeNode(a, _ int) bool {
	for _, name := range nodeNames {
		if w.nodes.all[name] == nil {
			w.tell("%s is created", name)
			put(w, w.nodes, newSimulatedNode(name))
			return true
		}
	}
	name := nodeNames[a%len(nodeNames)]
	w.tell("%s is deleted", name)
	remove(w, w.nodes, name)
	return true
}

func newSimulatedNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelTopologyZone: "east"}}}
}

func (w *world) zoneOfNode(a, b int) bool {
	name, zone := nodeNames[a%len(nodeNames)], []string{"east", "west", ""}[b%3]
	w.tell("the zone of %s is now %q", name, zone)
	return change(w, w.nodes, name, func(n *corev1.Node) {
		n.Labels = map[string]string{corev1.LabelTopologyZone: zone}
		if zone == "" {
			n.Labels = nil
		}
	})
}

// lease returns nil if there is none.
func (w *world) lease(n int) *coordinationv1.Lease {
	if all := w.leases.list(); len(all) > 0 {
		return all[n%len(all)]
	}
	return nil
}

// editHolder is the command to switch over.
func (w *world) editHolder(a, b int) bool {
	l, to := w.lease(a), podNames[b%len(podNames)]
	if l == nil {
		return false
	}
	w.tell("a user writes the holder %s into Lease %s", to, l.Name)
	return w.changeLease("kubectl", l.Name, func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity = &to
		w.leaseNamed(l)
	})
}

// forge writes into a Lease what nobody but the controller may. An epoch counts from then on, but
// no holder and no demotion does.
func (w *world) forge(a, b int) bool {
	if b/5%5 == 2 {
		return w.usurp(a, b)
	}
	l, pod := w.lease(a), w.pod(b)
	if l == nil || pod == nil || l.Labels[api.LabelManagedBy] != api.ManagedBy || !lease.Decode(l).Exists {
		return false
	}
	_, holder, _ := lease.Recorded(l)
	epoch := ptr.Deref(l.Spec.LeaseTransitions, 0)
	w.changeLease("kubectl", l.Name, func(l *coordinationv1.Lease) {
		switch b / 5 % 5 {
		case 0:
			l.Annotations[api.AnnotationDemotedUID] = string(pod.UID)
			return
		case 1:
			epoch = api.MaxEpoch
		default:
			// A higher one is taken for none.
			epoch = min(epoch+int32(b%7), api.MaxEpoch)
		}
		if epoch < api.MaxEpoch || l.Annotations[api.AnnotationHolderUID] == string(holder) {
			// Beside a forged holder the highest would leave no epoch for any other pod.
			l.Spec.LeaseTransitions = &epoch
			w.leaseForged(l)
		}
	})
	l = w.leases.all[l.Name]
	w.tell("a user forges Lease %s: %s", l.Name, w.showLease(l))
	return true
}

// usurp writes a holder into a Lease as only the controller may, also into one that has just begun.
func (w *world) usurp(a, b int) bool {
	l, pod := w.lease(a), w.pod(b)
	if l == nil || pod == nil || l.Labels[api.LabelManagedBy] != api.ManagedBy {
		return false
	}
	w.changeLease("kubectl", l.Name, func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity = &pod.Name
		metav1.SetMetaDataAnnotation(&l.ObjectMeta, api.AnnotationHolderUID, string(pod.UID))
	})
	w.begun = true
	w.tell("a user forges Lease %s: %s", l.Name, w.showLease(w.leases.all[l.Name]))
	return true
}

// loseLease deletes a Lease.
func (w *world) loseLease(a, _ int) bool {
	l := w.lease(a)
	if l == nil || erases(w, w.leases, l.Name, nil) {
		return false
	}
	w.tell("a user deletes Lease %s", l.Name)
	remove(w, w.leases, l.Name)
	w.begun = true
	return true
}

func (w *world) disownLease(a, _ int) bool {
	l := w.lease(a)
	if l == nil {
		return false
	}
	return change(w, w.leases, l.Name, func(l *coordinationv1.Lease) {
		if l.Labels[api.LabelManagedBy] == "" {
			l.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy}
		} else {
			l.Labels = nil
		}
		w.tell("a user changes the label of Lease %s: %s", l.Name, w.showLease(l))
	})
}

// loseSlice deletes a slice of the controller's.
func (w *world) loseSlice(a, _ int) bool {
	all := w.slices.list()
	if len(all) == 0 || !observation.Own(all[a%len(all)]) {
		return false
	}
	name := all[a%len(all)].Name
	if erases(w, w.slices, name, nil) {
		return false
	}
	w.tell("a user deletes EndpointSlice %s", name)
	remove(w, w.slices, name)
	return true
}

// deny lets a policy refuse what replicas write to a pod or a Service, or do so no longer.
func (w *world) deny(a, b int) bool {
	what := "Service " + serviceNames[b%len(serviceNames)]
	if a%2 == 0 {
		what = "Pod " + podNames[b%len(podNames)]
	}
	if w.denied[what] {
		delete(w.denied, what)
		w.tell("writes to %s are no longer denied", what)
	} else {
		w.denied[what] = true
		w.tell("a policy denies writes to %s", what)
	}
	return true
}
