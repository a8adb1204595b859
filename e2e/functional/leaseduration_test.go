//go:build e2e

package functional

import (
	"slices"
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A master that hangs may trust its Lease until that expires, so its successor is elected
// only then. A master that works learns of its successor, which need not wait.
func TestLeaseDuration(t *testing.T) {
	t.Parallel()
	const duration = 6 * time.Second
	for name, test := range map[string]struct {
		act     func(s *scene, master string)
		expires bool
	}{
		"a failover of a master that hangs waits until the Lease expires": {
			act: func(s *scene, master string) {
				if err := cluster.Signal(s.Context(), s.namespace, master, "SIGSTOP"); err != nil {
					s.Fatal(err)
				}
			},
			expires: true,
		},
		"a switchover does not wait": {act: func(s *scene, _ string) { s.editHolder("web", s.standby("web")) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			history := s.history()
			master := *s.web("clusterip.yaml", api.AnnotationLeaseDuration+"="+duration.String()).Spec.HolderIdentity
			client := s.request("http://web")
			history.awaitRenewals("web", 1, 3)
			began := time.Now()
			test.act(s, master)
			lease := s.awaitMaster("web", 2, anyPod)
			next := *lease.Spec.HolderIdentity
			client.awaitPod(next)
			history.awaitRenewals("web", 2, 2)

			moved, renewed := lease.Spec.AcquireTime.Time, slices.MaxFunc(history.renewed("web", 1), time.Time.Compare)
			t.Logf("%s was elected %s after the cause, and %s after the last renewal for %s",
				next, moved.Sub(began).Round(time.Millisecond), moved.Sub(renewed).Round(time.Millisecond), master)
			if expired := !moved.Before(renewed.Add(duration)); expired != test.expires {
				t.Errorf("%s became master at %s, the Lease was renewed for %s at %s", next, moved, master, renewed)
			}
			mayLose := 0
			if test.expires {
				mayLose = -1
			}
			client.check(mayLose, master, next)
		})
	}
}
