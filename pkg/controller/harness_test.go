package controller

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const testNamespace = "default"

func TestMain(m *testing.M) {
	// The second handler slows informers down that report errors faster than
	// every millisecond, counted from the program's start. That is 26 years
	// after the start of a bubble's time, until which it would sleep.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	m.Run()
}

// cluster is an API server with what the tests' users do to it. Time in it is
// that of a synctest bubble.
type cluster struct {
	*testing.T
	server *apiserver
	users  *fake.Clientset
}

// inCluster runs the test in a bubble.
func inCluster(t *testing.T, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := newAPIServer()
		test(&cluster{T: t, server: server, users: server.client(0, nil)})
	})
}

// settle gives the controllers time for all that does not need minutes.
func (c *cluster) settle() { c.wait(10 * time.Second) }

func (c *cluster) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// started is a controller that runs.
type started struct {
	*Controller
	client *fake.Clientset
	// behind says of a resource how much later than others it is heard of.
	behind map[string]time.Duration
	events *recorder
	cancel context.CancelFunc
	done   chan struct{}
}

// start runs a controller until the test ends, unless it is stopped before.
func (c *cluster) start(namespaces ...string) *started {
	c.Helper()
	s := c.prepare(namespaces...)
	c.run(s)
	return s
}

// prepare makes a controller that has to be run.
func (c *cluster) prepare(namespaces ...string) *started {
	c.Helper()
	s := &started{behind: map[string]time.Duration{}, events: &recorder{}, done: make(chan struct{})}
	s.client = c.server.client(latency, s.behind)
	var err error
	if s.Controller, err = New(heeding{s.client}, s.events, namespaces, 25*time.Second); err != nil {
		c.Fatal(err)
	}
	return s
}

func (c *cluster) run(s *started) {
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), ktesting.NewLogger(c.T, ktesting.NewConfig(ktesting.Verbosity(2)))))
	s.cancel = cancel
	go func() {
		defer close(s.done)
		s.Run(ctx)
	}()
	c.Cleanup(s.stop)
}

func (s *started) stop() {
	s.cancel()
	<-s.done
	// The informers leave lists and watches behind that they are waiting for.
	time.Sleep(latency + lag + slices.Max(append(slices.Collect(maps.Values(s.behind)), 0)))
}

// requests are those so far, in order, also those that failed; without watches.
func (s *started) requests() (requests []string) {
	for _, action := range s.client.Actions() {
		request := action.GetVerb() + " " + action.GetResource().Resource
		switch a := action.(type) {
		case clienttesting.WatchActionImpl:
			continue
		case interface{ GetName() string }:
			request += " " + a.GetName()
		case interface{ GetObject() runtime.Object }:
			request += " " + access(a.GetObject()).GetName()
		}
		requests = append(requests, request)
	}
	return requests
}

// writes are those requests that write.
func (s *started) writes() []string {
	return slices.DeleteFunc(s.requests(), func(r string) bool { return strings.HasPrefix(r, "get ") || strings.HasPrefix(r, "list ") })
}

// recorder keeps events as lines "type reason action on Service [about pod]: message".
type recorder struct {
	lock  sync.Mutex
	lines []string
}

func (r *recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	r.lock.Lock()
	defer r.lock.Unlock()
	about := ""
	if reference, ok := related.(*corev1.ObjectReference); ok {
		about = " about " + reference.Name
	}
	r.lines = append(r.lines, fmt.Sprintf("%s %s %s on %s%s: %s", eventType, reason, action, access(regarding).GetName(), about, fmt.Sprintf(note, args...)))
}

// take returns the events since it was called last.
func (r *recorder) take() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	taken := r.lines
	r.lines = nil
	return taken
}

func (c *cluster) expectEvents(s *started, want ...string) {
	c.Helper()
	if diff := gocmp.Diff(want, s.events.take()); diff != "" {
		c.Errorf("events (-want +got):\n%s", diff)
	}
}

