package main

import (
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// started is when a test begins, by the pod's clock.
var started = time.Now()

// at is the time that many seconds after the start, by the pod's clock.
func at(seconds float64) time.Time {
	return started.Add(time.Duration(seconds * float64(time.Second)))
}

// held returns the Lease while the pod fencing-0 of UID u0 is the master. It was renewed at
// that second of a clock that has nothing to do with the pod's.
func held(renewed int, changes ...func(*coordinationv1.Lease)) *coordinationv1.Lease {
	l := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "fencing", Annotations: map[string]string{annotationHolderUID: "u0"}},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("fencing-0"), LeaseTransitions: ptr.To[int32](1), LeaseDurationSeconds: ptr.To[int32](6),
			RenewTime: ptr.To(metav1.NewMicroTime(time.Unix(int64(renewed), 0))),
		},
	}
	for _, change := range changes {
		change(l)
	}
	return l
}

func by(pod, uid string, epoch int32) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) {
		l.Spec.HolderIdentity, l.Spec.LeaseTransitions, l.Annotations[annotationHolderUID] = &pod, &epoch, uid
	}
}

func lasting(seconds *int32) func(*coordinationv1.Lease) {
	return func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = seconds }
}

func TestEpoch(t *testing.T) {
	type answer struct {
		asked float64
		lease *coordinationv1.Lease
	}
	for name, c := range map[string]struct {
		answers []answer
		now     float64
		want    int32 // 0 if the pod must not believe that it is the master
	}{
		"there is no answer yet":                       {},
		"there is no Lease":                            {answers: []answer{{0, nil}}},
		"an old Lease is found":                        {answers: []answer{{0, held(100)}}, now: 1},
		"an old Lease is found twice":                  {answers: []answer{{0, held(100)}, {1, held(100)}}, now: 1},
		"the Lease is renewed":                         {answers: []answer{{0, held(100)}, {1, held(101)}}, now: 1, want: 1},
		"two thirds are nearly over":                   {answers: []answer{{0, held(100)}, {1, held(101)}}, now: 3.999, want: 1},
		"two thirds are over":                          {answers: []answer{{0, held(100)}, {1, held(101)}}, now: 4},
		"the Lease is read again, but not renewed":     {answers: []answer{{0, held(100)}, {1, held(101)}, {3, held(101)}}, now: 4},
		"the Lease is renewed twice":                   {answers: []answer{{0, held(100)}, {1, held(101)}, {3, held(103)}}, now: 4.999, want: 1},
		"the Lease is renewed after it has expired":    {answers: []answer{{0, held(100)}, {1, held(101)}, {20, held(101)}, {21, held(121)}}, now: 21, want: 1},
		"a renewal is read much later":                 {answers: []answer{{0, held(100)}, {1, held(101)}, {20, held(103)}}, now: 20},
		"the renewal after a late one is read in time": {answers: []answer{{0, held(100)}, {1, held(101)}, {20, held(103)}, {21, held(121)}}, now: 21, want: 1},
		"the renewing clock is set back":               {answers: []answer{{0, held(100)}, {1, held(50)}}, now: 1, want: 1},
		"the Lease has no duration":                    {answers: []answer{{0, held(100, lasting(nil))}}, now: 1e6, want: 1},
		"the Lease gets a duration":                    {answers: []answer{{0, held(100, lasting(nil))}, {10, held(100)}}, now: 10},
		"the Lease gets a longer duration":             {answers: []answer{{0, held(100)}, {1, held(101, lasting(ptr.To[int32](60)))}}, now: 39, want: 1},
		"the Lease gets a shorter duration":            {answers: []answer{{0, held(100)}, {1, held(101, lasting(ptr.To[int32](3)))}}, now: 2},
		"another pod holds the Lease":                  {answers: []answer{{0, held(100)}, {1, held(101)}, {2, held(102, by("fencing-1", "u1", 2))}}, now: 2},
		"the Lease comes back from another pod": {
			answers: []answer{{0, held(100)}, {1, held(101, by("fencing-1", "u1", 2))}, {2, held(102, by("fencing-0", "u0", 3))}}, now: 2, want: 3,
		},
		"an earlier pod of the same name holds the Lease": {answers: []answer{{0, held(100, by("fencing-0", "u9", 1))}, {1, held(101, by("fencing-0", "u9", 1))}}, now: 1},
		"a person has edited the holder":                  {answers: []answer{{0, held(100)}, {1, held(101)}, {2, held(101, by("fencing-1", "u0", 1))}}, now: 2},
		"no pod holds the Lease":                          {answers: []answer{{0, held(100, lasting(nil), func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil })}}, now: 1},
		"the Lease has no epoch":                          {answers: []answer{{0, held(100, lasting(nil), func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = nil })}}, now: 1},
		"the Lease was never renewed":                     {answers: []answer{{0, held(100, func(l *coordinationv1.Lease) { l.Spec.RenewTime = nil })}}, now: 1},
		"the Lease is deleted":                            {answers: []answer{{0, held(100)}, {1, held(101)}, {2, nil}}, now: 2},
		"the Lease is restored from an old copy":          {answers: []answer{{0, held(100)}, {1, held(101)}, {2, nil}, {3, held(99)}}, now: 3},
		"the Lease is restored and renewed":               {answers: []answer{{0, held(100)}, {1, held(101)}, {2, nil}, {3, held(99)}, {4, held(104)}}, now: 4, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			m := &member{pod: "fencing-0", uid: "u0"}
			for _, a := range c.answers {
				m.answered(a.lease, at(a.asked))
			}
			epoch, master := m.Epoch(at(c.now))
			if epoch != c.want || master != (c.want > 0) {
				t.Errorf("epoch %d, master %v; want %d", epoch, master, c.want)
			}
		})
	}
}
