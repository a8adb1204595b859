//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestKindsOfServices(t *testing.T) {
	tests := map[string]func(*corev1.Service){
		"ClusterIP":    func(*corev1.Service) {},
		"NodePort":     func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort },
		"LoadBalancer": func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer },
		"headless":     func(s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone },
		"headless without ports": func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.Ports = corev1.ClusterIPNone, nil
		},
		"dual-stack": func(s *corev1.Service) { s.Spec.IPFamilyPolicy = ptr.To(corev1.IPFamilyPolicyRequireDualStack) },
		"headless dual-stack": func(s *corev1.Service) {
			s.Spec.ClusterIP, s.Spec.IPFamilyPolicy = corev1.ClusterIPNone, ptr.To(corev1.IPFamilyPolicyRequireDualStack)
		},
	}
	for routing, route := range map[string]func(*corev1.Service){
		"selector":      func(*corev1.Service) {},
		"endpointslice": closedByEndpointSlice,
	} {
		for name, change := range tests {
			t.Run(name+" by "+routing, func(t *testing.T) {
				t.Parallel()
				s := newScene(t)
				s.readyPods("web-0")
				s.service("web", change, route)
				s.awaitMaster("web", "web-0", 1)
				s.readyPods("web-1")
				s.setReady("web-0", false)
				s.awaitMaster("web", "web-1", 2)
				s.editHolderBack("web", "web-0")
			})
		}
	}
}

// editHolderBack makes the pod Ready again and switches over to it.
func (s *scene) editHolderBack(service, pod string) {
	s.Helper()
	s.setReady(pod, true)
	lease := api.LeaseName(s.getService(service))
	epoch := *s.lease(lease).Spec.LeaseTransitions
	s.editHolder(lease, pod)
	s.awaitMaster(service, pod, epoch+1)
}

func TestLabelRouting(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	service := s.service("web", func(service *corev1.Service) {
		service.Spec.Selector = map[string]string{"app": "web", api.LabelDesignation: api.DesignationActive}
	})
	s.servesUnpatched(service)
}

// servesUnpatched takes the Service web, whose only pod is web-0, through a failover, a
// switchover and the loss of its Lease, whose epoch is read from what was written
// elsewhere: to the Service itself nothing is.
func (s *scene) servesUnpatched(service *corev1.Service) {
	s.Helper()
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitMaster("web", "web-1", 2)
	s.editHolderBack("web", "web-0")

	s.guard.MayGo("web")
	assert.Must(0, client.CoordinationV1().Leases(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
	s.awaitMaster("web", "web-0", 3)
	if now := s.getService("web"); now.ResourceVersion != service.ResourceVersion {
		s.Errorf("the Service was patched: %v", now)
	}
}

func TestFromSelectorToLabelRouting(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0", "web-1")
	s.service("web")
	master := *s.awaitLease("web").Spec.HolderIdentity
	s.awaitMaster("web", master, 1)

	s.patchService("web", `{"spec":{"selector":{"qoqo.dev/pod-designation":"active"}}}`)
	s.eventually("the Service keeps nothing of the other routing", func() error {
		service := s.getService("web")
		if _, found := service.Spec.Selector[api.LabelPodUID]; found || service.Annotations[api.AnnotationLeaseTransitions] != "" {
			return fmt.Errorf("its selector is %v", service.Spec.Selector)
		}
		return s.follows("web", master, 1)
	})
	s.patchService("web", `{"spec":{"selector":{"qoqo.dev/pod-designation":null, "qoqo.dev/pod-uid": "none"}}}`)
	s.awaitMaster("web", master, 1)
}

func TestSelectorReverted(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0", "web-1")
	s.service("web")
	master := *s.awaitLease("web").Spec.HolderIdentity
	s.awaitMaster("web", master, 1)

	// Somebody applies the manifest again, by force. For a moment the Service is theirs.
	s.guard.Opened("web")
	manifest := assert.Must(json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": "web"},
		"spec":     map[string]any{"selector": map[string]string{"app": "web"}},
	}))(s)
	assert.Must(client.CoreV1().Services(s.namespace).Patch(s.Context(), "web", types.ApplyPatchType, manifest,
		metav1.PatchOptions{FieldManager: "some-gitops-tool", Force: ptr.To(true)}))(s)
	if note := s.awaitEvent("web", "SelectorReverted"); !strings.Contains(note, `"some-gitops-tool"`) {
		t.Errorf("the event does not name the field manager: %q", note)
	}
	s.awaitMaster("web", master, 1)
	s.awaitQuiet()
	events := slices.DeleteFunc(s.events("web"), func(e eventsv1.Event) bool { return e.Reason != "SelectorReverted" })
	if len(events) != 1 || events[0].Series != nil {
		t.Errorf("it was reported more than once: %v", events)
	}
}

func TestCopiedIdentityRefused(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	uid := string(s.getPod("web-0").UID)
	copied := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "copy", Labels: map[string]string{"app": "web", api.LabelPodUID: uid}}, Spec: podSpec()}
	_, err := client.CoreV1().Pods(s.namespace).Create(s.Context(), copied, metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "is not the UID of this pod") {
		t.Errorf("a pod with the master's identity label: %v", err)
	}
}

func TestSharedLease(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	headless := func(service *corev1.Service) {
		service.Annotations[api.AnnotationLeaseName] = "web"
		service.Spec.ClusterIP = corev1.ClusterIPNone
	}
	s.service("web")
	s.service("web-nodes", headless)
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitMaster("web", "web-1", 2)
	s.eventually("the other Service follows", func() error { return s.follows("web-nodes", "web-1", 2) })
	if owners := s.lease("web").OwnerReferences; len(owners) != 2 {
		t.Errorf("the Lease's owners are %v", owners)
	}

	// The Service whose name the Lease has may go as well as the other.
	s.guard.Opened("web")
	s.annotate("web", api.AnnotationServiceMode, nil)
	s.eventually("the Service that opted out is its own again", func() error {
		if service := s.getService("web"); len(service.Spec.Selector) != 1 {
			return fmt.Errorf("its selector is %v", service.Spec.Selector)
		}
		if owners := s.lease("web").OwnerReferences; len(owners) != 1 {
			return fmt.Errorf("the Lease's owners are %v", owners)
		}
		return s.follows("web-nodes", "web-1", 2)
	})
	s.editHolderBack("web-nodes", "web-0")
}

func TestOverlappingElections(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0")
	s.service("web")
	s.awaitMaster("web", "web-0", 1)
	s.service("web-too")
	if note := s.awaitEvent("web-too", api.ReasonOverlappingElection); !strings.Contains(note, "qoqo.dev/lease-name: web") {
		t.Errorf("the event does not say what to do: %q", note)
	}
	s.eventually("it is served nevertheless", func() error { return s.endpoints("web-too", "web-0") })
	s.guard.MayGo("web-too")
	s.annotate("web-too", api.AnnotationLeaseName, ptr.To("web"))
	s.eventually("they share the Lease", func() error {
		_, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), "web-too", metav1.GetOptions{})
		if err == nil {
			return fmt.Errorf("the Lease web-too is still there")
		}
		return s.follows("web-too", "web-0", 1)
	})
}

func (s *scene) patchService(name, body string) {
	s.Helper()
	assert.Must(client.CoreV1().Services(s.namespace).Patch(s.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{}))(s)
}
