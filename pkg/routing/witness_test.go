package routing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A pod bears witness of its own stamp, and of when it was master last.
func TestWitness(t *testing.T) {
	copied := func(of string) func(*observation.Pod) { return annotated(api.AnnotationWitness, of) }
	stamp := func(epoch, witness string) keys {
		return keys{api.AnnotationLeaseTransitions: to(epoch), api.AnnotationWitness: to(witness)}
	}
	tests := map[string]struct {
		pod  observation.Pod
		want keys
	}{
		"a new master":                                      {pod("b", standby("4")), stamp("5", "uid-b@5")},
		"a new standby":                                     {pod("a", identified), stamp("5", "uid-a")},
		"a former master keeps its epoch":                   {pod("a", active("4")), keys{api.AnnotationLeaseTransitions: to("5")}},
		"a standby's stamp is not renewed":                  {pod("a", standby("4")), nil},
		"a master that an older version has stamped":        {pod("b", active("5"), copied("")), keys{api.AnnotationWitness: to("uid-b@5")}},
		"a standby that an older version has stamped":       {pod("a", standby("4"), copied("")), stamp("5", "uid-a")},
		"a standby that was copied from a master":           {pod("a", active("9"), copied("uid-z@9")), stamp("5", "uid-a")},
		"a standby that was created with the highest epoch": {pod("a", standby("1073741824"), copied("")), stamp("5", "uid-a")},
		"a former master that is master again":              {pod("b", standby("4"), copied("uid-b@3")), stamp("5", "uid-b@5")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := test.pod
			c := podMarks(Assignment{HolderUID: "uid-b", Epoch: 5}, p, true)
			got := keys{}
			for _, key := range []string{api.AnnotationLeaseTransitions, api.AnnotationWitness} {
				if value, changed := c.Annotations[key]; changed {
					got[key] = value
				}
			}
			if diff := cmp.Diff(test.want, got, emptyIsNil); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTraces(t *testing.T) {
	others := pod("d", elsewhere)
	plan := NewPlan(Assignment{HolderUID: "uid-b", Epoch: 5}, services{service(api.RoutingSelector, api.NoPod, "3")}, pods{pod("c", standby("3")), pod("b", active("2")), pod("a", standby("4")), pod("e", unselected), others})
	want := []Change{
		podPatch("b", nil, keys{api.AnnotationLeaseTransitions: to("4")}),
		podPatch("c", nil, keys{api.AnnotationLeaseTransitions: to("4")}),
		servicePatch(nil, keys{api.AnnotationLeaseTransitions: to("4")}),
	}
	if diff := cmp.Diff(want, plan.Traces(4), emptyIsNil); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestTracesOfServices(t *testing.T) {
	stamp := keys{api.AnnotationLeaseTransitions: to("4")}
	tests := map[string]struct {
		service observation.Member
		want    []Change
	}{
		"one that is open is closed":          {service(api.RoutingSelector, "", ""), []Change{servicePatch(keys{api.LabelPodUID: to(api.NoPod)}, stamp)}},
		"one that leads to a pod":             {service(api.RoutingSelector, "uid-a", "1"), nil},
		"one that leads to no pod":            {service(api.RoutingSelector, api.NoPod, "1"), []Change{servicePatch(nil, stamp)}},
		"one that selects the designation":    {service(api.RoutingLabel, "", ""), []Change{servicePatch(nil, stamp)}},
		"one with slices of the controller's": {service(api.RoutingEndpointSlice, "", "1", detached), []Change{servicePatch(nil, stamp)}},
		"one that Kubernetes does not list":   {service(api.RoutingEndpointSlice, "", "", selectorless), nil},
		"one that has recorded it":            {service(api.RoutingSelector, api.NoPod, "4"), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := NewPlan(Assignment{HolderUID: "uid-b", Epoch: 5}, services{test.service}, pods{pod("b", active("4"))})
			if diff := cmp.Diff(test.want, plan.Traces(4), emptyIsNil); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
