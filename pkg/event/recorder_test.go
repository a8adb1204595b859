package event

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/events"
)

var _ events.EventRecorder = (*Recorder)(nil)

var (
	web = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "uid-web"}}
	pod = &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: "default", Name: "web-0", UID: "uid-web-0"}
)

// recorded are the events, by their notes, with how often they were seen.
func recorded(t *testing.T, say func(first, second *Recorder)) map[string]int32 {
	t.Helper()
	all := map[string]int32{}
	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		first, second := New(client, "qoqo.dev/test", "first"), New(client, "qoqo.dev/test", "second")
		ctx, cancel := context.WithCancel(t.Context())
		go first.Run(ctx)
		go second.Run(ctx)
		say(first, second)
		synctest.Wait()
		cancel()
		synctest.Wait()
		list, err := client.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Items {
			all[e.Note] = 1
			if e.Series != nil {
				all[e.Note] = e.Series.Count
			}
		}
	})
	return all
}

func TestWhatTwoReplicasSeeIsOneEvent(t *testing.T) {
	tests := map[string]struct {
		say  func(first, second *Recorder)
		want map[string]int32
	}{
		"both say the same": {
			func(first, second *Recorder) {
				first.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
				second.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
			},
			map[string]int32{"it is odd": 1},
		},
		"one says the same again after a minute": {
			func(first, second *Recorder) {
				first.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
				<-time.After(time.Minute)
				second.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
				<-time.After(time.Second)
				first.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
			},
			map[string]int32{"it is odd": 3},
		},
		"one says the same twice": {
			func(first, _ *Recorder) {
				first.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
				<-time.After(time.Second)
				first.Eventf(web, nil, "Warning", "Odd", "Check", "it is odd")
			},
			map[string]int32{"it is odd": 2},
		},
		"they say two things of one reason": {
			func(first, second *Recorder) {
				first.Eventf(web, nil, "Warning", "Odd", "Check", "%s is odd", "this")
				second.Eventf(web, nil, "Warning", "Odd", "Check", "%s is odd", "that")
			},
			map[string]int32{"this is odd": 1, "that is odd": 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, recorded(t, test.say)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsThatWaitAreWrittenAtTheEnd(t *testing.T) {
	client := fake.NewClientset()
	r := New(client, "qoqo.dev/test", "one")
	r.Eventf(web, pod, "Normal", "Moved", "Elect", "it moved")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx)
	list, err := client.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%d events, error %v, want one event", len(list.Items), err)
	}
	got := list.Items[0]
	want := eventsv1.Event{
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: "web", UID: "uid-web"},
		Related:   pod, Type: "Normal", Reason: "Moved", Action: "Elect", Note: "it moved",
		ReportingController: "qoqo.dev/test", ReportingInstance: "one",
	}
	if !strings.HasPrefix(got.Name, "web.") || got.EventTime.IsZero() {
		t.Errorf("name %q, time %v", got.Name, got.EventTime)
	}
	got.TypeMeta, got.ObjectMeta, got.EventTime = metav1.TypeMeta{}, metav1.ObjectMeta{}, metav1.MicroTime{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestNameOfAnEventIsNotTooLong(t *testing.T) {
	long := web.DeepCopy()
	long.Name = strings.Repeat("w", 253)
	e := &eventsv1.Event{Regarding: corev1.ObjectReference{Name: long.Name}}
	if n := len(nameOf(e)); n != nameMax {
		t.Errorf("%d bytes, want %d", n, nameMax)
	}
}
