//go:build integration

package integration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const builtIn = "endpointslice-controller.k8s.io"

// A Service with one pod is plain at first, and then routed by EndpointSlice: the
// controller's slices are what Kubernetes' were, field by field.
func TestSlicesAreAsKubernetesMakesThem(t *testing.T) {
	named := func(s *corev1.Service) {
		s.Spec.Ports = []corev1.ServicePort{{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}}
	}
	tests := map[string]func(*corev1.Service){
		"a port's number": func(*corev1.Service) {},
		"a port's name":   named,
		"several ports and protocols": func(s *corev1.Service) {
			s.Spec.Ports = []corev1.ServicePort{
				{Name: "web", Port: 80, TargetPort: intstr.FromString("http"), AppProtocol: ptr.To("kubernetes.io/h2c")},
				{Name: "dns", Port: 53, TargetPort: intstr.FromString("dns"), Protocol: corev1.ProtocolUDP},
				{Name: "sctp", Port: 132, Protocol: corev1.ProtocolSCTP},
				{Name: "missing", Port: 99, TargetPort: intstr.FromString("no-such-port")},
			}
		},
		"dual-stack": func(s *corev1.Service) { s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack) },
		"headless with a hostname": func(s *corev1.Service) {
			named(s)
			s.Spec.ClusterIP = corev1.ClusterIPNone
		},
		"headless without ports":   func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.Ports = corev1.ClusterIPNone, nil },
		"published while NotReady": func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true },
		"traffic policy Local": func(s *corev1.Service) {
			s.Spec.InternalTrafficPolicy = ptr.To(corev1.ServiceInternalTrafficPolicyLocal)
		},
		"the zone preferred": func(s *corev1.Service) {
			s.Spec.TrafficDistribution = ptr.To(corev1.ServiceTrafficDistributionPreferClose)
		},
		"labels of its own": func(s *corev1.Service) { s.Labels = map[string]string{"team": "blue"} },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.guard.Opened("web")
			s.pod("web-0", func(pod *corev1.Pod) {
				pod.Spec.Hostname, pod.Spec.Subdomain = "web-0", "web"
				pod.Spec.Containers[0].Ports = []corev1.ContainerPort{
					{Name: "http", ContainerPort: 8080}, {Name: "dns", ContainerPort: 5353, Protocol: corev1.ProtocolUDP},
				}
			})
			s.awaitReady("web-0")
			s.service("web", change, func(service *corev1.Service) {
				service.Annotations = nil
				service.Spec.Selector = map[string]string{"app": "web"}
			})
			var want [2][]discoveryv1.EndpointSlice
			for i, ready := range []bool{false, true} {
				s.setReady("web-0", ready)
				s.eventually("Kubernetes lists the pod", func() (err error) {
					want[i], err = s.listing("web", builtIn, "web-0", ready)
					return err
				})
			}

			s.annotate("web", api.AnnotationRouting, ptr.To(string(api.RoutingEndpointSlice)))
			s.annotate("web", api.AnnotationServiceMode, ptr.To(api.ModeActiveStandby))
			s.awaitMaster("web", "web-0", 1)
			for i, ready := range []bool{false, true} {
				s.setReady("web-0", ready)
				s.eventually(fmt.Sprintf("the slices are equal while ready is %v", ready), func() error {
					got, err := s.listing("web", api.SliceManagedBy, "web-0", ready)
					if diff := gocmp.Diff(want[i], got, cmpopts.EquateEmpty()); err == nil && diff != "" {
						err = fmt.Errorf("slices (-Kubernetes' +own):\n%s", diff)
					}
					return err
				})
			}
		})
	}
}

// listing returns the manager's slices of the Service if they list the pod, with that
// readiness or published, without what is each manager's own.
func (s *scene) listing(service, manager, pod string, ready bool) (all []discoveryv1.EndpointSlice, err error) {
	for _, slice := range s.slices(service, manager) {
		if len(slice.Endpoints) != 1 || slice.Endpoints[0].TargetRef.Name != pod || *slice.Endpoints[0].Conditions.Serving != ready {
			return nil, fmt.Errorf("%s lists %v", slice.Name, slice.Endpoints)
		}
		labels := slice.Labels
		delete(labels, discoveryv1.LabelManagedBy)
		slice.ObjectMeta = metav1.ObjectMeta{Namespace: slice.Namespace, Labels: labels}
		all = append(all, slice)
	}
	// One of each family; they are written one after the other.
	if families := s.getService(service).Spec.IPFamilies; len(all) != len(families) {
		return nil, fmt.Errorf("there are %d, for %v", len(all), families)
	}
	slices.SortFunc(all, func(a, b discoveryv1.EndpointSlice) int { return cmp.Compare(a.AddressType, b.AddressType) })
	return all, nil
}

// slices are the EndpointSlices of a Service that the manager has made.
func (s *scene) slices(service, manager string) []discoveryv1.EndpointSlice {
	s.Helper()
	selector := discoveryv1.LabelServiceName + "=" + service + "," + discoveryv1.LabelManagedBy + "=" + manager
	return assert.Must(client.DiscoveryV1().EndpointSlices(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: selector}))(s).Items
}

// reattached waits until the controller's own slices are gone.
func (s *scene) reattached(service string) {
	s.Helper()
	s.eventually("the slices are Kubernetes' again", func() error {
		if own := s.slices(service, api.SliceManagedBy); len(own) > 0 {
			return fmt.Errorf("there is %s", own[0].Name)
		}
		return nil
	})
}

// Of a Service without a selector nothing is written but a condition.
func TestSelectorless(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0")
	service := s.service("web", func(service *corev1.Service) {
		service.Annotations[api.AnnotationSelector] = "app=web"
		service.Spec.Selector = nil
	})
	s.servesUnpatched(service)
	s.annotate("web", api.AnnotationServiceMode, nil)
	s.reattached("web")
}

// closedByEndpointSlice routes a Service by EndpointSlice from its first moment.
func closedByEndpointSlice(service *corev1.Service) {
	service.Annotations[api.AnnotationRouting] = string(api.RoutingEndpointSlice)
	service.Spec.Selector = map[string]string{"app": "web", api.LabelRouting: string(api.RoutingEndpointSlice)}
}

func TestRoutingKeyOnAPodRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"app": "web", api.LabelRouting: string(api.RoutingEndpointSlice)}}, Spec: podSpec()}
	s.eventually("a pod with the routing's key is refused", func() error {
		_, err := client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "no pod may carry the label qoqo.dev/routing") {
			return fmt.Errorf("creating it: %w", err)
		}
		return nil
	})
}
