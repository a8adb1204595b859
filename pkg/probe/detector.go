package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// recovery is how many good answers in a row end the suspicion of a standby: one
	// that answers every other question should not come and go.
	recovery = 3
	// leniency is how long after its timeout a missing answer may be noticed and still
	// count. Noticing takes a millisecond or two; in a process that lacked CPU time, it
	// took more than 80 ms for half of the failures.
	leniency = 25 * time.Millisecond
	// lateness is how long after its timeout an answer may still come. A pod that was
	// silent for longer was not slow.
	lateness = 2 * time.Second
	// maxOpen is how many questions to a pod may be open.
	maxOpen = 3
)

// detector tells a pod that no longer answers from one that is slow. It hears of each
// question to the pod and of its answer, and knows no clock: the time is an argument.
//
// A question that has no answer after its timeout is a failure, but stays open. A good
// answer ends the failures however late it comes, and shows how long the pod can be
// silent (pace). Enough failures in a row make the pod suspected, but not while it is
// silent for no longer than that. A bad answer is a failure too, and says more than
// silence: enough bad answers make the pod suspected without patience.
type detector struct {
	timeout  time.Duration
	failures int
	// own is the pace of this pod, and shared that of the pods of its election; nil if
	// there is none.
	own    pace
	shared *pace

	// open are the questions without an answer, in the order in which they were asked.
	open []*question
	// good is when the latest question was asked that was answered well; zero if there
	// is none.
	good time.Time
	// waiting is since when a good answer is awaited; zero if none is.
	waiting time.Time
	// fails counts the failures since the latest good answer, bad those of them that are
	// bad answers, and goods the good answers since the latest failure.
	fails, bad, goods int
	suspected         bool
	// failing is when the first of those failures was noticed that made the pod
	// suspected, or may yet do so. missed is when the latest question was asked that the
	// pod missed, and err is why. All are zero if the pod is fine.
	failing, missed time.Time
	err             error
	// noticed is when the latest failure was noticed.
	noticed time.Time
}

// question is a question to a pod.
type question struct {
	asked time.Time
	// silent is set if the pod was not expected to answer.
	silent bool
	// late is set once it was noticed that the timeout has passed.
	late bool
	// claim is the priority that the answer claims; empty if it claims none.
	claim string
	// stop breaks the question off. It may be nil.
	stop context.CancelFunc
}

func newDetector(probe api.Probe, shared *pace) detector {
	return detector{timeout: probe.Timeout, failures: probe.Failures, shared: shared}
}

// restart forgets the answers, but not the pace.
func (d *detector) restart() {
	d.breakOff(len(d.open))
	*d = detector{timeout: d.timeout, failures: d.failures, own: d.own, shared: d.shared}
}

// ask records a question. If there are too many, it breaks off one of them: not the
// first, because a slow pod answers that first, and not the latest, because a pod that
// has lost its connections answers that.
func (d *detector) ask(q *question) {
	if d.waiting.IsZero() {
		d.waiting = q.asked
	}
	if len(d.open) == maxOpen {
		d.drop(d.open[1])
	}
	d.open = append(d.open, q)
}

// look counts the questions whose timeout has passed as failures. It must be called at
// next.
func (d *detector) look(now time.Time) {
	for _, q := range d.open {
		end := q.asked.Add(d.timeout)
		if q.late || now.Before(end) {
			continue
		}
		q.late = true
		// If it is noticed later, this process was suspended or lacked CPU time.
		if !now.After(end.Add(leniency)) {
			d.fail(q, now, fmt.Errorf("no answer within %s", d.timeout))
		}
	}
	d.judge(now)
}

