package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
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
// pods that may be its holder. A pod of which the caller has never heard is asked for only if it
// matters that it may still run: no Service selects it.
func (r *podReader) wanted(in observation.Inputs) (selectors sets.Set[string], holders sets.Set[types.UID]) {
	in.Pods = r.all
	o := observation.Look(in)
	if len(o.Members) == 0 {
		return nil, nil
	}
	holders = o.PossibleHolders()
	for _, p := range r.known {
		if observation.MasterOf(p) == in.Key.Name {
			holders.Insert(p.UID)
		}
	}
	holders = holders.Difference(r.holders)
	awaited := o.Settings().AfterTermination || o.Settings().LeaseDuration > 0
	for uid := range holders {
		if has(r.all, uid) || !awaited && !has(r.known, uid) {
			holders.Delete(uid)
		}
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
	r.holders = r.holders.Union(holders)
	names, unknown := r.namesOf(holders, in.Lease)
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
	unknown = slices.DeleteFunc(unknown, func(uid string) bool { return has(r.all, types.UID(uid)) })
	if len(unknown) == 0 {
		return nil
	}
	return r.add(r.podsWith(ctx, in.Key.Namespace, fmt.Sprintf("%s in (%s)", api.LabelPodUID, strings.Join(unknown, ","))))
}

// namesOf returns the names that the pods have, as far as they are known, and those that they may
// have by the Lease; with the UIDs, in order, of those whose names are not known.
func (r *podReader) namesOf(uids sets.Set[types.UID], l *coordinationv1.Lease) (names sets.Set[string], unknown []string) {
	names = sets.New[string]()
	for _, uid := range sets.List(uids) {
		if i := slices.IndexFunc(r.known, func(p *corev1.Pod) bool { return p.UID == uid }); i >= 0 {
			names.Insert(r.known[i].Name)
		} else if len(validation.IsValidLabelValue(string(uid))) == 0 {
			// Whoever may write to the Lease may write anything for a UID, or for a name.
			unknown = append(unknown, string(uid))
		}
	}
	if len(unknown) > 0 {
		last, _ := lease.LastMove(l)
		for _, name := range []string{lease.Decode(l).Holder, last.To} {
			if len(validation.IsDNS1123Subdomain(name)) == 0 {
				names.Insert(name)
			}
		}
	}
	return names, unknown
}

func has(pods []*corev1.Pod, uid types.UID) bool {
	return slices.ContainsFunc(pods, func(p *corev1.Pod) bool { return p.UID == uid })
}

// add adds pods that were read. Of a pod that was read twice the first reading stays: one look
// must not see two versions.
func (r *podReader) add(pods []*corev1.Pod, err error) error {
	for _, pod := range pods {
		if !has(r.all, pod.UID) {
			r.all = append(r.all, pod)
		}
	}
	return err
}
