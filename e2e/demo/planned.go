package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Scenes in which a user asks for something.

func (d *demo) switchover(ctx context.Context) error {
	title("A switchover by hand: the Lease's holder is edited")
	return d.switchAfter(ctx, func(master string) error {
		pods, _ := d.endpoints.ready(plain)
		other := pods[slices.IndexFunc(pods, func(pod string) bool { return pod != master })]
		return d.editHolder(ctx, other)
	})
}

func (d *demo) refused(ctx context.Context) error {
	title("A switchover that is refused")
	if err := d.editHolder(ctx, "no-such-pod"); err != nil {
		return err
	}
	pods, _ := d.endpoints.ready(service)
	if err := d.awaitHolder(ctx, pods[0]); err != nil {
		return err
	}
	say("The controller puts the holder back, and an event says why:\n")
	if err := d.show(ctx, "get", "lease", service); err != nil {
		return err
	}
	return d.showEvents(ctx)
}

func (d *demo) paused(ctx context.Context) error {
	title("A pause: the master stays, whatever happens")
	if err := d.show(ctx, "annotate", "service", service, "qoqo.dev/paused=true"); err != nil {
		return err
	}
	before, _ := d.endpoints.ready(service)
	master := before[0]
	say("The readiness probe of the master, %s, fails.\n", master)
	if err := d.setReady(ctx, master, corev1.ConditionFalse); err != nil {
		return err
	}
	if _, _, err := d.endpoints.await(ctx, service, func(ready []string) bool { return len(ready) == 0 }); err != nil {
		return err
	}
	if err := d.awaitEvent(ctx, "ElectionPaused"); err != nil {
		return err
	}
	say("No client is served. %s still holds the Lease, and an event says why:\n", master)
	if err := d.showLease(ctx); err != nil {
		return err
	}
	if err := d.show(ctx, "events", "--for", "service/"+service, "--types=Warning"); err != nil {
		return err
	}

	began := time.Now()
	if err := d.show(ctx, "annotate", "service", service, "qoqo.dev/paused-"); err != nil {
		return err
	}
	now, switched, err := d.endpoints.await(ctx, service, func(ready []string) bool { return len(ready) == 1 })
	if err != nil {
		return err
	}
	say("Master now:    %s\n", now[0])
	say("%8s  until the endpoint of the new master was there\n", milliseconds(switched.Sub(began)))
	if err := d.showLease(ctx); err != nil {
		return err
	}
	return d.heal(ctx)
}

func (d *demo) rollout(ctx context.Context) error {
	title("A rollout of the Deployment")
	before, err := d.lookAtMaster(ctx)
	if err != nil {
		return err
	}
	old, _ := d.endpoints.ready(plain)
	if err := d.show(ctx, "rollout", "restart", "deployment", service); err != nil {
		return err
	}
	if _, err := d.installation.Kubectl(ctx, "rollout", "status", "deployment", service, "--timeout=60s"); err != nil {
		return err
	}
	for name, pods := range map[string]int{plain: webPods, service: 1} {
		_, _, err := d.endpoints.await(ctx, name, func(ready []string) bool {
			return len(ready) == pods && !slices.ContainsFunc(ready, func(pod string) bool { return slices.Contains(old, pod) })
		})
		if err != nil {
			return err
		}
	}
	say("All pods have been replaced:\n")
	after, err := d.lookAtMaster(ctx)
	if err != nil {
		return err
	}
	if moves := after - before; moves != 1 {
		return fmt.Errorf("the master moved %d times, want once", moves)
	}
	say("The master moved once.")
	return nil
}

// lookAtMaster shows the Lease and the endpoints, and returns the epoch.
func (d *demo) lookAtMaster(ctx context.Context) (epoch int, err error) {
	if err := d.showLease(ctx); err != nil {
		return 0, err
	}
	for _, name := range []string{service, plain} {
		pods, _ := d.endpoints.ready(name)
		say("  %-8s %v", name, pods)
	}
	say("")
	text, err := d.installation.Kubectl(ctx, "get", "lease", service, "-o", "jsonpath={.spec.leaseTransitions}")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(text))
}

func (d *demo) optOut(ctx context.Context) error {
	title("Opting out")
	if err := d.show(ctx, "annotate", "service", service, "qoqo.dev/service-mode-"); err != nil {
		return err
	}
	if _, _, err := d.endpoints.await(ctx, service, func(ready []string) bool { return len(ready) > 1 }); err != nil {
		return err
	}
	if err := d.awaitHolder(ctx, ""); err != nil {
		return err
	}
	say("The Service has all its pods again. The Lease, the labels and the key in the selector are gone:\n")
	if err := d.look(ctx); err != nil {
		return err
	}
	return d.show(ctx, "get", "service", service, "-o", "wide")
}

// showLease shows the Lease's holder, and why it is the holder.
func (d *demo) showLease(ctx context.Context) error {
	return d.show(ctx, "get", "lease", service, "-o", `custom-columns=HOLDER:.spec.holderIdentity,EPOCH:.spec.leaseTransitions,REASON:.metadata.annotations.qoqo\.dev/reason`)
}

// awaitEvent waits for an event about the Service.
func (d *demo) awaitEvent(ctx context.Context, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	options := metav1.ListOptions{FieldSelector: "reason=" + reason + ",regarding.kind=Service,regarding.name=" + service}
	watching, err := d.client.EventsV1().Events(namespace).Watch(ctx, options)
	if err != nil {
		return err
	}
	defer watching.Stop()
	select {
	case _, more := <-watching.ResultChan():
		if more {
			return nil
		}
	case <-ctx.Done():
	}
	return fmt.Errorf("no event %s within %s", reason, patience)
}