// next is when to look again; zero if only an answer can change anything.
func (d *detector) next(now time.Time) (next time.Time) {
	for _, q := range d.open {
		if end := q.asked.Add(d.timeout); !q.late && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	if patient := d.waiting.Add(d.patience(now)); d.answered() && !d.suspected && d.fails >= d.failures && (next.IsZero() || patient.Before(next)) {
		next = patient
	}
	return next
}

// hear records the answer to a question: a good one if err is nil. So many good answers
// in a row as enough says end a suspicion. It returns for how long the pod was silent
// before a good answer; zero if that shows nothing. Questions that were asked earlier
// are broken off. The answer to one that was broken off does not count.
func (d *detector) hear(q *question, now time.Time, err error, enough int) (silence time.Duration) {
	i := slices.Index(d.open, q)
	if i < 0 {
		return 0
	}
	d.breakOff(i + 1)
	if err != nil {
		if d.fail(q, now, err) {
			d.bad++
		}
		d.judge(now)
		return 0
	}
	silence = now.Sub(d.waiting)
	if d.bad > 0 || silence > d.timeout+lateness {
		silence = 0
	}
	d.own.learn(silence, now)
	if d.waiting = now; len(d.open) == 0 {
		d.waiting = time.Time{}
	}
	d.goods++
	d.good, d.fails, d.bad, d.noticed = q.asked, 0, 0, time.Time{}
	if !d.suspected || d.goods >= enough {
		d.suspected, d.failing, d.missed, d.err = false, time.Time{}, time.Time{}, nil
	}
	return silence
}

// fail records a failure, and reports whether it counts. If the question was asked
// before the latest failure was noticed, both may have one cause.
func (d *detector) fail(q *question, now time.Time, err error) bool {
	if q.asked.After(d.missed) {
		d.missed = q.asked
	}
	if d.failing.IsZero() {
		d.failing = now
	}
	d.goods, d.err = 0, err
	if q.asked.Before(d.noticed) {
		return false
	}
	d.fails++
	d.noticed = now
	return true
}

// judge makes the pod suspected if it has failed too often. A pod that has never
// answered is not suspected.
func (d *detector) judge(now time.Time) {
	if d.answered() && (d.bad >= d.failures || d.fails >= d.failures && now.Sub(d.waiting) >= d.patience(now)) {
		d.suspected = true
	}
}

// drop forgets a question, which shows nothing any longer.
func (d *detector) drop(q *question) {
	i := slices.Index(d.open, q)
	if i < 0 {
		return
	}
	q.end()
	d.open = slices.Delete(d.open, i, i+1)
	if len(d.open) == 0 && d.fails == 0 {
		d.waiting = time.Time{}
	}
}

// breakOff breaks off the first of the questions.
func (d *detector) breakOff(count int) {
	for _, q := range d.open[:count] {
		q.end()
	}
	d.open = slices.Delete(d.open, 0, count)
}

func (q *question) end() {
	if q.stop != nil {
		q.stop()
	}
}

// timely is when the timeouts of all open questions have passed.
func (d *detector) timely() (end time.Time) {
	if len(d.open) > 0 {
		end = d.open[len(d.open)-1].asked.Add(d.timeout)
	}
	return end
}

// answered reports whether the pod has ever answered well.
func (d *detector) answered() bool { return !d.good.IsZero() }

// patience is for how long the pod may be silent.
func (d *detector) patience(now time.Time) time.Duration {
	longest := d.own.now(now)
	if d.shared != nil {
		longest = max(longest, d.shared.now(now))
	}
	return margin * longest
}

const (
	// margin is how many times as long as its pace a pod may be silent.
	margin = 2
	// halfLife is how long it takes until half of a pace is forgotten.
	halfLife = 5 * time.Minute
)

// pace is the longest silence lately that ended with a good answer.
type pace struct {
	longest time.Duration
	at      time.Time
}

// now is the pace at that time.
func (p pace) now(now time.Time) time.Duration {
	return time.Duration(float64(p.longest) * math.Exp2(-float64(now.Sub(p.at))/float64(halfLife)))
}

// learn records a silence.
func (p *pace) learn(silence time.Duration, now time.Time) {
	if silence > p.now(now) {
		*p = pace{silence, now}
	}
}
