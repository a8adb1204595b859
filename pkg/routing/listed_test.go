package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestListed(t *testing.T) {
	endpoint := func(uid types.UID, ready *bool) discoveryv1.Endpoint {
		e := ownSlice("a", "4").Endpoints[0]
		e.TargetRef.UID, e.Conditions.Ready = uid, ready
		return e
	}
	slice := func(endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{Endpoints: endpoints}
	}
	yes, no := true, false
	withoutPod := endpoint("uid-x", &yes)
	withoutPod.TargetRef = nil
	tests := map[string]struct {
		slices []*discoveryv1.EndpointSlice
		want   map[types.UID]bool
	}{
		"nothing": {nil, map[types.UID]bool{}},
		"some are ready, and some are not": {
			[]*discoveryv1.EndpointSlice{slice(endpoint("uid-a", &yes), endpoint("uid-b", &no))},
			map[types.UID]bool{"uid-a": true, "uid-b": false},
		},
		"who is not said to be not ready is ready": {
			[]*discoveryv1.EndpointSlice{slice(endpoint("uid-a", nil))},
			map[types.UID]bool{"uid-a": true},
		},
		"who is ready in one of them is ready": {
			[]*discoveryv1.EndpointSlice{slice(endpoint("uid-a", &yes)), slice(endpoint("uid-a", &no))},
			map[types.UID]bool{"uid-a": true},
		},
		"an endpoint that is no pod": {
			[]*discoveryv1.EndpointSlice{slice(withoutPod)},
			map[types.UID]bool{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Listed(test.slices)); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGoingOver(t *testing.T) {
	const selector, slice = api.RoutingSelector, api.RoutingEndpointSlice
	selectorless := member(slice, "", "")
	selectorless.Spec.Selector, selectorless.Settings.Selectorless = nil, true
	tests := map[string]struct {
		member Member
		want   bool
	}{
		"by selector, at rest":                        {member(selector, "uid-a", "4"), false},
		"by selector, the Service is yet detached":    {member(selector, "", "4").detached(), true},
		"by selector, there are own slices yet":       {member(selector, "uid-a", "4").with(ownSlice("a", "4")), true},
		"by EndpointSlice, at rest":                   {member(slice, "", "4").detached().with(ownSlice("a", "4")), false},
		"by EndpointSlice, the Service is published":  {member(slice, "uid-a", "4").with(ownSlice("a", "4")), true},
		"by EndpointSlice, there are no slices":       {member(slice, "", "4").detached(), true},
		"by EndpointSlice, they are handing over yet": {member(slice, "", "4").detached().with(ownSlice("a", "4", slice)), true},
		"without a selector, at rest":                 {selectorless.with(ownSlice("a", "4")), false},
		"without a selector, there are no slices":     {selectorless.with(), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := GoingOver(test.member); got != test.want {
				t.Errorf("going over: %v, want %v", got, test.want)
			}
		})
	}
}
