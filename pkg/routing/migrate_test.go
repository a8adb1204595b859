package routing

import (
	"fmt"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// While a Service migrates from one routing to another, two pods never get traffic, and a
// holder that stays always gets it. The test goes through all orders of the controller's
// writes and crashes, of the steps in which Kubernetes' EndpointSlice controller follows at
// any later time, of changes of the routing, and of a switch.

const optingIn = "a Service that opts in"

var settled = map[string]func() *scene{
	optingIn: func() *scene {
		s := &scene{member: service(api.RoutingEndpointSlice, "", ""), pods: pods{pod("a", running), pod("b", running)}}
		return s.settle()
	},
	"selector": func() *scene {
		return (&scene{member: service(api.RoutingSelector, "uid-a", "4"), pods: marked()}).settle()
	},
	"label": func() *scene {
		return (&scene{member: service(api.RoutingLabel, "", ""), pods: marked()}).settle()
	},
	"endpointslice": func() *scene {
		return (&scene{member: service(api.RoutingEndpointSlice, "", "4", detached, with(ownSlice("a", "4"))), pods: marked()}).settle()
	},
	"endpointslice, with a selector of the label": func() *scene {
		m := service(api.RoutingEndpointSlice, "", "4", detached, selecting(api.LabelDesignation, api.DesignationActive), with(ownSlice("a", "4")))
		return (&scene{member: m, pods: marked()}).settle()
	},
}

func marked() pods { return pods{pod("a", running, active("4")), pod("b", running, standby("4"))} }

// settle makes Kubernetes' controller follow.
func (s *scene) settle() *scene {
	s.assignment = Assignment{"uid-a", 4}
	s.selectors = []map[string]string{s.member.Spec.Selector}
	s.publish()
	return s
}

func TestMigration(t *testing.T) {
	const selector, label, slice = api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice
	choices := [][]api.Routing{
		nil,
		{slice},
		{selector},
		{label},
		{slice, selector},
		{slice, label},
		{selector, slice},
		{label, slice},
		{selector, label},
		{slice, selector, slice},
		{selector, slice, selector},
		{slice, label, slice},
	}
	for from, start := range settled {
		for _, flips := range choices {
			if from == optingIn && slices.Contains(flips, label) {
				// No pod is designated yet, so its user has chosen that none gets traffic.
				continue
			}
			for _, switches := range [][]types.UID{nil, {"uid-b"}, {"uid-b", "uid-a"}} {
				if len(switches)+len(flips) > 3 {
					continue // It takes too long.
				}
				t.Run(fmt.Sprintf("from %s to %v, switched to %v", from, flips, switches), func(t *testing.T) {
					t.Parallel()
					s := start()
					s.flips, s.switches = flips, switches
					explore(t, s)
				})
			}
		}
	}
}

// explore goes through all that can follow.
func explore(t *testing.T, first *scene) {
	t.Helper()
	exploreFrom(t, first, func(_, after *scene) { after.check(t) })
}

func exploreFrom(t *testing.T, first *scene, check func(before, after *scene)) {
	t.Helper()
	seen := map[string]bool{}
	for todo := []*scene{first}; len(todo) > 0; todo = todo[1:] {
		s := todo[0]
		if key := s.String(); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		next := s.successors()
		for _, after := range next {
			check(s, after)
		}
		if len(next) == 0 {
			s.checkEnd(t)
		}
		todo = append(todo, next...)
	}
	t.Logf("%d scenes", len(seen))
}

func (s *scene) check(t *testing.T) {
	t.Helper()
	served := s.served()
	if len(served) > 1 && !s.open() {
		s.fatal(t, "%v get traffic", served)
	}
	if !s.switched && !slices.Contains(served, s.assignment.HolderUID) {
		s.fatal(t, "%v get traffic, without the holder", served)
	}
}

// checkEnd checks what must hold once nothing more happens.
func (s *scene) checkEnd(t *testing.T) {
	t.Helper()
	m := s.member
	s.lists(&m)
	switch {
	case !slices.Equal(s.served(), []types.UID{s.assignment.HolderUID}):
		s.fatal(t, "%v get traffic for ever", s.served())
	case m.Migrating():
		s.fatal(t, "the Service migrates for ever")
	case traced(m, s.pods) != s.assignment:
		s.fatal(t, "the objects tell of %v", traced(m, s.pods))
	}
}
