// Package observation puts together what was read of an election. Package election decides on
// it, and package routing derives the writes from it. It is pure: the caller reads. It imports
// packages api, election, endpoints, lease and probe.
package observation

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/endpoints"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// Observation is one look at an election. Its fields are assigned only in Look.
type Observation struct {
	Inputs
	// Services are the annotated Services of the election, the oldest first.
	Services []*corev1.Service
	// Members are the Services that can be served, first the one with the Lease's name, and last
	// those that are Apart.
	Members []Member
	// Observers are the Services that only observe an election in which others take part. They have
	// no say in it. In an election of such Services alone they are the Members.
	Observers []Member
	// Pods are the candidates, the holder even if it is no longer selected, and pods that
	// carry marks which must be removed.
	Pods []Pod
	// Problems are what must be reported on the Services, by UID.
	Problems map[types.UID][]api.Problem

	// settings are those that apply to the election, and leading the name of the Service that
	// has asked for them.
	settings api.Election
	leading  string
	// wantsProbe: it is that Service that asks for the probe.
	wantsProbe bool
	seen       Seen
	// unbelieved are the objects whose stamps do not count, for a message.
	unbelieved []string
	// holders are the pods of which the election must know even if no member selects them.
	holders []types.UID
	view    election.View
	// said has the Problems that were found, to find each once.
	said map[types.UID]sets.Set[api.Problem]
}

// Look makes an observation of what was gathered. It does not change the Inputs.
func Look(in Inputs) *Observation {
	o := &Observation{Inputs: in, Problems: map[types.UID][]api.Problem{}, said: map[types.UID]sets.Set[api.Problem]{}}
	annotated := slices.SortedFunc(slices.Values(in.Services), byAge)
	for i, s := range annotated {
		if LeaseKey(s) == o.Key {
			annotated[i] = believed(o, s)
		}
	}
	served := map[*corev1.Service]bool{}
	var asked []api.Election
	for _, s := range annotated {
		if LeaseKey(s) != o.Key {
			continue
		}
		settings, problems, ok := api.Parse(s)
		settings.Probe = in.probe(s, settings.Probe)
		served[s] = ok && api.Routed(s)
		o.Services, asked = append(o.Services, s), append(asked, settings.Election)
		o.Problems[s.UID] = problems
		if ok {
			settings.Routing = in.Routing(s, settings.Routing)
			o.Members = append(o.Members, Member{Service: s, Settings: settings, Recorded: o.owns(s)})
		}
	}
	o.setObservers()
	if len(o.Members) == 0 {
		return o
	}
	if i := slices.IndexFunc(o.Members, func(m Member) bool { return m.Name == o.Key.Name }); i > 0 {
		leading := o.Members[i]
		o.Members = slices.Insert(slices.Delete(o.Members, i, i+1), 0, leading)
	}
	o.setApart()
	o.addSlices(in.Slices)
	designators := newDesignators(annotated, served)
	o.holders = o.possibleHolders()
	for _, pod := range in.Pods {
		o.addPod(pod, designators)
		o.contest(pod, designators)
	}
	o.settle(asked)
	for _, m := range o.Members {
		o.comparePorts(m)
		o.findGoverning(m)
	}
	o.findUnmanaged()
	o.findUnasked()
	o.findContender()
	o.findUnbelieved()
	o.boundProblems()
	o.seen = o.see()
	o.view = o.makeView()
	return o
}

// Observed reports whether the election is one of Services that observe alone: nothing follows from
// its Lease.
func (o *Observation) Observed() bool {
	return len(o.Services) > 0 && !slices.ContainsFunc(o.Services, api.Routed)
}

// Unserved returns why an election with Observers has no Members.
func (o *Observation) Unserved() api.Problem {
	leading := Leading(o.Services, o.Key)
	return api.Problem{Reason: o.Problems[leading.UID][0].Reason, Message: fmt.Sprintf("the Service %s, whose election it is, is not served", leading.Name)}
}

// setObservers parts the Services that observe from those that take part, also if none of these can
// be served.
func (o *Observation) setObservers() {
	if o.Observed() {
		return
	}
	observes := func(m Member) bool { return api.Observes(m.Service) }
	o.Observers = slices.DeleteFunc(slices.Clone(o.Members), func(m Member) bool { return !observes(m) })
	o.Members = slices.DeleteFunc(o.Members, observes)
	for i := range o.Observers {
		o.Observers[i].Apart = true
	}
}

