package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// shop is the key of the election that the tests read.
var shop = types.NamespacedName{Namespace: "shop", Name: "web"}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}, Annotations: map[string]string{}}
}

// aPod has the label app, whose value is its name without the number.
func aPod(namespace, name string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: meta(namespace, name)}
	pod.UID = types.UID("uid-of-" + name)
	pod.Labels["app"], _, _ = strings.Cut(name, "-")
	return pod
}

// aService is annotated, and takes part in the election of the Lease that is named.
func aService(namespace, name, lease string) *corev1.Service {
	s := &corev1.Service{ObjectMeta: meta(namespace, name)}
	s.Annotations[api.AnnotationServiceMode] = api.ModeActiveStandby
	s.Annotations[api.AnnotationLeaseName] = lease
	s.Spec.Selector = map[string]string{"app": lease}
	return s
}

func plain(namespace, name string) *corev1.Service {
	return &corev1.Service{ObjectMeta: meta(namespace, name)}
}

func aSlice(namespace, name, service, manager string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta(namespace, name)}
	s.Labels[discoveryv1.LabelServiceName], s.Labels[discoveryv1.LabelManagedBy] = service, manager
	return s
}

func aLease(namespace, name, manager string) *coordinationv1.Lease {
	l := &coordinationv1.Lease{ObjectMeta: meta(namespace, name)}
	l.Labels[api.LabelManagedBy] = manager
	return l
}

func aNode(name string, cordoned bool) *corev1.Node {
	return &corev1.Node{ObjectMeta: meta("", name), Spec: corev1.NodeSpec{Unschedulable: cordoned}}
}

// inCluster is what there is.
func inCluster() (*fake.Clientset, Reader) {
	client := fake.NewClientset(
		aLease("shop", "web", api.ManagedBy), aLease("shop", "db", api.ManagedBy), aLease("shop", "lock", "somebody"), aLease("other", "web", api.ManagedBy),
		aService("shop", "web", "web"), aService("shop", "web-headless", "web"), aService("shop", "db", "db"), plain("shop", "plain"), plain("shop", "released"), aService("other", "web", "web"),
		aPod("shop", "web-0"), aPod("shop", "db-0"), aPod("shop", "job"), aPod("other", "web-0"),
		aSlice("shop", "web-k8s", "web", observation.BuiltIn), aSlice("shop", "web-own", "web", api.SliceManagedBy), aSlice("shop", "web-foreign", "web", "somebody"),
		aSlice("shop", "headless-k8s", "web-headless", observation.BuiltIn), aSlice("shop", "db-own", "db", api.SliceManagedBy),
		aSlice("shop", "plain-k8s", "plain", observation.BuiltIn), aSlice("shop", "orphan-own", "gone", api.SliceManagedBy),
		aSlice("shop", "released-own", "released", api.SliceManagedBy), aSlice("shop", "released-k8s", "released", observation.BuiltIn),
		aSlice("other", "web-k8s", "web", observation.BuiltIn),
		aNode("node-0", false), aNode("node-1", true),
	)
	return client, NewReader(client, nil)
}

func names[T metav1.Object](objects []T) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetNamespace()+"/"+o.GetName())
	}
	return sets.List(sets.New(all...))
}

