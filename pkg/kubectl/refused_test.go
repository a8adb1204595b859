package kubectl

import (
	"errors"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestSwitchoverIsRefusedBefore(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		objects []runtime.Object
		line    string
		want    result
	}{
		"a paused Service": {
			[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationPaused, "true")), aLease("web", "web-0", 3), aPod("web-0", "active"), aPod("web-1", "standby")},
			"switchover web",
			result{Err: `
error: service/web is paused; kubectl active-standby resume web
`, Code: 1},
		},
		"a Service that shares its Lease with one that is paused": {
			pausing(web(aService("web-ro", "web-0", 3, annotated(api.AnnotationLeaseName, "web")))),
			"switchover web-ro",
			result{Err: `
error: service/web is paused; kubectl active-standby resume web
`, Code: 1},
		},
		"a pod that is not Ready": {web(aPod("web-3", "standby", notReady)), "switchover web --to web-3", result{Err: `
error: web-3 cannot become master: it is not Ready
`, Code: 1}},
		"a pod that is kept out": {web(aPod("web-3", "standby", excluded)), "switchover web --to web-3", result{Err: `
error: web-3 cannot become master: it is kept from being master by the annotation qoqo.dev/candidate
`, Code: 1}},
		"a pod of another Service": {web(aPod("db-0", "", unmarked, func(p *corev1.Pod) { p.Labels["app"] = "db" })), "switchover web --to db-0", result{Err: `
error: db-0 cannot become master: it is not a pod that the Service selects
`, Code: 1}},
		"a pod on a cordoned node": {web(aPod("web-3", "standby"), aNode("node-3", true)), "switchover web --to web-3", result{Err: `
error: web-3 cannot become master: it is on a node that is unschedulable
`, Code: 1}},
		"no standby at all": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active")}, "switchover web", result{Err: `
error: no standby of web can become master:
  the Service selects no other pod
`, Code: 1}},
		"no standby that is eligible": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active"), aPod("web-1", "standby", notReady), aPod("web-2", "standby", evicted)}, "switchover web", result{Err: `
error: no standby of web can become master:
  web-1 cannot become master: it is not Ready
  web-2 cannot become master: it has ended
`, Code: 1}},
		"the master, while an edit of the Lease names another pod": {
			[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), aPod("web-0", "active"), aPod("web-1", "standby")},
			"switchover web --to web-0",
			result{Err: `
error: web-0 is still master; a switchover to web-1 is in progress
`, Code: 1},
		},
		"the master, while another pod waits to follow it": {
			[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Annotations[api.AnnotationNextHolder] = "web-1" }), aPod("web-0", "active"), aPod("web-1", "standby")},
			"switchover web --to web-0",
			result{Err: `
error: web-0 is still master; a switchover to web-1 is in progress
`, Code: 1},
		},
		"a handover that the controller may not begin": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination")), aLease("web", "web-0", 3), aPod("web-0", "active"), aPod("web-1", "standby")}, "switchover web", result{Err: `
error: no standby of web can become master:
  web-1 cannot become master: the master must stop first (qoqo.dev/handover); delete its pod, or let the controller delete it (qoqo.dev/on-demote)
`, Code: 1}},
		"a master that is gone": {[]runtime.Object{aService("web", "web-9", 3), aLease("web", "web-9", 3), aPod("web-1", "standby", readyFor(time.Hour)), aPod("web-2", "standby")}, "switchover web --to web-2", result{Err: `
error: the master web-9 no longer exists; the controller elects another pod by itself
`, Code: 1}},
		"a master that is gone, with no pod left": {[]runtime.Object{aService("web", "web-9", 3), aLease("web", "web-9", 3)}, "switchover web", result{Err: `
error: the master web-9 no longer exists, and no pod is eligible; kubectl active-standby check web
`, Code: 1}},
		"no master yet": {[]runtime.Object{aService("web", "", 0), aLease("web", "", 0), aPod("web-0", "standby", unmarked, notReady)}, "switchover web", result{Err: `
error: service web has no master yet, because no pod has been eligible; kubectl active-standby check web
`, Code: 1}},
		"no Lease yet": {[]runtime.Object{aService("web", "", 0), aPod("web-0", "", unmarked)}, "switchover web", result{Err: `
error: there is no Lease web yet; is the controller running, and does it look after the namespace default?
`, Code: 1}},
		"a foreign Lease": {[]runtime.Object{aService("web", "", 0), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Labels = nil })}, "switchover web", result{Err: `
error: the Lease web is not the controller's (its holder is "web-0"): another program has made it, such as an application for its own leader election; name another in the annotation qoqo.dev/lease-name, or delete it if nothing uses it
`, Code: 1}},
		"a Service that is not served": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "on"))}, "switchover web", result{Err: `
error: service web is not served: annotation qoqo.dev/service-mode: "on" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic
`, Code: 1}},
		"a Service that is not annotated": {[]runtime.Object{aService("web", "", 0, unannotated)}, "switchover web", result{Err: `
error: service web is not annotated; kubectl annotate service web qoqo.dev/service-mode=active-standby
`, Code: 1}},
		"no such Service": {nil, "switchover web", result{Err: `
error: services "web" not found in default namespace
`, Code: 1}},
		"no Service named": {nil, "switchover", result{Err: `
error: the name of one Service is required
See 'kubectl active-standby switchover --help' for usage and examples
`, Code: 1}},
		"no time to wait": {nil, "switchover web --timeout=0s", result{Err: `
error: --timeout must be more than 0; see --wait
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				c.expect(test.line, test.want)
				for _, action := range c.jane.Actions() {
					if action.GetVerb() == "patch" {
						t.Errorf("the plugin has patched %s", action.GetResource().Resource)
					}
				}
			})
		})
	}
}

// An edit that the plugin does not see yet does not count as refused.
func TestProgressWithAWatchThatIsBehind(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		version string
		want    error
	}{
		"the Lease from before the edit": {"8", nil},
		"the edited Lease":               {"9", errRefused},
		"the Lease from after the edit":  {"10", errRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, lease := aService("web", "web-0", 3), aLease("web", "web-0", 3)
			lease.ResourceVersion = test.version
			w := newWorld()
			w.services, w.pods = []*corev1.Service{s}, []*corev1.Pod{aPod("web-0", "active"), aPod("web-1", "standby")}
			w.addLeases([]*coordinationv1.Lease{lease})
			o := &switchoverCommand{service: "web"}
			epoch, _, err := o.progress(w, &move{service: s, pod: "web-1", from: "web-0", fromUID: "uid-web-0", epoch: 3, version: "9"}, false)
			if epoch != 0 || !errors.Is(err, test.want) {
				t.Errorf("progress returns epoch %d and the error %v; want epoch 0 and %v", epoch, err, test.want)
			}
		})
	}
}
