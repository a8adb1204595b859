package routing

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A switch is driven here to its end from every state that three pods and a
// Service can be left in by users, by the predecessor and by a controller that
// crashed: with each pod's marks and the Service's target any of those below.
// After every single change it must hold that no second pod gets traffic.
// Kubernetes' EndpointSlice controller follows at once; TestHandover has it lag.

var leftMarks = map[string]func(*Pod){
	"no marks":                   func(*Pod) {},
	"the predecessor's active":   designated(api.DesignationActive),
	"an identity":                identified,
	"a standby":                  standby("4"),
	"an active":                  active("4"),
	"an active of the new epoch": active("5"),
	"another pod's identity":     labelled(api.LabelPodUID, "uid-b"),
}

// leftSelected are the values of our key in the selector; empty for none, as
// it is when a Service opts in.
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
								assignment: Assignment{holder, 5}, members: []Member{member(routing, selected, "")},
								pods: []Pod{pod("a", running, leftMarks[a]), pod("b", running, leftMarks[b]), pod("c", running, leftMarks[c])},
							}
							d.run()
						}
					})
				}
			}
		}
	}
}

// drive applies what Next says.
type drive struct {
	t          *testing.T
	name       string
	assignment Assignment
	members    []Member
	pods       []Pod
	backwards  bool
}

func (d *drive) run() {
	d.t.Helper()
	for range 5 {
		if !d.sync() {
			break
		}
	}
	if got := Trace(d.members, d.pods); d.assignment.HolderUID != "" && got != d.assignment {
		d.t.Fatalf("%s: trace %v, want %v", d.name, got, d.assignment)
	}
	want := []types.UID{d.assignment.HolderUID}
	if d.assignment.HolderUID == "" {
		want = nil
	}
	if diff := cmp.Diff(want, d.served(), emptyIsNil); diff != "" {
		d.t.Fatalf("%s: pods with traffic in the end (-want +got):\n%s", d.name, diff)
	}
}

// sync does what can be done at once, and says whether that was not all.
func (d *drive) sync() (more bool) {
	d.t.Helper()
	before := d.served()
	d.members[0].Listed = nil
	if GoingOver(d.members[0]) {
		d.members[0] = d.members[0].listing(d.selected()...)
	}
	Begin(d.assignment, d.members, d.pods)
	last := PhaseCorrect - 1
	for {
		phase, changes := Next(d.assignment, d.members, d.pods)
		if phase == PhaseDone {
			return GoingOver(d.members[0])
		}
		if phase <= last {
			d.t.Fatalf("%s: phase %d comes after phase %d", d.name, phase, last)
		}
		last = phase
		if d.backwards {
			slices.Reverse(changes)
		}
		for _, c := range changes {
			d.apply(c)
			// More than one is possible only where it was so before.
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
	served := append(d.selected(), slices.Collect(maps.Keys(Listed(d.members[0].Slices)))...)
	slices.Sort(served)
	return slices.Compact(served)
}

func (d *drive) apply(p Change) {
	switch p.Kind {
	case KindService:
		merge(d.members[0].Annotations, p.Annotations)
		merge(d.members[0].Spec.Selector, p.Selector)
	case KindPod:
		i := slices.IndexFunc(d.pods, func(pod Pod) bool { return pod.UID == p.UID })
		merge(d.pods[i].Labels, p.Labels)
		merge(d.pods[i].Annotations, p.Annotations)
	case KindEndpointSlice:
		d.members[0].Slices = replaced(d.members[0].Slices, p)
	}
}
