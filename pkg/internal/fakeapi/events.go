package fakeapi

import (
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/scenario"
)

// Recorder keeps events as lines. See scenario.EventLine.
type Recorder struct {
	lock  sync.Mutex
	lines []string
}

// Eventf records an event.
func (r *Recorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	r.lock.Lock()
	defer r.lock.Unlock()
	about := ""
	if reference, ok := related.(*corev1.ObjectReference); ok {
		about = reference.Name
	}
	r.lines = append(r.lines, scenario.EventLine(eventType, reason, action, Access(regarding).GetName(), about, fmt.Sprintf(note, args...)))
}

// Take returns the events since it was called last.
func (r *Recorder) Take() []string {
	r.lock.Lock()
	defer r.lock.Unlock()
	taken := r.lines
	r.lines = nil
	return taken
}
