package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// act is what the judge is fed with after some seconds.
type act struct {
	after float64
	feed  func(j *judge, at time.Time)
}

var midnight = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func judged(acts []act) *judge {
	j := newJudge()
	at := midnight
	for _, a := range acts {
		at = at.Add(time.Duration(a.after * float64(time.Second)))
		a.feed(j, at)
	}
	return j
}

func sees(o metav1.Object) func(*judge, time.Time) {
	return func(j *judge, at time.Time) { j.see(at, o, false) }
}

func gone(o metav1.Object) func(*judge, time.Time) {
	return func(j *judge, at time.Time) { j.see(at, o, true) }
}

func begins(kind string) func(*judge, time.Time) {
	return func(j *judge, at time.Time) { j.fault(at, kind, true) }
}

func ends(kind string) func(*judge, time.Time) {
	return func(j *judge, at time.Time) { j.fault(at, kind, false) }
}

func refuses(pods ...string) func(*judge, time.Time) {
	return func(j *judge, at time.Time) { j.refuse(at, pods...) }
}

func passes(j *judge, at time.Time) { j.pass(at); j.look() }

var edits int

// active is a pod that is designated, of an application.
func active(name, app string) *corev1.Pod {
	return pod(name, func(p *corev1.Pod) { p.Labels["app"], p.Labels[api.LabelDesignation] = app, api.DesignationActive })
}

// edited is an object that an actor has written.
func edited[T metav1.Object](o T) T {
	edits++
	annotations := map[string]string{annotationEdit: fmt.Sprint(edits)}
	for key, value := range o.GetAnnotations() {
		if key != annotationEdit {
			annotations[key] = value
		}
	}
	o.SetAnnotations(annotations)
	return o
}

// service is an annotated Service with a selector of app=web and further pairs.
func service(name string, selector ...string) *corev1.Service {
	s := manifest(name, "web", nil)
	s.UID = types.UID(name)
	for i := 0; i < len(selector); i += 2 {
		s.Spec.Selector[selector[i]] = selector[i+1]
	}
	return s
}

func closed(name string) *corev1.Service { return service(name, api.LabelPodUID, "a") }

func byLabel(name string) *corev1.Service {
	return service(name, api.LabelDesignation, api.DesignationActive)
}

func annotated(s *corev1.Service, key, value string) *corev1.Service {
	s.Annotations[key] = value
	return s
}

func optedOut(s *corev1.Service) *corev1.Service {
	delete(s.Annotations, api.AnnotationServiceMode)
	return s
}

// pod is a Ready pod whose UID is its name.
func pod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{NodeName: "node"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}}, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(midnight)},
		}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func notReady(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }
func ended(p *corev1.Pod)    { p.Status.Phase = corev1.PodFailed }

func on(node string) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Spec.NodeName = node } }

func designated(value string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels[api.LabelDesignation] = value }
}

var node = &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}

// slice is one of web that lists pods as ready.
func slice(manager string, pods ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "web-" + manager, Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: manager}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, name := range pods {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)},
			TargetRef:  &corev1.ObjectReference{Name: name, UID: types.UID(name)},
		})
	}
	return s
}

func builtIn(pods ...string) *discoveryv1.EndpointSlice {
	return slice(observation.BuiltIn, pods...)
}
func own(pods ...string) *discoveryv1.EndpointSlice { return slice(api.SliceManagedBy, pods...) }

// stamped gives a pod the stamp of an epoch.
func stamped(epoch string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations = map[string]string{api.AnnotationLeaseTransitions: epoch, api.AnnotationWitness: string(p.UID)}
	}
}

func leased(holder string, epoch int32, change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{api.LabelManagedBy: api.ManagedBy}, Annotations: map[string]string{api.AnnotationHolderUID: holder}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &epoch},
	}
	for _, f := range change {
		f(l)
	}
	return l
}

// renewed is at so many seconds after midnight, and valid for ten.
func renewed(seconds int) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) {
		l.Spec.RenewTime, l.Spec.LeaseDurationSeconds = ptr.To(metav1.NewMicroTime(midnight.Add(time.Duration(seconds)*time.Second))), ptr.To[int32](10)
	}
}

func acquired(seconds int) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) {
		l.Spec.AcquireTime = ptr.To(metav1.NewMicroTime(midnight.Add(time.Duration(seconds) * time.Second)))
	}
}

