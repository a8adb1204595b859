package api

import (
	"fmt"
	"strconv"
)

// Lint returns what is wrong with the annotations of Domain in a manifest. The controller is
// milder: it looks at annotated Services and at their pods, and what other objects carry does
// nothing. The kind is ObjectPod for a pod's template too. Of a Service that is annotated, Lint
// returns the keys alone: Parse reads the values.
func Lint(kind string, annotated map[string]string) []Problem {
	problems := unknown(kind, annotated)
	wrong := func(p Problem) { problems = append(problems, p) }
	switch kind {
	case ObjectPod:
		if value, found := annotated[AnnotationCandidate]; found {
			if _, err := strconv.ParseBool(value); err != nil {
				wrong(candidate.invalid("", value, notValid))
			}
		}
		if value, found := annotated[AnnotationPriority]; found {
			if _, why := ParsePriority(value); why != "" {
				wrong(priority.invalid("", value, why))
			}
		}
	case ObjectService:
		if _, found := annotated[AnnotationServiceMode]; found || len(problems) > 0 {
			break
		}
		for _, a := range annotations {
			if value, found := annotated[a.Key]; found && a.Object == ObjectService {
				wrong(Problem{ReasonInvalidAnnotation, fmt.Sprintf("annotation %s: %q has no effect without the annotation %s: %s", a.Key, cut(value), AnnotationServiceMode, ModeActiveStandby)})
			}
		}
	}
	return problems
}
