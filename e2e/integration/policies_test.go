//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/pkg/api"
)

var guarded = flag.Bool("guarded", false, "run all tests under manifests/admission/guard.yaml; scenarios that forge what it guards are skipped")

// policed is the label of the namespaces in which the policies are in force that keep users
// from what other tests do.
const policed = "policed"

// installPolicies confines the controller, and lets users be guarded and Services be closed
// from birth in namespaces that are policed.
func installPolicies(ctx context.Context) error {
	manifests := filepath.Join(installation.Root, "manifests")
	if _, err := installation.Kubectl(ctx, "apply", "-f", filepath.Join(manifests, "admission"), "-f", filepath.Join(manifests, "fail-closed")); err != nil {
		return err
	}
	bindings := []string{"mutatingadmissionpolicybinding/active-standby-controller-fail-closed"}
	if !*guarded {
		for _, name := range []string{"leases", "marks", "services"} {
			bindings = append(bindings, "validatingadmissionpolicybinding/active-standby-controller-"+name)
		}
	}
	scope := fmt.Sprintf(`{"spec":{"matchResources":{"namespaceSelector":{"matchLabels":{%q:"true"}}}}}`, policed)
	_, err := installation.Kubectl(ctx, append([]string{"patch", "--type=merge", "-p", scope}, bindings...)...)
	return err
}

// byPolicy reports whether a policy of manifests/ has refused the request.
func byPolicy(err error) bool {
	return err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+install.ServiceAccount)
}

// newPoliced is a scene in which all policies are in force.
func newPoliced(t *testing.T) *scene {
	t.Helper()
	s := newScene(t)
	s.policed()
	return s
}

// policed puts the policies in force in the namespace.
func (s *scene) policed() {
	s.Helper()
	body := fmt.Appendf(nil, `{"metadata":{"labels":{%q:"true"}}}`, policed)
	assert.Must(client.CoreV1().Namespaces().Patch(s.Context(), s.namespace, types.MergePatchType, body, metav1.PatchOptions{}))(s)
	s.eventually("the policies are in force", func() error {
		o := metav1.ApplyOptions{FieldManager: "test", DryRun: []string{metav1.DryRunAll}}
		service, err := client.CoreV1().Services(s.namespace).Apply(s.Context(), s.manifest("web", 80), o)
		if err == nil && service.Spec.Selector[api.LabelPodUID] != api.NoPod {
			err = fmt.Errorf("the selector is %v", service.Spec.Selector)
		}
		return err
	})
}

// The expressions of the policies fit the objects that they are for.
func TestPoliciesAreTypeChecked(t *testing.T) {
	s := &scene{T: t}
	policies := client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	s.eventually("all policies are checked", func() error {
		list := assert.Must(policies.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + install.ServiceAccount}))(s)
		for _, p := range list.Items {
			if p.Status.ObservedGeneration != p.Generation || p.Status.TypeChecking == nil {
				return fmt.Errorf("%s is not", p.Name)
			}
		}
		if len(list.Items) < 9 {
			return fmt.Errorf("there are %d policies", len(list.Items))
		}
		for _, p := range list.Items {
			for _, w := range p.Status.TypeChecking.ExpressionWarnings {
				t.Errorf("%s: %s: %s", p.Name, w.FieldRef, w.Warning)
			}
		}
		return nil
	})
}

// A Service has no endpoint but the master from the request on that creates it, and whichever
// tool overwrites its selector.
func TestFailClosed(t *testing.T) {
	t.Parallel()
	for _, routing := range []string{string(api.RoutingSelector), string(api.RoutingEndpointSlice)} {
		t.Run(routing, func(t *testing.T) {
			t.Parallel()
			s := newPoliced(t)
			s.readyPods("web-0", "web-1")
			manifest := s.manifest("web", 80).WithAnnotations(map[string]string{api.AnnotationRouting: routing})
			force := false
			apply := func() {
				s.Helper()
				o := metav1.ApplyOptions{FieldManager: "helm", Force: force}
				if _, err := client.CoreV1().Services(s.namespace).Apply(t.Context(), manifest, o); err != nil {
					t.Fatal(err)
				}
			}
			replace := func() {
				s.Helper()
				service := s.getService("web")
				service.ManagedFields, service.ResourceVersion = nil, ""
				service.Annotations = map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby, api.AnnotationRouting: routing}
				service.Spec.Selector = map[string]string{"app": "web"}
				assert.Must(client.CoreV1().Services(s.namespace).Update(t.Context(), service, metav1.UpdateOptions{FieldManager: "terraform"}))(s)
			}
			apply()
			s.awaitMaster("web", "web-0", 1)
			for epoch := int32(2); epoch <= 11; epoch++ {
				master := fmt.Sprintf("web-%d", (epoch+1)%2)
				s.editHolder("web", master)
				s.awaitMaster("web", master, epoch)
				s.disowned("web")
				// Whoever replaces the Service owns its selector, until the controller writes that.
				force = epoch%2 == 0 || epoch%3 == 1
				manifest.Spec.Ports[0].WithPort(80 + epoch%3)
				apply()
				s.disowned("web")
				apply()
				if epoch%3 == 0 {
					replace()
				}
				s.awaitMaster("web", master, epoch)
			}
			for _, e := range s.events("web") {
				if e.Reason == api.ReasonSelectorReverted {
					t.Errorf("event: %s", e.Note)
				}
			}
		})
	}
}

