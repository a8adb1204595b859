package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// pausedTests are of an election that is paused, in which no pod becomes master.
var pausedTests = map[string]decisionTest{
	"a master that is eligible stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4),
	},
	"a master that is not Ready stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4).though(HolderNotReady),
	},
	"a master that terminates stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4).though(HolderTerminating),
	},
	"a master that is gone stays in the Lease": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4).though(HolderGone),
	},
	"the next incarnation of a master is another pod": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", reborn)}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4).though(HolderGone),
	},
	"a master on an unschedulable node stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: paused},
		want: to(Hold, ElectionPaused, "a", 4),
	},
	"there is no failback": {
		view: View{
			Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Now: now,
			Settings: api.Election{Paused: true, Failback: after(10 * time.Minute)},
		},
		want: to(Hold, ElectionPaused, "a", 4),
	},
	"no pod is deleted": {
		view: View{
			Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")},
			Settings: api.Election{Paused: true, AfterTermination: true, DeleteDemoted: true},
		},
		want: to(Hold, ElectionPaused, "a", 4).though(HolderNotReady),
	},
	"there is no first master": {
		view:   View{Candidates: []Candidate{pod("a")}, Settings: paused},
		want:   Decision{Action: Hold, Reason: ElectionPaused},
		writes: true,
	},
	"there is no master after others, whose epoch is kept": {
		view: View{Lease: Lease{Exists: true, Epoch: 4}, Trace: Trace{Stamped: true, Epoch: 4}, Candidates: []Candidate{pod("a")}, Settings: paused},
		want: Decision{Action: Hold, Reason: ElectionPaused, Epoch: 4},
	},
	"the predecessor's master is adopted all the same, because it does not move": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b", designated)}, Settings: paused},
		want:   to(Adopt, AlreadyDesignated, "b", 1),
		writes: true,
	},
	"a Lease that was deleted is restored": {
		view:   View{Trace: routed("b", 4), Candidates: []Candidate{pod("a"), pod("b", notReady)}, Settings: paused},
		want:   to(Restore, LeaseLost, "b", 6).though(HolderNotReady),
		writes: true,
	},
	"an epoch that was lowered is raised": {
		view:   View{Lease: held("a", 2), Trace: routed("a", 4), Candidates: []Candidate{pod("b")}, Settings: paused},
		want:   to(Restore, EpochRestored, "a", 4).though(HolderGone),
		writes: true,
	},
	"an edit is refused": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}, Settings: paused},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", ElectionPaused),
		writes: true,
	},
	"an edit is refused even if the master is not eligible": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: paused},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).refusing("b", ElectionPaused),
		writes: true,
	},
	"what is wrong with the pod itself is said first": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", notReady)}, Settings: paused},
		want:   to(Restore, EditRefused, "a", 4).refusing("b", HolderNotReady),
		writes: true,
	},
	"a Lease that a user made with a holder gets none": {
		view:   View{Lease: Lease{Exists: true, Holder: "b"}, Candidates: []Candidate{pod("a"), pod("b")}, Settings: paused},
		want:   Decision{Action: Hold, Reason: ElectionPaused}.refusing("b", ElectionPaused),
		writes: true,
	},
	"the pod that was asked for before is refused": {
		view:   View{Lease: held("a", 4).promising("b"), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: paused},
		want:   to(Restore, EditRefused, "a", 4).though(HolderTerminating).refusing("b", ElectionPaused),
		writes: true,
	},
}

var paused = api.Election{Paused: true}

func after(d time.Duration) *time.Duration { return &d }
