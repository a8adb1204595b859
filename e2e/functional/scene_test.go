//go:build e2e

package functional

import (
	"context"
	"embed"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/e2e/check/guard"
	"qoqo.dev/active-standby-controller/pkg/api"
)

// patience is how long a test waits for a condition that should take seconds.
const patience = 90 * time.Second

//go:embed testdata
var testdata embed.FS

// scene is the namespace of one test, watched by a guard. Tests that touch nodes, the API server or
// the controller run alone, and all others at once, after them.
type scene struct {
	*testing.T
	namespace string
	guard     *guard.Guard
}

func newScene(t *testing.T) *scene {
	t.Helper()
	namespaces := cluster.Client.CoreV1().Namespaces()
	namespace, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if err := cluster.Diagnose(context.Background(), filepath.Join(artifacts, t.Name())); err != nil {
				t.Error(err)
			}
		}
		if err := namespaces.Delete(context.Background(), namespace.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	// After the cleanup above is registered, so that the guard ends before the namespace
	// is deleted.
	s := &scene{T: t, namespace: namespace.Name, guard: guard.New(t, cluster.Client, namespace.Name)}
	s.eventually("the namespace's ServiceAccount exists", func() error {
		_, err := cluster.Client.CoreV1().ServiceAccounts(s.namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	return s
}

// eventually waits until the condition returns nil.
func (s *scene) eventually(what string, condition func() error) {
	s.Helper()
	assert.Eventually(s, patience, what, condition)
}

// kubectl runs kubectl in the namespace, and returns what it printed.
func (s *scene) kubectl(args ...string) string {
	s.Helper()
	return assert.Must(cluster.Kubectl(s.Context(), "", append([]string{"-n", s.namespace}, args...)...))(s)
}

// apply applies a manifest of testdata with these annotations, each key=value. $TARGET
// in it becomes the target's image, and $NAMESPACE the test's namespace.
func (s *scene) apply(name string, annotations ...string) {
	s.Helper()
	text := string(assert.Must(testdata.ReadFile("testdata/" + name))(s))
	text = strings.NewReplacer("$TARGET", targetImage, "$NAMESPACE", s.namespace).Replace(text)
	if len(annotations) > 0 {
		args := append([]string{"annotate", "--local", "-f", "-", "-o", "yaml"}, annotations...)
		text = assert.Must(cluster.Kubectl(s.Context(), text, args...))(s)
	}
	s.applyText(text)
}

func (s *scene) applyText(manifest string) {
	s.Helper()
	assert.Must(cluster.Kubectl(s.Context(), manifest, "-n", s.namespace, "apply", "-f", "-"))(s)
}

func (s *scene) awaitRollout(workload string) {
	s.Helper()
	if err := cluster.AwaitRollout(s.Context(), s.namespace, workload); err != nil {
		s.Fatal(err)
	}
}

// web applies the Deployment web and the Service of that name in a manifest of testdata,
// with these annotations. It returns the Lease once there is a master.
func (s *scene) web(service string, annotations ...string) *coordinationv1.Lease {
	s.Helper()
	return s.webOf("deployment.yaml", service, annotations...)
}

// webOf is web with another Deployment.
func (s *scene) webOf(deployment, service string, annotations ...string) *coordinationv1.Lease {
	s.Helper()
	s.apply(deployment)
	s.awaitRollout("deployment/web")
	s.apply(service, annotations...)
	return s.awaitMaster("web", 1, anyPod)
}

// pods returns the pods with this label app, by name.
func (s *scene) pods(app string) map[string]corev1.Pod {
	s.Helper()
	pods := map[string]corev1.Pod{}
	for _, pod := range assert.Must(cluster.Client.CoreV1().Pods(s.namespace).List(s.Context(), metav1.ListOptions{LabelSelector: "app=" + app}))(s).Items {
		pods[pod.Name] = pod
	}
	return pods
}

func (s *scene) pod(name string) *corev1.Pod {
	s.Helper()
	return assert.Must(cluster.Client.CoreV1().Pods(s.namespace).Get(s.Context(), name, metav1.GetOptions{}))(s)
}

func isReady(pod corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// standby waits for a Ready standby among the pods with this label app, and returns its
// name.
func (s *scene) standby(app string) (name string) {
	s.Helper()
	s.eventually("there is a standby", func() error {
		for _, pod := range s.pods(app) {
			if isReady(pod) && pod.Labels[api.LabelDesignation] == api.DesignationStandby {
				name = pod.Name
				return nil
			}
		}
		return fmt.Errorf("no Ready pod is labelled standby")
	})
	return name
}

// setReady sets what a target answers its readiness probe.
func (s *scene) setReady(pod string, ready bool) {
	s.Helper()
	assert.Must(cluster.Client.CoreV1().RESTClient().Post().Namespace(s.namespace).Resource("pods").Name(pod+":8080").SubResource("proxy").
		Suffix("ready", fmt.Sprint(ready)).DoRaw(s.Context()))(s)
}

func (s *scene) lease(name string) *coordinationv1.Lease {
	s.Helper()
	return assert.Must(cluster.Client.CoordinationV1().Leases(s.namespace).Get(s.Context(), name, metav1.GetOptions{}))(s)
}

// editHolder does a switchover as the README tells users to.
func (s *scene) editHolder(lease, holder string) {
	s.Helper()
	s.kubectl("patch", "lease", lease, "--type=merge", "-p", fmt.Sprintf(`{"spec":{"holderIdentity":%q}}`, holder))
}

// anyPod may be the master.
const anyPod = ""

// awaitMaster waits until the pod holds the Lease in that epoch, or in any if epoch is 0,
// and is labelled active. It returns the Lease.
func (s *scene) awaitMaster(lease string, epoch int32, master string) (l *coordinationv1.Lease) {
	s.Helper()
	s.eventually(fmt.Sprintf("Lease %s has holder %q in epoch %d", lease, master, epoch), func() (err error) {
		l, err = cluster.Client.CoordinationV1().Leases(s.namespace).Get(s.Context(), lease, metav1.GetOptions{})
		if err != nil {
			return err
		}
		holder, at := ptr.Deref(l.Spec.HolderIdentity, ""), ptr.Deref(l.Spec.LeaseTransitions, 0)
		if holder == "" || master != anyPod && holder != master || epoch != 0 && at != epoch {
			return fmt.Errorf("the holder is %q in epoch %d, after the moves %s", holder, at, l.Annotations[api.AnnotationHistory])
		}
		pod, err := cluster.Client.CoreV1().Pods(s.namespace).Get(s.Context(), holder, metav1.GetOptions{})
		if err == nil && (pod.Labels[api.LabelDesignation] != api.DesignationActive || string(pod.UID) != l.Annotations[api.AnnotationHolderUID]) {
			err = fmt.Errorf("the holder's pod, of UID %s, is labelled %v", pod.UID, pod.Labels)
		}
		return err
	})
	return l
}

// unmoved fails the test if the Lease was written to after the given state.
func (s *scene) unmoved(before *coordinationv1.Lease) {
	s.Helper()
	if now := s.lease(before.Name); now.ResourceVersion != before.ResourceVersion {
		s.Errorf("the Lease was written to: it is %v, and was %v", now.Spec, before.Spec)
	}
}

// readiness returns an error if the pod is not Ready.
func readiness(pod corev1.Pod) error {
	if !isReady(pod) {
		return fmt.Errorf("the pod %s is not Ready", pod.Name)
	}
	return nil
}
