package kubectl

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// subject is a Service whose election is explained, as it is or as it would be.
type subject struct {
	connection
	service *corev1.Service
	o       *observation.Observation
	// state is what the Service is, beside its name; empty if it is annotated in the cluster.
	state string
	// suppose is what would have to happen first; empty if the election is explained as it is.
	suppose string
	// nodesKnown is false if the nodes may not be read.
	nodesKnown bool
	notes      []string
	// lines are what else is to be told, beside what is told of each Service.
	lines []line
}

type line struct{ title, text string }

// subject reads the Service. If it is not annotated, it is looked at as if it were.
func (c connection) subject(ctx context.Context, name string) (*subject, error) {
	found, err := c.live().Service(ctx, c.namespace, name)
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("services %q not found in %s namespace", name, c.namespace)
	}
	t := &subject{connection: c, service: found}
	if !api.Annotated(found) {
		t.service = optedIn(found)
		t.state, t.suppose = "not annotated", c.kubectl("annotate service %s %s=%s", name, api.AnnotationServiceMode, api.ModeActiveStandby)
	}
	w, err := read(ctx, c.live(), c.namespace, t.service)
	if err != nil {
		return nil, err
	}
	if err := t.look(ctx, w); err != nil {
		return nil, err
	}
	t.foresee()
	return t, nil
}

func optedIn(s *corev1.Service) *corev1.Service {
	s = s.DeepCopy()
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
	return s
}

// look looks at the Service's election in the world.
func (t *subject) look(ctx context.Context, w *world) (err error) {
	if !w.seesSlices {
		t.notes = append(t.notes, "EndpointSlices may not be read, so it is unknown to which pods traffic goes")
	}
	if t.o = w.look(t.service); !t.served() {
		return nil
	}
	if t.o, t.nodesKnown, err = t.withNodes(ctx, t.o); err == nil && !t.nodesKnown {
		t.notes = append(t.notes, "nodes may not be read, so it is unknown which are cordoned")
	}
	return err
}

// member returns the Service as a member of its election; nil if it is not served.
func (t *subject) member() *observation.Member {
	if len(t.o.Members) == 0 {
		return nil
	}
	return t.o.Member(t.service.UID)
}

func (t *subject) served() bool { return t.member() != nil }

// problems returns what is wrong with the Service. Of one that is only supposed, it leaves out what
// the controller has yet to do.
func (t *subject) problems(ctx context.Context, st status) ([]problem, error) {
	if t.suppose == "" {
		return t.withRefusal(ctx, t.service, st.Problems)
	}
	var problems []problem
	for _, p := range t.o.Problems[t.service.UID] {
		problems = append(problems, problem{p.Reason, p.Message})
	}
	if t.served() {
		if d := election.Decide(t.o.View()); d.Action == election.Refuse {
			problems = append(problems, problem{string(d.Reason), t.o.Says(d, t.service)})
		}
	}
	return problems, nil
}

// foresee adds where the traffic of a Service would go that does not opt in yet, or only observes.
func (t *subject) foresee() {
	m := t.member()
	if m == nil || t.suppose == "" && !api.Observes(t.service) {
		return
	}
	if d := election.Decide(t.o.View()); d.Action != election.Refuse {
		t.lines = append(t.lines, line{"Traffic", t.traffic(m, d)})
	}
	if _, chosen := m.Annotations[api.AnnotationRouting]; !chosen && m.Settings.Routing == api.RoutingSelector {
		t.notes = append(t.notes, fmt.Sprintf("routing %s is assumed, because the controller's --default-routing is not known", api.RoutingSelector))
	}
}

// traffic says where the traffic goes, and where it would go.
func (t *subject) traffic(m *observation.Member, d election.Decision) string {
	now := "is unknown"
	if t.o.SeesPublished {
		now = "goes to no pod now"
		if names := slices.Sorted(maps.Values(m.Published)); len(names) > 0 {
			now = fmt.Sprintf("goes to %s now", strings.Join(names, ", "))
		}
	}
	how := map[api.Routing]string{
		api.RoutingSelector:      fmt.Sprintf("the controller would label the pods, and select the master in the Service's selector (%s)", api.LabelPodUID),
		api.RoutingLabel:         fmt.Sprintf("the controller would label the master for the Service's selector (%s: %s)", api.LabelDesignation, api.DesignationActive),
		api.RoutingEndpointSlice: fmt.Sprintf("the controller would write the Service's EndpointSlices in the place of Kubernetes (%s: %s)", api.AnnotationRouting, api.RoutingEndpointSlice),
	}[m.Settings.Routing]
	to := "to no pod until one is eligible"
	switch {
	case d.Holder != "" && m.Apart && !t.o.Reaches(m.UID, d.HolderUID):
		to = "to no pod, because the Service does not select the master"
	case d.Holder != "":
		to = "to " + d.Holder + " alone"
	}
	if api.Observes(t.service) {
		how += api.OnlyObserved
	}
	return fmt.Sprintf("%s; would go %s: %s", now, to, how)
}

// hidden are what the controller alone knows.
func (t *subject) hidden() string {
	hidden := "the controller alone knows the nodes' heartbeats"
	switch asked := t.o.Settings().Probe; {
	case asked != (api.Probe{}):
		hidden += ", and what the pods answer to the controller's probe " + asked.String()
	case observation.Leading(t.o.Services, t.o.Key).Annotations[api.AnnotationProbe] != api.ProbeNone:
		hidden += ", and whether it has a --default-probe"
	}
	return hidden
}

// readiness says what each pod is asked, if the Service wants its readiness probe asked; otherwise it
// is empty.
func (t *subject) readiness() string {
	asked := t.o.Settings().Probe
	if asked.Scheme != api.ProbeReadiness {
		return ""
	}
	pods := map[string][]string{}
	for _, p := range t.o.Pods {
		if p.Unselected || !observation.Active(p.Pod) {
			continue
		}
		asked, why := asked.Of(p.Pod)
		says := asked.Shown()
		if why != "" {
			says = "none, because " + why
		}
		pods[says] = append(pods[says], p.Name)
	}
	var groups []string
	for says, names := range pods {
		slices.Sort(names)
		groups = append(groups, fmt.Sprintf("%s: %s", strings.Join(names, ", "), says))
	}
	slices.Sort(groups)
	return strings.Join(groups, "; ")
}
