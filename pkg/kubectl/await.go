package kubectl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/util/wait"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// The controller writes the event of a refusal after the refusal, so the plugin polls for it.
const (
	refusalWithin = 3 * time.Second
	refusalEvery  = 100 * time.Millisecond
)

// errRefused: the controller has put the old holder back.
var errRefused = errors.New("refused")

// await waits until traffic goes to the pod that was requested.
func (o *switchoverCommand) await(ctx context.Context, f *follower, m *move, refusals map[types.UID]string) error {
	waiting, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	said := ""
	for {
		w, err := f.world(ctx)
		if err != nil {
			return err
		}
		epoch, stage, err := o.progress(w, m, f.seesSlices())
		switch {
		case errors.Is(err, errRefused):
			return o.why(ctx, m, refusals)
		case err != nil:
			return err
		case epoch > 0:
			note := ""
			if s := service(w.services, m.service.Namespace, m.service.Name); s != nil && w.look(s).Observed() {
				note = api.OnlyObserved
			}
			fmt.Fprintf(o.Out, "%s: master moved from %s to %s in %s (epoch %d)%s\n", o.service, m.from, m.pod, time.Since(m.sent).Round(time.Millisecond), epoch, note)
			return nil
		}
		if stage.says != "" && stage.says != said {
			said = stage.says
			fmt.Fprintf(o.ErrOut, "%s: %s\n", o.service, said)
		}
		if err := f.wait(waiting); err != nil {
			if waiting.Err() != nil && ctx.Err() == nil {
				return fmt.Errorf("timed out after %s: %s%s", o.timeout, stage.timedOut, o.besides(ctx, w, m, stage.timedOut))
			}
			return err
		}
	}
}

// stage is how far the controller has come.
type stage struct {
	// says is printed when the stage begins; empty for nothing.
	says string
	// timedOut is the error if the stage lasts for too long.
	timedOut string
}

// progress returns the epoch in which traffic goes to the pod, 0 if it does not yet.
func (o *switchoverCommand) progress(w *world, m *move, seesSlices bool) (epoch int32, at stage, err error) {
	s := service(w.services, m.service.Namespace, m.service.Name)
	if s == nil || s.UID != m.service.UID {
		return 0, at, fmt.Errorf("service %s was deleted, or is no longer annotated", o.service)
	}
	unheard := stage{timedOut: fmt.Sprintf("the controller has not reacted; is it running, and does it look after the namespace %s? "+
		"The edit stays in the Lease, and the controller follows it when it can. To take it back: %s",
		o.namespace, o.kubectl(`patch lease %s --type merge -p '{"spec":{"holderIdentity":%q}}'`, m.lease.Name, m.from))}
	seen := w.look(s)
	if seen.Lease == nil || older(seen.Lease.ResourceVersion, m.version) {
		return 0, unheard, nil
	}
	held := seen.View().Lease
	switch {
	case held.Holder == m.pod && held.HolderUID != m.fromUID && held.Epoch > m.epoch:
		for _, member := range seen.Members {
			if api.Observes(member.Service) {
				continue
			}
			if p, found := seen.Unpublished(member, held.HolderUID, true); found && routed(seen, member, held, seesSlices) {
				return 0, stage{timedOut: fmt.Sprintf("%s is master in epoch %d, but %s", m.pod, held.Epoch, p.Message)}, nil
			}
			if !routed(seen, member, held, seesSlices) {
				return 0, stage{timedOut: fmt.Sprintf("%s is master in epoch %d, but service %s does not route to it yet; to see why: %s", m.pod, held.Epoch, member.Name, o.kubectl("active-standby check %s", member.Name))}, nil
			}
		}
		return held.Epoch, at, nil
	case held.Epoch > m.epoch && held.HolderUID != m.fromUID:
		return 0, at, fmt.Errorf("%s became master instead, in epoch %d (%s)", held.Holder, held.Epoch, seen.Lease.Annotations[api.AnnotationReason])
	case held.Holder == m.pod:
		return 0, unheard, nil
	case held.Next == m.pod:
		return 0, handover(seen, m), nil
	}
	return 0, at, errRefused
}

