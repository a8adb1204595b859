package api

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// parser reads a Service into Settings.
type parser struct {
	Settings
	service  *corev1.Service
	problems []Problem
	// byAnnotation: the candidates are those of AnnotationSelector.
	byAnnotation bool
	// at is the annotation that is read.
	at *Annotation
}

func (p *parser) read(a *Annotation, value string) {
	if a.read == nil {
		return
	}
	p.at = a
	if _, found := p.service.Annotations[a.needs]; a.needs != "" && !found && value != a.Default {
		p.problem(value, "has no effect without the annotation %s", a.needs)
		return
	}
	if len(value) > MaxValue {
		// What is safe applies, as with any value that is not valid.
		problems := slices.Clone(p.problems)
		a.read(p, "\x00")
		problems = append(problems, a.invalid("", value, tooLong))
		p.problems = problems
		return
	}
	a.read(p, value)
}

// invalid reports that the value is not one of those that the table allows.
func (p *parser) invalid(value, wrong string) {
	p.problems = append(p.problems, p.at.invalid("", value, wrong))
}

// problem reports a valid value that other parts of the Service contradict.
func (p *parser) problem(value, format string, args ...any) {
	p.problems = append(p.problems, Problem{ReasonInvalidAnnotation, fmt.Sprintf("annotation %s: %q ", p.at.Key, cut(value)) + fmt.Sprintf(format, args...)})
}

const notValid = "is not valid"

// routing follows the annotation where the selector leaves a choice. The routing
// by EndpointSlice is possible with any selector.
func (p *parser) routing(value string) {
	switch asked := Routing(value); {
	case asked == p.Routing:
	case asked == RoutingEndpointSlice:
		p.Routing = asked
	case asked == RoutingSelector && p.byAnnotation:
		p.problem(value, "needs a selector, and the Service has none; %q is used", p.Routing)
	case asked == RoutingSelector:
		p.problem(value, "contradicts the selector, which holds %s: %s; %q is used; remove one of them", LabelDesignation, DesignationActive, p.Routing)
	default:
		p.problem(value, "is not valid; allowed: %s (for routing by label, put %s: %s into the selector); %q is used", p.at.Allowed, LabelDesignation, DesignationActive, p.Routing)
	}
}

// candidates only checks the annotation: selector has read it.
func (p *parser) candidates(value string) {
	if !p.byAnnotation {
		p.problem(value, "is for a Service without a selector of its own; this Service has %s, which is used; remove one of them", p.Candidates)
	}
}

func (p *parser) leaseName(value string) {
	if errs := validation.IsDNS1123Subdomain(value); len(errs) > 0 {
		p.invalid(value, "is not the name of a Lease: "+errs[0])
		return
	}
	p.LeaseName = value
}

func (p *parser) prefer(value string) {
	selector, err := parseSelector(value)
	if err != nil {
		p.invalid(value, "is not a label selector: "+cut(err.Error()))
		return
	}
	// A preference for all pods is none.
	if !selector.Empty() {
		p.Prefer = selector
	}
}

func (p *parser) failback(value string) {
	if value == FailbackNever {
		return
	}
	if d, ok := p.duration(value, 0, math.MaxInt64); ok {
		p.Failback = &d
	}
}

func (p *parser) failoverDelay(value string) {
	if d, ok := p.duration(value, 0, math.MaxInt64); ok {
		p.FailoverDelay = d
	}
}

func (p *parser) paused(value string) {
	paused, err := strconv.ParseBool(value)
	if err != nil {
		p.invalid(value, notValid)
	}
	p.Paused = paused || err != nil
}

func (p *parser) handover(value string) {
	p.AfterTermination = !p.either(value, HandoverAfterTermination, HandoverImmediate)
}

func (p *parser) onDemote(value string) {
	p.DeleteDemoted = p.either(value, OnDemoteNone, OnDemoteDelete)
}

func (p *parser) onCordon(value string) {
	p.StayOnCordon = p.either(value, OnCordonMove, OnCordonStay)
}

func (p *parser) leaseDuration(value string) {
	d, ok := p.duration(value, MinLeaseDuration, MaxLeaseDuration)
	if ok && d%time.Second != 0 {
		p.invalid(value, notValid)
		ok = false
	}
	if !ok {
		p.KeepDuration = true
		return
	}
	p.LeaseDuration = d
}

func (p *parser) probe(value string) {
	if err := p.setProbe(value); err != nil {
		p.invalid(value, "is not a probe: "+cut(err.Error()))
	}
}

func (p *parser) probeInterval(value string) {
	if d, ok := p.duration(value, MinProbeTime, MaxProbeTime); ok {
		p.Probe.Interval = d
	}
}

