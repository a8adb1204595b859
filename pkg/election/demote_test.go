package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var deleting = api.Election{DeleteDemoted: true}

// demoteTests are of former masters, which are deleted.
var demoteTests = map[string]decisionTest{
	"one that was not Ready": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one whose node gave no sign of life": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: deleting},
		want:   to(Failover, NodeSilent, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one that had stopped answering": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: deleting},
		want:   to(Failover, HolderUnresponsive, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one that is to be master no longer": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderExcluded, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one on a node that is being drained": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: deleting},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one after an edit": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}, Settings: deleting},
		want:   to(Switchover, HolderEdited, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one after failback": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{DeleteDemoted: true, Failback: after(0)}},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one of a Lease that was deleted": {
		view:   View{Trace: routed("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"one whose Lease has expired": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"not before it has": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(15 * time.Second),
	},
	"not one that terminates already": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"not one that has ended, in which nothing is connected": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"not one that is gone": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: deleting},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"not one that the Service no longer selects, which is none of the controller's": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"not one that stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: deleting},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"not the predecessor's, which is adopted": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b", designated)}, Settings: deleting},
		want:   to(Adopt, AlreadyDesignated, "b", 1),
		writes: true,
	},
	"not anybody when the first is elected": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b")}, Settings: deleting},
		want:   to(Elect, FirstEligible, "a", 1),
		writes: true,
	},
}
