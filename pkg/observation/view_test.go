package observation

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// now is when the views are made.
var now = start.Add(time.Hour)

func TestViewSettings(t *testing.T) {
	// Prefer and Probe are not compared.
	type asked struct {
		api.Election
		MovesLose bool
	}
	everything := []func(*corev1.Service){
		asking(api.AnnotationFailback, "10m"), asking(api.AnnotationPrefer, "tier=fast"), asking(api.AnnotationFailoverDelay, "10s"),
		asking(api.AnnotationHandover, "after-termination"), asking(api.AnnotationOnDemote, "delete"),
	}
	all := asked{Election: api.Election{Failback: ptr.To(10 * time.Minute), FailoverDelay: 10 * time.Second, AfterTermination: true, DeleteDemoted: true}}
	byLabel := selecting(api.LabelDesignation, api.DesignationActive)
	tests := map[string]struct {
		services []*corev1.Service
		want     asked
	}{
		"nothing is asked for":                                                    {[]*corev1.Service{service("a")}, asked{}},
		"everything is asked for":                                                 {[]*corev1.Service{service("a", everything...)}, all},
		"the oldest asks for everything":                                          {[]*corev1.Service{service("b"), service("a", everything...)}, all},
		"a younger Service asks for everything":                                   {[]*corev1.Service{service("b", everything...), service("a")}, asked{}},
		"the Service with the Lease's name asks for everything":                   {[]*corev1.Service{service("web", everything...), service("a")}, all},
		"an older Service than the one with the Lease's name asks for everything": {[]*corev1.Service{service("web"), service("a", everything...)}, asked{}},
		"an older Service that is not served asks for everything":                 {[]*corev1.Service{service("a", append(everything, asking(api.AnnotationServiceMode, "x"))...), service("b")}, all},
		"the election is paused":                                                  {[]*corev1.Service{service("a", asking(api.AnnotationPaused, "true"))}, asked{Election: api.Election{Paused: true}}},
		"a Service whose settings do not apply asks for a pause":                  {[]*corev1.Service{service("a"), service("b"), service("c", asking(api.AnnotationPaused, "true"))}, asked{}},
		"the election is paused by the oldest Service, which is not served":       {[]*corev1.Service{service("b"), service("a", asking(api.AnnotationPaused, "true"), asking(api.AnnotationServiceMode, "x"))}, asked{Election: api.Election{Paused: true}}},
		"only the deletion of the former master is asked for":                     {[]*corev1.Service{service("a", asking(api.AnnotationOnDemote, "delete"))}, asked{Election: api.Election{DeleteDemoted: true}}},
		"only after-termination is asked for":                                     {[]*corev1.Service{service("a", asking(api.AnnotationHandover, "after-termination"))}, asked{Election: api.Election{AfterTermination: true}}},
		"a move loses requests":                                                   {[]*corev1.Service{service("a", byLabel)}, asked{MovesLose: true}},
		"a move loses requests of the youngest Service":                           {[]*corev1.Service{service("a"), service("b", byLabel)}, asked{MovesLose: true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := looked(nil, test.services, nil).View()
			if diff := cmp.Diff(test.want, asked{v.Settings, v.MovesLose}, cmpopts.IgnoreFields(api.Election{}, "Prefer", "Probe")); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	younger := service("b", asking(api.AnnotationPaused, "true"), asking(api.AnnotationLeaseDuration, "16s"))
	o := looked(nil, []*corev1.Service{younger, service("a", asking(api.AnnotationLeaseDuration, "15s"), asking(api.AnnotationProbe, "tcp://:80"))}, nil)
	got := o.Settings()
	if got.Paused || got.LeaseDuration != 15*time.Second || got.Probe.Port != 80 {
		t.Errorf("paused: %v, duration %s, probe %s; want those of the oldest", got.Paused, got.LeaseDuration, got.Probe)
	}
}

// owned gives a pod a controller.
func owned(kind, name string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: ptr.To(true)}}
	}
}

