package routing

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// scene is everything that the future of a Service depends on, while its routing is
// changed, its holder switched, and its pods a and b are Ready.
type scene struct {
	// member and pods are what the API server has.
	member     observation.Member
	pods       pods
	assignment Assignment

	// past are earlier versions of the Service, in which a replica that lags may still believe.
	past services

	// selectors are those of the Service, with the label of its migration: the one that
	// Kubernetes' controller works with, and then those that it has yet to hear of, in order.
	selectors []map[string]string
	// published are the pods that Kubernetes' controller lists, in a slice with that label.
	published []types.UID
	followed  string

	// plan is that of the sync that is running, nil if none is. It is outdated once another
	// writer has changed the Service.
	plan     *Plan
	outdated bool

	// flips are the routings that the user has yet to choose, and switches the
	// holders that are yet to be elected.
	flips    []api.Routing
	switches []types.UID
	switched bool

	path []string
}

func (s *scene) clone(step string) *scene {
	c := *s
	c.path = append(slices.Clone(s.path), step)
	c.member.Service = s.member.DeepCopy()
	c.pods = nil
	for _, p := range s.pods {
		p.Pod = p.DeepCopy()
		c.pods = append(c.pods, p)
	}
	return &c
}

// String tells scenes apart, whatever their path.
func (s *scene) String() string {
	line := describe(s.member)
	for _, m := range s.past {
		line += "; " + describe(m)
	}
	for _, p := range s.pods {
		line += fmt.Sprintf("; %v %v", p.Labels, p.Annotations)
	}
	line += fmt.Sprintf("; %v; %v -> %v %s; %v %v %v", s.assignment, s.selectors, s.published, s.followed, s.flips, s.switches, s.switched)
	if s.plan != nil {
		look := s.plan.members[0]
		line += fmt.Sprintf("; %v %s %v %v", s.outdated, describe(look.Member), look.Listed, look.inForce)
	}
	return line
}

func describe(m observation.Member) string {
	line := fmt.Sprint(m.Settings.Routing, labelledSelector(m), m.Annotations)
	for i, own := range m.Slices {
		line += fmt.Sprint(" ", slices.Collect(maps.Keys(observation.Listed(m.Slices[i:i+1]))), own.Annotations)
	}
	return line
}

// behindMost is by how many changes of a Service Kubernetes' controller can be late.
const behindMost = 4

// outdatedMost is by how many changes of the Service a replica can be late.
const outdatedMost = 2

// successors are what can happen next.
func (s *scene) successors() (all []*scene) {
	if len(s.selectors) > 1 {
		c := s.clone(fmt.Sprintf("Kubernetes follows to %v", s.selectors[1]))
		c.selectors = s.selectors[1:]
		c.publish()
		all = append(all, c)
	}
	if len(s.selectors) > behindMost {
		return all
	}
	if !slices.Equal(s.published, s.selected()) {
		c := s.clone("Kubernetes follows the pods")
		c.publish()
		all = append(all, c)
	}
	if len(s.flips) > 0 {
		all = append(all, s.flip())
	}
	if s.plan == nil {
		if len(s.switches) > 0 {
			c := s.clone("elected is " + string(s.switches[0]))
			c.assignment, c.switches, c.switched = Assignment{s.switches[0], s.assignment.Epoch + 1}, s.switches[1:], true
			all = append(all, c)
		}
		return append(all, s.start()...)
	}
	c := s.clone("crash")
	c.plan = nil
	all = append(all, c)
	_, changes := s.plan.Next()
	for _, change := range changes {
		all = append(all, s.apply(change))
	}
	return all
}

// start begins a sync, if there is something to write: of a replica that knows everything,
// or of one that has not heard of the Service's last changes.
func (s *scene) start() (all []*scene) {
	for i, m := range append(slices.Clone(s.past), s.member) {
		m.Slices = s.member.Slices
		outdated := i < len(s.past)
		if m.Migrating() {
			if outdated {
				continue // A migration is decided on what the API server has.
			}
			s.lists(&m)
		}
		plan := NewPlan(s.assignment, services{m}, s.pods)
		if phase, _ := plan.Next(); phase == PhaseDone {
			continue
		}
		c := s.clone("sync")
		if outdated {
			c.path[len(c.path)-1] += ", outdated by " + fmt.Sprint(len(s.past)-i)
		}
		c.plan, c.outdated = plan, outdated
		all = append(all, c)
	}
	return all
}

// remember keeps what the Service was before a change.
func (s *scene) remember(before observation.Member) {
	before.Slices = nil
	s.past = append(slices.Clone(s.past), before)
	s.past = s.past[max(0, len(s.past)-outdatedMost):]
}

