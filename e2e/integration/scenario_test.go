//go:build integration

package integration

import (
	"context"
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/guard"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/scenario"
)

var update = flag.Bool("update", false, "write what is seen into the transcripts of pkg/scenario")

// TestScenarios plays the scenarios that pkg/controller plays in a simulated cluster.
func TestScenarios(t *testing.T) {
	scenarios, err := scenario.Read("../../pkg/scenario/testdata", scenario.Real)
	if err != nil {
		t.Fatal(err)
	}
	for _, played := range scenarios {
		t.Run(played.Name, func(t *testing.T) {
			// What all tests share, such as nodes, only one of them may change.
			if !played.Uses("stop", "start", "cordon", "uncordon") {
				t.Parallel()
			}
			s := newStage(t)
			s.unguarded = played.Uses("epoch")
			played.Play(t, s, *update)
		})
	}
}

// stage is a namespace as the world of a scenario.
type stage struct {
	*scene
	hands scenario.Hands
	// names are those of all objects that there ever were in the namespace.
	names map[types.UID]string
	// gone are those that are no more.
	gone    map[types.UID]bool
	traffic *scenario.Traffic
	// unguarded is a scenario that does itself what the guard looks for.
	unguarded bool
	// told counts the events that former steps have shown.
	told map[string]int
}

// newStage is not under guard before its first step has ended: until the controller has
// routed it, a new Service has all its pods as endpoints.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{scene: newNamespace(t), names: map[types.UID]string{}, gone: map[types.UID]bool{}, told: map[string]int{}}
	s.hands = scenario.Hands{Client: client, Namespace: s.namespace}
	return s
}

func (s *stage) Do(c scenario.Command) (err error) {
	s.Helper()
	s.permit(c)
	switch c.Verb {
	case "service":
		return s.create(c)
	case "pod":
		return s.put(c)
	case "stop":
		stopReplicas()
		s.Cleanup(func() {
			if err := startReplicas(context.Background()); err != nil {
				s.Error(err)
			}
		})
	case "start":
		return startReplicas(s.Context())
	case "wait":
		d, err := time.ParseDuration(c.Args[0])
		if err != nil {
			return err
		}
		select {
		case <-time.After(d):
		case <-s.Context().Done():
		}
	case "traffic":
		s.traffic, err = s.hands.Follow(s.Context())
		return err
	case "requests", "writes":
	case "cordon":
		s.Cleanup(func() {
			if err := s.hands.Do(context.Background(), scenario.Command{Verb: "uncordon", Args: c.Args}); err != nil {
				s.Error(err)
			}
		})
		return s.hands.Do(s.Context(), c)
	default:
		return s.hands.Do(s.Context(), c)
	}
	return nil
}

// permit tells the guard what the command allows to happen.
func (s *stage) permit(c scenario.Command) {
	s.Helper()
	if s.guard == nil {
		return
	}
	words := strings.Join(c.Args, " ")
	switch {
	case c.Verb == "service":
		s.guard.Opened(c.Args[0])
	case c.Verb == "slice":
		s.guard.Opened(c.Args[1])
	case c.Verb == "select" && strings.HasSuffix(words, "-"):
		s.guard.Opened(c.Args[0])
	case c.Verb == "delete":
		s.leasesMayGo()
	case strings.Contains(words, api.AnnotationServiceMode):
		s.guard.Opened(c.Args[1])
		s.leasesMayGo()
	case strings.Contains(words, api.AnnotationLeaseName):
		s.leasesMayGo()
	}
}

