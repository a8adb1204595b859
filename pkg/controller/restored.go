package controller

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

const (
	// quietFor is how long a watch may show nothing before the API server is asked whether it is
	// deaf. Watches get a bookmark about every minute, even if nothing changes.
	quietFor = 5 * time.Minute
	// quietTick is how often the watches are looked at.
	quietTick = time.Minute
	// listTimeout bounds the request.
	listTimeout = 10 * time.Second
)

// heardOf is a watch, and what it has shown last.
type heardOf struct {
	informer interface{ LastSyncResourceVersion() string }
	version  string
	since    time.Time
}

// watchForRestore returns an error once the API server has gone back to an older state, because
// etcd was restored from a backup. A watch that has seen a later state then shows nothing until
// that state is passed again, which may take days, and looks as if nothing happened. It returns
// nil when ctx is done. It makes a request only while a watch shows nothing at all.
func (c *Controller) watchForRestore(ctx context.Context) (restored error) {
	watched := map[string]*heardOf{}
	for namespace, s := range c.services {
		watched[namespace] = &heardOf{s.informer, s.informer.LastSyncResourceVersion(), time.Now()}
	}
	_ = wait.PollUntilContextCancel(ctx, quietTick, false, func(ctx context.Context) (bool, error) {
		for namespace, w := range watched {
			if restored = c.wentBack(ctx, namespace, w); restored != nil {
				return true, nil
			}
		}
		return false, nil
	})
	return restored
}

func (c *Controller) wentBack(ctx context.Context, namespace string, w *heardOf) error {
	before, now := w.version, w.informer.LastSyncResourceVersion()
	switch {
	case before != now:
		w.version, w.since = now, time.Now()
	case time.Since(w.since) < quietFor:
		return nil
	default:
		w.since = time.Now()
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		list, err := c.client.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{Limit: 1})
		if err != nil {
			klog.FromContext(ctx).V(2).Info("Failed to ask whether the watch of Services is deaf", "reason", err)
			return nil
		}
		now = list.ResourceVersion
	}
	if order, err := resourceversion.CompareResourceVersion(now, before); err == nil && order < 0 {
		return fmt.Errorf("the API server has gone back from resource version %s to %s: it was restored from a backup, and what is cached is of no use", before, now)
	}
	return nil
}
