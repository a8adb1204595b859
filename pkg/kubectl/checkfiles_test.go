package kubectl

import (
	"bytes"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	fast := func(p *corev1.Pod) { p.Labels["tier"] = "fast" }
	http := func(s *corev1.Service) {
		s.Spec.Ports = []corev1.ServicePort{{Port: 80}}
		s.Spec.Ports[0].TargetPort = intstr.FromString("http")
	}
	serving := func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Name: "web", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}
	}
	expectEach(t, map[string]expectation{
		"a new Service whose pods do not run yet": {nil, nil, "check -f testdata/manifests/web.yaml", result{Out: `
Service:    web (new; routing selector)
Suppose:    testdata/manifests/web.yaml is applied
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       nothing: no pod is eligible yet, so there is no master (AwaitingEligible)
Selects:    the pods of Deployment web (testdata/manifests/web.yaml), once they run
Traffic:    goes to no pod now; would go to no pod until one is eligible: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

The Service selects no pods.

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`}},
		"a new Service whose pods run": {
			[]runtime.Object{aPod("web-0", "", unmarked, serving), aPod("web-1", "", unmarked, fast, serving), aPod("web-2", "", unmarked, notReady, serving)},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
Service:    web (new; routing selector)
Suppose:    testdata/manifests/web.yaml is applied
Lease:      web (not found)
Master:     <none>
Problems:   <none>
Next:       Elect web-1, in epoch 1 (FirstEligible)
Traffic:    goes to no pod now; would go to web-1 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
2      web-0   node-0   no         standby   yes        after web-1, which is preferred
-      web-2   node-2   no         standby   no         it is not Ready

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that changes": {
			[]runtime.Object{aService("web", "web-0", 3, http), aLease("web", "web-0", 3), aPod("web-0", "active", serving), aPod("web-1", "standby", serving, fast)},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
Service:    web (changed; routing selector)
Suppose:    testdata/manifests/web.yaml is applied
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
2      web-0   node-0   no         master    yes        after web-1, which is preferred

Note: the master is not web-1, which is preferred: the Service asks for no failback (qoqo.dev/failback).
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that was only observed": {
			[]runtime.Object{
				aService("web", "", 0, http, annotated(api.AnnotationServiceMode, api.ModeObserve)), aLease("web", "web-0", 3),
				aPod("web-0", "", unmarked, serving), aPod("web-1", "", unmarked, serving, fast),
			},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
Service:    web (changed; routing selector)
Suppose:    testdata/manifests/web.yaml is applied
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)
Traffic:    goes to web-0, web-1 now; would go to web-0 alone: the controller would label the pods, and select the master in the Service's selector (qoqo.dev/pod-uid)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
2      web-0   node-0   no         master    yes        after web-1, which is preferred

Note: routing selector is assumed, because the controller's --default-routing is not known.
Note: the master is not web-1, which is preferred: the Service asks for no failback (qoqo.dev/failback).
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"a Service that does not change": {
			[]runtime.Object{aService("web", "web-0", 3, http, annotated(api.AnnotationPrefer, "tier=fast")), aLease("web", "web-0", 3), aPod("web-0", "active", serving)},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
testdata/manifests/web.yaml: service/web changes nothing; kubectl active-standby check web
`},
		},
		"a Service of which others have set what the manifest does not say": {
			[]runtime.Object{
				aService("web", "web-0", 3, http, annotated(api.AnnotationPrefer, "tier=fast"), annotated(api.AnnotationFailback, "10m"), func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeNodePort }),
				aLease("web", "web-0", 3), aPod("web-0", "active", serving),
			},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
testdata/manifests/web.yaml: service/web changes nothing; kubectl active-standby check web
`},
		},
		"a Service of which the manifest no longer says what it said": {
			[]runtime.Object{
				aService("web", "web-0", 3, http, annotated(api.AnnotationPrefer, "tier=fast"), annotated(api.AnnotationFailback, "10m"),
					annotated(corev1.LastAppliedConfigAnnotation, `{"metadata":{"annotations":{"qoqo.dev/failback":"10m"}}}`)),
				aLease("web", "web-0", 3), aPod("web-0", "active", serving), aPod("web-1", "standby", serving, fast),
			},
			nil, "check -f testdata/manifests/web.yaml",
			result{Out: `
Service:    web (changed; routing selector)
Suppose:    testdata/manifests/web.yaml is applied
Lease:      web
Master:     web-0 on node-0, for 3m, in epoch 3 (HolderNotReady)
Problems:   <none>
Next:       nothing: web-0 is master in epoch 3 (HolderEligible)

RANK   POD     NODE     CORDONED   ROLE      ELIGIBLE   WHY
1      web-1   node-1   no         standby   yes        first in the order
2      web-0   node-0   no         master    yes        after web-1, which is preferred

Note: the master is not web-1, which is preferred: the Service asks for no failback (qoqo.dev/failback).
Note: the controller alone knows the nodes' heartbeats, and whether it has a --default-probe.
`},
		},
		"all that is wrong with annotations": {nil, nil, "check --local -f testdata/manifests/wrong.yaml", result{Out: `
testdata/manifests/wrong.yaml: service/values selects no pods that these files have
testdata/manifests/wrong.yaml: service/mode selects no pods that these files have
`, Err: `
Note: no cluster was asked (--local).
error: testdata/manifests/wrong.yaml: service/misspelt: annotation qoqo.dev/servicemode is not known; did you mean qoqo.dev/service-mode?
error: testdata/manifests/wrong.yaml: service/values: annotation qoqo.dev/paused: true is not a string; write "true", with the quotes
error: testdata/manifests/wrong.yaml: service/values: annotation qoqo.dev/failbak is not known; did you mean qoqo.dev/failback?
error: testdata/manifests/wrong.yaml: service/mode: annotation qoqo.dev/failbak is not known; did you mean qoqo.dev/failback?
error: testdata/manifests/wrong.yaml: service/no-mode: annotation qoqo.dev/failback: "10m" has no effect without the annotation qoqo.dev/service-mode: active-standby
error: testdata/manifests/wrong.yaml: statefulset/db: annotation qoqo.dev/candidate is not known; it belongs on a pod
error: testdata/manifests/wrong.yaml: statefulset/db: annotation qoqo.dev/candidate: "no way" is not valid; allowed: "true" or "false"; "true" is used
error: testdata/manifests/wrong.yaml: cronjob/job: annotation qoqo.dev/candidat is not known; did you mean qoqo.dev/candidate?
error: testdata/manifests/wrong.yaml: service/values: annotation qoqo.dev/routing: "endpoints" is not valid; allowed: "selector" or "endpointslice" (for routing by label, put qoqo.dev/pod-designation: active into the selector); "selector" is used
error: testdata/manifests/wrong.yaml: service/mode: annotation qoqo.dev/service-mode: "on" is not valid; allowed: "active-standby" or "observe"; the Service is left as it is: all Ready pods that its selector matches get traffic
`, Code: 1}},
		"Services that contradict each other and their workload": {nil, nil, "check --local -f testdata/manifests/contradictory.yaml", result{Out: `
testdata/manifests/contradictory.yaml: service/db selects the pods of StatefulSet db (testdata/manifests/contradictory.yaml)
testdata/manifests/contradictory.yaml: service/db-ro selects the pods of StatefulSet db (testdata/manifests/contradictory.yaml)
`, Err: `
Note: no cluster was asked (--local).
error: testdata/manifests/contradictory.yaml: service/db: no pod has a container port named postgres, so the Service's endpoint has no port; correct targetPort, or name the container's port
error: testdata/manifests/contradictory.yaml: service/db: this headless Service gives its pods their DNS names, such as POD.db, and the standbys have lost theirs; leave it plain, and annotate another Service over the same pods
error: testdata/manifests/contradictory.yaml: service/db-ro: this Service shares the Lease db with the Service db, whose settings apply, but differ in qoqo.dev/paused; set them there
`, Code: 1}},
		"a file that cannot be read": {nil, nil, "check --local -f testdata/manifests/broken.yaml,testdata/manifests/none.yaml", result{Err: `
No annotated Services found in the files.
error: testdata/manifests/broken.yaml: error converting YAML to JSON: yaml: line 3: did not find expected node content
error: lstat testdata/manifests/none.yaml: no such file or directory
`, Code: 1}},
		"documents that hold comments alone, and what has a template that is no pod's": {nil, nil, "check --local -f testdata/manifests/commented.yaml", result{Out: `
testdata/manifests/commented.yaml: service/web selects no pods that these files have
`, Err: `
Note: no cluster was asked (--local).
`}},
		"lists of one kind, and in lists": {nil, nil, "check --local -f testdata/manifests/lists.yaml", result{Err: `
No annotated Services found in the files.
error: testdata/manifests/lists.yaml: service/first: annotation qoqo.dev/servicemode is not known; did you mean qoqo.dev/service-mode?
error: testdata/manifests/lists.yaml: service/second: annotation qoqo.dev/servicemode is not known; did you mean qoqo.dev/service-mode?
`, Code: 1}},
		"a folder": {nil, nil, "check --local -f testdata/manifests/folder", result{Err: `
No annotated Services found in the files.
`}},
		"folders within a folder": {nil, nil, "check --local -R -f testdata/manifests/folder -f testdata/manifests/web.yaml", result{Out: `
testdata/manifests/folder/deeper/api.json: service/api selects no pods that these files have
testdata/manifests/web.yaml: service/web selects the pods of Deployment web (testdata/manifests/web.yaml)
`, Err: `
Note: no cluster was asked (--local).
`}},
		"a folder without manifests": {nil, nil, "check --local -f testdata", result{Err: `
No annotated Services found in the files.
error: testdata: the folder holds no file that ends in .json, .yaml, .yml
`, Code: 1}},
		"a cluster that may not be read": {nil, []string{"pods"}, "check -f testdata/manifests/web.yaml", result{Out: `
testdata/manifests/web.yaml: service/web selects the pods of Deployment web (testdata/manifests/web.yaml)
`, Err: `
Note: the files alone were checked, because the cluster could not be read: listing the pods: pods is forbidden: User "jane" cannot list resource "pods"
`}},
		"neither Service nor file": {nil, nil, "check", result{Err: `
error: the name of one Service is required
See 'kubectl active-standby check --help' for usage and examples
`, Code: 1}},
		"both Service and file": {nil, nil, "check web -f testdata/manifests/web.yaml", result{Err: `
error: a Service cannot be named together with -f
See 'kubectl active-standby check --help' for usage and examples
`, Code: 1}},
		"a Service without a cluster": {nil, nil, "check web --local", result{Err: `
error: --recursive and --local are for files; see -f
See 'kubectl active-standby check --help' for usage and examples
`, Code: 1}},
	})
}

