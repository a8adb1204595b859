package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// renewed is a's Lease, on which a may rely for 15 s.
var renewed = held("a", 4).valid(15 * time.Second)

// expiryTests are of a master that may rely on its Lease without hearing of the next.
var expiryTests = map[string]decisionTest{
	"a master that is not Ready is not followed until its Lease has expired, counted from when that is seen": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(15 * time.Second),
	},
	"a master whose node is silent is not followed until its Lease has expired": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", nodeSilent), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(NodeSilent).again(15 * time.Second),
	},
	"a master that has stopped answering is not followed until its Lease has expired": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderUnresponsive).again(15 * time.Second),
	},
	"a master that terminates and is no longer Ready is not followed until its Lease has expired": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderTerminating).again(15 * time.Second),
	},
	"a master that must no longer be master and is not Ready is not followed until its Lease has expired": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", excluded, notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderExcluded).again(15 * time.Second),
	},
	"a master that was not Ready before is waited for only for the rest of the time": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(11 * time.Second),
	},
	"a master is not followed at the last moment of its Lease": {
		view: View{Now: now, DownSince: downFor(15*time.Second - 1), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(1),
	},
	"a master is followed once its Lease has expired": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a master that recovers stays": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a"), pod("b")}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"while no other pod is eligible there is nothing to wait for": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a Lease that is not renewed does not expire": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},

	"a master that terminates and is Ready hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", terminating), pod("b")}},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"a master that must no longer be master and is Ready hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", excluded), pod("b")}},
		want:   to(Failover, HolderExcluded, "b", 5).from("a"),
		writes: true,
	},
	"a master that the Service no longer selects hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", unselected), pod("b")}},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"a master on a node that is being drained hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", draining), pod("b")}},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a"),
		writes: true,
	},
	"a master that makes room for a preferred pod hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backAtOnce},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"a master that has ended believes in nothing": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", finished, notReady), pod("b")}},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"a master that is gone believes in nothing": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("b")}},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},

	"a failover-delay that is longer than the Lease is waited for first": {
		view: View{Now: now, DownSince: downFor(16 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: api.Election{FailoverDelay: 20 * time.Second}},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(4 * time.Second),
	},
	"a failover-delay that is shorter than the Lease is part of the same time": {
		view: View{Now: now, DownSince: downFor(10 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(5 * time.Second),
	},

	"an edit is followed at once if the master hears of it": {
		view:   View{Now: now, Lease: renewed.editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit is noted until the Lease has expired": {
		view:   View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed.editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(11 * time.Second),
		writes: true,
	},
	"an edit that was noted stays noted": {
		view: View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(9 * time.Second),
	},
	"an edit that was noted is followed once the Lease has expired": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"an edit that was noted is followed once the master is back and hears of it": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"another edit takes the place of one that was noted": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c").editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("b").again(9 * time.Second),
		writes: true,
	},
	"an edit that was noted is refused if that pod is no longer eligible": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).again(9*time.Second).refusing("c", HolderNotReady),
		writes: true,
	},
}
