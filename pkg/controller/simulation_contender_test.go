package controller

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// application is the field manager of an application that runs its own leader election on Leases
// of the controller.
const application = "app"

// contend is a step of such an election: it renews a Lease that it has, takes one that has expired,
// or gives one back. Its members are named like pods, or otherwise.
func (w *world) contend(a, b int) bool {
	l := w.lease(a)
	if l == nil || l.Labels[api.LabelManagedBy] != api.ManagedBy {
		return false
	}
	has := ptr.Deref(l.Spec.HolderIdentity, "")
	identity := append([]string{"app-0"}, podNames...)[b%(len(podNames)+1)]
	releases := b/5%6 == 0 && lease.Contender(l) != "" && has != ""
	expires := ptr.Deref(l.Spec.RenewTime, metav1.MicroTime{}).Add(time.Duration(ptr.Deref(l.Spec.LeaseDurationSeconds, 0)) * time.Second)
	if !releases && has != "" && has != identity && w.now.Before(expires) {
		if lease.Contender(l) == "" || b%2 == 0 {
			return false
		}
		identity = has
	}
	w.changeLease(application, l.Name, func(l *coordinationv1.Lease) {
		// No two renewals are of one moment.
		now := metav1.NewMicroTime(w.now.Add(-time.Duration(1+w.version%1000) * time.Microsecond))
		l.Spec.RenewTime, l.Spec.LeaseDurationSeconds = &now, ptr.To[int32](15)
		switch {
		case releases:
			l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = ptr.To(""), ptr.To[int32](1)
		case has != identity:
			l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.LeaseTransitions = &identity, &now, ptr.To(ptr.Deref(l.Spec.LeaseTransitions, 0)+1)
		}
		w.leaseNamed(l)
	})
	l, w.begun = w.leases.all[l.Name], true
	w.tell("an application takes, renews or releases Lease %s: %s", l.Name, w.showLease(l))
	return true
}

// leaseNamed takes down an epoch that an application has written and that may count, because it
// stands beside the holder's name: the holder may have read it.
func (w *world) leaseNamed(l *coordinationv1.Lease) {
	r := w.records[l.Name]
	_, uid, _ := lease.Recorded(l)
	name, _, _ := strings.Cut(string(uid), ".")
	if r == nil || l.Spec.LeaseTransitions == nil || name != *l.Spec.HolderIdentity {
		return
	}
	if r.named == nil {
		r.named = map[int32]bool{}
	}
	r.named[*l.Spec.LeaseTransitions] = true
}

// changeLease stores what a field manager makes of a Lease.
func (w *world) changeLease(manager, name string, edit func(*coordinationv1.Lease)) bool {
	return change(w, w.leases, name, func(l *coordinationv1.Lease) {
		before := l.DeepCopy()
		edit(l)
		l.ManagedFields = managedFields(before, l, manager)
	})
}

// managedFields are those of a Lease after a field manager has changed it from before, which is
// nil if it has made it.
func managedFields(before, now *coordinationv1.Lease, manager string) (entries []metav1.ManagedFieldsEntry) {
	if before == nil {
		before = &coordinationv1.Lease{}
	}
	fields := func(l *coordinationv1.Lease) map[string]any {
		return map[string]any{
			"holderIdentity": l.Spec.HolderIdentity, "leaseTransitions": l.Spec.LeaseTransitions, "leaseDurationSeconds": l.Spec.LeaseDurationSeconds,
			"acquireTime": l.Spec.AcquireTime, "renewTime": l.Spec.RenewTime,
		}
	}
	was, is := fields(before), fields(now)
	owners := map[string][]string{}
	for _, field := range slices.Sorted(maps.Keys(is)) {
		if !apiequality.Semantic.DeepEqual(was[field], is[field]) {
			owners[manager] = append(owners[manager], field)
			continue
		}
		for _, e := range before.ManagedFields {
			if strings.Contains(e.FieldsV1.GetRawString(), `"f:`+field+`"`) {
				owners[e.Manager] = append(owners[e.Manager], field)
			}
		}
	}
	for _, manager := range slices.Sorted(maps.Keys(owners)) {
		raw := fmt.Sprintf(`{"f:spec":{"f:%s":{}}}`, strings.Join(owners[manager], `":{},"f:`))
		entries = append(entries, metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: metav1.NewFieldsV1(raw)})
	}
	return entries
}

// checkContended is for a Lease that a replica writes although an application holds it.
func (w *world) checkContended(by *replica, r *record, before, now *coordinationv1.Lease) {
	epoch, holder := ptr.Deref(now.Spec.LeaseTransitions, 0), lease.Decode(now).HolderUID
	if holder != r.last || holder == "" {
		return
	}
	if epoch != r.epoch && !r.named[epoch] {
		w.fail("replica %d spends the epoch %d of Lease %s, which an application holds, on the master that it has", by.number, epoch, now.Name)
	}
	edited := ptr.Deref(before.Spec.HolderIdentity, "") != "" && !slices.ContainsFunc(before.ManagedFields, func(e metav1.ManagedFieldsEntry) bool {
		return e.Manager == application && strings.Contains(e.FieldsV1.GetRawString(), `"f:holderIdentity"`)
	})
	other := !maps.Equal(before.Annotations, now.Annotations) || !apiequality.Semantic.DeepEqual(before.OwnerReferences, now.OwnerReferences)
	if gone := before.Spec.RenewTime.Add(time.Minute); !edited && !other && now.Spec.LeaseDurationSeconds == nil && w.now.Before(gone) {
		w.fail("replica %d takes Lease %s back, which an application has renewed %s", by.number, now.Name, w.ago(before.Spec.RenewTime.Time))
	}
}