// expect compares the state of the cluster, a line for each object.
func (c *cluster) expect(want ...string) {
	c.Helper()
	if diff := gocmp.Diff(want, c.state()); diff != "" {
		c.Errorf("cluster (-want +got):\n%s", diff)
	}
}

// state says what the controller has to do with: of Leases, Services and pods
// what it has written; of objects outside testNamespace the namespace, too.
func (c *cluster) state() (lines []string) {
	leases, err := c.users.CoordinationV1().Leases("").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	for _, l := range leases.Items {
		lines = append(lines, "Lease "+c.leaseLine(&l))
	}
	services, err := c.users.CoreV1().Services("").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	for _, s := range services.Items {
		lines = append(lines, "Service "+c.serviceLine(&s))
	}
	for _, s := range c.slices() {
		if line := c.sliceLine(&s); line != "" {
			lines = append(lines, "EndpointSlice "+line)
		}
	}
	pods, err := c.users.CoreV1().Pods("").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	for _, p := range pods.Items {
		lines = append(lines, "Pod "+c.podLine(&p))
	}
	return lines
}

// leaseLine is "name: holder @epoch reason, of Services". A holder with the UID
// of another pod is told apart, and so is a foreign Lease.
func (c *cluster) leaseLine(l *coordinationv1.Lease) string {
	line := qualified(l) + ":"
	if l.Labels[api.LabelManagedBy] != api.ManagedBy {
		line += " foreign"
	}
	if holder := l.Spec.HolderIdentity; holder != nil {
		line += " " + *holder
		if name := c.nameOf(l.Annotations[api.AnnotationHolderUID]); name != *holder {
			line += " with the UID of " + name
		}
	}
	if l.Spec.LeaseTransitions != nil {
		line += fmt.Sprint(" @", *l.Spec.LeaseTransitions)
	}
	line += " " + l.Annotations[api.AnnotationReason]
	owners := []string{}
	for _, owner := range l.OwnerReferences {
		owners = append(owners, c.nameOf(string(owner.UID)))
	}
	return strings.TrimSpace(line) + ", of " + strings.Join(owners, " and ")
}

// serviceLine is "name: selector [-> pod] [detached] [@epoch]".
func (c *cluster) serviceLine(s *corev1.Service) string {
	own := maps.Clone(s.Spec.Selector)
	delete(own, api.LabelPodUID)
	delete(own, api.LabelRouting)
	line := qualified(s) + ": " + labels.FormatLabels(own)
	if uid, routed := s.Spec.Selector[api.LabelPodUID]; routed {
		line += " -> " + c.nameOf(uid)
	}
	if _, detached := s.Spec.Selector[api.LabelRouting]; detached {
		line += " detached"
	}
	return line + stamp(s)
}

// podLine is "name: [identified] [designation] [@epoch] [cost]".
func (c *cluster) podLine(p *corev1.Pod) string {
	line := qualified(p) + ":"
	if uid, identified := p.Labels[api.LabelPodUID]; identified && uid == string(p.UID) {
		line += " identified"
	} else if identified {
		line += " identified as " + c.nameOf(uid)
	}
	if designation, designated := p.Labels[api.LabelDesignation]; designated {
		line += " " + designation
	}
	line += stamp(p)
	if cost, set := p.Annotations[api.AnnotationDeletionCost]; set {
		line += " " + map[string]string{api.MasterDeletionCost: "spared"}[cost]
	}
	return line
}

func stamp(o metav1.Object) string {
	if epoch, stamped := o.GetAnnotations()[api.AnnotationLeaseTransitions]; stamped {
		return " @" + epoch
	}
	return ""
}

func qualified(o metav1.Object) string {
	if o.GetNamespace() == testNamespace {
		return o.GetName()
	}
	return o.GetNamespace() + "/" + o.GetName()
}

// nameOf is the name of the object with the UID, marked if it is gone.
func (c *cluster) nameOf(uid string) string {
	c.server.lock.Lock()
	defer c.server.lock.Unlock()
	return cmp.Or(c.server.names[types.UID(uid)], uid, "nobody")
}