// Member returns the Service as one of the Members or Observers; nil if it is none.
func (o *Observation) Member(service types.UID) *Member {
	for _, all := range [][]Member{o.Members, o.Observers} {
		if i := slices.IndexFunc(all, func(m Member) bool { return m.UID == service }); i >= 0 {
			return &all[i]
		}
	}
	return nil
}

// possibleHolders returns the UIDs of the pods that the Lease names. If it names none, or one that
// the controller has not recorded, the Services and slices tell of the last holder.
func (o *Observation) possibleHolders() []types.UID {
	uids, complete := named(o.Lease)
	if !complete {
		uids = append(uids, trace(o.Members, nil).HolderUID)
	}
	return uids
}

// named returns the UIDs of the holder and of the one that is recorded; complete if the Lease has both.
func named(l *coordinationv1.Lease) (uids []types.UID, complete bool) {
	holder := lease.Decode(l).HolderUID
	_, recorded, _ := lease.Recorded(l)
	return []types.UID{holder, recorded}, holder != "" && recorded != ""
}

// PossibleHolders returns the same as that of a look with Members, and spares the look where the
// Lease names the holder and has its record.
func (in Inputs) PossibleHolders() sets.Set[types.UID] {
	if uids, complete := named(in.Lease); complete {
		return sets.New(uids...)
	}
	return Look(in).PossibleHolders()
}

// PossibleHolders returns the UIDs of the pods of which the election must know even if no Service
// selects them.
func (o *Observation) PossibleHolders() sets.Set[types.UID] { return sets.New(o.holders...).Delete("") }

// Selectors returns the label selectors of the election's candidates, one for each Member.
func (o *Observation) Selectors() sets.Set[string] {
	selectors := sets.New[string]()
	for _, m := range o.Members {
		selectors.Insert(m.Settings.Candidates.String())
	}
	return selectors
}

// OldestSelecting returns the first of the Services, which are sorted by age, that selects the
// pod; nil if none does.
func OldestSelecting(services []*corev1.Service, pod *corev1.Pod) *corev1.Service {
	i := slices.IndexFunc(services, func(s *corev1.Service) bool { return api.Selects(s, pod.Labels) })
	if i < 0 {
		return nil
	}
	return services[i]
}

// setApart finds the members that have no pod in common with the others. A member that
// selects the holder's pod goes before one that does not: what joins an election, or is
// changed, does not take the endpoint from the others. Without any pods no member is Apart.
func (o *Observation) setApart() {
	if len(o.Members) == 1 {
		return
	}
	selects := func(m Member) func(*corev1.Pod) bool {
		return func(p *corev1.Pod) bool { return m.Settings.Candidates.Matches(labels.Set(p.Labels)) }
	}
	order := make([]*Member, 0, len(o.Members))
	for i := range o.Members {
		order = append(order, &o.Members[i])
	}
	if i := slices.IndexFunc(o.Inputs.Pods, func(p *corev1.Pod) bool { return o.holds(p) }); i >= 0 {
		holder := o.Inputs.Pods[i]
		slices.SortStableFunc(order, func(a, b *Member) int { return trueFirst(selects(*a)(holder), selects(*b)(holder)) })
	}
	common, some := o.Inputs.Pods, false
	for _, m := range order {
		of := slices.DeleteFunc(slices.Clone(common), func(p *corev1.Pod) bool { return !selects(*m)(p) })
		if m.Apart = len(of) == 0; !m.Apart {
			common, some = of, true
		}
	}
	if !some {
		for i := range o.Members {
			o.Members[i].Apart = false
		}
	}
	slices.SortStableFunc(o.Members, func(a, b Member) int { return trueFirst(!a.Apart, !b.Apart) })
}

// owns reports whether the Lease names the Service as an owner.
func (o *Observation) owns(s *corev1.Service) bool {
	return o.Lease != nil && slices.ContainsFunc(o.Lease.OwnerReferences, func(r metav1.OwnerReference) bool { return r.UID == s.UID })
}

// holds reports whether the pod is the Lease's holder.
func (o *Observation) holds(pod *corev1.Pod) bool {
	return o.Lease != nil && pod.UID == lease.Decode(o.Lease).HolderUID
}

