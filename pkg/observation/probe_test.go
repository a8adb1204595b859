package observation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func probing(value string) func(*corev1.Service) { return asking(api.AnnotationProbe, value) }

func TestDefaultProbe(t *testing.T) {
	byDefault, err := api.ParseProbe("readiness")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		services []*corev1.Service
		// probe is what applies; it is empty for none.
		probe string
		wants bool
		// differing are the Services that are told that they ask for something else.
		differing []string
	}{
		"the Service says nothing":                     {services: []*corev1.Service{service("a")}, probe: "readiness"},
		"the Service asks for none":                    {services: []*corev1.Service{service("a", probing("none"))}},
		"the Service asks for another":                 {services: []*corev1.Service{service("a", probing("tcp://:80"))}, probe: "tcp://:80", wants: true},
		"the Service asks for the same":                {services: []*corev1.Service{service("a", probing("readiness"))}, probe: "readiness", wants: true},
		"what the Service asks for is not valid":       {services: []*corev1.Service{service("a", probing("x"))}, probe: "readiness"},
		"the Service that leads says nothing":          {services: []*corev1.Service{service("a"), service("b", probing("none"))}, probe: "readiness", differing: []string{"b"}},
		"the Service that leads asks for none":         {services: []*corev1.Service{service("a", probing("none")), service("b")}},
		"two Services ask for the default in two ways": {services: []*corev1.Service{service("a"), service("b", probing("readiness"))}, probe: "readiness"},
	} {
		t.Run(name, func(t *testing.T) {
			o := Look(Inputs{Key: web, Now: now, Services: test.services, DefaultProbe: byDefault})
			got := ""
			if p := o.Settings().Probe; p != (api.Probe{}) {
				got = p.String()
			}
			if got != test.probe || o.WantsProbe() != test.wants {
				t.Errorf("probe %q, want %q; wanted by the Service: %t, want %t", got, test.probe, o.WantsProbe(), test.wants)
			}
			var differing []string
			for _, s := range o.Services {
				for _, p := range o.Problems[s.UID] {
					if p.Reason == api.ReasonDifferingSettings {
						differing = append(differing, s.Name)
					}
				}
			}
			if diff := cmp.Diff(test.differing, differing); diff != "" {
				t.Errorf("Services that differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadinessProbesThatCannotBeAsked(t *testing.T) {
	with := func(handler corev1.ProbeHandler) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Spec.Containers = []corev1.Container{{Name: "db", ReadinessProbe: &corev1.Probe{ProbeHandler: handler}}}
		}
	}
	connects := with(corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}})
	runs := with(corev1.ProbeHandler{Exec: &corev1.ExecAction{}})
	ended := func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }
	const command = "web-1 is not probed, because the readiness probe of its container db is a command (exec), which the controller cannot run; only its readiness counts (qoqo.dev/probe: readiness)"
	byDefault := api.Probe{Scheme: api.ProbeReadiness}
	for name, test := range map[string]struct {
		service   *corev1.Service
		byDefault api.Probe
		pods      []*corev1.Pod
		want      string
	}{
		"all can be asked":                     {service: service("web", probing("readiness")), pods: []*corev1.Pod{pod("web-0", connects), pod("web-1", connects)}},
		"one is a command":                     {service: service("web", probing("readiness")), pods: []*corev1.Pod{pod("web-0", connects), pod("web-1", runs)}, want: command},
		"the first by name is named":           {service: service("web", probing("readiness")), pods: []*corev1.Pod{pod("web-2"), pod("web-1", runs)}, want: command},
		"there is none":                        {service: service("web", probing("readiness")), pods: []*corev1.Pod{pod("web-0")}, want: "web-0 is not probed, because it has no readiness probe; only its readiness counts (qoqo.dev/probe: readiness)"},
		"a pod that has ended is not asked":    {service: service("web", probing("readiness")), pods: []*corev1.Pod{pod("web-0", connects), pod("web-1", runs, ended)}},
		"the Service asks for something else":  {service: service("web", probing("tcp://:80")), pods: []*corev1.Pod{pod("web-0", runs)}},
		"it is the controller's default":       {service: service("web"), byDefault: byDefault, pods: []*corev1.Pod{pod("web-0", runs)}},
		"it is the default and asked for, too": {service: service("web", probing("readiness")), byDefault: byDefault, pods: []*corev1.Pod{pod("web-1", runs)}, want: command},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			for _, p := range Look(Inputs{Key: web, Now: now, Services: []*corev1.Service{test.service}, Pods: test.pods, DefaultProbe: test.byDefault}).Problems[test.service.UID] {
				got += p.Message
			}
			if got != test.want {
				t.Errorf("problems %q, want %q", got, test.want)
			}
		})
	}
}
