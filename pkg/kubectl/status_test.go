package kubectl

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	shared := func() []runtime.Object {
		return pausing(web(aService("web-ro", "web-0", 3, annotated(api.AnnotationLeaseName, "web"), func(s *corev1.Service) { s.Labels["tier"] = "ro" })))
	}
	everywhere := func() []runtime.Object {
		db := in("prod", aService("db", "", 0, annotated(api.AnnotationRouting, "endpointslice"), annotated(api.AnnotationLeaseTransitions, "12"), func(s *corev1.Service) {
			s.Spec.Selector = map[string]string{"app": "db", api.LabelRouting: "endpointslice"}
			s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
		}))
		master := in("prod", aPod("db-0", "active", func(p *corev1.Pod) {
			p.Labels["app"] = "db"
			p.Annotations[api.AnnotationLeaseTransitions], p.Annotations[api.AnnotationWitness] = "12", "uid-db-0@12"
		}))
		return web(db, master, in("prod", aLease("db", "db-0", 12)), published(db, master))
	}
	foreign := func(l *coordinationv1.Lease) { l.Labels = nil }
	tests := map[string]struct {
		objects []runtime.Object
		line    string
		want    result
	}{
		"nothing is annotated": {nil, "status", result{Err: `
No annotated Services found in default namespace.
`}},
		"nothing is annotated anywhere": {nil, "status -A", result{Err: `
No annotated Services found.
`}},
		"a list of nothing": {nil, "status -o json", result{Out: `
{
    "apiVersion": "v1",
    "items": [],
    "kind": "List"
}
`}},
		"all is well": {web(), "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Ok
`}},
		"wide": {shared(), "status web-ro -o wide", result{Out: `
SERVICE   LEASE   ROUTING    MASTER   NODE     PRIORITY   SINCE   EPOCH   REASON           STANDBYS   STATUS
web-ro    web     selector   web-0    node-0   0          3m      3       HolderNotReady   2/2        Paused
`}},
		"wide, with a priority": {
			[]runtime.Object{aService("db", "web-0", 3, annotated(api.AnnotationLeaseName, "web")), aLease("web", "web-0", 3), aPod("web-0", "active", prioritized("-7")), aPod("web-1", "standby", prioritized("high"))}, "status -o wide", result{Out: `
SERVICE   LEASE   ROUTING    MASTER   NODE     PRIORITY   SINCE   EPOCH   REASON           STANDBYS   STATUS
db        web     selector   web-0    node-0   -7         3m      3       HolderNotReady   1/1        InvalidAnnotation
`},
		},
		"without headers": {web(), "status --no-headers", result{Out: `
web   selector   web-0   node-0   3m    3     HolderNotReady   2/2   Ok
`}},
		"Services that share a Lease, of which the first is paused": {shared(), "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Paused
web-ro    selector   web-0    node-0   3m      3       HolderNotReady   2/2        Paused
`}},
		"a label selector": {shared(), "status -l tier=ro", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web-ro    selector   web-0    node-0   3m      3       HolderNotReady   2/2        Paused
`}},
		"all namespaces": {everywhere(), "status -A", result{Out: `
NAMESPACE   SERVICE   ROUTING         MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
default     web       selector        web-0    node-0   3m      3       HolderNotReady   2/2        Ok
prod        db        endpointslice   db-0     node-0   3m      12      HolderNotReady   0/0        Ok
`}},
		"by --default-routing, of which only the controller knows": {func() []runtime.Object {
			all := everywhere()
			for _, o := range all {
				delete(o.(metav1.Object).GetAnnotations(), api.AnnotationRouting)
			}
			return all
		}(), "status -A", result{Out: `
NAMESPACE   SERVICE   ROUTING         MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
default     web       selector        web-0    node-0   3m      3       HolderNotReady   2/2        Ok
prod        db        endpointslice   db-0     node-0   3m      12      HolderNotReady   0/0        Ok
`}},
		"by name, for other commands to take": {everywhere(), "status -A -o name", result{Out: `
service/web
service/db
`}},
		"JSON of one by its name": {shared(), "status web-ro -o json", result{Out: `
{
    "apiVersion": "qoqo.dev/v1",
    "kind": "ElectionStatus",
    "metadata": {
        "name": "web-ro",
        "namespace": "default"
    },
    "status": {
        "acquireTime": "1999-12-31T23:57:00.000000Z",
        "epoch": 3,
        "lease": "web",
        "master": {
            "name": "web-0",
            "node": "node-0",
            "uid": "uid-web-0"
        },
        "ok": true,
        "paused": true,
        "reason": "HolderNotReady",
        "routing": "selector",
        "standbys": {
            "eligible": 2,
            "total": 2
        }
    }
}
`}},
		"YAML of all": {everywhere(), "status -A -o yaml", result{Out: `
apiVersion: v1
items:
- apiVersion: qoqo.dev/v1
  kind: ElectionStatus
  metadata:
    name: web
    namespace: default
  status:
    acquireTime: "1999-12-31T23:57:00.000000Z"
    epoch: 3
    lease: web
    master:
      name: web-0
      node: node-0
      uid: uid-web-0
    ok: true
    paused: false
    reason: HolderNotReady
    routing: selector
    standbys:
      eligible: 2
      total: 2
- apiVersion: qoqo.dev/v1
  kind: ElectionStatus
  metadata:
    name: db
    namespace: prod
  status:
    acquireTime: "1999-12-31T23:57:00.000000Z"
    epoch: 12
    lease: db
    master:
      name: db-0
      node: node-0
      uid: uid-db-0
    ok: true
    paused: false
    reason: HolderNotReady
    routing: endpointslice
    standbys:
      eligible: 0
      total: 0
kind: List
`}},
		"a path": {web(), "status web -o jsonpath={.status.master.name}", result{Out: `
web-0`}},
		"one that is there, one that is not annotated and one that does not exist": {
			web(aService("plain", "", 0, unannotated)), "status web plain gone", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Ok
`, Err: `
error: service plain is not annotated; kubectl annotate service plain qoqo.dev/service-mode=active-standby
error: services "gone" not found in default namespace
`, Code: 1},
		},
		"a Service that is not served": {
			[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationServiceMode, "active"))}, "status", result{Out: `
SERVICE   ROUTING   MASTER   NODE     SINCE    EPOCH    REASON   STANDBYS   STATUS
web       <none>    <none>   <none>   <none>   <none>   <none>   0/0        UnknownServiceMode
`},
		},
		"a value that does not parse": {[]runtime.Object{aService("web", "", 0, annotated(api.AnnotationFailoverDelay, "maybe")), aLease("web", "", 0)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE    EPOCH    REASON             STANDBYS   STATUS
web       selector   <none>   <none>   <none>   <none>   AwaitingEligible   0/0        InvalidAnnotation,Pending,AwaitingEligible
`}},
		"no Lease yet": {[]runtime.Object{aService("web", "", 0), aPod("web-0", "", unmarked)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE    EPOCH    REASON   STANDBYS   STATUS
web       selector   <none>   <none>   <none>   <none>   <none>   1/1        NoLease
`}},
		"a foreign Lease": {[]runtime.Object{aService("web", "", 0), aLease("web", "web-0", 3, foreign), aPod("web-0", "", unmarked)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE    EPOCH    REASON   STANDBYS   STATUS
web       selector   <none>   <none>   <none>   <none>   <none>   0/0        LeaseForeign
`}},
		"no pod was eligible yet": {[]runtime.Object{aService("web", "", 0), aLease("web", "", 0), aPod("web-0", "standby", unmarked, notReady)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE    EPOCH    REASON             STANDBYS   STATUS
web       selector   <none>   <none>   <none>   <none>   AwaitingEligible   0/1        Pending,AwaitingEligible
`}},
		"traffic goes to another pod too": {web(listing("web-1")), "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        NotPublished
`}},
		"the API server refuses a label": {[]runtime.Object{
			aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active"), aPod("web-1", "standby", unmarked), refusedWrite("web", time.Minute),
		}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Pending,WriteRefused
`}},
		"the API server refused a label an hour ago": {[]runtime.Object{
			aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active"), aPod("web-1", "standby", unmarked), refusedWrite("web", time.Hour),
		}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Pending
`}},
		"the API server refused what is written now": {web(refusedWrite("web", time.Minute)), "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/2        Ok
`}},
		"no pod is eligible": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby", excluded)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   0/1        HolderNotReady,NobodyEligible
