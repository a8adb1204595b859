package controller

import (
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

// withProbes adds to the observation what the pods have answered.
func (c *Controller) withProbes(o *observation.Observation) {
	o.Probed = map[types.UID]probe.State{}
	for _, p := range o.Pods {
		if state := c.prober.State(o.Key, p.UID); state != probe.Unknown {
			o.Probed[p.UID] = state
		}
	}
}

// wantProbes asks the pods of the election, and no others, from now on.
func (c *Controller) wantProbes(k key, targets []probe.Target) {
	c.prober.Want(k, targets)
	c.metrics.suspect(c.prober.Suspected)
}

// probed looks at the election, as one of its pods answers now or no longer does.
func (c *Controller) probed(k key) {
	c.metrics.suspect(c.prober.Suspected)
	c.queue.Add(k)
}

// targets are the pods that could be master, while the Service asks for a probe.
func targets(o *observation.Observation, holder types.UID) (targets []probe.Target) {
	asked := o.Members[0].Settings.Probe
	if asked == (api.Probe{}) {
		return nil
	}
	for _, p := range o.Pods {
		if !p.Unselected && p.DeletionTimestamp == nil && !observation.Finished(p.Pod) {
			targets = append(targets, probe.Target{Pod: p.UID, Address: p.Status.PodIP, Master: p.UID == holder, Probe: asked})
		}
	}
	return targets
}

// unanswered reports a master that is Ready, but out of the probe's reach.
func unanswered(o *observation.Observation, holder types.UID, state probe.State) {
	for _, p := range o.Pods {
		if p.UID == holder && observation.Ready(p.Pod) && state == probe.NeverAnswered {
			o.Problem(api.ReasonProbeUnanswered, fmt.Sprintf(
				"%s is Ready, but has not answered the probe %s since it became master; until it does, its readiness alone decides. Does a NetworkPolicy keep the controller out, or is the port another?",
				p.Name, o.Members[0].Settings.Probe))
		}
	}
}