// expect compares names of objects, in alphabetical order.
func expect(t *testing.T, what string, want, got []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Another election matters with all its Services if one of them selects a pod of this one.
func TestServicesThatConcernAnElection(t *testing.T) {
	overlapping := aService("shop", "overlapping", "other")
	overlapping.Spec.Selector = map[string]string{"app": "web"}
	services := []*corev1.Service{
		aService("shop", "web", "web"), aService("shop", "web-headless", "web"), aService("shop", "db", "db"),
		overlapping, aService("shop", "of-the-same-lease", "other"),
	}
	in := observation.Inputs{Key: shop, Pods: []*corev1.Pod{aPod("shop", "web-0")}}
	expect(t, "Services", []string{"shop/of-the-same-lease", "shop/overlapping", "shop/web", "shop/web-headless"}, names(concerning(services, in)))
}

func TestElection(t *testing.T) {
	_, r := inCluster()
	in, err := r.Election(t.Context(), observation.Inputs{Key: shop})
	if err != nil {
		t.Fatal(err)
	}
	if in.Key != shop || in.Evidence != election.Live {
		t.Errorf("it is of %s with the evidence %s; want %s, Live", in.Key, in.Evidence, shop)
	}
	expect(t, "Lease", []string{"shop/web"}, names([]*coordinationv1.Lease{in.Lease}))
	expect(t, "the election's Services", []string{"shop/web", "shop/web-headless"}, names(in.Services))
	expect(t, "pods that its Services select", []string{"shop/web-0"}, names(in.Pods))
	expect(t, "slices of the election's Services, whoever manages them",
		[]string{"shop/headless-k8s", "shop/web-foreign", "shop/web-k8s", "shop/web-own"}, names(in.Slices))
}

func TestElectionThatNoServiceAsksFor(t *testing.T) {
	client, r := inCluster()
	in, err := r.Election(t.Context(), observation.Inputs{Key: types.NamespacedName{Namespace: "shop", Name: "lock"}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "Lease", []string{"shop/lock"}, names([]*coordinationv1.Lease{in.Lease}))
	expect(t, "slices", []string{}, names(in.Slices))
	for _, action := range client.Actions() {
		if action.GetResource().Resource == "endpointslices" {
			t.Error("it has listed EndpointSlices, all of the namespace")
		}
	}
}

func TestLeftovers(t *testing.T) {
	_, r := inCluster()
	left, err := r.Leftovers(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "Services of the namespace", []string{"shop/db", "shop/plain", "shop/released", "shop/web", "shop/web-headless"}, names(left.Services))
	expect(t, "pods of the namespace", []string{"shop/db-0", "shop/job", "shop/web-0"}, names(left.Pods))
	expect(t, "the controller's slices, and all slices of Services that have some but are not annotated",
		[]string{"shop/db-own", "shop/orphan-own", "shop/released-k8s", "shop/released-own", "shop/web-own"}, names(left.Slices))
	seen := map[string]bool{}
	for _, s := range left.Slices {
		if seen[s.Name] {
			t.Errorf("the slice %s is there twice", s.Name)
		}
		seen[s.Name] = true
	}
}

// What was made for a Service is listed before the Services, so that a Service that was
// annotated in between is listed too.
func TestServicesAreListedAfterWhatIsMadeForThem(t *testing.T) {
	tests := map[string]struct {
		read func(ctx context.Context, r Reader) error
		want []string
	}{
		"an election whose Services are known": {
			func(ctx context.Context, r Reader) error {
				_, err := r.Election(ctx, observation.Inputs{Key: shop, Services: []*corev1.Service{aService("shop", "web", "web")}})
				return err
			},
			[]string{"pods", "services", "endpointslices"},
		},
		"an election whose Services are not known": {
			func(ctx context.Context, r Reader) error {
				_, err := r.Election(ctx, observation.Inputs{Key: shop})
				return err
			},
			[]string{"services", "endpointslices", "pods", "services", "endpointslices"},
		},
		"an election whose Service selects other pods than is known": {
			func(ctx context.Context, r Reader) error {
				_, err := r.Election(ctx, observation.Inputs{Key: shop, Services: []*corev1.Service{aService("shop", "web", "web"), func() *corev1.Service {
					s := aService("shop", "web-headless", "web")
					s.Spec.Selector["app"] = "former"
					return s
				}()}})
				return err
			},
			[]string{"pods", "pods", "services", "endpointslices"},
		},
		"leftovers": {
			func(ctx context.Context, r Reader) error { _, err := r.Leftovers(ctx, "shop"); return err },
			// At last those of others, of the Services that have some of the controller's.
			[]string{"endpointslices", "pods", "services", "endpointslices"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, r := inCluster()
			if err := test.read(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			var listed []string
			for _, action := range client.Actions() {
				if action.GetVerb() == "list" {
					listed = append(listed, action.GetResource().Resource)
				}
			}
			expect(t, "lists", test.want, listed)
		})
	}
}

func TestListsOfNamespaces(t *testing.T) {
	_, r := inCluster()
	tests := map[string]struct {
		list func(ctx context.Context) ([]string, error)
		want []string
	}{
		"the pods of a namespace": {func(ctx context.Context) ([]string, error) { all, err := r.Pods(ctx, "other"); return names(all), err }, []string{"other/web-0"}},
		"all pods": {
			func(ctx context.Context) ([]string, error) { all, err := r.Pods(ctx, ""); return names(all), err },
			[]string{"other/web-0", "shop/db-0", "shop/job", "shop/web-0"},
		},
		"the annotated Services of a namespace": {
			func(ctx context.Context) ([]string, error) {
				all, err := r.Annotated(ctx, "shop")
				return names(all), err
			},
			[]string{"shop/db", "shop/web", "shop/web-headless"},
		},
		"all annotated Services": {
			func(ctx context.Context) ([]string, error) { all, err := r.Annotated(ctx, ""); return names(all), err },
			[]string{"other/web", "shop/db", "shop/web", "shop/web-headless"},
		},
		"the controller's Leases": {
			func(ctx context.Context) ([]string, error) { all, err := r.Leases(ctx, ""); return names(all), err },
			[]string{"other/web", "shop/db", "shop/web"},
		},
		"EndpointSlices by their labels": {
			func(ctx context.Context) ([]string, error) {
				all, err := r.Slices(ctx, "shop", observation.NotBuiltIn)
				return names(all), err
			},
			[]string{"shop/db-own", "shop/orphan-own", "shop/released-own", "shop/web-foreign", "shop/web-own"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.list(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			expect(t, "names", test.want, got)
		})
	}
}

func TestNodes(t *testing.T) {
	_, r := inCluster()
	nodes, err := r.Nodes(t.Context(), sets.New("node-0", "node-1", "node-gone"))
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		cordoned := "gone"
		if node := nodes[name]; node != nil {
			cordoned = fmt.Sprint("cordoned: ", node.Spec.Unschedulable)
		}
		read = append(read, name+" "+cordoned)
	}
	expect(t, "nodes", []string{"node-0 cordoned: false", "node-1 cordoned: true", "node-gone gone"}, read)
}

// What does not exist is nil, and no error.
func TestWhatDoesNotExist(t *testing.T) {
	_, r := inCluster()
	gone := types.NamespacedName{Namespace: "shop", Name: "gone"}
	if l, err := r.Lease(t.Context(), gone); l != nil || err != nil {
		t.Errorf("the Lease is %v, with the error %v", l, err)
	}
	if s, err := r.Service(t.Context(), gone.Namespace, gone.Name); s != nil || err != nil {
		t.Errorf("the Service is %v, with the error %v", s, err)
	}
	if p, err := r.Pod(t.Context(), gone.Namespace, gone.Name); p != nil || err != nil {
		t.Errorf("the pod is %v, with the error %v", p, err)
	}
	if n, err := r.Node(t.Context(), gone.Name); n != nil || err != nil {
		t.Errorf("the node is %v, with the error %v", n, err)
	}
	if in, err := r.Election(t.Context(), observation.Inputs{Key: gone}); in.Lease != nil || err != nil {
		t.Errorf("the election's Lease is %v, with the error %v", in.Lease, err)
	}
}

// An error says what was read, and is still the API server's.
func TestErrors(t *testing.T) {
	election := func(ctx context.Context, r Reader) error {
		_, err := r.Election(ctx, observation.Inputs{Key: shop})
		return err
	}
	leftovers := func(ctx context.Context, r Reader) error { _, err := r.Leftovers(ctx, "shop"); return err }
	tests := map[string]struct {
		verb, resource string
		read           func(ctx context.Context, r Reader) error
		want           string
	}{
		"an election whose Lease cannot be read":      {"get", "leases", election, "reading the Lease"},
		"an election whose pods cannot be listed":     {"list", "pods", election, "listing the pods"},
		"an election whose Services cannot be listed": {"list", "services", election, "listing the Services"},
		"an election whose slices cannot be listed":   {"list", "endpointslices", election, "listing the EndpointSlices"},
		"leftovers without pods":                      {"list", "pods", leftovers, "listing the pods"},
		"leftovers without Services":                  {"list", "services", leftovers, "listing the Services"},
		"leftovers without slices":                    {"list", "endpointslices", leftovers, "listing the EndpointSlices"},
		"a Service that cannot be read":               {"get", "services", func(ctx context.Context, r Reader) error { _, err := r.Service(ctx, "shop", "web"); return err }, "reading the Service"},
		"a pod that cannot be read":                   {"get", "pods", func(ctx context.Context, r Reader) error { _, err := r.Pod(ctx, "shop", "web-0"); return err }, "reading the pod web-0"},
		"a node that cannot be read": {"get", "nodes", func(ctx context.Context, r Reader) error {
			_, err := r.Nodes(ctx, sets.New("node-0"))
			return err
		}, "reading the node node-0"},
		"Leases that cannot be listed":   {"list", "leases", func(ctx context.Context, r Reader) error { _, err := r.Leases(ctx, "shop"); return err }, "listing the Leases"},
		"Services that cannot be listed": {"list", "services", func(ctx context.Context, r Reader) error { _, err := r.Annotated(ctx, "shop"); return err }, "listing the Services"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, r := inCluster()
			refusal := apierrors.NewForbidden(corev1.Resource(test.resource), "", errors.New("a test forbids it"))
			client.PrependReactor(test.verb, test.resource, func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, refusal })
			err := test.read(t.Context(), r)
			if !apierrors.IsForbidden(err) {
				t.Fatalf("the error is %v, which is not the API server's", err)
			}
			if diff := cmp.Diff(test.want+": "+refusal.Error(), err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// A Lease that another replica has made since it was read is not lost, though its traces are there.
func TestLeaseThatIsMadeMeanwhile(t *testing.T) {
	exists := apierrors.NewAlreadyExists(coordinationv1.Resource("leases"), "web")
	tests := map[string]struct {
		// stamped is the epoch of a stamp; empty for none.
		stamped string
		made    bool
		// begin is what comes of the caller's creation; nil if the caller only reads.
		begin func() error
		gets  int
	}{
		"there is nothing yet":                 {gets: 1},
		"the caller begins it":                 {begin: func() error { return nil }, gets: 1},
		"another replica begins it first":      {begin: func() error { return exists }, gets: 2},
		"it is begun, and another writes it":   {begin: func() error { return nil }, stamped: "1", made: true, gets: 3},
		"it was lost, and is begun anew":       {begin: func() error { return nil }, stamped: "1", gets: 2},
		"another replica makes it meanwhile":   {stamped: "1", made: true, gets: 3},
		"it was lost, and its traces are left": {stamped: "1", gets: 2},
		// Else an epoch would be spent, as if a Lease were lost.
		"another replica makes it before there is a master": {begin: func() error { return exists }, stamped: "0", made: true, gets: 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, r := inCluster()
			if test.stamped != "" {
				s := aService("shop", "web", "web")
				s.Spec.Selector = map[string]string{"app": "web"}
				s.Annotations[api.AnnotationLeaseTransitions] = test.stamped
				if _, err := client.CoreV1().Services("shop").Update(t.Context(), s, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			gets := 0
			client.PrependReactor("get", "leases", func(clienttesting.Action) (bool, runtime.Object, error) {
				gets++
				made := aLease("shop", "web", api.ManagedBy)
				switch {
				case test.made && gets > test.gets-2:
					made.Annotations = map[string]string{api.AnnotationReason: "AwaitingEligible"}
				case test.begin == nil || gets == 1:
					return true, nil, apierrors.NewNotFound(coordinationv1.Resource("leases"), "web")
				}
				return true, made, nil
			})
			var begin func(context.Context) (*coordinationv1.Lease, error)
			if test.begin != nil {
				begin = func(context.Context) (*coordinationv1.Lease, error) {
					return aLease("shop", "web", api.ManagedBy), test.begin()
				}
			}
			in, err := r.Begin(t.Context(), observation.Inputs{Key: shop}, begin)
			if err != nil {
				t.Fatal(err)
			}
			if lease.Decode(in.Lease).Exists != test.made || (in.Lease != nil) != (test.made || test.begin != nil) || gets != test.gets {
				t.Errorf("Lease %v after %d GETs, want one: %v after %d", in.Lease, gets, test.made, test.gets)
			}
		})
	}
}
