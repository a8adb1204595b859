package kubectl

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// watching is a `status --watch` that runs until the test ends.
type watching struct {
	*cluster
	out lines
}

func (c *cluster) watch(line string) *watching {
	w := &watching{cluster: c}
	ctx, cancel := context.WithCancel(c.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.runTo(ctx, &w.out, &w.out, strings.Fields(line)...)
	}()
	c.Cleanup(func() {
		cancel()
		<-done
	})
	return w
}

// prints compares what was printed since it was called last.
func (w *watching) prints(want string) {
	w.Helper()
	w.Wait(fakeapi.Lag)
	if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), w.out.taken()); diff != "" {
		w.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStatusWatch(t *testing.T) {
	t.Parallel()
	objects := web(aService("other", "other-0", 1, func(s *corev1.Service) { s.Spec.Selector["app"] = "other" }), aLease("other", "other-0", 1))
	inCluster(t, objects, func(c *cluster) {
		w := c.watch("status -w")
		w.prints(`
SERVICE   ROUTING    MASTER    NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
other     selector   other-0   <none>   3m      1       HolderNotReady   0/0        HolderGone,NobodyEligible
web       selector   web-0     node-0   3m      3       HolderNotReady   2/2        Ok
`)
		c.stopKubernetes()
		c.EditPod("web-0", notReady)
		w.prints(`
web       selector   web-0     node-0   3m      3       HolderNotReady   2/2        HolderNotReady,Pending
`)
		c.EditLease("web", func(l *coordinationv1.Lease) {
			l.Spec.HolderIdentity, l.Spec.LeaseTransitions, l.Spec.AcquireTime = ptr.To("web-2"), ptr.To(int32(4)), ptr.To(metav1.NowMicro())
			l.Annotations[api.AnnotationHolderUID] = "uid-web-2"
		})
		w.prints(`
web       selector   web-2     node-2   0s      4       HolderNotReady   1/2        NotPublished,Pending
`)
		// A renewal of the Lease is no news.
		c.EditLease("web", func(l *coordinationv1.Lease) { l.Spec.RenewTime = ptr.To(metav1.NowMicro()) })
		w.prints("")
		<-time.After(2 * time.Minute)
		w.prints("")
		c.DeleteService("web")
		w.prints(`
web       selector   web-2     node-2   2m      4       HolderNotReady   1/2        Gone
`)
	})
}

func TestStatusWatchOfOneAsJSON(t *testing.T) {
	t.Parallel()
	inCluster(t, web(), func(c *cluster) {
		w := c.watch("status web -w -o jsonpath={.status.standbys.eligible},")
		w.prints("2,")
		c.EditPod("web-1", notReady)
		w.prints("1,")
	})
}

// What cannot be watched ends the command.
func TestStatusWatchErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verb, resource, line string
		want                 result
	}{
		"pods that may not be listed": {"list", "pods", "status -w", result{Err: `
error: listing the pods: pods is forbidden: User "jane" cannot list resource "pods"
`, Code: 1}},
		"a Service that does not exist": {"none", "none", "status gone -w", result{Err: `
error: services "gone" not found in default namespace
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, web(), func(c *cluster) {
				c.forbid(test.verb, test.resource)
				c.expect(test.line, test.want)
			})
		})
	}
}

// The error may come before or after the first rows.
func TestStatusWatchWithoutTheRightToWatch(t *testing.T) {
	t.Parallel()
	inCluster(t, web(), func(c *cluster) {
		c.forbid("watch", "leases")
		got := c.run("status", "-w")
		got.Out = ""
		compare(t, result{Err: `
error: watching the Leases: leases.coordination.k8s.io is forbidden: User "jane" cannot watch resource "leases"
`, Code: 1}, got)
	})
}
