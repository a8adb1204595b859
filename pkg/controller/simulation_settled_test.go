package controller

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// slicesOf are the EndpointSlices of a Service that are the controller's own, or Kubernetes'.
func (w *world) slicesOf(name string, own bool) (of []*discoveryv1.EndpointSlice) {
	for _, s := range w.slices.list() {
		if observation.ServiceOf(s).Name == name && observation.Own(s) == own {
			of = append(of, s)
		}
	}
	return of
}

// ready are the pods that a Service's slices of a family list as ready.
func (w *world) ready(name string, family discoveryv1.AddressType) (ready []string) {
	of := slices.DeleteFunc(append(w.slicesOf(name, true), w.slicesOf(name, false)...), func(s *discoveryv1.EndpointSlice) bool { return s.AddressType != family })
	for uid, is := range observation.Listed(of) {
		if is {
			ready = append(ready, string(uid))
		}
	}
	slices.Sort(ready)
	return ready
}

// checkSettled is for what must be once everything is heard of, and nothing is due.
func (w *world) checkSettled() {
	groups := map[string][]observation.Member{}
	for _, s := range w.services.list() {
		if settings, _, ok := api.Parse(s); api.Annotated(s) && ok && (api.Routed(s) || !w.routes(api.LeaseName(s))) {
			groups[api.LeaseName(s)] = append(groups[api.LeaseName(s)], observation.Member{Service: s, Settings: settings})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		w.checkElection(name, groups[name])
	}
	w.checkLeftovers()
}

// checkElection checks the holder, and that traffic goes to it.
func (w *world) checkElection(name string, members []observation.Member) {
	l := w.leases.all[name]
	switch {
	case l == nil:
		w.fail("there is no Lease %s", name)
		return
	case l.Labels[api.LabelManagedBy] != api.ManagedBy:
		return
	}
	if lease.Contender(l) != "" {
		w.fail("Lease %s is left to an application that no longer renews it", name)
	}
	holder := w.pods.uid(lease.Decode(l).HolderUID)
	if r := w.records[name]; r != nil && holder != nil && r.epoch == ptr.Deref(l.Spec.LeaseTransitions, 0) && r.last != holder.UID {
		w.fail("the epoch %d of Lease %s has two holders, %s and then %s", r.epoch, name, r.last, holder.UID)
	}
	part := w.takingPart(name, members, holder)
	isCandidate := func(p *corev1.Pod) bool {
		return p != nil && !slices.ContainsFunc(part, func(m observation.Member) bool { return !selects(m, p) })
	}
	ported := func(p *corev1.Pod) bool {
		return !slices.ContainsFunc(members, func(m observation.Member) bool {
			return !endpoints.HasPort(m.Service, p) && slices.ContainsFunc(w.pods.list(), func(p *corev1.Pod) bool {
				return isCandidate(p) && observation.Active(p) && endpoints.HasPort(m.Service, p)
			})
		})
	}
	routable := func(p *corev1.Pod) bool {
		by := w.designates(p)
		return by == "" || by == name || isActive(p) || !slices.ContainsFunc(part, func(m observation.Member) bool { return m.Settings.Routing == api.RoutingLabel })
	}
	eligible := func(p *corev1.Pod) bool {
		may, _ := api.Candidate(p)
		return may && routable(p) && ported(p) && isCandidate(p) && observation.Ready(p) && observation.Active(p) && w.nodes.all[p.Spec.NodeName] != nil && !w.off.Has(p.Spec.NodeName)
	}
	paused := slices.ContainsFunc(part, func(m observation.Member) bool { return m.Settings.Paused })
	awaited := holder != nil && !observation.Finished(holder) && (lease.Remembered(l).AfterTermination || slices.ContainsFunc(members, func(m observation.Member) bool { return m.Settings.AfterTermination }))
	exhausted := ptr.Deref(l.Spec.LeaseTransitions, 0) == api.MaxEpoch
	if i := slices.IndexFunc(w.pods.list(), eligible); i >= 0 && !paused && !awaited && !exhausted && (holder == nil || !eligible(holder)) {
		w.fail("%s is eligible, but Lease %s has %s", w.pods.list()[i].UID, name, cmp.Or(string(lease.Decode(l).HolderUID), "nobody"))
	}
	if !w.routes(name) {
		return
	}
	for _, m := range members {
		want := map[types.UID]bool{}
		if holder != nil && selects(m, holder) {
			want[holder.UID] = observation.Ready(holder) && holder.DeletionTimestamp == nil
		}
		w.checkRouted(m, want)
	}
	for _, p := range w.pods.list() {
		if isCandidate(p) && w.designates(p) == name && (p == holder) != isActive(p) {
			w.fail("%s is designated %q, though Lease %s has %s", p.UID, p.Labels[api.LabelDesignation], name, lease.Decode(l).HolderUID)
		}
	}
}

func isActive(p *corev1.Pod) bool { return p.Labels[api.LabelDesignation] == api.DesignationActive }

func selects(m observation.Member, p *corev1.Pod) bool {
	return m.Settings.Candidates.Matches(labels.Set(p.Labels))
}

// takingPart returns the members of which some pod is selected by all: those that select the
// holder come first, and then the one with the Lease's name and the oldest.
func (w *world) takingPart(lease string, members []observation.Member, holder *corev1.Pod) (part []observation.Member) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b observation.Member) int {
		before := func(is func(observation.Member) bool) int {
			return cmp.Compare(map[bool]int{true: 1}[is(b)], map[bool]int{true: 1}[is(a)])
		}
		return cmp.Or(
			before(func(m observation.Member) bool { return holder != nil && selects(m, holder) }),
			before(func(m observation.Member) bool { return m.Name == lease }),
			a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	pods := w.pods.list()
	for _, m := range members {
		if left := slices.DeleteFunc(slices.Clone(pods), func(p *corev1.Pod) bool { return !selects(m, p) }); len(left) > 0 {
			part, pods = append(part, m), left
		}
	}
	if len(part) == 0 {
		return members
	}
	return part
}

// checkDenied is for what must be although a policy keeps the controller from writing to
// some pods and Services.
func (w *world) checkDenied() {
	for _, s := range w.services.list() {
		if !served(s) || w.denied["Service "+s.Name] || len(s.Spec.Selector) == 0 || lease.Decode(w.leases.all[api.LeaseName(s)]).Foreign {
			// A Service whose Lease is another's is left as it is. What Kubernetes has listed before the selector was taken away stays.
			continue
		}
		if ready := w.ready(s.Name, discoveryv1.AddressTypeIPv4); len(ready) > 1 {
			w.fail("Service %s stays open to %s", s.Name, strings.Join(ready, " and "))
		}
		w.checkAnother(s)
	}
}

// checkAnother is for a Service whose master cannot be labelled, though another pod could be
// master.
func (w *world) checkAnother(s *corev1.Service) {
	settings, _, _ := api.Parse(s)
	l := lease.Decode(w.leases.all[settings.LeaseName])
	holder := w.pods.uid(l.HolderUID)
	able := func(p *corev1.Pod) bool {
		may, _ := api.Candidate(p)
		return may && settings.Candidates.Matches(labels.Set(p.Labels)) && observation.Ready(p) && observation.Active(p) && !w.off.Has(p.Spec.NodeName) && endpoints.HasPort(s, p) &&
			(p.Labels[api.LabelPodUID] == string(p.UID) || !w.denied["Pod "+p.Name])
	}
	if settings.Routing != api.RoutingSelector || settings.Paused || settings.AfterTermination || settings.LeaseName != s.Name || len(w.services.all) > 1 || holder == nil || able(holder) || l.Epoch == api.MaxEpoch || l.Foreign {
		return
	}
	if i := slices.IndexFunc(w.pods.list(), able); i >= 0 {
		w.fail("Service %s has the master %s, though %s can be labelled", s.Name, holder.UID, w.pods.list()[i].UID)
	}
}

// checkRouted is for a Service whose slices must list what is wanted, and nothing else.
func (w *world) checkRouted(m observation.Member, want map[types.UID]bool) {
	for uid := range want {
		if observation.Finished(w.pods.uid(uid)) {
			delete(want, uid)
		}
	}
	if m.Settings.Routing == api.RoutingLabel {
		// The master of an election that shares pods with an older one may be a standby of the older.
		maps.DeleteFunc(want, func(uid types.UID, _ bool) bool { return !isActive(w.pods.uid(uid)) })
	}
	kubernetes, own := observation.Listed(w.slicesOf(m.Name, false)), observation.Listed(w.slicesOf(m.Name, true))
	switch {
	case m.Settings.Selectorless && !maps.Equal(own, want):
		w.fail("the controller's slices of Service %s list %v, want %v", m.Name, own, want)
	case m.Settings.Selectorless:
		// What Kubernetes has listed before the selector was taken away stays.
	case m.Settings.Routing == api.RoutingEndpointSlice && (len(kubernetes) > 0 || !maps.Equal(own, want)):
		w.fail("the controller's slices of Service %s list %v and Kubernetes' list %v, want %v", m.Name, own, kubernetes, want)
	case m.Settings.Routing != api.RoutingEndpointSlice && len(w.slicesOf(m.Name, true)) > 0:
		w.fail("the controller's slices of Service %s are left", m.Name)
	case m.Settings.Routing != api.RoutingEndpointSlice && !maps.Equal(kubernetes, want):
		w.fail("Kubernetes' slices of Service %s list %v, want %v", m.Name, kubernetes, want)
	}
}

// designates names the election that decides if a pod is active: that of the oldest served
// Service that selects the pod with all others of its election, or else of the oldest that
// selects the pod.
func (w *world) designates(p *corev1.Pod) string {
	all := slices.DeleteFunc(w.services.list(), func(s *corev1.Service) bool { return !served(s) })
	slices.SortStableFunc(all, func(a, b *corev1.Service) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	other := func(s *corev1.Service) bool { return !api.Selects(s, p.Labels) }
	fewer := map[string]bool{}
	for _, s := range all {
		fewer[api.LeaseName(s)] = fewer[api.LeaseName(s)] || other(s)
	}
	selecting := slices.DeleteFunc(all, other)
	i := max(0, slices.IndexFunc(selecting, func(s *corev1.Service) bool { return !fewer[api.LeaseName(s)] }))
	if i < len(selecting) {
		return api.LeaseName(selecting[i])
	}
	return ""
}

// leads reports whether a Service's selector or its own slice leads to the pod.
func (w *world) leads(s *corev1.Service, p *corev1.Pod) bool {
	own := slices.DeleteFunc(w.slices.list(), func(slice *discoveryv1.EndpointSlice) bool {
		return !observation.Own(slice) || observation.ServiceOf(slice).Name != s.Name
	})
	_, listed := observation.Listed(own)[p.UID]
	return listed || s.Spec.Selector[api.LabelPodUID] == string(p.UID)
}

// checkLeftovers looks for what is left where no Service asks for it.
func (w *world) checkLeftovers() {
	for _, l := range w.leases.list() {
		if l.Labels[api.LabelManagedBy] == api.ManagedBy && !w.asked(l.Name) {
			w.fail("Lease %s is left", l.Name)
		}
	}
	routed := slices.DeleteFunc(w.services.list(), func(s *corev1.Service) bool { return !api.Routed(s) })
	for _, s := range w.services.list() {
		if !api.Routed(s) && (observation.MarkedService(s) || s.Spec.Selector[api.LabelPodUID] != "" || s.Spec.Selector[api.LabelRouting] != "") {
			w.fail("the marks on Service %s are left", s.Name)
		}
		// A Service whose Lease is another's is left as it is.
		if (served(s) && !lease.Decode(w.leases.all[api.LeaseName(s)]).Foreign || !api.Routed(s)) && claimed(s) {
			w.fail("the controller's claim to the selector of Service %s is left", s.Name)
		}
	}
	for _, p := range w.pods.list() {
		if l := w.leases.all[observation.MasterOf(p)]; l != nil && w.routes(l.Name) && lease.Decode(l).HolderUID == p.UID {
			// Should the Lease go, the pod tells of its master.
			continue
		}
		if slices.ContainsFunc(routed, func(s *corev1.Service) bool { return !served(s) && api.LeaseName(s) == observation.MasterOf(p) }) {
			// A Service that is refused is left as it is, and so is what tells of its master.
			continue
		}
		if slices.ContainsFunc(routed, func(s *corev1.Service) bool {
			l := lease.Decode(w.leases.all[api.LeaseName(s)])
			return observation.Held(p) >= 0 && (l.Foreign || l.HolderUID == p.UID) && w.leads(s, p)
		}) {
			// So is one whose Lease is another's, or that waits for its master, which knew the Lease by another name.
			continue
		}
		if observation.MarkedPod(p) && observation.OldestSelecting(routed, p) == nil {
			w.fail("the marks on pod %s are left", p.UID)
		}
	}
	for _, s := range w.slices.list() {
		if of := w.services.all[observation.ServiceOf(s).Name]; observation.Own(s) && (of == nil || !api.Routed(of)) {
			w.fail("EndpointSlice %s is left", s.Name)
		}
	}
}

// settle lets everything be heard of and time pass until nothing more is written. Then a
// replica that is started anew must find nothing to do. Policies end before, or stay.
func (w *world) settle(policiesStay bool) bool {
	if !policiesStay {
		clear(w.denied)
	}
	w.tell("everything is heard of, and nothing happens for a while")
	for _, r := range w.replicas {
		r.finish()
		r.recover()
	}
	const rest, atMost, atMostDenied = 2*slowLook + time.Minute, 300, 40
	for round, last := 0, w.now; w.now.Before(last.Add(rest)) && (len(w.denied) == 0 || round != atMostDenied); round++ {
		writes := w.writes
		if w.quiet() || w.writes > writes {
			last = w.now
		}
		switch {
		case w.failure != "":
			return true
		case round == atMost:
			w.fail("it never comes to rest")
			return true
		}
		w.now = w.nextDue()
		if len(w.denied) > 0 && round == atMostDenied/2 {
			// What is refused is tried again every millisecond, and a Lease may have to expire.
			w.now = w.now.Add(time.Minute)
		}
	}
	if len(w.denied) > 0 {
		w.checkDenied()
		return true
	}
	for _, r := range w.replicas {
		if r.wrong != nil || len(r.queue.keys) > 0 {
			w.fail("replica %d never finishes: %v", r.number, r.wrong)
		}
	}
	if w.failure == "" {
		w.checkSettled()
	}
	if w.failure == "" {
		w.checkFresh()
	}
	return true
}

// quiet is a round in which everybody does what is due; it reports whether Kubernetes has
// changed anything.
func (w *world) quiet() (some bool) {
	for _, p := range w.pods.list() {
		if p.DeletionTimestamp != nil || w.nodes.all[p.Spec.NodeName] == nil {
			some = w.stop(p) || some
		}
	}
	for n := range len(w.leases.all) + len(w.slices.all) {
		some = w.collectGarbage(n) || some
	}
	for _, name := range slices.Sorted(maps.Keys(w.platform.services)) {
		for w.platform.hearOfService(name) {
		}
	}
	for _, name := range w.podNames() {
		w.platformHearsOfPod(name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.platform.services)) {
		some = w.publish(name) || some
	}
	for _, r := range w.replicas {
		r.hearAll()
		for _, k := range r.due() {
			r.lookOnce(k)
		}
	}
	return some
}

// podNames are the names of all pods that somebody knows of.
func (w *world) podNames() []string {
	names := slices.AppendSeq(slices.Collect(maps.Keys(w.pods.all)), maps.Keys(w.platform.pods))
	slices.Sort(names)
	return slices.Compact(names)
}

// nextDue is when an election is due next, or in a while.
func (w *world) nextDue() time.Time {
	const step = 30 * time.Second
	next := w.now.Add(time.Millisecond)
	for _, r := range w.replicas {
		if len(r.queue.keys) > 0 || r.hasUnheard() {
			return next
		}
	}
	return w.now.Add(step)
}

// checkFresh starts a replica, which must write nothing.
func (w *world) checkFresh() {
	before := w.writes
	r := newReplica(w, 9)
	w.tell("replica 9 is started")
	for _, k := range r.keys() {
		r.lookOnce(k)
		if r.wrong != nil {
			w.fail("a replica that is started anew does not finish: %v", r.wrong)
		}
	}
	if w.writes > before {
		w.fail("a replica that is started anew finds something to write")
	}
	r.die()
}
