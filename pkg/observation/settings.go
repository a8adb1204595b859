package observation

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// Settings returns the settings that apply to the election as a whole. It must have Members.
func (o *Observation) Settings() api.Election { return o.settings }

// WantsProbe reports whether the Service whose settings apply asks for a probe. The controller's default
// probe asks the pods that it can, and that others cannot be asked is no problem.
func (o *Observation) WantsProbe() bool { return o.wantsProbe }

// Terms returns what the election asks of the Lease. It must have Members. What it remembers of
// Services that took part stays while the election is only observed, and nothing is added to that.
func (o *Observation) Terms() lease.Terms {
	terms := lease.Terms{
		Key: o.Key, Duration: o.settings.LeaseDuration,
	}
	if o.Observed() {
		was := lease.Remembered(o.Lease)
		terms.Leading, terms.AfterTermination = was.Leading, was.AfterTermination
	} else {
		terms.DeleteDemoted, terms.AfterTermination = o.settings.DeleteDemoted, o.settings.AfterTermination
		if terms.AfterTermination || terms.Duration > 0 {
			terms.Leading = o.leading
		}
	}
	for _, m := range slices.Concat(o.Members, o.Observers) {
		terms.Owners = append(terms.Owners, metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: m.Name, UID: m.UID})
	}
	return terms
}

// Leading returns, of annotated Services, the one whose settings apply in the election of the
// Lease: the one that has the Lease's name, or else the oldest; nil if there is none. The caller
// leaves out Services that are Apart. One that observes leads only others that do.
func Leading(services []*corev1.Service, key types.NamespacedName) (leading *corev1.Service) {
	all := slices.DeleteFunc(slices.SortedFunc(slices.Values(services), byAge), func(s *corev1.Service) bool { return LeaseKey(s) != key })
	some := slices.ContainsFunc(all, api.Routed)
	for _, s := range all {
		if (api.Routed(s) || !some) && (leading == nil || s.Name == key.Name) {
			leading = s
		}
	}
	return leading
}

// settle finds the settings that apply: those of the leading Service, which has the Lease's
// name or is the oldest. asked are the settings of o.Services. A Service that cannot be served
// leads all the same, because a typing error must not let another pod become master while the
// first one runs. For the same reason the handover and the duration that the Lease remembers of
// a Service that is gone stay, until the one that leads now says otherwise.
func (o *Observation) settle(asked []api.Election) {
	apart := func(s *corev1.Service) bool {
		return slices.ContainsFunc(o.Members, func(m Member) bool { return m.Service == s && m.Apart })
	}
	// There is one: not all members are Apart.
	leading := Leading(slices.DeleteFunc(slices.Clone(o.Services), apart), o.Key)
	o.settings, o.leading = asked[slices.Index(o.Services, leading)], leading.Name
	value, said := leading.Annotations[api.AnnotationProbe]
	// If the value is not valid, the default applies, which the Service has not asked for.
	_, err := api.ParseProbe(value)
	o.wantsProbe = said && err == nil && o.settings.Probe != (api.Probe{})
	if o.settings.KeepDuration {
		o.settings.LeaseDuration = lease.Duration(o.Lease)
	}
	if was := lease.Remembered(o.Lease); was.Leading != leading.Name {
		o.keep(was, leading)
	}
	if o.settings.AfterTermination && !o.settings.DeleteDemoted {
		// The master would not stop for a failback.
		o.settings.Failback = nil
	}
	o.compareMembers(leading)
}

// keep applies what the Lease remembers of another Service, where the leading one says nothing.
func (o *Observation) keep(was lease.Terms, leading *corev1.Service) {
	silent := func(key string) bool {
		_, said := leading.Annotations[key]
		return !said
	}
	var kept []string
	if was.AfterTermination && silent(api.AnnotationHandover) {
		o.settings.AfterTermination, kept = true, append(kept, api.AnnotationHandover+": "+api.HandoverAfterTermination)
	}
	if was.Duration > 0 && silent(api.AnnotationLeaseDuration) {
		o.settings.LeaseDuration, kept = was.Duration, append(kept, fmt.Sprint(api.AnnotationLeaseDuration, ": ", was.Duration))
	}
	if len(kept) > 0 {
		o.leading = was.Leading
		o.serviceProblem(leading, api.ReasonDifferingSettings, fmt.Sprintf(
			"the Service %s, which led the election of the Lease %s before, asked for %s, and that still applies; set it on this Service, to that or to another value",
			was.Leading, o.Key.Name, strings.Join(kept, " and ")))
	}
}
