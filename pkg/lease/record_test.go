package lease

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// At start the Lease was acquired and renewed last; now it is looked at.
var (
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now   = start.Add(time.Hour)
)

func micro(t time.Time) *metav1.MicroTime { return ptr.To(metav1.NewMicroTime(t)) }

// owner refers to a Service.
func owner(name string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Service", Name: name, UID: types.UID("uid-" + name)}
}

// someone is an owner that another tool has added.
var someone = metav1.OwnerReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "uid-deployment"}

// knative is an owner of the kind Service of another API group.
var knative = metav1.OwnerReference{APIVersion: "serving.knative.dev/v1", Kind: "Service", Name: "web", UID: "uid-knative"}

// terms are those of the Services web and db: a duration of 15 s, and on-demote: delete.
func terms(change ...func(*Terms)) Terms {
	t := Terms{
		Key: types.NamespacedName{Namespace: "default", Name: "web"}, Owners: []metav1.OwnerReference{owner("web"), owner("db")},
		Duration: 15 * time.Second, DeleteDemoted: true,
	}
	for _, f := range change {
		f(&t)
	}
	return t
}

func ledBy(service string) func(*Terms) { return func(t *Terms) { t.Leading = service } }

func afterTermination(t *Terms) { t.AfterTermination = true }

// remembering is a Lease that was written for a Service that asks for after-termination.
func remembering(service string) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) {
		annotate(l, api.AnnotationLeadingService, service)
		annotate(l, api.AnnotationHandover, api.HandoverAfterTermination)
	}
}

func lasting(d time.Duration) func(*Terms) { return func(t *Terms) { t.Duration = d } }

func notDeleting(t *Terms) { t.DeleteDemoted = false }

// written is a Lease as the controller has written it for the terms: web-0 is the master
// in epoch 4, web-2 was asked for, and web-3 must be deleted.
func written(change ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web", ResourceVersion: "7",
			Labels: map[string]string{api.LabelManagedBy: api.ManagedBy},
			Annotations: map[string]string{
				api.AnnotationHolderUID: "uid-web-0", api.AnnotationNextHolder: "web-2", api.AnnotationReason: "HolderGone", api.AnnotationDemotedUID: "uid-web-3",
				api.AnnotationRecord: "4/uid-web-0",
			},
			OwnerReferences: []metav1.OwnerReference{owner("web"), owner("db")},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("web-0"), LeaseTransitions: ptr.To[int32](4), LeaseDurationSeconds: ptr.To[int32](15),
			AcquireTime: micro(start), RenewTime: micro(start),
		},
	}
	for _, f := range change {
		f(l)
	}
	return l
}

func annotated(key, value string) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) { annotate(l, key, value) }
}

func ownedBy(owners ...metav1.OwnerReference) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) { l.OwnerReferences = owners }
}

func TestDecode(t *testing.T) {
	full := election.Lease{Exists: true, Holder: "web-0", HolderUID: "uid-web-0", Epoch: 4, Next: "web-2", Acquired: start, Duration: 15 * time.Second}
	with := func(change func(*election.Lease)) election.Lease {
		l := full
		change(&l)
		return l
	}
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  election.Lease
	}{
		"there is no Lease":       {nil, election.Lease{}},
		"a Lease says everything": {written(), full},
		"a Lease has just begun":  {Begin(terms()), election.Lease{}},
		"a Lease awaits a master": {written(awaiting), election.Lease{Exists: true}},
		"only the record is left": {written(func(l *coordinationv1.Lease) {
			l.Annotations = map[string]string{api.AnnotationRecord: "4/uid-web-0"}
			l.Spec = coordinationv1.LeaseSpec{}
		}), election.Lease{Exists: true}},
		"only the epoch is left": {written(func(l *coordinationv1.Lease) {
			l.Annotations, l.Spec = nil, coordinationv1.LeaseSpec{LeaseTransitions: ptr.To[int32](4)}
		}), election.Lease{Exists: true, Epoch: 4}},
		"the holder was edited":            {written(func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), with(func(l *election.Lease) { l.Holder = "web-1" })},
		"a Lease without label":            {written(func(l *coordinationv1.Lease) { l.Labels = nil }), with(func(l *election.Lease) { l.Foreign = true })},
		"a Lease of another manager":       {written(func(l *coordinationv1.Lease) { l.Labels[api.LabelManagedBy] = "helm" }), with(func(l *election.Lease) { l.Foreign = true })},
		"the UID was overwritten":          {written(annotated(api.AnnotationHolderUID, "uid-web-9")), with(func(l *election.Lease) { l.Forged = true })},
		"the UID was removed":              {written(annotated(api.AnnotationHolderUID, "")), with(func(l *election.Lease) { l.HolderUID = "" })},
		"the record is of another epoch":   {written(annotated(api.AnnotationRecord, "3/uid-web-9")), full},
		"the record cannot be read":        {written(annotated(api.AnnotationRecord, "4")), full},
		"the highest epoch":                {written(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(api.MaxEpoch) }), with(func(l *election.Lease) { l.Epoch = 1 << 30 })},
		"an epoch that no cluster gets to": {written(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(api.MaxEpoch + 1) }), with(func(l *election.Lease) { l.Epoch = 0 })},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, Decode(test.lease)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRenewed(t *testing.T) {
	tests := map[string]struct {
		lease *coordinationv1.Lease
		want  time.Time
	}{
		"there is no Lease":               {nil, time.Time{}},
		"the Lease was never renewed":     {written(func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }), time.Time{}},
		"the Lease was renewed at a time": {written(func(l *coordinationv1.Lease) { l.Spec.RenewTime = micro(now) }), now},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Renewed(test.lease); !got.Equal(test.want) {
				t.Errorf("renewed at %s, want %s", got, test.want)
			}
		})
	}
}

