package api

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestParseProbe(t *testing.T) {
	const ms = time.Millisecond
	probe := func(scheme ProbeScheme, port uint16, path string) Probe {
		return Probe{Scheme: scheme, Port: port, Path: path, Interval: 250 * ms, Timeout: 250 * ms, Failures: 2}
	}
	const allowed = `; allowed: "readiness", "none", or "tcp", "http", "https" or "grpc" with a port, such as "tcp://:5432", "http://:8080/healthz", "https://:8443/healthz" or "grpc://:9000"; it is ignored`
	for value, test := range map[string]struct {
		want Probe
		// wrong is what is said of a value that does not parse.
		wrong string
	}{
		"tcp://:5432":                {want: probe(ProbeTCP, 5432, "")},
		"tcp://:65535":               {want: probe(ProbeTCP, 65535, "")},
		"http://:8080/healthz":       {want: probe(ProbeHTTP, 8080, "/healthz")},
		"http://:8080":               {want: probe(ProbeHTTP, 8080, "/")},
		"http://:8080/a%20b?c=d":     {want: probe(ProbeHTTP, 8080, "/a%20b?c=d")},
		"https://:8443/healthz":      {want: probe(ProbeHTTPS, 8443, "/healthz")},
		"grpc://:9000":               {want: probe(ProbeGRPC, 9000, "")},
		"grpc://:9000/db.v1.Storage": {want: probe(ProbeGRPC, 9000, "db.v1.Storage")},
		"readiness":                  {want: Probe{Scheme: ProbeReadiness, Interval: 250 * ms, Failures: 2}},
		"none":                       {},

		"Readiness":          {wrong: `the scheme "" is not known`},
		"readiness://:80":    {wrong: `the scheme "readiness" is not known`},
		"tcp://:5432/":       {wrong: "tcp has no path"},
		"tcp://:5432?a":      {wrong: "tcp has no path"},
		"udp://:53":          {wrong: `the scheme "udp" is not known`},
		"8080":               {wrong: `the scheme "" is not known`},
		"":                   {wrong: `the scheme "" is not known`},
		"http:8080":          {wrong: "two slashes must come before the port, such as http://:8080"},
		"http:///healthz":    {wrong: "the port must be from 1 to 65535"},
		"tcp://:0":           {wrong: "the port must be from 1 to 65535"},
		"tcp://:65536":       {wrong: "the port must be from 1 to 65535"},
		"tcp://:postgres":    {wrong: `invalid port ":postgres" after host`},
		"tcp://10.0.0.1:80":  {wrong: "each pod is probed at its own address, so there must be none before the port"},
		"http://user@:80":    {wrong: "each pod is probed at its own address, so there must be none before the port"},
		"http://:80/#anchor": {wrong: "a fragment is not sent to a server"},
	} {
		t.Run(value, func(t *testing.T) {
			var want []Problem
			if test.wrong != "" {
				want = []Problem{{ReasonInvalidAnnotation, `annotation qoqo.dev/probe: "` + value + `" is not a probe: ` + test.wrong + allowed}}
			}
			settings, problems, ok := Parse(service(annotated(AnnotationProbe, value)))
			if diff := cmp.Diff(test.want, settings.Probe); diff != "" || !ok {
				t.Errorf("probe (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			alone, err := ParseProbe(value)
			if diff := cmp.Diff(test.want, alone); diff != "" || (err != nil) != (test.wrong != "") {
				t.Errorf("error %v, probe alone (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseProbeSettings(t *testing.T) {
	const ms = time.Millisecond
	set := func(pairs ...string) *corev1.Service {
		s := service(annotated(AnnotationProbe, "tcp://:80"))
		for i := 0; i < len(pairs); i += 2 {
			s.Annotations[pairs[i]] = pairs[i+1]
		}
		return s
	}
	probe := func(interval, timeout time.Duration, failures int) Probe {
		return Probe{Scheme: ProbeTCP, Port: 80, Interval: interval, Timeout: timeout, Failures: failures}
	}
	const noInterval, noTimeout = ` is not valid; allowed: a duration from "50ms" to "1m0s", such as "250ms"; "250ms" is used`, ` is not valid; allowed: a duration from "50ms" to "10s", such as "250ms"; "250ms" is used`
	const noNumber = ` is not valid; allowed: a number from "1" to "100"; "2" is used`
	tests := map[string]struct {
		service  *corev1.Service
		want     Probe
		problems []string
	}{
		"the shortest interval, the longest timeout, the most failures":   {service: set(AnnotationProbeInterval, "50ms", AnnotationProbeTimeout, "10s", AnnotationProbeFailures, "100"), want: probe(50*ms, 10*time.Second, 100)},
		"the longest interval, the shortest timeout, the fewest failures": {service: set(AnnotationProbeInterval, "1m", AnnotationProbeTimeout, "50ms", AnnotationProbeFailures, "1"), want: probe(time.Minute, 50*ms, 1)},
		"an interval that is too short":                                   {service: set(AnnotationProbeInterval, "49ms"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-interval: "49ms"` + noInterval}},
		"a timeout that is too long":                                      {service: set(AnnotationProbeTimeout, "11s"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-timeout: "11s"` + noTimeout}},
		"a duration without a unit":                                       {service: set(AnnotationProbeTimeout, "250"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-timeout: "250"` + noTimeout}},
		"failures that are 0":                                             {service: set(AnnotationProbeFailures, "0"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-failures: "0"` + noNumber}},
		"too many failures":                                               {service: set(AnnotationProbeFailures, "101"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-failures: "101"` + noNumber}},
		"failures that are no number":                                     {service: set(AnnotationProbeFailures, "two"), want: probe(250*ms, 250*ms, 2), problems: []string{`qoqo.dev/probe-failures: "two"` + noNumber}},
		"a timeout, for readiness":                                        {service: set(AnnotationProbe, "readiness", AnnotationProbeTimeout, "1s"), want: Probe{Scheme: ProbeReadiness, Interval: 250 * ms, Timeout: time.Second, Failures: 2}},
		"a timeout that is not valid, for readiness":                      {service: set(AnnotationProbe, "readiness", AnnotationProbeTimeout, "1"), want: Probe{Scheme: ProbeReadiness, Interval: 250 * ms, Timeout: 250 * ms, Failures: 2}, problems: []string{`qoqo.dev/probe-timeout: "1"` + noTimeout}},
		"defaults without a probe":                                        {service: service(annotated(AnnotationProbeInterval, "250ms"), annotated(AnnotationProbeFailures, "2"))},
		"settings without a probe": {
			service: service(annotated(AnnotationProbeInterval, "1s"), annotated(AnnotationProbeFailures, "1")),
			problems: []string{
				`qoqo.dev/probe-interval: "1s" has no effect without the annotation qoqo.dev/probe`,
				`qoqo.dev/probe-failures: "1" has no effect without the annotation qoqo.dev/probe`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var want []Problem
			for _, message := range test.problems {
				want = append(want, Problem{ReasonInvalidAnnotation, "annotation " + message})
			}
			settings, problems, _ := Parse(test.service)
			if diff := cmp.Diff(test.want, settings.Probe); diff != "" {
				t.Errorf("probe (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProbeString(t *testing.T) {
	for _, text := range []string{"tcp://:5432", "http://:8080/healthz?deep=1", "https://:8443/", "grpc://:9000", "grpc://:9000/db.v1"} {
		probe, err := parseProbe(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := probe.String(); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
}
