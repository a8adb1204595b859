package kubectl

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/discovery"
	fakediscovery "k8s.io/client-go/discovery/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

func TestMain(m *testing.M) {
	fakeapi.MainInBubbles()
	m.Run()
}

// cluster is a simulated cluster with a user of the plugin.
type cluster struct {
	*fakeapi.Cluster
	// jane is the client of that user.
	jane *fake.Clientset
	// explicit: a flag names the namespace.
	explicit bool
	// stopKubernetes stops what publishes the Services.
	stopKubernetes func()
}

// inCluster runs the test in a bubble, with the objects as they are, and with the nodes of the
// pods among them.
func inCluster(t *testing.T, objects []runtime.Object, test func(c *cluster)) {
	t.Helper()
	fakeapi.Run(t, func(shared *fakeapi.Cluster) {
		c := &cluster{Cluster: shared, jane: shared.Server.Client(0, nil)}
		nodes := map[string]runtime.Object{}
		for _, o := range objects {
			if p, ok := o.(*corev1.Pod); ok {
				nodes[p.Spec.NodeName] = aNode(p.Spec.NodeName, false)
			}
		}
		for _, o := range objects {
			if n, ok := o.(*corev1.Node); ok {
				delete(nodes, n.Name)
			}
		}
		for _, o := range slices.AppendSeq(slices.Clone(objects), maps.Values(nodes)) {
			if err := c.Server.Add(o); err != nil {
				c.Fatal(err)
			}
		}
		c.stopKubernetes = c.RunKubernetes(0)
		<-time.After(fakeapi.Lag)
		test(c)
		// Watches may have a change left to tell.
		<-time.After(fakeapi.Lag)
	})
}

// forbid refuses the user's requests.
func (c *cluster) forbid(verb, resource string) {
	forbidden := func(action clienttesting.Action) error {
		return apierrors.NewForbidden(action.GetResource().GroupResource(), "", fmt.Errorf("User \"jane\" cannot %s resource %q", action.GetVerb(), resource))
	}
	if verb == "watch" {
		c.jane.PrependWatchReactor(resource, func(action clienttesting.Action) (bool, watch.Interface, error) { return true, nil, forbidden(action) })
		return
	}
	c.jane.PrependReactor(verb, resource, func(action clienttesting.Action) (bool, runtime.Object, error) { return true, nil, forbidden(action) })
}

// versioned is a client of an API server that has a version.
type versioned struct{ *fake.Clientset }

func (versioned) Discovery() discovery.DiscoveryInterfaces {
	return &fakediscovery.FakeDiscovery{Fake: &clienttesting.Fake{}, FakedServerVersion: &version.Info{GitVersion: "v1.37.2"}}
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
		return connection{client: versioned{c.jane}, namespace: fakeapi.Namespace, explicit: c.explicit}, nil
	}})
	return run(ctx, cmd, streams, words)
}

// expect compares; texts begin with a newline for the sake of the tests' looks.
func (c *cluster) expect(line string, want result) {
	c.Helper()
	compare(c, want, c.run(strings.Fields(line)...))
}

// expectation is what a command prints in a cluster of these objects, where the user is forbidden
// these resources.
type expectation struct {
	objects []runtime.Object
	forbid  []string
	line    string
	want    result
}

// expectEach runs a test of each expectation, all at once.
func expectEach(t *testing.T, tests map[string]expectation) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				for _, resource := range test.forbid {
					c.forbid("*", resource)
				}
				c.expect(test.line, test.want)
			})
		})
	}
}

func compare(tb testing.TB, want, got result) {
	tb.Helper()
	want.Out, want.Err = strings.TrimPrefix(want.Out, "\n"), strings.TrimPrefix(want.Err, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("(-want +got):\n%s\ngot:\n%s%s", diff, got.Out, got.Err)
	}
}

// lines is a buffer that one goroutine writes and another reads.
type lines struct {
	lock sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.Buffer.Write(p)
}

// taken returns what was written since it was called last.
func (l *lines) taken() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	defer l.Reset()
	return l.String()
}
