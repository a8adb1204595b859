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
	// writeTimeout is below a third of the shortest duration of a Lease, 3s, so that
	// no write is under way for longer than a master waits before the Lease expires.
	writeTimeout = 500 * time.Millisecond
)

// app counts in the store while its pod is the master.
type app struct {
	pod   string
	epoch func(now time.Time) (epoch int32, master bool)
	store client

	// now is the epoch in which the pod is the master, or 0.
	now int32
	// claimed is the latest epoch that the store knows of from this pod, and count
	// what it has counted to in it. refused is the latest that the store says is over.
	claimed, refused int32
	count            int64
}

// run works until ctx is done.
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
				klog.FromContext(ctx).Error(err, "Cannot count")
			}
			failing = err != nil
		}
	}
}

// tick counts if the pod is the master. The pod no longer is if the store says so,
// whatever it knows of the Lease.
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
		klog.FromContext(ctx).Info("Refused", "epoch", epoch, "reason", err.Error())
		a.refused = epoch
		return nil
	}
	return err
}

// work counts one up. In a new epoch it writes before it reads: what a former
// master has under way comes either before, and is read, or is refused.
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