func TestCandidates(t *testing.T) {
	set := func(change func(*election.Candidate)) election.Candidate {
		c := election.Candidate{Name: "web-0", UID: "uid-web-0", Ready: true, ReadySince: start.Add(time.Minute), SeenReady: start.Add(time.Minute), Created: start}
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
		"a pod that is Ready":                         {pod("web-0"), set(func(*election.Candidate) {})},
		"a pod that is not Ready":                     {pod("web-0", status(corev1.PodRunning, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready = false })},
		"a pod whose readiness is not known":          {pod("web-0", status(corev1.PodRunning, corev1.ConditionUnknown)), set(func(c *election.Candidate) { c.Ready = false })},
		"a pod that has never been Ready":             {pod("web-0", func(p *corev1.Pod) { p.Status.Conditions = nil }), set(func(c *election.Candidate) { c.Ready, c.ReadySince, c.SeenReady = false, time.Time{}, time.Time{} })},
		"a pod that has succeeded":                    {pod("web-0", status(corev1.PodSucceeded, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready, c.Finished = false, true })},
		"a pod that has failed":                       {pod("web-0", status(corev1.PodFailed, corev1.ConditionFalse)), set(func(c *election.Candidate) { c.Ready, c.Finished = false, true })},
		"a pod that terminates":                       {pod("web-0", func(p *corev1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }), set(func(c *election.Candidate) { c.Terminating = true })},
		"a pod without an address":                    {pod("web-0", func(p *corev1.Pod) { p.Status.PodIPs = nil }), set(func(c *election.Candidate) { c.Addressless = true })},
		"a pod that is kept from being master":        {pod("web-0", annotated(api.AnnotationCandidate, "false")), set(func(c *election.Candidate) { c.Excluded = true })},
		"a pod that may be master":                    {pod("web-0", annotated(api.AnnotationCandidate, "true")), set(func(*election.Candidate) {})},
		"a pod whose annotation has no meaning":       {pod("web-0", annotated(api.AnnotationCandidate, "no")), set(func(*election.Candidate) {})},
		"a pod with a priority":                       {pod("web-0", annotated(api.AnnotationPriority, "-9223372036854775808")), set(func(c *election.Candidate) { c.Priority = math.MinInt64 })},
		"a pod whose priority is too high a number":   {pod("web-0", annotated(api.AnnotationPriority, "9223372036854775808")), set(func(*election.Candidate) {})},
		"a pod that is preferred":                     {pod("web-0", labelled("tier", "fast")), set(func(c *election.Candidate) { c.Preferred = true })},
		"a pod that only the younger Service prefers": {pod("web-0", labelled("tier", "slow")), set(func(*election.Candidate) {})},
		"a pod of a StatefulSet": {
			pod("web-0", labelled("apps.kubernetes.io/pod-index", "12"), labelled("controller-revision-hash", "web-1")),
			set(func(c *election.Candidate) { c.Index, c.Revision = 12, "web-1" }),
		},
		"a pod of a StatefulSet that owns it": {
			pod("web-0", labelled("controller-revision-hash", "web-1"), owned("StatefulSet", "web")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "StatefulSet/web", "web-1" }),
		},
		"a pod of a Deployment's ReplicaSet": {
			pod("web-0", labelled("pod-template-hash", "5b4fb97b6c"), owned("ReplicaSet", "web-5b4fb97b6c")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "ReplicaSet/web", "5b4fb97b6c" }),
		},
		"a pod of an Argo Rollout's ReplicaSet": {
			pod("web-0", labelled("rollouts-pod-template-hash", "687d76d795"), owned("ReplicaSet", "web-687d76d795")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "ReplicaSet/web", "687d76d795" }),
		},
		"a pod of Kruise's CloneSet, which owns it": {
			pod("web-0", labelled("controller-revision-hash", "web-6f9c7d"), owned("CloneSet", "web")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "CloneSet/web", "web-6f9c7d" }),
		},
		"a pod of a ReplicaSet whose owner gives no hash": {
			pod("web-0", labelled("foreign-template-hash", "7"), owned("ReplicaSet", "web-7")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "ReplicaSet/web-7", "web-7" }),
		},
		"a pod of a ReplicaSet that nothing owns": {
			pod("web-0", owned("ReplicaSet", "web-blue")),
			set(func(c *election.Candidate) { c.Workload, c.Revision = "ReplicaSet/web-blue", "web-blue" }),
		},
		"a pod of a Job": {pod("web-0", owned("Job", "web-29")), set(func(c *election.Candidate) { c.Workload = "Job/web-29" })},
		"a pod with an owner that does not control it": {
			pod("web-0", owned("Backup", "web"), func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil }), set(func(*election.Candidate) {}),
		},
		"a pod whose index is no number":                 {pod("web-0", labelled("apps.kubernetes.io/pod-index", "first")), set(func(*election.Candidate) {})},
		"a pod of a Deployment":                          {pod("web-0", labelled("pod-template-hash", "5b4fb97b6c")), set(func(c *election.Candidate) { c.Revision = "5b4fb97b6c" })},
		"a pod that carries its identity":                {pod("web-0", labelled(api.LabelPodUID, "uid-web-0")), set(func(c *election.Candidate) { c.Identified = true })},
		"a pod that carries another's identity":          {pod("web-0", labelled(api.LabelPodUID, "uid-web-1")), set(func(*election.Candidate) {})},
		"a pod that the predecessor has left active":     {pod("web-0", labelled(api.LabelDesignation, "active")), set(func(c *election.Candidate) { c.Designated = true })},
		"a pod that the controller has designated":       {pod("web-0", labelled(api.LabelDesignation, "active"), annotated(api.AnnotationLeaseTransitions, "4")), set(func(*election.Candidate) {})},
		"a pod that the predecessor has left as standby": {pod("web-0", labelled(api.LabelDesignation, "standby")), set(func(*election.Candidate) {})},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := looked(nil, []*corev1.Service{service("a", asking(api.AnnotationPrefer, "tier=fast")), service("b", asking(api.AnnotationPrefer, "tier=slow"))}, []*corev1.Pod{test.pod})
			if diff := cmp.Diff([]election.Candidate{test.want}, o.View().Candidates, cmpopts.IgnoreUnexported(election.Candidate{})); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