func (s *scene) flip() *scene {
	to := s.flips[0]
	c := s.clone("the user wants " + string(to))
	c.remember(s.member)
	c.flips, c.outdated = s.flips[1:], true
	c.member.Settings.Routing = to
	switch to {
	case api.RoutingLabel:
		c.member.Spec.Selector[api.LabelDesignation] = api.DesignationActive
	case api.RoutingSelector:
		delete(c.member.Spec.Selector, api.LabelDesignation)
	}
	return c.wroteService()
}

// wroteService tells Kubernetes' controller of a selector that is new.
func (s *scene) wroteService() *scene {
	if now := labelledSelector(s.member); !maps.Equal(s.selectors[len(s.selectors)-1], now) {
		s.selectors = append(slices.Clone(s.selectors), now)
	}
	return s
}

// labelledSelector is the Service's selector, with the label of its migration.
func labelledSelector(m observation.Member) map[string]string {
	selector := maps.Clone(m.Spec.Selector)
	if epoch, migrating := m.Labels[api.LabelMigrating]; migrating {
		selector[api.LabelMigrating] = epoch
	}
	return selector
}

// publish lets Kubernetes' controller write its slice.
func (s *scene) publish() { s.published, s.followed = s.selected(), s.selectors[0][api.LabelMigrating] }

// lists gives the member what Kubernetes' controller lists.
func (s *scene) lists(m *observation.Member) {
	if listing(s.published...)(m); len(s.published) > 0 {
		m.Followed = s.followed
	}
}

// apply writes a change of the plan. The sync ends with a conflict if the plan is outdated.
func (s *scene) apply(change Change) *scene {
	c := s.clone(fmt.Sprintf("the controller writes %s %s", change.Kind, change.Name))
	c.plan = copied(s.plan)
	switch change.Kind {
	case KindService:
		if s.outdated {
			c.plan = nil
			return c
		}
		c.remember(s.member)
		merge(c.member.Annotations, change.Annotations)
		merge(c.member.Labels, change.Labels)
		merge(c.member.Spec.Selector, change.Selector)
		c.plan.Applied(change, c.member.Service)
		return c.wroteService()
	case KindPod:
		i := slices.IndexFunc(c.pods, func(p observation.Pod) bool { return p.UID == change.UID })
		merge(c.pods[i].Labels, change.Labels)
		merge(c.pods[i].Annotations, change.Annotations)
		c.plan.Applied(change, c.pods[i].Pod)
	case KindEndpointSlice:
		c.member.Slices = changed(c.member.Slices, change)
		c.path[len(c.path)-1] += fmt.Sprint(": ", describe(c.member))
		applySlice(c.plan, change)
	}
	return c
}

// copied returns a plan that goes on apart from the other.
func copied(p *Plan) *Plan {
	c := *p
	c.members, c.pods, c.reverted = slices.Clone(p.members), slices.Clone(p.pods), maps.Clone(p.reverted)
	return &c
}

// applySlice tells the plan what the API server answers.
func applySlice(p *Plan, change Change) {
	if change.Slice == nil {
		p.Applied(change, nil)
	} else {
		p.Applied(change, change.Slice)
	}
}

// changed are the slices after the change of one.
func changed(own []*discoveryv1.EndpointSlice, change Change) []*discoveryv1.EndpointSlice {
	own = slices.DeleteFunc(slices.Clone(own), func(s *discoveryv1.EndpointSlice) bool { return s.Name == change.Name })
	if change.Slice != nil {
		own = append(own, change.Slice)
	}
	return own
}

func merge(current map[string]string, changes keys) {
	for key, value := range changes {
		if value == nil {
			delete(current, key)
		} else {
			current[key] = *value
		}
	}
}

// selected are the pods that match the selector that Kubernetes' controller knows.
func (s *scene) selected() (selected []types.UID) {
	selector := maps.Clone(s.selectors[0])
	delete(selector, api.LabelMigrating)
	for _, p := range s.pods {
		if labels.SelectorFromSet(selector).Matches(labels.Set(p.Labels)) {
			selected = append(selected, p.UID)
		}
	}
	return selected
}

// served are the pods that get traffic.
func (s *scene) served() []types.UID {
	all := slices.Clone(s.published)
	for uid := range observation.Listed(s.member.Slices) {
		all = append(all, uid)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// open reports whether Kubernetes' controller works with a selector of all pods, or will,
// because the user has removed the key that stood for one pod.
func (s *scene) open() bool {
	return slices.ContainsFunc(s.selectors, func(selector map[string]string) bool {
		return !slices.ContainsFunc([]string{api.LabelPodUID, api.LabelDesignation, api.LabelRouting}, func(key string) bool {
			_, found := selector[key]
			return found
		})
	})
}

func (s *scene) fatal(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Fatalf("%s after\n%s\n%s", fmt.Sprintf(format, args...), strings.Join(s.path, "\n"), s)
}
