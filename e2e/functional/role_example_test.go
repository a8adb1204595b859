//go:build e2e

package functional

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"

	"qoqo.dev/active-standby-controller/e2e/check/assert"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// roleSwitchovers is the number of switchovers that are measured.
	roleSwitchovers = 5
	// roleSettled is how long a pod must log nothing new. It asks DNS ten times in that
	// time, so that probably no replica of DNS still has another answer.
	roleSettled = 5 * time.Second
)

// A pod of examples/role learns its role by both ways, and the test logs how late.
func TestRoleExample(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	shown := s.watchRoles()
	s.example("role")
	s.awaitRollout("deployment/role")
	master := *s.awaitMaster("role", 1, anyPod).Spec.HolderIdentity
	s.awaitRolesLogged(master)
	late := map[string][]time.Duration{}
	for epoch := range int32(roleSwitchovers) {
		next := s.standby("role")
		s.editHolder("role", next)
		s.awaitMaster("role", 2+epoch, next)
		s.awaitRolesLogged(next)
		for _, name := range []string{master, next} {
			told := shown.since(t, *s.pod(name))
			for way, line := range s.lastRoles(name) {
				late[way] = append(late[way], line.at.Sub(told))
			}
		}
		master = next
	}
	for way, times := range late {
		slices.Sort(times)
		t.Logf("%s: a pod logs its role %s (median), %s (worst of %d) after its label changed",
			way, times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond), len(times))
	}

	s.guard.MayGo("role")
	s.kubectl("delete", "-f", cluster.Path("examples", "role"))
	s.awaitNothingLeft()
}

// awaitRolesLogged waits until each pod has logged its role last, by both ways, and has
// logged nothing new for a while. The master's role is active, and the others' standby.
func (s *scene) awaitRolesLogged(master string) {
	s.Helper()
	s.eventually("the pods know that "+master+" is the master", func() error {
		for name, pod := range s.pods("role") {
			role := api.DesignationStandby
			if name == master {
				role = api.DesignationActive
			}
			if got := pod.Labels[api.LabelDesignation]; got != role {
				return fmt.Errorf("%s is labelled %q", name, got)
			}
			last := s.lastRoles(name)
			for way, want := range map[string]string{"file": roleOf(pod), "dns": role} {
				if got := last[way]; got.text != want {
					return fmt.Errorf("%s says %q by %s, want %q", name, got.text, way, want)
				} else if ago := time.Since(got.at); ago < roleSettled {
					return fmt.Errorf("%s says so by %s for %s only", name, way, ago)
				}
			}
		}
		return nil
	})
}

// lastRoles returns the last line that the pod has logged about each way, "file" and "dns".
func (s *scene) lastRoles(pod string) map[string]logLine {
	s.Helper()
	last := map[string]logLine{}
	for _, line := range s.log(pod) {
		// A line is such as "14:03:08  file: active in epoch 1".
		if _, says, found := strings.Cut(line.text, "  "); found {
			way, role, _ := strings.Cut(says, ": ")
			last[way] = logLine{line.at, role}
		}
	}
	return last
}

// roleOf returns what the example's pods log when their file shows the pod's role.
func roleOf(pod corev1.Pod) string {
	return fmt.Sprintf("%s in epoch %s", pod.Labels[api.LabelDesignation], pod.Annotations[api.AnnotationLeaseTransitions])
}

// rolesShown holds when the API server first showed each role of each pod.
type rolesShown struct {
	lock  sync.Mutex
	first map[[2]string]time.Time
}

func (r *rolesShown) see(pod *corev1.Pod) {
	now := time.Now()
	r.lock.Lock()
	defer r.lock.Unlock()
	key := [2]string{pod.Name, roleOf(*pod)}
	if _, seen := r.first[key]; !seen {
		r.first[key] = now
	}
}

// since returns when the API server first showed the pod's present role.
func (r *rolesShown) since(t *testing.T, pod corev1.Pod) time.Time {
	t.Helper()
	r.lock.Lock()
	defer r.lock.Unlock()
	at, seen := r.first[[2]string{pod.Name, roleOf(pod)}]
	if !seen {
		t.Errorf("the watch has not shown %s as %s", pod.Name, roleOf(pod))
	}
	return at
}

// watchRoles watches the pods of the namespace until the end of the test.
func (s *scene) watchRoles() *rolesShown {
	s.Helper()
	r := &rolesShown{first: map[[2]string]time.Time{}}
	factory := informers.NewSharedInformerFactoryWithOptions(cluster.Client, 0, informers.WithNamespace(s.namespace))
	informer := factory.Core().V1().Pods().Informer()
	assert.Must(informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { r.see(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { r.see(object.(*corev1.Pod)) },
	}))(s)
	ctx, cancel := context.WithCancel(context.Background())
	s.Cleanup(func() { cancel(); factory.Shutdown() })
	factory.StartWithContext(ctx)
	factory.WaitForCacheSync(ctx.Done())
	return r
}

// logLine is a line of a container's log, with the time at which the node received it.
type logLine struct {
	at   time.Time
	text string
}

// log returns the log of the pod's container.
func (s *scene) log(pod string) (lines []logLine) {
	s.Helper()
	options := &corev1.PodLogOptions{Timestamps: true}
	text := assert.Must(cluster.Client.CoreV1().Pods(s.namespace).GetLogs(pod, options).DoRaw(s.Context()))(s)
	for line := range strings.Lines(string(text)) {
		stamp, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		lines = append(lines, logLine{assert.Must(time.Parse(time.RFC3339Nano, stamp))(s), text})
	}
	return lines
}
