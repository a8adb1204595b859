package api

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	// MaxValue is how many bytes the value of an annotation may have. What a value costs is paid
	// at each look at the election.
	MaxValue = 1 << 10
	// maxQuoted is how many bytes of a value, or of the words about it, a message repeats.
	maxQuoted = 200
	// maxUnknown is how many unknown annotations of one object are reported.
	maxUnknown = 10
)

var tooLong = fmt.Sprintf("is longer than %d bytes", MaxValue)

// cut returns the beginning of a text that a user has chosen.
func cut(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "..."
}

// Kept returns the annotations that are worth keeping of an object that is watched: those that
// the project reads. A value that is too long is cut to the shortest that is still too long, and
// of unknown annotations one more is kept than is reported. So what is kept reads as the whole
// does.
func Kept(annotations map[string]string) map[string]string {
	var kept map[string]string
	var unknown []string
	keep := func(key, value string) {
		if kept == nil {
			kept = map[string]string{}
		}
		kept[key] = strings.Clone(value[:min(len(value), MaxValue+1)])
	}
	for key, value := range annotations {
		switch {
		case reads(key):
			keep(key, value)
		case ours(key):
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	for _, key := range unknown[:min(len(unknown), maxUnknown+1)] {
		keep(key, annotations[key])
	}
	return kept
}

// reads reports whether the project reads the annotation, on whatever object.
func reads(key string) bool {
	switch key {
	case AnnotationLeaseTransitions, AnnotationWitness, AnnotationDeletionCost, corev1.AnnotationTopologyMode, corev1.DeprecatedAnnotationTopologyAwareHints:
		return true
	}
	return known(key, ObjectService) || known(key, ObjectPod)
}

// maxParsed is how many label selectors are remembered. One takes up to 25 KB.
const maxParsed = 1024

// selectors remembers the label selectors of annotations: they are asked for each pair of a
// Service and a pod. A selector depends on its text alone.
var selectors = struct {
	sync.Mutex
	parsed map[string]parsedSelector
}{parsed: map[string]parsedSelector{}}

type parsedSelector struct {
	selector labels.Selector
	err      error
}

// parseSelector is labels.Parse for the value of an annotation.
func parseSelector(text string) (labels.Selector, error) {
	if len(text) > MaxValue {
		return nil, fmt.Errorf("it %s", tooLong)
	}
	selectors.Lock()
	defer selectors.Unlock()
	p, found := selectors.parsed[text]
	if !found {
		p.selector, p.err = labels.Parse(text)
		// Any will do. If there are more than fit, most of them are still found.
		for forgotten := range selectors.parsed {
			if len(selectors.parsed) < maxParsed {
				break
			}
			delete(selectors.parsed, forgotten)
		}
		selectors.parsed[strings.Clone(text)] = p
	}
	return p.selector, p.err
}
