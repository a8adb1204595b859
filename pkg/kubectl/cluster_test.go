package kubectl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestMain(m *testing.M) {
	// The second handler slows informers down that report errors faster than every
	// millisecond, counted from the program's start: in a bubble, for 26 years.
	utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1]
	m.Run()
}

// cluster is an API server with the plugin's user. Time in it is that of a bubble.
type cluster struct {
	*testing.T
	*fake.Clientset
	// explicit: the namespace is one that a flag names.
	explicit bool

	lock    sync.Mutex
	version int64
}

func inCluster(t *testing.T, objects []runtime.Object, test func(c *cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{T: t, Clientset: fake.NewClientset(), version: 100}
		for _, o := range objects {
			c.add(o)
		}
		c.PrependReactor("patch", "*", c.patch)
		c.PrependReactor("update", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
			access(action.(clienttesting.UpdateAction).GetObject()).SetResourceVersion(c.next())
			return false, nil, nil
		})
		test(c)
	})
}

func (c *cluster) add(o runtime.Object) {
	c.Helper()
	// Several tests may begin with it.
	o = o.DeepCopyObject()
	access(o).SetResourceVersion(c.next())
	if err := c.Tracker().Add(o); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) next() string {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.version++
	return strconv.FormatInt(c.version, 10)
}

// patch is as strict as the API server with the resource version, and gives a new one.
func (c *cluster) patch(action clienttesting.Action) (bool, runtime.Object, error) {
	patch := action.(clienttesting.PatchActionImpl)
	body := map[string]map[string]any{}
	if err := json.Unmarshal(patch.GetPatch(), &body); err != nil {
		return true, nil, err
	}
	live, err := c.Tracker().Get(patch.GetResource(), patch.GetNamespace(), patch.GetName())
	if err != nil {
		return true, nil, err
	}
	if asked, found := body["metadata"]["resourceVersion"]; found && asked != access(live).GetResourceVersion() {
		return true, nil, apierrors.NewConflict(patch.GetResource().GroupResource(), patch.GetName(), errors.New("it has changed"))
	}
	if body["metadata"] == nil {
		body["metadata"] = map[string]any{}
	}
	body["metadata"]["resourceVersion"] = c.next()
	if patch.Patch, err = json.Marshal(body); err != nil {
		return true, nil, err
	}
	return clienttesting.ObjectReaction(c.Tracker())(patch)
}

// forbid refuses the requests.
func (c *cluster) forbid(verb, resource string) {
	forbidden := func(action clienttesting.Action) error {
		return apierrors.NewForbidden(action.GetResource().GroupResource(), "", fmt.Errorf("User \"jane\" cannot %s resource %q", action.GetVerb(), resource))
	}
	if verb == "watch" {
		c.PrependWatchReactor(resource, func(action clienttesting.Action) (bool, watch.Interface, error) { return true, nil, forbidden(action) })
		return
	}
	c.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden(action) })
}

// result is what a command has done.
type result struct {
	Out, Err string
	Code     int
}

// run runs the plugin with a command line.
func (c *cluster) run(words ...string) result {
	c.Helper()
	var out, errOut bytes.Buffer
	code := c.runTo(c.Context(), &out, &errOut, words...)
	return result{out.String(), errOut.String(), code}
}

func (c *cluster) runTo(ctx context.Context, out, errOut io.Writer, words ...string) int {
	c.Helper()
	streams := genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: out, ErrOut: errOut}
	cmd := newCommand(&env{IOStreams: streams, connect: func() (connection, error) {
		return connection{client: c.Clientset, namespace: "default", explicit: c.explicit}, nil
	}})
	return run(ctx, cmd, streams, words)
}

// expect compares; texts begin with a newline for the sake of the tests' looks.
func (c *cluster) expect(line string, want result) {
	c.Helper()
	compare(c, want, c.run(strings.Fields(line)...))
}

func compare(tb testing.TB, want, got result) {
	tb.Helper()
	want.Out, want.Err = strings.TrimPrefix(want.Out, "\n"), strings.TrimPrefix(want.Err, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("(-want +got):\n%s\ngot:\n%s%s", diff, got.Out, got.Err)
	}
}

func access(o runtime.Object) metav1.Object {
	object, err := meta.Accessor(o)
	if err != nil {
		panic(err)
	}
	return object
}

// The objects that the tests begin with. Those of a bubble begin in the year 2000.

