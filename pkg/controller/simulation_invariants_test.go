package controller

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// record is what the Lease of an election has said, for as long as Services ask for it.
type record struct {
	epoch int32
	// holderOf is who has held the Lease in which epoch.
	holderOf map[int32]types.UID
	// last is who has held it last.
	last types.UID
	// unasked: there was a moment, since a replica has written the Lease, in which no
	// Service asked for it.
	unasked bool
}

// written looks, after anything was written, for what must never be.
func (w *world) written() {
	for name, r := range w.records {
		if !w.asked(name) {
			if r.unasked = true; w.leases.all[name] == nil {
				delete(w.records, name)
			}
		}
	}
	w.checkListed()
}

// asked reports whether a Service asks for that Lease.
func (w *world) asked(name string) bool {
	for _, s := range w.services.all {
		if api.Annotated(s) && api.LeaseName(s) == name {
			return true
		}
	}
	return false
}

// leaseWritten checks what a replica makes of a Lease, nil if there was none, and reports
// whether that is a renewal and nothing else.
func (w *world) leaseWritten(by *replica, before, now *coordinationv1.Lease) (renewed bool) {
	if before != nil && before.Labels[api.LabelManagedBy] != api.ManagedBy {
		w.fail("replica %d overwrites the foreign Lease %s", by.number, now.Name)
	}
	r := w.records[now.Name]
	if r == nil {
		r = &record{holderOf: map[int32]types.UID{}}
		w.records[now.Name] = r
	}
	epoch, holder := ptr.Deref(now.Spec.LeaseTransitions, 0), lease.Decode(now).HolderUID
	former := r.last
	switch had := r.holderOf[epoch]; {
	case epoch < r.epoch:
		w.fail("the epoch of Lease %s falls from %d to %d", now.Name, r.epoch, epoch)
	case had != "" && holder != "" && had != holder:
		w.fail("the epoch %d of Lease %s has two holders, %s and then %q", epoch, now.Name, had, holder)
	}
	if former != "" && holder != "" && former != holder {
		w.checkFollowed(by, before, now.Name, former, holder)
	}
	if r.epoch, r.unasked = epoch, !w.asked(now.Name); holder != "" {
		r.holderOf[epoch], r.last = holder, holder
	}
	return before != nil && lease.RenewedOnly(before, now)
}

// checkFollowed is for a pod that is no longer the holder.
func (w *world) checkFollowed(by *replica, before *coordinationv1.Lease, name string, former, holder types.UID) {
	pod := w.pods.uid(former)
	if pod == nil || observation.Finished(pod) || by.seen == nil {
		return
	}
	if i := slices.IndexFunc(by.seen.Services, waits); i >= 0 {
		w.fail("%s follows %s, which may run, though Service %s says %s: %s", holder, former, by.seen.Services[i].Name, short(api.AnnotationHandover), api.HandoverAfterTermination)
	}
	seen := slices.IndexFunc(by.seen.Pods, func(p observation.Pod) bool { return p.UID == former })
	if before == nil || before.Spec.RenewTime == nil || before.Spec.LeaseDurationSeconds == nil || seen < 0 || observation.Ready(by.seen.Pods[seen].Pod) {
		return
	}
	if expires := before.Spec.RenewTime.Add(time.Duration(*before.Spec.LeaseDurationSeconds) * time.Second); w.now.Before(expires) {
		w.fail("%s follows %s, which is not Ready and may believe in Lease %s for another %s", holder, former, name, expires.Sub(w.now))
	}
}

// waits reports whether no pod must become master before the former one has stopped.
func waits(s *corev1.Service) bool {
	return s.Annotations[api.AnnotationHandover] == api.HandoverAfterTermination
}

// leaseForged takes what a user wrote into a Lease as what counts from now on.
func (w *world) leaseForged(l *coordinationv1.Lease) {
	epoch := ptr.Deref(l.Spec.LeaseTransitions, 0)
	holder := lease.Decode(l).HolderUID
	w.records[l.Name] = &record{epoch: epoch, holderOf: map[int32]types.UID{epoch: holder}, last: holder}
}

// leaseEnded begins anew where a Lease has gone with the last Service that asked for it.
func (w *world) leaseEnded(name string) { delete(w.records, name) }

// checkReleased is for a Lease that a replica deletes.
func (w *world) checkReleased(name string) {
	if r := w.records[name]; r != nil && !r.unasked {
		w.fail("Lease %s is deleted, which a Service asks for all the time", name)
	}
}

// checkDeletion is for a pod that a replica deletes: it is not the holder, unless another
// is to follow it.
func (w *world) checkDeletion(by *replica, pod *corev1.Pod) {
	for _, l := range w.leases.all {
		if lease.Decode(l).HolderUID == pod.UID && !slices.ContainsFunc(by.seen.Services, waits) {
			w.fail("replica %d deletes %s, which holds Lease %s", by.number, pod.UID, l.Name)
		}
	}
}

// checkListed looks for two pods that get a Service's traffic.
func (w *world) checkListed() {
	for name, s := range w.services.all {
		if !api.Annotated(s) || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		for _, family := range []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6} {
			if ready := w.ready(name, family); len(ready) > 1 && !w.platform.opened[kubernetesSlice(name, family)] && !w.opening(name) {
				w.fail("the traffic of Service %s goes to %s (%s)", name, strings.Join(ready, " and "), family)
			}
		}
	}
}

