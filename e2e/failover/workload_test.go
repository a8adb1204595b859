package failover

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// manifests returns the objects by kind and name.
func manifests(t *testing.T, s Scenario, variants ...results.Variant) map[string]unstructured.Unstructured {
	t.Helper()
	text, err := (&measurement{image: "target:e2e"}).manifests(s, variants)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]unstructured.Unstructured{}
	for documents := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var object unstructured.Unstructured
		if err := documents.Decode(&object.Object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if object.Object != nil {
			objects[object.GetKind()+"/"+object.GetName()] = object
		}
	}
}

func TestServices(t *testing.T) {
	type annotations = map[string]string
	objects := manifests(t, Scenario{}, results.Variants...)
	if len(objects) != 2*len(results.Variants) {
		t.Errorf("%d objects for %d variants", len(objects), len(results.Variants))
	}
	for name, want := range map[string]struct {
		annotations annotations
		selector    map[string]string
	}{
		"plain":         {nil, map[string]string{"app": "plain"}},
		"selector":      {annotations{"qoqo.dev/service-mode": "active-standby"}, map[string]string{"app": "selector"}},
		"label":         {annotations{"qoqo.dev/service-mode": "active-standby"}, map[string]string{"app": "label", "qoqo.dev/pod-designation": "active"}},
		"endpointslice": {annotations{"qoqo.dev/service-mode": "active-standby", "qoqo.dev/routing": "endpointslice"}, map[string]string{"app": "endpointslice"}},
		"selector-probe": {annotations{
			"qoqo.dev/service-mode": "active-standby", "qoqo.dev/probe": "http://:8080/ready",
			"qoqo.dev/probe-interval": "200ms", "qoqo.dev/probe-timeout": "200ms", "qoqo.dev/probe-failures": "2",
		}, map[string]string{"app": "selector-probe"}},
		"endpointslice-probe": {annotations{
			"qoqo.dev/service-mode": "active-standby", "qoqo.dev/routing": "endpointslice", "qoqo.dev/probe": "http://:8080/ready",
			"qoqo.dev/probe-interval": "200ms", "qoqo.dev/probe-timeout": "200ms", "qoqo.dev/probe-failures": "2",
		}, map[string]string{"app": "endpointslice-probe"}},
	} {
		t.Run(name, func(t *testing.T) {
			service := objects["Service/"+name]
			if diff := cmp.Diff(want.annotations, service.GetAnnotations()); diff != "" {
				t.Error("annotations (-want +got)", diff)
			}
			selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
			if diff := cmp.Diff(want.selector, selector); diff != "" {
				t.Error("selector (-want +got)", diff)
			}
		})
	}
}

func TestPods(t *testing.T) {
	for name, test := range map[string]struct {
		scenario Scenario
		want     map[string]any
	}{
		"pods end at once":                      {Scenario{}, nil},
		"pods that are deleted serve on":        {Scenario{preStop: 2}, map[string]any{"preStop": map[string]any{"sleep": map[string]any{"seconds": 2.0}}}},
		"another Service selects the pods, too": {Scenario{shared: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			objects := manifests(t, test.scenario, sliceProbe)
			containers, _, _ := unstructured.NestedSlice(objects["Deployment/endpointslice-probe"].Object, "spec", "template", "spec", "containers")
			if len(containers) != 1 {
				t.Fatalf("containers %v", containers)
			}
			container := containers[0].(map[string]any)
			if container["image"] != "target:e2e" {
				t.Errorf("the image is %v", container["image"])
			}
			lifecycle, _ := container["lifecycle"].(map[string]any)
			if diff := cmp.Diff(test.want, lifecycle); diff != "" {
				t.Error("lifecycle (-want +got)", diff)
			}
			if _, shared := objects["Service/endpointslice-probe-shared"]; shared != test.scenario.shared {
				t.Errorf("another Service selects them: %t", shared)
			}
		})
	}
}
