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
// After every single patch it must hold that no second pod gets traffic.

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
								pods: []Pod{pod("a", leftMarks[a]), pod("b", leftMarks[b]), pod("c", leftMarks[c])},
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
	before := d.served()
	last := PhaseCorrect - 1
	for {
		phase, patches := Next(d.assignment, d.members, d.pods)
		if phase == PhaseDone {
			break
		}
		if phase <= last {
			d.t.Fatalf("%s: phase %d comes after phase %d", d.name, phase, last)
		}
		last = phase
		if d.backwards {
			slices.Reverse(patches)
		}
		for _, p := range patches {
			d.apply(p)
			// More than one is possible only where it was so before.
			if after := d.served(); len(after) > max(1, len(before)) {
				d.t.Fatalf("%s: in phase %d %v get traffic", d.name, phase, after)
			} else {
				before = after
			}
		}
	}
	if got := Trace(d.members, d.pods); d.assignment.HolderUID != "" && got != d.assignment {
		d.t.Fatalf("%s: trace %v, want %v", d.name, got, d.assignment)
	}
	want := []types.UID{d.assignment.HolderUID}
	if d.assignment.HolderUID == "" {
		want = nil
	}
	if diff := cmp.Diff(want, d.served()); diff != "" {
		d.t.Fatalf("%s: pods with traffic in the end (-want +got):\n%s", d.name, diff)
	}
}

// served are the pods that get traffic.
func (d *drive) served() (served []types.UID) {
	for _, p := range d.pods {
		if labels.SelectorFromSet(d.members[0].Spec.Selector).Matches(labels.Set(p.Labels)) {
			served = append(served, p.UID)
		}
	}
	return served
}

func (d *drive) apply(p Patch) {
	merge := func(current map[string]string, changes keys) {
		for key, value := range changes {
			if value == nil {
				delete(current, key)
			} else {
				current[key] = *value
			}
		}
	}
	switch p.Kind {
	case KindService:
		merge(d.members[0].Annotations, p.Annotations)
		merge(d.members[0].Spec.Selector, p.Selector)
	case KindPod:
		i := slices.IndexFunc(d.pods, func(pod Pod) bool { return pod.UID == p.UID })
		merge(d.pods[i].Labels, p.Labels)
		merge(d.pods[i].Annotations, p.Annotations)
	}
}
