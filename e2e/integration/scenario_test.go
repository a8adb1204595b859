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
	"k8s.io/apimachinery/pkg/util/sets"
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
			if !played.Uses("stop", "start", "cordon", "uncordon", "taint", "untaint") {
				t.Parallel()
			}
			s := newStage(t)
			s.unguarded = played.Uses("epoch", "replace")
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
	// told counts the events that former steps have shown, by what they have in common
	// with their repetitions.
	told map[string]int
	// made are the names that Kubernetes made up for its EndpointSlices, each followed by
	// what transcripts call it.
	made []string
}

// newStage is not under guard before its first step has ended: until the controller has
// routed it, a new Service has all its pods as endpoints.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{scene: newNamespace(t), names: map[types.UID]string{}, gone: map[types.UID]bool{}, told: map[string]int{}}
	s.hands = scenario.Hands{Client: client, Namespace: s.namespace}
	return s
}

// apart is how long commands are apart, for the controller to react to each.
const apart = time.Second / 2

func (s *stage) Do(c scenario.Command) error {
	s.Helper()
	err := s.do(c)
	if *guarded && byPolicy(err) {
		s.Skipf("%s: %v", c.Verb, err)
	}
	return err
}

func (s *stage) do(c scenario.Command) (err error) {
	s.Helper()
	s.pause(apart)
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
		s.pause(d)
	case "traffic":
		s.traffic, err = s.hands.Follow(s.Context())
		return err
	case "requests", "writes":
	case "hold":
		s.awaitLease(c.Args[0])
		return s.hands.Do(s.Context(), c)
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

func (s *stage) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.Context().Done():
	}
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
	if !p.Bare {
		p.OwnerReferences = s.workload
	}
	p.Spec.NodeName, p.Spec.Containers[0].Ports = node, p.Ports()
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
	for i, line := range expected {
		expected[i] = leaving.Replace(line)
	}
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
		s.pause(steady / 5)
	}
}

// next prepares the next step.
func (s *stage) next() error {
	if s.traffic != nil {
		s.traffic.Stop()
		s.traffic = nil
	}
	if s.guard == nil && !s.unguarded && !s.crowded() {
		s.guard = guard.New(s.T, client, s.namespace)
	}
	for what, said := range s.said() {
		s.told[what] = said.count
	}
	return nil
}

// crowded reports whether a Service has several ready endpoints.
func (s *stage) crowded() bool {
	s.Helper()
	ready := map[string]int{}
	for _, slice := range assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		for _, e := range slice.Endpoints {
			if ptr.Deref(e.Conditions.Ready, true) {
				ready[slice.Labels[discoveryv1.LabelServiceName]]++
			}
		}
	}
	return slices.ContainsFunc(slices.Collect(maps.Values(ready)), func(n int) bool { return n > 1 })
}

// lines are what a step looks like.
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
	events := sets.New[string]()
	said := s.said()
	for what, said := range said {
		if s.told[what] == 0 {
			events = events.Union(said.lines)
		}
	}
	for line := range events {
		if strings.HasPrefix(line, tooEarly) {
			events.Delete(line)
		}
	}
	// Each replica reports a problem, one of them later than the other. What is said again
	// counts therefore only if it is expected.
	for _, line := range expected {
		if said, found := said[subject(line)]; found && (said.repeated || said.lines.Has(line) && said.count > s.told[subject(line)]) {
			events.Insert(line)
		}
	}
	for i, line := range lines {
		lines[i] = leaving.Replace(line)
	}
	return append(lines, sets.List(events)...), nil
}

// tooEarly begins an event that a replica may record without need: when its cache of pods is
// behind the Lease that the other replica has written.
const tooEarly = scenario.EventPrefix + "Warning NobodyEligible "

// leaving makes a pod that is gone of one that was seen to be terminating, because the API
// server shows any pod that is deleted as terminating, if only for a moment.
var leaving = strings.NewReplacer("HolderTerminating", "HolderGone", " is terminating", " does not exist")

// saying are the events that are the same but for their note. Of those the API server is
// told the first note alone, and for minutes only that it was repeated.
type saying struct {
	lines    sets.Set[string]
	count    int
	repeated bool
}

// subject is what events have in common with their repetitions.
func subject(line string) string {
	what, _, _ := strings.Cut(line, ": ")
	return what
}

// said are the events of the namespace's Services by subject.
func (s *stage) said() map[string]*saying {
	s.Helper()
	ofKubernetes := metav1.ListOptions{LabelSelector: discoveryv1.LabelManagedBy + "=" + scenario.BuiltIn}
	for _, slice := range assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), ofKubernetes))(s).Items {
		if !slices.Contains(s.made, slice.Name) {
			s.made = append(s.made, slice.Name, slice.Labels[discoveryv1.LabelServiceName]+"-k8s")
		}
	}
	all := map[string]*saying{}
	for _, e := range assert.Must(client.EventsV1().Events(s.namespace).List(s.Context(), metav1.ListOptions{}))(s).Items {
		if e.Regarding.Kind != "Service" || !strings.HasPrefix(e.ReportingController, api.Domain) {
			continue
		}
		about := ""
		if e.Related != nil {
			about = e.Related.Name
		}
		note := strings.NewReplacer(s.made...).Replace(e.Note)
		line := scenario.EventPrefix + leaving.Replace(scenario.EventLine(e.Type, e.Reason, e.Action, e.Regarding.Name, about, note))
		said := all[subject(line)]
		if said == nil {
			said = &saying{lines: sets.New[string]()}
			all[subject(line)] = said
		}
		said.lines.Insert(line)
		said.count++
		said.repeated = said.repeated || e.Series != nil
	}
	return all
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
