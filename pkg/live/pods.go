package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// podReader reads the pods of one election: not all of the namespace, which may have thousands.
type podReader struct {
	Reader
	// known are pods that the caller knows, for their names.
	known []*corev1.Pod
	all   []*corev1.Pod
	// selectors and holders are those that were asked for.
	selectors sets.Set[string]
	holders   sets.Set[types.UID]
}

// lacks reports whether the observation needs pods that were not asked for.
func (r *podReader) lacks(in observation.Inputs) bool {
	selectors, holders := r.wanted(in)
	return selectors.Len()+holders.Len() > 0
}

// wanted returns what was not yet asked for: the selectors of the election's Services, and the
// pods that may be its holder.
func (r *podReader) wanted(in observation.Inputs) (selectors sets.Set[string], holders sets.Set[types.UID]) {
	in.Pods = r.all
	o := observation.Look(in)
	holders = o.PossibleHolders().Difference(r.holders)
	for _, pod := range r.all {
		holders.Delete(pod.UID)
	}
	return o.Selectors().Difference(r.selectors), holders
}

// read asks for what the observation needs, and was not yet asked for.
func (r *podReader) read(ctx context.Context, in observation.Inputs) (err error) {
	selectors, _ := r.wanted(in)
	for _, selector := range sets.List(selectors) {
		if err := r.add(r.podsWith(ctx, in.Key.Namespace, selector)); err != nil {
			return err
		}
	}
	r.selectors = r.selectors.Union(selectors)
	_, holders := r.wanted(in)
	if holders.Len() == 0 {
		return nil
	}
	r.holders = r.holders.Union(holders)
	var unnamed []string
	names := sets.New[string]()
	for uid := range holders {
		if i := slices.IndexFunc(r.known, func(p *corev1.Pod) bool { return p.UID == uid }); i >= 0 {
			names.Insert(r.known[i].Name)
		} else if len(validation.IsValidLabelValue(string(uid))) == 0 {
			// Whoever may write to the Lease may write anything for a UID.
			unnamed = append(unnamed, string(uid))
		}
	}
	if len(unnamed) > 0 && r.mustHaveStopped(in) {
		slices.Sort(unnamed)
		if err := r.add(r.podsWith(ctx, in.Key.Namespace, fmt.Sprintf("%s in (%s)", api.LabelPodUID, strings.Join(unnamed, ",")))); err != nil {
			return err
		}
	}
	for _, name := range sets.List(names) {
		pod, err := r.Pod(ctx, in.Key.Namespace, name)
		if err != nil {
			return err
		}
		if pod != nil && holders.Has(pod.UID) {
			if err := r.add([]*corev1.Pod{pod}, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// mustHaveStopped reports whether it matters that a pod may still run which no Service selects,
// and of which the caller has never heard.
func (r *podReader) mustHaveStopped(in observation.Inputs) bool {
	o := observation.Look(in)
	return len(o.Members) > 0 && o.Settings().AfterTermination
}

// add adds pods that were read. Of a pod that was read twice the first reading stays: one look
// must not see two versions.
func (r *podReader) add(pods []*corev1.Pod, err error) error {
	for _, pod := range pods {
		if !slices.ContainsFunc(r.all, func(p *corev1.Pod) bool { return p.UID == pod.UID }) {
			r.all = append(r.all, pod)
		}
	}
	return err
}
