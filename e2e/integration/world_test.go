//go:build integration

package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// What the world around the controller does to it.

// refuseLabels lets a policy refuse what the controller writes to a pod.
func (s *scene) refuseLabels(pod string) {
	s.Helper()
	name := s.namespace + ".example.com"
	policies, bindings := client.AdmissionregistrationV1().ValidatingAdmissionPolicies(), client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	assert.Must(policies.Create(s.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: s.namespace}},
				ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Update},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Validations: []admissionv1.Validation{{
				Expression: fmt.Sprintf("object.metadata.name != %q || object.metadata.labels == oldObject.metadata.labels", pod),
				Message:    "labels are refused",
			}},
		},
	}, metav1.CreateOptions{}))(s)
	assert.Must(bindings.Create(s.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.ValidatingAdmissionPolicyBindingSpec{PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny}},
	}, metav1.CreateOptions{}))(s)
	s.Cleanup(func() {
		for _, err := range []error{bindings.Delete(context.WithoutCancel(s.Context()), name, metav1.DeleteOptions{}), policies.Delete(context.WithoutCancel(s.Context()), name, metav1.DeleteOptions{})} {
			if err != nil {
				s.Error(err)
			}
		}
	})
	s.eventually("the policy is in force", func() error {
		_, err := client.CoreV1().Pods(s.namespace).Patch(s.Context(), pod, types.MergePatchType, []byte(`{"metadata":{"labels":{"try":"it"}}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("the pod can be labelled")
		}
		return nil
	})
}

// A pod that cannot be labelled is passed over, and as a standby it holds nothing up.
func TestLabelsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0", "web-1", "web-2")
	s.refuseLabels("web-0")
	s.service("web", with(api.AnnotationOnDemote, api.OnDemoteDelete))
	s.eventually("a pod that can be labelled serves", func() error { return s.endpoints("web", "web-1") })
	s.awaitNote("web", api.ReasonWriteRefused, "labels are refused")

	s.setReady("web-1", false)
	s.eventually("the next pod serves", func() error { return s.endpoints("web", "web-2") })
	s.awaitNote("web", "HolderDemoted", "deleting web-1: ")
}

// A Service whose pods all cannot be labelled is closed all the same.
func TestAllLabelsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.guard.Opened("web")
	s.readyPods("web-0")
	s.refuseLabels("web-0")
	s.service("web", func(service *corev1.Service) { delete(service.Spec.Selector, api.LabelPodUID) })
	s.eventually("the Service is closed", func() error {
		if uid := s.getService("web").Spec.Selector[api.LabelPodUID]; uid != string(s.getPod("web-0").UID) {
			return fmt.Errorf("it selects %q", uid)
		}
		return s.endpoints("web")
	})
	s.awaitNote("web", api.ReasonWriteRefused, "labels are refused")
}

// node creates a node for the scene alone, and returns its name.
func (s *scene) node(name string, labels map[string]string) string {
	s.Helper()
	resources := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("32Gi"), corev1.ResourcePods: resource.MustParse("100")}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + s.namespace, Labels: labels},
		Spec: corev1.NodeSpec{
			PodCIDR: "10.250.0.0/16", PodCIDRs: []string{"10.250.0.0/16", "fd00:10:250::/64"},
			// No pod of another test gets here.
			Taints: []corev1.Taint{{Key: "test", Effect: corev1.TaintEffectNoSchedule}},
		},
		Status: corev1.NodeStatus{Capacity: resources, Allocatable: resources},
	}
	assert.Must(client.CoreV1().Nodes().Create(s.Context(), node, metav1.CreateOptions{}))(s)
	s.Cleanup(func() {
		_ = client.CoreV1().Nodes().Delete(context.WithoutCancel(s.Context()), node.Name, metav1.DeleteOptions{})
	})
	return node.Name
}

// podOn creates a pod that is Ready on a node of the scene's.
func (s *scene) podOn(node, name, ip string) {
	s.Helper()
	s.pod(name, func(pod *corev1.Pod) { pod.Spec.NodeName = node })
	body := fmt.Appendf(nil, `{"status":{"phase":"Running","podIP":%q,"podIPs":[{"ip":%q}]}}`, ip, ip)
	assert.Must(client.CoreV1().Pods(s.namespace).Patch(s.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}, "status"))(s)
	s.setReady(name, true)
}

// A pod whose Node is deleted is followed at once, though it is Ready, and is not elected.
func TestNodeThatIsDeleted(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first, second := s.node("first", nil), s.node("second", nil)
	s.podOn(first, "web-0", "10.250.0.1")
	s.podOn(second, "web-1", "10.250.0.2")
	s.readyPods("web-2")
	s.service("web")
	master := *s.awaitLease("web").Spec.HolderIdentity
	s.awaitMaster("web", master, 1)
	if master == "web-2" {
		s.editHolder("web", "web-0")
		s.awaitMaster("web", "web-0", 2)
	}
	before := *s.lease("web").Spec.LeaseTransitions
	for _, node := range []string{second, first} {
		assert.Must(0, client.CoreV1().Nodes().Delete(s.Context(), node, metav1.DeleteOptions{}))(s)
	}
	s.eventually("the pod on a node that exists is master", func() error { return s.endpoints("web", "web-2") })
	if got := *s.lease("web").Spec.LeaseTransitions; got == before {
		t.Errorf("the epoch is still %d", got)
	}
}

// Two replicas that have learned of different zones of a node do not write an EndpointSlice in turns.
func TestZoneThatIsCorrected(t *testing.T) {
	s := newScene(t)
	node := s.node("zoned", nil)
	s.podOn(node, "web-0", "10.250.0.3")
	s.service("web", with(api.AnnotationRouting, string(api.RoutingEndpointSlice)))
	s.eventually("the slice lists the master", func() error { return s.endpoints("web", "web-0") })
	for i, zone := range []string{"east", "west", ""} {
		s.awaitQuiet()
		began := time.Now()
		body := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, corev1.LabelTopologyZone, zone)
		assert.Must(client.CoreV1().Nodes().Patch(t.Context(), node, types.MergePatchType, body, metav1.PatchOptions{}))(s)
		// One that is started now knows no other zone.
		running[i%2].Stop()
		assert.Must(0, startReplicas(t.Context()))(s)
		s.awaitQuiet()
		written := slices.DeleteFunc(assert.Must(requests(began))(s), func(r request) bool {
			// Of both replicas one may come too late.
			return !r.write() || r.ResponseStatus.Code == http.StatusConflict || r.ObjectRef.Resource != "endpointslices" || r.ObjectRef.Namespace != s.namespace
		})
		// The first zone is better than none. No other changes an endpoint that is published.
		if want := max(0, 1-i); len(written) != want {
			t.Errorf("after the zone %q the slice was written %d times, want %d", zone, len(written), want)
		}
	}
}

// Kubernetes' EndpointSlice controller stands still: what was moved is not shown as routed.
func TestNotPublished(t *testing.T) {
	s := settled(t)
	thaw, err := plane.Freeze("kube-controller-manager")
	if err != nil {
		t.Fatal(err)
	}
	// Also if it ends before.
	t.Cleanup(func() { _ = thaw() })
	s.editHolder("web", "web-1")
	s.awaitNote("web", api.ReasonNotPublished, "web-0")
	if err := s.endpoints("web", "web-0"); err != nil {
		t.Errorf("Kubernetes has published: %v", err)
	}
	if err := thaw(); err != nil {
		t.Fatal(err)
	}
	s.awaitMaster("web", "web-1", 2)
}

// A master that stumbles for less than a second is not deleted for it.
func TestMasterThatStumbles(t *testing.T) {
	t.Parallel()
	s := settled(t, with(api.AnnotationOnDemote, api.OnDemoteDelete), with(api.AnnotationHandover, api.HandoverAfterTermination))
	for range 3 {
		s.setReady("web-0", false)
		<-time.After(300 * time.Millisecond)
		s.setReady("web-0", true)
	}
	s.awaitQuiet()
	s.awaitMaster("web", "web-0", 1)
	if deleted := s.deletions(); len(deleted) > 0 {
		t.Errorf("deleted: %v", deleted)
	}
}

// A namespace is restored from a backup: pods come with the marks of others, and do not bring
// back an old epoch. Services come with what the controller wrote to them.
func TestRestored(t *testing.T) {
	if *guarded {
		t.Skip("the guard lets nobody bring the marks")
	}
	t.Parallel()
	s := newScene(t)
	for _, name := range []string{"web-0", "web-1"} {
		pod := &corev1.Pod{Spec: podSpec(), ObjectMeta: metav1.ObjectMeta{
			Name: name, OwnerReferences: s.workload, Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{api.AnnotationLeaseTransitions: "41", api.AnnotationWitness: "of-another@41"},
		}}
		s.eventually("the guard is not in force here", func() error {
			_, err := client.CoreV1().Pods(s.namespace).Create(s.Context(), pod, metav1.CreateOptions{})
			return err
		})
		s.awaitReady(name)
	}
	s.service("web", with(api.AnnotationLeaseTransitions, "3"), func(service *corev1.Service) { service.Spec.Selector[api.LabelPodUID] = "of-another" })
	lease := s.awaitLease("web")
	if epoch := *lease.Spec.LeaseTransitions; epoch != 5 {
		t.Errorf("epoch %d, want 5: a Lease that was lost may have said one more than the Service", epoch)
	}
	s.reason(lease, election.HolderGone)
	s.awaitMaster("web", *lease.Spec.HolderIdentity, *lease.Spec.LeaseTransitions)
}
