package kubectl

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestMaster(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		objects []runtime.Object
		line    string
		want    result
	}{
		"the name":               {web(), "master web", result{Out: "web-0\n"}},
		"an argument of kubectl": {web(), "master web -o name", result{Out: "pod/web-0\n"}},
		"an edit that is not followed yet": {
			[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), aPod("web-0", "active"), aPod("web-1", "standby")},
			"master web",
			result{Out: "web-0\n"},
		},
		"a master that is not eligible": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", notReady)}, "master web", result{Out: "web-0\n", Err: "Warning: web-0 is not Ready\n"}},
		"a master that is gone": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-1", "standby", notReady)}, "master web", result{Err: `
error: the master of service web, web-0, no longer exists; kubectl active-standby check web
`, Code: 1}},
		"no master yet": {[]runtime.Object{aService("web", "", 0), aLease("web", "", 0), aPod("web-1", "standby", notReady)}, "master web", result{Err: `
error: service web has no master yet; kubectl active-standby check web
`, Code: 1}},
		"no Lease yet": {[]runtime.Object{aService("web", "", 0)}, "master web", result{Err: `
error: there is no Lease web yet; is the controller running, and does it look after the namespace default?
`, Code: 1}},
		"a Service that is not served": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "on"))}, "master web", result{Err: `
error: service web is not served: annotation qoqo.dev/service-mode: "on" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic
`, Code: 1}},
		"a Service that is not annotated": {[]runtime.Object{aService("web", "", 0, unannotated)}, "master web", result{Err: `
error: service web is not annotated; kubectl annotate service web qoqo.dev/service-mode=active-standby
`, Code: 1}},
		"another format": {web(), "master web -o json", result{Err: `
error: unable to match a printer suitable for the output format "json", allowed formats are: name
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) { c.expect(test.line, test.want) })
		})
	}
}
