package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"k8s.io/klog/v2"
)

const (
	// every is how often the master counts.
	every = 100 * time.Millisecond
	// writeTimeout is below a third of the shortest duration of a Lease, which is 3 s.
	// A master stops writing a third before its Lease expires, so no write is under way
	// when the Lease expires.
	writeTimeout = 500 * time.Millisecond
)

// app counts in the store while its pod is the master.
type app struct {
	pod   string
	epoch func(now time.Time) (epoch int32, master bool)
	store client

	// now is the epoch in which the pod is the master, or 0 if it is not.
	now int32
	// claimed is the latest epoch that this pod has told the store, and count is what it
	// has counted to in that epoch. refused is the latest epoch that the store has
	// refused, because it is over.
	claimed, refused int32
	count            int64
}

// run counts until ctx is done. Of failures in a row it logs the first one.
func (a *app) run(ctx context.Context) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			err := a.tick(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Failed to count")
			}
			failing = err != nil
		}
	}
}

// tick counts if the pod is the master. After a refusal the pod is no longer the master
// in that epoch, whatever it knows of the Lease.
func (a *app) tick(ctx context.Context) error {
	epoch, master := a.epoch(time.Now())
	if !master || epoch <= a.refused {
		epoch = 0
	}
	if epoch != a.now {
		if a.now != 0 {
			klog.FromContext(ctx).Info("This pod is no longer the master", "epoch", a.now)
		}
		if epoch != 0 {
			klog.FromContext(ctx).Info("This pod is the master", "epoch", epoch)
		}
		a.now = epoch
	}
	if epoch == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := a.work(ctx, epoch)
	if errors.Is(err, errOver) {
		klog.FromContext(ctx).Info("Store refused write", "epoch", epoch, "reason", err.Error())
		a.refused = epoch
		return nil
	}
	return err
}

// work counts one up. In a new epoch it writes before it reads. A write that a former
// master has under way then either comes first, and is read, or it is refused.
func (a *app) work(ctx context.Context, epoch int32) error {
	if epoch != a.claimed {
		if err := a.store.put(ctx, "master", epoch, a.pod); err != nil {
			return err
		}
		count, err := a.store.get(ctx, "count")
		if err != nil {
			return err
		}
		a.count, a.claimed = count, epoch
	}
	if err := a.store.put(ctx, "count", epoch, strconv.FormatInt(a.count+1, 10)); err != nil {
		return err
	}
	a.count++
	return nil
}
