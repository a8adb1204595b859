package api

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// asking returns a Service with these annotations: pairs of a key and a value.
func asking(pairs ...string) *corev1.Service {
	s := service()
	for i := 0; i < len(pairs); i += 2 {
		s.Annotations[pairs[i]] = pairs[i+1]
	}
	return s
}

func TestParseElection(t *testing.T) {
	const prefer, fast = AnnotationPrefer, "tier=fast"
	tests := map[string]struct {
		service  *corev1.Service
		want     Election
		problems []string
	}{
		"a Service without settings has the defaults": {service: service()},

		"failback after a duration":    {service: asking(prefer, fast, AnnotationFailback, "10m"), want: Election{Failback: ptr.To(10 * time.Minute)}},
		"failback at once":             {service: asking(prefer, fast, AnnotationFailback, "0s"), want: Election{Failback: ptr.To(time.Duration(0))}},
		"failback never":               {service: asking(prefer, fast, AnnotationFailback, "never")},
		"failback needs no preference": {service: asking(AnnotationFailback, "10m"), want: Election{Failback: ptr.To(10 * time.Minute)}},
		"a failback that is negative": {
			service:  asking(prefer, fast, AnnotationFailback, "-1s"),
			problems: []string{`qoqo.dev/failback: "-1s" is not valid; allowed: "never", or a duration of "0s" or more, such as "10m"; "never" is used`},
		},
		"a failback without a unit": {
			service:  asking(prefer, fast, AnnotationFailback, "10"),
			problems: []string{`qoqo.dev/failback: "10" is not valid; allowed: "never", or a duration of "0s" or more, such as "10m"; "never" is used`},
		},
		"a failback that is no duration": {
			service:  asking(AnnotationFailback, "Never"),
			problems: []string{`qoqo.dev/failback: "Never" is not valid; allowed: "never", or a duration of "0s" or more, such as "10m"; "never" is used`},
		},

		"a master is waited for":     {service: asking(AnnotationFailoverDelay, "1m30s"), want: Election{FailoverDelay: 90 * time.Second}},
		"a master is not waited for": {service: asking(AnnotationFailoverDelay, "0s")},
		"a delay that is negative": {
			service:  asking(AnnotationFailoverDelay, "-1ms"),
			problems: []string{`qoqo.dev/failover-delay: "-1ms" is not valid; allowed: a duration of "0s" or more, such as "10s"; "0s" is used`},
		},
		"a delay without a unit": {
			service:  asking(AnnotationFailoverDelay, "10"),
			problems: []string{`qoqo.dev/failover-delay: "10" is not valid; allowed: a duration of "0s" or more, such as "10s"; "0s" is used`},
		},
		"an empty delay": {
			service:  asking(AnnotationFailoverDelay, ""),
			problems: []string{`qoqo.dev/failover-delay: "" is not valid; allowed: a duration of "0s" or more, such as "10s"; "0s" is used`},
		},

		"paused":             {service: asking(AnnotationPaused, "true"), want: Election{Paused: true}},
		"not paused":         {service: asking(AnnotationPaused, "false")},
		"paused in capitals": {service: asking(AnnotationPaused, "TRUE"), want: Election{Paused: true}},
		"paused by another word": {
			service:  asking(AnnotationPaused, "yes"),
			want:     Election{Paused: true},
			problems: []string{`qoqo.dev/paused: "yes" is not valid; allowed: "true" or "false"; "true" is used`},
		},
		"paused by an empty value": {
			service:  asking(AnnotationPaused, ""),
			want:     Election{Paused: true},
			problems: []string{`qoqo.dev/paused: "" is not valid; allowed: "true" or "false"; "true" is used`},
		},

		"handover after termination": {service: asking(AnnotationHandover, "after-termination"), want: Election{AfterTermination: true}},
		"handover at once":           {service: asking(AnnotationHandover, "immediate")},
		"another handover": {
			service:  asking(AnnotationHandover, "After-Termination"),
			want:     Election{AfterTermination: true},
			problems: []string{`qoqo.dev/handover: "After-Termination" is not valid; allowed: "immediate" or "after-termination"; "after-termination" is used`},
		},
		"an empty handover": {
			service:  asking(AnnotationHandover, ""),
			want:     Election{AfterTermination: true},
			problems: []string{`qoqo.dev/handover: "" is not valid; allowed: "immediate" or "after-termination"; "after-termination" is used`},
		},

		"the master stays on a node that is cordoned": {service: asking(AnnotationOnCordon, "stay"), want: Election{StayOnCordon: true}},
		"the demoted pod is deleted":                  {service: asking(AnnotationOnDemote, "delete"), want: Election{DeleteDemoted: true}},
		"the demoted pod is not deleted":              {service: asking(AnnotationOnDemote, "none")},
		"another fate for the demoted pod": {
			service:  asking(AnnotationOnDemote, "restart"),
			problems: []string{`qoqo.dev/on-demote: "restart" is not valid; allowed: "none" or "delete"; "none" is used`},
		},

		"the Lease is renewed":                    {service: asking(AnnotationLeaseDuration, "15s"), want: Election{LeaseDuration: 15 * time.Second}},
		"the shortest duration":                   {service: asking(AnnotationLeaseDuration, "3s"), want: Election{LeaseDuration: 3 * time.Second}},
		"the longest duration":                    {service: asking(AnnotationLeaseDuration, "60m"), want: Election{LeaseDuration: time.Hour}},
		"a duration too short":                    {service: asking(AnnotationLeaseDuration, "2s"), want: Election{KeepDuration: true}, problems: []string{noDuration("2s")}},
		"a duration too long":                     {service: asking(AnnotationLeaseDuration, "1h0m1s"), want: Election{KeepDuration: true}, problems: []string{noDuration("1h0m1s")}},
		"a duration that is not in whole seconds": {service: asking(AnnotationLeaseDuration, "15500ms"), want: Election{KeepDuration: true}, problems: []string{noDuration("15500ms")}},
		"a negative duration":                     {service: asking(AnnotationLeaseDuration, "-15s"), want: Election{KeepDuration: true}, problems: []string{noDuration("-15s")}},
		"a duration without a unit":               {service: asking(AnnotationLeaseDuration, "15"), want: Election{KeepDuration: true}, problems: []string{noDuration("15")}},
		"a duration that is a word":               {service: asking(AnnotationLeaseDuration, "none"), want: Election{KeepDuration: true}, problems: []string{noDuration("none")}},

		"failback by deleting the master": {
			service: asking(prefer, fast, AnnotationFailback, "10m", AnnotationHandover, "after-termination", AnnotationOnDemote, "delete"),
			want:    Election{Failback: ptr.To(10 * time.Minute), AfterTermination: true, DeleteDemoted: true},
		},
		"failback after termination needs the deletion of the master": {
			service:  asking(prefer, fast, AnnotationFailback, "10m", AnnotationHandover, "after-termination"),
			want:     Election{AfterTermination: true},
			problems: []string{`qoqo.dev/failback: "10m" needs the annotation qoqo.dev/on-demote: delete, because the master must stop before it moves (qoqo.dev/handover: after-termination); "never" is used`},
		},
		"failback never after termination needs no deletion": {
			service: asking(prefer, fast, AnnotationFailback, "never", AnnotationHandover, "after-termination"),
			want:    Election{AfterTermination: true},
		},
		"all values are wrong, and reported in the order of the table": {
			service: asking(AnnotationLeaseDuration, "x", AnnotationOnDemote, "x", AnnotationHandover, "x", AnnotationPaused, "x", AnnotationFailoverDelay, "x", AnnotationFailback, "x", prefer, fast),
			want:    Election{Paused: true, AfterTermination: true, KeepDuration: true},
			problems: []string{
				`qoqo.dev/failback: "x" is not valid; allowed: "never", or a duration of "0s" or more, such as "10m"; "never" is used`,
				`qoqo.dev/failover-delay: "x" is not valid; allowed: a duration of "0s" or more, such as "10s"; "0s" is used`,
				`qoqo.dev/paused: "x" is not valid; allowed: "true" or "false"; "true" is used`,
				`qoqo.dev/handover: "x" is not valid; allowed: "immediate" or "after-termination"; "after-termination" is used`,
				`qoqo.dev/on-demote: "x" is not valid; allowed: "none" or "delete"; "none" is used`,
				noDuration("x"),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var want []Problem
			for _, message := range test.problems {
				want = append(want, Problem{ReasonInvalidAnnotation, "annotation " + message})
			}
			settings, problems, ok := Parse(test.service)
			if !ok {
				t.Error("the Service is refused")
			}
			if diff := cmp.Diff(test.want, read(settings).Rest); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func noDuration(value string) string {
	return fmt.Sprintf(`qoqo.dev/lease-duration: %q is not valid; allowed: a duration in whole seconds from "3s" to "1h0m0s", such as "15s"; the Lease keeps the duration that it has`, value)
}

func TestCandidate(t *testing.T) {
	const wrong = `annotation qoqo.dev/candidate of the pod web-0: %q is not valid; allowed: "true" or "false"; "true" is used`
	tests := map[string]struct {
		annotations map[string]string
		want        bool
		problem     *Problem
	}{
		"a pod without the annotation":     {nil, true, nil},
		"a pod with the stamp alone":       {map[string]string{AnnotationLeaseTransitions: "4"}, true, nil},
		"a pod that may become master":     {map[string]string{AnnotationCandidate: "true"}, true, nil},
		"a pod that may not become master": {map[string]string{AnnotationCandidate: "false"}, false, nil},
		"a pod that may not, in capitals":  {map[string]string{AnnotationCandidate: "FALSE"}, false, nil},
		"a value that is another word":     {map[string]string{AnnotationCandidate: "no"}, true, &Problem{ReasonInvalidAnnotation, fmt.Sprintf(wrong, "no")}},
		"a value that is empty":            {map[string]string{AnnotationCandidate: ""}, true, &Problem{ReasonInvalidAnnotation, fmt.Sprintf(wrong, "")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			may, problem := Candidate(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Annotations: test.annotations}})
			if may != test.want {
				t.Errorf("may become master: %v, want %v", may, test.want)
			}
			if diff := cmp.Diff(test.problem, problem); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPriority(t *testing.T) {
	const wrong = `annotation qoqo.dev/priority of the pod web-0: %q is not valid; allowed: a whole number of 64 bits, such as "100" or "-1"; "0" is used`
	pod := func(value string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-0", Annotations: map[string]string{AnnotationPriority: value}}}
	}
	for value, want := range map[string]int64{"0": 0, "100": 100, "-1": -1, "+5": 5, "9223372036854775807": math.MaxInt64} {
		if got, problem := Priority(pod(value)); got != want || problem != nil {
			t.Errorf("%q is %d, want %d; problem %v", value, got, want, problem)
		}
	}
	for _, value := range []string{"", "high", "1.5", "0x10", "9223372036854775808", "1 "} {
		got, problem := Priority(pod(value))
		if diff := cmp.Diff(&Problem{ReasonInvalidAnnotation, fmt.Sprintf(wrong, value)}, problem); got != 0 || diff != "" {
			t.Errorf("%q is %d, want 0; problem (-want +got):\n%s", value, got, diff)
		}
	}
	long := strings.Repeat("0", MaxValue) + "5"
	for _, value := range []string{long, Kept(map[string]string{AnnotationPriority: long})[AnnotationPriority]} {
		got, problem := Priority(pod(value))
		if want := fmt.Sprintf(`annotation qoqo.dev/priority of the pod web-0: %q is longer than 1024 bytes`, cut(long)); got != 0 || problem == nil || !strings.HasPrefix(problem.Message, want) {
			t.Errorf("a value of %d bytes is %d, want 0; problem %v", len(value), got, problem)
		}
	}
	if problems := Lint(ObjectPod, map[string]string{AnnotationPriority: long}); len(problems) != 1 {
		t.Errorf("problems of a long value in a manifest: %v", problems)
	}
	if got, problem := Priority(&corev1.Pod{}); got != 0 || problem != nil {
		t.Errorf("%d without the annotation, problem %v", got, problem)
	}
	// A pod with a priority and no other annotation has none that is misspelt.
	if may, problem := Candidate(pod("1")); !may || problem != nil {
		t.Errorf("may become master: %v, problem %v", may, problem)
	}
	misspelt := pod("1")
	misspelt.Annotations = map[string]string{AnnotationCandidate: "true", "qoqo.dev/priorty": "1"}
	if may, problem := Candidate(misspelt); !may || problem == nil || problem.Reason != ReasonUnknownAnnotation {
		t.Errorf("beside another annotation, one that is misspelt has the problem %v", problem)
	}
	if kept := Kept(map[string]string{AnnotationPriority: "7", "example.com/x": "y"}); len(kept) != 1 || kept[AnnotationPriority] != "7" {
		t.Errorf("kept: %v", kept)
	}
}

func TestDiffers(t *testing.T) {
	parse := func(pairs ...string) Election {
		settings, problems, ok := Parse(asking(pairs...))
		if !ok || len(problems) > 0 {
			t.Fatalf("problems of %v: %v", pairs, problems)
		}
		return settings.Election
	}
	const prefer, fast = AnnotationPrefer, "tier=fast"
	tests := map[string]struct {
		one, other Election
		want       []string
	}{
		"both say nothing":                  {parse(), parse(), nil},
		"one says the defaults":             {parse(), parse(prefer, "", AnnotationFailback, "never", AnnotationFailoverDelay, "0s", AnnotationHandover, "immediate", AnnotationOnDemote, "none", AnnotationPaused, "false"), nil},
		"only one is paused":                {parse(), parse(AnnotationPaused, "true"), []string{AnnotationPaused}},
		"both say the same":                 {parse(prefer, fast, AnnotationFailback, "60s"), parse(prefer, fast, AnnotationFailback, "1m"), nil},
		"the same in another order":         {parse(prefer, "tier=fast,disk!=slow"), parse(prefer, "disk!=slow,tier=fast"), nil},
		"another preference":                {parse(prefer, fast), parse(prefer, "tier=slow"), []string{prefer}},
		"no preference":                     {parse(prefer, fast), parse(), []string{prefer}},
		"failback beside never":             {parse(prefer, fast, AnnotationFailback, "1m"), parse(prefer, fast), []string{AnnotationFailback}},
		"failback sooner":                   {parse(prefer, fast, AnnotationFailback, "1m"), parse(prefer, fast, AnnotationFailback, "0s"), []string{AnnotationFailback}},
		"another delay":                     {parse(AnnotationFailoverDelay, "1s"), parse(), []string{AnnotationFailoverDelay}},
		"another handover":                  {parse(AnnotationHandover, "after-termination"), parse(), []string{AnnotationHandover}},
		"another fate for the demoted pod":  {parse(AnnotationOnDemote, "delete"), parse(), []string{AnnotationOnDemote}},
		"another duration":                  {parse(AnnotationLeaseDuration, "15s"), parse(AnnotationLeaseDuration, "16s"), []string{AnnotationLeaseDuration}},
		"another probe":                     {parse(AnnotationProbe, "tcp://:80"), parse(AnnotationProbe, "tcp://:81"), []string{AnnotationProbe}},
		"the same probe with other numbers": {parse(AnnotationProbe, "tcp://:80"), parse(AnnotationProbe, "tcp://:80", AnnotationProbeFailures, "3"), []string{AnnotationProbe}},
		"all settings differ, in the order of the table": {
			parse(prefer, fast, AnnotationFailback, "1m", AnnotationFailoverDelay, "1s", AnnotationHandover, "after-termination", AnnotationOnDemote, "delete", AnnotationLeaseDuration, "15s", AnnotationProbe, "tcp://:80"),
			parse(),
			[]string{prefer, AnnotationFailback, AnnotationFailoverDelay, AnnotationHandover, AnnotationOnDemote, AnnotationLeaseDuration, AnnotationProbe},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.one.Differs(test.other)); diff != "" {
				t.Errorf("one differs from the other in (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, test.other.Differs(test.one)); diff != "" {
				t.Errorf("the other differs from one in (-want +got):\n%s", diff)
			}
		})
	}
}
