package election

import "qoqo.dev/active-standby-controller/pkg/api"

// editTests are of a holder that a user wrote into the Lease.
var editTests = map[string]decisionTest{
	"an edit to a pod on a silent node is refused": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", nodeSilent)}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", NodeSilent),
		writes: true,
	},
	"an edit of the holder is followed": {
		view:   View{Lease: held("a", 4).editedTo("b"), Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit of the holder and of its UID is an edit of the holder": {
		view:   View{Lease: held("a", 4).editedTo("b").forged(), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit of the holder and of its UID makes no pod master that is not Ready": {
		view:   View{Lease: held("a", 4).editedTo("b").forged(), Candidates: []Candidate{pod("a"), pod("b", notReady)}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderNotReady),
		writes: true,
	},
	"an edit of the holder and of its UID moves no master while the election is paused": {
		view:   View{Lease: held("a", 4).editedTo("b").forged(), Candidates: []Candidate{pod("a"), pod("b")}, Settings: api.Election{Paused: true}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", ElectionPaused),
		writes: true,
	},
	"an edit of the holder and of its UID is followed from a master that is gone": {
		view:   View{Lease: held("a", 4).editedTo("c").forged(), Candidates: []Candidate{pod("b"), pod("c")}},
		want:   Decision{Action: Switchover, Reason: HolderEdited, Holder: "c", HolderUID: "uid-c", Epoch: 5},
		writes: true,
	},
	"an edit in the highest epoch is refused": {
		view:   View{Lease: held("a", 1<<30).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, EditRefused, "a", 1<<30).refusing("b", EpochsExhausted),
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
	"an edit to a pod on an unschedulable node is followed if moves lose requests, because it would stay": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", draining)}, MovesLose: true},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit to a pod on an unschedulable node is followed if all pods are on such nodes": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", draining), pod("b", draining)}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"a refused edit does not keep a failed master": {
		view:   View{Lease: held("a", 4).editedTo("x"), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").refusing("x", HolderGone),
		writes: true,
	},
	"a refused edit is taken back also while no pod is eligible": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).refusing("b", HolderNotReady),
		writes: true,
	},
	"a Lease that a user made with a holder elects that pod": {
		view:   View{Lease: Lease{Exists: true, Holder: "b"}, Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 1),
		writes: true,
	},
	"a Lease that a user made with a holder that does not exist elects another pod": {
		view:   View{Lease: Lease{Exists: true, Holder: "x"}, Candidates: []Candidate{pod("a")}},
		want:   to(Elect, FirstEligible, "a", 1).refusing("x", HolderGone),
		writes: true,
	},

	"an edit to a pod that is kept from being master is refused": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", excluded)}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderExcluded),
		writes: true,
	},

	"the pod that was asked for before follows": {
		view:   View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"the pod that was asked for before follows a holder that is gone": {
		view:   View{Lease: held("a", 4).promising("c"), Candidates: []Candidate{pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"another edit counts more than the pod that was asked for before": {
		view:   View{Lease: held("a", 4).promising("b").editedTo("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"another edit counts more even if it is refused": {
		view:   View{Lease: held("a", 4).promising("b").editedTo("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c", notReady)}},
		want:   to(Restore, EditRefused, "a", 4).refusing("c", HolderNotReady),
		writes: true,
	},
	"the pod that was asked for before is refused if it is no longer eligible": {
		view:   View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("a"), pod("b", terminating)}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderTerminating),
		writes: true,
	},
	"the pod that was asked for before is refused if it is gone": {
		view:   View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("a")}},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderGone),
		writes: true,
	},
	"the pod that was asked for before is refused if it and the holder are gone": {
		view:   View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("c")}},
		want:   to(Failover, HolderGone, "c", 5).from("a").refusing("b", HolderGone),
		writes: true,
	},
	"the holder itself need not be asked for": {
		view:   View{Lease: held("a", 4).promising("a"), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Hold, HolderEligible, "a", 4),
		writes: true,
	},
}
