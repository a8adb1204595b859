package controller

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// That answers arrive here is tested with real ones, in package integration of the
// module e2e.

// probedService asks for a probe; another Service of the election is younger.
func probedElection(pods ...*corev1.Pod) observation.Inputs {
	older, younger := fakeapi.NewService("web"), fakeapi.NewService("web-too")
	older.Annotations[api.AnnotationProbe] = "http://:8080/healthz"
	younger.Annotations[api.AnnotationLeaseName] = "web"
	younger.CreationTimestamp = metav1.NewTime(older.CreationTimestamp.Add(time.Hour))
	older.UID, younger.UID = "older", "younger"
	return observation.Inputs{Key: key{Namespace: fakeapi.Namespace, Name: "web"}, Services: []*corev1.Service{younger, older}, Pods: pods, Now: time.Now()}
}

func addressed(ip string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.UID, p.Status.PodIP = types.UID("uid-"+p.Name), ip }
}

func TestTargetsOfProbes(t *testing.T) {
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }
	in := probedElection(
		fakeapi.NewPod("web-0", addressed("10.0.0.1")), fakeapi.NewPod("web-1", addressed("10.0.0.2"), fakeapi.SetNotReady), fakeapi.NewPod("web-2", addressed("")),
		fakeapi.NewPod("web-3", addressed("10.0.0.4"), fakeapi.SetTerminating), fakeapi.NewPod("web-4", addressed("10.0.0.5"), ended),
	)
	asked := api.Probe{Scheme: api.ProbeHTTP, Port: 8080, Path: "/healthz", Interval: 250 * time.Millisecond, Timeout: 250 * time.Millisecond, Failures: 2}
	want := []probe.Target{
		{Pod: "uid-web-0", Address: "10.0.0.1", Probe: asked},
		{Pod: "uid-web-1", Address: "10.0.0.2", Master: true, Probe: asked},
		{Pod: "uid-web-2", Probe: asked},
	}
	if diff := cmp.Diff(want, targets(observation.Look(in), "uid-web-1", false)); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for _, s := range in.Services {
		delete(s.Annotations, api.AnnotationProbe)
	}
	if targets := targets(observation.Look(in), "uid-web-0", false); targets != nil {
		t.Errorf("targets without a probe: %v", targets)
	}
}

// Each pod is asked what its own readiness probe asks. One that cannot be asked is not, and the others are.
func TestTargetsOfReadinessProbes(t *testing.T) {
	exec := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
	in := probedElection(
		fakeapi.NewPod("web-0", addressed("10.0.0.1"), readyBy(gets("/old", 80))), fakeapi.NewPod("web-1", addressed("10.0.0.2"), readyBy(gets("/new", 81))),
		fakeapi.NewPod("web-2", addressed("10.0.0.3"), readyBy(exec)), fakeapi.NewPod("web-3", addressed("10.0.0.4")),
		fakeapi.NewPod("web-4", addressed("10.0.0.5"), readyBy(gets("/", 80)), func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
	)
	in.Services[1].Annotations[api.AnnotationProbe] = "readiness"
	for _, p := range in.Pods {
		trimPod(p)
	}
	asked := func(path string, port uint16) api.Probe {
		return api.Probe{Scheme: api.ProbeHTTP, Port: port, Path: path, Interval: 250 * time.Millisecond, Timeout: 250 * time.Millisecond, Failures: 2}
	}
	want := []probe.Target{{Pod: "uid-web-0", Address: "10.0.0.1", Master: true, Probe: asked("/old", 80)}, {Pod: "uid-web-1", Address: "10.0.0.2", Probe: asked("/new", 81)}}
	o := observation.Look(in)
	if diff := cmp.Diff(want, targets(o, "uid-web-0", false)); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	const message = "web-0 is Ready, but has not answered the probe http://:80/old since it became master; until it does, only its readiness counts. Check NetworkPolicies and the port (qoqo.dev/probe)"
	if p, _ := unanswered(o, "uid-web-0", probe.NeverAnswered); p.Message != message {
		t.Errorf("problem %q, want %q", p.Message, message)
	}
	if _, found := unprobed(o); !found {
		t.Error("the pod on the network of its node is no problem")
	}
	// The controller's default probe asks the same, and that a pod cannot be asked is no problem.
	delete(in.Services[1].Annotations, api.AnnotationProbe)
	in.DefaultProbe = api.Probe{Scheme: api.ProbeReadiness, Interval: 250 * time.Millisecond, Failures: 2}
	o = observation.Look(in)
	if diff := cmp.Diff(want, targets(o, "uid-web-0", false)); diff != "" {
		t.Errorf("targets by default (-want +got):\n%s", diff)
	}
	if p, found := unprobed(o); found {
		t.Errorf("problem by default: %q", p.Message)
	}
}

func gets(path string, port int32) corev1.ProbeHandler {
	return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}}
}

