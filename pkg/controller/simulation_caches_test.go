package controller

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// simulatedQueue has what event handlers put into it.
type simulatedQueue struct {
	workqueue.TypedRateLimitingInterface[key]
	keys []key
	// deaf: only what is left behind is taken in.
	deaf bool
}

func (q *simulatedQueue) Add(k key) {
	if (!q.deaf || k.Name == "") && !slices.Contains(q.keys, k) {
		q.keys = append(q.keys, k)
	}
}

// AddAfter is for what is only reported.
func (q *simulatedQueue) AddAfter(key, time.Duration) {}

// noEvents is a recorder of events that nobody reads.
type noEvents struct{}

func (noEvents) Eventf(runtime.Object, runtime.Object, string, string, string, string, ...any) {}

// synced is an informer whose cache is filled by hand.
type synced struct{ cache.SharedIndexInformer }

func (synced) HasSynced() bool { return true }

// unsynced is an informer that has not listed anything yet.
type unsynced struct{ cache.SharedIndexInformer }

func (unsynced) HasSynced() bool { return false }

func (unsynced) HasSyncedChecker() cache.DoneChecker { return never{} }

func (unsynced) RunWithContext(context.Context) {}

// never is what does not come.
type never struct{}

func (never) Name() string { return "" }

func (never) Done() <-chan struct{} { return nil }

// simulatedCache is a cache that hears of each object when it is told to.
type simulatedCache interface {
	kind() string
	unheard() []string
	hear(name string)
}

// cacheOf is the cache of a kind of objects, with what the replica itself has written.
type cacheOf[T simulated] struct {
	cache.MutationCache
	of       table[T]
	indexers cache.Indexers
	handler  cache.TypedResourceEventHandler[T]
	trim     func(T)
	selects  func(T) bool
	heard    table[T]
	written  map[string]T
}

func newSimulatedCache[T simulated](of table[T], indexers cache.Indexers, handler cache.TypedResourceEventHandler[T], trim func(T), selects func(T) bool) *cacheOf[T] {
	return &cacheOf[T]{of: of, indexers: indexers, handler: handler, trim: trim, selects: selects, heard: newTable[T](of.kind), written: map[string]T{}}
}

func (c *cacheOf[T]) kind() string { return c.of.kind }

func (c *cacheOf[T]) now(name string) (o T, exists bool) {
	o, exists = c.of.all[name]
	return o, exists && (c.selects == nil || c.selects(o))
}

// unheard are the names of the objects that are not as they were heard of.
func (c *cacheOf[T]) unheard() (names []string) {
	for name := range c.of.all {
		if now, exists := c.now(name); exists {
			if heard, known := c.heard.all[name]; !known || heard.GetResourceVersion() != now.GetResourceVersion() {
				names = append(names, name)
			}
		}
	}
	for name := range c.heard.all {
		if _, exists := c.now(name); !exists {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// hear does what an informer does when a watch tells of the object.
func (c *cacheOf[T]) hear(name string) {
	now, exists := c.now(name)
	before, known := c.heard.all[name]
	if exists {
		now = now.DeepCopyObject().(T)
		c.trim(now)
	}
	if known && (!exists || before.GetUID() != now.GetUID()) {
		delete(c.heard.all, name)
		c.handler.OnDelete(cache.DeletedObject[T]{OptionalObj: before})
		known = false
	}
	switch {
	case exists && known:
		c.heard.all[name] = now
		c.handler.OnUpdate(before, now)
	case exists:
		c.heard.all[name] = now
		c.handler.OnAdd(now, false)
	}
}

// newest is what the replica has written, where that is newer than what it has heard.
func (c *cacheOf[T]) newest(o T) T {
	if w, wrote := c.written[o.GetName()]; wrote && version(w) > version(o) {
		return w
	}
	return o
}

func version(o interface{ GetResourceVersion() string }) int {
	v, err := strconv.Atoi(o.GetResourceVersion())
	if err != nil {
		panic(err)
	}
	return v
}

// GetByKey and the others are those of a cache.MutationCache.
func (c *cacheOf[T]) GetByKey(k string) (any, bool, error) {
	o, known := c.heard.all[k[strings.LastIndex(k, "/")+1:]]
	if !known {
		return nil, false, nil
	}
	return c.newest(o), true, nil
}

func (c *cacheOf[T]) ByIndex(index, value string) (found []any, err error) {
	for _, o := range c.heard.list() {
		values, err := c.indexers[index](o)
		if err != nil {
			return nil, err
		}
		if slices.Contains(values, value) {
			found = append(found, c.newest(o))
		}
	}
	return found, nil
}

func (c *cacheOf[T]) Mutation(o any) { c.written[o.(T).GetName()] = o.(T) }

// Len is of conditions: they are written as if no other election waited.
func (*simulatedQueue) Len() int { return 0 }