// attacker is the user agent of requests with the controller's token that are not the
// controller's.
const attacker = "attacker"

// attack is a request that a policy must refuse.
type attack struct {
	name string
	send func(c kubernetes.Interface) error
}

func (s *scene) refused(c kubernetes.Interface, attacks []attack) {
	s.Helper()
	for _, a := range attacks {
		if err := a.send(c); !byPolicy(err) {
			s.Errorf("%s: %v, want that a policy refuses it", a.name, err)
		}
	}
}

func patchOf[T any](s *scene, patch func(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (T, error), name, body string) error {
	_, err := patch(s.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
	return err
}

func patchStatus(s *scene, c kubernetes.Interface, name, body string) error {
	_, err := c.CoreV1().Services(s.namespace).Patch(s.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{}, "status")
	return err
}

// What a stolen token of the controller's account cannot do.
func TestConfined(t *testing.T) {
	t.Parallel()
	s := settled(t)
	plain := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "plain"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "plain"}, Ports: []corev1.ServicePort{{Port: 80}}}}
	assert.Must(client.CoreV1().Services(s.namespace).Create(t.Context(), plain, metav1.CreateOptions{}))(s)
	balanced := plain.DeepCopy()
	balanced.Name, balanced.Spec.Type = "balanced", corev1.ServiceTypeLoadBalancer
	assert.Must(client.CoreV1().Services(s.namespace).Create(t.Context(), balanced, metav1.CreateOptions{}))(s)
	observed := plain.DeepCopy()
	observed.Name, observed.Annotations = "observed", map[string]string{api.AnnotationServiceMode: api.ModeObserve}
	assert.Must(client.CoreV1().Services(s.namespace).Create(t.Context(), observed, metav1.CreateOptions{}))(s)
	s.pod("other", func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} })
	foreign := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "foreign"}}
	foreign = assert.Must(client.CoordinationV1().Leases(s.namespace).Create(t.Context(), foreign, metav1.CreateOptions{}))(s)
	slices := assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(t.Context(), metav1.ListOptions{}))(s)
	own := func(name string, pods ...string) *discoveryv1.EndpointSlice {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: api.SliceManagedBy}},
			AddressType: discoveryv1.AddressTypeIPv4,
		}
		for i, pod := range pods {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{fmt.Sprintf("10.0.0.%d", 1+i)}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: s.namespace, Name: pod},
			})
		}
		return slice
	}
	services := func(c kubernetes.Interface) func(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*corev1.Service, error) {
		return c.CoreV1().Services(s.namespace).Patch
	}
	pods := func(c kubernetes.Interface) func(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*corev1.Pod, error) {
		return c.CoreV1().Pods(s.namespace).Patch
	}
	createSlice := func(slice *discoveryv1.EndpointSlice) func(kubernetes.Interface) error {
		return func(c kubernetes.Interface) error {
			_, err := c.DiscoveryV1().EndpointSlices(s.namespace).Create(s.Context(), slice, metav1.CreateOptions{})
			return err
		}
	}
	config := rest.CopyConfig(installation.User.Config)
	config.UserAgent = attacker
	s.refused(assert.Must(kubernetes.NewForConfig(config))(s), []attack{
		{"a pod gets another image", func(c kubernetes.Interface) error {
			return patchOf(s, pods(c), "web-0", `{"spec":{"containers":[{"name":"web","image":"evil"}]}}`)
		}},
		{"a pod gets another label", func(c kubernetes.Interface) error {
			return patchOf(s, pods(c), "web-0", `{"metadata":{"labels":{"app":"db"}}}`)
		}},
		{"a pod gets another annotation", func(c kubernetes.Interface) error {
			return patchOf(s, pods(c), "web-0", `{"metadata":{"annotations":{"example.com/inject":"true"}}}`)
		}},
		{"a pod loses its owners", func(c kubernetes.Interface) error {
			return patchOf(s, pods(c), "web-0", `{"metadata":{"ownerReferences":null}}`)
		}},
		{"a pod that is no candidate is deleted", func(c kubernetes.Interface) error {
			return c.CoreV1().Pods(s.namespace).Delete(s.Context(), "other", metav1.DeleteOptions{})
		}},
		{"a Service gets another port", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "web", `{"spec":{"ports":[{"port":80,"targetPort":9999}]}}`)
		}},
		{"a Service gets external addresses", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "web", `{"spec":{"externalIPs":["10.9.9.9"]}}`)
		}},
		{"a Service selects other pods", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "web", `{"spec":{"selector":{"app":"other"}}}`)
		}},
		{"a Service is opened", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "web", `{"spec":{"selector":{"qoqo.dev/pod-uid":null}}}`)
		}},
		{"a Service gets the address of a load balancer", func(c kubernetes.Interface) error {
			return patchStatus(s, c, "balanced", `{"status":{"loadBalancer":{"ingress":[{"ip":"10.9.9.9"}]}}}`)
		}},
		{"a Service gets the condition of another writer", func(c kubernetes.Interface) error {
			return patchStatus(s, c, "web", `{"status":{"conditions":[{"type":"example.com/Other","status":"True","reason":"Evil","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
		}},
		{"a Service that has not opted in gets a condition", func(c kubernetes.Interface) error {
			return patchStatus(s, c, "plain", `{"status":{"conditions":[{"type":"qoqo.dev/MasterReady","status":"True","reason":"Evil","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`)
		}},
		{"a Service opts in", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "plain", `{"metadata":{"annotations":{"qoqo.dev/service-mode":"active-standby"}}}`)
		}},
		{"a Service that has not opted in is closed", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "plain", `{"spec":{"selector":{"qoqo.dev/pod-uid":"none"}}}`)
		}},
		{"a Service that only observes is closed", func(c kubernetes.Interface) error {
			return patchOf(s, services(c), "observed", `{"spec":{"selector":{"qoqo.dev/pod-uid":"none"}}}`)
		}},
		{"the Lease of another is taken", func(c kubernetes.Interface) error {
			lease := foreign.DeepCopy()
			lease.Labels = map[string]string{api.LabelManagedBy: api.ManagedBy}
			_, err := c.CoordinationV1().Leases(s.namespace).Update(s.Context(), lease, metav1.UpdateOptions{})
			return err
		}},
		{"the Lease of another is deleted", func(c kubernetes.Interface) error {
			return c.CoordinationV1().Leases(s.namespace).Delete(s.Context(), "foreign", metav1.DeleteOptions{})
		}},
		{"a node's heartbeat is deleted", func(c kubernetes.Interface) error {
			return c.CoordinationV1().Leases(corev1.NamespaceNodeLease).Delete(s.Context(), "node-1", metav1.DeleteOptions{})
		}},
		{"a slice of Kubernetes is deleted", func(c kubernetes.Interface) error {
			return c.DiscoveryV1().EndpointSlices(s.namespace).Delete(s.Context(), slices.Items[0].Name, metav1.DeleteOptions{})
		}},
		{"a slice has another name", createSlice(own("evil", "web-0"))},
		{"a slice lists two pods", createSlice(own("web-master-ipv4", "web-0", "web-1"))},
		{"a slice lists what is no pod", func(c kubernetes.Interface) error {
			slice := own("web-master-ipv4", "web-0")
			slice.Endpoints[0].TargetRef = nil
			return createSlice(slice)(c)
		}},
	})
}

