package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// now is when the views are made.
var now = start.Add(time.Hour)

func view(o *Observation) election.View {
	fine := func(string) bool { return false }
	return o.View(NodeStates{Draining: fine, Silent: fine}, now)
}

func TestPolicy(t *testing.T) {
	everything := []func(*corev1.Service){
		asking(api.AnnotationFailback, "10m"), asking(api.AnnotationPrefer, "tier=fast"), asking(api.AnnotationFailoverDelay, "10s"),
		asking(api.AnnotationHandover, "after-termination"), asking(api.AnnotationOnDemote, "delete"),
	}
	all := election.Policy{Failback: ptr.To(10 * time.Minute), FailoverDelay: 10 * time.Second, AfterTermination: true, DeleteDemoted: true}
	byLabel := selecting(api.LabelDesignation, api.DesignationActive)
	tests := map[string]struct {
		services []*corev1.Service
		want     election.Policy
	}{
		"nothing is asked for":                      {[]*corev1.Service{service("a")}, election.Policy{}},
		"everything is":                             {[]*corev1.Service{service("a", everything...)}, all},
		"the oldest asks for everything":            {[]*corev1.Service{service("b"), service("a", everything...)}, all},
		"a younger one does":                        {[]*corev1.Service{service("b", everything...), service("a")}, election.Policy{}},
		"the one of the Lease's name does":          {[]*corev1.Service{service("web", everything...), service("a")}, all},
		"an older one than that does":               {[]*corev1.Service{service("web"), service("a", everything...)}, election.Policy{}},
		"an older one that is not served does":      {[]*corev1.Service{service("a", append(everything, asking(api.AnnotationServiceMode, "x"))...), service("b")}, election.Policy{}},
		"it is paused":                              {[]*corev1.Service{service("a", asking(api.AnnotationPaused, "true"))}, election.Policy{Paused: true}},
		"it is paused by the youngest":              {[]*corev1.Service{service("a"), service("b"), service("c", asking(api.AnnotationPaused, "true"))}, election.Policy{Paused: true}},
		"it is paused by one that is not served":    {[]*corev1.Service{service("a"), service("b", asking(api.AnnotationPaused, "true"), asking(api.AnnotationServiceMode, "x"))}, election.Policy{}},
		"only that the demoted is deleted":          {[]*corev1.Service{service("a", asking(api.AnnotationOnDemote, "delete"))}, election.Policy{DeleteDemoted: true}},
		"only that the master stops before":         {[]*corev1.Service{service("a", asking(api.AnnotationHandover, "after-termination"))}, election.Policy{AfterTermination: true}},
		"a move loses requests":                     {[]*corev1.Service{service("a", byLabel)}, election.Policy{MovesLose: true}},
		"a move loses requests of the youngest one": {[]*corev1.Service{service("a"), service("b", byLabel)}, election.Policy{MovesLose: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, view(Look(web, nil, test.services, nil)).Policy); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	paused := service("b", asking(api.AnnotationPaused, "true"), asking(api.AnnotationLeaseDuration, "16s"))
	o := Look(web, nil, []*corev1.Service{paused, service("a", asking(api.AnnotationLeaseDuration, "15s"), asking(api.AnnotationProbe, "tcp://:80"))}, nil)
	got := o.Settings()
	if !got.Paused || got.LeaseDuration != 15*time.Second || got.Probe.Port != 80 {
		t.Errorf("paused: %v, duration %s, probe %s; want those of the oldest, and the other's pause", got.Paused, got.LeaseDuration, got.Probe)
	}
	if o.Members[0].Settings.Paused {
		t.Error("the oldest one's own settings were changed")
	}
}

func TestLeaseView(t *testing.T) {
	acquired := metav1.NewMicroTime(start.Add(time.Second))
	lease := func(change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
		l := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{
				Labels: map[string]string{api.LabelManagedBy: api.ManagedBy},
				Annotations: map[string]string{
					api.AnnotationHolderUID: "uid-web-0", api.AnnotationNextHolder: "web-2", api.AnnotationReason: "HolderGone", api.AnnotationDemotedUID: "uid-web-3",
				},
			},
			Spec: coordinationv1.LeaseSpec{
				HolderIdentity: ptr.To("web-1"), LeaseTransitions: ptr.To[int32](4), LeaseDurationSeconds: ptr.To[int32](15),
				AcquireTime: &acquired, RenewTime: ptr.To(metav1.NewMicroTime(now)),
			},
		}
		for _, f := range change {
			f(l)
		}
		return l
	}
	full := election.Lease{Exists: true, Holder: "web-1", HolderUID: "uid-web-0", Epoch: 4, Next: "web-2", Acquired: start.Add(time.Second), Duration: 15 * time.Second}
	with := func(change func(*election.Lease)) election.Lease {
		l := full
		change(&l)
		return l
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  election.Lease
	}{
		"there is none":              {nil, election.Lease{}},
		"one that says everything":   {lease(), full},
		"one that says nothing":      {lease(func(l *coordinationv1.Lease) { l.Annotations, l.Spec = nil, coordinationv1.LeaseSpec{} }), election.Lease{Exists: true}},
		"somebody else's":            {lease(func(l *coordinationv1.Lease) { l.Labels = nil }), with(func(l *election.Lease) { l.Foreign = true })},
		"the highest epoch":          {lease(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(api.MaxEpoch) }), with(func(l *election.Lease) { l.Epoch = 1 << 30 })},
		"an epoch that none reaches": {lease(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(api.MaxEpoch + 1) }), with(func(l *election.Lease) { l.Epoch = 0 })},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Look(web, test.lease, []*corev1.Service{service("a")}, nil)
			if diff := cmp.Diff(test.want, o.LeaseView()); diff != "" {
				t.Errorf("Lease (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	set := func(change func(*election.Candidate)) election.Candidate {
		c := election.Candidate{Name: "web-0", UID: "uid-web-0", Ready: true, ReadySince: start.Add(time.Minute), Created: start}
		change(&c)
		return c
	}
	status := func(phase corev1.PodPhase, ready corev1.ConditionStatus) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Phase, p.Status.Conditions[1].Status = phase, ready }
	}
	tests := map[string]struct {
		pod  *corev1.Pod
		want election.Candidate
	}{
		"a pod that is Ready":                       {pod("web-0"), set(func(*election.Candidate) {})},
		"one that is not Ready":                     {pod("web-0", status(corev1.PodRunning, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready = false })},
		"one of which is not known whether it is":   {pod("web-0", status(corev1.PodRunning, corev1.ConditionUnknown)), set(func(c *election.Candidate) { c.Ready = false })},
		"one that has never been":                   {pod("web-0", func(p *corev1.Pod) { p.Status.Conditions = nil }), set(func(c *election.Candidate) { c.Ready, c.ReadySince = false, time.Time{} })},
		"one that has succeeded":                    {pod("web-0", status(corev1.PodSucceeded, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready, c.Finished = false, true })},
		"one that has failed":                       {pod("web-0", status(corev1.PodFailed, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready, c.Finished = false, true })},
		"one that terminates":                       {pod("web-0", func(p *corev1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }), set(func(c *election.Candidate) { c.Terminating = true })},
		"one that is not to be master":              {pod("web-0", annotated(api.AnnotationCandidate, "false")), set(func(c *election.Candidate) { c.Excluded = true })},
		"one that may be master":                    {pod("web-0", annotated(api.AnnotationCandidate, "true")), set(func(*election.Candidate) {})},
		"one that says that with no meaning":        {pod("web-0", annotated(api.AnnotationCandidate, "no")), set(func(*election.Candidate) {})},
		"one that is preferred":                     {pod("web-0", labelled("tier", "fast")), set(func(c *election.Candidate) { c.Preferred = true })},
		"one that only the younger Service prefers": {pod("web-0", labelled("tier", "slow")), set(func(*election.Candidate) {})},
		"one of a StatefulSet": {
			pod("web-0", labelled("apps.kubernetes.io/pod-index", "12"), labelled("controller-revision-hash", "web-1")),
			set(func(c *election.Candidate) { c.Index, c.Revision = 12, "web-1" }),
		},
		"one whose index is none":                 {pod("web-0", labelled("apps.kubernetes.io/pod-index", "first")), set(func(*election.Candidate) {})},
		"one of a Deployment":                     {pod("web-0", labelled("pod-template-hash", "5b4fb97b6c")), set(func(c *election.Candidate) { c.Revision = "5b4fb97b6c" })},
		"one that carries its identity":           {pod("web-0", labelled(api.LabelPodUID, "uid-web-0")), set(func(c *election.Candidate) { c.Identified = true })},
		"one that carries another's":              {pod("web-0", labelled(api.LabelPodUID, "uid-web-1")), set(func(*election.Candidate) {})},
		"one that the predecessor has left":       {pod("web-0", labelled(api.LabelDesignation, "active")), set(func(c *election.Candidate) { c.Designated = true })},
		"one that the controller has designated":  {pod("web-0", labelled(api.LabelDesignation, "active"), annotated(api.AnnotationLeaseTransitions, "4")), set(func(*election.Candidate) {})},
		"one that the predecessor has not chosen": {pod("web-0", labelled(api.LabelDesignation, "standby")), set(func(*election.Candidate) {})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := Look(web, nil, []*corev1.Service{service("a", asking(api.AnnotationPrefer, "tier=fast")), service("b", asking(api.AnnotationPrefer, "tier=slow"))}, []*corev1.Pod{test.pod})
			if diff := cmp.Diff([]election.Candidate{test.want}, view(o).Candidates, cmpopts.IgnoreUnexported(election.Candidate{})); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

// What another election has designated was not the predecessor's to leave.
func TestCandidateOfAnOlderElectionIsNotDesignated(t *testing.T) {
	older := service("a", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseName) })
	o := Look(web, nil, []*corev1.Service{service("b"), older}, []*corev1.Pod{pod("web-0", labelled(api.LabelDesignation, "active"))})
	if candidates := view(o).Candidates; len(candidates) != 1 || candidates[0].Designated {
		t.Errorf("candidates %+v, want one that is not designated", candidates)
	}
}