func readyBy(asks corev1.ProbeHandler) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Name: "web", ReadinessProbe: &corev1.Probe{ProbeHandler: asks}}}
	}
}

func TestAnswersInTheElection(t *testing.T) {
	in := probedElection(fakeapi.NewPod("web-0", addressed("10.0.0.1")), fakeapi.NewPod("web-1", addressed("10.0.0.2")), fakeapi.NewPod("web-2", addressed("10.0.0.3")), fakeapi.NewPod("web-3", addressed("10.0.0.4")))
	in.Probes = map[types.UID]probe.State{"uid-web-0": probe.Suspected, "uid-web-1": probe.Answering, "uid-web-2": probe.NeverAnswered}
	o := observation.Look(in)
	type answers struct{ Answers, Unresponsive bool }
	got := map[string]answers{}
	for _, c := range o.View().Candidates {
		got[c.Name] = answers{c.Answers, c.Unresponsive}
	}
	want := map[string]answers{"web-0": {Unresponsive: true}, "web-1": {Answers: true}, "web-2": {}, "web-3": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
	if d := election.Decide(o.View()); d.Holder != "web-1" {
		t.Errorf("%s is elected", d.Holder)
	}
}

func TestUnansweredProbeIsReported(t *testing.T) {
	message := "web-0 is Ready, but has not answered the probe http://:8080/healthz since it became master; until it does, only its readiness counts. Check NetworkPolicies and the port (qoqo.dev/probe)"
	tests := map[string]struct {
		state  probe.State
		change func(*corev1.Pod)
		want   []api.Problem
	}{
		"of a master that is Ready":         {state: probe.NeverAnswered, change: fakeapi.SetReady, want: []api.Problem{{Reason: "ProbeUnanswered", Message: message}}},
		"not of one that is not Ready":      {state: probe.NeverAnswered, change: fakeapi.SetNotReady},
		"not of one of which is not known":  {state: probe.Unknown, change: fakeapi.SetReady},
		"not of one that answers":           {state: probe.Answering, change: fakeapi.SetReady},
		"not of one that did answer before": {state: probe.Suspected, change: fakeapi.SetReady},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := probedElection(fakeapi.NewPod("web-0", addressed("10.0.0.1"), test.change), fakeapi.NewPod("web-1", addressed("10.0.0.2")))
			var got []api.Problem
			if p, found := unanswered(observation.Look(o), "uid-web-0", test.state); found {
				got = append(got, p)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPodsThatAreNotProbed(t *testing.T) {
	onNode := func(p *corev1.Pod) { p.Spec.HostNetwork = true }
	in := probedElection(fakeapi.NewPod("web-0", addressed("10.0.0.1")), fakeapi.NewPod("web-1", addressed("169.254.169.254")), fakeapi.NewPod("web-2", addressed("10.0.0.3"), onNode))
	o := observation.Look(in)
	if got := targets(o, "uid-web-0", false); len(got) != 1 || got[0].Pod != "uid-web-0" {
		t.Errorf("targets %v", got)
	}
	if got := targets(o, "uid-web-0", true); len(got) != 3 {
		t.Errorf("targets at any address: %v", got)
	}
	const want = `web-1 is not probed, because its address "169.254.169.254" is link-local; only its readiness counts. An administrator can allow it with --probe-any-address`
	if p, _ := unprobed(o); p.Message != want {
		t.Errorf("problem %q, want %q", p.Message, want)
	}
	in.Pods = in.Pods[2:]
	if p, _ := unprobed(observation.Look(in)); p.Message != "web-2 is not probed, because it is on the network of its node; only its readiness counts. An administrator can allow it with --probe-any-address" {
		t.Errorf("problem %q", p.Message)
	}
}
