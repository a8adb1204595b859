package chaos

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// watch feeds the judge with every version of the objects, from now on. It calls failed
// if versions were missed.
func (c *chaos) watch(ctx context.Context, failed context.CancelCauseFunc) error {
	client, err := kubernetes.NewForConfig(c.plane.Admin.Config)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		client    cache.Getter
		resource  string
		namespace string
	}{
		{client.CoreV1().RESTClient(), "services", namespace},
		{client.CoreV1().RESTClient(), "pods", namespace},
		{client.CoreV1().RESTClient(), "nodes", metav1.NamespaceAll},
		{client.DiscoveryV1().RESTClient(), "endpointslices", namespace},
		{client.CoordinationV1().RESTClient(), "leases", namespace},
	} {
		lw := cache.NewListWatchFromClient(kind.client, kind.resource, kind.namespace, fields.Everything())
		list, err := lw.ListWithContext(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		objects, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		for _, o := range objects {
			c.feed(version(o.(metav1.Object), false))
		}
		watcher, err := watchtools.NewRetryWatcherWithContext(ctx, list.(metav1.ListInterface).GetResourceVersion(), lw)
		if err != nil {
			return err
		}
		go func() {
			for event := range watcher.ResultChan() {
				switch o, is := event.Object.(metav1.Object); {
				case is && event.Type != watch.Bookmark:
					c.feed(version(o, event.Type == watch.Deleted))
				case event.Type == watch.Error:
					failed(fmt.Errorf("the watch of %s: %v", kind.resource, event.Object))
				}
			}
		}()
	}
	go c.judgeAll(ctx)
	return nil
}

// judgeAll feeds the judge with what has come, and prints what it finds.
func (c *chaos) judgeAll(ctx context.Context) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.lock.Lock()
		before := time.Now().Add(-hold)
		for _, i := range c.sequence.take(before) {
			i.feed(c.judge, i.at)
		}
		c.judge.pass(before)
		c.judge.look()
		found := c.judge.violations[c.told:]
		c.told = len(c.judge.violations)
		c.lock.Unlock()
		for _, v := range found {
			c.say("%s", v)
		}
	}
}

// version is the input of a version of an object.
func version(o metav1.Object, deleted bool) input {
	n, _ := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	return input{at: time.Now(), version: n, feed: func(j *judge, at time.Time) { j.see(at, o, deleted) }}
}
