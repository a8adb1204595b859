package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var tenSeconds = api.Election{FailoverDelay: 10 * time.Second}

// downFor is since when the holder has been down, if that is for so long.
func downFor(d time.Duration) time.Time { return now.Add(-d) }

// delayTests are of a master that may be back soon, which is waited for.
var delayTests = map[string]decisionTest{
	"one that is not Ready is waited for from when that is seen": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(10 * time.Second),
	},
	"so is one whose node gives no sign of life": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(NodeSilent).again(10 * time.Second),
	},
	"so is one that has stopped answering": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderUnresponsive).again(10 * time.Second),
	},
	"later only for the rest of the time": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(6 * time.Second),
	},
	"until the last moment": {
		view: View{Now: now, DownSince: downFor(10*time.Second - 1), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(1),
	},
	"and then no longer": {
		view:   View{Now: now, DownSince: downFor(10 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"if it has recovered it stays": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}, Settings: tenSeconds},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"while nobody else is eligible there is nothing to wait for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: tenSeconds},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"one that terminates is not waited for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"also if it is not Ready any more": {
		view:   View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"nor is one that has ended": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", finished, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"nor one that is gone": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"nor one that is to be master no longer": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderExcluded, "b", 5).from("a"),
		writes: true,
	},
	"nor one that the Service no longer selects": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", unselected, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderUnselected, "b", 5).from("a"),
		writes: true,
	},
	"the first master is not waited for": {
		view:   View{Now: now, Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"an edit is followed without delay": {
		view:   View{Now: now, Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Switchover, HolderEdited, "b", 5).from("a"),
		writes: true,
	},
	"an edit that is refused is taken back meanwhile": {
		view:   View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}, Settings: tenSeconds},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).again(6*time.Second).refusing("c", HolderNotReady),
		writes: true,
	},
	"a Lease that was deleted is restored meanwhile": {
		view:   View{Now: now, Trace: routed("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Restore, LeaseLost, "a", 4).though(HolderNotReady).again(10 * time.Second),
		writes: true,
	},
}