// addPod adds the pod if it matters to the election: because every member that takes part
// selects it, because it is the holder, because a member selects it and it carries marks, or
// because it says itself that it was the holder.
func (o *Observation) addPod(pod *corev1.Pod, d *designators) {
	all, some := true, false
	for _, m := range o.Members {
		matches := m.Settings.Candidates.Matches(labels.Set(pod.Labels))
		all, some = all && (matches || m.Apart), some || matches
	}
	holder, marked := slices.Contains(o.holders, pod.UID), (some || MasterOf(pod) == o.Key.Name) && MarkedPod(pod)
	if !all && !holder && !marked {
		return
	}
	by := d.of(pod)
	if by == nil || LeaseKey(by) == o.Key {
		pod = believed(o, pod)
	}
	p := Pod{
		Pod: pod, Unselected: !all, Kept: !all && some && o.holds(pod), Served: by != nil, Elsewhere: by != nil && LeaseKey(by) != o.Key,
		Node: o.Nodes.Of(pod.Spec.NodeName),
	}
	if p.Elsewhere && all {
		o.overlap(by)
	}
	if p.Elsewhere && !all && !marked && lease.Decode(o.Lease).HolderUID == "" {
		// It was the master of an election that the Service has left.
		return
	}
	_, notBoolean := api.Candidate(pod)
	_, notNumber := api.Priority(pod)
	for _, problem := range []*api.Problem{notBoolean, notNumber} {
		if all && problem != nil {
			o.problem(problem.Reason, problem.Message)
		}
	}
	if wrong := o.Answers[pod.UID].Wrong; all && wrong != "" {
		problem := api.InvalidPriority(pod.Name, wrong)
		o.problem(problem.Reason, problem.Message)
	}
	o.Pods = append(o.Pods, p)
}

// contest finds the members whose selector asks for the designation of a pod that another
// election designates.
func (o *Observation) contest(pod *corev1.Pod, d *designators) {
	for i := range o.Members {
		m := &o.Members[i]
		if _, asks := m.Spec.Selector[api.LabelDesignation]; !asks || !m.Settings.Candidates.Matches(labels.Set(pod.Labels)) {
			continue
		}
		by := d.of(pod)
		if by == nil || LeaseKey(by) == o.Key {
			continue
		}
		if m.Contested = true; m.Settings.Routing == api.RoutingLabel {
			m.Settings.Routing = api.RoutingSelector
		}
		o.overlap(by)
	}
}

// designators tell which Service's election writes a pod's designation. All elections come
// to the same answer, from the Services alone.
type designators struct {
	// annotated is sorted by age.
	annotated []*corev1.Service
	// elections has the same Services by their election, once it is needed.
	elections map[types.NamespacedName][]*corev1.Service
	// served says which of them are served, and not only observed. It is completed as they are parsed.
	served map[*corev1.Service]bool
}

func newDesignators(annotated []*corev1.Service, served map[*corev1.Service]bool) *designators {
	return &designators{annotated: annotated, served: served}
}

// of returns the oldest served Service that selects the pod together with all others of its
// election: the pod is a candidate there. If there is none, the oldest that selects the pod
// counts; nil if none does.
func (d *designators) of(pod *corev1.Pod) (oldest *corev1.Service) {
	for _, s := range d.annotated {
		if !api.Selects(s, pod.Labels) || !d.serves(s) {
			continue
		}
		if d.isCandidate(pod, LeaseKey(s)) {
			return s
		}
		if oldest == nil {
			oldest = s
		}
	}
	return oldest
}

func (d *designators) serves(s *corev1.Service) bool {
	if _, parsed := d.served[s]; !parsed {
		_, _, ok := api.Parse(s)
		d.served[s] = ok && api.Routed(s)
	}
	return d.served[s]
}

// isCandidate reports whether all Services of the election select the pod.
func (d *designators) isCandidate(pod *corev1.Pod, election types.NamespacedName) bool {
	if d.elections == nil {
		d.elections = map[types.NamespacedName][]*corev1.Service{}
		for _, s := range d.annotated {
			d.elections[LeaseKey(s)] = append(d.elections[LeaseKey(s)], s)
		}
	}
	return !slices.ContainsFunc(d.elections[election], func(s *corev1.Service) bool {
		return !api.Selects(s, pod.Labels) && d.serves(s)
	})
}

// compareMembers adds problems where Services have no pod in common with the others, or ask for
// other settings than those that apply.
func (o *Observation) compareMembers(leading *corev1.Service) {
	for _, m := range o.Members {
		if m.Service == leading {
			continue
		}
		if m.Apart {
			o.serviceProblem(m.Service, api.ReasonNoCommonCandidate, fmt.Sprintf(
				"this Service shares the Lease %s, but selects no pod that the Service %s selects, so it %s no endpoint; let it select the same pods, or set another %s",
				o.Key.Name, o.Members[0].Name, would(m.Service, "has", "would have"), api.AnnotationLeaseName))
			continue
		}
		unfollowed := slices.DeleteFunc(m.Settings.Differs(o.settings), func(key string) bool {
			_, said := m.Annotations[key]
			return !said
		})
		if len(unfollowed) > 0 {
			o.serviceProblem(m.Service, api.ReasonDifferingSettings, fmt.Sprintf(
				"this Service shares the Lease %s with the Service %s, whose settings apply, but differ in %s; set them there", o.Key.Name, leading.Name, strings.Join(unfollowed, ", ")))
		}
	}
}

