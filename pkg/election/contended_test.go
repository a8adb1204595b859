package election

import "time"

// contended is a Lease that another program holds as its own, and renews for at least as long.
func (l Lease) contended(yield time.Duration) Lease {
	l.Contender, l.Yield = "app", yield
	return l
}

// yielding is the decision that leaves the Lease to a contender for as long.
func (d Decision) yielding(left time.Duration) Decision {
	d.Yields, d.Again = true, left
	return d
}

// contendedTests are of a Lease that another program holds as its own.
var contendedTests = map[string]decisionTest{
	"the master stays in its epoch, and the Lease is left to the contender": {
		view: View{Lease: held("a", 4).contended(20 * time.Second), Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}},
		want: to(Hold, HolderEligible, "a", 4).yielding(20 * time.Second),
	},
	"the master stays also if the Lease does not tell its name": {
		view: View{Lease: held("a", 4).editedTo("").contended(20 * time.Second), Candidates: []Candidate{pod("a"), pod("b")}},
		want: to(Hold, HolderEligible, "a", 4).yielding(20 * time.Second),
	},
	"the Lease is taken back in the same epoch once the contender is gone": {
		view:   View{Lease: held("a", 4).contended(0), Trace: routed("a", 4), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Hold, HolderEligible, "a", 4),
		writes: true,
	},
	"a failover is written": {
		view:   View{Lease: held("a", 4).contended(time.Minute), Trace: routed("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b")}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a").yielding(time.Minute),
		writes: true,
	},
	"a failover from a pod that is gone is written": {
		view:   View{Lease: held("a", 4).contended(time.Minute), Trace: routed("a", 4), Candidates: []Candidate{pod("b")}},
		want:   to(Failover, HolderGone, "b", 5).from("a").yielding(time.Minute),
		writes: true,
	},
	"a first master is written": {
		view:   View{Lease: Lease{Exists: true}.contended(time.Minute), Candidates: []Candidate{pod("a")}},
		want:   to(Elect, FirstEligible, "a", 1).yielding(time.Minute),
		writes: true,
	},
	"the Lease is left to the contender while a first master is awaited": {
		view: View{Lease: Lease{Exists: true}.contended(time.Minute), Candidates: []Candidate{pod("a", notReady)}},
		want: Decision{Action: Hold, Reason: AwaitingEligible}.yielding(time.Minute),
	},
	"the Lease is left to the contender while no pod is eligible": {
		view: View{Lease: held("a", 4).contended(time.Minute), Candidates: []Candidate{pod("a", notReady)}},
		want: to(Hold, NobodyEligible, "a", 4).though(HolderNotReady).yielding(time.Minute),
	},
	"a user's edit is followed": {
		view:   View{Lease: held("a", 4).editedTo("b").contended(time.Minute), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Switchover, HolderEdited, "b", 5).from("a").yielding(time.Minute),
		writes: true,
	},
	"a user's edit that is refused is taken back": {
		view:   View{Lease: held("a", 4).editedTo("x").contended(time.Minute), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, EditRefused, "a", 4).refusing("x", HolderGone).yielding(time.Minute),
		writes: true,
	},
	"a UID that was overwritten is put back": {
		view:   View{Lease: held("a", 4).forged().contended(time.Minute), Candidates: []Candidate{pod("a"), pod("b")}},
		want:   to(Restore, LeaseLost, "a", 4).yielding(time.Minute),
		writes: true,
	},
	"what is due sooner than the contender's end is due then": {
		view: View{Now: now, Lease: held("a", 4).contended(time.Minute), Candidates: []Candidate{pod("a", notReady), pod("b")}, Settings: tenSeconds},
		want: to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady).yielding(10 * time.Second),
	},
	"a foreign Lease is left to whatever has made it": {
		view: View{Lease: Lease{Exists: true, Foreign: true, Holder: "x"}, Candidates: []Candidate{pod("a")}},
		want: Decision{Action: Refuse, Reason: LeaseForeign},
	},
}
