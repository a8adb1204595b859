package fakeapi

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"qoqo.dev/active-standby-controller/pkg/scenario"
)

// Cluster is a Server with what users do to it.
type Cluster struct {
	*testing.T
	Server *Server
	// Users is the client of users, whose requests take no time.
	Users *fake.Clientset
}

// Run runs a test in a bubble, with a Cluster that has no objects.
func Run(t *testing.T, test func(c *Cluster)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := NewServer()
		test(&Cluster{T: t, Server: server, Users: server.Client(0, nil)})
	})
}

// MainInBubbles is called by TestMain of packages whose informers run in bubbles. One of the
// two handlers of errors slows down informers that report errors faster than every
// millisecond, counted from the program's start. That is 26 years after the start of a
// bubble's time, until which it would sleep.
func MainInBubbles() { utilruntime.ErrorHandlers = utilruntime.ErrorHandlers[:1] }

// Settle gives the controllers time for all that does not need minutes.
func (c *Cluster) Settle() { c.Wait(10 * time.Second) }

// Wait lets time pass, and waits until what is due has been done.
func (c *Cluster) Wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// State returns what the controller has to do with, a line for each object. See
// scenario.State.
func (c *Cluster) State() []string {
	c.Helper()
	lines, err := scenario.State(c.Context(), c.Users, metav1.NamespaceAll, c.Server.NameOf)
	if err != nil {
		c.Fatal(err)
	}
	return lines
}

// Expect compares the State.
func (c *Cluster) Expect(want ...string) {
	c.Helper()
	if diff := cmp.Diff(want, c.State()); diff != "" {
		c.Errorf("cluster (-want +got):\n%s", diff)
	}
}

// Lease returns a Lease.
func (c *Cluster) Lease(name string) *coordinationv1.Lease {
	c.Helper()
	lease, err := c.Users.CoordinationV1().Leases(Namespace).Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return lease
}

// Slice returns an EndpointSlice.
func (c *Cluster) Slice(name string) *discoveryv1.EndpointSlice {
	c.Helper()
	s, err := c.Users.DiscoveryV1().EndpointSlices(Namespace).Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return s
}

// Slices returns all EndpointSlices.
func (c *Cluster) Slices() []discoveryv1.EndpointSlice {
	c.Helper()
	list, err := c.Users.DiscoveryV1().EndpointSlices("").List(c.Context(), metav1.ListOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return list.Items
}
