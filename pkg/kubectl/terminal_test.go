package kubectl

import (
	"bytes"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// What a tenant writes into a Lease is no command to the terminal of an operator.
func TestTerminalIsEscaped(t *testing.T) {
	const owned = "\x1b]0;owned\x07\x1b[2J\rMaster: all is well"
	for _, line := range []string{"check web", "status web", "status web -o wide", "history web", "switchover web --to web-0"} {
		t.Run(line, func(t *testing.T) {
			objects := web()
			for _, o := range objects {
				if l, is := o.(*coordinationv1.Lease); is {
					holder := "web-9" + owned
					l.Spec.HolderIdentity, l.Annotations[api.AnnotationReason] = &holder, "R"+owned
				}
			}
			inCluster(t, objects, func(c *cluster) {
				var out, errOut bytes.Buffer
				c.runTo(t.Context(), &out, &errOut, strings.Fields(line)...)
				if all := out.String() + errOut.String(); strings.ContainsAny(all, "\x1b\r") || !strings.Contains(all, "^[") && line != "switchover web --to web-0" {
					t.Errorf("output %q", all)
				}
			})
		})
	}
}
