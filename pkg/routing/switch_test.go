package routing

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A switch is driven to its end from every state in which users, the predecessor and a
// controller that crashed can leave three pods and a Service: with each pod's marks and
// the Service's target any of those below. After every single change, no second pod gets
// traffic. Kubernetes' EndpointSlice controller follows at once; TestMigration has it lag.

var leftMarks = map[string]func(*observation.Pod){
	"no marks":                   func(*observation.Pod) {},
	"the predecessor's active":   designated(api.DesignationActive),
	"an identity":                identified,
	"a standby":                  standby("4"),
	"an active":                  active("4"),
	"an active of the new epoch": active("5"),
	"another pod's identity":     labelled(api.LabelPodUID, "uid-b"),
}

// leftSelected are the values of the controller's key in the selector; empty for no key,
// as when a Service opts in.
var leftSelected = map[api.Routing][]string{
	api.RoutingSelector: {"", api.NoPod, "uid-a", "uid-b", "uid-c"},
	api.RoutingLabel:    {""},

	api.RoutingEndpointSlice: {"", api.NoPod, "uid-a", "uid-b", "uid-c"},
}

func TestSwitch(t *testing.T) {
	marks := slices.Sorted(maps.Keys(leftMarks))
	for routing, targets := range leftSelected {
		for _, selected := range targets {
			for _, holder := range []types.UID{"uid-a", "uid-b", ""} {
				for _, backwards := range []bool{false, true} {
					t.Run(fmt.Sprintf("by %s from %q to %q, patches of a phase backwards: %v", routing, selected, holder, backwards), func(t *testing.T) {
						for i := range len(marks) * len(marks) * len(marks) {
							a, b, c := marks[i%len(marks)], marks[i/len(marks)%len(marks)], marks[i/len(marks)/len(marks)]
							d := drive{
								t: t, name: a + ", " + b + ", " + c, backwards: backwards,
								assignment: Assignment{holder, 5}, members: services{service(routing, selected, "")},
								pods: pods{pod("a", running, leftMarks[a]), pod("b", running, leftMarks[b]), pod("c", running, leftMarks[c])},
							}
							d.run()
						}
					})
				}
			}
		}
	}
}

// drive applies what a Plan asks for.
type drive struct {
	t          *testing.T
	name       string
	assignment Assignment
	members    services
	pods       pods
	backwards  bool
}

func (d *drive) run() {
	d.t.Helper()
	for range 5 {
		if !d.sync() {
			break
		}
	}
	if got := traced(d.members[0], d.pods); d.assignment.HolderUID != "" && got != d.assignment {
		d.t.Fatalf("%s: the objects tell of %v, want %v", d.name, got, d.assignment)
	}
	want := []types.UID{d.assignment.HolderUID}
	if d.assignment.HolderUID == "" {
		want = nil
	}
	if diff := cmp.Diff(want, d.served(), emptyIsNil); diff != "" {
		d.t.Fatalf("%s: pods with traffic in the end (-want +got):\n%s", d.name, diff)
	}
}

// sync does what can be done at once, and reports whether that was not all.
func (d *drive) sync() (more bool) {
	d.t.Helper()
	before := d.served()
	d.members[0].Listed = nil
	if d.members[0].Migrating() {
		listing(d.selected()...)(&d.members[0])
		d.members[0].Followed = d.members[0].Labels[api.LabelMigrating]
	}
	plan := NewPlan(d.assignment, d.members, d.pods)
	last := PhaseCorrect - 1
	for {
		phase, changes := plan.Next()
		if phase == PhaseDone {
			return plan.Migrating()
		}
		if phase <= last {
			d.t.Fatalf("%s: phase %d comes after phase %d", d.name, phase, last)
		}
		last = phase
		if d.backwards {
			slices.Reverse(changes)
		}
		for _, c := range changes {
			d.apply(plan, c)
			// More than one pod gets traffic only where that was so before.
			if after := d.served(); len(after) > max(1, len(before)) {
				d.t.Fatalf("%s: in phase %d %v get traffic", d.name, phase, after)
			} else {
				before = after
			}
		}
	}
}

// selected are the pods that the Service's selector matches.
func (d *drive) selected() (selected []types.UID) {
	for _, p := range d.pods {
		if labels.SelectorFromSet(d.members[0].Spec.Selector).Matches(labels.Set(p.Labels)) {
			selected = append(selected, p.UID)
		}
	}
	return selected
}

// served are the pods that get traffic.
func (d *drive) served() []types.UID {
	served := append(d.selected(), slices.Collect(maps.Keys(observation.Listed(d.members[0].Slices)))...)
	slices.Sort(served)
	return slices.Compact(served)
}

// apply makes a change of the plan, and tells the plan its result.
func (d *drive) apply(plan *Plan, c Change) {
	switch c.Kind {
	case KindService:
		now := d.members[0].DeepCopy()
		merge(now.Labels, c.Labels)
		merge(now.Annotations, c.Annotations)
		merge(now.Spec.Selector, c.Selector)
		d.members[0].Service = now
		plan.Applied(c, now)
	case KindPod:
		i := slices.IndexFunc(d.pods, func(pod observation.Pod) bool { return pod.UID == c.UID })
		now := d.pods[i].DeepCopy()
		merge(now.Labels, c.Labels)
		merge(now.Annotations, c.Annotations)
		d.pods[i].Pod = now
		plan.Applied(c, now)
	case KindEndpointSlice:
		d.members[0].Slices = changed(d.members[0].Slices, c)
		applySlice(plan, c)
	}
}

// traced is what an observation reads back from the objects.
func traced(m observation.Member, pods pods) Assignment {
	service := m.DeepCopy()
	service.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
	in := observation.Inputs{Key: observation.LeaseKey(service), Services: []*corev1.Service{service}, Slices: m.Slices}
	for _, p := range pods {
		in.Pods = append(in.Pods, p.Pod)
	}
	trace := observation.Look(in).View().Trace
	return Assignment{trace.HolderUID, trace.Epoch}
}
