package controller

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestMain(m *testing.M) {
	fakeapi.MainInBubbles()
	m.Run()
}

// cluster is a simulated cluster in which controllers run, Kubernetes' own among them.
type cluster struct {
	*fakeapi.Cluster
	stopKubernetes func()
	// prepared is how many controllers there were so far.
	prepared int
}

// inCluster runs the test in a bubble.
func inCluster(t *testing.T, test func(c *cluster)) {
	t.Helper()
	fakeapi.Run(t, func(c *fakeapi.Cluster) {
		test(&cluster{Cluster: c, stopKubernetes: c.RunKubernetes(fakeapi.BuiltInDelay)})
	})
}

// RunKubernetes runs Kubernetes' own controllers with another delay, instead of the usual one.
func (c *cluster) RunKubernetes(delay time.Duration) (stop func()) {
	c.Helper()
	c.stopKubernetes()
	c.stopKubernetes = c.Cluster.RunKubernetes(delay)
	return c.stopKubernetes
}

// Expect compares what there is. What Kubernetes publishes counts only if it is expected.
func (c *cluster) Expect(want ...string) {
	c.Helper()
	published := func(line string) bool { return strings.Contains(line, " by Kubernetes: ") }
	got := c.State()
	if !slices.ContainsFunc(want, published) {
		got = slices.DeleteFunc(got, published)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		c.Errorf("cluster (-want +got):\n%s", diff)
	}
}

// started is a controller that runs.
type started struct {
	*Controller
	client *fake.Clientset
	// behind is, by resource, how much later than others its changes are heard of.
	behind map[string]time.Duration
	events *fakeapi.Recorder
	cancel context.CancelFunc
	done   chan struct{}
	// ended is what the controller has ended with.
	ended error
}

// start runs a controller until the test ends, unless it is stopped before.
func (c *cluster) start(namespaces ...string) *started {
	c.Helper()
	s := c.prepare(namespaces...)
	c.run(s)
	return s
}

// prepare makes a controller that the test must run.
func (c *cluster) prepare(namespaces ...string) *started {
	c.Helper()
	s := &started{behind: map[string]time.Duration{}, events: &fakeapi.Recorder{}, done: make(chan struct{})}
	s.client = c.Server.Client(fakeapi.Latency, s.behind)
	var err error
	if s.Controller, err = New(fakeapi.Heeding{Interface: s.client}, s.events, namespaces, 25*time.Second, api.DrainTaints()); err != nil {
		c.Fatal(err)
	}
	lag := float64(c.prepared) / 4
	c.prepared++
	s.turns.lag = func(key) float64 { return lag }
	return s
}

func (c *cluster) run(s *started) {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), ktesting.NewLogger(c.T, ktesting.NewConfig(ktesting.Verbosity(2)))))
	s.cancel = cancel
	go func() {
		defer close(s.done)
		s.ended = s.Run(ctx)
	}()
	c.Cleanup(s.stop)
}

func (s *started) stop() {
	s.cancel()
	<-s.done
	// The informers leave lists and watches behind that they are waiting for.
	time.Sleep(fakeapi.Latency + fakeapi.Lag + slices.Max(append(slices.Collect(maps.Values(s.behind)), 0)))
}

// requests are those so far, in order, also those that failed; without watches.
func (s *started) requests() (requests []string) {
	for _, action := range s.client.Actions() {
		request := action.GetVerb() + " " + action.GetResource().Resource
		if part := action.GetSubresource(); part != "" {
			request += "/" + part
		}
		switch a := action.(type) {
		case clienttesting.WatchActionImpl:
			continue
		case interface{ GetName() string }:
			request += " " + a.GetName()
		case interface{ GetObject() runtime.Object }:
			request += " " + fakeapi.Access(a.GetObject()).GetName()
		}
		requests = append(requests, request)
	}
	return requests
}

// writes are those requests that write.
func (s *started) writes() []string {
	return slices.DeleteFunc(s.requests(), func(r string) bool { return strings.HasPrefix(r, "get ") || strings.HasPrefix(r, "list ") })
}

func (c *cluster) expectEvents(s *started, want ...string) {
	c.Helper()
	if diff := cmp.Diff(want, s.events.Take()); diff != "" {
		c.Errorf("events (-want +got):\n%s", diff)
	}
}
