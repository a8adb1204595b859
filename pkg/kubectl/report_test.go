package kubectl

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	restclient "k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"
)

const secret = "s3cret"

// secretive puts a secret wherever a pod may have one.
func secretive(spec *corev1.PodSpec) {
	spec.Volumes = []corev1.Volume{{Name: secret}}
	spec.Containers = []corev1.Container{{
		Name: "web", Image: "example.com/web:1", Command: []string{secret}, Args: []string{"--password=" + secret},
		Env:            []corev1.EnvVar{{Name: "PASSWORD", Value: secret}},
		EnvFrom:        []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: secret}}}},
		Lifecycle:      &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{secret}}}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{secret}}}},
		LivenessProbe:  &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/live?token=" + secret, HTTPHeaders: []corev1.HTTPHeader{{Name: "Authorization", Value: secret}}}}},
	}}
	spec.InitContainers = []corev1.Container{{Name: "init", Args: []string{secret}}}
}

// copied has the annotation and the fields of an object that was applied.
func copied(m *metav1.ObjectMeta) {
	if m.Annotations == nil {
		m.Annotations = map[string]string{}
	}
	m.Annotations[corev1.LastAppliedConfigAnnotation] = secret
	m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "app", FieldsV1: metav1.NewFieldsV1(`{"v:` + secret + `":{}}`)}}
}

func aReportedCluster() []runtime.Object {
	objects := web(aPod("db-0", "", unmarked, func(p *corev1.Pod) { p.Labels["app"] = "db" }), aService("db", "", 0, unannotated, func(s *corev1.Service) { s.Spec.Selector["app"] = "db" }))
	for _, o := range objects {
		switch o := o.(type) {
		case *corev1.Service:
			copied(&o.ObjectMeta)
		case *corev1.Node:
			copied(&o.ObjectMeta)
		case *corev1.Pod:
			copied(&o.ObjectMeta)
			secretive(&o.Spec)
			o.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", VolumeMounts: []corev1.VolumeMountStatus{{Name: secret}}, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "RunContainerError", Message: secret}}, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Message: secret}}}}
		}
	}
	labels := map[string]string{"app.kubernetes.io/name": "active-standby-controller"}
	controller := &corev1.Pod{ObjectMeta: metaOf("active-standby-controller-x"), Spec: corev1.PodSpec{NodeName: "node-0"}}
	controller.Namespace, controller.Labels = "kube-system", labels
	deployment := &appsv1.Deployment{ObjectMeta: metaOf("active-standby-controller")}
	deployment.Namespace, deployment.Labels = "kube-system", labels
	copied(&deployment.ObjectMeta)
	secretive(&deployment.Spec.Template.Spec)
	sidecar := deployment.Spec.Template.Spec.Containers[0]
	deployment.Spec.Template.Spec.Containers[0].Name, deployment.Spec.Template.Spec.Containers[0].Args = controllerName, []string{"--v=2"}
	deployment.Spec.Template.Spec.Containers = append(deployment.Spec.Template.Spec.Containers, sidecar)
	controller.Spec.Containers = []corev1.Container{{Name: "active-standby-controller", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}}
	controller.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "active-standby-controller", RestartCount: 1}}
	event := func(name, of string) *eventsv1.Event {
		return &eventsv1.Event{ObjectMeta: metaOf(name), Reason: "Killing", Note: "the event " + name, Regarding: corev1.ObjectReference{Kind: "Pod", Name: of, Namespace: "default", UID: "uid-web-0"}}
	}
	other := event("other", "x")
	other.Regarding.UID = "uid-x"
	heartbeat := &coordinationv1.Lease{ObjectMeta: metaOf("node-0")}
	heartbeat.Namespace = corev1.NamespaceNodeLease
	return append(objects, heartbeat, controller, deployment, event("killing", "web-0"), other,
		&corev1.Secret{ObjectMeta: metaOf("password"), Data: map[string][]byte{"password": []byte(secret)}})
}

// metrics is what a replica answers.
type metrics struct{ restclient.ResponseWrapper }

func (metrics) DoRaw(context.Context) ([]byte, error) {
	return []byte("active_standby_election_ok 1\n"), nil
}

// reporting lets the controller's replicas answer with their metrics.
func (c *cluster) reporting() {
	c.jane.AddProxyReactor("pods", func(action clienttesting.Action) (bool, restclient.ResponseWrapper, error) {
		if get, is := action.(clienttesting.ProxyGetAction); !is || get.GetPath() != "/metrics" || get.GetPort() != "8080" {
			return false, nil, nil
		}
		return true, metrics{}, nil
	})
}

