// Package manifest reads what kubectl, Kustomize and Helm print.
package manifest

import (
	"errors"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Objects returns the objects of a text of YAML documents. Documents without an object are left out.
// An error is that of the first document that cannot be read.
func Objects(text string) (all []unstructured.Unstructured, err error) {
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var o unstructured.Unstructured
		switch err := decoder.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case o.Object != nil:
			all = append(all, o)
		}
	}
}
