package api

import (
	"fmt"
	"slices"
	"strings"
)

// known reports whether users may set the annotation on that kind of object.
func known(key, object string) bool {
	return slices.ContainsFunc(annotations, func(a Annotation) bool { return a.Object == object && a.Key == key })
}

// instead says what to do about an unknown annotation of a Service.
func instead(key string) string {
	if known(key, ObjectPod) {
		return "it belongs on a pod"
	}
	if near, ok := nearest(key, ObjectService); ok {
		return fmt.Sprintf("did you mean %s?", near)
	}
	var allowed []string
	for _, a := range annotations {
		if a.Object == ObjectService {
			allowed = append(allowed, a.Key)
		}
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