// comparePorts finds the pods that have none of the member's ports. Such a pod, like an exporter
// or a job that carries the label, would be an endpoint without a port.
func (o *Observation) comparePorts(m Member) {
	some := false
	var without []int
	var names []string
	for i, p := range o.Pods {
		switch {
		case p.Unselected || !Active(p.Pod):
		case endpoints.HasPort(m.Service, p.Pod):
			some = true
		default:
			without = append(without, i)
			if may, _ := api.Candidate(p.Pod); may {
				names = append(names, p.Name)
			}
		}
	}
	if len(without) == 0 {
		return
	}
	var ports []string
	for _, port := range m.Spec.Ports {
		ports = append(ports, port.TargetPort.String())
	}
	wanted := strings.Join(ports, " or ")
	if !some {
		o.serviceProblem(m.Service, api.ReasonPortUnresolved, fmt.Sprintf(
			"no pod has a container port named %s, so the Service's endpoint has no port; correct targetPort, or name the container's port", wanted))
		return
	}
	if len(names) > 0 {
		slices.Sort(names)
		o.serviceProblem(m.Service, api.ReasonPortUnresolved, fmt.Sprintf(
			"%s cannot become master: other pods have a container port named %s; let the selector leave such pods out, or annotate them with %s: false",
			few(names), wanted, api.AnnotationCandidate))
	}
	for _, i := range without {
		o.Pods[i].Portless = true
	}
}

// findUnmanaged adds a problem if pods must be deleted once they are no longer master, and nothing
// would create them anew.
func (o *Observation) findUnmanaged() {
	var names []string
	for _, p := range o.Pods {
		if !p.Unselected && Active(p.Pod) && !p.Managed() {
			names = append(names, p.Name)
		}
	}
	if len(names) > 0 && o.Settings().DeleteDemoted {
		slices.Sort(names)
		o.problem(api.ReasonUnmanagedPod, fmt.Sprintf(
			"%s is never deleted (%s: %s), because no workload would create a new pod in its place; run the pods in a StatefulSet or a Deployment",
			few(names), api.AnnotationOnDemote, api.OnDemoteDelete))
	}
}

// findUnasked adds a problem if a Service itself asks for what the pods' readiness probes ask, and that
// of a pod cannot be asked.
func (o *Observation) findUnasked() {
	if !o.WantsProbe() {
		return
	}
	var unasked []string
	for _, p := range o.Pods {
		if p.Unselected || !Active(p.Pod) {
			continue
		}
		if _, why := o.settings.Probe.Of(p.Pod); why != "" {
			unasked = append(unasked, fmt.Sprintf("%s is not probed, because %s", p.Name, why))
		}
	}
	if len(unasked) > 0 {
		o.problem(api.ReasonProbeUnanswered, fmt.Sprintf("%s; only its readiness counts (%s: %s)", slices.Min(unasked), api.AnnotationProbe, api.ProbeReadiness))
	}
}

// findGoverning adds a problem if the member gives its pods their DNS names: only the master keeps
// one.
func (o *Observation) findGoverning(m Member) {
	if m.Spec.ClusterIP == corev1.ClusterIPNone && slices.ContainsFunc(o.Pods, func(p Pod) bool { return !p.Unselected && p.Spec.Subdomain == m.Name }) {
		o.serviceProblem(m.Service, api.ReasonGoverningService, fmt.Sprintf(
			"this headless Service gives its pods their DNS names, such as POD.%s, and the standbys %s theirs; leave it plain, and annotate another Service over the same pods", m.Name, would(m.Service, "have lost", "would lose")))
	}
}

// findContender adds a problem if another program holds the Lease as its own.
func (o *Observation) findContender() {
	if manager := lease.Decode(o.Lease).Contender; manager != "" {
		o.problem(api.ReasonLeaseContended, fmt.Sprintf(
			"the field manager %q holds the Lease %s as its own, as an application does whose leader election uses a Lease of that name; give this election another with the annotation %s, or let the application use another",
			manager, o.Key.Name, api.AnnotationLeaseName))
	}
}

