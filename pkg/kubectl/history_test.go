package kubectl

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/election"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	event := func(name string, d election.Decision, at time.Duration) *eventsv1.Event {
		return anEvent(name, "web", string(d.Action), string(d.Reason), d.Holder, d.Message(), at)
	}
	first := election.Decision{Action: election.Elect, Reason: election.FirstEligible, Holder: "web-1", Epoch: 1}
	failover := election.Decision{Action: election.Failover, Reason: election.HolderNotReady, Holder: "web-2", Epoch: 2, Previous: "web-1"}
	switchover := election.Decision{Action: election.Switchover, Reason: election.HolderEdited, Holder: "web-0", Epoch: 3, Previous: "web-2"}
	restored := election.Decision{Action: election.Restore, Reason: election.LeaseLost, Holder: "web-0", Epoch: 3}
	refused := event("refused", election.Decision{Action: election.Switchover, Reason: election.EditRefused, Holder: "web-9"}, time.Minute)
	refused.Type = corev1.EventTypeWarning
	warning := anEvent("warning", "web", "Check", "InvalidAnnotation", "", "annotation ...", time.Minute)
	former := event("former", first, 40*time.Minute)
	former.Regarding.UID = "uid-of-a-former-web"
	others := event("others", first, 30*time.Minute)
	others.Regarding.Name, others.Regarding.UID = "other", "uid-other"
	again := failover
	again.Holder, again.Epoch = "web-0", 1
	series := event("series", again, 5*time.Minute)
	series.Series = &eventsv1.EventSeries{Count: 3, LastObservedTime: metav1.NewMicroTime(ago(2 * time.Minute))}

	all := func() []runtime.Object {
		return web(event("c", switchover, 3*time.Minute), event("a", first, 50*time.Minute), event("b", failover, 20*time.Minute), refused, warning, former, others)
	}
	tests := map[string]struct {
		objects []runtime.Object
		forbid  string
		line    string
		want    result
	}{
		"the moves, the oldest first": {all(), "", "history web", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION       REASON
50m    1       <none>   web-1   Elect        FirstEligible
20m    2       web-1    web-2   Failover     HolderNotReady
3m     3       web-2    web-0   Switchover   HolderEdited
`}},
		"wide": {all(), "", "history web -o wide", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION       REASON           MESSAGE
50m    1       <none>   web-1   Elect        FirstEligible    web-1 is the first master, in epoch 1
20m    2       web-1    web-2   Failover     HolderNotReady   master moved from web-1 to web-2 in epoch 2: web-1 is not Ready
3m     3       web-2    web-0   Switchover   HolderEdited     master moved from web-2 to web-0 in epoch 3: the Lease's holder was edited
`}},
		"YAML": {all(), "", "history web -o yaml", result{Out: `
apiVersion: v1
items:
- apiVersion: qoqo.dev/v1
  kind: Transition
  metadata:
    name: web
    namespace: default
  transition:
    action: Elect
    count: 1
    epoch: 1
    firstTime: "1999-12-31T23:10:00.000000Z"
    message: web-1 is the first master, in epoch 1
    reason: FirstEligible
    time: "1999-12-31T23:10:00.000000Z"
    to: web-1
- apiVersion: qoqo.dev/v1
  kind: Transition
  metadata:
    name: web
    namespace: default
  transition:
    action: Failover
    count: 1
    epoch: 2
    firstTime: "1999-12-31T23:40:00.000000Z"
    from: web-1
    message: 'master moved from web-1 to web-2 in epoch 2: web-1 is not Ready'
    reason: HolderNotReady
    time: "1999-12-31T23:40:00.000000Z"
    to: web-2
- apiVersion: qoqo.dev/v1
  kind: Transition
  metadata:
    name: web
    namespace: default
  transition:
    action: Switchover
    count: 1
    epoch: 3
    firstTime: "1999-12-31T23:57:00.000000Z"
    from: web-2
    message: 'master moved from web-2 to web-0 in epoch 3: the Lease''s holder was
      edited'
    reason: HolderEdited
    time: "1999-12-31T23:57:00.000000Z"
    to: web-0
kind: List
`}},
		"JSON": {web(event("c", switchover, 3*time.Minute)), "", "history web -o json", result{Out: `
{
    "apiVersion": "v1",
    "items": [
        {
            "apiVersion": "qoqo.dev/v1",
            "kind": "Transition",
            "metadata": {
                "name": "web",
                "namespace": "default"
            },
            "transition": {
                "action": "Switchover",
                "count": 1,
                "epoch": 3,
                "firstTime": "1999-12-31T23:57:00.000000Z",
                "from": "web-2",
                "message": "master moved from web-2 to web-0 in epoch 3: the Lease's holder was edited",
                "reason": "HolderEdited",
                "time": "1999-12-31T23:57:00.000000Z",
                "to": "web-0"
            }
        }
    ],
    "kind": "List"
}
`, Err: `
Note: earlier moves are not known any more. Kubernetes keeps events for an hour by default.
`}},
		"without headers": {all(), "", "history web --no-headers", result{Out: `
50m   1     <none>   web-1   Elect        FirstEligible
20m   2     web-1    web-2   Failover     HolderNotReady
3m    3     web-2    web-0   Switchover   HolderEdited
`}},
		"a Lease that was restored": {web(event("c", restored, time.Minute)), "", "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
3m     3       <unknown>   web-0   <unknown>   HolderNotReady
60s    3       <unknown>   web-0   Restore     LeaseLost
`, Err: `
Note: earlier moves are not known any more. Kubernetes keeps events for an hour by default.
`}},
		"a move that has happened again": {web(series), "", "history web", result{Out: `
WHEN              EPOCH   FROM    TO      ACTION     REASON
2m (x3 over 5m)   1       web-1   web-0   Failover   HolderNotReady
`}},
		"events that are gone": {web(), "", "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
3m     3       <unknown>   web-0   <unknown>   HolderNotReady
`, Err: `
Note: earlier moves are not known any more. Kubernetes keeps events for an hour by default.
`}},
		"events that may not be read": {web(), "events", "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
3m     3       <unknown>   web-0   <unknown>   HolderNotReady
`, Err: `
Note: the events may not be read (it takes list of events in events.k8s.io), so that only the Lease's last move is known.
`}},
		"nobody was master": {[]runtime.Object{aService("web", "", 0), aLease("web", "", 0)}, "", "history web", result{Err: `
No moves found for service web.
`}},
		"nobody was master, in JSON": {[]runtime.Object{aService("web", "", 0)}, "", "history web -o json", result{Out: `
{
    "apiVersion": "v1",
    "items": [],
    "kind": "List"
}
`, Err: `
No moves found for service web.
`}},
		"no such Service": {nil, "", "history web", result{Err: `
error: services "web" not found in default namespace
`, Code: 1}},
		"names are not printed": {web(), "", "history web -o name", result{Err: `
error: unable to match a printer suitable for the output format "name", allowed formats are: go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,template,templatefile,wide,yaml
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) {
				if test.forbid != "" {
					c.forbid("list", test.forbid)
				}
				c.expect(test.line, test.want)
			})
		})
	}
}