// What users cannot do where the record is guarded; and what they still can.
func TestGuarded(t *testing.T) {
	t.Parallel()
	s := newPoliced(t)
	s.readyPods("web-0", "web-1")
	s.apply("web", 80)
	s.awaitMaster("web", "web-0", 1)
	master := s.getPod("web-0")
	leases := client.CoordinationV1().Leases(s.namespace)
	annotate := func(key, value string) attack {
		return attack{"the Lease's " + key + " is written", func(kubernetes.Interface) error {
			body := assert.Must(json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}}))(s)
			_, err := leases.Patch(s.Context(), "web", types.MergePatchType, body, metav1.PatchOptions{})
			return err
		}}
	}
	edit := func(body string) attack {
		return attack{"the Lease is patched with " + body, func(kubernetes.Interface) error {
			_, err := leases.Patch(s.Context(), "web", types.MergePatchType, []byte(body), metav1.PatchOptions{})
			return err
		}}
	}
	mark := func(body string) attack {
		return attack{"the pod is patched with " + body, func(kubernetes.Interface) error {
			_, err := client.CoreV1().Pods(s.namespace).Patch(s.Context(), "web-1", types.MergePatchType, []byte(body), metav1.PatchOptions{})
			return err
		}}
	}
	s.refused(client, []attack{
		annotate(api.AnnotationHolderUID, "forged"), annotate(api.AnnotationRecord, "1/forged"), annotate(api.AnnotationDemotedUID, "forged"),
		annotate(api.AnnotationReason, "Forged"), annotate(api.AnnotationHistory, "[]"), annotate(api.AnnotationLeadingService, "forged"),
		annotate(api.AnnotationHandover, "after-termination"), annotate(api.AnnotationNextHolder, "web-1"),
		edit(`{"spec":{"leaseTransitions":1073741824}}`), edit(`{"spec":{"acquireTime":"9999-01-01T00:00:00.000000Z"}}`),
		edit(`{"spec":{"leaseDurationSeconds":1}}`), edit(`{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`),
		{"a Lease of the controller is created", func(kubernetes.Interface) error {
			lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "forged", Labels: map[string]string{api.LabelManagedBy: api.ManagedBy}}}
			_, err := leases.Create(s.Context(), lease, metav1.CreateOptions{})
			return err
		}},
		mark(`{"metadata":{"labels":{"qoqo.dev/pod-designation":"active"}}}`), mark(`{"metadata":{"annotations":{"qoqo.dev/lease-transitions":"1073741823"}}}`),
		mark(fmt.Sprintf(`{"metadata":{"annotations":{"qoqo.dev/witness":"%s@7"}}}`, s.getPod("web-1").UID)),
		{"a pod is created as a master", func(kubernetes.Interface) error {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "forged", Labels: map[string]string{api.LabelDesignation: api.DesignationActive}}, Spec: podSpec()}
			_, err := client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{})
			return err
		}},
		{"an annotation is longer than any that makes sense", func(kubernetes.Interface) error {
			return patchOf(s, client.CoreV1().Services(s.namespace).Patch, "web", fmt.Sprintf(`{"metadata":{"annotations":{"qoqo.dev/prefer":%q}}}`, strings.Repeat("a", 1025)))
		}},
	})
	s.editHolder("web", "web-1")
	s.awaitMaster("web", "web-1", 2)
	if pod := s.getPod("web-0"); pod.UID != master.UID {
		t.Error("the former master was replaced")
	}
	s.guard.MayGo("web")
	assert.Must(0, leases.Delete(t.Context(), "web", metav1.DeleteOptions{}))(s)
	s.eventually("the Lease is made again", func() error {
		lease, err := leases.Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && ptr.Deref(lease.Spec.HolderIdentity, "") != "web-1" {
			err = fmt.Errorf("its holder is %v", lease.Spec.HolderIdentity)
		}
		return err
	})
	assert.Must(0, patchOf(s, client.CoreV1().Pods(s.namespace).Patch, "web-0", `{"metadata":{"labels":{"qoqo.dev/pod-designation":null}}}`))(s)
}

