package controller

import (
	"context"
	"sync"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// watched are informers that are of use only together: those of a namespace, or that of the
// nodes. They are retried for ever, so that they begin when the rights are given.
type watched struct {
	informers []cache.SharedIndexInformer
	// synced is closed when all of them are. begun is closed when what depends on them begins.
	synced, begun chan struct{}
	// refused is closed when one of them has found that it has no rights.
	refused chan struct{}
	once    sync.Once
	// forbidden: the last that was heard is that there are no rights.
	forbidden atomic.Bool
}

func newWatched() *watched {
	return &watched{synced: make(chan struct{}), begun: make(chan struct{}), refused: make(chan struct{})}
}

func (w *watched) add(informer cache.SharedIndexInformer) error {
	w.informers = append(w.informers, informer)
	return informer.SetWatchErrorHandlerWithContext(func(ctx context.Context, r *cache.Reflector, err error) {
		if !apierrors.IsForbidden(err) {
			cache.DefaultWatchErrorHandler(ctx, r, err)
			return
		}
		w.forbidden.Store(true)
		w.once.Do(func() {
			klog.FromContext(ctx).Error(err, "Failed to watch without rights, will retry")
			close(w.refused)
		})
	})
}

// run runs the informers until ctx is done. When all are synced it calls begin.
func (w *watched) run(ctx context.Context, running *sync.WaitGroup, name string, begin func()) {
	var checkers []cache.DoneChecker
	for _, informer := range w.informers {
		checkers = append(checkers, informer.HasSyncedChecker())
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	running.Go(func() {
		if cache.WaitFor(ctx, name, checkers...) {
			close(w.synced)
			begin()
		}
	})
}

// is reports whether the channel is closed.
func is(closed <-chan struct{}) bool {
	select {
	case <-closed:
		return true
	default:
		return false
	}
}
