package fakeapi

import "k8s.io/apimachinery/pkg/runtime"

// Add stores an object as it is, with its own UID and age, and gives it a resource version.
// A test may begin with a cluster of any past.
func (s *Server) Add(o runtime.Object) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	// Several tests may begin with the same object.
	o = o.DeepCopyObject()
	object := Access(o)
	object.SetResourceVersion(s.next())
	s.names[object.GetUID()] = object.GetName()
	return s.ObjectTracker.Add(o)
}
