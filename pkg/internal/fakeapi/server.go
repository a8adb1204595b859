// Package fakeapi is test support: a simulated API server that is as strict as the real one
// where the controller relies on it, what users and Kubernetes' own controllers do in a
// cluster, and the cluster's state as lines of text. Time is that of a synctest bubble.
//
// It may import api, endpoints and scenario, and is imported by tests alone.
package fakeapi

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const (
	// Latency is what a request of a controller takes. Two replicas that see the same
	// change therefore always write at the same time, as on a real cluster.
	Latency = 10 * time.Millisecond
	// Lag is how late a watch tells of a change, so that caches are behind what has just
	// been written.
	Lag = 25 * time.Millisecond
)

// Server is a fake clientset's store made as strict as the API server where the controller
// relies on it: UIDs, resource versions, conflicts, delete preconditions, finalizers, and
// selectors of watches.
type Server struct {
	clienttesting.ObjectTracker

	lock    sync.Mutex
	version int64
	// elsewhere counts those versions that are of what is not stored here.
	elsewhere int64
	// names are those of all objects that there ever were; those of deleted objects are
	// marked.
	names     map[types.UID]string
	interfere func(clienttesting.Action) error
	admit     func(runtime.Object)
	// before is what an object was before the resource version.
	before map[string]runtime.Object
	// watches counts, by resource, those that go on.
	watches map[string]int
}

// NewServer returns a Server without objects.
func NewServer() *Server {
	return &Server{
		// The tracker of NewClientset keeps managedFields, unlike the simpler one.
		ObjectTracker: fake.NewClientset().Tracker(),
		names:         map[types.UID]string{},
		before:        map[string]runtime.Object{},
		watches:       map[string]int{},
	}
}

// Client returns a client of the Server. Each remembers its own actions alone. Requests of a
// client without latency are a user's: OnRequest does not see them. Watches of a resource
// are late by Lag, and by what behind says for the resource.
func (s *Server) Client(latency time.Duration, behind map[string]time.Duration) *fake.Clientset {
	c := &fake.Clientset{}
	react := clienttesting.ObjectReaction(s)
	c.AddReactor("*", "*", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if latency > 0 {
			// The fake serves one request at a time, which must not add up.
			c.Unlock()
			<-time.After(latency)
			c.Lock()
			if err := s.interference(action); err != nil {
				return true, nil, err
			}
		}
		if named, ok := action.(interface{ GetName() string }); ok {
			// The real client answers so, without asking the API server.
			if errs := content.IsPathSegmentName(named.GetName()); len(errs) > 0 {
				return true, nil, fmt.Errorf("invalid resource name %q: %v", named.GetName(), errs)
			}
		}
		return react(action)
	})
	c.AddWatchReactor("*", func(action clienttesting.Action) (bool, watch.Interface, error) {
		w, err := s.watch(action.(clienttesting.WatchActionImpl), Lag+behind[action.GetResource().Resource])
		return true, w, err
	})
	return c
}

func (s *Server) interference(action clienttesting.Action) error {
	s.lock.Lock()
	interfere := s.interfere
	s.lock.Unlock()
	if interfere == nil {
		return nil
	}
	return interfere(action)
}

// OnRequest sets what is called before each request of a controller is served, nil for
// nothing. An error that it returns is the answer.
func (s *Server) OnRequest(interfere func(clienttesting.Action) error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.interfere = interfere
}

// Admit sets what may change an object before it is stored, as webhooks do.
func (s *Server) Admit(admit func(runtime.Object)) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.admit = admit
}

// Latest counts the writes so far.
func (s *Server) Latest() int64 {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.version - s.elsewhere
}

// GoBack makes versions begin anew, as after a restore of etcd. What is stored stays.
func (s *Server) GoBack() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.version, s.elsewhere = 0, 0
}

// Watches returns how many watches of the resource go on.
func (s *Server) Watches(resource string) int { return s.watching(resource, 0) }

// NameOf returns the name of the object with the UID, marked if it is gone, and the UID if
// there never was such an object.
func (s *Server) NameOf(uid types.UID) string {
	s.lock.Lock()
	defer s.lock.Unlock()
	if name, known := s.names[uid]; known {
		return name
	}
	return string(uid)
}

func (s *Server) next() string {
	s.version++
	return strconv.FormatInt(s.version, 10)
}
