package routing

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

var (
	migrations = map[migration]string{
		byKubernetes: "byKubernetes", reserving: "reserving", joining: "joining", detaching: "detaching",
		byController: "byController", leaving: "leaving", returning: "returning",
	}
	sliceSteps = map[sliceStep]string{
		publishSlices: "publishSlices", keepSlices: "keepSlices", reserveSlices: "reserveSlices",
		withdrawSlices: "withdrawSlices", retireSlices: "retireSlices", awaitKubernetes: "awaitKubernetes",
	}
)

// classified is the member of an election whose holder a is Ready, unless it is changed.
func classified(m observation.Member, change ...func(*observation.Pod)) (Assignment, member, *observation.Pod) {
	a := Assignment{"uid-a", 4}
	holder := pod("a", append([]func(*observation.Pod){running, active("4")}, change...)...)
	return a, newMember(a, m, &holder), &holder
}

func TestStateOf(t *testing.T) {
	const selector, label, slice = api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice
	tests := map[string]struct {
		member observation.Member
		want   migration
	}{
		"a Service by selector without slices is published by Kubernetes' controller": {
			service(selector, "uid-a", "4"), byKubernetes,
		},
		"a Service by label without slices is published by Kubernetes' controller": {
			service(label, "", ""), byKubernetes,
		},
		"a Service that leaves selector for slices is reserving while Kubernetes' controller lists another pod": {
			service(slice, "uid-a", "4", listing("uid-b")), reserving,
		},
		"a Service that leaves selector for slices is reserving while Kubernetes' controller lists another pod too": {
			service(slice, "uid-a", "4", listing("uid-a", "uid-b")), reserving,
		},
		"a Service that leaves selector for slices is reserving while Kubernetes' controller lists no pod": {
			service(slice, "uid-a", "4", listing()), reserving,
		},
		"a Service that leaves selector for slices is reserving while it asks for another pod": {
			service(slice, "uid-b", "4", listing("uid-a")), reserving,
		},
		"a Service that leaves selector for slices is joining once Kubernetes' controller has followed and lists the holder": {
			service(slice, "uid-a", "4", listing("uid-a"), followed("4")), joining,
		},
		"a Service that leaves selector for slices is reserving while Kubernetes' controller lists the holder of an epoch before": {
			service(slice, "uid-a", "4", listing("uid-a"), followed("2")), reserving,
		},
		"a Service that leaves selector for slices is reserving while Kubernetes' controller lists the holder, and is not known to have followed": {
			service(slice, "uid-a", "4", listing("uid-a")), reserving,
		},
		"a Service that leaves label for slices is reserving while Kubernetes' controller lists another pod": {
			service(label, "", "", wanting(slice), listing("uid-b")), reserving,
		},
		"a Service that leaves label for slices is joining once Kubernetes' controller has followed and lists the holder": {
			service(label, "", "", wanting(slice), listing("uid-a"), followed("4")), joining,
		},
		"a Service that opts in to slices is joining, whatever Kubernetes' controller lists": {
			service(slice, "", "", listing("uid-a", "uid-b")), joining,
		},
		"a Service whose key another writer has removed is joining, whatever Kubernetes' controller lists": {
			service(slice, "", "4", listing("uid-a", "uid-b")), joining,
		},
		"a detached Service is detaching while it has no slices": {
			service(slice, "", "4", detached), detaching,
		},
		"a detached Service is detaching while its slices are transitional": {
			service(slice, "", "4", detached, with(ownSlice("a", "4", slice))), detaching,
		},
		"a Service without a selector is detaching while it has no slices": {
			service(slice, "", "", selectorless), detaching,
		},
		"a detached Service with slices is published by the controller": {
			service(slice, "", "4", detached, with(ownSlice("a", "4"))), byController,
		},
		"a detached Service with slices of another pod is published by the controller": {
			service(slice, "", "4", detached, with(ownSlice("b", "3"))), byController,
		},
		"a Service without a selector, with slices, is published by the controller": {
			service(slice, "", "", selectorless, with(ownSlice("a", "4"))), byController,
		},
		"a detached Service is leaving once its user wants selector": {
			service(selector, "", "4", detached, with(ownSlice("a", "4"))), leaving,
		},
		"a detached Service is leaving once its user wants label": {
			service(label, "", "4", detached, with(ownSlice("a", "4", label))), leaving,
		},
		"a detached Service without slices is leaving once its user wants selector": {
			service(selector, "", "4", detached), leaving,
		},
		"a Service that is published by selector is returning while it has slices": {
			service(selector, "uid-a", "4", with(ownSlice("a", "4", selector))), returning,
		},
		"a Service that is published by label is returning while it has slices": {
			service(label, "", "", with(ownSlice("a", "4", label))), returning,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, m, _ := classified(test.member); stateOf(m) != test.want {
				t.Errorf("state %s, want %s", migrations[stateOf(m)], migrations[test.want])
			}
		})
	}
}

