package api

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

func TestAnnotated(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    bool
	}{
		"a Service with the mode is annotated":                     {service(), true},
		"a Service with an empty mode is annotated":                {service(annotated(AnnotationServiceMode, "")), true},
		"a Service with other keys of the domain is not annotated": {service(annotated(AnnotationPrefer, "a=b"), withoutMode), false},
		"a Service without annotations is not annotated":           {&corev1.Service{}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Annotated(test.service); got != test.want {
				t.Errorf("annotated: %v, want %v", got, test.want)
			}
		})
	}
}

func withoutMode(s *corev1.Service) { delete(s.Annotations, AnnotationServiceMode) }

func TestLeaseName(t *testing.T) {
	tests := map[string]struct {
		service *corev1.Service
		want    string
	}{
		"it is the Service's name by default":                                {service(), "web"},
		"it is what the annotation says":                                     {service(annotated(AnnotationLeaseName, "db.v1")), "db.v1"},
		"it is what the annotation says, on a Service that is refused":       {service(annotated(AnnotationLeaseName, "db"), annotated(AnnotationServiceMode, "x")), "db"},
		"it is what the annotation says, on a Service that is not annotated": {service(annotated(AnnotationLeaseName, "db"), withoutMode), "db"},
		"it is the Service's name if the annotation is empty":                {service(annotated(AnnotationLeaseName, "")), "web"},
		"it is the Service's name if the annotation is no name":              {service(annotated(AnnotationLeaseName, "Web_1")), "web"},
		"it is the Service's name if the annotation is too long":             {service(annotated(AnnotationLeaseName, strings.Repeat("a", 254))), "web"},
		"it may be as long as the API server accepts":                        {service(annotated(AnnotationLeaseName, strings.Repeat("a", 253))), strings.Repeat("a", 253)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := LeaseName(test.service); got != test.want {
				t.Errorf("Lease's name %q, want %q", got, test.want)
			}
		})
	}
}

func TestSelects(t *testing.T) {
	master := labels.Set{"app": "web", "tier": "db", LabelPodUID: "uid-a", LabelDesignation: DesignationActive}
	tests := map[string]struct {
		service *corev1.Service
		pod     labels.Set
		want    bool
	}{
		"a pod with the labels and others is selected":                             {service(), master, true},
		"a pod that lacks a label is not selected":                                 {service(selecting("zone", "a")), master, false},
		"a pod with another value is not selected":                                 {service(selecting("tier", "cache")), master, false},
		"a pod without labels is not selected":                                     {service(), nil, false},
		"a standby is selected, although the controller's key selects another pod": {service(selecting(LabelPodUID, "uid-b")), master, true},
		"a standby is selected in routing by label":                                {service(selecting(LabelDesignation, DesignationActive)), labels.Set{"app": "web"}, true},
		"a pod is selected by a Service that is refused for its selector":          {service(selecting("qoqo.dev/zone", "a")), master, true},
		"a Service without selector selects no pod":                                {service(func(s *corev1.Service) { s.Spec.Selector = nil }), master, false},
		"a selector of the controller's key alone selects no pod":                  {service(func(s *corev1.Service) { s.Spec.Selector = map[string]string{LabelPodUID: "uid-a"} }), master, false},
		"the annotation of a Service without selector selects its pods":            {service(without, annotated(AnnotationSelector, "app=web,tier!=cache")), master, true},
		"the annotation of a Service without selector selects no other pods":       {service(without, annotated(AnnotationSelector, "app=db")), master, false},
		"an annotation that does not parse selects no pod":                         {service(without, annotated(AnnotationSelector, "app in web")), master, false},
		"an annotation that matches all pods selects no pod":                       {service(without, annotated(AnnotationSelector, "")), master, false},
		"the annotation of a Service with a selector selects no pod":               {service(selecting("tier", "cache"), annotated(AnnotationSelector, "app=web")), master, false},
		"a key whose prefix begins like the domain counts":                         {service(selecting("qoqo.dev.example.com/x", "a")), master, false},
		"a label whose prefix begins like the domain counts":                       {service(selecting("qoqo.dev.example.com/x", "a")), labels.Set{"app": "web", "qoqo.dev.example.com/x": "a"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.service.DeepCopy()
			if got := Selects(test.service, test.pod); got != test.want {
				t.Errorf("selects: %v, want %v", got, test.want)
			}
			if len(before.Spec.Selector) != len(test.service.Spec.Selector) {
				t.Errorf("the selector of the Service, of an informer's cache, was changed to %v", test.service.Spec.Selector)
			}
			carried := func(label string) bool {
				key, value, _ := strings.Cut(label, "=")
				return test.pod.Has(key) && test.pod.Get(key) == value
			}
			if any := SelectedLabels(test.service); test.want && any != nil && !slices.ContainsFunc(any, carried) {
				t.Errorf("the pod is selected, but has none of the labels %q", any)
			}
		})
	}
}

