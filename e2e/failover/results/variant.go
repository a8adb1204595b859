package results

import (
	"slices"
	"strings"
)

// Variant is one of the Services that are compared in each scenario. Its traffic is
// routed in one way, with or without the controller's own probes.
type Variant struct {
	Routing string // Plain, or one of the controller's
	Probe   bool
}

// The routings. Plain is the baseline: a Service without the annotation, all of whose
// pods serve. The others are the controller's.
const (
	Plain         = "plain"
	Selector      = "selector"
	Label         = "label"
	EndpointSlice = "endpointslice"
)

// Variants are all that are measured, the baseline first.
var Variants = []Variant{
	{Routing: Plain},
	{Routing: Selector},
	{Routing: Label},
	{Routing: EndpointSlice},
	{Routing: Selector, Probe: true},
	{Routing: EndpointSlice, Probe: true},
}

// probed is the suffix of the name of a variant with probes.
const probed = "+probe"

// String returns the variant's name in results.json and on the command line.
func (v Variant) String() string {
	if v.Probe {
		return v.Routing + probed
	}
	return v.Routing
}

// Object returns the name of the variant's objects in the cluster, a DNS label.
func (v Variant) Object() string { return strings.ReplaceAll(v.String(), "+", "-") }

// MarshalText returns the name, so that JSON has it.
func (v Variant) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the name of any variant, even of one that is no longer measured.
func (v *Variant) UnmarshalText(name []byte) error {
	v.Routing, v.Probe = strings.CutSuffix(string(name), probed)
	return nil
}

// Compare orders variants as Variants does. All others come after these.
func (v Variant) Compare(other Variant) int {
	place := func(v Variant) int {
		if i := slices.Index(Variants, v); i >= 0 {
			return i
		}
		return len(Variants)
	}
	return place(v) - place(other)
}
