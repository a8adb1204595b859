package election

import "qoqo.dev/active-standby-controller/pkg/api"

// restoreTests are of a Lease that was tampered with.
var restoreTests = map[string]decisionTest{
	"the holder is restored when the Lease is deleted, in an epoch that the Lease cannot have said": {
		view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, LeaseLost, "b", 6),
		writes: true,
	},
	"the holder is restored also of a master that is not eligible while no other pod is": {
		view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("b", notReady)}},
		want:   to(Restore, LeaseLost, "b", 6).though(HolderNotReady),
		writes: true,
	},
	"a deleted Lease does not keep a failed master": {
		view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b", notReady)}},
		want:   to(Failover, HolderNotReady, "a", 6).from("b"),
		writes: true,
	},
	"the epoch rises when the Lease and the master are gone": {
		view:   View{Trace: routed("b", 4)},
		want:   Decision{Action: Hold, Reason: AwaitingEligible, Epoch: 6},
		writes: true,
	},
	"the next master after a Lease that was deleted has an epoch of its own": {
		view:   View{Lease: Lease{Exists: true, Epoch: 4}, Trace: routed("b", 4), Candidates: []Candidate{pod("a")}},
		want:   Decision{Action: Failover, Reason: HolderGone, Holder: "a", HolderUID: "uid-a", Epoch: 5},
		writes: true,
	},
	"no earlier master is restored when a Lease says that the last one is gone": {
		view: View{Lease: Lease{Exists: true, Epoch: 7, Vacant: true}, Trace: Trace{Stamped: true, Epoch: 7, HolderUID: "uid-a", HolderEpoch: 4}, Candidates: []Candidate{pod("a", notReady)}},
		want: Decision{Action: Hold, Reason: AwaitingEligible, Epoch: 7},
	},
	"no earlier master is restored while the election is paused": {
		view: View{Lease: Lease{Exists: true, Epoch: 7, Vacant: true}, Trace: Trace{Stamped: true, Epoch: 7, HolderUID: "uid-a", HolderEpoch: 4}, Candidates: []Candidate{pod("a")}, Settings: paused},
		want: Decision{Action: Hold, Reason: ElectionPaused, Epoch: 7},
	},
	"a master that may have to stop first is restored all the same": {
		view:   View{Lease: Lease{Exists: true, Epoch: 7, Vacant: true}, Trace: Trace{Stamped: true, Epoch: 7, HolderUID: "uid-a", HolderEpoch: 4}, Candidates: []Candidate{pod("a"), pod("b")}, Settings: api.Election{AfterTermination: true}},
		want:   to(Restore, LeaseLost, "a", 8),
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
		want:   to(Restore, EpochRestored, "a", 4).though(HolderGone),
		writes: true,
	},
	"an epoch that was raised counts from then on": {
		view: View{Lease: held("a", 9), Trace: routed("a", 4), Candidates: []Candidate{pod("a")}},
		want: to(Hold, HolderEligible, "a", 9),
	},
	"stamps whose holder is not known still count": {
		view:   View{Trace: Trace{Stamped: true, Epoch: 4}, Candidates: []Candidate{pod("a")}},
		want:   to(Elect, FirstEligible, "a", 6),
		writes: true,
	},
	"a stamp with epoch 0 counts as well, because the Lease may have said 1": {
		view:   View{Trace: Trace{Stamped: true}, Candidates: []Candidate{pod("a")}},
		want:   to(Elect, FirstEligible, "a", 2),
		writes: true,
	},
	"the last holder that is known stays, though a later epoch is stamped": {
		view:   View{Trace: Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 4}, Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, LeaseLost, "b", 7),
		writes: true,
	},
	"a stamp without a holder is no epoch of the last holder": {
		view:   View{Lease: held("b", 3), Trace: Trace{Stamped: true, Epoch: 5, HolderUID: "uid-b", HolderEpoch: 4}, Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, EpochRestored, "b", 6),
		writes: true,
	},
	"a UID that was overwritten is put back": {
		view:   View{Lease: held("a", 4).forged(), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, LeaseLost, "a", 4),
		writes: true,
	},
	"after the highest epoch there is none": {
		view: View{Lease: held("a", 1<<30), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, EpochsExhausted, "a", 1<<30).though(HolderNotReady),
	},
	"after the highest epoch no pod follows one that is gone": {
		view: View{Lease: held("a", 1<<30), Candidates: []Candidate{pod("b")}},
		want: to(Hold, EpochsExhausted, "a", 1<<30).though(HolderGone),
	},
	"a master of an earlier epoch does not get the highest when that is another's": {
		view: View{Lease: Lease{Exists: true, Epoch: 1 << 30}, Trace: Trace{Stamped: true, Epoch: 1 << 30, HolderUID: "uid-a", HolderEpoch: 1}, Candidates: []Candidate{pod("a")}},
		want: Decision{Action: Hold, Reason: EpochsExhausted, Epoch: 1 << 30},
	},
	"a Lease that was deleted in the highest epoch is restored in that": {
		view:   View{Trace: routed("a", 1<<30), Candidates: []Candidate{pod("a")}},
		want:   to(Restore, EpochsExhausted, "a", 1<<30),
		writes: true,
	},
}

// adoptionTests are of a master that the predecessor has left.
var adoptionTests = map[string]decisionTest{
	"the predecessor's master is adopted": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b", designated)}},
		want:   to(Adopt, AlreadyDesignated, "b", 1),
		writes: true,
	},
	"the predecessor's master is adopted when the Lease awaits a master": {
		view:   View{Lease: Lease{Exists: true}, Candidates: []Candidate{pod("a"), pod("b", designated)}},
		want:   to(Adopt, AlreadyDesignated, "b", 1),
		writes: true,
	},
	"of several pods that the predecessor left active, the best is adopted": {
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
	"a predecessor's master that is kept from being master is not adopted": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b", designated, excluded)}},
		want:   to(Elect, FirstEligible, "a", 1),
		writes: true,
	},
}
