package controller

import (
	"context"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// Reasons of Warning events that are not an election's.
const reasonSelectorReverted = "SelectorReverted"

// announce says what was decided, once it stands in the Lease. Only the
// replica that has written it does so.
func (c *Controller) announce(ctx context.Context, o *observation, d election.Decision) {
	logger := klog.FromContext(ctx)
	if d.Refused != nil {
		logger.V(2).Info("Refused an edit of the holder", "requested", d.Refused.Holder, "reason", d.Refused.Why)
		for _, m := range o.members {
			c.recorder.Eventf(m.Service, nil, corev1.EventTypeWarning, string(election.EditRefused), string(election.Switchover), "%s; %s", d.Refused.Message(), d.Message())
		}
	}
	logger.V(2).Info("Decided", "action", d.Action, "reason", d.Reason, "holder", d.Holder, "epoch", d.Epoch, "previous", d.Previous)
	if d.Action == election.Hold || d.Reason == election.EditRefused {
		return
	}
	holder := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: o.key.Namespace, Name: d.Holder, UID: d.HolderUID}
	for _, m := range o.members {
		c.recorder.Eventf(m.Service, holder, corev1.EventTypeNormal, string(d.Reason), string(d.Action), "%s", d.Message())
	}
}

// warn reports the problems that were not there at the last look.
func (c *Controller) warn(o *observation) {
	for _, s := range o.services {
		for _, problem := range c.warnings.appeared(s.UID, o.problems[s.UID]) {
			klog.Background().V(2).Info("Problem", "service", klog.KObj(s), "reason", problem.Reason, "message", problem.Message)
			c.recorder.Eventf(s, nil, corev1.EventTypeWarning, problem.Reason, "Check", "%s", problem.Message)
		}
	}
}

func (c *Controller) warnReverted(service *corev1.Service, manager string) {
	c.recorder.Eventf(service, nil, corev1.EventTypeWarning, reasonSelectorReverted, "Route",
		"the field manager %q had overwritten %s in the selector, which was put back; if that is a tool which applies manifests, let it ignore the key, or let it set %s: %s for routing by label",
		manager, api.LabelPodUID, api.LabelDesignation, api.DesignationActive)
}

// warnings remembers which problems a Service was last seen with, so that each
// is reported when it appears and not at every look.
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
