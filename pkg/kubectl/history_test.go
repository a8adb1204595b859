package kubectl

import (
	"fmt"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// decided is a decision that was written into the Lease so long ago.
type decided struct {
	election.Decision
	ago time.Duration
}

// recorded returns the Lease web as the controller has written it.
func recorded(decisions ...decided) *coordinationv1.Lease {
	var l *coordinationv1.Lease
	for _, d := range decisions {
		d.HolderUID = types.UID("uid-" + d.Holder)
		l, _ = lease.Next(l, lease.Terms{Key: types.NamespacedName{Namespace: "default", Name: "web"}}, d.Decision, false, ago(d.ago))
	}
	l.UID = "uid-web"
	return l
}

// byOlder returns the Lease as an older version of the controller leaves it, which writes no
// moves and keeps those that it finds.
func byOlder(l *coordinationv1.Lease, found ...decided) *coordinationv1.Lease {
	delete(l.Annotations, api.AnnotationHistory)
	if len(found) > 0 {
		l.Annotations[api.AnnotationHistory] = recorded(found...).Annotations[api.AnnotationHistory]
	}
	return l
}

func TestHistory(t *testing.T) {
	t.Parallel()
	first := decided{election.Decision{Action: election.Elect, Reason: election.FirstEligible, Holder: "web-1", Epoch: 1}, 50 * time.Minute}
	adopted := decided{election.Decision{Action: election.Adopt, Reason: election.AlreadyDesignated, Holder: "web-1", Epoch: 1}, 50 * time.Minute}
	failover := decided{election.Decision{Action: election.Failover, Reason: election.HolderNotReady, Holder: "web-2", Epoch: 2, Previous: "web-1"}, 20 * time.Minute}
	switchover := decided{election.Decision{Action: election.Switchover, Reason: election.HolderEdited, Holder: "web-0", Epoch: 3, Previous: "web-2"}, 3 * time.Minute}
	restored := decided{election.Decision{Action: election.Restore, Reason: election.LeaseLost, Holder: "web-0", Epoch: 3}, time.Minute}
	ofUnnamed := decided{election.Decision{Action: election.Failover, Reason: election.HolderGone, Holder: "web-2", Epoch: 2}, 20 * time.Minute}
	var twelve []decided
	for i := range 12 {
		between := switchover
		between.Previous, between.Holder, between.Epoch, between.ago = fmt.Sprintf("web-%d", i%2), fmt.Sprintf("web-%d", 1-i%2), int32(i+1), time.Duration(12-i)*time.Hour
		twelve = append(twelve, between)
	}
	of := func(l *coordinationv1.Lease) []runtime.Object { return []runtime.Object{aService("web", "", 0), l} }
	three := of(recorded(first, failover, switchover))
	expectEach(t, map[string]expectation{
		"the moves, the oldest first": {three, nil, "history web", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION       REASON
50m    1       <none>   web-1   Elect        FirstEligible
20m    2       web-1    web-2   Failover     HolderNotReady
3m     3       web-2    web-0   Switchover   HolderEdited
`}},
		"wide": {three, nil, "history web -o wide", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION       REASON           MESSAGE
50m    1       <none>   web-1   Elect        FirstEligible    web-1 is the first master, in epoch 1
20m    2       web-1    web-2   Failover     HolderNotReady   master moved from web-1 to web-2 in epoch 2: web-1 is not Ready
3m     3       web-2    web-0   Switchover   HolderEdited     master moved from web-2 to web-0 in epoch 3: the Lease's holder was edited
`}},
		"YAML": {three, nil, "history web -o yaml", result{Out: `
apiVersion: v1
items:
- apiVersion: qoqo.dev/v1
  kind: Transition
  metadata:
    name: web
    namespace: default
  transition:
    action: Elect
    epoch: 1
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
    epoch: 2
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
    epoch: 3
    from: web-2
    message: 'master moved from web-2 to web-0 in epoch 3: the Lease''s holder was
      edited'
    reason: HolderEdited
    time: "1999-12-31T23:57:00.000000Z"
    to: web-0
kind: List
`}},
		"JSON": {of(recorded(switchover)), nil, "history web -o json", result{Out: `
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
                "epoch": 3,
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
Note: moves before epoch 3 are not known; the Lease remembers the last 10 at most.
`}},
		"without headers": {three, nil, "history web --no-headers", result{Out: `
50m   1     <none>   web-1   Elect        FirstEligible
20m   2     web-1    web-2   Failover     HolderNotReady
3m    3     web-2    web-0   Switchover   HolderEdited
`}},
		"a master that the controller found and kept": {of(recorded(adopted)), nil, "history web", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION   REASON
50m    1       <none>   web-1   Adopt    AlreadyDesignated
`}},
		"a former master whose name is unknown": {of(recorded(first, ofUnnamed)), nil, "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION     REASON
50m    1       <none>      web-1   Elect      FirstEligible
20m    2       <unknown>   web-2   Failover   HolderGone
`}},
		"more moves than the Lease remembers": {of(recorded(twelve...)), nil, "history web", result{Out: `
WHEN   EPOCH   FROM    TO      ACTION       REASON
10h    3       web-0   web-1   Switchover   HolderEdited
9h     4       web-1   web-0   Switchover   HolderEdited
8h     5       web-0   web-1   Switchover   HolderEdited
7h     6       web-1   web-0   Switchover   HolderEdited
6h     7       web-0   web-1   Switchover   HolderEdited
5h     8       web-1   web-0   Switchover   HolderEdited
4h     9       web-0   web-1   Switchover   HolderEdited
3h     10      web-1   web-0   Switchover   HolderEdited
120m   11      web-0   web-1   Switchover   HolderEdited
60m    12      web-1   web-0   Switchover   HolderEdited
`, Err: `
Note: moves before epoch 3 are not known; the Lease remembers the last 10 at most.
`}},
		"a Lease that was removed and restored": {of(recorded(restored)), nil, "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
60s    3       <unknown>   web-0   <unknown>   LeaseLost
`, Err: `
Note: the Lease tells of epoch 3 only who is master; an older version of the controller wrote it, or it was removed and restored.
`}},
		"a Lease that an older version has written": {of(byOlder(recorded(first, failover))), nil, "history web -o json", result{Out: `
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
                "epoch": 2,
                "reason": "HolderNotReady",
                "time": "1999-12-31T23:40:00.000000Z",
                "to": "web-2"
            }
        }
    ],
    "kind": "List"
}
`, Err: `
Note: the Lease tells of epoch 2 only who is master; an older version of the controller wrote it, or it was removed and restored.
`}},
		"a move that an older version has written into the Lease of a newer one": {
			of(byOlder(recorded(first, failover, switchover), first, failover)), nil, "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
50m    1       <none>      web-1   Elect       FirstEligible
20m    2       web-1       web-2   Failover    HolderNotReady
3m     3       <unknown>   web-0   <unknown>   HolderEdited
`, Err: `
Note: the Lease tells of epoch 3 only who is master; an older version of the controller wrote it, or it was removed and restored.
`},
		},
		"moves that cannot be read": {
			of(aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Annotations[api.AnnotationHistory] = "[{" })), nil, "history web", result{Out: `
WHEN   EPOCH   FROM        TO      ACTION      REASON
3m     3       <unknown>   web-0   <unknown>   HolderNotReady
`, Err: `
Note: the Lease tells of epoch 3 only who is master; an older version of the controller wrote it, or it was removed and restored.
`},
		},
		"events and pods that may not be read": {three, []string{"events", "pods"}, "history web", result{Out: `
WHEN   EPOCH   FROM     TO      ACTION       REASON
50m    1       <none>   web-1   Elect        FirstEligible
20m    2       web-1    web-2   Failover     HolderNotReady
3m     3       web-2    web-0   Switchover   HolderEdited
`}},
		"a Lease that may not be read": {three, []string{"leases"}, "history web", result{Err: `
error: reading the Lease: leases.coordination.k8s.io is forbidden: User "jane" cannot get resource "leases"
`, Code: 1}},
		"the reason of the last move": {three, nil, "history web -o jsonpath={.items[-1].transition.reason}", result{Out: `
HolderEdited`}},
		"the Lease that the Service shares": {
			append(of(recorded(first)), aService("web-ro", "", 0, annotated(api.AnnotationLeaseName, "web"))), nil, "history web-ro -o jsonpath={.items[*].metadata.name},{.items[*].transition.to}", result{Out: `
web-ro,web-1`},
		},
		"no master yet": {of(aLease("web", "", 0)), nil, "history web", result{Err: `
Note: there has not been a master yet.
`}},
		"no Lease, in JSON": {[]runtime.Object{aService("web", "", 0)}, nil, "history web -o json", result{Out: `
{
    "apiVersion": "v1",
    "items": [],
    "kind": "List"
}
`, Err: `
Note: there is no Lease web yet; is the controller running, and does it look after the namespace default?
`}},
		"a foreign Lease": {of(aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Labels = nil })), nil, "history web", result{Err: `
Note: the Lease web is not the controller's (its holder is "web-0"): another program has made it, such as an application for its own leader election; name another in the annotation qoqo.dev/lease-name, or delete it if nothing uses it.
`}},
		"a Service that is not annotated": {[]runtime.Object{aService("web", "", 0, unannotated)}, nil, "history web", result{Err: `
error: service web is not annotated; kubectl annotate service web qoqo.dev/service-mode=active-standby
`, Code: 1}},
		"no such Service": {nil, nil, "history web", result{Err: `
error: services "web" not found in default namespace
`, Code: 1}},
		"names are not printed": {three, nil, "history web -o name", result{Err: `
error: unable to match a printer suitable for the output format "name", allowed formats are: go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,template,templatefile,wide,yaml
`, Code: 1}},
	})
}

// What the controller writes is what the plugin reads.
func TestHistoryOfASwitchover(t *testing.T) {
	t.Parallel()
	inCluster(t, web(), func(c *cluster) {
		c.start(aController)
		c.run("switchover", "web")
		c.Wait(time.Minute)
		c.expect("history web", result{Out: `
WHEN   EPOCH   FROM    TO      ACTION       REASON
60s    4       web-0   web-2   Switchover   HolderEdited
`, Err: `
Note: moves before epoch 4 are not known; the Lease remembers the last 10 at most.
`})
	})
}
