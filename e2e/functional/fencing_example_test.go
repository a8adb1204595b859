//go:build e2e

package functional

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Each step of examples/fencing/README.md does what the page says, in its order.
func TestFencingExample(t *testing.T) {
	s := newScene(t)
	s.example("fencing")
	s.awaitRollout("deployment/fencing-store")
	s.awaitRollout("deployment/fencing")
	frozen := *s.awaitMaster("fencing", 1, anyPod).Spec.HolderIdentity
	s.awaitCounting(1)
	stop := s.watchCount()

	stopped := time.Now()
	s.signal(frozen, "SIGSTOP")
	lease := s.awaitMaster("fencing", 2, anyPod)
	master := *lease.Spec.HolderIdentity
	if master == frozen {
		t.Fatalf("the frozen pod %s is still the master", master)
	}
	s.awaitCounting(2)
	t.Logf("The next master writes %s after the former master froze", s.awaitLine(s.storePod(), `"New epoch began"`, "epoch=2").at.Sub(stopped).Round(time.Millisecond))

	woken := time.Now()
	s.signal(frozen, "SIGCONT")
	t.Logf("The former master notices %s after it woke up", s.awaitLine(frozen, fencingStopped, "epoch=1").at.Sub(woken).Round(time.Millisecond))
	s.eventually(frozen+" is a standby", func() error {
		pod := s.pod(frozen)
		if pod.Labels[api.LabelDesignation] != api.DesignationStandby {
			return fmt.Errorf("it is labelled %v", pod.Labels)
		}
		return readiness(*pod)
	})
	s.awaitMaster("fencing", 2, master)
	s.awaitCounting(2)
	for _, line := range s.lines(frozen, fencingBegan) {
		if line.at.After(woken) {
			t.Errorf("%s has taken itself for the master again: %v", frozen, line)
		}
	}

	s.editHolder("fencing", frozen)
	lease = s.awaitMaster("fencing", 3, frozen)
	former := master
	master = frozen
	s.awaitCounting(3)
	moved := lease.Spec.AcquireTime.Time
	t.Logf("Planned switchover: the former master stops %s and the next master writes %s after the Lease has changed",
		s.awaitLine(former, fencingStopped, "epoch=2").at.Sub(moved).Round(time.Millisecond),
		s.awaitLine(s.storePod(), `"New epoch began"`, "epoch=3").at.Sub(moved).Round(time.Millisecond))

	s.kubectl("delete", "pod", master, "--wait=false")
	master = *s.awaitMaster("fencing", 4, anyPod).Spec.HolderIdentity
	s.awaitCounting(4)

	err := cluster.Client.CoreV1().RESTClient().Put().Namespace(s.namespace).Resource("services").Name("fencing-store:http").SubResource("proxy").
		Suffix("count").Param("epoch", "1").Body([]byte("0")).Do(t.Context()).Error()
	if !apierrors.IsConflict(err) {
		t.Errorf("a write in epoch 1 is answered with %v, want a conflict", err)
	}

	s.withoutController(func() {
		s.awaitLine(master, fencingStopped, "epoch=4")
	})
	s.awaitCounting(4)
	// More than two, if on a busy machine its Lease has expired another time.
	if lines := s.lines(master, fencingBegan); len(lines) < 2 {
		t.Errorf("%s has taken itself for the master %d times, want before the controller was away and after: %v", master, len(lines), lines)
	}

	stop()
	t.Logf("The store has refused %d writes", len(s.lines(s.storePod(), `"Refused a write"`)))
	s.guard.MayGo("fencing")
	s.kubectl("delete", "-f", cluster.Path("examples", "fencing"))
	s.awaitNothingLeft()
}

// What the example's pods log when they begin and cease to act as master.
const (
	fencingBegan   = `"This pod is the master"`
	fencingStopped = `"This pod is no longer the master"`
)

func (s *scene) signal(pod, signal string) {
	s.Helper()
	if err := cluster.Signal(s.Context(), s.namespace, pod, signal); err != nil {
		s.Fatal(err)
	}
}

// lines returns the lines of the pod's log that contain all of these parts.
func (s *scene) lines(pod string, parts ...string) []logLine {
	s.Helper()
	return slices.DeleteFunc(s.log(pod), func(line logLine) bool {
		return slices.ContainsFunc(parts, func(part string) bool {
			// With a space, so that epoch=1 does not match epoch=10.
			return !strings.Contains(line.text+" ", part+" ")
		})
	})
}

// awaitLine waits until the pod's log has a line with these parts, and returns the first.
func (s *scene) awaitLine(pod string, parts ...string) (first logLine) {
	s.Helper()
	s.eventually(fmt.Sprintf("%s logs %v", pod, parts), func() error {
		lines := s.lines(pod, parts...)
		if len(lines) == 0 {
			return fmt.Errorf("no line has all of these")
		}
		first = lines[0]
		return nil
	})
	return first
}

func (s *scene) storePod() string {
	s.Helper()
	for name := range s.pods("fencing-store") {
		return name
	}
	s.Fatal("the store has no pod")
	return ""
}

// counted is the store's count and its epoch.
type counted struct {
	epoch int32
	count int
}

func (s *scene) count(ctx context.Context) (c counted, err error) {
	body, err := cluster.Client.CoreV1().Services(s.namespace).ProxyGet("http", "fencing-store", "http", "count", nil).DoRaw(ctx)
	if err != nil {
		return c, err
	}
	var answer struct {
		Value string
		Epoch int32
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return c, err
	}
	c.epoch = answer.Epoch
	c.count, err = strconv.Atoi(answer.Value)
	return c, err
}

// awaitCounting waits until the store's count rises in that epoch.
func (s *scene) awaitCounting(epoch int32) {
	s.Helper()
	var before counted
	s.eventually(fmt.Sprintf("the store counts in epoch %d", epoch), func() error {
		now, err := s.count(s.Context())
		if err != nil {
			return err
		}
		defer func() { before = now }()
		if now.epoch != epoch || before.epoch != epoch || now.count <= before.count {
			return fmt.Errorf("the store had %+v, and has %+v", before, now)
		}
		return nil
	})
}

// watchCount fails the test if the store's epoch or count falls, as it would if the store
// accepted a write of a former master. It watches until stop is called or the test ends.
func (s *scene) watchCount() (stop func()) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		var before counted
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			now, err := s.count(ctx)
			if err != nil {
				continue // this watches what the store has, not whether it can be reached
			}
			if now.epoch < before.epoch || now.count < before.count {
				s.Errorf("the store had %+v, and has %+v", before, now)
			}
			before = now
		}
	})
	stop = sync.OnceFunc(func() { cancel(); watching.Wait() })
	s.Cleanup(stop)
	return stop
}
