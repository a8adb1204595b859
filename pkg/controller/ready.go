package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
	"qoqo.dev/active-standby-controller/pkg/routing"
)

const (
	// othersPatience is how long a condition must be wrong before a replica writes it that did not
	// write the Lease last. Two replicas that see different things would otherwise write in turns.
	othersPatience = time.Minute
	// conditionRetry is after how long a condition is tried again that was refused, and conditionAgain
	// if the API server was only busy.
	conditionRetry, conditionAgain = 10 * time.Minute, time.Minute
	// conditionTimeout bounds the request, because the election's next look waits for it, and
	// conditionLater is when it is made if others wait.
	conditionTimeout, conditionLater = 2 * time.Second, time.Second
)

// These messages name no pod, so that a failover writes no condition.
const (
	messageReady    = "the master that the Lease names is eligible, and alone gets the traffic"
	messageObserved = "the master that the Lease names is eligible, and alone would get the traffic" + api.OnlyObserved
)

// misrouted are the reasons of problems with which the traffic does not go to the master, or not
// there alone, though the controller's part is done.
var misrouted = []string{api.ReasonNoCommonCandidate, api.ReasonForeignEndpointSlice, api.ReasonPortUnresolved}

// readiness returns the condition that the Service must have by what was seen; false if that does
// not tell. stands are the Service's problems that were reported.
func readiness(o *observation.Observation, d election.Decision, s *corev1.Service, stands []api.Problem) (c metav1.Condition, known bool) {
	c = metav1.Condition{Type: api.ConditionMasterReady, Status: metav1.ConditionFalse}
	m, observes := o.Member(s.UID), api.Observes(s)
	if observes {
		c.Status = metav1.ConditionUnknown
	}
	switch {
	case m == nil && len(stands) == 0, m != nil && !o.SeesPublished && !observes:
		return c, false
	case m == nil:
		c.Reason, c.Message = stands[0].Reason, stands[0].Message
		return c, true
	}
	says := func(p api.Problem) (metav1.Condition, bool) {
		c.Reason, c.Message = p.Reason, p.Message
		return c, true
	}
	if len(o.Members) == 0 {
		return says(o.Unserved())
	}
	unwritten, refused := ofReasons(stands, api.ReasonWriteRefused)
	current := d.Action != election.Refuse && lease.Decode(o.Lease).HolderUID == d.HolderUID
	switch {
	case !current && d.Served() && !refused:
		// What was decided is about to be written.
		return c, false
	case (!current || !d.Served()) && refused:
		return says(unwritten)
	case !current || !d.Served():
		return says(api.Problem{Reason: string(d.Reason), Message: o.Says(d, s)})
	}
	if p, found := ofReasons(stands, misrouted...); found {
		return says(p)
	}
	if p, found := o.Unpublished(*m, d.HolderUID, d.Served()); found {
		return says(p)
	}
	if observes {
		return says(api.Problem{Reason: api.Observed, Message: messageObserved})
	}
	c.Status = metav1.ConditionTrue
	return says(api.Problem{Reason: api.MasterReady, Message: messageReady})
}

// ofReasons returns the first of the problems that has one of the reasons.
func ofReasons(problems []api.Problem, reasons ...string) (p api.Problem, found bool) {
	i := slices.IndexFunc(problems, func(p api.Problem) bool { return slices.Contains(reasons, p.Reason) })
	if i < 0 {
		return p, false
	}
	return problems[i], true
}

// conditions remembers since when each Service must have another condition than it has.
type conditions struct {
	lock  sync.Mutex
	wrong map[types.UID]wrong
}

type wrong struct {
	reason string
	status metav1.ConditionStatus
	since  time.Time
	// retry is when a condition that could not be written is tried again.
	retry time.Time
}

func newConditions() *conditions { return &conditions{wrong: map[types.UID]wrong{}} }

// due returns after how long the Service must be given the condition; 0 is now. It has had another
// one, or none, since it was asked for first. patience is how long it may have that.
func (c *conditions) due(uid types.UID, want metav1.Condition, patience time.Duration, now time.Time) time.Duration {
	c.lock.Lock()
	defer c.lock.Unlock()
	w, found := c.wrong[uid]
	if !found || w.reason != want.Reason || w.status != want.Status {
		w = wrong{want.Reason, want.Status, now, w.retry}
		c.wrong[uid] = w
	}
	return max(0, w.since.Add(patience).Sub(now), w.retry.Sub(now))
}

func (c *conditions) couldNot(uid types.UID, retry time.Time) {
	c.lock.Lock()
	defer c.lock.Unlock()
	w := c.wrong[uid]
	w.retry = retry
	c.wrong[uid] = w
}

func (c *conditions) forget(uid types.UID) {
	c.lock.Lock()
	defer c.lock.Unlock()
	delete(c.wrong, uid)
}

// showReady writes the condition of the Service, if it is another than the Service has, and
// returns after how long to look again; 0 is never. That there is a master is written at once. That
// there is none must last: a failover writes nothing.
func (c *Controller) showReady(ctx context.Context, o *observation.Observation, d election.Decision, s *corev1.Service) (again time.Duration) {
	uid := s.UID
	stands := c.warnings.standing(uid)
	want, known := readiness(o, d, s, stands)
	if !known {
		return 0
	}
	want.Message = shortened(want.Message, noteMax)
	s, found := c.services.in(s.Namespace).get(key{Namespace: s.Namespace, Name: s.Name})
	if !found || s.UID != uid {
		return 0
	}
	// What this look has written to the Service counts.
	have := observation.Condition(s)
	if have != nil && have.Status == want.Status && have.Reason == want.Reason && have.Message == want.Message {
		c.conditions.forget(uid)
		return 0
	}
	wait := patience
	switch {
	case have != nil && have.Status == want.Status && have.Reason == want.Reason:
		// The text alone may change at each try.
		wait = toldFor
	case o.Lease == nil:
		wait += time.Duration(c.lag(o.Key) * float64(patience))
	case !c.turns.own(o.Key, o.Lease):
		// After a restart that is so of all Leases.
		wait = othersPatience + time.Duration(c.lag(o.Key)*float64(othersPatience))
	case want.Status == metav1.ConditionTrue, want.Reason == api.Observed:
		wait = 0
	}
	if again = c.conditions.due(uid, want, wait, o.Now); again > 0 {
		return again
	}
	if _, reported := ofReasons(stands, want.Reason); want.Reason == api.ReasonNotPublished && !reported {
		// What the cache shows may be old until it is reported.
		return 0
	}
	if c.crowded() {
		return conditionLater
	}
	want.LastTransitionTime = metav1.NewTime(o.Now)
	if have != nil && have.Status == want.Status {
		want.LastTransitionTime = have.LastTransitionTime
	}
	ctx, cancel := context.WithTimeout(ctx, conditionTimeout)
	defer cancel()
	switch w := c.send(ctx, routing.SetCondition(s, want)); {
	case apierrors.IsNotFound(w.err):
		c.conditions.forget(uid)
	case apierrors.IsConflict(w.err):
		// Who has changed the Service wakes its election.
	case w.err != nil:
		klog.FromContext(ctx).V(2).Info("Failed to write a condition, will retry", "service", klog.KObj(s), "reason", logged(w.err.Error()))
		retry := conditionAgain
		if refused(w.err) {
			retry = conditionRetry
		}
		c.conditions.couldNot(uid, o.Now.Add(retry))
		return retry
	default:
		c.conditions.forget(uid)
	}
	return 0
}