// What a View has beside that.
func TestView(t *testing.T) {
	lease := heldBy("uid-web-2")
	routed := service("a", selecting(api.LabelPodUID, "uid-web-0"), asking(api.AnnotationLeaseTransitions, "4"))
	o := Look(web, lease, []*corev1.Service{routed}, []*corev1.Pod{pod("web-0"), pod("web-1"), pod("web-2", labelled("app", "db"))})
	o.Probed = map[types.UID]probe.State{"uid-web-0": probe.Suspected, "uid-web-1": probe.Answering}
	o.DownSince = now.Add(-time.Second)
	is := func(node string) func(string) bool { return func(of string) bool { return of == node } }
	got := o.View(NodeStates{Draining: is("node-of-web-0"), Silent: is("node-of-web-1")}, now)
	if diff := cmp.Diff(election.Trace{Epoch: 4, HolderUID: "uid-web-0"}, got.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if !got.Now.Equal(now) || !got.DownSince.Equal(now.Add(-time.Second)) || got.Lease.HolderUID != "uid-web-2" {
		t.Errorf("it is %s, and %s is down since %s", got.Now, got.Lease.HolderUID, got.DownSince)
	}
	type state struct{ Draining, NodeSilent, Answers, Unresponsive, Unselected bool }
	states := map[string]state{}
	for _, c := range got.Candidates {
		states[c.Name] = state{c.Draining, c.NodeSilent, c.Answers, c.Unresponsive, c.Unselected}
	}
	want := map[string]state{
		"web-0": {Draining: true, Unresponsive: true},
		"web-1": {NodeSilent: true, Answers: true},
		"web-2": {Unselected: true},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestNodes(t *testing.T) {
	o := Look(web, nil, []*corev1.Service{service("a")}, []*corev1.Pod{
		pod("web-0"), pod("web-1", func(p *corev1.Pod) { p.Spec.NodeName = "" }), pod("web-2", func(p *corev1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }),
		pod("web-3", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), pod("web-4", func(p *corev1.Pod) { p.Status.Conditions = nil }),
	})
	if nodes := o.Nodes(); !nodes.HasAll("node-of-web-0", "node-of-web-4") || len(nodes) != 2 {
		t.Errorf("nodes with pods that could become eligible: %v", nodes.UnsortedList())
	}
}