// unpack returns the files of a report by their names in its folder.
func unpack(t *testing.T, archive []byte, folder string) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zipped); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		name, within := strings.CutPrefix(header.Name, folder+"/")
		if !within {
			t.Errorf("%s is not in the folder %s", header.Name, folder)
		}
		files[name] = string(data)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	controllers := []string{
		"controller/active-standby-controller-x-previous.log", "controller/active-standby-controller-x.log", "controller/active-standby-controller-x.metrics",
		"controller/deployments.yaml", "controller/pods.yaml",
	}
	election := []string{
		"default/check-web.txt", "default/endpointslices.yaml", "default/events.yaml", "default/history-web.txt", "default/leases.yaml", "default/node-heartbeats.yaml",
		"default/nodes.yaml", "default/pods.yaml", "default/services.yaml", "default/status.txt",
	}
	tests := map[string]struct {
		forbid []string
		line   string
		// want are the names of the files, without README.txt and version.txt. unread is what README.txt
		// lists as not read.
		want   []string
		unread string
	}{
		"a namespace":    {nil, "report --file -", slices.Concat(controllers, election), "  <none>\n"},
		"one Service":    {nil, "report web -f -", slices.Concat(controllers, election), "  <none>\n"},
		"all namespaces": {nil, "report -A --file -", slices.Concat(controllers, election), "  <none>\n"},
		"a Service that is not annotated": {nil, "report db --file -", slices.Concat(controllers, []string{
			"default/check-db.txt", "default/endpointslices.yaml", "default/node-heartbeats.yaml", "default/nodes.yaml", "default/pods.yaml", "default/services.yaml",
		}), "  <none>\n"},
		"little may be read": {
			[]string{"pods", "nodes", "events", "endpointslices", "deployments", "leases"},
			"report --file -",
			[]string{"default/check-web.txt", "default/history-web.txt", "default/services.yaml", "default/status.txt"},
			`  the Lease default/web: reading the Lease: leases.coordination.k8s.io is forbidden: User "jane" cannot get resource "leases"
  the pods of default: listing the pods: pods is forbidden: User "jane" cannot list resource "pods"
  the EndpointSlices of default: listing the EndpointSlices: endpointslices.discovery.k8s.io is forbidden: User "jane" cannot list resource "endpointslices"
  the events of default: events.events.k8s.io is forbidden: User "jane" cannot list resource "events"
  the controller's Deployment: deployments.apps is forbidden: User "jane" cannot list resource "deployments"
  the controller's pods: pods is forbidden: User "jane" cannot list resource "pods"
`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inCluster(t, aReportedCluster(), func(c *cluster) {
				c.reporting()
				for _, resource := range test.forbid {
					c.forbid("*", resource)
				}
				got := c.run(strings.Fields(test.line)...)
				if got.Code != 0 || got.Err != "" {
					t.Fatalf("exit code %d, and %s", got.Code, got.Err)
				}
				files := unpack(t, []byte(got.Out), "active-standby-report")
				readme := files["README.txt"]
				if diff := cmp.Diff(slices.Concat([]string{"README.txt"}, test.want, []string{"version.txt"}), slices.Sorted(maps.Keys(files))); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
				if _, unread, _ := strings.Cut(readme, "What could not be read:\n\n"); unread != test.unread {
					t.Errorf("not read (-want +got):\n%s", cmp.Diff(test.unread, unread))
				}
				for name, data := range files {
					if strings.Contains(data, secret) {
						t.Errorf("%s holds a secret:\n%s", name, data)
					}
					if name != "README.txt" && !strings.Contains(readme, "  "+name+"\n") {
						t.Errorf("README.txt does not name %s", name)
					}
				}
			})
		})
	}
}