// Who has the controller delete pods must be allowed to delete pods.
func TestOnDemoteNeedsTheRight(t *testing.T) {
	t.Parallel()
	s := newPoliced(t)
	s.apply("web", 80)
	body := fmt.Sprintf(`{"metadata":{"annotations":{%q:"delete"}}}`, api.AnnotationOnDemote)
	account := assert.Must(plane.ServiceAccount(t.Context(), s.namespace, "default"))(s)
	assert.Must(installation.Kubectl(t.Context(), "-n", s.namespace, "create", "role", "patcher", "--verb=get,patch", "--resource=services"))(s)
	assert.Must(installation.Kubectl(t.Context(), "-n", s.namespace, "create", "rolebinding", "patcher", "--role=patcher", "--serviceaccount="+s.namespace+":default"))(s)
	patcher := assert.Must(kubernetes.NewForConfig(account.Config))(s)
	s.eventually("the account may patch Services", func() error {
		return patchOf(s, patcher.CoreV1().Services(s.namespace).Patch, "web", `{"metadata":{"labels":{"a":"b"}}}`)
	})
	if err := patchOf(s, patcher.CoreV1().Services(s.namespace).Patch, "web", body); !byPolicy(err) {
		t.Errorf("%v, want that a policy refuses it", err)
	}
	assert.Must(0, patchOf(s, client.CoreV1().Services(s.namespace).Patch, "web", body))(s)
}
