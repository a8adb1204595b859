package kubectl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	paused := annotated(api.AnnotationPaused, "true")
	sharing := annotated(api.AnnotationLeaseName, "web")
	tests := map[string]struct {
		objects []runtime.Object
		forbid  string
		line    string
		want    result
		// annotation is what web has then; empty for none.
		annotation string
	}{
		"pause": {[]runtime.Object{aService("web", "", 0)}, "", "pause web", result{Out: `
service/web paused
`}, "true"},
		"pause two": {[]runtime.Object{aService("web", "", 0), aService("db", "", 0)}, "", "pause web db", result{Out: `
service/web paused
service/db paused
`}, "true"},
		"pause what said that it is not": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationPaused, "false"))}, "", "pause web", result{Out: `
service/web paused
`}, "true"},
		"pause what is paused": {[]runtime.Object{aService("web", "", 0, paused)}, "", "pause web", result{Err: `
error: services "web" is already paused
`, Code: 1}, "true"},
		"pause one that does not exist, and one that does": {[]runtime.Object{aService("web", "", 0)}, "", "pause gone web", result{Out: `
service/web paused
`, Err: `
error: services "gone" not found in default namespace
`, Code: 1}, "true"},
		"pause what is not annotated": {[]runtime.Object{aService("web", "", 0, unannotated)}, "", "pause web", result{Err: `
error: service web is not annotated; kubectl annotate service web qoqo.dev/service-mode=active-standby
`, Code: 1}, ""},
		"pause what is not served": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "on"))}, "", "pause web", result{Err: `
error: services "web" is not served: annotation qoqo.dev/service-mode: "on" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic
`, Code: 1}, ""},
		"pause what may not be patched": {[]runtime.Object{aService("web", "", 0)}, "patch", "pause web", result{Err: `
error: patching the Service: services is forbidden: User "jane" cannot patch resource "services"
`, Code: 1}, ""},
		"pause what may not be listed": {[]runtime.Object{aService("web", "", 0)}, "list", "pause web", result{Err: `
error: listing the Services: services is forbidden: User "jane" cannot list resource "services"
`, Code: 1}, ""},
		"pause nothing": {nil, "", "pause", result{Err: `
error: the name of a Service is required
See 'kubectl active-standby pause --help' for usage and examples
`, Code: 1}, ""},
		"resume": {[]runtime.Object{aService("web", "", 0, paused)}, "", "resume web", result{Out: `
service/web resumed
`}, ""},
		"resume what is not paused": {[]runtime.Object{aService("web", "", 0)}, "", "resume web", result{Err: `
error: services "web" is not paused
`, Code: 1}, ""},
		"pause one whose settings do not apply": {[]runtime.Object{aService("web", "", 0), aService("web-ro", "", 0, sharing)}, "", "pause web-ro", result{Err: `
error: services "web-ro" shares the Lease web with the Service web, whose settings apply; kubectl active-standby pause web
`, Code: 1}, ""},
		"resume the one of two whose settings apply": {[]runtime.Object{aService("web", "", 0, paused), aService("web-ro", "", 0, paused, sharing)}, "", "resume web", result{Out: `
service/web resumed
`}, ""},
		"resume one whose settings do not apply": {[]runtime.Object{aService("web", "", 0, paused), aService("web-ro", "", 0, paused, sharing)}, "", "resume web-ro", result{Out: `
service/web-ro resumed
`, Err: `
Warning: the master of web-ro still cannot move; the Service web, whose settings apply to the Lease web, is paused
`}, "true"},
		"resume one of two that do not share a Lease": {[]runtime.Object{aService("web", "", 0, paused), aService("db", "", 0, paused)}, "", "resume web", result{Out: `
service/web resumed
`}, ""},
		"resume both": {[]runtime.Object{aService("web", "", 0, paused), aService("web-ro", "", 0, paused, sharing)}, "", "resume web-ro web", result{Out: `
service/web-ro resumed
service/web resumed
`}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				if test.forbid != "" {
					c.forbid(test.forbid, "services")
				}
				c.expect(test.line, test.want)
				if len(test.objects) == 0 || test.forbid == "list" {
					return
				}
				s, err := c.Users.CoreV1().Services("default").Get(c.Context(), "web", metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.annotation, s.Annotations[api.AnnotationPaused]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", api.AnnotationPaused, diff)
				}
			})
		})
	}
}
