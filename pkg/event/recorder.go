// Package event writes events.k8s.io events. The replicas of the controller see the same
// things at the same time. So the name of an event is derived from what it says: who says it
// second finds it there. An event that is said again later counts that, and keeps its note.
package event

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/reference"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	// waiting is how many events wait to be written. More are dropped, with a line in the log.
	waiting = 1000
	// writeTimeout is how long writing one event may take. It is not tried again: the log has
	// what it says.
	writeTimeout = 10 * time.Second
	// repeated is how long after an event of another replica the same is counted again. What comes
	// sooner is the same occurrence.
	repeated = 30 * time.Second
	// lastWrites is how long events are written after the end.
	lastWrites = 3 * time.Second
	// nameMax is the API server's limit of a name, in bytes.
	nameMax = 253
)

// Recorder implements events.EventRecorder of client-go's tools/events. That package's own
// recorder merges events that differ only in their note, and keeps the first note; and each
// replica's events are its own.
type Recorder struct {
	client               kubernetes.Interface
	controller, instance string
	events               chan *eventsv1.Event
}

// New returns a recorder of events that name the reporting controller and the instance of it.
// It writes them while Run runs.
func New(client kubernetes.Interface, controller, instance string) *Recorder {
	return &Recorder{client, controller, instance, make(chan *eventsv1.Event, waiting)}
}

// Run writes events until ctx is done, and then, for a moment, those that still wait.
func (r *Recorder) Run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case e := <-r.events:
			r.write(context.WithoutCancel(ctx), e)
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	for last.Err() == nil {
		select {
		case e := <-r.events:
			r.write(last, e)
		default:
			return
		}
	}
}

// Eventf has an event written. It does not block. The objects may be references.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	about, err := reference.GetReference(scheme.Scheme, regarding)
	if err != nil {
		klog.Background().Error(err, "Failed to name the object of an event", "reason", reason)
		return
	}
	e := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: about.Namespace}, EventTime: metav1.NowMicro(),
		Regarding: *about, Type: eventType, Reason: reason, Action: action, Note: fmt.Sprintf(note, args...),
		ReportingController: r.controller, ReportingInstance: r.instance,
	}
	if related != nil {
		if e.Related, err = reference.GetReference(scheme.Scheme, related); err != nil {
			klog.Background().Error(err, "Failed to name the object that is related to an event", "reason", reason)
		}
	}
	e.Name = nameOf(e)
	select {
	case r.events <- e:
	default:
		klog.Background().Info("Dropped an event, because too many wait", "event", klog.KObj(e), "reason", reason, "note", e.Note)
	}
}

// nameOf is the same for all that say the same.
func nameOf(e *eventsv1.Event) string {
	related := ptr.Deref(e.Related, corev1.ObjectReference{})
	sum := sha256.New()
	for _, part := range []string{string(e.Regarding.UID), related.Kind, related.Name, string(related.UID), e.Type, e.Reason, e.Action, e.Note} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	suffix := "." + hex.EncodeToString(sum.Sum(nil)[:8])
	return e.Regarding.Name[:min(len(e.Regarding.Name), nameMax-len(suffix))] + suffix
}

func (r *Recorder) write(ctx context.Context, e *eventsv1.Event) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	events := r.client.EventsV1().Events(e.Namespace)
	_, err := events.Create(ctx, e, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		err = r.repeat(ctx, e)
	}
	switch {
	case err == nil, apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
	case apierrors.IsConflict(err), apierrors.IsNotFound(err):
		// Another replica has counted it, or it has expired meanwhile.
	default:
		klog.FromContext(ctx).Error(err, "Failed to write an event", "event", klog.KObj(e), "reason", e.Reason, "note", e.Note)
	}
}

// repeat counts an event that exists, unless another replica has seen the same just now.
func (r *Recorder) repeat(ctx context.Context, e *eventsv1.Event) error {
	events := r.client.EventsV1().Events(e.Namespace)
	existing, err := events.Get(ctx, e.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	series := ptr.Deref(existing.Series, eventsv1.EventSeries{Count: 1, LastObservedTime: existing.EventTime})
	if existing.ReportingInstance != r.instance && e.EventTime.Sub(series.LastObservedTime.Time) < repeated {
		return nil
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": existing.ResourceVersion},
		"series":   eventsv1.EventSeries{Count: series.Count + 1, LastObservedTime: e.EventTime},
	})
	if err != nil {
		return err
	}
	_, err = events.Patch(ctx, e.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
