package controller

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// announce records the events of a decision that this replica has written into the Lease.
func (c *Controller) announce(ctx context.Context, o *observation.Observation, d election.Decision) {
	logger := klog.FromContext(ctx)
	if d.Refused != nil {
		logger.V(2).Info("Refused edit of holder", "requested", d.Refused.Holder, "reason", d.Refused.Why)
		// client-go merges events of one reason with the same related object.
		requested := podReference(o.Key.Namespace, shortened(d.Refused.Holder, 253), "")
		for _, m := range o.Members {
			c.recorder.Eventf(m.Service, requested, corev1.EventTypeWarning, string(election.EditRefused), string(election.Switchover), "%s", shortened(d.Refused.Message()+"; "+d.Message(), noteMax))
		}
	}
	logger.V(2).Info("Decided", "action", d.Action, "reason", d.Reason, "holder", d.Holder, "epoch", d.Epoch, "previous", d.Previous)
	if d.Action == election.Hold || d.Action == election.Stop || d.Reason == election.EditRefused {
		return
	}
	holder := podReference(o.Key.Namespace, d.Holder, d.HolderUID)
	for _, m := range o.Members {
		c.recorder.Eventf(m.Service, holder, corev1.EventTypeNormal, string(d.Reason), string(d.Action), "%s", d.Message())
	}
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

// announceDeleted records the event of a pod that was deleted.
func (c *Controller) announceDeleted(o *observation.Observation, d election.Decision, pod *corev1.Pod) {
	reason, action := api.ReasonHolderDemoted, "Delete"
	message := fmt.Sprintf("deleting %s: %s is master now (%s)", pod.Name, d.Holder, api.AnnotationOnDemote)
	if d.Action == election.Stop {
		reason, action, message = string(d.Reason), string(d.Action), d.Message()
	}
	for _, m := range o.Members {
		c.recorder.Eventf(m.Service, podReference(o.Key.Namespace, pod.Name, pod.UID), corev1.EventTypeNormal, reason, action, "%s", message)
	}
}

// warn records a Warning event of each problem that has appeared since the last
// reconciliation. Problems of one reason share an event, because client-go would drop all
// but the first.
func (c *Controller) warn(o *observation.Observation, d election.Decision) {
	for _, s := range o.Services {
		messages := map[string][]string{}
		for _, problem := range c.warnings.appeared(s.UID, c.problems(o, d, s)) {
			messages[problem.Reason] = append(messages[problem.Reason], problem.Message)
		}
		for reason, texts := range messages {
			note := shortened(strings.Join(texts, "; "), noteMax)
			klog.Background().V(2).Info("Problem", "service", klog.KObj(s), "reason", reason, "message", note)
			c.recorder.Eventf(s, nil, corev1.EventTypeWarning, reason, "Check", "%s", note)
		}
	}
}

// problems returns what the Service has now.
func (c *Controller) problems(o *observation.Observation, d election.Decision, s *corev1.Service) []api.Problem {
	problems := slices.Clone(o.Problems[s.UID])
	if !slices.ContainsFunc(o.Members, func(m observation.Member) bool { return m.UID == s.UID }) {
		return problems
	}
	if d.Problem() {
		problems = append(problems, api.Problem{Reason: string(d.Reason), Message: d.Message()})
	}
	if o.Lease != nil && lease.DeletionPause(o.Lease, o.Now) > 0 {
		if i := slices.IndexFunc(o.Pods, func(p observation.Pod) bool { return p.UID == mustGo(o, d, o.Lease) && observation.Active(p.Pod) }); i >= 0 {
			problems = append(problems, api.Problem{Reason: api.ReasonDeletionPaused, Message: fmt.Sprintf(
				"%s is deleted later (%s), because the master has moved more than five times within a minute", o.Pods[i].Name, api.AnnotationOnDemote)})
		}
	}
	if lease.Decode(o.Lease).HolderUID != d.HolderUID {
		// The pod has become master only now, or has yet to; its answers count from then on.
		return problems
	}
	if p, found := unanswered(o, d.HolderUID, c.prober.State(o.Key, d.HolderUID)); found {
		problems = append(problems, p)
	}
	return problems
}

// unanswered returns the problem of a master that is Ready but has never answered the probe.
func unanswered(o *observation.Observation, holder types.UID, state probe.State) (p api.Problem, found bool) {
	if state != probe.NeverAnswered {
		return p, false
	}
	for _, pod := range o.Pods {
		if pod.UID == holder && observation.Ready(pod.Pod) {
			return api.Problem{Reason: api.ReasonProbeUnanswered, Message: fmt.Sprintf(
				"%s is Ready, but has not answered the probe %s since it became master; until it does, only its readiness counts. Check NetworkPolicies and the port (%s)",
				pod.Name, o.Members[0].Settings.Probe, api.AnnotationProbe)}, true
		}
	}
	return p, false
}

// reverted implements listener.
func (c *Controller) reverted(service runtime.Object, r routing.Reversion) {
	instead := fmt.Sprintf("let it set %s: %s for routing by label", api.LabelDesignation, api.DesignationActive)
	if r.Key == api.LabelRouting {
		instead = fmt.Sprintf("let it set %s: %s itself", r.Key, api.RoutingEndpointSlice)
	}
	c.recorder.Eventf(service, nil, corev1.EventTypeWarning, api.ReasonSelectorReverted, "Route",
		"the field manager %q overwrote %s in the selector; it was put back. If %s applies manifests, let it ignore the key, or %s",
		r.Manager, r.Key, strconv.Quote(r.Manager), instead)
}

// warnings remembers the last problems of each Service, so that each is reported when it
// appears and not at every reconciliation.
type warnings struct {
	lock     sync.Mutex
	problems map[types.UID][]api.Problem
}

func newWarnings() *warnings { return &warnings{problems: map[types.UID][]api.Problem{}} }

func (w *warnings) appeared(uid types.UID, now []api.Problem) []api.Problem {
	w.lock.Lock()
	defer w.lock.Unlock()
	before := w.problems[uid]
	if len(now) == 0 {
		delete(w.problems, uid)
		return nil
	}
	w.problems[uid] = slices.Clone(now)
	return slices.DeleteFunc(slices.Clone(now), func(p api.Problem) bool { return slices.Contains(before, p) })
}

func (w *warnings) forget(uid types.UID) { w.appeared(uid, nil) }
