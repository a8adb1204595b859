package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var (
	// untilStopped waits until a user stops the master; stopping deletes it.
	untilStopped = api.Election{AfterTermination: true}
	stopping     = api.Election{AfterTermination: true, DeleteDemoted: true}
)

// terminationTests are of masters that must stop before another pod follows.
var terminationTests = map[string]decisionTest{
	"a master that is not Ready stays until a user deletes it": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"a master that is not Ready is deleted, where that is asked for": {
		view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"a master that is not Ready is waited for a second, because a deletion cannot be taken back": {
		view: View{Now: now, DownSince: downFor(300 * time.Millisecond), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(700 * time.Millisecond),
	},
	"a master that belongs to no workload is not deleted": {
		view: View{Now: now, DownSince: downFor(time.Minute), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady, unmanaged), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"a master that is not Ready is not deleted while no other pod could follow": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: stopping},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a master on a silent node is deleted": {
		view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: stopping},
		want: to(Stop, NodeSilent, "a", 4).though(NodeSilent),
	},
	"a master that has stopped answering is deleted": {
		view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: stopping},
		want: to(Stop, HolderUnresponsive, "a", 4).though(HolderUnresponsive),
	},
	"a master that must no longer be master is deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}, Settings: stopping},
		want: to(Stop, HolderExcluded, "a", 4).though(HolderExcluded),
	},
	"a master that the Service no longer selects is not deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderUnselected),
	},
	"a master that terminates is waited for": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating),
	},
	"a master that terminates and is no longer Ready is waited for": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating),
	},
	"a master that is gone has stopped": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: stopping},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"a master whose containers have ended has stopped": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished, notReady), pod("b")}, Settings: stopping},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"the master of a Lease that was deleted must stop too": {
		view:   View{Trace: routed("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: stopping},
		want:   to(Restore, LeaseLost, "a", 6).though(HolderTerminating),
		writes: true,
	},
	"a first master need not wait": {
		view:   View{Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"a master on a node that is being drained stays until it is evicted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: stopping},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a master that fails on a node that is being drained is deleted": {
		view: View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", draining, notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"a master that may be back soon is waited for first": {
		view: View{
			Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")},
			Settings: api.Election{AfterTermination: true, DeleteDemoted: true, FailoverDelay: 10 * time.Second},
		},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(6 * time.Second),
	},
	"a master that is not back in time is deleted": {
		view: View{
			Now: now, DownSince: downFor(10 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")},
			Settings: api.Election{AfterTermination: true, DeleteDemoted: true, FailoverDelay: 10 * time.Second},
		},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"a master whose Lease has expired has not stopped": {
		view: View{Now: now, DownSince: downFor(time.Minute), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"a Lease need not expire before the master is deleted": {
		view: View{Now: now, DownSince: downFor(time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: stopping},
		want: to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
	},
	"a master that another election designates is never deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady, elsewhere), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
	},
	"a master that another election designates is not deleted for an edit, which is refused": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", elsewhere), pod("b")}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", AwaitingTermination),
		writes: true,
	},
	"a master on a silent node cannot tell when it has stopped": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, nodeSilent), pod("b")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(NodeSilent),
	},
	"failback begins with the master's end": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{AfterTermination: true, DeleteDemoted: true, Failback: after(0)}},
		want: to(Stop, PreferredEligible, "a", 4),
	},
}

// terminationEditTests are of an edit of the holder where the master must stop first.
var terminationEditTests = map[string]decisionTest{
	"an edit is noted, and the master deleted": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}, Settings: stopping},
		want:   to(Stop, HolderEdited, "a", 4).promising("c"),
		writes: true,
	},
	"an edit to a pod on a node that is being drained is noted, because the master would not leave that node": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}, Settings: stopping},
		want:   to(Stop, HolderEdited, "a", 4).promising("b"),
		writes: true,
	},
	"a master that is not known to terminate yet is deleted again": {
		view: View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}, Settings: stopping},
		want: to(Stop, HolderEdited, "a", 4).promising("c"),
	},
	"a master that terminates for an edit is waited for": {
		view: View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c")}, Settings: stopping},
		want: to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c"),
	},
	"the pod that was asked for follows once the master is gone": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("b"), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"the pod that was asked for follows a master that was re-created by then": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", reborn), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"the pod that was asked for follows once the master has ended": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating, finished), pod("b"), pod("c")}, Settings: stopping},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"another pod follows if the one that was asked for is not eligible by then": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Failover, HolderGone, "b", 5).from("a").refusing("c", HolderNotReady),
		writes: true,
	},
	"the pod that was asked for is forgotten if it is no longer eligible while the master terminates": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).though(HolderTerminating).refusing("c", HolderNotReady),
		writes: true,
	},
	"an edit that is refused does not keep a failed master": {
		view:   View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}, Settings: stopping},
		want:   to(Stop, HolderNotReady, "a", 4).though(HolderNotReady).refusing("c", HolderNotReady),
		writes: true,
	},
	"an edit is refused if the controller may not delete the master": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}, Settings: untilStopped},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", AwaitingTermination),
		writes: true,
	},
	"an edit is refused if the controller may not delete the master, which is not Ready": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: untilStopped},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).refusing("b", AwaitingTermination),
		writes: true,
	},
	"an edit is refused if the Service no longer selects the master": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: stopping},
		want:   to(Restore, EditRefused, "a", 4).though(HolderUnselected).refusing("b", AwaitingTermination),
		writes: true,
	},
	"an edit is noted if a user has deleted the master": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", terminating), pod("b"), pod("c")}, Settings: untilStopped},
		want:   to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating).promising("c"),
		writes: true,
	},
	"an edit is followed at once if the master has ended": {
		view:   View{Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", finished), pod("b"), pod("c")}, Settings: untilStopped},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"a Lease that a user made with a holder elects that pod, because there is no master that must stop": {
		view:   View{Lease: Lease{Exists: true, Holder: "b"}, Candidates: []Candidate{pod("a"), pod("b")}, Settings: untilStopped},
		want:   to(Switchover, HolderEdited, "b", 1),
		writes: true,
	},
}