// opening reports whether Kubernetes has yet to hear of a version of the Service that a
// user has opened.
func (w *world) opening(name string) bool {
	return !w.mended[overwrittenAndMigrating] &&
		(w.platform.passed[name] || slices.ContainsFunc(w.platform.services[name], func(s *corev1.Service) bool { return s != nil && isOpen(s) }))
}

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
		if settings, _, ok := api.Parse(s); api.Annotated(s) && ok {
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
	holder := w.pods.uid(lease.Decode(l).HolderUID)
	isCandidate := func(p *corev1.Pod) bool {
		return p != nil && !slices.ContainsFunc(members, func(m observation.Member) bool { return !m.Settings.Candidates.Matches(labels.Set(p.Labels)) })
	}
	eligible := func(p *corev1.Pod) bool {
		may, _ := api.Candidate(p)
		return may && isCandidate(p) && observation.Ready(p) && observation.Active(p)
	}
	paused := slices.ContainsFunc(members, func(m observation.Member) bool { return m.Settings.Paused })
	awaited := holder != nil && !observation.Finished(holder) && slices.ContainsFunc(members, func(m observation.Member) bool { return m.Settings.AfterTermination })
	if i := slices.IndexFunc(w.pods.list(), eligible); i >= 0 && !paused && !awaited && (holder == nil || !eligible(holder)) {
		w.fail("%s is eligible, but Lease %s has %s", w.pods.list()[i].UID, name, cmp.Or(string(lease.Decode(l).HolderUID), "nobody"))
	}
	for _, m := range members {
		want := map[types.UID]bool{}
		if isCandidate(holder) {
			want[holder.UID] = observation.Ready(holder) && holder.DeletionTimestamp == nil
		}
		w.checkRouted(m, want)
	}
	for _, p := range w.pods.list() {
		if isCandidate(p) && w.designates(p) == name && (p == holder) != (p.Labels[api.LabelDesignation] == api.DesignationActive) {
			w.fail("%s is designated %q, though Lease %s has %s", p.UID, p.Labels[api.LabelDesignation], name, lease.Decode(l).HolderUID)
		}
	}
}

// checkRouted is for a Service whose slices must list what is wanted, and nothing else.
func (w *world) checkRouted(m observation.Member, want map[types.UID]bool) {
	for uid := range want {
		if observation.Finished(w.pods.uid(uid)) {
			delete(want, uid)
		}
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
	case m.Settings.Routing == api.RoutingSelector && !maps.Equal(kubernetes, want):
		w.fail("Kubernetes' slices of Service %s list %v, want %v", m.Name, kubernetes, want)
	}
	for uid := range want {
		if m.Settings.Routing == api.RoutingLabel && w.designates(w.pods.uid(uid)) == m.Settings.LeaseName && !maps.Equal(kubernetes, want) {
			w.fail("Kubernetes' slices of Service %s list %v, want %v", m.Name, kubernetes, want)
		}
	}
}

// designates names the election that says whether a pod is active: that of the oldest
// Service which is served and selects the pod.
func (w *world) designates(p *corev1.Pod) (election string) {
	var oldest *corev1.Service
	for _, s := range w.services.list() {
		if _, _, ok := api.Parse(s); ok && api.Annotated(s) && api.Selects(s, p.Labels) && (oldest == nil || s.CreationTimestamp.Time.Before(oldest.CreationTimestamp.Time)) {
			oldest, election = s, api.LeaseName(s)
		}
	}
	return election
}

// checkLeftovers looks for what is left where no Service asks for it.
func (w *world) checkLeftovers() {
	for _, l := range w.leases.list() {
		if l.Labels[api.LabelManagedBy] == api.ManagedBy && !w.asked(l.Name) {
			w.fail("Lease %s is left", l.Name)
		}
	}
	annotated := slices.DeleteFunc(w.services.list(), func(s *corev1.Service) bool { return !api.Annotated(s) })
	for _, s := range w.services.list() {
		if !api.Annotated(s) && (observation.MarkedService(s) || s.Spec.Selector[api.LabelPodUID] != "" || s.Spec.Selector[api.LabelRouting] != "") {
			w.fail("the marks on Service %s are left", s.Name)
		}
	}
	for _, p := range w.pods.list() {
		if observation.MarkedPod(p) && observation.OldestSelecting(annotated, p) == nil {
			w.fail("the marks on pod %s are left", p.UID)
		}
	}
	for _, s := range w.slices.list() {
		if of := w.services.all[observation.ServiceOf(s).Name]; observation.Own(s) && (of == nil || !api.Annotated(of)) {
			w.fail("EndpointSlice %s is left", s.Name)
		}
	}
}

// settle lets everything be heard of and time pass until nothing more is written. Then a
// replica that is started anew must find nothing to do.
func (w *world) settle() bool {
	clear(w.denied)
	w.tell("everything is heard of, and nothing happens for a while")
	for _, r := range w.replicas {
		r.finish()
		r.recover()
	}
	const rest, atMost = 6 * time.Minute, 300
	for round, last := 0, w.now; w.now.Before(last.Add(rest)); round++ {
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
func (w *world) quiet() (any bool) {
	for _, p := range w.pods.list() {
		if p.DeletionTimestamp != nil {
			w.tell("%s has stopped", p.UID)
			remove(w, w.pods, p.Name)
			any = true
		}
	}
	for n := range len(w.leases.all) + len(w.slices.all) {
		any = w.collectGarbage(n) || any
	}
	for _, name := range slices.Sorted(maps.Keys(w.platform.services)) {
		for w.platform.hearOfService(name) {
		}
	}
	for _, name := range w.podNames() {
		w.platformHearsOfPod(name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.platform.services)) {
		any = w.publish(name) || any
	}
	for _, r := range w.replicas {
		r.hearAll()
		for _, k := range r.due() {
			r.lookOnce(k)
		}
	}
	return any
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
