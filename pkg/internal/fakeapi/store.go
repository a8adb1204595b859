package fakeapi

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// Create gives the object a UID, a resource version and its age.
func (s *Server) Create(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.CreateOptions) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	object := Access(o)
	if object.GetResourceVersion() != "" {
		return apierrors.NewBadRequest("resourceVersion should not be set on objects to be created")
	}
	uid := types.UID("uid-" + s.next())
	object.SetUID(uid)
	object.SetResourceVersion(s.next())
	object.SetCreationTimestamp(metav1.Now())
	if err := s.ObjectTracker.Create(gvr, o, namespace, options...); err != nil {
		return err
	}
	s.names[uid] = object.GetName()
	return nil
}

// Update refuses an object that is not of the UID and resource version that is stored.
func (s *Server) Update(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.UpdateOptions) error {
	return s.replace(gvr, o, namespace, func() error { return s.ObjectTracker.Update(gvr, o, namespace, options...) })
}

// Patch gets the result of the patch. Where the patch names a UID and a resource version the
// result has these, otherwise the object's own.
func (s *Server) Patch(gvr schema.GroupVersionResource, o runtime.Object, namespace string, options ...metav1.PatchOptions) error {
	return s.replace(gvr, o, namespace, func() error { return s.ObjectTracker.Patch(gvr, o, namespace, options...) })
}

func (s *Server) replace(gvr schema.GroupVersionResource, o runtime.Object, namespace string, write func() error) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	object := Access(o)
	live, err := s.Get(gvr, namespace, object.GetName())
	if err != nil {
		return err
	}
	if err := agree(gvr, Access(live), object.GetUID(), object.GetResourceVersion()); err != nil {
		return err
	}
	if s.admit != nil {
		s.admit(o)
	}
	if apiequality.Semantic.DeepEqual(live, o) {
		return nil
	}
	object.SetResourceVersion(s.next())
	s.before[object.GetResourceVersion()] = live
	if err := write(); err != nil {
		return err
	}
	if object.GetDeletionTimestamp() != nil && len(Access(live).GetFinalizers()) > 0 && len(object.GetFinalizers()) == 0 {
		return s.remove(gvr, object)
	}
	return nil
}

// Delete obeys preconditions. A pod with a grace period, or any object with a finalizer,
// only begins to go.
func (s *Server) Delete(gvr schema.GroupVersionResource, namespace, name string, options ...metav1.DeleteOptions) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	found, err := s.Get(gvr, namespace, name)
	if err != nil {
		return err
	}
	live := Access(found)
	if p := options[0].Preconditions; p != nil {
		if err := agree(gvr, live, ptr.Deref(p.UID, live.GetUID()), ptr.Deref(p.ResourceVersion, live.GetResourceVersion())); err != nil {
			return err
		}
	}
	pod, is := found.(*corev1.Pod)
	graceful := is && ptr.Deref(pod.Spec.TerminationGracePeriodSeconds, 0) > 0 && ptr.Deref(options[0].GracePeriodSeconds, 1) > 0
	if !graceful && len(live.GetFinalizers()) == 0 {
		return s.remove(gvr, live, options...)
	}
	if live.GetDeletionTimestamp() != nil {
		return nil
	}
	going := found.DeepCopyObject()
	Access(going).SetDeletionTimestamp(ptr.To(metav1.Now()))
	Access(going).SetResourceVersion(s.next())
	s.before[Access(going).GetResourceVersion()] = found
	return s.ObjectTracker.Update(gvr, going, namespace)
}

func (s *Server) remove(gvr schema.GroupVersionResource, object metav1.Object, options ...metav1.DeleteOptions) error {
	s.names[object.GetUID()] += " [gone]"
	return s.ObjectTracker.Delete(gvr, object.GetNamespace(), object.GetName(), options...)
}

// agree is stricter than the API server, which takes an Update that names neither: the
// controller must name both.
func agree(gvr schema.GroupVersionResource, live metav1.Object, uid types.UID, version string) error {
	if live.GetUID() != uid || live.GetResourceVersion() != version {
		return apierrors.NewConflict(gvr.GroupResource(), live.GetName(), fmt.Errorf("it is %s in version %s, and not %s in version %s",
			live.GetUID(), live.GetResourceVersion(), uid, version))
	}
	return nil
}

// List leaves out what the field selector does not match. The fake client itself applies
// label selectors. The version of the list is that of the last write.
func (s *Server) List(gvr schema.GroupVersionResource, gvk schema.GroupVersionKind, namespace string, options ...metav1.ListOptions) (runtime.Object, error) {
	list, err := s.ObjectTracker.List(gvr, gvk, namespace, options...)
	if err != nil {
		return nil, err
	}
	all, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	selected := []runtime.Object{}
	for _, o := range all {
		if matches(o, options[0]) {
			selected = append(selected, o)
		}
	}
	of, err := meta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.version > 0 {
		of.SetResourceVersion(strconv.FormatInt(s.version, 10))
	}
	return list, meta.SetList(list, selected)
}

// Access returns the metadata of an object that has some.
func Access(o runtime.Object) metav1.Object {
	object, err := meta.Accessor(o)
	if err != nil {
		panic(err)
	}
	return object
}
