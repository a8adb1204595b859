package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	// untilStopped waits for somebody to stop the master, stopping does so itself.
	untilStopped = api.Election{AfterTermination: true}
	stopping     = api.Election{AfterTermination: true, DeleteDemoted: true}
)

// terminationTests are of masters that have to stop before another follows.
var terminationTests = map[string]decisionTest{
	"one that is not Ready stays until somebody deletes it": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"or is deleted, where that is asked for": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"but not while nobody could follow": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: stopping},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"one on a node that gives no sign of life": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: stopping},
		want: to(Stop, NodeSilent, "a", 4).though(NodeSilent),
	},
	"one that has stopped answering": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: stopping},
		want: to(Stop, HolderUnresponsive, "a", 4).though(HolderUnresponsive),
	},
	"one that is to be master no longer": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}, Settings: stopping},
		want: to(Stop, HolderExcluded, "a", 4).though(HolderExcluded),
	},
	"one that the Service no longer selects is none of the controller's to delete": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderUnselected),
	},
	"one that terminates is waited for": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating),
	},
	"also if it is not Ready any more": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating),
	},
	"one that is gone has stopped": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: stopping},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"so has one whose containers have ended": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished, notReady), pod("b")}, Settings: stopping},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"the master of a Lease that was deleted has to stop too": {
		view:   View{Trace: routed("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: stopping},
		want:   to(Restore, LeaseLost, "a", 4).though(HolderTerminating),
		writes: true,
	},
	"a first master follows nobody": {
		view:   View{Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"one on a node that is being drained stays until it is evicted, which it would not notice": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: stopping},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"one that fails there is deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining, notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"one that may be back soon is waited for first": {
		view: View{
			Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")},
			Settings: api.Election{AfterTermination: true, DeleteDemoted: true, FailoverDelay: 10 * time.Second},
		},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(6 * time.Second),
	},
	"and then deleted": {
		view: View{
			Now: now, DownSince: downFor(10 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")},
			Settings: api.Election{AfterTermination: true, DeleteDemoted: true, FailoverDelay: 10 * time.Second},
		},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"to have stopped is more than a Lease that has expired": {
		view: View{Now: now, DownSince: downFor(time.Minute), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"it is not waited for both": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"one of another election is never deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady, elsewhere), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"nor for an edit, which is refused": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", elsewhere), pod("b")}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", AwaitingTermination),
		writes: true,
	},
	"one on a silent node cannot tell when it has stopped": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, nodeSilent), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(NodeSilent),
	},
	"failback begins with the master's end": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{AfterTermination: true, DeleteDemoted: true, Failback: after(0)}},
		want: to(Stop, PreferredEligible, "a", 4),
	},
}

// terminationEditTests are of an edit of the holder where the master has to stop
// before.
var terminationEditTests = map[string]decisionTest{
	"it is noted, and the master deleted": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}, Settings: stopping},
		want:   to(Stop, HolderEdited, "a", 4).promising("c"),
		writes: true,
	},
	"also to a pod on a node that is being drained, as nobody would leave that": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}, Settings: stopping},
		want:   to(Stop, HolderEdited, "a", 4).promising("b"),
		writes: true,
	},
	"the master is deleted again, if it is not known to terminate yet": {
		view: View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}, Settings: stopping},
		want: to(Stop, HolderEdited, "a", 4).promising("c"),
	},
	"while it terminates it is waited for": {
		view: View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c"),
	},
	"once it is gone the one that was asked for follows": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("b"), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"also if it was re-created by then": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", reborn), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"once it has ended too": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating, finished), pod("b"), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"if that pod is not eligible by then another follows": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Failover, HolderGone, "b", 5).from("a").refusing("c", HolderNotReady),
		writes: true,
	},
	"if that pod is not eligible any more while the master terminates, it is forgotten": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).though(HolderTerminating).refusing("c", HolderNotReady),
		writes: true,
	},
	"an edit that is refused does not keep a failed master": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Stop, HolderNotReady, "a", 4).though(HolderNotReady).refusing("c", HolderNotReady),
		writes: true,
	},
	"it is refused if nobody may delete the master": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}, Settings: untilStopped},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", AwaitingTermination),
		writes: true,
	},
	"also if the master is not Ready": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).refusing("b", AwaitingTermination),
		writes: true,
	},
	"or the Service no longer selects it": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).though(HolderUnselected).refusing("b", AwaitingTermination),
		writes: true,
	},
	"it is noted if somebody has deleted the master": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c")}, Settings: untilStopped},
		want:   to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c"),
		writes: true,
	},
	"it is followed at once if the master has ended": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", finished), pod("b"), pod("c")}, Settings: untilStopped},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"a Lease that somebody made with a holder elects that one, as it follows nobody": {
		view:   View{Lease: Lease{Exists: true, Holder: "b"}, Candidates: []Candidate{pod("a"), pod("b")}, Settings: untilStopped},
		want:   to(Switchover, HolderEdited, "b", 1),
		writes: true,
	},
}
