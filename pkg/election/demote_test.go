package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var deleting = api.Election{DeleteDemoted: true}

// demoteTests are of on-demote: delete.
var demoteTests = map[string]decisionTest{
	"a master that was not Ready is deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master that belongs to no workload is not deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady, unmanaged), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a master whose node was silent is deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: deleting},
		want:   to(Failover, NodeSilent, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master that had stopped answering is deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: deleting},
		want:   to(Failover, HolderUnresponsive, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master that must no longer be master is deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderExcluded, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master on a node that is being drained is deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", draining), pod("b")}, Settings: deleting},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master that made room after an edit is deleted": {
		view:   View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}, Settings: deleting},
		want:   to(Switchover, HolderEdited, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master that made room for a preferred pod is deleted": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{DeleteDemoted: true, Failback: after(0)}},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master whose Lease was deleted is deleted": {
		view:   View{Trace: routed("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 6).from("a").deleting("a"),
		writes: true,
	},
	"a master whose Lease has expired is deleted": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").deleting("a"),
		writes: true,
	},
	"a master whose Lease has not expired yet is not deleted": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: deleting},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(15 * time.Second),
	},
	"a master that already terminates is not deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"a master that has ended is not deleted, because nothing is connected to it": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", finished), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"a master that is gone is not deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: deleting},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"a master that the Service no longer selects is not deleted": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected), pod("b")}, Settings: deleting},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"a master that stays is not deleted": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: deleting},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a predecessor's master, which is adopted, is not deleted": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b", designated)}, Settings: deleting},
		want:   to(Adopt, AlreadyDesignated, "b", 1),
		writes: true,
	},
	"no pod is deleted when the first master is elected": {
		view:   View{Candidates: []Candidate{pod("a"), pod("b")}, Settings: deleting},
		want:   to(Elect, FirstEligible, "a", 1),
		writes: true,
	},
}
