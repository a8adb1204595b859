//go:build integration

package integration

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
// switchover and the loss of its Lease, which costs two epochs. They follow from what was written
// elsewhere: of the Service itself nothing is but a condition of its status.
func (s *scene) servesUnpatched(service *corev1.Service) {
	s.Helper()
	s.awaitMaster("web", "web-0", 1)
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitMaster("web", "web-1", 2)
	s.editHolderBack("web", "web-0")

	s.guard.MayGo("web")
	assert.Must(0, client.CoordinationV1().Leases(s.namespace).Delete(s.Context(), "web", metav1.DeleteOptions{}))(s)
	s.awaitMaster("web", "web-0", 5)
	but := func(s *corev1.Service) *corev1.Service {
		s = s.DeepCopy()
		s.ResourceVersion, s.ManagedFields, s.Status = "", nil, corev1.ServiceStatus{}
		return s
	}
	if diff := cmp.Diff(but(service), but(s.getService("web"))); diff != "" {
		s.Errorf("the Service was patched (-before +now):\n%s", diff)
	}
}

func TestSelectorReverted(t *testing.T) {
	s := newScene(t)
	s.readyPods("web-0", "web-1")
	s.service("web")
	master := *s.awaitLease("web").Spec.HolderIdentity
	s.awaitMaster("web", master, 1)

	// A tool applies the manifest again, by force. For a moment the Service is open.
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