// The annotations of a manifest are checked in a pipeline that has no cluster.
func TestCheckStdinWithoutCluster(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	streams := genericiooptions.IOStreams{Out: &out, ErrOut: &errOut, In: bytes.NewBufferString(`
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {qoqo.dev/service-mode: active-standby, qoqo.dev/handover: later}
spec: {selector: {app: web}}
`)}
	cmd := newCommand(&env{IOStreams: streams, connect: func() (connection, error) {
		return connection{namespace: "default"}, errors.New("no configuration has been provided")
	}})
	code := run(t.Context(), cmd, streams, []string{"check", "-f", "-"})
	compare(t, result{Out: `
stdin: service/web selects no pods that these files have
`, Err: `
Note: the files alone were checked, because the cluster could not be read: no configuration has been provided
error: stdin: service/web: annotation qoqo.dev/handover: "later" is not valid; allowed: "immediate" or "after-termination"; "after-termination" is used
`, Code: 1}, result{out.String(), errOut.String(), code})
}

// The examples are as check wants manifests to be.
func TestCheckExamples(t *testing.T) {
	t.Parallel()
	inCluster(t, nil, func(c *cluster) {
		if got := c.run("check", "--local", "-R", "-f", "../../examples", "-f", "../../manifests"); got.Code != 0 || got.Out == "" {
			t.Errorf("exit code %d:\n%s%s", got.Code, got.Err, got.Out)
		}
	})
}