func (p *parser) probeTimeout(value string) {
	if d, ok := p.duration(value, MinProbeTime, MaxProbeTimeout); ok {
		p.Probe.Timeout = d
	}
}

func (p *parser) probeFailures(value string) {
	n, err := strconv.Atoi(value)
	if err != nil || n < MinProbeFailures || n > MaxProbeFailures {
		p.invalid(value, notValid)
		return
	}
	p.Probe.Failures = n
}

// either reports whether the value is the second of two. The first stands for one that is
// not valid.
func (p *parser) either(value, first, second string) bool {
	if value != first && value != second {
		p.invalid(value, notValid)
	}
	return value == second
}

// duration returns 0 and false if the value is not a duration between the limits.
func (p *parser) duration(value string, shortest, longest time.Duration) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(value)
	if err != nil || d < shortest || d > longest {
		p.invalid(value, notValid)
		return 0, false
	}
	return d, true
}

// combine settles what depends on several annotations.
func (p *parser) combine() {
	_, timed := p.service.Annotations[AnnotationProbeTimeout]
	p.combineProbe(timed)
	if p.Failback != nil && p.AfterTermination && !p.DeleteDemoted {
		p.problems = append(p.problems, Problem{ReasonInvalidAnnotation, fmt.Sprintf(
			"annotation %s: %q needs the annotation %s: %s, because the master must stop before it moves (%s: %s); %q is used",
			AnnotationFailback, cut(p.service.Annotations[AnnotationFailback]), AnnotationOnDemote, OnDemoteDelete, AnnotationHandover, HandoverAfterTermination, FailbackNever)})
		p.Failback = nil
	}
}

// unknown returns a problem for each annotation of Domain that neither users nor the controller set
// on that kind of object.
func unknown(object string, annotations map[string]string) (problems []Problem) {
	var keys []string
	for key := range annotations {
		if ours(key) && !known(key, object) && !writes(key, object) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i == maxUnknown {
			return append(problems, Problem{ReasonUnknownAnnotation, fmt.Sprintf("more than %d annotations of %s are not known", maxUnknown, Domain)})
		}
		problems = append(problems, Problem{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s is not known; %s", key, instead(key, object))})
	}
	return problems
}

// Candidate reports whether the pod may become master, as far as its annotations say.
// A value that is not valid keeps no pod out. The problem is nil if there is none.
func Candidate(pod *corev1.Pod) (may bool, problem *Problem) {
	value, found := pod.Annotations[AnnotationCandidate]
	if !found {
		return true, misspelt(pod)
	}
	may, err := strconv.ParseBool(value)
	if err != nil {
		problem := candidate.invalid(" of the pod "+pod.Name, value, notValid)
		return true, &problem
	}
	return may, misspelt(pod)
}

// Priority returns the pod's priority. The problem is nil if there is none.
func Priority(pod *corev1.Pod) (number int64, problem *Problem) {
	value, found := pod.Annotations[AnnotationPriority]
	if !found {
		return 0, nil
	}
	number, wrong := ParsePriority(value)
	if wrong != "" {
		problem := priority.invalid(" of the pod "+pod.Name, value, wrong)
		return 0, &problem
	}
	return number, nil
}

// InvalidPriority returns the problem of a priority that a pod's answer to a probe claims.
func InvalidPriority(pod, value string) Problem {
	_, wrong := ParsePriority(value)
	return Problem{ReasonInvalidAnswer, fmt.Sprintf("%s in the answer of the pod %s to the probe: %q %s; allowed: %s; it is ignored", HeaderPriority, pod, cut(value), wrong, priority.Allowed)}
}

// ParsePriority returns 0 and what is wrong with a value that is not valid. Of one that is too long
// a cache has a part, which must not read as another number.
func ParsePriority(value string) (number int64, wrong string) {
	if len(value) > MaxValue {
		return 0, tooLong
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, notValid
	}
	return number, ""
}

// misspelt returns the problem of a pod with an annotation that was probably meant to
// be a known one, or nil. It ignores other unknown annotations: tools may copy those of
// a Service to its pods.
func misspelt(pod *corev1.Pod) *Problem {
	// Called for each pod at each look: the usual pod costs no more than this loop.
	var found, meant string
	for key := range pod.Annotations {
		if !ours(key) || key == AnnotationCandidate || key == AnnotationPriority || key == AnnotationLeaseTransitions || key == AnnotationWitness || found != "" && found < key {
			continue
		}
		near, ok := nearest(key, ObjectPod)
		if _, set := pod.Annotations[near]; ok && !set {
			found, meant = key, near
		}
	}
	if found == "" {
		return nil
	}
	return &Problem{ReasonUnknownAnnotation, fmt.Sprintf("annotation %s of the pod %s is not known; did you mean %s?", found, pod.Name, meant)}
}
