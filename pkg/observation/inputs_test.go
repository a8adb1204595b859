package observation

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

func TestNodes(t *testing.T) {
	node := func(change ...func(*corev1.Node)) func(string) *corev1.Node {
		n := &corev1.Node{}
		for _, f := range change {
			f(n)
		}
		return func(string) *corev1.Node { return n }
	}
	tainted := func(key string) func(*corev1.Node) {
		return func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
		}
	}
	cordoned := func(n *corev1.Node) { n.Spec.Unschedulable = true }
	zoned := func(n *corev1.Node) { n.Labels = map[string]string{corev1.LabelTopologyZone: "zone-a"} }
	silent := func(string) bool { return true }
	going := sets.New("going")
	tests := map[string]struct {
		nodes Nodes
		name  string
		want  Node
	}{
		"a node that does not exist is gone":               {Nodes{Find: func(string) *corev1.Node { return nil }}, "node", Node{Gone: true}},
		"a node that does not exist may be silent as well": {Nodes{Find: func(string) *corev1.Node { return nil }, Silent: silent}, "node", Node{Gone: true, Silent: true}},
		"nothing is known of nodes that cannot be read":    {Nodes{DrainTaints: going}, "node", Node{}},
		"a node that cannot be read may be silent":         {Nodes{Silent: silent}, "node", Node{Silent: true}},
		"a pod without a node is on none that is gone":     {Nodes{Find: func(string) *corev1.Node { return nil }, Silent: silent}, "", Node{}},
		"a node at work":                                        {Nodes{Find: node(), DrainTaints: going}, "node", Node{}},
		"a node has a zone":                                     {Nodes{Find: node(zoned)}, "node", Node{Zone: "zone-a"}},
		"a cordoned node is drained":                            {Nodes{Find: node(cordoned, zoned)}, "node", Node{Draining: true, Zone: "zone-a"}},
		"a node with a taint that counts is drained":            {Nodes{Find: node(tainted("other"), tainted("going")), DrainTaints: going}, "node", Node{Draining: true}},
		"a node with another taint is not drained":              {Nodes{Find: node(tainted("other")), DrainTaints: going}, "node", Node{}},
		"a node with a taint is not drained if no taint counts": {Nodes{Find: node(tainted("going"))}, "node", Node{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.nodes.Of(test.name)); diff != "" {
				t.Errorf("node (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOutageSince(t *testing.T) {
	renewedAt := func(l *coordinationv1.Lease, at time.Time) *coordinationv1.Lease {
		l.Spec.RenewTime = ptr.To(metav1.NewMicroTime(at))
		return l
	}
	since := start.Add(time.Minute)
	tests := map[string]struct {
		outage Outage
		lease  *coordinationv1.Lease
		want   time.Time
	}{
		"the holder is still down":                                            {Outage{"uid-web-0", start, since}, renewedAt(heldBy("uid-web-0"), start), since},
		"the holder of a Lease that is not renewed is down":                   {Outage{"uid-web-0", time.Time{}, since}, heldBy("uid-web-0"), since},
		"another pod is holder":                                               {Outage{"uid-web-0", start, since}, renewedAt(heldBy("uid-web-1"), start), time.Time{}},
		"the Lease was renewed by a replica that has seen the holder healthy": {Outage{"uid-web-0", start, since}, renewedAt(heldBy("uid-web-0"), start.Add(time.Second)), time.Time{}},
		"the Lease was renewed for the first time":                            {Outage{"uid-web-0", time.Time{}, since}, renewedAt(heldBy("uid-web-0"), start), time.Time{}},
		"there is no Lease":                                                   {Outage{"", time.Time{}, since}, nil, time.Time{}},
		"nothing is remembered":                                               {Outage{}, heldBy("uid-web-0"), time.Time{}},
		"nothing is remembered of none":                                       {Outage{}, heldBy(""), time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.outage.since(test.lease, true); !got.Equal(test.want) {
				t.Errorf("down since %s, want %s", got, test.want)
			}
		})
	}
}

// everything is what there can be in Inputs, the same at each call.
func everything() Inputs {
	other := func(s *corev1.Service) { delete(s.Annotations, api.AnnotationLeaseName) }
	l := heldBy("uid-web-2")
	l.Spec.RenewTime = ptr.To(metav1.NewMicroTime(start))
	return Inputs{
		Key: web, Evidence: election.Live, Now: now, Lease: l,
		Services: []*corev1.Service{
			service("c", selecting("tier", "db")), service("web", asking(api.AnnotationPrefer, "tier=fast")), service("d", asking(api.AnnotationServiceMode, "x")),
			service("b", asking(api.AnnotationRouting, "endpointslice"), selecting(api.LabelPodUID, "uid-web-2"), asking(api.AnnotationLeaseTransitions, "4"), asking(api.AnnotationPaused, "true")),
			service("a", other), service("e", asking(api.AnnotationFailoverDelay, "1s")),
		},
		Pods: []*corev1.Pod{
			pod("web-1", labelled("tier", "db"), labelled(api.LabelDesignation, "active")), pod("web-0", annotated(api.AnnotationCandidate, "no")),
			pod("web-2", annotated(api.AnnotationLeaseTransitions, "4")), pod("web-3", labelled("tier", "db"), annotated(api.AnnotationCandidate, "no")),
		},
		Slices: []*discoveryv1.EndpointSlice{
			slice("b-master-ipv4", "b", api.SliceManagedBy, ready("web-2")), slice("b-1", "b", BuiltIn, ready("web-1")),
			slice("b-mesh", "b", "mesh", ready("web-1")), slice("b-master-ipv6", "x", "mesh"),
		},
		Nodes:  Nodes{Find: func(string) *corev1.Node { return nil }, Silent: func(string) bool { return true }},
		Probes: map[types.UID]probe.State{"uid-web-1": probe.Answering},
		Outage: Outage{Holder: "uid-web-2", Renewed: start, Since: start},
	}
}

func TestLookChangesNoInputs(t *testing.T) {
	options := cmp.Options{
		cmp.AllowUnexported(Observation{}), cmpopts.IgnoreUnexported(election.Candidate{}), cmpopts.IgnoreTypes(Nodes{}),
		cmp.Comparer(func(a, b labels.Selector) bool { return a.String() == b.String() }),
	}
	in := everything()
	first := Look(in)
	if diff := cmp.Diff(everything(), in, options); diff != "" {
		t.Errorf("Inputs (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(first, Look(in), options); diff != "" {
		t.Errorf("two looks at the same Inputs (-first +second):\n%s", diff)
	}
	if len(first.Members) != 4 || len(first.Pods) == 0 || len(first.Members[1].Slices) == 0 || len(first.Members[1].Listed) == 0 || len(first.View().Candidates) == 0 {
		t.Errorf("too little was seen to show anything: %+v", first)
	}
}
