//go:build e2e

package functional

import (
	"slices"
	"testing"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// A master that hangs may believe in its Lease until that expires, so that nobody
// follows it before. One that is well hears of its successor, which need not wait.
func TestLeaseDuration(t *testing.T) {
	const duration = 6 * time.Second
	for name, test := range map[string]struct {
		act     func(s *scene, master string)
		expires bool
	}{
		"the master hangs": {
			act: func(s *scene, master string) {
				if err := cluster.Signal(s.Context(), s.namespace, master, "SIGSTOP"); err != nil {
					s.Fatal(err)
				}
			},
			expires: true,
		},
		"somebody edits the holder": {act: func(s *scene, _ string) { s.editHolder("web", s.standby("web")) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			history := s.history()
			master := *s.web("clusterip.yaml", api.AnnotationLeaseDuration+"="+duration.String()).Spec.HolderIdentity
			client := s.request("http://web")
			history.awaitRenewals("web", 1, 3)
			began := time.Now()
			test.act(s, master)
			lease := s.awaitMaster("web", 2, anybody)
			next := *lease.Spec.HolderIdentity
			client.awaitPod(next)
			history.awaitRenewals("web", 2, 2)

			moved, renewed := lease.Spec.AcquireTime.Time, slices.MaxFunc(history.renewed("web", 1), time.Time.Compare)
			t.Logf("%s is master %s after that, and %s after the Lease was last renewed for %s",
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