`}},
		"a failover is due": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        HolderNotReady,Pending
`}},
		"a master that is given time to recover": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationFailoverDelay, "30s")), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        HolderNotReady,AwaitingHolder
`}},
		"a paused master that is down": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationPaused, "true")), aLease("web", "web-0", 3), aPod("web-0", "active", notReady), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Paused,HolderNotReady
`}},
		"a handover that waits": {[]runtime.Object{aService("web", "web-0", 3, annotated(api.AnnotationHandover, "after-termination")), aLease("web", "web-0", 3), aPod("web-0", "active", terminating), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        HolderTerminating,AwaitingTermination
`}},
		"the master is gone": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3)}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    <none>   3m      3       HolderNotReady   0/0        HolderGone,NobodyEligible
`}},
		"an edit that no controller follows": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), aPod("web-0", "active"), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   1/1        Pending
`}},
		"a Lease that another program holds": {[]runtime.Object{aService("web", "web-0", 3), aLease("web", "web-0", 3, contended), aPod("web-0", "active"), aPod("web-1", "standby")}, "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   2m      3       HolderNotReady   1/1        LeaseContended
`}},
		"standbys that do not count": {web(aPod("web-3", "standby", evicted), aPod("web-4", "standby", terminating), aPod("web-5", "standby", notReady)), "status", result{Out: `
SERVICE   ROUTING    MASTER   NODE     SINCE   EPOCH   REASON           STANDBYS   STATUS
web       selector   web-0    node-0   3m      3       HolderNotReady   2/3        Ok
`}},
		"names and all namespaces": {web(), "status web -A", result{Err: `
error: a Service cannot be retrieved by name across all namespaces
`, Code: 1}},
		"names and a selector": {web(), "status web -l a=b", result{Err: `
error: name cannot be provided when a selector is specified
`, Code: 1}},
		"an output that is not known": {web(), "status -o xml", result{Err: `
error: unable to match a printer suitable for the output format "xml", allowed formats are: go-template,go-template-file,json,jsonpath,jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml
`, Code: 1}},
		"a flag that is not known": {web(), "status --wat", result{Err: `
error: unknown flag: --wat
See 'kubectl active-standby status --help' for usage and examples
`, Code: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, test.objects, func(c *cluster) { c.expect(test.line, test.want) })
		})
	}
}