func ago(d time.Duration) time.Time {
	return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-d)
}

func metaOf(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-" + name), Labels: map[string]string{}, Annotations: map[string]string{}}
}

func in[T metav1.Object](namespace string, o T) T {
	o.SetNamespace(namespace)
	return o
}

// aService is annotated, selects app: web, and is routed to the pod by its selector.
func aService(name, holder string, epoch int, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metaOf(name), Spec: corev1.ServiceSpec{ClusterIP: "10.1.0.1", Selector: map[string]string{"app": "web"}}}
	s.CreationTimestamp = metav1.NewTime(ago(time.Hour))
	s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
	if holder != "" {
		s.Spec.Selector[api.LabelPodUID] = "uid-" + holder
		s.Annotations[api.AnnotationLeaseTransitions] = strconv.Itoa(epoch)
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func unannotated(s *corev1.Service) { s.Annotations = nil }

func annotated(key, value string) func(*corev1.Service) {
	return func(s *corev1.Service) { s.Annotations[key] = value }
}

func aLease(name, holder string, epoch int32, change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{ObjectMeta: metaOf(name)}
	l.Labels[api.LabelManagedBy] = api.ManagedBy
	if holder != "" {
		l.Annotations[api.AnnotationHolderUID] = "uid-" + holder
		l.Annotations[api.AnnotationReason] = "HolderNotReady"
		l.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseTransitions: &epoch, AcquireTime: ptr.To(metav1.NewMicroTime(ago(3 * time.Minute)))}
	}
	for _, f := range change {
		f(l)
	}
	return l
}

// aPod is Ready, on a node of its own, and marked as the controller marks them.
func aPod(name, designation string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metaOf(name), Spec: corev1.PodSpec{NodeName: "node-" + name[len(name)-1:]}}
	p.Labels["app"] = "web"
	p.Labels[api.LabelPodUID] = string(p.UID)
	p.Labels[api.LabelDesignation] = designation
	p.Annotations[api.AnnotationLeaseTransitions] = "3"
	if designation == api.DesignationActive {
		p.Annotations[api.AnnotationDeletionCost] = api.MasterDeletionCost
	}
	p.Status = corev1.PodStatus{
		Phase:      corev1.PodRunning,
		PodIPs:     []corev1.PodIP{{IP: "10.0.0.1"}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(ago(10 * time.Minute))}},
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func unmarked(p *corev1.Pod) {
	p.Labels, p.Annotations = map[string]string{"app": "web"}, nil
}

func notReady(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }
func excluded(p *corev1.Pod) { p.Annotations[api.AnnotationCandidate] = "false" }
func evicted(p *corev1.Pod)  { p.Status.Phase = corev1.PodFailed }

func readyFor(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Status.Conditions[0].LastTransitionTime = metav1.NewTime(ago(d)) }
}

func terminating(p *corev1.Pod) {
	p.DeletionTimestamp = ptr.To(metav1.NewTime(ago(time.Second)))
	p.Finalizers = []string{"example.com/kept"}
}

func aNode(name string, cordoned bool) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: cordoned}}
}

func anEvent(name, service, action, reason, holder, note string, at time.Duration) *eventsv1.Event {
	e := &eventsv1.Event{ObjectMeta: metaOf(name)}
	e.EventTime = metav1.NewMicroTime(ago(at))
	e.Type, e.Action, e.Reason, e.Note = corev1.EventTypeNormal, action, reason, note
	e.Regarding = corev1.ObjectReference{Kind: "Service", Namespace: "default", Name: service, UID: types.UID("uid-" + service)}
	e.Related = &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: holder, UID: types.UID("uid-" + holder)}
	return e
}

// web is an election as it should be: web-0 is master, and two pods stand by.
func web(more ...runtime.Object) []runtime.Object {
	return append([]runtime.Object{
		aService("web", "web-0", 3), aLease("web", "web-0", 3),
		aPod("web-0", "active"), aPod("web-1", "standby", readyFor(5*time.Minute)), aPod("web-2", "standby", readyFor(8*time.Minute)),
		aNode("node-0", false), aNode("node-1", false), aNode("node-2", false),
	}, more...)
}

// lines are the lines of a buffer that is written to meanwhile.
type lines struct {
	lock sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.Buffer.Write(p)
}

// taken is what was written since the last time.
func (l *lines) taken() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	defer l.Reset()
	return l.String()
}
