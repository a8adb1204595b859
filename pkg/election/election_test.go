package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// pod returns an eligible candidate.
func pod(name string, change ...func(*Candidate)) Candidate {
	c := Candidate{Name: name, UID: types.UID("uid-" + name), Ready: true, ReadySince: start, Created: start}
	for _, f := range change {
		f(&c)
	}
	return c
}

func notReady(c *Candidate)     { c.Ready = false }
func terminating(c *Candidate)  { c.Terminating = true }
func finished(c *Candidate)     { c.Finished = true }
func unselected(c *Candidate)   { c.Unselected = true }
func designated(c *Candidate)   { c.Designated = true }
func draining(c *Candidate)     { c.Draining = true }
func nodeSilent(c *Candidate)   { c.NodeSilent = true }
func answers(c *Candidate)      { c.Answers = true }
func unresponsive(c *Candidate) { c.Unresponsive = true }
func reborn(c *Candidate)       { c.UID += "-2" }

// held is a Lease as the controller has written it.
func held(by string, epoch int32) Lease {
	return Lease{Exists: true, Holder: by, HolderUID: types.UID("uid-" + by), Epoch: epoch}
}

// editedTo is a Lease whose holder a user has changed since.
func (l Lease) editedTo(holder string) Lease {
	l.Holder = holder
	return l
}

func routed(to string, epoch int32) Trace {
	return Trace{Epoch: epoch, HolderUID: types.UID("uid-" + to)}
}

func to(action Action, reason Reason, holder string, epoch int32) Decision {
	return Decision{Action: action, Reason: reason, Holder: holder, HolderUID: types.UID("uid-" + holder), Epoch: epoch}
}

func (d Decision) from(previous string) Decision {
	d.Previous = previous
	return d
}

func (d Decision) refusing(holder string, why Reason) Decision {
	d.Refused = &Refusal{holder, why}
	return d
}