// handover returns what the controller waits for before the pod can become master.
func handover(o *observation.Observation, m *move) stage {
	if d := election.Decide(o.View()); d.Reason == election.AwaitingExpiry {
		return stage{
			says:     fmt.Sprintf("waiting for the Lease to expire, because %s may not notice a new master before that", m.from),
			timedOut: fmt.Sprintf("the Lease has not expired yet; %s becomes master once it has", m.pod),
		}
	}
	return stage{
		says:     fmt.Sprintf("waiting for %s to terminate, before another pod becomes master (%s)", m.from, api.AnnotationHandover),
		timedOut: fmt.Sprintf("%s has not terminated yet; %s becomes master once it has", m.from, m.pod),
	}
}

// besides returns what is wrong with the Service beside what is said, for the end of a message; empty
// if nothing is known.
func (o *switchoverCommand) besides(ctx context.Context, w *world, m *move, said string) (text string) {
	s := service(w.services, m.service.Namespace, m.service.Name)
	if s == nil {
		return ""
	}
	// What may not be read is left out.
	problems, _ := o.withRefusal(ctx, s, statusOf(s, w.look(s)).Problems)
	for _, p := range problems {
		if p.Reason == statusPending || strings.Contains(said, p.Message) {
			continue
		}
		text += fmt.Sprintf("\n  %s: %s", p.Reason, p.Message)
		if p.Reason == api.ReasonWriteRefused && strings.Contains(p.Message, "deleting the pod") {
			text += "\n  for the right to delete pods, apply manifests/on-demote"
		}
	}
	return text
}

// older reports whether a resource version of the Lease is older than another.
func older(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}

// routed reports whether the Service's traffic goes to the holder, as far as the plugin may
// see. Where it may not read what traffic follows, the pod's label shows it, because the
// controller writes that last.
func routed(o *observation.Observation, m observation.Member, lease election.Lease, seesSlices bool) bool {
	switch {
	case m.Settings.Routing == api.RoutingSelector:
		return m.Spec.Selector[api.LabelPodUID] == string(lease.HolderUID) && observation.Stamp(m) >= lease.Epoch
	case m.Settings.Routing == api.RoutingEndpointSlice && seesSlices:
		for _, slice := range m.Slices {
			if observation.Stamp(slice) < lease.Epoch {
				return false
			}
		}
		return len(m.Slices) > 0
	}
	return slices.ContainsFunc(o.Pods, func(p observation.Pod) bool {
		// Another election designates a pod that is Elsewhere, so its label says nothing here.
		return p.UID == lease.HolderUID && (p.Elsewhere || p.Labels[api.LabelDesignation] == api.DesignationActive)
	})
}

// refusals returns the Service's events from before the request, by UID with their
// resource versions. Every other event is new.
func (o *switchoverCommand) refusals(ctx context.Context, m *move) (map[types.UID]string, error) {
	events, _, err := o.events(ctx, m.service)
	seen := map[types.UID]string{}
	for _, e := range events {
		seen[e.UID] = e.ResourceVersion
	}
	return seen, err
}

// why returns the controller's reason to refuse: from its event, or from what it would
// decide now if there is no such event.
func (o *switchoverCommand) why(ctx context.Context, m *move, before map[types.UID]string) error {
	note := ""
	// An error leaves the note empty.
	_ = wait.PollUntilContextTimeout(ctx, refusalEvery, refusalWithin, true, func(ctx context.Context) (bool, error) {
		events, allowed, err := o.events(ctx, m.service)
		for _, e := range events {
			if e.Type == corev1.EventTypeWarning && e.Reason == string(election.EditRefused) && e.Related != nil && e.Related.Name == m.pod && before[e.UID] != e.ResourceVersion {
				note = e.Note
			}
		}
		return note != "" || !allowed || err != nil, nil
	})
	if note != "" {
		return fmt.Errorf("the controller has refused: %s", note)
	}
	w, err := read(ctx, o.live(), o.namespace)
	if err != nil {
		return err
	}
	if _, err := o.choose(ctx, w); err != nil {
		return fmt.Errorf("the controller has refused: %w", err)
	}
	return fmt.Errorf("the controller has refused %s; to see why: %s", m.pod, o.kubectl("events --for service/%s", o.service))
}
