package fakeapi

import (
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
)

func (s *Server) watch(action clienttesting.WatchActionImpl, lag time.Duration) (watch.Interface, error) {
	all, err := s.Watch(action.GetResource(), action.GetNamespace(), action.ListOptions)
	if err != nil {
		return nil, err
	}
	w := &selectedWatch{server: s, all: all, lag: lag, result: make(chan watch.Event), stopped: make(chan struct{})}
	s.watching(action.GetResource().Resource, 1)
	go func() {
		w.run(action.GetResource().Resource, action.ListOptions)
		s.watching(action.GetResource().Resource, -1)
	}()
	return w, nil
}

// watching changes the number of watches of the resource, and returns it.
func (s *Server) watching(resource string, change int) int {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.watches[resource] += change
	return s.watches[resource]
}

// selectedWatch is a watch with a selector. To it an object that no longer matches is
// deleted. It says nothing of an object that has never matched.
type selectedWatch struct {
	server  *Server
	all     watch.Interface
	lag     time.Duration
	result  chan watch.Event
	stop    sync.Once
	stopped chan struct{}
}

// bookmarks is how often a watch of Services shows the latest version although nothing has
// changed. Meanwhile something else has changed in the cluster, such as a node's heartbeat.
const bookmarks = time.Minute

// next waits for a change, and returns false at the end of the watch.
func (w *selectedWatch) next(bookmark <-chan time.Time) (watch.Event, bool) {
	select {
	case event, ok := <-w.all.ResultChan():
		return event, ok
	default:
	}
	select {
	case event, ok := <-w.all.ResultChan():
		return event, ok
	case <-bookmark:
		w.server.lock.Lock()
		defer w.server.lock.Unlock()
		w.server.elsewhere++
		return watch.Event{Type: watch.Bookmark, Object: &corev1.Service{ObjectMeta: metav1.ObjectMeta{ResourceVersion: w.server.next()}}}, true
	}
}

func (w *selectedWatch) run(resource string, options metav1.ListOptions) {
	defer close(w.result)
	var bookmark <-chan time.Time
	if resource == "services" && options.AllowWatchBookmarks {
		ticker := time.NewTicker(bookmarks)
		defer ticker.Stop()
		bookmark = ticker.C
	}
	for {
		event, ok := w.next(bookmark)
		if !ok {
			return
		}
		if event.Type != watch.Bookmark && !matches(event.Object, options) {
			w.server.lock.Lock()
			before, changed := w.server.before[Access(event.Object).GetResourceVersion()]
			w.server.lock.Unlock()
			if event.Type != watch.Modified || !changed || !matches(before, options) {
				continue
			}
			event.Type = watch.Deleted
		}
		<-time.After(w.lag)
		select {
		case w.result <- event:
		case <-w.stopped:
			return
		}
	}
}

func (w *selectedWatch) Stop() {
	w.stop.Do(func() {
		close(w.stopped)
		w.all.Stop()
	})
}

func (w *selectedWatch) ResultChan() <-chan watch.Event { return w.result }

func matches(o runtime.Object, options metav1.ListOptions) bool {
	labelled, err := labels.Parse(options.LabelSelector)
	if err != nil {
		panic(err)
	}
	selected, err := fields.ParseSelector(options.FieldSelector)
	if err != nil {
		panic(err)
	}
	has := fields.Set{"metadata.name": Access(o).GetName()}
	switch o := o.(type) {
	case *corev1.Node:
		has["spec.unschedulable"] = strconv.FormatBool(o.Spec.Unschedulable)
	case *eventsv1.Event:
		has["regarding.kind"], has["regarding.name"] = o.Regarding.Kind, o.Regarding.Name
	}
	return labelled.Matches(labels.Set(Access(o).GetLabels())) && selected.Matches(has)
}