func TestViolations(t *testing.T) {
	listsBoth := []string{"the traffic of Service web goes to a (a) and b (b)"}
	waits := func() *corev1.Service {
		return annotated(closed("web"), api.AnnotationHandover, api.HandoverAfterTermination)
	}
	both := []act{{0, sees(pod("a"))}, {0, sees(pod("b"))}}
	for name, test := range map[string]struct {
		acts []act
		want []string
	}{
		"a Service lists one pod after the other": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a"))}, {0, sees(builtIn("b"))}},
		},
		"a Service must not list two pods": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},
		"two managers must not list two pods": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a"))}, {0, sees(own("b"))}},
			want: listsBoth,
		},
		"two managers may list the same pod": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a"))}, {0, sees(own("a"))}},
		},
		"what lasts is told once": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a", "b"))}, {1, passes}, {1, sees(pod("c"))}},
			want: listsBoth,
		},
		"what comes again is told again": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(builtIn("a", "b"))}, {1, sees(builtIn("a"))}, {1, sees(builtIn("a", "b"))}},
			want: append(listsBoth, listsBoth...),
		},
		"a Service that is not annotated may list two pods": {
			acts: []act{{0, sees(optedOut(service("web")))}, {30, sees(builtIn("a", "b"))}},
		},
		"a Service that has just opted in may list two pods": {
			acts: []act{{0, sees(optedOut(service("web")))}, {0, sees(builtIn("a", "b"))}, {30, sees(edited(service("web")))}, {10, passes}},
		},
		"a Service that has opted in must not stay open": {
			acts: []act{{0, sees(optedOut(service("web")))}, {0, sees(builtIn("a", "b"))}, {30, sees(edited(service("web")))}, {21, passes}},
			want: listsBoth,
		},
		"a Service may stay open while the control plane is frozen": {
			acts: []act{
				{0, sees(optedOut(service("web")))},
				{0, sees(builtIn("a", "b"))},
				{30, sees(edited(service("web")))},
				{0, begins(faultAPIServer)},
				{21, ends(faultAPIServer)},
				{10, passes},
			},
		},
		"a Service must not stay open while labels are refused": {
			acts: []act{{0, sees(service("web"))}, {0, begins(faultPolicy)}, {0, sees(builtIn("a", "b"))}, {21, passes}},
			want: listsBoth,
		},
		"a Service whose selector an actor has overwritten may list two pods": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(edited(service("web")))}, {1, sees(closed("web"))}, {1, sees(builtIn("a", "b"))}},
		},
		"a Service that the controller has opened must not list two pods": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(service("web"))}, {1, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},
		"a Service by label may list two pods when an edit of another lets an overlap begin": {
			acts: []act{{0, sees(byLabel("web"))}, {30, sees(edited(closed("older")))}, {1, sees(builtIn("a", "b"))}},
		},
		"a Service by label may list a master of another that an actor has labelled for it": {
			acts: []act{{0, sees(byLabel("web"))}, {0, sees(active("b", "none"))}, {30, sees(active("b", "web"))}, {1, sees(builtIn("a", "b"))}},
		},
		"a Service by label must not list a pod that the controller has made active": {
			acts: []act{{0, sees(byLabel("web"))}, {0, sees(pod("b"))}, {30, sees(active("b", "web"))}, {1, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},
		"a Service by label that overlaps must not stay open": {
			acts: []act{{0, sees(byLabel("web"))}, {30, sees(edited(closed("older")))}, {1, sees(builtIn("a", "b"))}, {21, passes}},
			want: listsBoth,
		},
		"what the controller writes to another Service is no excuse": {
			acts: []act{{0, sees(byLabel("web"))}, {0, sees(edited(closed("older")))}, {30, sees(service("older"))}, {1, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},
		"an edit that leaves the Service closed is no excuse": {
			acts: []act{{0, sees(closed("web"))}, {30, sees(edited(closed("web")))}, {1, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},

		"a Service that cannot be served may stay open": {
			acts: []act{{0, sees(annotated(service("web"), api.AnnotationServiceMode, "x"))}, {0, sees(builtIn("a", "b"))}, {30, passes}},
		},
		"a Service that cannot be served must not be opened": {
			acts: []act{{0, sees(annotated(closed("web"), api.AnnotationServiceMode, "x"))}, {30, sees(builtIn("a", "b"))}},
			want: listsBoth,
		},

		"epochs rise": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 1))}, {0, sees(leased("b", 2))}, {0, sees(leased("a", 3))}},
		},
		"an epoch must not fall": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 3))}, {0, sees(leased("b", 2))}},
			want: []string{"the epoch of Lease web falls from 3 to 2"},
		},
		"an epoch must not have two holders": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 1))}, {0, sees(leased("b", 1))}},
			want: []string{"epoch 1 of Lease web has two holders, a and then b"},
		},
		"what an actor writes into a Lease is not judged": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 3))}, {0, sees(edited(leased("b", 1)))}, {0, sees(leased("a", 3))}},
		},
		"what the controller makes of a forged epoch is judged": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 3))}, {0, sees(edited(leased("a", 1)))}, {0, sees(leased("b", 2))}},
			want: []string{"the epoch of Lease web falls from 3 to 2"},
		},
		"epochs go on after the Lease was deleted": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(leased("a", 3))}, {0, gone(leased("a", 3))}, {0, sees(leased("b", 1))}},
			want: []string{"the epoch of Lease web falls from 3 to 1"},
		},
		"epochs begin anew after the Lease has gone with its Services": {
			acts: []act{
				{0, sees(closed("web"))},
				{0, sees(leased("a", 3))},
				{0, sees(optedOut(service("web")))},
				{0, gone(leased("a", 3))},
				{0, sees(service("web"))},
				{0, sees(leased("b", 1))},
			},
		},
		"epochs begin anew for a Service that opts in after the Lease of others has gone, and before they leave": {
			acts: []act{
				{0, sees(closed("web"))},
				{0, sees(leased("a", 3))},
				{0, gone(leased("a", 3))},
				{0, sees(annotated(service("late"), api.AnnotationLeaseName, "web"))},
				{0, sees(optedOut(service("web")))},
				{0, sees(leased("b", 1))},
			},
		},
		"epochs go on for a Service that opts in while there is the Lease of others, who leave": {
			acts: []act{
				{0, sees(closed("web"))},
				{0, sees(leased("a", 3))},
				{0, sees(annotated(service("late"), api.AnnotationLeaseName, "web"))},
				{0, sees(optedOut(service("web")))},
				{0, gone(leased("a", 3))},
				{0, sees(leased("b", 1))},
			},
			want: []string{"the epoch of Lease web falls from 3 to 1"},
		},
		"epochs go on from what is stamped if the Lease goes while pods cannot be stamped": {
			acts: []act{
				{0, sees(byLabel("web"))},
				{0, refuses("a", "b")},
				{0, sees(pod("a", stamped("2")))},
				{0, sees(leased("a", 4))},
				{0, gone(leased("a", 4))},
				{0, sees(leased("b", 3))},
			},
		},
		"epochs do not fall below what is stamped though pods cannot be stamped": {
			acts: []act{
				{0, sees(byLabel("web"))},
				{0, refuses("a", "b")},
				{0, sees(pod("a", stamped("2")))},
				{0, sees(leased("a", 4))},
				{0, gone(leased("a", 4))},
				{0, sees(leased("b", 1))},
			},
			want: []string{"the epoch of Lease web falls from 2 to 1"},
		},
		"epochs begin anew if a Service is refused while its Lease goes, and then its pods": {
			acts: []act{
				{0, sees(byLabel("web"))},
				{0, sees(pod("a", stamped("3")))},
				{0, sees(leased("a", 3))},
				{0, sees(annotated(byLabel("web"), api.AnnotationServiceMode, "x"))},
				{0, gone(leased("a", 3))},
				{0, gone(pod("a", stamped("3")))},
				{0, sees(byLabel("web"))},
				{0, sees(leased("b", 1))},
			},
		},
		"epochs go on if a Service is refused while its Lease goes, but not its pods": {
			acts: []act{
				{0, sees(byLabel("web"))},
				{0, sees(pod("a", stamped("3")))},
				{0, sees(leased("a", 3))},
				{0, sees(annotated(byLabel("web"), api.AnnotationServiceMode, "x"))},
				{0, gone(leased("a", 3))},
				{0, sees(byLabel("web"))},
				{0, sees(leased("b", 1))},
			},
			want: []string{"the epoch of Lease web falls from 3 to 1"},
		},
		"epochs go on if the Lease goes, and then its pods, of a Service that is served": {
			acts: []act{
				{0, sees(byLabel("web"))},
				{0, sees(pod("a", stamped("3")))},
				{0, sees(leased("a", 3))},
				{0, gone(leased("a", 3))},
				{0, gone(pod("a", stamped("3")))},
				{0, sees(leased("b", 1))},
			},
			want: []string{"the epoch of Lease web falls from 3 to 1"},
		},
		"epochs begin anew if the Lease goes when a Service has opted in again": {
			acts: []act{
				{0, sees(closed("web"))},
				{0, sees(leased("a", 3))},
				{0, sees(optedOut(service("web")))},
				{0, sees(service("web"))},
				{0, gone(leased("a", 3))},
				{0, sees(leased("b", 1))},
			},
		},

		"nobody follows a master that may run": {
			acts: []act{{0, sees(waits())}, {0, sees(leased("a", 1))}, {0, sees(leased("b", 2))}},
			want: []string{"a is followed and may run, though Service web says after-termination"},
		},
		"a mode that is misspelt ends no safety": {
			acts: []act{{0, sees(waits())}, {0, sees(leased("a", 1))}, {0, sees(edited(annotated(waits(), api.AnnotationServiceMode, "x")))}, {0, sees(leased("b", 2))}},
			want: []string{"a is followed and may run, though Service web says after-termination"},
		},
		"a master that is gone is followed": {
			acts: []act{{0, sees(waits())}, {0, sees(leased("a", 1))}, {0, gone(pod("a"))}, {0, sees(leased("b", 2))}},
		},
		"a master whose containers have ended is followed": {
			acts: []act{{0, sees(waits())}, {0, sees(leased("a", 1))}, {0, sees(pod("a", ended))}, {0, sees(leased("b", 2))}},
		},
		"a master that is not Ready is followed when its Lease has expired": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(pod("a", notReady))}, {0, sees(leased("a", 1, renewed(0)))}, {0, sees(leased("b", 2, renewed(11), acquired(11)))}},
		},
		"a master that is not Ready must not be followed before its Lease has expired": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(pod("a", notReady))}, {0, sees(leased("a", 1, renewed(0)))}, {0, sees(leased("b", 2, renewed(9), acquired(9)))}},
			want: []string{"a is followed, is not Ready and may believe in Lease web for another 1s"},
		},
		"a master that is Ready is followed at once": {
			acts: []act{{0, sees(closed("web"))}, {0, sees(pod("a"))}, {0, sees(leased("a", 1, renewed(0)))}, {0, sees(leased("b", 2, renewed(9), acquired(9)))}},
		},
		"a Service must not be without an endpoint for long": {
			acts: []act{{0, sees(node)}, {0, sees(closed("web"))}, {21, passes}, {21, passes}},
			want: []string{"Service web has no endpoint for 20s, though a pod is eligible and no setting asks to wait"},
		},
		"a Service may be without an endpoint as long as a setting asks to wait": {
			acts: []act{{0, sees(node)}, {0, sees(annotated(closed("web"), api.AnnotationPaused, "true"))}, {21, passes}, {0, sees(closed("web"))}, {19, passes}},
		},
		"a Service may be without an endpoint when the master's node has just come back": {
			acts: []act{{0, sees(node)}, {0, sees(closed("web"))}, {0, sees(leased("a", 1))}, {0, gone(node)}, {1, sees(node)}, {21, passes}},
		},
		"a Service must not be without an endpoint because the master's node is gone": {
			acts: []act{
				{0, sees(node)},
				{0, sees(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other"}})},
				{0, sees(pod("b", on("other")))},
				{0, sees(closed("web"))},
				{0, sees(leased("a", 1))},
				{0, gone(node)},
				{21, passes},
			},
			want: []string{"Service web has no endpoint for 20s, though a pod is eligible and no setting asks to wait"},
		},
		"a Service may be without an endpoint while its pods cannot be labelled": {
			acts: []act{{0, sees(node)}, {0, refuses("a", "b")}, {0, sees(closed("web"))}, {21, passes}},
		},
		"a Service must not be without an endpoint because one of its pods cannot be labelled": {
			acts: []act{{0, sees(node)}, {0, refuses("a")}, {0, sees(closed("web"))}, {21, passes}},
			want: []string{"Service web has no endpoint for 20s, though a pod is eligible and no setting asks to wait"},
		},
		"a Service may be without an endpoint while all replicas are frozen": {
			acts: []act{{0, sees(node)}, {0, begins(faultNoReplica)}, {0, sees(closed("web"))}, {21, passes}},
		},
		"an election that has long been paused must not move": {
			acts: []act{{0, sees(annotated(closed("web"), api.AnnotationPaused, "true"))}, {0, sees(leased("a", 1))}, {21, sees(leased("b", 2))}},
			want: []string{"Lease web moves though Service web is paused"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, v := range judged(append(both[:len(both):len(both)], test.acts...)).violations {
				got = append(got, v.text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("violations (-want +got)", diff)
			}
		})
	}
}

// A replica that has not seen a policy refuse labels may move the master back before the others do.
func TestWrittenToFailBack(t *testing.T) {
	asks := closed("web")
	asks.Annotations[api.AnnotationPrefer], asks.Annotations[api.AnnotationFailback] = "tier=fast", "3s"
	tests := map[string]struct {
		service *corev1.Service
		denied  []string
		after   time.Duration
		want    bool
	}{
		"after a denial":                    {asks, []string{"b"}, 4 * time.Minute, false},
		"long after a denial":               {asks, []string{"b"}, 6 * time.Minute, true},
		"without a denial":                  {asks, nil, time.Minute, true},
		"after a denial, without failback":  {closed("web"), []string{"b"}, time.Minute, true},
		"after a denial of other pods only": {asks, []string{"c"}, time.Minute, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := newJudge()
			for _, act := range []func(*judge, time.Time){sees(test.service), sees(pod("a")), sees(pod("b")), sees(leased("a", 1)), refuses(test.denied...), refuses()} {
				act(j, midnight)
			}
			later := midnight.Add(test.after)
			sees(leased("b", 2))(j, later)
			if got := j.written.Equal(later); got != test.want {
				t.Errorf("written: %v, want %v", got, test.want)
			}
		})
	}
}

