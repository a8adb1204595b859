package controller

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/scenario"
)

var update = flag.Bool("update", false, "write what is seen into the transcripts of pkg/scenario")

func TestScenarios(t *testing.T) {
	scenarios, err := scenario.Read("../scenario/testdata", scenario.Simulated)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		t.Run(s.Name, func(t *testing.T) {
			inCluster(t, func(c *cluster) { s.Play(c.T, newStage(c), *update) })
		})
	}
}

// stage is the simulated cluster as the world of a scenario: with three nodes, Kubernetes'
// own controllers, and one replica of the controller.
type stage struct {
	*cluster
	hands   scenario.Hands
	replica *started
	// asks are what the step asks to see.
	asks    []string
	traffic *scenario.Traffic
	// pods counts those that there ever were.
	pods int
	// waited means that the step has ended with a wait, so that it needs no more time.
	waited bool
}

func newStage(c *cluster) *stage {
	c.Helper()
	c.Create(fakeapi.Schedulable("node-1"), fakeapi.Schedulable("node-2"), fakeapi.Schedulable("node-3"))
	return &stage{cluster: c, hands: scenario.Hands{Client: c.Users, Namespace: fakeapi.Namespace}, replica: c.start()}
}

// apart is how long commands are apart, so that objects differ in age. It is more than
// the controller needs to react.
const apart = time.Second

func (s *stage) Do(c scenario.Command) (err error) {
	s.waited = c.Verb == "wait"
	if s.waited {
		d, err := time.ParseDuration(c.Args[0])
		s.Wait(d)
		return err
	}
	s.Wait(apart)
	switch c.Verb {
	case "service":
		return s.service(c)
	case "pod":
		return s.pod(c)
	case "stop":
		s.replica.stop()
	case "start":
		s.replica = s.start()
	case "traffic":
		s.traffic, err = s.hands.Follow(s.Context())
		return err
	case "requests", "writes":
		s.asks = append(s.asks, c.Verb)
		s.replica.client.ClearActions()
	default:
		return s.hands.Do(s.Context(), c)
	}
	return nil
}

func (s *stage) service(c scenario.Command) error {
	service, err := scenario.NewService(c)
	if err != nil {
		return err
	}
	if service.Spec.Type != corev1.ServiceTypeExternalName {
		// The API server gives it these.
		service.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
		if service.Spec.ClusterIP == "" {
			service.Spec.ClusterIP = "10.1.0.1"
		}
	}
	_, err = s.Users.CoreV1().Services(fakeapi.Namespace).Create(s.Context(), service, metav1.CreateOptions{FieldManager: "kubectl"})
	return err
}

func (s *stage) pod(c scenario.Command) error {
	p, err := scenario.NewPod(c)
	if err != nil {
		return err
	}
	if p.Spec.NodeName == "" {
		p.Spec.NodeName = "node-3"
	}
	p.Spec.Containers = []corev1.Container{{Name: "main", Ports: p.Ports()}}
	if !p.Bare {
		p.OwnerReferences = fakeapi.Workload()
	}
	s.pods++
	p.Status.PodIP = fmt.Sprint("10.0.0.", s.pods)
	p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
	fakeapi.SetReady(p.Pod)
	if p.Unready {
		fakeapi.SetNotReady(p.Pod)
	}
	_, err = s.Users.CoreV1().Pods(fakeapi.Namespace).Create(s.Context(), p.Pod, metav1.CreateOptions{})
	return err
}

func (s *stage) Look([]string) ([]string, error) {
	if !s.waited {
		s.Settle()
	}
	lines := s.State()
	if s.traffic != nil {
		s.traffic.Stop()
		lines = append(lines, s.traffic.Line())
	}
	for _, what := range s.asks {
		made := map[string][]string{"requests": s.replica.requests(), "writes": s.replica.writes()}[what]
		if len(made) == 0 {
			made = []string{"none"}
		}
		lines = append(lines, scenario.Asked(what)+strings.Join(made, ", "))
	}
	s.traffic, s.asks = nil, nil
	events := s.replica.events.Take()
	slices.Sort(events)
	// The recorder writes one for those that say the same.
	for _, event := range slices.Compact(events) {
		lines = append(lines, scenario.EventPrefix+event)
	}
	return lines, nil
}
