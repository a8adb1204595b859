package controller

import (
	"context"
	"math"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
)

const (
	// censusValid is how long the number of pods is taken for true.
	censusValid = time.Minute
	// censusTimeout is how long the API server may take to count.
	censusTimeout = 2 * time.Second
)

// censusRetry is after how long pods that could not be counted are counted again.
var censusRetry = wait.Backoff{Duration: time.Second, Factor: 2, Steps: 6, Cap: time.Minute}

// census counts the pods of the cluster. It asks only when somebody wants to know.
type census struct {
	client kubernetes.Interface
	// counted is called after each answer, and when it is time to ask again, without the lock.
	counted func()

	lock   sync.Mutex
	wanted chan struct{}
	pods   int64
	at     time.Time // zero before the first answer
}

func newCensus(client kubernetes.Interface, counted func()) *census {
	return &census{client: client, counted: counted, wanted: make(chan struct{}, 1)}
}

// run counts whenever that is wanted, until ctx is done. What was not counted is wanted again
// later by whoever still needs it.
func (c *census) run(ctx context.Context) {
	retry := censusRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wanted:
		}
		if _, known := c.known(); known {
			continue
		}
		if err := c.count(ctx); err != nil {
			klog.FromContext(ctx).V(4).Info("Failed to count the pods", "reason", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retry.Step()):
			}
		} else {
			retry = censusRetry
		}
		c.counted()
	}
}

// count asks the API server. A page of one pod says how many follow. If it says only that there are
// more, they are taken for many.
func (c *census) count(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, censusTimeout)
	defer cancel()
	page, err := c.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	follow := int64(0)
	if page.Continue != "" {
		follow = math.MaxInt32
	}
	c.lock.Lock()
	defer c.lock.Unlock()
	c.pods, c.at = int64(len(page.Items))+ptr.Deref(page.RemainingItemCount, follow), time.Now()
	return nil
}

// known returns how many pods the cluster had within the last minute, if that is known.
func (c *census) known() (pods int64, known bool) {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.pods, !c.at.IsZero() && time.Since(c.at) < censusValid
}

// want has the pods counted. It does not wait.
func (c *census) want() {
	select {
	case c.wanted <- struct{}{}:
	default:
	}
}
