package election

// probeTests are of what the controller's own probes say.
var probeTests = map[string]decisionTest{
	"a master that has stopped answering is replaced if another answers": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}},
		want:   to(Failover, HolderUnresponsive, "b", 5).from("a"),
		writes: true,
	},
	"a master that has stopped answering stays if no other answers": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b"), pod("c", unresponsive)}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a pod that answers and could not be master does not count": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive), pod("b", answers, notReady), pod("c")}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"if no pod answers, readiness alone decides": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", unresponsive, notReady), pod("b", unresponsive)}},
		want:   to(Failover, HolderNotReady, "b", 5).from("a"),
		writes: true,
	},
	"a standby that has stopped answering is not elected, because the master's answers show that it could": {
		view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a", answers), pod("b", unresponsive)}},
		want: to(Restore, EditRefused, "a", 4).refusing("b", HolderUnresponsive), writes: true,
	},
	"a master that cannot be labelled is replaced if another pod can": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", refused), pod("b")}},
		want:   to(Failover, HolderRefused, "b", 5).from("a"),
		writes: true,
	},
	"a master that cannot be labelled stays if no other pod can": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", refused), pod("b", refused), pod("c", notReady)}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a master that another election has made a standby is replaced": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", inactive), pod("b")}},
		want:   to(Failover, HolderInactive, "b", 5).from("a"),
		writes: true,
	},
	"a pod that cannot be labelled is not elected first": {
		view:   View{Candidates: []Candidate{pod("a", refused), pod("b")}},
		want:   to(Elect, FirstEligible, "b", 1),
		writes: true,
	},
	"a user's request for a pod that cannot be labelled is refused": {
		view: View{Lease: held("a", 4).editedTo("b"), Candidates: []Candidate{pod("a"), pod("b", refused)}},
		want: to(Restore, EditRefused, "a", 4).refusing("b", HolderRefused), writes: true,
	},
	"a master that never answered stays": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", answers)}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"a master leaves a cordoned node also for a pod of which only Kubernetes says that it serves": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", answers, draining), pod("b")}},
		want:   to(Switchover, NodeUnschedulable, "b", 5).from("a"),
		writes: true,
	},
	"a master does not leave a cordoned node for a pod that has stopped answering": {
		view: View{Lease: held("a", 4), Candidates: []Candidate{pod("a", answers, draining), pod("b", unresponsive)}},
		want: to(Hold, HolderEligible, "a", 4),
	},
	"while no pod answers, one that has stopped answering is the last": {
		view:   View{Lease: held("a", 4), Candidates: []Candidate{pod("a", terminating), pod("b", unresponsive), pod("c")}},
		want:   to(Failover, HolderTerminating, "c", 5).from("a"),
		writes: true,
	},
	"a master does not come back when it answers again": {
		view: View{Lease: held("b", 5), Candidates: []Candidate{pod("a", answers), pod("b", answers)}},
		want: to(Hold, HolderEligible, "b", 5),
	},
}
