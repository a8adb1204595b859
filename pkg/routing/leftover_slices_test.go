package routing

import (
	"fmt"
	"slices"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Whatever own slices are found, with whatever selector and by whatever routing, no
// second pod begins to get traffic, and in the end the holder alone gets it.
func TestMigrationFromLeftovers(t *testing.T) {
	own := map[string][]*discoveryv1.EndpointSlice{
		"no slice":              nil,
		"a slice of the holder": {ownSlice("a", "4")},
		"a slice of the holder in an earlier epoch":        {ownSlice("a", "2")},
		"a slice of another pod":                           {ownSlice("b", "3")},
		"a slice of another pod in the same epoch":         {ownSlice("b", "4")},
		"a slice without an endpoint":                      {ownSlice("", "3")},
		"a slice of the holder that is transitional":       {ownSlice("a", "4", api.RoutingSelector)},
		"a slice of another pod that is transitional":      {ownSlice("b", "3", api.RoutingSelector)},
		"a slice without an endpoint that is transitional": {ownSlice("", "3", api.RoutingLabel)},
		"a slice of another pod with a wrong name":         {named("web-other", ownSlice("b", "4"))},
		"a slice whose stamp cannot be read":               {annotatedSlice(ownSlice("b", "4"), api.AnnotationLeaseTransitions, "x")},
	}
	for name, leftover := range own {
		for _, wanted := range []api.Routing{api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice} {
			for _, selected := range []string{"", api.NoPod, "uid-a", "uid-b"} {
				for _, isDetached := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, by %s, selected %q, detached %v", name, wanted, selected, isDetached), func(t *testing.T) {
						m := service(wanted, selected, "3", with(leftover...))
						if isDetached {
							detached(&m)
						}
						s := (&scene{member: m, pods: marked()}).settle()
						// The former holder is not known.
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

// A slice that is stamped with a later epoch is left alone, and so is its Service.
func TestSlicesOfALaterEpochAreLeftAlone(t *testing.T) {
	for _, wanted := range []api.Routing{api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice} {
		t.Run(string(wanted), func(t *testing.T) {
			members := services{service(wanted, "", "4", detached, with(ownSlice("b", "5")))}
			pods := pods{pod("a", running, active("4")), pod("b", running, standby("4"))}
			plan := NewPlan(Assignment{"uid-a", 4}, members, pods)
			d := &drive{members: members, pods: pods}
			for {
				phase, changes := plan.Next()
				if phase == PhaseDone {
					return
				}
				i := slices.IndexFunc(changes, func(c Change) bool { return c.Kind != KindPod })
				if i >= 0 {
					t.Fatalf("phase %d: %v", phase, changes[i])
				}
				for _, c := range changes {
					d.apply(plan, c)
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