// Says returns the decision as a sentence for the users of one of the Services.
func (o *Observation) Says(d election.Decision, s *corev1.Service) string {
	says := d.Message()
	switch {
	case d.Action == election.Refuse:
		return ForeignLease(o.Lease) + "; until then " + api.Left(s)
	case !api.Observes(s), d.Action == election.Stop && !o.Observed():
		// The pod is deleted for those that take part.
		return says
	case d.Action == election.Stop:
		says = "would be " + says
	case d.Served() && o.Reaches(s.UID, d.HolderUID):
		says += "; would route to " + d.Holder
	case d.Served():
		says += "; would route to no pod, because this Service does not select the master"
	}
	return says + api.OnlyObserved
}

// Reaches reports whether the traffic of a Service of the election can go to the pod, which is its
// holder or becomes it.
func (o *Observation) Reaches(service, holder types.UID) bool {
	m, i := o.Member(service), slices.IndexFunc(o.Pods, func(p Pod) bool { return p.UID == holder })
	return m != nil && i >= 0 && m.Routes(&o.Pods[i]) != nil
}

// would returns what is so of a Service, or what would be if it is only observed.
func would(s *corev1.Service, is, wouldBe string) string {
	if api.Observes(s) {
		return wouldBe
	}
	return is
}

// ForeignLease returns what users must hear about a Lease that is not the controller's.
func ForeignLease(l *coordinationv1.Lease) string {
	holder := "nothing holds it"
	if name := lease.Decode(l).Holder; name != "" {
		holder = fmt.Sprintf("its holder is %.200q", name)
	}
	return fmt.Sprintf("the Lease %s is not the controller's (%s): another program has made it, such as an application for its own leader election; name another in the annotation %s, or delete it if nothing uses it",
		l.Name, holder, api.AnnotationLeaseName)
}

// SeeContender returns what the replica has seen of another program that holds the Lease as its
// own, this look included.
func (o *Observation) SeeContender() lease.Sighting { return o.Contender.See(o.Lease, o.Now) }

// few joins names for a message, and counts those beyond the first three.
func few(names []string) string {
	const most = 3
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}

// overlap adds the problem that another election, of an older Service, designates the pods.
func (o *Observation) overlap(with *corev1.Service) {
	o.problem(api.ReasonOverlappingElection, fmt.Sprintf(
		"the Service %s also selects pods of this Service, and its election decides which of them is active; for one master of both, set the annotation %s: %s on this Service",
		with.Name, api.AnnotationLeaseName, api.LeaseName(with)))
}

// problem adds a problem of the election as a whole to all its members.
func (o *Observation) problem(reason, message string) {
	for _, m := range o.Members {
		o.serviceProblem(m.Service, reason, message)
	}
}

// serviceProblem adds a problem of a single Service, once.
func (o *Observation) serviceProblem(service *corev1.Service, reason, message string) {
	problem := api.Problem{Reason: reason, Message: message}
	if o.said[service.UID] == nil {
		o.said[service.UID] = sets.New(o.Problems[service.UID]...)
	}
	if !o.said[service.UID].Has(problem) {
		o.said[service.UID].Insert(problem)
		o.Problems[service.UID] = append(o.Problems[service.UID], problem)
	}
}

// maxProblems is how many problems of one reason a Service has at most. Each is an event, and
// there may be one for each pod.
const maxProblems = 10

// boundProblems drops the problems of a reason that are too many. The same ones remain in
// whatever order the pods and slices were read.
func (o *Observation) boundProblems() {
	for uid, problems := range o.Problems {
		if len(problems) <= maxProblems {
			continue
		}
		byReason := map[string][]api.Problem{}
		for _, p := range problems {
			byReason[p.Reason] = append(byReason[p.Reason], p)
		}
		var kept []api.Problem
		for _, reason := range slices.Sorted(maps.Keys(byReason)) {
			of := byReason[reason]
			if len(of) > maxProblems {
				slices.SortFunc(of, func(a, b api.Problem) int { return cmp.Compare(a.Message, b.Message) })
				of = append(of[:maxProblems], api.Problem{Reason: reason, Message: fmt.Sprintf("there are more problems of this kind than the %d that are reported", maxProblems)})
			}
			kept = append(kept, of...)
		}
		o.Problems[uid] = kept
	}
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}

func byAge(a, b *corev1.Service) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// LeaseKey names the Lease of the Service's election.
func LeaseKey(s *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: s.Namespace, Name: api.LeaseName(s)}
}
