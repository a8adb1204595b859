package controller

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

const (
	// What was written is remembered until the informer shows it, which takes
	// milliseconds. Forgetting it costs one conflict.
	writtenFor = time.Minute
	writtenMax = 4096
)

// store is an informer's cache in which this replica's own writes are visible at once.
// Callers must not change what it returns.
type store[T cache.Object] struct {
	informer cache.SharedIndexInformer
	newest   cache.MutationCache
	// trim drops what is not read of an object.
	trim func(T)
}

// newStore adds the informer to those that are watched together.
func newStore[T cache.Object](informer cache.TypedSharedIndexInformer[T], trim func(T), handler cache.TypedResourceEventHandler[T], w *watched) (store[T], error) {
	transform := func(o any) (any, error) {
		if typed, ok := o.(T); ok {
			trim(typed)
		}
		return o, nil
	}
	if err := informer.SetTransform(transform); err != nil {
		return store[T]{}, fmt.Errorf("setting the transform: %w", err)
	}
	if err := w.add(informer); err != nil {
		return store[T]{}, fmt.Errorf("setting the handler of errors: %w", err)
	}
	if handler != nil {
		if _, err := informer.AddTypedEventHandler(handler); err != nil {
			return store[T]{}, fmt.Errorf("adding the event handler: %w", err)
		}
	}
	return store[T]{informer, cache.NewIntegerResourceVersionMutationCacheWithOptions(klog.Background(), informer.GetStore(), cache.MutationCacheOptions{
		Indexer: informer.GetIndexer(), TTL: writtenFor, MaxCacheSize: writtenMax,
	}), trim}, nil
}

func (s store[T]) get(k key) (T, bool) {
	found, exists, err := s.newest.GetByKey(cache.ObjectName{Namespace: k.Namespace, Name: k.Name}.String())
	if err != nil || !exists {
		var none T
		return none, false
	}
	return found.(T), true
}

// by returns the objects that the named index files under value. It panics if there is no
// such index.
func (s store[T]) by(index, value string) []T {
	found, err := s.newest.ByIndex(index, value)
	if err != nil {
		panic(err)
	}
	objects := make([]T, 0, len(found))
	for _, o := range found {
		objects = append(objects, o.(T))
	}
	return objects
}

// all returns the objects that the informer has.
func (s store[T]) all() []T {
	var objects []T
	for _, o := range s.informer.GetStore().List() {
		objects = append(objects, o.(T))
	}
	return objects
}

// wrote makes the result of a write visible at once, and trims it.
func (s store[T]) wrote(o T) {
	s.trim(o)
	s.newest.Mutation(o)
}

// scoped is a store for each namespace that the controller serves, or a single store for
// all namespaces.
type scoped[T cache.Object] map[string]store[T]

func (s scoped[T]) in(namespace string) store[T] {
	if one, found := s[namespace]; found {
		return one
	}
	return s[metav1.NamespaceAll]
}
