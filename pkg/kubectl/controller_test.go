package kubectl

import (
	"context"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/controller"
	"qoqo.dev/active-standby-controller/pkg/event"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// running is which controller a cluster has.
type running int

const (
	aController running = iota
	// aMuteController records no events.
	aMuteController
	noController
)

// start runs the controller until the test ends, and waits until it has nothing to do.
func (c *cluster) start(which running) {
	c.Helper()
	if which == noController {
		return
	}
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), ktesting.NewLogger(c.T, ktesting.NewConfig(ktesting.Verbosity(2)))))
	client := c.Server.Client(fakeapi.Latency, nil)
	recorder, recording := event.New(client, api.Domain+"/"+api.ManagedBy, "test"), sync.WaitGroup{}
	if which == aController {
		recording.Go(func() { recorder.Run(ctx) })
	}
	k, err := controller.New(client, recorder, nil, 25*time.Second, api.DrainTaints())
	if err != nil {
		c.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := k.Run(ctx); err != nil {
			c.Error(err)
		}
	}()
	c.Cleanup(func() {
		cancel()
		<-done
		recording.Wait()
		// The informers leave lists and watches behind that they are waiting for.
		<-time.After(fakeapi.Latency + fakeapi.Lag)
	})
	c.Settle()
}

// silence ends the heartbeats of one node, and waits until the controller takes it for
// dead. The others' heartbeats go on until then.
func (c *cluster) silence(node string, others ...string) {
	c.Helper()
	for _, name := range append(others, node) {
		c.Create(&coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: name},
			Spec:       coordinationv1.LeaseSpec{LeaseDurationSeconds: ptr.To[int32](40), RenewTime: ptr.To(metav1.NowMicro())},
		})
	}
	for range 4 {
		c.Wait(10 * time.Second)
		for _, name := range others {
			fakeapi.Edit(c.Cluster, c.Users.CoordinationV1().Leases(corev1.NamespaceNodeLease), name, func(l *coordinationv1.Lease) { l.Spec.RenewTime = ptr.To(metav1.NowMicro()) })
		}
	}
}
