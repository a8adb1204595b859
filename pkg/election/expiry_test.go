package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// renewed is a's Lease, in which it may believe for 15 s.
var renewed = held("a", 4).valid(15 * time.Second)

// expiryTests are of a master that may believe in its Lease and not hear of another.
var expiryTests = map[string]decisionTest{
	"nobody follows one that is not Ready before the Lease has expired since that is seen": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(15 * time.Second),
	},
	"nor one whose node gives no sign of life": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", nodeSilent), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(NodeSilent).again(15 * time.Second),
	},
	"nor one that has stopped answering": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderUnresponsive).again(15 * time.Second),
	},
	"nor one that terminates and is not Ready any more": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderTerminating).again(15 * time.Second),
	},
	"nor one that is to be master no longer and is not Ready": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", excluded, notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderExcluded).again(15 * time.Second),
	},
	"later only the rest is waited for": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(11 * time.Second),
	},
	"until the last moment": {
		view: View{Now: now, DownSince: downFor(15*time.Second - 1), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(1),
	},
	"once it has expired another follows": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a master that recovers stays": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a"), pod("b")}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"while nobody else is eligible there is nothing to wait for": {
		view: View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a Lease that is not renewed does not expire": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},

	"one that terminates and is Ready hears of the next": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", terminating), pod("b")}},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"so does one that is to be master no longer": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", excluded), pod("b")}},
		want:   to(Failover, HolderExcluded, "b", 5).from("a"),
		writes: true,
	},
	"so does one that the Service no longer selects": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", unselected), pod("b")}},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"one on a node that is being drained too": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", draining), pod("b")}},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a"),
		writes: true,
	},
	"one from which there is failback too": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: backAtOnce},
		want:   to(Switchover, PreferredEligible, "b", 5).from("a"),
		writes: true,
	},
	"one that has ended believes in nothing": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("a", finished, notReady), pod("b")}},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"nor does one that is gone": {
		view:   View{Now: now, Lease: renewed, Candidates: []Candidate{pod("b")}},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},

	"a longer delay of the failover is waited for first": {
		view: View{Now: now, DownSince: downFor(16 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: api.Election{FailoverDelay: 20 * time.Second}},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(4 * time.Second),
	},
	"a shorter one is part of the same time": {
		view: View{Now: now, DownSince: downFor(10 * time.Second), Lease: renewed, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).again(5 * time.Second),
	},

	"an edit is followed at once if the master hears of it": {
		view:   View{Now: now, Lease: renewed.editedTo("b"), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit is put off, and noted": {
		view:   View{Now: now, DownSince: downFor(4 * time.Second), Lease: renewed.editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(11 * time.Second),
		writes: true,
	},
	"it stays noted": {
		view: View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want: to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("c").again(9 * time.Second),
	},
	"it is followed once the Lease has expired": {
		view:   View{Now: now, DownSince: downFor(15 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"it is followed once the master is back and hears of it": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a"), pod("b"), pod("c")}},
		want:   to(Switchover, HolderEdited, "c", 5).from("a"),
		writes: true,
	},
	"another edit takes its place": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c").editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c")}},
		want:   to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady).promising("b").again(9 * time.Second),
		writes: true,
	},
	"it is refused if that pod is not eligible any more": {
		view:   View{Now: now, DownSince: downFor(6 * time.Second), Lease: renewed.promising("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).again(9*time.Second).refusing("c", HolderNotReady),
		writes: true,
	},
}
