package kubectl

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

// standing returns what is wrong with the Service now: its problems, what traffic does not
// follow yet, and what the controller has yet to write.
func standing(o *observation.Observation, s *corev1.Service) (problems []problem) {
	for _, p := range o.Problems[s.UID] {
		problems = append(problems, problem{p.Reason, p.Message})
	}
	held := o.View().Lease
	if api.Observes(s) {
		if !routing.ReleaseService(s).Empty() {
			problems = append(problems, problem{statusPending, fmt.Sprintf("the controller has yet to take what it wrote from Service %s, which is only observed now", s.Name)})
		}
		return problems
	}
	i := slices.IndexFunc(o.Members, func(m observation.Member) bool { return m.UID == s.UID })
	if i < 0 || !held.Exists || held.Foreign || !o.SeesPublished {
		return problems
	}
	served := slices.ContainsFunc(o.View().Candidates, func(c election.Candidate) bool { return c.UID == held.HolderUID && c.Ineligible() == "" })
	if p, found := o.Unpublished(o.Members[i], held.HolderUID, served); found {
		problems = append(problems, problem{p.Reason, p.Message})
	}
	if election.Decide(o.View()).Writes(held) {
		// What follows from the Lease is about to change.
		return problems
	}
	plan := routing.NewPlan(routing.Assignment{HolderUID: held.HolderUID, Epoch: held.Epoch}, o.Members, o.Pods)
	if phase, changes := plan.Next(); phase < routing.PhaseDone {
		problems = append(problems, problem{statusPending, fmt.Sprintf("the controller has yet to write %s %s", changes[0].Kind, changes[0].Name)})
	}
	demoted := slices.IndexFunc(o.Pods, func(p observation.Pod) bool {
		return p.UID == lease.Demoted(o.Lease) && p.UID != held.HolderUID && observation.Active(p.Pod) && p.Managed()
	})
	if demoted >= 0 && o.Settings().DeleteDemoted {
		problems = append(problems, problem{statusPending, fmt.Sprintf("the controller has yet to delete Pod %s (%s)", o.Pods[demoted].Name, api.AnnotationOnDemote)})
	}
	return problems
}

// refusedWithin is for how long after its last event a refusal counts. The controller renews the
// event more often while the refusal lasts.
const refusedWithin = 15 * time.Minute

// withRefusal adds why the controller does not write what it has yet to write, if the API server
// refuses it. The controller has an event recorded then.
func (c connection) withRefusal(ctx context.Context, s *corev1.Service, problems []problem) ([]problem, error) {
	if !slices.ContainsFunc(problems, func(p problem) bool { return p.Reason == statusPending || p.Reason == statusNoLease }) {
		return problems, nil
	}
	events, _, err := c.events(ctx, s)
	if err != nil {
		return nil, err
	}
	note, last := "", time.Now().Add(-refusedWithin)
	for _, e := range events {
		at := e.EventTime.Time
		if e.Series != nil {
			at = e.Series.LastObservedTime.Time
		}
		if e.Reason == api.ReasonWriteRefused && at.After(last) {
			note, last = e.Note, at
		}
	}
	if note != "" {
		problems = append(problems, problem{api.ReasonWriteRefused, note})
	}
	return problems, nil
}
