package kubectl

import (
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Colors are shown as <green>, <yellow> and <red>.
func TestColor(t *testing.T) {
	t.Parallel()
	legible := strings.NewReplacer("\x1b[32m", "<green>", "\x1b[33m", "<yellow>", "\x1b[31m", "<red>", "\x1b[0m", "</>")
	mixed := web(
		aService("db", "", 0),
		aService("down", "web-0", 3, annotated(api.AnnotationPaused, "true")), aLease("down", "web-0", 3),
		aPod("web-3", "standby", notReady),
	)
	waits := []runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationFailoverDelay, "30s")), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}
	tests := map[string]struct {
		objects []runtime.Object
		line    string
		want    result
	}{
		"status": {mixed, "status --color=always", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE    EPOCH    REASON           STANDBYS   STATUS
db        selector   <none>   <none>   <none>   <none>   <none>           3/4        <red>NoLease</>
down      selector   web-0    node-0   3m       3        HolderNotReady   2/3        <red>Paused,OverlappingElection</>
web       selector   web-0    node-0   3m       3        HolderNotReady   2/3        <red>OverlappingElection</>
`}},
		"status without headers": {web(), "status --color=always --no-headers", result{Out: `
web   selector   web-0   node-0   3m    3     HolderNotReady   2/2   <green>Ok</>
`}},
		"status as an object has no colors": {web(), "status web --color=always -o jsonpath={.status.master.name}", result{Out: "web-0"}},
		"check of what is as it should be": {web(aPod("web-3", "standby", notReady)), "check web --color=always", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <green><none></>
Next:       <green>nothing: web-0 is master in epoch 3 (HolderEligible)</>

RANK   POD     NODE     CORDONED   ROLE      </>ELIGIBLE</>   WHY
1      web-0   node-0   no         master    <green>yes</>        first in the order
2      web-2   node-2   no         standby   <green>yes</>        after web-0, which has been Ready longer
3      web-1   node-1   no         standby   <green>yes</>        after web-2, which has been Ready longer
-      web-3   node-3   no         standby   <red>no</>         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"check of what waits": {waits, "check web --color=always", result{Out: `
Service:    web (routing selector)
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <red>HolderNotReady</>: web-0 is not Ready
            <yellow>AwaitingHolder</>: web-0 is not Ready; waiting for it to recover (qoqo.dev/failover-delay)
Next:       <yellow>nothing: web-0 is not Ready; waiting for it to recover (qoqo.dev/failover-delay) (AwaitingHolder); the controller looks again within 30s</>

RANK   POD     NODE     CORDONED   ROLE      </>ELIGIBLE</>   WHY
1      web-1   node-1   no         standby   <green>yes</>        first in the order
-      web-0   node-0   no         master    <red>no</>         it is not Ready

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"simulate": {web(), "simulate web --without web-0 --color=always", result{Out: `
Service:    web (routing selector)
Suppose:    pod/web-0 is gone
Lease:      web
Master:     web-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <green><none></>
Next:       <yellow>Failover to web-2, in epoch 4 (HolderGone)</>

RANK   POD     NODE     CORDONED   ROLE      </>ELIGIBLE</>   WHY
1      web-2   node-2   no         standby   <green>yes</>        first in the order
2      web-1   node-1   no         standby   <green>yes</>        after web-2, which has been Ready longer

Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"history": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) {
			l.Annotations[api.AnnotationHistory] = `[{"epoch":2,"time":"1999-12-31T23:00:00.000000Z","to":"web-1","action":"Elect","reason":"FirstEligible"},{"epoch":3,"time":"1999-12-31T23:30:00.000000Z","from":"web-1","to":"web-0","action":"Failover","reason":"HolderNotReady"}]`
		})}, "history web --color=always", result{Out: `
WHEN   EPOCH   FROM     TO      </>ACTION</>     REASON
60m    2       <none>   web-1   <green>Elect</>      FirstEligible
30m    3       web-1    web-0   <red>Failover</>   HolderNotReady
`, Err: `
Note: moves before epoch 2 are not known; the Lease remembers the last 10 at most.
`}},
		"a file is no terminal": {web(), "status --color=auto", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Ok
`}},
		"never": {web(), "status --color=never", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Ok
`}},
		"a value that is not valid": {web(), "status --color=sometimes", result{Err: `
error: --color: "sometimes" is not valid; allowed: auto, always or never
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				got := c.run(strings.Fields(test.line)...)
				got.Out = legible.Replace(got.Out)
				compare(c, test.want, got)
			})
		})
	}
}
