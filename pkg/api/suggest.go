package api

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// known reports whether users may set the annotation on that kind of object.
func known(key, object string) bool {
	return slices.ContainsFunc(annotations, func(a Annotation) bool { return a.Object == object && a.Key == key })
}

// writes reports whether the controller writes the annotation on that kind of object.
func writes(key, object string) bool {
	return slices.ContainsFunc(written, func(k Key) bool { return k.Object == object && k.Where == inAnnotation && k.Key == key })
}

// instead says what to do about an unknown annotation of that kind of object.
func instead(key, object string) string {
	for _, a := range annotations {
		if a.Key == key {
			return "it belongs on a " + map[string]string{ObjectService: ObjectService, ObjectPod: "pod"}[a.Object]
		}
	}
	if near, ok := nearest(key, object); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	var allowed []string
	for _, a := range annotations {
		if a.Object == object {
			allowed = append(allowed, a.Key)
		}
	}
	if len(allowed) == 0 {
		return fmt.Sprintf("the annotations of %s belong on a Service or a pod", Domain)
	}
	return "allowed: " + strings.Join(allowed, ", ")
}

// nearest returns the known annotation that the key was probably meant to be. Two
// typos are allowed in a short name, and one for each three letters of a longer one.
func nearest(key, object string) (near string, ok bool) {
	name := func(key string) string { return strings.ToLower(strings.TrimPrefix(key, Domain+"/")) }
	least := max(2, len(name(key))/3) + 1
	for _, a := range annotations {
		if a.Object != object {
			continue
		}
		if d := distance(name(key), name(a.Key)); d < least {
			near, least = a.Key, d
		}
	}
	return near, near != ""
}

// MisspeltMode returns the annotation of a Service that was probably meant to be
// AnnotationServiceMode; empty if there is none, or the Service is Annotated.
func MisspeltMode(service *corev1.Service) (misspelt string) {
	if Annotated(service) {
		return ""
	}
	// Called for each Service of a cluster: the usual one costs no more than this loop.
	for key := range service.Annotations {
		if !ours(key) || known(key, ObjectService) || writes(key, ObjectService) || misspelt != "" && misspelt < key {
			continue
		}
		if near, _ := nearest(key, ObjectService); near == AnnotationServiceMode {
			misspelt = key
		}
	}
	return misspelt
}

// distance is the Levenshtein distance: how many bytes must be inserted, deleted or
// replaced to make b of a.
func distance(a, b string) int {
	// row[j] is the distance of the part of a so far to b[:j].
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
