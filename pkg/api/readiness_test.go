package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// container is a container with a readiness probe.
func container(name string, handler corev1.ProbeHandler) corev1.Container {
	return corev1.Container{
		Name: name, Image: "image", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {ContainerPort: 9}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: handler, TimeoutSeconds: 1, PeriodSeconds: 10},
	}
}

func getting(path string, port intstr.IntOrString, edits ...func(*corev1.HTTPGetAction)) corev1.ProbeHandler {
	get := &corev1.HTTPGetAction{Path: path, Port: port, Scheme: corev1.URISchemeHTTP}
	for _, edit := range edits {
		edit(get)
	}
	return corev1.ProbeHandler{HTTPGet: get}
}

func TestProbeOfReadiness(t *testing.T) {
	var (
		http    = intstr.FromString("http")
		exec    = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"pg_isready"}}}
		connect = func(port intstr.IntOrString, host string) corev1.ProbeHandler {
			return corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: port, Host: host}}
		}
		at      = func(host string) func(*corev1.HTTPGetAction) { return func(g *corev1.HTTPGetAction) { g.Host = host } }
		headers = func(pairs ...string) func(*corev1.HTTPGetAction) {
			return func(g *corev1.HTTPGetAction) {
				for i := 0; i < len(pairs); i += 2 {
					g.HTTPHeaders = append(g.HTTPHeaders, corev1.HTTPHeader{Name: pairs[i], Value: pairs[i+1]})
				}
			}
		}
		slow = func(c corev1.Container, seconds int32) corev1.Container {
			c.ReadinessProbe.TimeoutSeconds = seconds
			return c
		}
		plain = corev1.Container{Name: "plain", Image: "image"}
		long  = strings.Repeat("a", MaxValue)
	)
	const command = "the readiness probe of its container a is a command (exec), which the controller cannot run"
	for name, test := range map[string]struct {
		containers, init []corev1.Container
		timeout          time.Duration
		want             Probe
		why              string
	}{
		"by HTTP":                                     {containers: []corev1.Container{container("a", getting("/healthz", intstr.FromInt32(80)))}, want: Probe{Scheme: ProbeHTTP, Port: 80, Path: "/healthz"}},
		"a port that is named":                        {containers: []corev1.Container{container("a", getting("/", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/"}},
		"a port that is a number as a string":         {containers: []corev1.Container{container("a", getting("/", intstr.FromString("81")))}, want: Probe{Scheme: ProbeHTTP, Port: 81, Path: "/"}},
		"a port that the container has not":           {containers: []corev1.Container{container("a", getting("/", intstr.FromString("web")))}, why: `the readiness probe of its container a asks the port "web", which the container does not have`},
		"a port that only another container has":      {containers: []corev1.Container{{Name: "b", Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 80}}}, container("a", getting("/", intstr.FromString("web")))}, why: `the readiness probe of its container a asks the port "web", which the container does not have`},
		"a path with a query":                         {containers: []corev1.Container{container("a", getting("/a%20b?deep=1", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/a%20b?deep=1"}},
		"a path without a slash":                      {containers: []corev1.Container{container("a", getting("healthz", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/healthz"}},
		"a path that is empty":                        {containers: []corev1.Container{container("a", getting("", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/"}},
		"a path that names another host and user":     {containers: []corev1.Container{container("a", getting("http://me:secret@10.0.0.9/healthz", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/healthz"}},
		"a path that does not parse":                  {containers: []corev1.Container{container("a", getting("/%zz", http))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/%25zz"}},
		"by HTTPS":                                    {containers: []corev1.Container{container("a", getting("/", http, func(g *corev1.HTTPGetAction) { g.Scheme = corev1.URISchemeHTTPS }))}, want: Probe{Scheme: ProbeHTTPS, Port: 8080, Path: "/"}},
		"headers":                                     {containers: []corev1.Container{container("a", getting("/", http, headers("Host", "web", "X-A", "b: c")))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/", Headers: "Host:web\nX-A:b: c\n"}},
		"a header that has lines":                     {containers: []corev1.Container{container("a", getting("/", http, headers("X-A", "b\nX-C: d")))}, why: "the readiness probe of its container a has a header of several lines"},
		"by TCP":                                      {containers: []corev1.Container{container("a", connect(http, ""))}, want: Probe{Scheme: ProbeTCP, Port: 8080}},
		"by gRPC":                                     {containers: []corev1.Container{container("a", corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 9000, Service: ptr.To("db.v1")}})}, want: Probe{Scheme: ProbeGRPC, Port: 9000, Path: "db.v1"}},
		"by gRPC, of the server":                      {containers: []corev1.Container{container("a", corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 9000}})}, want: Probe{Scheme: ProbeGRPC, Port: 9000}},
		"a command":                                   {containers: []corev1.Container{container("a", exec)}, why: command},
		"none":                                        {containers: []corev1.Container{plain}, why: "it has no readiness probe"},
		"another host":                                {containers: []corev1.Container{container("a", getting("/", http, at("127.0.0.1")))}, why: `the readiness probe of its container a asks the host "127.0.0.1", and pods are asked at their own address alone`},
		"another host, by TCP":                        {containers: []corev1.Container{container("a", connect(http, "db"))}, why: `the readiness probe of its container a asks the host "db", and pods are asked at their own address alone`},
		"the pod's own address":                       {containers: []corev1.Container{container("a", getting("/", http, at("10.0.0.1")))}, want: Probe{Scheme: ProbeHTTP, Port: 8080, Path: "/"}},
		"the first of two containers that ask":        {containers: []corev1.Container{plain, container("a", connect(intstr.FromInt32(1), "")), container("b", connect(intstr.FromInt32(2), ""))}, want: Probe{Scheme: ProbeTCP, Port: 1}},
		"the first that can be asked":                 {containers: []corev1.Container{container("a", exec), container("b", connect(intstr.FromInt32(2), ""))}, want: Probe{Scheme: ProbeTCP, Port: 2}},
		"the first of those that cannot":              {containers: []corev1.Container{container("a", exec), container("b", connect(http, "db"))}, why: command},
		"a sidecar comes after the containers":        {containers: []corev1.Container{container("a", connect(intstr.FromInt32(1), ""))}, init: []corev1.Container{container("b", connect(intstr.FromInt32(2), ""))}, want: Probe{Scheme: ProbeTCP, Port: 1}},
		"a sidecar alone":                             {containers: []corev1.Container{plain}, init: []corev1.Container{container("b", connect(intstr.FromInt32(2), ""))}, want: Probe{Scheme: ProbeTCP, Port: 2}},
		"a probe that is as long as it may be":        {containers: []corev1.Container{container("a", getting("/"+long[1:], intstr.FromInt32(1)))}, want: Probe{Scheme: ProbeHTTP, Port: 1, Path: "/" + long[1:]}},
		"a path that is too long":                     {containers: []corev1.Container{container("a", getting("/"+long, http))}, why: "the readiness probe of its container a is longer than 1024 bytes"},
		"headers that are too long":                   {containers: []corev1.Container{container("a", getting("/", http, headers("X-A", long)))}, why: "the readiness probe of its container a is longer than 1024 bytes"},
		"a timeout that is longer than the default":   {containers: []corev1.Container{slow(container("a", connect(http, "")), 3)}, want: Probe{Scheme: ProbeTCP, Port: 8080, Timeout: 3 * time.Second}},
		"a timeout that is longer than is possible":   {containers: []corev1.Container{slow(container("a", connect(http, "")), 60)}, want: Probe{Scheme: ProbeTCP, Port: 8080, Timeout: MaxProbeTimeout}},
		"the Service's timeout counts before that":    {containers: []corev1.Container{slow(container("a", connect(http, "")), 3)}, timeout: time.Second, want: Probe{Scheme: ProbeTCP, Port: 8080, Timeout: time.Second}},
		"a handler that is not known to this version": {containers: []corev1.Container{container("a", corev1.ProbeHandler{})}, why: command},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: test.containers, InitContainers: test.init}, Status: corev1.PodStatus{PodIP: "10.0.0.1"}}
			readiness := Probe{Scheme: ProbeReadiness, Interval: time.Second, Timeout: test.timeout, Failures: 3}
			if test.why == "" {
				test.want.Interval, test.want.Failures = time.Second, 3
				if test.want.Timeout == 0 {
					test.want.Timeout = 250 * time.Millisecond
				}
			}
			for of, pod := range map[string]*corev1.Pod{"the whole": pod, "what is kept": kept(pod)} {
				got, why := readiness.Of(pod)
				if diff := cmp.Diff(test.want, got); diff != "" || why != test.why {
					t.Errorf("of %s, why %q, want %q; probe (-want +got):\n%s", of, why, test.why, diff)
				}
			}
		})
	}
}

func kept(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.Spec.Containers, pod.Spec.InitContainers = KeptContainers(pod)
	return pod
}

func TestKeptContainers(t *testing.T) {
	exec := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a", "long", "command"}}}
	portless := func(c corev1.Container) corev1.Container { c.Ports = nil; return c }
	get := getting("/healthz", intstr.FromInt32(80))
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {ContainerPort: 9}}
	always := ptr.To(corev1.ContainerRestartPolicyAlways)
	sidecar := container("s", get)
	sidecar.RestartPolicy = always
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "plain", Image: "i"}, container("a", exec), portless(container("b", exec)), portless(container("c", get)), container("d", get)},
		InitContainers: []corev1.Container{{Name: "setup"}, sidecar},
	}}
	containers, init := KeptContainers(pod)
	wanted := &corev1.Probe{ProbeHandler: get, TimeoutSeconds: 1}
	if diff := cmp.Diff([]corev1.Container{{Name: "a", Ports: ports}, {Name: "c", ReadinessProbe: wanted}, {Name: "d", Ports: ports}}, containers); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]corev1.Container{{Name: "s", Ports: ports, RestartPolicy: always}}, init); diff != "" {
		t.Errorf("init containers (-want +got):\n%s", diff)
	}
	pod.Spec.Containers, pod.Spec.InitContainers = pod.Spec.Containers[1:3], nil
	containers, _ = KeptContainers(pod)
	unasked := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{}}, TimeoutSeconds: 1}
	if diff := cmp.Diff([]corev1.Container{{Name: "a", Ports: ports, ReadinessProbe: unasked}}, containers); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

func TestProbeShown(t *testing.T) {
	for _, test := range []struct {
		probe Probe
		want  string
	}{
		{Probe{Scheme: ProbeHTTP, Port: 80, Path: "/healthz?token=secret", Headers: "Authorization:secret\n"}, "http://:80/healthz"},
		{Probe{Scheme: ProbeGRPC, Port: 80, Path: "a?b"}, "grpc://:80/a?b"},
		{Probe{Scheme: ProbeReadiness}, "readiness"},
	} {
		if got := test.probe.Shown(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