// A designation that another election has written is not the predecessor's.
func TestCandidateOfAnOlderElectionIsNotDesignated(t *testing.T) {
	older := service("a", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseName) })
	o := looked(nil, []*corev1.Service{service("b"), older}, []*corev1.Pod{pod("web-0", labelled(api.LabelDesignation, "active"))})
	if candidates := o.View().Candidates; len(candidates) != 1 || candidates[0].Designated {
		t.Errorf("candidates %+v, want one that is not designated", candidates)
	}
}

// TestInactive is of candidates that another election has made standbys.
func TestInactive(t *testing.T) {
	older := service("a", func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseName) }, selecting("tier", "db"))
	byLabel := selecting(api.LabelDesignation, api.DesignationActive)
	db := labelled("tier", "db")
	active, standby := labelled(api.LabelDesignation, api.DesignationActive), labelled(api.LabelDesignation, api.DesignationStandby)
	tests := map[string]struct {
		services []*corev1.Service
		pod      *corev1.Pod
		want     bool
	}{
		"another election's standby, by label":      {[]*corev1.Service{service("b", byLabel), older}, pod("web-0", db, standby), true},
		"another election's master, by label":       {[]*corev1.Service{service("b", byLabel), older}, pod("web-0", db, active), false},
		"another election's standby, by selector":   {[]*corev1.Service{service("b"), older}, pod("web-0", db, standby), false},
		"a standby of its own, by label":            {[]*corev1.Service{service("b", byLabel), older}, pod("web-0", standby), false},
		"another election's standby, by both":       {[]*corev1.Service{service("b"), service("c", byLabel), older}, pod("web-0", db, standby), true},
		"another election's standby, by slice":      {[]*corev1.Service{service("b", byLabel, asking(api.AnnotationRouting, "endpointslice")), older}, pod("web-0", db, standby), false},
		"another election has not looked at it yet": {[]*corev1.Service{service("b", byLabel), older}, pod("web-0", db), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			candidates := looked(nil, test.services, []*corev1.Pod{test.pod}).View().Candidates
			if len(candidates) != 1 || candidates[0].Inactive != test.want {
				t.Errorf("candidates %+v, want one that is inactive: %v", candidates, test.want)
			}
		})
	}
}

