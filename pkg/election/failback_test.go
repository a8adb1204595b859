package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	backSoon   = api.Election{Failback: after(10 * time.Minute)}
	backAtOnce = api.Election{Failback: after(0)}
)

// priority gives a pod a priority, which has been higher than the master's for an hour if it is.
func priority(number int64) func(*Candidate) { return higherFor(number, time.Hour) }

func higherFor(number int64, lasting time.Duration) func(*Candidate) {
	return func(c *Candidate) { c.Priority, c.HigherSince = number, now.Add(-lasting) }
}

// failbackTests are of a master that is not preferred, while another pod is, or has a higher priority.
var failbackTests = map[string]decisionTest{
	"a higher priority alone moves no master": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", priority(9))}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"the master moves to a pod whose priority has been higher for as long as is asked for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", priority(1)), pod("b", higherFor(2, 10*time.Minute))}, Settings: backSoon},
		want:   to(Switchover, HigherPriority, "b", 5).from("a"),
		writes: true,
	},
	"a priority that has not been higher for as long is waited for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", priority(1)), pod("b", higherFor(2, 9*time.Minute))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(time.Minute),
	},
	"of two pods the one whose time has come is taken, though the other's priority is higher": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", higherFor(1, time.Hour)), pod("c", higherFor(2, time.Minute))}, Settings: backSoon},
		want:   to(Switchover, HigherPriority, "b", 5).from("a"),
		writes: true,
	},
	"a higher priority of which the replica has seen nothing is waited for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", func(c *Candidate) { c.Priority = 1 })}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(10 * time.Minute),
	},
	"a higher priority must last for ten seconds, if failback is at once": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", higherFor(1, 9*time.Second))}, Settings: backAtOnce},
		want: to(Hold, HolderEligible, "a", 4).again(time.Second),
	},
	"there is no failback to a preferred pod of a lower priority": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, priority(-1))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is failback to a preferred pod of the same priority": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", priority(3)), pod("b", preferred, priority(3))}, Settings: backSoon},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"the master moves from a preferred pod to one of a higher priority": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", preferred), pod("b", priority(1))}, Settings: backSoon},
		want:   to(Switchover, HigherPriority, "b", 5).from("a"),
		writes: true,
	},
	"a pod of a higher priority that is not eligible is no aim": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", priority(1), notReady)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a failover goes to the highest priority": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady, priority(9)), pod("b", preferred), pod("c", priority(1))}},
		want:   to(Failover, HolderNotReady, "c", 5).from("a"),
		writes: true,
	},
	"an edit to a pod of a lower priority is followed, though failback is at once": {
		view:   View{Now: now, Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", priority(2)), pod("b", priority(1))}, Settings: backAtOnce},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"there is no failback unless asked for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback before the preferred pod has been Ready for that long": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(4*time.Minute))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(6 * time.Minute),
	},
	"there is no failback a moment before the time": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(10*time.Minute-1))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(1),
	},
	"there is failback when the time has come": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(10*time.Minute))}, Settings: backSoon},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"there is no failback before the master has been master for that long, because a user may have moved it": {
		view: View{Now: now, Lease: held("a", 4).acquired(3 * time.Minute), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(7 * time.Minute),
	},
	"the later counts of when the preferred pod became Ready and when the master became master": {
		view: View{Now: now, Lease: held("a", 4).acquired(3 * time.Minute), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(time.Minute))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(9 * time.Minute),
	},
	"there is no failback within ten seconds of the last move, even if no time must pass": {
		view: View{Now: now, Lease: held("a", 4).acquired(3 * time.Second), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(time.Hour))}, Settings: backAtOnce},
		want: to(Hold, HolderEligible, "a", 4).again(7 * time.Second),
	},
	"there is failback at once if no time must pass": {
		view:   View{Now: now, Lease: held("a", 4).acquired(10 * time.Second), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(0))}, Settings: backAtOnce},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"a pod that is Ready since a time in the future has been Ready for no time": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(-time.Hour))}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(10 * time.Minute),
	},
	"a master since a time that is too far away for a duration has been master for no time": {
		view: View{Now: now, Lease: func() Lease { l := held("a", 4); l.Acquired = now.AddDate(7000, 0, 0); return l }(), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4).again(10 * time.Minute),
	},
	"of several preferred pods, the first in order whose time has come becomes master": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a"), pod("b", preferred, identified, readyFor(9*time.Minute)), pod("c", preferred, readyFor(11*time.Minute)), pod("d", preferred, readyFor(12*time.Minute)),
		}},
		want:   to(Switchover, PreferredEligible, "d", 5).from("a"),
		writes: true,
	},
	"of several preferred pods whose time has not come, the soonest is waited for": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a"), pod("b", preferred, readyFor(4*time.Minute)), pod("c", preferred, readyFor(7*time.Minute)), pod("d", preferred, readyFor(time.Minute)),
		}},
		want: to(Hold, HolderEligible, "a", 4).again(3 * time.Minute),
	},
	"there is no failback from one preferred pod to another": {
		view: View{Now: now, Lease: held("b", 4), Candidates: []Candidate{pod("a", preferred, identified), pod("b", preferred)}, Settings: backAtOnce},
		want: to(Hold, HolderEligible, "b", 4),
	},
	"there is no failback to a pod that is not Ready": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, notReady)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback to a pod on a silent node": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, nodeSilent)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback to a pod on a node that is being drained": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, draining)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback to a pod that has stopped answering, while others answer": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", answers), pod("b", preferred, unresponsive)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback to a pod that has stopped answering, even if no pod answers": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, unresponsive)}, Settings: backSoon},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is no failback from the newest revision to an older one, which a rollout replaces next": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{pod("a", revision("new", time.Minute)), pod("b", preferred, revision("old", 0))}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is failback from one workload to another, whichever was rolled out last": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a", workload("slow", "7", time.Minute)), pod("b", preferred, workload("fast", "1", 0)),
		}},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"there is no failback to a pod that a rollout of its own workload replaces next": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a", workload("slow", "7", 0)), pod("b", preferred, workload("fast", "1", 0)), pod("c", preferred, workload("fast", "2", time.Minute), notReady),
		}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a newer pod that has ended is no reason for failback to an older revision": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a", revision("new", time.Minute)), pod("b", preferred, revision("old", 0)), pod("c", revision("", time.Hour), finished),
		}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"there is failback from an older revision to another": {
		view: View{Now: now, Lease: held("a", 4), Settings: backSoon, Candidates: []Candidate{
			pod("a", revision("old", 0)), pod("b", preferred, revision("old", 0)), pod("c", notReady, revision("new", time.Minute)),
		}},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"there is failback although a move loses requests": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{Failback: after(0)}, MovesLose: true},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"a master on a node that is being drained does not wait for the preferred pod's time": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b", preferred, readyFor(time.Minute))}, Settings: backSoon},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a"),
		writes: true,
	},
	"a master that fails does not wait for the preferred pod's time": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", preferred, readyFor(time.Minute))}, Settings: backSoon},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a Lease that was deleted is restored while failback waits": {
		view:   View{Now: now, Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(4*time.Minute))}, Settings: backSoon},
		want:   to(Restore, LeaseLost, "a", 6).again(6 * time.Minute),
		writes: true,
	},

	"an edit to a pod that is not preferred is followed, for a while": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backSoon},
		want:   to(Switchover, HolderEdited, "a", 5).from("b"),
		writes: true,
	},
	"an edit to a pod that is not preferred is refused if the master would move back at once": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backAtOnce},
		want:   to(Restore, EditRefused, "b", 4).refusing("a", PreferredEligible),
		writes: true,
	},
	"an edit to a pod that is not preferred is refused if the master would move on at once": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a"), pod("b", preferred, notReady), pod("c", preferred)}, Settings: backAtOnce},
		want:   to(Failover, HolderNotReady, "c", 5).from("b").refusing("a", PreferredEligible),
		writes: true,
	},
	"an edit to a pod that is not preferred is followed if no preferred pod is eligible": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a"), pod("b", preferred, notReady)}, Settings: backAtOnce},
		want:   to(Switchover, HolderEdited, "a", 5).from("b"),
		writes: true,
	},
	"an edit to a pod that is not preferred is followed if the preferred pods would soon have to go": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a"), pod("b", preferred, draining)}, Settings: backAtOnce},
		want:   to(Switchover, HolderEdited, "a", 5).from("b"),
		writes: true,
	},
	"an edit to another preferred pod is followed": {
		view:   View{Now: now, Lease: held("b", 4).editedTo("a"), Candidates: []Candidate{pod("a", preferred), pod("b", preferred)}, Settings: backAtOnce},
		want:   to(Switchover, HolderEdited, "a", 5).from("b"),
		writes: true,
	},
}
