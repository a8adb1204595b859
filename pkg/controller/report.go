package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// announce records the events of a decision that this replica has written into the Lease.
func (c *Controller) announce(ctx context.Context, o *observation.Observation, d election.Decision) {
	logger := klog.FromContext(ctx)
	if d.Refused != nil {
		logger.V(2).Info("Refused edit of holder", "requested", logged(d.Refused.Holder), "reason", d.Refused.Why)
		// client-go merges events of one reason with the same related object.
		requested := podReference(o.Key.Namespace, shortened(d.Refused.Holder, 253), "")
		for _, m := range announced(o) {
			c.recorder.Eventf(m.Service, requested, corev1.EventTypeWarning, string(election.EditRefused), string(election.Switchover), "%s", shortened(d.Refused.Message()+"; "+o.Says(d, m.Service), noteMax))
		}
	}
	logger.V(2).Info("Decided", "action", d.Action, "reason", d.Reason, "holder", logged(d.Holder), "epoch", d.Epoch, "previous", logged(d.Previous))
	if d.Action == election.Hold || d.Action == election.Stop || d.Reason == election.EditRefused {
		return
	}
	holder := podReference(o.Key.Namespace, d.Holder, d.HolderUID)
	for _, m := range announced(o) {
		c.recorder.Eventf(m.Service, holder, corev1.EventTypeNormal, string(d.Reason), string(d.Action), "%s", shortened(o.Says(d, m.Service), noteMax))
	}
}

// announcedMax is on how many Services of an election an event is recorded.
const announcedMax = 5

// announced returns the Services on which what happens to the election is recorded: the first
// ones. An edit of one Lease must not make an event for each Service that shares it.
func announced(o *observation.Observation) []observation.Member {
	all := slices.Concat(o.Members, o.Observers)
	return all[:min(len(all), announcedMax)]
}

func podReference(namespace, name string, uid types.UID) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name, UID: uid}
}

// noteMax is the API server's limit of an event's note, in bytes.
const noteMax = 1024

// shortened cuts a text that quotes a user's value to so many bytes.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const omitted = "..."
	return strings.ToValidUTF8(text[:most-len(omitted)], "") + omitted
}

// logged returns a text of another user's as one short line without control characters. klog
// writes a text of several lines as it is.
func logged(text string) string {
	text = shortened(text, noteMax)
	if strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strings.Trim(strconv.Quote(text), `"`)
	}
	return text
}

// announceDeleted records the event of a pod that was deleted.
func (c *Controller) announceDeleted(o *observation.Observation, d election.Decision, pod *corev1.Pod) {
	reason, action := api.ReasonHolderDemoted, "Delete"
	message := fmt.Sprintf("deleting %s: %s is master now (%s)", pod.Name, d.Holder, api.AnnotationOnDemote)
	if d.Action == election.Stop {
		reason, action, message = string(d.Reason), string(d.Action), d.Message()
	}
	for _, m := range o.Members[:min(len(o.Members), announcedMax)] {
		c.recorder.Eventf(m.Service, podReference(o.Key.Namespace, pod.Name, pod.UID), corev1.EventTypeNormal, reason, action, "%s", message)
	}
}

// warn records a Warning event of each problem that has appeared, and the condition of each
// Service. It returns after how long to look again.
func (c *Controller) warn(ctx context.Context, o *observation.Observation, d election.Decision, err error) (again time.Duration) {
	for _, s := range o.Services {
		report, sooner := c.warnings.saw(s.UID, c.problems(o, d, s, err), o.Now)
		again = soonest(again, sooner)
		for _, p := range report {
			if p.Reason == api.ReasonNotPublished && !c.unpublished(ctx, o, s.UID) {
				c.warnings.withdraw(s.UID, p)
				again = soonest(again, patience)
				continue
			}
			note := shortened(p.Message, noteMax)
			klog.Background().V(2).Info("Problem", "service", klog.KObj(s), "reason", p.Reason, "message", logged(note))
			c.recorder.Eventf(s, nil, corev1.EventTypeWarning, p.Reason, "Check", "%s", note)
		}
		again = soonest(again, c.showReady(ctx, o, d, s))
	}
	return again
}

// hint tells of a Service whose opt-in is misspelt. Such a Service has no election that would report it.
func (c *Controller) hint(s *corev1.Service) {
	misspelt := api.MisspeltMode(s)
	if misspelt == "" {
		return
	}
	problem := api.Problem{Reason: api.ReasonUnknownAnnotation, Message: fmt.Sprintf("annotation %s is not known; did you mean %s? The Service is left as it is", misspelt, api.AnnotationServiceMode)}
	report, _ := c.warnings.saw(s.UID, []api.Problem{problem}, time.Now())
	for _, p := range report {
		c.recorder.Eventf(s, nil, corev1.EventTypeWarning, p.Reason, "Check", "%s", shortened(p.Message, noteMax))
	}
}

// reverted implements listener.
func (c *Controller) reverted(service runtime.Object, r routing.Reversion) {
	if s, is := service.(*corev1.Service); is && r.Inferred {
		if _, seen := c.routedOnce.Get(s.UID); !seen {
			return
		}
	}
	constant := fmt.Sprintf("%s: %s in the selector, for routing by label", api.LabelDesignation, api.DesignationActive)
	if r.Key == api.LabelRouting {
		constant = fmt.Sprintf("%s: %s in the selector itself", r.Key, api.RoutingEndpointSlice)
	}
	c.recorder.Eventf(service, nil, corev1.EventTypeWarning, api.ReasonSelectorReverted, "Route",
		"the field manager %.200q overwrote %s in the selector; it was put back. Until then all Ready pods may have got traffic. If it applies manifests: apply manifests/fail-closed, or let it set a constant key, which is %s",
		r.Manager, r.Key, constant)
}

// optedOut implements listener. It tells the users of Services which are left with fewer
// endpoints than a plain Service has.
func (c *Controller) optedOut(services []*corev1.Service, follows bool) {
	for _, s := range services {
		if problem, found := routing.LeftBy(s, follows); found {
			c.recorder.Eventf(s, nil, corev1.EventTypeWarning, problem.Reason, "Release", "%s", problem.Message)
		}
	}
}