func TestSliceStepOf(t *testing.T) {
	const selector, label, slice = api.RoutingSelector, api.RoutingLabel, api.RoutingEndpointSlice
	// Services of the states in which they differ by what is listed.
	reserves := func(own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(slice, "uid-a", "4", listing("uid-b"), with(own...))
	}
	joins := func(own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(slice, "uid-a", "4", listing("uid-a"), followed("4"), with(own...))
	}
	opened := func(own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(slice, "", "4", listing("uid-a", "uid-b"), with(own...))
	}
	detaches := func(listed types.UID, own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(slice, "", "4", detached, listing(listed), with(own...))
	}
	leaves := func(own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(selector, "", "4", detached, listing(), with(own...))
	}
	leavesAgain := func(listed types.UID, own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(selector, "", "4", detached, listing(listed), with(own...))
	}
	returns := func(own ...*discoveryv1.EndpointSlice) observation.Member {
		return service(selector, "uid-a", "4", listing(), followed("4"), with(own...))
	}
	listsUnready := func(m observation.Member) observation.Member {
		m.Listed = map[types.UID]bool{"uid-a": false}
		return m
	}
	failed := func(p *observation.Pod) { p.Status.Phase = corev1.PodFailed }

	tests := map[string]struct {
		member observation.Member
		holder []func(*observation.Pod)
		want   sliceStep
	}{
		"by Kubernetes' controller, there is nothing but to retire": {member: service(selector, "uid-a", "4"), want: retireSlices},

		"reserving, slices that are missing are reserved":                            {member: reserves(), want: reserveSlices},
		"reserving, slices of another pod are reserved":                              {member: reserves(ownSlice("b", "4", slice)), want: reserveSlices},
		"reserving, slices that list no pod stay reserved":                           {member: reserves(ownSlice("", "4", slice)), want: reserveSlices},
		"reserving, slices that list a second pod are reserved":                      {member: reserves(ownSlice("a", "4", slice), ownSlice("b", "4", slice)), want: reserveSlices},
		"reserving, slices that list the holder alone are kept":                      {member: reserves(ownSlice("a", "4", slice)), want: keepSlices},
		"joining, slices that are missing are published":                             {member: joins(), want: publishSlices},
		"joining, slices that were reserved are published":                           {member: joins(ownSlice("", "4", slice)), want: publishSlices},
		"joining, slices that list the holder stay published":                        {member: joins(ownSlice("a", "4", slice)), want: publishSlices},
		"joining, slices of another pod are withdrawn":                               {member: joins(ownSlice("b", "4", slice)), want: withdrawSlices},
		"opting in, slices are published whatever is listed":                         {member: service(slice, "", "", listing("uid-a", "uid-b")), want: publishSlices},
		"opened by another writer, missing slices wait while another pod is listed":  {member: opened(), want: awaitKubernetes},
		"opened by another writer, reserved slices wait while another pod is listed": {member: opened(ownSlice("", "4", slice)), want: awaitKubernetes},
		"opened by another writer, slices of another are withdrawn":                  {member: opened(ownSlice("b", "4")), want: withdrawSlices},
		"opened by another writer, slices of the holder stay":                        {member: opened(ownSlice("a", "4")), want: publishSlices},

		"detaching, slices that are missing wait while another pod is listed":                       {member: detaches("uid-b"), want: awaitKubernetes},
		"detaching, slices of another pod wait while that pod is listed":                            {member: detaches("uid-b", ownSlice("b", "4", slice)), want: awaitKubernetes},
		"detaching, slices of the holder do not wait for another pod":                               {member: detaches("uid-b", ownSlice("a", "4", slice)), want: publishSlices},
		"detaching, slices of another pod are published for the holder once no other pod is listed": {member: detaches("uid-a", ownSlice("b", "4", slice)), want: publishSlices},
		"opting in, slices do not wait while the Service detaches": {
			member: service(slice, "", "", detached, listing("uid-a", "uid-b")), want: publishSlices,
		},
		"overwritten with its stamp, slices wait while another pod than the holder is listed": {
			member: service(slice, "", "", listing("uid-b")), want: awaitKubernetes,
		},
		"without a selector, slices do not wait for what is left of one": {
			member: service(slice, "", "4", selectorless, listing("uid-b")), want: publishSlices,
		},

		"by the controller, slices of the holder stay published":       {member: service(slice, "", "4", detached, with(ownSlice("a", "4"))), want: publishSlices},
		"by the controller, slices of the former master are published": {member: service(slice, "", "4", detached, with(ownSlice("b", "3"))), want: publishSlices},
		"by the controller, slices that list no pod are published":     {member: service(slice, "", "4", detached, with(ownSlice("", "3"))), want: publishSlices},

		"leaving, slices of the holder are kept":                                                           {member: leaves(ownSlice("a", "4")), want: keepSlices},
		"leaving, slices of the former master that are not transitional yet are kept":                      {member: leaves(ownSlice("b", "3")), want: keepSlices},
		"leaving, slices of the former master that are transitional are withdrawn":                         {member: leaves(ownSlice("b", "3", selector)), want: withdrawSlices},
		"leaving, slices that are missing are not made":                                                    {member: leaves(), want: keepSlices},
		"leaving before Kubernetes has followed, missing slices wait while another pod is listed":          {member: leavesAgain("uid-b"), want: awaitKubernetes},
		"leaving before Kubernetes has followed, slices of another pod wait while that pod is listed":      {member: leavesAgain("uid-b", ownSlice("b", "3", slice)), want: awaitKubernetes},
		"leaving before Kubernetes has followed, slices of the holder stay published":                      {member: leavesAgain("uid-b", ownSlice("a", "4", slice)), want: publishSlices},
		"leaving before Kubernetes has followed, missing slices are published once no other pod is listed": {member: leavesAgain("uid-a"), want: publishSlices},
		"leaving before Kubernetes has followed, slices of another pod are published once no other pod is listed": {
			member: leavesAgain("uid-a", ownSlice("b", "3", slice)), want: publishSlices,
		},

		"returning, slices of the holder are kept until it is listed":                          {member: returns(ownSlice("a", "4", selector)), want: keepSlices},
		"returning, slices of another pod are withdrawn":                                       {member: returns(ownSlice("b", "3", selector)), want: withdrawSlices},
		"returning, slices that list no pod are retired":                                       {member: returns(ownSlice("", "4", selector)), want: retireSlices},
		"returning, slices are kept while the holder is not listed ready":                      {member: listsUnready(returns(ownSlice("a", "4", selector))), want: keepSlices},
		"returning, slices of a holder that is nowhere ready are retired":                      {member: listsUnready(returns(unready(ownSlice("a", "4", selector)))), want: retireSlices},
		"returning, slices of a holder that is never listed are retired":                       {member: returns(ownSlice("a", "4", selector)), holder: []func(*observation.Pod){failed}, want: retireSlices},
		"returning, slices are retired once the holder is listed":                              {member: service(selector, "uid-a", "4", listing("uid-a"), followed("4"), with(ownSlice("a", "4", selector))), want: retireSlices},
		"returning, slices are kept while Kubernetes' controller lists the holder from before": {member: service(selector, "uid-a", "4", listing("uid-a"), with(ownSlice("a", "4", selector))), want: keepSlices},
		"returning to label, slices of the holder are kept until then too":                     {member: service(label, "", "", listing(), with(ownSlice("a", "4", label))), want: keepSlices},
		"returning to label, slices of another election's pod are retired": {
			member: service(label, "", "", listing(), with(ownSlice("a", "4", label))), holder: []func(*observation.Pod){elsewhere}, want: retireSlices,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := sliceStepOf(classified(test.member, test.holder...)); got != test.want {
				t.Errorf("step %s, want %s", sliceSteps[got], sliceSteps[test.want])
			}
		})
	}
}
