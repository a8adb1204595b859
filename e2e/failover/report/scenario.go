package report

import (
	"fmt"
	"slices"

	"qoqo.dev/active-standby-controller/e2e/failover/results"
)

// scenario is what was measured in one scenario, in the order of the variants.
type scenario struct {
	Scenario
	slug    string
	results []results.Result
}

// result returns the result of a variant, or nil.
func (s scenario) result(v results.Variant) *results.Result {
	i := slices.IndexFunc(s.results, func(r results.Result) bool { return r.Variant == v })
	if i < 0 {
		return nil
	}
	return &s.results[i]
}

// group groups results by scenario, in the order in which these first appear.
func group(all []results.Result, about map[string]Scenario) (scenarios []scenario, err error) {
	for _, r := range all {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.slug == r.Scenario })
		if i < 0 {
			described, known := about[r.Scenario]
			if !known {
				return nil, fmt.Errorf("%s: unknown scenario %q", source, r.Scenario)
			}
			i = len(scenarios)
			scenarios = append(scenarios, scenario{Scenario: described, slug: r.Scenario})
		}
		scenarios[i].results = append(scenarios[i].results, r)
	}
	for _, s := range scenarios {
		slices.SortStableFunc(s.results, func(a, b results.Result) int { return a.Variant.Compare(b.Variant) })
	}
	return scenarios, nil
}

// compared is a scenario with one configuration of kube-proxy.
type compared struct {
	scenario
	with results.KubeProxy
}

// byProxy groups results by scenario and configuration, in the order in which these first
// appear.
func byProxy(all []results.Result, about map[string]Scenario) (each []compared, err error) {
	var with []results.KubeProxy
	for _, r := range all {
		if r.KubeProxy == nil {
			return nil, fmt.Errorf("%s: a result of scenario %q does not say how kube-proxy was configured", source, r.Scenario)
		}
		if !slices.Contains(with, *r.KubeProxy) {
			with = append(with, *r.KubeProxy)
		}
	}
	scenarios, err := group(all, about)
	if err != nil {
		return nil, err
	}
	for _, s := range scenarios {
		for _, p := range with {
			some := s
			some.results = slices.DeleteFunc(slices.Clone(s.results), func(r results.Result) bool { return *r.KubeProxy != p })
			if len(some.results) > 0 {
				each = append(each, compared{some, p})
			}
		}
	}
	return each, nil
}

// variants returns all variants that were measured, in the order of Variants. Unknown
// ones come last, in the order in which they first appear.
func variants(scenarios []scenario) (seen []results.Variant) {
	for _, s := range scenarios {
		for _, r := range s.results {
			if !slices.Contains(seen, r.Variant) {
				seen = append(seen, r.Variant)
			}
		}
	}
	slices.SortStableFunc(seen, results.Variant.Compare)
	return seen
}

// What the README shows, which is a page that is read in passing.
var (
	briefScenarios = []string{"not-ready", "killed", "deleted", "switchover", "node-off"}
	briefVariants  = []results.Variant{
		{Routing: results.Plain},
		{Routing: results.Selector},
		{Routing: results.EndpointSlice},
		{Routing: results.EndpointSlice, Probe: true},
	}
)

// brief returns the part of what was measured that the README shows.
func brief(all []scenario) (some []scenario) {
	for _, s := range all {
		if !slices.Contains(briefScenarios, s.slug) {
			continue
		}
		s.results = slices.DeleteFunc(slices.Clone(s.results), func(r results.Result) bool {
			return !slices.Contains(briefVariants, r.Variant)
		})
		some = append(some, s)
	}
	return some
}
