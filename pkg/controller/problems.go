package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/probe"
)

const (
	// patience is how long a problem that may end by itself must last before it is reported:
	// Kubernetes' controller follows in milliseconds, on a busy cluster in seconds.
	patience = 5 * time.Second
	// toldFor is how long a problem that stands is not reported again. Events are kept for an
	// hour.
	toldFor = 10 * time.Minute
)

// problems returns what the Service has now. The reconciliation ended with err.
func (c *Controller) problems(o *observation.Observation, d election.Decision, s *corev1.Service, err error) []api.Problem {
	problems := slices.Clone(o.Problems[s.UID])
	m := o.Member(s.UID)
	if m == nil || len(o.Members) == 0 {
		return problems
	}
	switch {
	case d.Problem():
		problems = append(problems, api.Problem{Reason: string(d.Reason), Message: o.Says(d, s)})
	case d.Action == election.Stop && o.Observed():
		problems = append(problems, api.Problem{Reason: string(election.AwaitingTermination), Message: o.Says(d, s)})
	}
	if o.Lease != nil && lease.DeletionPause(o.Lease, o.Now) > 0 {
		if i := slices.IndexFunc(o.Pods, func(p observation.Pod) bool { return p.UID == mustGo(o, d, o.Lease) && observation.Active(p.Pod) }); i >= 0 {
			problems = append(problems, api.Problem{Reason: api.ReasonDeletionPaused, Message: fmt.Sprintf(
				"%s is deleted later (%s), because the master has moved more than five times within a minute", o.Pods[i].Name, api.AnnotationOnDemote)})
		}
	}
	if d.Action == election.Failover && lease.MovePause(o.Lease, o.Now) > 0 {
		problems = append(problems, api.Problem{Reason: api.ReasonMovesPaused, Message: fmt.Sprintf(
			"the master has moved %d times within a minute, so that it moves only every few seconds; look for pods that fail in turn, or programs that edit the Lease", lease.MovesKept)})
	}
	if p, found := refusal(err); found {
		problems = append(problems, p)
	}
	if p, found := unprobed(o); found && !c.ProbeAnyAddress {
		problems = append(problems, p)
	}
	if d.Action == election.Refuse || lease.Decode(o.Lease).HolderUID != d.HolderUID {
		// The pod has become master only now, or has yet to. What is published, and what it
		// answers, counts from then on.
		return problems
	}
	if p, found := o.Unpublished(*m, d.HolderUID, d.Served()); found {
		problems = append(problems, p)
	}
	if p, found := unanswered(o, d.HolderUID, c.prober.State(o.Key, d.HolderUID)); found {
		problems = append(problems, p)
	}
	return problems
}

// unpublished reads from the API server whether what is published of the Service is still
// wrong: the cache may be behind.
func (c *Controller) unpublished(ctx context.Context, seen *observation.Observation, service types.UID) bool {
	in, err := c.live.Election(ctx, seen.Inputs)
	if err != nil {
		return false
	}
	o := observation.Look(in)
	i := slices.IndexFunc(o.Members, func(m observation.Member) bool { return m.UID == service })
	if i < 0 {
		return false
	}
	holder := lease.Decode(o.Lease).HolderUID
	_, found := o.Unpublished(o.Members[i], holder, slices.ContainsFunc(o.View().Candidates, func(c election.Candidate) bool { return c.UID == holder && c.Ineligible() == "" }))
	return found
}

// unprobed returns the problem of candidates that are not probed although the Service asks for it.
func unprobed(o *observation.Observation) (p api.Problem, found bool) {
	if !o.WantsProbe() {
		return p, false
	}
	var barredPods []string
	for _, pod := range o.Pods {
		if !pod.Unselected && observation.Active(pod.Pod) {
			if why := barred(pod.Pod); why != "" {
				barredPods = append(barredPods, pod.Name+" is not probed, because "+why)
			}
		}
	}
	if len(barredPods) == 0 {
		return p, false
	}
	return api.Problem{Reason: api.ReasonProbeUnanswered, Message: slices.Min(barredPods) + "; only its readiness counts. An administrator can allow it with --probe-any-address"}, true
}

