//go:build integration

package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Pods of kwok have no processes. These get addresses of this machine, at which the
// test itself answers; Kubernetes does not publish such ones, so that it is the
// Lease that is looked at.

// answering is a server at an address of the loopback range.
type answering struct {
	*http.Server
	port int
	// asked counts the requests that are not refused.
	asked atomic.Int32
	// refuses may be set before the first request.
	refuses func(*http.Request) bool
}

// answerAt answers at a free port, or at the given one.
func answerAt(t *testing.T, ip string, port int) *answering {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", fmt.Sprintf("%s:%d", ip, port))
	if err != nil {
		t.Skipf("this machine has no address %s: %v", ip, err)
	}
	a := &answering{port: listener.Addr().(*net.TCPAddr).Port}
	a.Server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.refuses != nil && a.refuses(r) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a.asked.Add(1)
	})}
	go func() { _ = a.Serve(listener) }()
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// often is how many answers both replicas have had by then, of a master and of a
// standby: each asks with the same rhythm.
const often = 20

func (s *scene) awaitAnswers(servers ...*answering) {
	s.Helper()
	for _, server := range servers {
		s.eventually(fmt.Sprintf("port %d is asked", server.port), func() error {
			if asked := server.asked.Load(); asked < often {
				return fmt.Errorf("%d times only", asked)
			}
			return nil
		})
	}
}

// awaitSuspected waits until both replicas have lost faith in the pod.
func (s *scene) awaitSuspected(pod string) {
	s.Helper()
	uid := string(s.getPod(pod).UID)
	s.eventually(pod+" is suspected", func() error {
		for _, r := range running {
			log := string(assert.Must(os.ReadFile(r.Log))(s))
			if !slices.ContainsFunc(strings.Split(log, "\n"), func(line string) bool {
				return strings.Contains(line, uid) && strings.Contains(line, `"state":"Suspected"`)
			}) {
				return fmt.Errorf("not by all")
			}
		}
		return nil
	})
}

// move gives a pod another address.
func (s *scene) move(pod, ip string) {
	s.Helper()
	body := fmt.Appendf(nil, `{"status":{"podIP":%q,"podIPs":[{"ip":%q}]}}`, ip, ip)
	assert.Must(client.CoreV1().Pods(s.namespace).Patch(s.Context(), pod, types.MergePatchType, body, metav1.PatchOptions{}, "status"))(s)
}

func (s *scene) awaitHolder(lease, holder string, reason election.Reason) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s holds %s for %s", holder, lease, reason), func() error {
		l, err := client.CoordinationV1().Leases(s.namespace).Get(s.Context(), lease, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got, why := ptr.Deref(l.Spec.HolderIdentity, ""), l.Annotations[api.AnnotationReason]; got != holder || why != string(reason) {
			return fmt.Errorf("%q does for %s", got, why)
		}
		return nil
	})
}

func TestProbe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first := answerAt(t, "127.1.0.1", 0)
	second := answerAt(t, "127.1.0.2", first.port)
	s.readyPods("web-0")
	s.move("web-0", "127.1.0.1")
	s.service("web", func(service *corev1.Service) {
		service.Annotations[api.AnnotationProbe] = fmt.Sprintf("http://:%d/", first.port)
		service.Annotations[api.AnnotationProbeInterval] = "50ms"
	})
	s.awaitHolder("web", "web-0", election.FirstEligible)
	s.readyPods("web-1")
	s.move("web-1", "127.1.0.2")
	s.awaitAnswers(first, second)

	assert.Must(0, first.Close())(s)
	s.awaitHolder("web", "web-1", election.HolderUnresponsive)
	if note := s.awaitEvent("web", string(election.HolderUnresponsive)); !strings.Contains(note, "web-0 has stopped answering the controller's probe") {
		t.Errorf("the event is %q", note)
	}
	// If no pod answers, the silence of the master says nothing about it.
	s.awaitQuiet()
	before := s.lease("web")
	assert.Must(0, second.Close())(s)
	s.awaitSuspected("web-1")
	s.awaitQuiet()
	if now := s.lease("web"); now.ResourceVersion != before.ResourceVersion {
		t.Errorf("the Lease was written to: %v", now)
	}
}

// Each pod is asked what its own readiness probe asks, of which the watches keep enough.
func TestReadinessProbe(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	first, second := answerAt(t, "127.1.0.4", 0), answerAt(t, "127.1.0.5", 0)
	asks := func(port int) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			// The first container cannot be asked.
			p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
				Name: "asked", Image: "none", Ports: []corev1.ContainerPort{{Name: "health", ContainerPort: int32(port)}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
					Path: "/healthz", Port: intstr.FromString("health"), HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "web.example"}, {Name: "X-Asked-By", Value: "kubelet"}},
				}}},
			})
		}
	}
	for _, a := range []*answering{first, second} {
		a.refuses = func(r *http.Request) bool {
			return r.URL.Path != "/healthz" || r.Host != "web.example" || r.Header.Get("X-Asked-By") != "kubelet"
		}
	}
	s.pod("web-0", asks(first.port))
	s.awaitReady("web-0")
	s.move("web-0", "127.1.0.4")
	s.service("web", func(service *corev1.Service) {
		service.Annotations[api.AnnotationProbe] = string(api.ProbeReadiness)
		service.Annotations[api.AnnotationProbeInterval] = "50ms"
	})
	s.awaitHolder("web", "web-0", election.FirstEligible)
	s.pod("web-1", asks(second.port))
	s.awaitReady("web-1")
	s.move("web-1", "127.1.0.5")
	s.awaitAnswers(first, second)
	assert.Must(0, first.Close())(s)
	s.awaitHolder("web", "web-1", election.HolderUnresponsive)
}

// A command cannot be asked. That is reported, and readiness alone decides.
func TestReadinessProbeThatIsACommand(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.pod("web-0", func(p *corev1.Pod) {
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}}
	})
	s.awaitReady("web-0")
	s.service("web", func(service *corev1.Service) { service.Annotations[api.AnnotationProbe] = string(api.ProbeReadiness) })
	if note := s.awaitEvent("web", api.ReasonProbeUnanswered); !strings.Contains(note, "web-0 is not probed, because the readiness probe of its container") || !strings.Contains(note, "is a command (exec)") {
		t.Errorf("the event is %q", note)
	}
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitHolder("web", "web-1", election.HolderNotReady)
}

// A probe that no pod ever answers is reported, and readiness alone decides.
func TestProbeThatNoPodAnswers(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.readyPods("web-0")
	s.move("web-0", "127.1.0.3")
	s.service("web", func(service *corev1.Service) {
		service.Annotations[api.AnnotationProbe] = "tcp://:9"
		service.Annotations[api.AnnotationProbeInterval] = "50ms"
	})
	if note := s.awaitEvent("web", api.ReasonProbeUnanswered); !strings.Contains(note, "web-0 is Ready, but has not answered the probe tcp://:9 since it became master") {
		t.Errorf("the event is %q", note)
	}
	s.readyPods("web-1")
	s.setReady("web-0", false)
	s.awaitHolder("web", "web-1", election.HolderNotReady)
}
