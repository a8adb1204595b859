package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// onNode puts a pod on a node, which this replica has heard to be in zone-x.
func onNode(node string) func(*observation.Pod) {
	return func(p *observation.Pod) { p.Spec.NodeName, p.Node.Zone = node, "zone-x" }
}

// placed is a slice whose endpoint names a node, and its zone if that is not empty.
func placed(s *discoveryv1.EndpointSlice, node, zone string) *discoveryv1.EndpointSlice {
	s.Endpoints[0].NodeName = &node
	if zone != "" {
		s.Endpoints[0].Zone = &zone
	}
	return s
}

func TestZone(t *testing.T) {
	const slice = api.RoutingEndpointSlice
	toA := Assignment{"uid-a", 4}
	a, b := pod("a", running, active("4"), onNode("node-1")), pod("b", running, standby("4"), onNode("node-2"))
	by := func(own ...*discoveryv1.EndpointSlice) services {
		return services{service(slice, "", "4", detached, with(own...))}
	}
	tests := map[string]struct {
		assignment Assignment
		members    services
		pods       pods
		// slices are what is written of them.
		slices []*discoveryv1.EndpointSlice
	}{
		"the zone that the slice has of the holder's node stays": {
			toA, by(placed(ownSlice("a", "4"), "node-1", "zone-1")), pods{a, b}, nil,
		},
		"the zone that the slice has of the holder's node stays when its conditions change": {
			toA, by(placed(ownSlice("a", "4"), "node-1", "zone-1")),
			pods{pod("a", running, active("4"), onNode("node-1"), notReady), b},
			[]*discoveryv1.EndpointSlice{unready(placed(ownSlice("a", "4"), "node-1", "zone-1"))},
		},
		"the zone that the slice has of the holder's node stays in the next epoch": {
			Assignment{"uid-a", 5},
			by(placed(ownSlice("a", "4"), "node-1", "zone-1")),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("a", "5"), "node-1", "zone-1")},
		},
		"a slice without a zone gets it": {
			toA, by(placed(ownSlice("a", "4"), "node-1", "")),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("a", "4"), "node-1", "zone-x")},
		},
		"a slice that lists another pod gets the zone of the holder's node": {
			Assignment{"uid-b", 5},
			by(placed(ownSlice("a", "4"), "node-1", "zone-1")),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("b", "5"), "node-2", "zone-x")},
		},
		"a slice that lists another pod of the same node gets the zone that is known now": {
			Assignment{"uid-b", 5},
			by(placed(ownSlice("a", "4"), "node-1", "zone-1")),
			pods{a, pod("b", running, standby("4"), onNode("node-1"))},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("b", "5"), "node-1", "zone-x")},
		},
		"a slice that names another node gets the zone of the holder's node": {
			toA, by(placed(ownSlice("a", "4"), "node-9", "zone-9")),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("a", "4"), "node-1", "zone-x")},
		},
		"a slice that is missing is made with the zone of the holder's node": {
			toA, by(),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(created(ownSlice("a", "4")), "node-1", "zone-x")},
		},
		"a holder without a node has no zone": {
			toA, by(ownSlice("a", "4")), pods{pod("a", running, active("4")), b}, nil,
		},
		"there is no zone without a holder": {
			Assignment{"", 4}, by(ownSlice("", "4")), pods{b}, nil,
		},
		"there is no zone of a holder that is no candidate": {
			toA, by(knowing("a", ownSlice("", "4"))), pods{pod("a", running, unselected, onNode("node-1")), b}, nil,
		},
		"nothing is written by selector": {
			toA, services{service(api.RoutingSelector, "uid-a", "4")}, pods{a, b}, nil,
		},
		"slices that are returning get the zone": {
			toA,
			services{service(api.RoutingSelector, "uid-a", "4", followed("4"), with(placed(ownSlice("a", "4", api.RoutingSelector), "node-1", "")))},
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(ownSlice("a", "4", api.RoutingSelector), "node-1", "zone-x")},
		},
		"the slice of the second of two Services gets the zone": {
			toA, append(by(placed(ownSlice("a", "4"), "node-1", "zone-1")), by()...),
			pods{a, b},
			[]*discoveryv1.EndpointSlice{placed(created(ownSlice("a", "4")), "node-1", "zone-x")},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(test.assignment, test.members, test.pods)
			var written []*discoveryv1.EndpointSlice
			if phase, changes := plan.Next(); phase == PhaseRoute {
				for _, c := range changes {
					written = append(written, c.Slice)
				}
			}
			if diff := cmp.Diff(test.slices, written); diff != "" {
				t.Errorf("slices (-want +got):\n%s", diff)
			}
		})
	}
}

// Replicas that have heard of different zones of a node do not write against each other.
func TestReplicasAgreeOnAZone(t *testing.T) {
	toA := Assignment{"uid-a", 4}
	members := services{service(api.RoutingEndpointSlice, "", "4", detached, with(placed(ownSlice("a", "4"), "node-1", "")))}
	pods := pods{pod("a", running, active("4"), onNode("node-1")), pod("b", running, standby("4"))}
	writes := 0
	for range 3 {
		for _, zone := range []string{"zone-1", "zone-2", ""} {
			pods[0].Node.Zone = zone
			plan := NewPlan(toA, members, pods)
			for {
				phase, changes := plan.Next()
				if phase == PhaseDone {
					break
				}
				for _, c := range changes {
					writes++
					members[0].Slices = changed(members[0].Slices, c)
					plan.Applied(c, c.Slice)
				}
			}
		}
	}
	if writes != 1 {
		t.Errorf("%d writes, want one", writes)
	}
	if zone := members[0].Slices[0].Endpoints[0].Zone; zone == nil || *zone != "zone-1" {
		t.Errorf("the zone is %v, want that of the first write", zone)
	}
}