// TestView is of what a View has beside settings and candidates.
func TestView(t *testing.T) {
	is := func(node string) func(string) bool { return func(of string) bool { return of == node } }
	got := Look(Inputs{
		Key: web, Now: now, Lease: recordedBy("uid-web-2", 5, ""),
		Services: []*corev1.Service{service("a", selecting(api.LabelPodUID, "uid-web-0"), asking(api.AnnotationLeaseTransitions, "4"))},
		Pods:     []*corev1.Pod{pod("web-0"), pod("web-1"), pod("web-2", labelled("app", "db"))},
		Nodes: Nodes{
			Silent: is("node-of-web-1"),
			Find: func(name string) *corev1.Node {
				if name == "node-of-web-2" {
					return nil
				}
				return &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: name == "node-of-web-0"}}
			},
		},
		Probes: map[types.UID]probe.State{"uid-web-0": probe.Suspected, "uid-web-1": probe.Answering},
		Outage: Outage{Holder: "uid-web-2", Since: now.Add(-time.Second)},
	}).View()
	if diff := cmp.Diff(election.Trace{Stamped: true, Epoch: 4, HolderUID: "uid-web-0", HolderEpoch: 4}, got.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if !got.Now.Equal(now) || !got.DownSince.Equal(now.Add(-time.Second)) || got.Lease.HolderUID != "uid-web-2" {
		t.Errorf("it is %s, and %s is down since %s", got.Now, got.Lease.HolderUID, got.DownSince)
	}
	type state struct{ NodeGone, Draining, NodeSilent, Answers, Unresponsive, Unselected bool }
	states := map[string]state{}
	for _, c := range got.Candidates {
		states[c.Name] = state{c.NodeGone, c.Draining, c.NodeSilent, c.Answers, c.Unresponsive, c.Unselected}
	}
	want := map[string]state{
		"web-0": {Draining: true, Unresponsive: true},
		"web-1": {NodeSilent: true, Answers: true},
		"web-2": {NodeGone: true, Unselected: true},
	}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestViewMigrating(t *testing.T) {
	own := slice("web-master-ipv4", "a", api.SliceManagedBy)
	migrated := service("b", selecting(api.LabelRouting, "endpointslice"), asking(api.AnnotationRouting, "endpointslice"))
	tests := map[string]struct {
		services []*corev1.Service
		slices   []*discoveryv1.EndpointSlice
		want     bool
	}{
		"no member migrates":                        {services: []*corev1.Service{service("a"), service("c")}},
		"a member has slices of old":                {services: []*corev1.Service{service("a"), service("c")}, slices: []*discoveryv1.EndpointSlice{own}, want: true},
		"the youngest member has yet to get slices": {services: []*corev1.Service{service("a"), migrated}, want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := Look(Inputs{Key: web, Now: now, Services: test.services, Slices: test.slices}).View()
			if v.Migrating != test.want {
				t.Errorf("migrating: %v, want %v", v.Migrating, test.want)
			}
		})
	}
}

func TestViewLease(t *testing.T) {
	fifteen := func() *coordinationv1.Lease {
		l := recordedBy("uid-web-0", 1, "")
		l.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy}
		l.OwnerReferences = looked(nil, []*corev1.Service{service("a")}, nil).Terms().Owners
		l.Spec.LeaseDurationSeconds = ptr.To[int32](15)
		l.Annotations[api.AnnotationLeadingService] = "a"
		return l
	}
	read := election.Lease{Exists: true, HolderUID: "uid-web-0", Epoch: 1, Duration: 15 * time.Second, Acquired: now}
	outdated := read
	outdated.Outdated = true
	tests := map[string]struct {
		lease    *coordinationv1.Lease
		duration string
		want     election.Lease
	}{
		"a Lease that is as the Service asks":              {fifteen(), "15s", read},
		"a holder goes by the duration in the Lease":       {fifteen(), "60s", outdated},
		"a holder may believe in a Lease that was deleted": {nil, "60s", election.Lease{Duration: time.Minute, Acquired: now}},
		"a Lease that was deleted, and had no duration":    {nil, "", election.Lease{Acquired: now}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := service("a")
			if test.duration != "" {
				s.Annotations[api.AnnotationLeaseDuration] = test.duration
			}
			if diff := cmp.Diff(test.want, looked(test.lease, []*corev1.Service{s}, nil).View().Lease); diff != "" {
				t.Errorf("Lease (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTerms(t *testing.T) {
	owner := func(name string) metav1.OwnerReference {
		return metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: name, UID: types.UID("uid-" + name)}
	}
	o := looked(nil, []*corev1.Service{
		service("web", asking(api.AnnotationLeaseDuration, "15s"), asking(api.AnnotationOnDemote, "delete")),
		service("a", asking(api.AnnotationLeaseDuration, "16s")), service("b", asking(api.AnnotationServiceMode, "x")),
	}, nil)
	want := lease.Terms{Key: web, Owners: []metav1.OwnerReference{owner("web"), owner("a")}, Duration: 15 * time.Second, Leading: "web", DeleteDemoted: true}
	if diff := cmp.Diff(want, o.Terms()); diff != "" {
		t.Errorf("terms (-want +got):\n%s", diff)
	}
}

func TestNodeNames(t *testing.T) {
	o := looked(nil, []*corev1.Service{service("a")}, []*corev1.Pod{
		pod("web-0"), pod("web-1", func(p *corev1.Pod) { p.Spec.NodeName = "" }), pod("web-2", func(p *corev1.Pod) { p.DeletionTimestamp = &p.CreationTimestamp }),
		pod("web-3", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), pod("web-4", func(p *corev1.Pod) { p.Status.Conditions = nil }),
	})
	if nodes := o.NodeNames(); !nodes.HasAll("node-of-web-0", "node-of-web-4") || len(nodes) != 2 {
		t.Errorf("nodes with pods that could become eligible: %v", nodes.UnsortedList())
	}
}
