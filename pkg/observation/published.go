package observation

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// Unpublished returns what is wrong with what the member's EndpointSlices list, its own and
// those of Kubernetes' controller: a pod other than the holder gets traffic, or the holder,
// which is eligible if served is true, gets none. It is right only a moment after a write:
// then Kubernetes' controller has not followed yet. Slices of other managers have a problem of
// their own. Of a Service that observes nothing is wrong.
func (o *Observation) Unpublished(m Member, holder types.UID, served bool) (p api.Problem, found bool) {
	var others []string
	listed := false
	for uid, pod := range m.Published {
		if uid == holder {
			listed = true
		} else {
			others = append(others, pod)
		}
	}
	slices.Sort(others)
	name := "the master"
	if holder == "" {
		name = "no pod"
	}
	if i := slices.IndexFunc(o.Pods, func(p Pod) bool { return p.UID == holder }); i >= 0 {
		name = o.Pods[i].Name
		served = served && m.Routes(&o.Pods[i]) != nil
	}
	switch {
	case !o.SeesPublished, api.Observes(m.Service), len(others) == 0 && (listed || !served):
		return p, false
	case len(others) > 0 && listed:
		p.Message = fmt.Sprintf("traffic goes to %s beside %s, which is master", strings.Join(others, ", "), name)
	case len(others) > 0:
		p.Message = fmt.Sprintf("traffic goes to %s, and not to %s, which is master", strings.Join(others, ", "), name)
	default:
		p.Message = fmt.Sprintf("traffic goes to no pod, though %s is master", name)
	}
	p.Reason = api.ReasonNotPublished
	p.Message = "the EndpointSlices of the Service are not as they should be: " + p.Message
	return p, true
}