func TestDemoted(t *testing.T) {
	if got := Demoted(written()); got != "uid-web-3" {
		t.Errorf("%q must be deleted, want uid-web-3", got)
	}
	if got := Demoted(written(func(l *coordinationv1.Lease) { l.Annotations = nil })); got != "" {
		t.Errorf("%q must be deleted, want no pod", got)
	}
}

func TestOutdated(t *testing.T) {
	tests := map[string]struct {
		lease *coordinationv1.Lease
		terms Terms
		want  bool
	}{
		"there is no Lease":                           {nil, terms(), false},
		"the Lease is as the Services ask":            {written(), terms(), false},
		"the owners are in another order":             {written(ownedBy(owner("db"), owner("web"))), terms(), false},
		"another tool has added an owner":             {written(ownedBy(owner("web"), someone, owner("db"))), terms(), false},
		"an owner is missing":                         {written(ownedBy(owner("web"))), terms(), true},
		"an owner no longer takes part":               {written(ownedBy(owner("web"), owner("db"), owner("old"))), terms(), false},
		"the duration is another":                     {written(), terms(lasting(16 * time.Second)), true},
		"no duration is asked for any longer":         {written(), terms(lasting(0)), true},
		"no duration is asked for, and there is none": {written(func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil }), terms(lasting(0)), false},
		"a deletion that is no longer asked for":      {written(), terms(notDeleting), false},
		"what must be remembered is not there":        {written(), terms(ledBy("web")), true},
		"the handover is not remembered":              {written(annotated(api.AnnotationLeadingService, "web")), terms(ledBy("web"), afterTermination), true},
		"what is remembered is asked for":             {written(remembering("web")), terms(ledBy("web"), afterTermination), false},
		"what is remembered is no longer asked for":   {written(remembering("web")), terms(), true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Outdated(test.lease, test.terms); got != test.want {
				t.Errorf("outdated: %v, want %v", got, test.want)
			}
		})
	}
}

func TestLetGo(t *testing.T) {
	replaced := owner("web")
	replaced.UID = "old"
	tests := map[string]struct {
		lease        *coordinationv1.Lease
		former, kept []metav1.OwnerReference
	}{
		"there is no Lease":                {lease: nil},
		"all owners take part":             {written(), nil, []metav1.OwnerReference{owner("web"), owner("db")}},
		"a Service has left":               {written(ownedBy(owner("old"), owner("db"), owner("web"))), []metav1.OwnerReference{owner("old")}, []metav1.OwnerReference{owner("db"), owner("web")}},
		"a Service was made anew":          {written(ownedBy(replaced, owner("web"))), []metav1.OwnerReference{replaced}, []metav1.OwnerReference{owner("web")}},
		"another tool has added an owner":  {written(ownedBy(someone, owner("old"), owner("web"))), []metav1.OwnerReference{owner("old")}, []metav1.OwnerReference{someone, owner("web")}},
		"a Service of another API's group": {written(ownedBy(knative, owner("web"))), nil, []metav1.OwnerReference{knative, owner("web")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := test.lease.DeepCopy()
			if diff := cmp.Diff(test.former, Former(test.lease, terms()), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("former owners (-want +got):\n%s", diff)
			}
			if test.lease == nil {
				return
			}
			want := before.DeepCopy()
			want.OwnerReferences = test.kept
			if diff := cmp.Diff(want, LetGo(test.lease, test.former)); diff != "" {
				t.Errorf("Lease (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, test.lease); diff != "" {
				t.Errorf("the Lease, of an informer's cache, was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestRenewedOnly(t *testing.T) {
	tests := map[string]struct {
		now  *coordinationv1.Lease
		want bool
	}{
		"nothing has changed":              {written(), true},
		"the Lease was renewed":            {written(func(l *coordinationv1.Lease) { l.Spec.RenewTime, l.ResourceVersion = micro(now), "8" }), true},
		"the time of renewal was removed":  {written(func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil }), true},
		"the holder was edited":            {written(func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = ptr.To("web-1") }), false},
		"the epoch was edited":             {written(func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To[int32](5) }), false},
		"the duration has changed":         {written(func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = nil }), false},
		"an annotation has changed":        {written(annotated(api.AnnotationDemotedUID, "")), false},
		"a label has changed":              {written(func(l *coordinationv1.Lease) { l.Labels = nil }), false},
		"an owner has changed":             {written(ownedBy(owner("web"))), false},
		"the Lease was renewed, and moved": {written(func(l *coordinationv1.Lease) { l.Spec.RenewTime, l.Spec.AcquireTime = micro(now), micro(now) }), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := written()
			if got := RenewedOnly(before, test.now); got != test.want {
				t.Errorf("only renewed: %v, want %v", got, test.want)
			}
			if before.Spec.RenewTime == nil {
				t.Error("the Lease, of an informer's cache, was changed")
			}
		})
	}
}