func TestSelectedLabels(t *testing.T) {
	by := func(selector string) *corev1.Service {
		return service(without, annotated(AnnotationSelector, selector))
	}
	tests := map[string]struct {
		service *corev1.Service
		want    []string
	}{
		"of a selector":                         {service(selecting(LabelPodUID, "uid-a")), []string{"app=web"}},
		"of several labels the first":           {service(selecting("a", "b")), []string{"a=b"}},
		"of an annotation":                      {by("tier!=cache,app==web"), []string{"app=web"}},
		"of several values":                     {by("app in (web, db)"), []string{"app=db", "app=web"}},
		"of a key alone there are none":         {by("app"), nil},
		"of a key that lacks there are none":    {by("!app"), nil},
		"of other values there are none":        {by("app notin (web)"), nil},
		"of no selector there are none":         {by(""), nil},
		"of what does not parse there are none": {by("app in web"), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, slices.Sorted(slices.Values(SelectedLabels(test.service)))); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSameElection(t *testing.T) {
	identified := func(uid string) func(*corev1.Service) { return func(s *corev1.Service) { s.UID = types.UID(uid) } }
	tests := map[string]struct {
		before, now *corev1.Service
		want        bool
	}{
		"nothing has changed":                         {service(), service(), true},
		"the controller has routed it":                {service(), service(selecting(LabelPodUID, "uid-a"), annotated(AnnotationLeaseTransitions, "1")), true},
		"the controller has routed it to another pod": {service(selecting(LabelPodUID, "uid-a")), service(selecting(LabelPodUID, "uid-b")), true},
		"it prefers other pods":                       {service(), service(annotated(AnnotationPrefer, "tier=fast")), true},
		"it is another Service of that name":          {service(identified("a")), service(identified("b")), false},
		"it has opted out":                            {service(), service(withoutMode), false},
		"it has opted out of an empty mode":           {service(annotated(AnnotationServiceMode, "")), service(withoutMode), false},
		"its mode has changed":                        {service(), service(annotated(AnnotationServiceMode, "x")), false},
		"its Lease has changed":                       {service(), service(annotated(AnnotationLeaseName, "db")), false},
		"it names the Lease that it had by default":   {service(), service(annotated(AnnotationLeaseName, "web")), true},
		"it selects fewer pods":                       {service(), service(selecting("tier", "db")), false},
		"it selects other pods":                       {service(), service(selecting("app", "db")), false},
		"it changed to routing by label":              {service(), service(selecting(LabelDesignation, DesignationActive)), false},
		"the controller has put the key of own EndpointSlices into its selector": {service(), service(selecting(LabelRouting, "endpointslice")), true},
		"it changed to own EndpointSlices":                                       {service(), service(annotated(AnnotationRouting, "endpointslice")), true},
		"its annotation selects other pods":                                      {service(without, annotated(AnnotationSelector, "app=web")), service(without, annotated(AnnotationSelector, "app=db")), false},
		"it became an ExternalName":                                              {service(), service(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), false},
		"its selector has an unknown key":                                        {service(), service(selecting("qoqo.dev/zone", "a")), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]*corev1.Service{{test.before, test.now}, {test.now, test.before}} {
				before := [2]*corev1.Service{pair[0].DeepCopy(), pair[1].DeepCopy()}
				if got := SameElection(pair[0], pair[1]); got != test.want {
					t.Errorf("same election: %v, want %v", got, test.want)
				}
				if diff := cmp.Diff(before, pair); diff != "" {
					t.Errorf("the Services, of an informer's cache, were changed (-before +after):\n%s", diff)
				}
			}
		})
	}
}
