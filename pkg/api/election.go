package api

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// Limits of AnnotationLeaseDuration. A shorter one would expire when the API server
// restarts or the controller is updated; a longer one would keep the next master
// waiting for an hour.
const (
	MinLeaseDuration = 3 * time.Second
	MaxLeaseDuration = time.Hour
)

// election reads the annotations that say when and how the master moves. For one
// that does not parse the default stands in.
func (p *parser) election() {
	if value, found := p.service.Annotations[AnnotationFailback]; found && value != FailbackNever {
		_, preferring := p.service.Annotations[AnnotationPrefer]
		switch d, ok := parseDuration(value); {
		case !ok:
			p.invalid(AnnotationFailback, "is neither %q nor a duration of 0s or more, such as \"10m\"; %q is used", FailbackNever, FailbackNever)
		case !preferring:
			p.invalid(AnnotationFailback, "says nothing without the annotation %s", AnnotationPrefer)
		default:
			p.Failback = &d
		}
	}
	if value, found := p.service.Annotations[AnnotationFailoverDelay]; found {
		if d, ok := parseDuration(value); !ok {
			p.invalid(AnnotationFailoverDelay, "is not a duration of 0s or more, such as \"10s\"; 0s is used")
		} else {
			p.FailoverDelay = d
		}
	}
	if value, found := p.service.Annotations[AnnotationLeaseDuration]; found {
		d, ok := parseDuration(value)
		if !ok || d < MinLeaseDuration || d > MaxLeaseDuration || d%time.Second != 0 {
			p.invalid(AnnotationLeaseDuration, "is not a duration in whole seconds from %s to %s, such as \"15s\"; there are no heartbeats", MinLeaseDuration, MaxLeaseDuration)
		} else {
			p.LeaseDuration = d
		}
	}
	if value, found := p.service.Annotations[AnnotationPaused]; found {
		paused, err := strconv.ParseBool(value)
		if err != nil {
			p.invalid(AnnotationPaused, "is neither \"true\" nor \"false\"; \"false\" is used")
		}
		p.Paused = paused
	}
	p.AfterTermination = p.either(AnnotationHandover, HandoverImmediate, HandoverAfterTermination)
	p.DeleteDemoted = p.either(AnnotationOnDemote, OnDemoteNone, OnDemoteDelete)
	if p.Failback != nil && p.AfterTermination && !p.DeleteDemoted {
		p.invalid(AnnotationFailback, "needs the annotation %s: %s, as the master has to stop before it moves (%s: %s); %q is used", AnnotationOnDemote, OnDemoteDelete, AnnotationHandover, HandoverAfterTermination, FailbackNever)
		p.Failback = nil
	}
}

// either says whether the annotation has the second of its two values, of which the
// first is the default.
func (p *parser) either(key, first, second string) bool {
	value, found := p.service.Annotations[key]
	if found && value != first && value != second {
		p.invalid(key, "is not known, allowed are %q and %q; %q is used", first, second, first)
	}
	return value == second
}

func parseDuration(value string) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(value)
	return d, err == nil && d >= 0
}

// Candidate says whether the pod may become master, as far as its annotation says;
// what it says without a meaning is no reason not to. The problem is nil if there is
// none.
func Candidate(pod *corev1.Pod) (may bool, problem *Problem) {
	value, found := pod.Annotations[AnnotationCandidate]
	if !found {
		return true, nil
	}
	may, err := strconv.ParseBool(value)
	if err != nil {
		return true, &Problem{ReasonInvalidAnnotation, fmt.Sprintf("annotation %s of the pod %s: %q is neither \"true\" nor \"false\"; \"true\" is used", AnnotationCandidate, pod.Name, value)}
	}
	return may, nil
}

// Differs names the annotations in which two Services of one election ask for
// different things. Whether it is paused is not among them, as one that pauses
// is enough.
func (e Election) Differs(other Election) (keys []string) {
	for _, setting := range []struct {
		differs bool
		key     string
	}{
		{e.Prefer.String() != other.Prefer.String(), AnnotationPrefer},
		{!ptr.Equal(e.Failback, other.Failback), AnnotationFailback},
		{e.FailoverDelay != other.FailoverDelay, AnnotationFailoverDelay},
		{e.AfterTermination != other.AfterTermination, AnnotationHandover},
		{e.DeleteDemoted != other.DeleteDemoted, AnnotationOnDemote},
		{e.LeaseDuration != other.LeaseDuration, AnnotationLeaseDuration},
		{e.Probe != other.Probe, AnnotationProbe},
	} {
		if setting.differs {
			keys = append(keys, setting.key)
		}
	}
	return keys
}