func TestDecide(t *testing.T) {
	tests := map[string]struct {
		view View
		want Decision
		// writes: the Lease has to be written for it.
		writes bool
	}{
		"a foreign Lease is refused, whatever else there is": {
			view: View{Lease: Lease{Exists: true, Foreign: true, Holder: "a"}, Candidates: []Candidate{pod("a")}},
			want: Decision{Action: Refuse, Reason: LeaseForeign},
		},
		"the first eligible pod becomes the first master": {
			view:   View{Candidates: []Candidate{pod("a", notReady), pod("b")}},
			want:   to(Elect, FirstEligible, "b", 1),
			writes: true,
		},
		"without an eligible pod the Lease shows that a master is awaited": {
			view:   View{Candidates: []Candidate{pod("a", notReady)}},
			want:   Decision{Action: Hold, Reason: AwaitingEligible},
			writes: true,
		},
		"a Lease that awaits a master is not written again": {
			view: View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a", notReady)}},
			want: Decision{Action: Hold, Reason: AwaitingEligible},
		},
		"the awaited master is elected": {
			view:   View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a")}},
			want:   to(Elect, FirstEligible, "a", 1),
			writes: true,
		},
		"the master stays while it is eligible, also if others are better": {
			view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", func(c *Candidate) { c.Preferred = true }), pod("b")}},
			want: to(Hold, HolderEligible, "b", 4),
		},
		"a master on an unschedulable node moves to one elsewhere": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b", draining), pod("c")}},
			want:   to(Switchover, NodeUnschedulable, "c", 5).from("a"),
			writes: true,
		},
		"it stays if all others are on such nodes": {
			view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", draining), pod("b", draining)}},
			want: to(Hold, HolderEligible, "b", 4),
		},
		"it stays if those elsewhere are not eligible": {
			view: View{Lease: held("b", 4), Candidates: []Candidate{pod("a", notReady), pod("b", draining)}},
			want: to(Hold, HolderEligible, "b", 4),
		},
		"it stays if a move would lose requests": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, MovesLose: true},
			want: to(Hold, HolderEligible, "a", 4),
		},
		"it moves also from a Lease that was deleted": {
			view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b", draining)}},
			want:   to(Switchover, NodeUnschedulable, "a", 5).from("b"),
			writes: true,
		},
		"a master that fails on such a node fails over": {
			view:   View{Lease: held("b", 4), Candidates: []Candidate{pod("a"), pod("b", draining, notReady)}},
			want:   to(Failover, HolderNotReady, "a", 5).from("b"),
			writes: true,
		},
		"a master that is not Ready is replaced": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}},
			want:   to(Failover, HolderNotReady, "b", 5).from("a"),
			writes: true,
		},
		"a master that terminates is replaced, although it is Ready": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}},
			want:   to(Failover, HolderTerminating, "b", 5).from("a"),
			writes: true,
		},
		"a master whose containers have ended is replaced": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished), pod("b")}},
			want:   to(Failover, HolderFinished, "b", 5).from("a"),
			writes: true,
		},
		"a master that the Service no longer selects is replaced": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}},
			want:   to(Failover, HolderUnselected, "b", 5).from("a"),
			writes: true,
		},
		"a master on a node without heartbeat is replaced by one elsewhere": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b", nodeSilent), pod("c")}},
			want:   to(Failover, NodeSilent, "c", 5).from("a"),
			writes: true,
		},
		"it is held while nobody elsewhere is eligible": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b", nodeSilent), pod("c", notReady)}},
			want: to(Hold, NobodyEligible, "a", 4),
		},
		"an edit to a pod on such a node is refused": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", nodeSilent)}},
			want:   to(Restore, EditRefused, "a", 4).refusing("b", NodeSilent),
			writes: true,
		},
		"a master that is gone is replaced": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}},
			want:   to(Failover, HolderGone, "b", 5).from("a"),
			writes: true,
		},
		"a pod re-created under the master's name is another pod": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", reborn)}},
			want: Decision{
				Action: Failover, Reason: HolderGone, Holder: "a", HolderUID: "uid-a-2", Epoch: 5,
				Previous: "a",
			},
			writes: true,
		},
		"a master that cannot serve is held while nobody else can": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", terminating)}},
			want: to(Hold, NobodyEligible, "a", 4),
		},
		"a master that is gone is held while nobody is eligible": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b", notReady)}},
			want: to(Hold, NobodyEligible, "a", 4),
		},

		"an edit of the holder is followed": {
			view:   View{Lease: held("a", 4).editedTo("b"), Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Switchover, HolderEdited, "b", 5).from("a"),
			writes: true,
		},
		"an edit to a pod that is not Ready is refused": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", notReady)}},
			want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderNotReady),
			writes: true,
		},
		"an edit to a pod that does not exist is refused": {
			view:   View{Lease: held("a", 4).editedTo("x"), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Restore, EditRefused, "a", 4).refusing("x", HolderGone),
			writes: true,
		},
		"an edit to a pod on an unschedulable node, which would not stay, is refused": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}},
			want:   to(Restore, EditRefused, "a", 4).refusing("b", NodeUnschedulable),
			writes: true,
		},
		"it is followed if it would stay, as moves lose requests": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}, MovesLose: true},
			want:   to(Switchover, HolderEdited, "b", 5).from("a"),
			writes: true,
		},
		"it is followed if all others are on such nodes": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", draining), pod("b", draining)}},
			want:   to(Switchover, HolderEdited, "b", 5).from("a"),
			writes: true,
		},
		"a refused edit does not keep a failed master": {
			view:   View{Lease: held("a", 4).editedTo("x"), Candidates: []Candidate{pod("a", notReady), pod("b")}},
			want:   to(Failover, HolderNotReady, "b", 5).from("a").refusing("x", HolderGone),
			writes: true,
		},
		"a refused edit is taken back also while nobody is eligible": {
			view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}},
			want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderNotReady),
			writes: true,
		},
		"a Lease that somebody made with a holder elects that one": {
			view:   View{Lease: Lease{Exists: true, Holder: "b"}, Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Switchover, HolderEdited, "b", 1),
			writes: true,
		},
		"a Lease that somebody made with a holder that does not exist": {
			view:   View{Lease: Lease{Exists: true, Holder: "x"}, Candidates: []Candidate{pod("a")}},
			want:   to(Elect, FirstEligible, "a", 1).refusing("x", HolderGone),
			writes: true,
		},

		"holder and epoch are restored when the Lease is deleted": {
			view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Restore, LeaseLost, "b", 4),
			writes: true,
		},
		"also of a master that is not eligible while nobody else is": {
			view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("b", notReady)}},
			want:   to(Restore, LeaseLost, "b", 4),
			writes: true,
		},
		"a deleted Lease does not keep a failed master": {
			view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b", notReady)}},
			want:   to(Failover, HolderNotReady, "a", 5).from("b"),
			writes: true,
		},
		"the epoch is kept when the Lease and the master are gone": {
			view:   View{Trace: routed("b", 4)},
			want:   Decision{Action: Hold, Reason: AwaitingEligible, Epoch: 4},
			writes: true,
		},
		"the next master after that has an epoch of its own": {
			view:   View{Lease: Lease{Exists: true, Epoch: 4}, Trace: routed("b", 4), Candidates: []Candidate{pod("a")}},
			want:   Decision{Action: Failover, Reason: HolderGone, Holder: "a", HolderUID: "uid-a", Epoch: 5},
			writes: true,
		},
		"a holder that was removed is put back": {
			view:   View{Lease: held("a", 4).editedTo(""), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Restore, LeaseLost, "a", 4),
			writes: true,
		},
		"a holder's UID that was removed is put back": {
			view:   View{Lease: Lease{Exists: true, Holder: "a", Epoch: 4}, Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Restore, LeaseLost, "a", 4),
			writes: true,
		},
		"an epoch that was lowered is raised to what it was": {
			view:   View{Lease: held("a", 2), Trace: routed("a", 4), Candidates: []Candidate{pod("a")}},
			want:   to(Restore, EpochRestored, "a", 4),
			writes: true,
		},
		"an epoch that another holder has had is never used again": {
			view:   View{Lease: held("a", 2), Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b")}},
			want:   to(Restore, EpochRestored, "a", 5),
			writes: true,
		},
		"an epoch that was lowered is raised also for a master that is gone": {
			view:   View{Lease: held("a", 2), Trace: routed("a", 4)},
			want:   to(Restore, EpochRestored, "a", 4),
			writes: true,
		},
		"an epoch that was raised counts from then on": {
			view: View{Lease: held("a", 9), Trace: routed("a", 4), Candidates: []Candidate{pod("a")}},
			want: to(Hold, HolderEligible, "a", 9),
		},
		"stamps of which nobody knows the holder still count": {
			view:   View{Trace: Trace{Epoch: 4}, Candidates: []Candidate{pod("a")}},
			want:   to(Elect, FirstEligible, "a", 5),
			writes: true,
		},

		"a master that has stopped answering is replaced if another answers": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}},
			want:   to(Failover, HolderUnresponsive, "b", 5).from("a"),
			writes: true,
		},
		"a master that has stopped answering stays if no other answers": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b"), pod("c", unresponsive)}},
			want: to(Hold, HolderEligible, "a", 4),
		},
		"one that answers and could not be master does not count": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers, notReady), pod("c")}},
			want: to(Hold, HolderEligible, "a", 4),
		},
		"if nobody answers, readiness alone decides": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive, notReady), pod("b", unresponsive)}},
			want:   to(Failover, HolderNotReady, "b", 5).from("a"),
			writes: true,
		},
		"a standby that has stopped answering is not elected, as the master's answers show that it could": {
			view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", answers), pod("b", unresponsive)}},
			want: to(Restore, EditRefused, "a", 4).refusing("b", HolderUnresponsive), writes: true,
		},
		"a master that never answered stays": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", answers)}},
			want: to(Hold, HolderEligible, "a", 4),
		},
		"a master leaves a cordoned node also for a pod of which only Kubernetes says that it serves": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", answers, draining), pod("b")}},
			want:   to(Switchover, NodeUnschedulable, "b", 5).from("a"),
			writes: true,
		},
		"but not for one that has stopped answering": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", answers, draining), pod("b", unresponsive)}},
			want: to(Hold, HolderEligible, "a", 4),
		},
		"of the pods that nobody vouches for, one that has stopped answering is the last": {
			view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b", unresponsive), pod("c")}},
			want:   to(Failover, HolderTerminating, "c", 5).from("a"),
			writes: true,
		},
		"a master does not come back when it answers again": {
			view: View{Lease: held("b", 5), Candidates: []Candidate{pod("a", answers), pod("b", answers)}},
			want: to(Hold, HolderEligible, "b", 5),
		},

		"the predecessor's master is adopted": {
			view:   View{Candidates: []Candidate{pod("a"), pod("b", designated)}},
			want:   to(Adopt, AlreadyDesignated, "b", 1),
			writes: true,
		},
		"also when the Lease awaits a master": {
			view:   View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a"), pod("b", designated)}},
			want:   to(Adopt, AlreadyDesignated, "b", 1),
			writes: true,
		},
		"of two that the predecessor left active, the better is adopted": {
			view:   View{Candidates: []Candidate{pod("a", designated, notReady), pod("b", designated), pod("c", designated)}},
			want:   to(Adopt, AlreadyDesignated, "b", 1),
			writes: true,
		},
		"a predecessor's master that cannot serve is not adopted": {
			view:   View{Candidates: []Candidate{pod("a"), pod("b", designated, notReady)}},
			want:   to(Elect, FirstEligible, "a", 1),
			writes: true,
		},
		"a designation means nothing once there is a master": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", designated)}},
			want: to(Hold, HolderEligible, "a", 4),
		},
	}
	seen := map[Reason]bool{}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Decide(test.view)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if writes := got.Writes(test.view.Lease); writes != test.writes {
				t.Errorf("writes the Lease: %v, want %v", writes, test.writes)
			}
			if got.Message() == "" {
				t.Error("no message")
			}
		})
		seen[test.want.Reason] = true
	}
	for _, reason := range []Reason{
		LeaseForeign, HolderEligible, NobodyEligible, AwaitingEligible, LeaseLost, EpochRestored, EditRefused,
		AlreadyDesignated, FirstEligible, HolderEdited, NodeUnschedulable, HolderGone, HolderUnselected, HolderFinished, HolderTerminating, HolderNotReady, NodeSilent, HolderUnresponsive,
	} {
		if !seen[reason] {
			t.Errorf("no case decides for the reason %s", reason)
		}
	}
}
