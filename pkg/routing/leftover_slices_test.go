package routing

import (
	"fmt"
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Whatever own slices are found, with whatever selector and by whatever routing: no
// second pod gets traffic that did not, and in the end the holder alone does.
func TestHandoverFromLeftovers(t *testing.T) {
	own := map[string][]*discoveryv1.EndpointSlice{
		"no slice":              nil,
		"a slice of the holder": {ownSlice("a", "4")},
		"a slice of the holder in an epoch before":   {ownSlice("a", "2")},
		"a slice of another":                         {ownSlice("b", "3")},
		"a slice of another in the same epoch":       {ownSlice("b", "4")},
		"a slice without an endpoint":                {ownSlice("", "3")},
		"a slice of the holder that is handed over":  {ownSlice("a", "4", api.RoutingSelector)},
		"a slice of another that is handed over":     {ownSlice("b", "3", api.RoutingSelector)},
		"a slice of nobody that is handed over":      {ownSlice("", "3", api.RoutingLabel)},
		"a slice of another of a name that is wrong": {named("web-other", ownSlice("b", "4"))},
		"a slice whose stamp cannot be read":         {annotatedSlice(ownSlice("b", "4"), api.AnnotationLeaseTransitions, "x")},
	}
	for name, leftover := range own {
		for _, wanted := range []api.Routing{api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice} {
			for _, selected := range []string{"", api.NoPod, "uid-a", "uid-b"} {
				for _, detached := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, by %s, selected %q, detached %v", name, wanted, selected, detached), func(t *testing.T) {
						m := member(wanted, selected, "3").with(leftover...)
						if detached {
							m = m.detached()
						}
						s := (&scene{member: m, pods: marked()}).settle()
						// Who was the holder before is not known.
						s.switched = true
						exploreFrom(t, s, func(before, after *scene) {
							if served := after.served(); len(served) > max(1, len(before.served())) && !after.open() {
								after.fatal(t, "%v get traffic", served)
							}
						})
					})
				}
			}
		}
	}
}

// What is stamped with a later epoch is left alone, with all that belongs to it.
func TestSlicesOfALaterEpochAreLeftAlone(t *testing.T) {
	for _, wanted := range []api.Routing{api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice} {
		t.Run(string(wanted), func(t *testing.T) {
			members := []Member{member(wanted, "", "4").detached().with(ownSlice("b", "5"))}
			pods := []Pod{pod("a", running, active("4")), pod("b", running, standby("4"))}
			a := Assignment{"uid-a", 4}
			Begin(a, members, pods)
			for {
				phase, changes := Next(a, members, pods)
				if phase == PhaseDone {
					return
				}
				i := slices.IndexFunc(changes, func(c Change) bool { return c.Kind != KindPod })
				if i >= 0 {
					t.Fatalf("phase %d: %v", phase, changes[i])
				}
				for _, c := range changes {
					(&drive{members: members, pods: pods}).apply(c)
				}
			}
		})
	}
}

func named(name string, s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Name = name
	return s
}

func annotatedSlice(s *discoveryv1.EndpointSlice, key, value string) *discoveryv1.EndpointSlice {
	s.Annotations[key] = value
	return s
}
