package results

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
)

func TestVariantsNames(t *testing.T) {
	type names struct{ Name, Object string }
	var got []names
	for _, v := range Variants {
		got = append(got, names{v.String(), v.Object()})
		if wrong := validation.IsDNS1035Label(v.Object()); wrong != nil {
			t.Errorf("%s cannot name a Service: %v", v.Object(), wrong)
		}
		var back Variant
		if err := back.UnmarshalText([]byte(v.String())); err != nil || back != v {
			t.Errorf("%s is read as %+v, error %v", v, back, err)
		}
	}
	want := []names{
		{"plain", "plain"},
		{"selector", "selector"},
		{"label", "label"},
		{"endpointslice", "endpointslice"},
		{"selector+probe", "selector-probe"},
		{"endpointslice+probe", "endpointslice-probe"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}

func TestVariantsOrder(t *testing.T) {
	unknown, another := Variant{Routing: "unknown"}, Variant{Routing: "another"}
	got := []Variant{unknown, slicesProbe, plain, another, label}
	slices.SortStableFunc(got, Variant.Compare)
	if diff := cmp.Diff([]Variant{plain, label, slicesProbe, unknown, another}, got); diff != "" {
		t.Error("(-want +got)", diff)
	}
}
