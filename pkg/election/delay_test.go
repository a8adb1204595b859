package election

import (
	"time"

	"qoqo.dev/active-standby-controller/pkg/api"
)

var tenSeconds = api.Election{FailoverDelay: 10 * time.Second}

// downFor returns when an outage began that has lasted for d.
func downFor(d time.Duration) time.Time { return now.Add(-d) }

// delayTests are of a master that may recover soon.
var delayTests = map[string]decisionTest{
	"a master that is not Ready is waited for from when that is seen": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(10 * time.Second),
	},
	"a master whose node is silent is waited for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", nodeSilent), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(NodeSilent).again(10 * time.Second),
	},
	"a master that has stopped answering is waited for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderUnresponsive).again(10 * time.Second),
	},
	"a master that was not Ready before is waited for only for the rest of the time": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(6 * time.Second),
	},
	"a master is waited for until the last moment": {
		view: View{Now: now, DownSince: downFor(10*time.Second - 1), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).again(1),
	},
	"a master is no longer waited for once the time is over": {
		view:   View{Now: now, DownSince: downFor(10 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a master that has recovered stays": {
		view: View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}, Settings: tenSeconds},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"while no other pod is eligible there is nothing to wait for": {
		view: View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", notReady)}, Settings: tenSeconds},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
	},
	"a master that terminates is not waited for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"a master that terminates and is no longer Ready is not waited for": {
		view:   View{Now: now, DownSince: downFor(time.Second), Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderTerminating, "b", 5).from("a"),
		writes: true,
	},
	"a master that has ended is not waited for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", finished, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderFinished, "b", 5).from("a"),
		writes: true,
	},
	"a master that is gone is not waited for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderGone, "b", 5).from("a"),
		writes: true,
	},
	"a master that must no longer be master is not waited for": {
		view:   View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", excluded, notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Failover, HolderExcluded, "b", 5).from("a"),
		writes: true,
	},
	"a master that the Service no longer selects is not waited for": {
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
	"an edit that is refused is taken back while the master is waited for": {
		view:   View{Now: now, DownSince: downFor(4 * time.Second), Lease: held("a", 4).editedTo("c"), Candidates: []Candidate{pod("a", notReady), pod("b"), pod("c", notReady)}, Settings: tenSeconds},
		want:   to(Restore, EditRefused, "a", 4).though(HolderNotReady).again(6*time.Second).refusing("c", HolderNotReady),
		writes: true,
	},
	"a Lease that was deleted is restored while the master is waited for": {
		view:   View{Now: now, Trace: routed("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want:   to(Restore, LeaseLost, "a", 6).though(HolderNotReady).again(10 * time.Second),
		writes: true,
	},
}
