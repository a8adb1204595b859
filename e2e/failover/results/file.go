package results

import (
	"slices"

	"qoqo.dev/active-standby-controller/e2e/document"
)

// Read reads results.json. If it does not exist, Read returns an empty File.
func Read(path string) (File, error) { return document.ReadResults[File](path) }

// Write writes results.json.
func (f File) Write(path string) error { return document.WriteResults(path, f) }

// Replace replaces the results of the same scenarios and variants with what was
// measured. It sorts scenarios in the given order, and their variants in that of
// Variants. It drops results of other scenarios and variants, and results that were
// measured under another header.
func (f *File) Replace(header Header, order []string, measured []Result) {
	kept := slices.DeleteFunc(f.Results, func(old Result) bool {
		return !same(f.Header, header, old.Variant) || !slices.Contains(Variants, old.Variant) ||
			slices.ContainsFunc(measured, func(r Result) bool { return r.Scenario == old.Scenario && r.Variant == old.Variant })
	})
	f.Header, f.Results = header, nil
	for _, scenario := range order {
		mine := slices.DeleteFunc(slices.Concat(kept, measured), func(r Result) bool { return r.Scenario != scenario })
		slices.SortStableFunc(mine, func(a, b Result) int { return a.Variant.Compare(b.Variant) })
		f.Results = append(f.Results, mine...)
	}
}

// Compare replaces what was measured of the same scenarios with several configurations of
// kube-proxy, in the given order.
func (f *File) Compare(measured []Result) {
	f.KubeProxies = append(slices.DeleteFunc(f.KubeProxies, func(old Result) bool {
		return slices.ContainsFunc(measured, func(r Result) bool { return r.Scenario == old.Scenario })
	}), measured...)
}

// same reports whether a and b are the same to this variant. The settings of the probe
// matter only to a variant with probes.
func same(a, b Header, v Variant) bool {
	if !v.Probe {
		a.Probe, b.Probe = Probe{}, Probe{}
	}
	return a == b
}