// A report keeps of pods what an election depends on.
func TestReportedPods(t *testing.T) {
	t.Parallel()
	inCluster(t, aReportedCluster(), func(c *cluster) {
		c.reporting()
		got := unpack(t, []byte(c.run("report", "db", "--file", "-").Out), "active-standby-report")
		const want = `apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: <removed>
    labels:
      app: db
    managedFields:
    - manager: app
    name: db-0
    namespace: default
    ownerReferences:
    - apiVersion: apps/v1
      controller: true
      kind: StatefulSet
      name: web
      uid: uid-of-the-workload
    resourceVersion: "9"
    uid: uid-db-0
  spec:
    containers:
    - image: example.com/web:1
      livenessProbe:
        httpGet:
          httpHeaders:
          - name: Authorization
            value: <removed>
          path: /live?<removed>
          port: 0
      name: web
      readinessProbe:
        exec:
          command:
          - <removed>
      resources: {}
    nodeName: node-0
  status:
    conditions:
    - lastProbeTime: null
      lastTransitionTime: "1999-12-31T23:50:00Z"
      status: "True"
      type: Ready
    containerStatuses:
    - image: ""
      imageID: ""
      lastState:
        terminated:
          exitCode: 1
          finishedAt: null
          message: <removed>
          startedAt: null
      name: web
      ready: false
      restartCount: 0
      state:
        waiting:
          message: <removed>
          reason: RunContainerError
    phase: Running
    podIPs:
    - ip: 10.0.0.1
kind: List
`
		if diff := cmp.Diff(want, got["default/pods.yaml"]); diff != "" {
			t.Errorf("(-want +got):\n%s\n%s", diff, got["default/pods.yaml"])
		}
		if logs := got["controller/active-standby-controller-x.log"]; logs != "fake logs" {
			t.Errorf("logs %q", logs)
		}
		events := unpack(t, []byte(c.run("report", "--file", "-").Out), "active-standby-report")["default/events.yaml"]
		if !strings.Contains(events, "the event killing") || strings.Contains(events, "the event other") {
			t.Errorf("events of other objects, or not those of a pod:\n%s", events)
		}
	})
}

func TestReportIsWritten(t *testing.T) {
	t.Parallel()
	inCluster(t, web(), func(c *cluster) {
		path := filepath.Join(t.TempDir(), "web.tar.gz")
		compare(t, result{Out: path + " written, of 10 files; README.txt in it says what it holds\n", Err: "Warning: could not read the controller: there is no pod with the label app.kubernetes.io/name=active-standby-controller\n"}, c.run("report", "web", "-f", path))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if check, want := unpack(t, data, "web")["default/check-web.txt"], c.run("check", "web").Out; check != want {
			t.Errorf("check (-want +got):\n%s", cmp.Diff(want, check))
		}
		compare(t, result{Err: "error: open " + path + ": file exists\n", Code: 1}, c.run("report", "web", "-f", path))
		for _, file := range []string{"-", path + ".other"} {
			compare(t, result{Err: `error: services "none" not found in default namespace` + "\n", Code: 1}, c.run("report", "none", "-f", file))
		}
		if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
			t.Errorf("%v, %v: want the first report alone", left, err)
		}
		compare(t, result{Err: "error: a Service cannot be retrieved by name across all namespaces\n", Code: 1}, c.run("report", "web", "-A"))
	})
}

// Events of kubelet may quote what a report holds back of the pod itself.
func TestEventsOfAReportQuoteNoSecret(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct{ kind, reason, note, want string }{
		"the query that a probe asks": {
			"Pod", "Unhealthy",
			`Readiness probe failed: Get "http://10.0.0.1:8080/healthy?k=secret": dial tcp 10.0.0.1:8080: connect: connection refused`,
			`Readiness probe failed: Get "http://10.0.0.1:8080/healthy?<removed>": dial tcp 10.0.0.1:8080: connect: connection refused`,
		},
		"the status of a probe": {
			"Pod", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503",
			"Readiness probe failed: HTTP probe failed with statuscode: 503",
		},
		"what a probe's command wrote":     {"Pod", "Unhealthy", "Liveness probe failed: password=secret\n", "Liveness probe failed: <removed>"},
		"an answer of no known form":       {"Pod", "Unhealthy", "secret", "<removed>"},
		"a command that does not exist":    {"Pod", "Failed", `Error: failed to create containerd task: exec: "secret": not found`, "<removed>"},
		"an image that cannot be pulled":   {"Pod", "Failed", `Failed to pull image "web:2": not found`, `Failed to pull image "web:2": not found`},
		"what a hook wrote":                {"Pod", "FailedPreStopHook", "Exec lifecycle hook ([sh -c secret]) failed", "<removed>"},
		"any other reason":                 {"Pod", "Killing", "Stopping container web", "Stopping container web"},
		"the reason, of a Service's event": {"Service", "Failed", "the controller's own words", "the controller's own words"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &eventsv1.Event{Reason: of.reason, Note: of.note, Regarding: corev1.ObjectReference{Kind: of.kind}}
			if got := publicEvent(e).Note; got != of.want {
				t.Errorf("got %q, want %q", got, of.want)
			}
		})
	}
}