func (s *stage) leasesMayGo() {
	s.Helper()
	for _, lease := range assert.Must(client.CoordinationV1().Leases(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		s.guard.MayGo(lease.Name)
	}
}

func (s *stage) create(c scenario.Command) error {
	service, err := scenario.NewService(c)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Services(s.namespace).Create(s.Context(), service, metav1.CreateOptions{FieldManager: "kubectl"})
	return err
}

// put creates a pod and waits until it is Ready. One that is not to be Ready becomes a
// candidate only afterwards, because kwok makes all pods Ready.
func (s *stage) put(c scenario.Command) error {
	s.Helper()
	p, err := scenario.NewPod(c)
	if err != nil {
		return err
	}
	node := p.Spec.NodeName
	p.Spec = podSpec()
	p.Spec.NodeName = node
	labels := p.Labels
	if p.Unready {
		p.Labels = nil
	}
	s.eventually("the name is free", func() error {
		_, err = client.CoreV1().Pods(s.namespace).Create(s.Context(), p.Pod, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.awaitReady(p.Name)
	if !p.Unready {
		return nil
	}
	s.setReady(p.Name, false)
	words := []string{"pod", p.Name}
	for key, value := range labels {
		words = append(words, key+"="+value)
	}
	return s.hands.Do(s.Context(), scenario.Command{Verb: "label", Args: words})
}

// steady is for how long the cluster has to look the same before it is believed to have
// settled.
const steady = 1500 * time.Millisecond

// Look waits until the cluster looks as it should, and goes on to.
func (s *stage) Look(want []string) ([]string, error) {
	s.Helper()
	// Replicas compete, so that only the simulated cluster has these.
	asked := func(line string) bool {
		return strings.HasPrefix(line, scenario.Asked("requests")) || strings.HasPrefix(line, scenario.Asked("writes"))
	}
	expected := slices.DeleteFunc(slices.Clone(want), asked)
	var last []string
	since, deadline := time.Now(), time.Now().Add(patience)
	for {
		lines, err := s.lines(expected)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(lines, last) {
			last, since = lines, time.Now()
		}
		now := time.Now()
		if settled := now.Sub(since) > steady && (want == nil || slices.Equal(expected, last)); settled || now.After(deadline) {
			if settled && want != nil {
				last = want
			}
			return last, s.next()
		}
		select {
		case <-time.After(steady / 5):
		case <-s.Context().Done():
			return nil, s.Context().Err()
		}
	}
}

// next prepares the next step.
func (s *stage) next() error {
	if s.traffic != nil {
		s.traffic.Stop()
		s.traffic = nil
	}
	if s.guard == nil && !s.unguarded {
		s.guard = guard.New(s.T, client, s.namespace)
		for _, service := range s.crowded() {
			s.guard.Opened(service)
		}
	}
	for line, count := range s.said() {
		s.told[line] = count
	}
	return nil
}

// crowded are the Services that have several ready endpoints.
func (s *stage) crowded() (names []string) {
	s.Helper()
	ready := map[string]int{}
	for _, slice := range assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				ready[slice.Labels[discoveryv1.LabelServiceName]]++
			}
		}
	}
	for name, count := range ready {
		if count > 1 {
			names = append(names, name)
		}
	}
	return names
}

// lines are what a step looks like. Events that a former step has shown count again only if
// they are expected, because each replica reports problems, one of them later.
func (s *stage) lines(expected []string) ([]string, error) {
	s.Helper()
	if err := s.remember(); err != nil {
		return nil, err
	}
	lines, err := scenario.State(s.Context(), client, s.namespace, s.nameOf)
	if err != nil {
		return nil, err
	}
	if s.traffic != nil {
		lines = append(lines, s.traffic.Line())
	}
	said := s.said()
	for _, line := range slices.Sorted(maps.Keys(said)) {
		if before := s.told[line]; said[line] > before && (before == 0 || slices.Contains(expected, line)) {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// said counts the events of the namespace's Services.
func (s *stage) said() map[string]int {
	s.Helper()
	// Kubernetes makes up the names of its EndpointSlices.
	var made []string
	ofKubernetes := metav1.ListOptions{LabelSelector: discoveryv1.LabelManagedBy + "=" + scenario.BuiltIn}
	for _, slice := range assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), ofKubernetes))(s).Items {
		made = append(made, slice.Name, slice.Labels[discoveryv1.LabelServiceName]+"-k8s")
	}
	said := map[string]int{}
	for _, e := range assert.Must(client.EventsV1().Events(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		if e.Regarding.Kind != "Service" || !strings.HasPrefix(e.ReportingController, api.Domain) {
			continue
		}
		about := ""
		if e.Related != nil {
			about = e.Related.Name
		}
		note := strings.NewReplacer(made...).Replace(e.Note)
		line := scenario.EventPrefix + scenario.EventLine(e.Type, e.Reason, e.Action, e.Regarding.Name, about, note)
		said[line]++
		if e.Series != nil {
			said[line] += int(e.Series.Count) - 1
		}
	}
	return said
}

// remember keeps the names of all objects, and which of them are gone.
func (s *stage) remember() error {
	pods, err := client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	services, err := client.CoreV1().Services(s.namespace).List(s.Context(), metav1.ListOptions{})
	if err != nil {
		return err
	}
	for uid := range s.names {
		s.gone[uid] = true
	}
	for _, o := range pods.Items {
		s.names[o.UID], s.gone[o.UID] = o.Name, false
	}
	for _, o := range services.Items {
		s.names[o.UID], s.gone[o.UID] = o.Name, false
	}
	return nil
}

func (s *stage) nameOf(uid types.UID) string {
	name, known := s.names[uid]
	switch {
	case !known:
		return string(uid)
	case s.gone[uid]:
		return name + " [gone]"
	}
	return name
}