// unanswered returns the problem of a master that is Ready but has never answered the probe.
func unanswered(o *observation.Observation, holder types.UID, state probe.State) (p api.Problem, found bool) {
	if state != probe.NeverAnswered {
		return p, false
	}
	for _, pod := range o.Pods {
		if pod.UID == holder && observation.Ready(pod.Pod) {
			asked, _ := o.Settings().Probe.Of(pod.Pod)
			return api.Problem{Reason: api.ReasonProbeUnanswered, Message: fmt.Sprintf(
				"%s is Ready, but has not answered the probe %s since it became master; until it does, only its readiness counts. Check NetworkPolicies and the port (%s)",
				pod.Name, asked.Shown(), api.AnnotationProbe)}, true
		}
	}
	return p, false
}

// refusal returns the problem if the API server does not let the controller write. Of several
// refusals the first is named. A webhook that cannot be called is an internal error.
func refusal(err error) (p api.Problem, found bool) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			if p, found := refusal(one); found {
				return p, true
			}
		}
		return p, false
	}
	if !refused(err) && !apierrors.IsInternalError(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return p, false
	}
	return api.Problem{Reason: api.ReasonWriteRefused, Message: fmt.Sprintf("the API server refuses a write of the controller: %v", err)}, true
}

// warnings remembers the problems of each Service, so that each is reported when it appears,
// and then rarely, and not at every reconciliation.
type warnings struct {
	lock     sync.Mutex
	problems map[types.UID]map[api.Problem]standing
}

// standing is a problem that has not ended.
type standing struct {
	// since is when a problem of that reason appeared.
	since time.Time
	// told is when the problem was last reported; zero if it has not been.
	told time.Time
}

func newWarnings() *warnings {
	return &warnings{problems: map[types.UID]map[api.Problem]standing{}}
}

// saw takes the problems that the Service has now. It returns those that must be reported, and
// after how long to look again for others; 0 is never.
func (w *warnings) saw(uid types.UID, now []api.Problem, at time.Time) (report []api.Problem, again time.Duration) {
	w.lock.Lock()
	defer w.lock.Unlock()
	before, stands := w.problems[uid], map[api.Problem]standing{}
	for _, p := range now {
		s, known := before[p]
		if !known {
			s.since = at
			for other, o := range before {
				if other.Reason == p.Reason && o.since.Before(s.since) && lasting(p) {
					s.since = o.since
				}
			}
		}
		remaining := s.since.Add(patience).Sub(at)
		switch {
		case lasting(p) && remaining > 0:
			again = soonest(again, remaining)
		case s.told.IsZero() || lasting(p) && at.Sub(s.told) >= toldFor:
			s.told = at
			report = append(report, p)
		}
		stands[p] = s
	}
	if w.problems[uid] = stands; len(stands) == 0 {
		delete(w.problems, uid)
	}
	return report, again
}

// withdraw takes back a problem that was to be reported, because it has ended meanwhile.
func (w *warnings) withdraw(uid types.UID, p api.Problem) {
	w.lock.Lock()
	defer w.lock.Unlock()
	delete(w.problems[uid], p)
}

// lastingReasons are those of problems that may end by themselves, and count only if they last.
// While they stand, the event is renewed, because nothing else in the cluster shows them.
var lastingReasons = []string{api.ReasonNotPublished, api.ReasonWriteRefused}

func lasting(p api.Problem) bool { return slices.Contains(lastingReasons, p.Reason) }

// count returns how many Services have a problem that was reported, by its reason. Those that
// last are counted also if there are none: alerts are made of them.
func (w *warnings) count() map[string]int {
	w.lock.Lock()
	defer w.lock.Unlock()
	count := map[string]int{}
	for _, reason := range lastingReasons {
		count[reason] = 0
	}
	for _, problems := range w.problems {
		reasons := map[string]bool{}
		for p, s := range problems {
			reasons[p.Reason] = reasons[p.Reason] || !s.told.IsZero()
		}
		for reason, told := range reasons {
			if told {
				count[reason]++
			}
		}
	}
	return count
}

// reported reports whether one of the Services has a problem that was reported.
func (w *warnings) reported(services []types.UID) bool {
	w.lock.Lock()
	defer w.lock.Unlock()
	for _, uid := range services {
		for _, s := range w.problems[uid] {
			if !s.told.IsZero() {
				return true
			}
		}
	}
	return false
}

// standing returns the Service's problems that were reported, in the order of their reasons.
func (w *warnings) standing(uid types.UID) (stands []api.Problem) {
	w.lock.Lock()
	defer w.lock.Unlock()
	for p, s := range w.problems[uid] {
		if !s.told.IsZero() {
			stands = append(stands, p)
		}
	}
	slices.SortFunc(stands, func(a, b api.Problem) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	return stands
}

func (w *warnings) forget(uid types.UID) { w.saw(uid, nil, time.Time{}) }