// What Kubernetes changes when a node comes back is not what a replica finds to write.
func TestWritten(t *testing.T) {
	started := []func(*judge, time.Time){sees(closed("web")), sees(pod("a")), sees(builtIn("a")), sees(leased("a", 1, renewed(0)))}
	tests := map[string]struct {
		seen func(*judge, time.Time)
		want bool
	}{
		"a Service":              {sees(byLabel("web")), true},
		"a label of a pod":       {sees(pod("a", func(p *corev1.Pod) { p.Labels["tier"] = "slow" })), true},
		"the controller's slice": {sees(own("a")), true},
		"a move":                 {sees(leased("b", 2)), true},
		"a renewal":              {sees(leased("a", 1, renewed(1))), false},
		"the status of a pod":    {sees(pod("a", func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending })), false},
		"a pod is new":           {sees(pod("b")), false},
		"a slice of Kubernetes":  {sees(builtIn("b")), false},
		"a node":                 {sees(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			j := newJudge()
			for _, act := range started {
				act(j, midnight)
			}
			later := midnight.Add(time.Minute)
			test.seen(j, later)
			if got := j.written.Equal(later); got != test.want {
				t.Errorf("written: %v, want %v", got, test.want)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	begun := []act{{0, sees(node)}, {0, sees(closed("web"))}, {0, sees(pod("a"))}, {0, sees(builtIn("a"))}}
	for name, test := range map[string]struct {
		acts []act
		want map[string]time.Duration
	}{
		"a Service without an endpoint has a gap if a pod is eligible": {
			acts: []act{{0, sees(builtIn())}, {2, sees(builtIn("a"))}},
			want: map[string]time.Duration{"none of these": 2 * time.Second},
		},
		"the faults meanwhile are its causes": {
			acts: []act{{0, begins(faultEtcd)}, {1, sees(builtIn())}, {1, begins(faultReplica)}, {1, ends(faultEtcd)}, {1, sees(builtIn("a"))}},
			want: map[string]time.Duration{"a replica, etcd": 3 * time.Second},
		},
		"a fault that has ended is no cause": {
			acts: []act{{0, begins(faultEtcd)}, {1, ends(faultEtcd)}, {1, sees(builtIn())}, {1, sees(builtIn("a"))}},
			want: map[string]time.Duration{"none of these": time.Second},
		},
		"it begins when a pod becomes eligible": {
			acts: []act{{0, sees(pod("a", notReady))}, {0, sees(builtIn())}, {5, sees(pod("a"))}, {1, sees(builtIn("a"))}},
			want: map[string]time.Duration{"none of these": time.Second},
		},
		"a pod on a node that is gone is not eligible": {
			acts: []act{{0, gone(node)}, {0, sees(builtIn())}, {5, sees(builtIn("a"))}},
		},
		"a Service that opts out has no gap any longer": {
			acts: []act{{0, sees(builtIn())}, {1, sees(optedOut(service("web")))}, {5, sees(builtIn("a"))}},
			want: map[string]time.Duration{"none of these": time.Second},
		},
		"what the Service asks for is a cause": {
			acts: []act{{0, sees(annotated(closed("web"), api.AnnotationPaused, "true"))}, {0, sees(builtIn())}, {1, sees(builtIn("a"))}},
			want: map[string]time.Duration{"paused": time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got map[string]time.Duration
			for _, g := range judged(append(begun[:len(begun):len(begun)], test.acts...)).interrupted {
				if got == nil {
					got = map[string]time.Duration{}
				}
				got[strings.Join(g.because(), ", ")] += g.lasted
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("gaps (-want +got)", diff)
			}
		})
	}
}

// unselected is a pod that no Service selects, and that tells which Lease it held.
func unselected(name, lease string) *corev1.Pod {
	return pod(name, func(p *corev1.Pod) {
		p.Labels = map[string]string{"app": "none"}
		p.Annotations = map[string]string{api.AnnotationLeaseTransitions: "1", api.AnnotationWitness: name + "@1/" + lease}
	})
}

func TestUnsettled(t *testing.T) {
	active, standby := pod("a", designated(api.DesignationActive)), pod("b", designated(api.DesignationStandby))
	bySlices := func() *corev1.Service {
		return annotated(service("web", api.LabelRouting, string(api.RoutingEndpointSlice)), api.AnnotationRouting, string(api.RoutingEndpointSlice))
	}
	stamped := func(p *corev1.Pod) { p.Annotations = map[string]string{api.AnnotationLeaseTransitions: "1"} }
	for name, test := range map[string]struct {
		objects []metav1.Object
		want    []string
	}{
		"the holder alone is listed":                    {objects: []metav1.Object{closed("web"), active, standby, leased("a", 1), builtIn("a")}},
		"the holder alone is listed by the controller":  {objects: []metav1.Object{bySlices(), active, standby, leased("a", 1), own("a")}},
		"there is a Lease":                              {objects: []metav1.Object{closed("web")}, want: []string{"there is no Lease web"}},
		"a Service that is not annotated needs nothing": {objects: []metav1.Object{optedOut(service("web")), pod("a"), builtIn("a")}},
		"a pod that is eligible must be master": {
			objects: []metav1.Object{closed("web"), pod("a", notReady, designated(api.DesignationActive)), standby, leased("a", 1), builtIn()},
			want:    []string{"b (b) is eligible, but Lease web has a (a)", "Kubernetes' slices of Service web list [], want [a (a) not ready]"},
		},
		"Kubernetes' controller has made no slice": {objects: []metav1.Object{closed("web"), active, standby, leased("a", 1)}},
		"another must not be listed": {
			objects: []metav1.Object{closed("web"), active, standby, leased("a", 1), builtIn("b")},
			want:    []string{"Kubernetes' slices of Service web list [b (b)], want [a (a)]"},
		},
		"Kubernetes must list none beside the controller": {
			objects: []metav1.Object{bySlices(), active, standby, leased("a", 1), own("a"), builtIn("a")},
			want:    []string{"Kubernetes' slices of Service web list [a (a)] beside the controller's"},
		},
		"the controller's slices must not be left after a migration": {
			objects: []metav1.Object{closed("web"), active, standby, leased("a", 1), own("a"), builtIn("a")},
			want:    []string{"the controller's slices of Service web are left"},
		},
		"a standby must not be designated active": {
			objects: []metav1.Object{closed("web"), active, pod("b", designated(api.DesignationActive)), leased("a", 1), builtIn("a")},
			want:    []string{`b (b) is designated "active", though Lease web has a (a)`},
		},
		"what tells of a master that no Service selects may stay": {
			objects: []metav1.Object{closed("web"), active, standby, leased("a", 1), builtIn("a"), unselected("c", "web"), unselected("d", "gone")},
			want:    []string{"the controller's marks on pod d are left"},
		},
		"a holder that one of two Services selects is the endpoint of that one alone": {
			objects: []metav1.Object{closed("web"), annotated(service("other", "tier", "fast", api.LabelPodUID, "a"), api.AnnotationLeaseName, "web"), active, leased("a", 1), builtIn("a")},
		},
		"by label a standby of an older election is not eligible": {
			objects: []metav1.Object{byLabel("web"), annotated(closed("older"), api.AnnotationLeaseName, "older"), standby, leased("a", 1)},
			want:    []string{"there is no Lease older"},
		},
		"a standby must be designated": {
			objects: []metav1.Object{closed("web"), active, pod("b"), leased("a", 1), builtIn("a")},
			want:    []string{"b (b) has no designation"},
		},
		"nothing must be left of a Service that has opted out": {
			objects: []metav1.Object{optedOut(closed("web")), pod("a", stamped), leased("a", 1), own("a")},
			want: []string{
				"EndpointSlice web-qoqo.dev is left", "Lease web is left", "the controller's marks on Service web are left", "the controller's marks on pod a are left",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := judged([]act{{0, sees(node)}})
			for _, o := range test.objects {
				j.see(midnight, o, false)
			}
			var got []string
			for _, p := range j.unsettled() {
				got = append(got, p.text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("problems (-want +got)", diff)
			}
		})
	}
}

// A Service that migrates waits for Kubernetes, which gives up on a pod whose node was gone.
func TestUnsettledWhileKubernetesHasGivenUp(t *testing.T) {
	migrates := annotated(closed("web"), api.AnnotationRouting, string(api.RoutingEndpointSlice))
	has := designated(api.DesignationActive)
	back := []act{{0, sees(node)}, {9, gone(node)}, {1, sees(node)}}
	for name, test := range map[string]struct {
		acts []act
		pod  *corev1.Pod
		want int
	}{
		"the master is not Ready":                          {back, pod("a", notReady, has), 0},
		"the master is Ready":                              {back, pod("a", has), 1},
		"the master is not Ready, and its node was always": {[]act{{0, sees(node)}, {9, sees(node)}}, pod("a", notReady, has), 1},
	} {
		t.Run(name, func(t *testing.T) {
			j := judged(test.acts)
			for _, o := range []metav1.Object{migrates, test.pod, leased("a", 1), own(), builtIn()} {
				j.see(midnight.Add(20*time.Second), o, false)
			}
			if got := j.unsettled(); len(got) != test.want {
				t.Errorf("problems: %v, want %d", got, test.want)
			}
		})
	}
}

func TestSequence(t *testing.T) {
	type arrival struct {
		second  int
		version uint64
		name    string
	}
	for name, test := range map[string]struct {
		arrivals []arrival
		want     []string
	}{
		"objects come in the order of their versions":     {[]arrival{{1, 5, "five"}, {2, 4, "four"}, {3, 6, "six"}}, []string{"1 four", "1 five", "3 six"}},
		"actions come in the order of their times":        {[]arrival{{1, 5, "five"}, {2, 0, "action"}, {3, 6, "six"}}, []string{"1 five", "2 action", "3 six"}},
		"what came later waits":                           {[]arrival{{1, 5, "five"}, {11, 0, "action"}, {12, 6, "six"}}, []string{"1 five"}},
		"what was written before and came later is taken": {[]arrival{{1, 5, "five"}, {11, 4, "four"}}, []string{"1 four", "1 five"}},
	} {
		t.Run(name, func(t *testing.T) {
			var s sequence
			for _, a := range test.arrivals {
				s.add(input{at: midnight.Add(time.Duration(a.second) * time.Second), version: a.version, feed: func(j *judge, at time.Time) {
					j.act(at, "", fmt.Sprintf("%.0f %s", at.Sub(midnight).Seconds(), a.name))
				}})
			}
			j := newJudge()
			for _, i := range s.take(midnight.Add(10 * time.Second)) {
				i.feed(j, i.at)
			}
			var got []string
			for _, m := range j.history {
				got = append(got, m.text)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error("(-want +got)", diff)
			}
		})
	}
}
