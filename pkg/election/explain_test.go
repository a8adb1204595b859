package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qoqo.dev/active-standby-controller/pkg/api"
)

func TestExplain(t *testing.T) {
	type row struct {
		Name  string
		Why   Reason
		Rank  int
		Ahead string
	}
	tests := map[string]struct {
		view View
		want []row
	}{
		"there are no candidates": {},
		"the eligible in order, each with what the one before it is; then the others by name": {
			view: View{Lease: held("a", 4), Candidates: []Candidate{
				pod("e", notReady), pod("d", func(c *Candidate) { c.ReadySince = start.Add(time.Hour) }), pod("c"),
				pod("b", terminating), pod("a", func(c *Candidate) { c.Preferred = true }), pod("f", draining),
			}},
			want: []row{
				{Name: "a", Rank: 1},
				{Name: "c", Rank: 2, Ahead: "is preferred"},
				{Name: "d", Rank: 3, Ahead: "has been Ready longer"},
				{Name: "f", Rank: 4, Ahead: "is on a node that is not cordoned"},
				{Name: "b", Why: HolderTerminating},
				{Name: "e", Why: HolderNotReady},
			},
		},
		"a pod that has stopped answering is not eligible if another answers": {
			view: View{Candidates: []Candidate{pod("a", unresponsive), pod("b", answers)}},
			want: []row{{Name: "b", Rank: 1}, {Name: "a", Why: HolderUnresponsive}},
		},
		"a pod that has stopped answering comes last if no other answers": {
			view: View{Candidates: []Candidate{pod("a", unresponsive), pod("b")}},
			want: []row{{Name: "b", Rank: 1}, {Name: "a", Rank: 2, Ahead: "has not stopped answering the controller's probe"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []row
			for _, v := range Explain(test.view) {
				got = append(got, row{v.Name, v.Why, v.Rank, v.Ahead})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainNoFailback(t *testing.T) {
	tests := map[string]struct {
		view View
		// want is about the pod b.
		want string
	}{
		"the pod is not preferred":         {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b")}}, ""},
		"the pod is the master":            {View{Lease: held("b", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}}, ""},
		"the master is not eligible":       {View{Lease: held("a", 4), Candidates: []Candidate{pod("a", notReady), pod("b", preferred)}}, ""},
		"there is no master":               {View{Candidates: []Candidate{pod("a"), pod("b", preferred)}}, ""},
		"there is no failback":             {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}}, "the Service asks for no failback (qoqo.dev/failback)"},
		"the election is paused":           {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred)}, Settings: api.Election{Failback: after(0), Paused: true}}, "the election is paused (qoqo.dev/paused)"},
		"the master is preferred":          {View{Lease: held("a", 4), Candidates: []Candidate{pod("a", preferred), pod("b", preferred)}}, "the master is preferred too"},
		"the pod is not Ready":             {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, notReady)}}, "it is not Ready"},
		"the pod's node is drained":        {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, draining)}, Settings: backSoon}, "it is on a node that is unschedulable"},
		"the pod has stopped answering":    {View{Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, unresponsive)}, Settings: backSoon}, "it has stopped answering the controller's probe"},
		"the pod is of an older revision":  {View{Lease: held("a", 4), Candidates: []Candidate{pod("a", revision("2", time.Minute)), pod("b", preferred, revision("1", 0))}, Settings: backSoon}, "it is of an older revision of its workload, and the master is of the newest"},
		"the time has not come":            {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(4*time.Minute))}, Settings: backSoon}, "the time has not come, in 6m0s at the earliest (qoqo.dev/failback)"},
		"the master has a higher priority": {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a", priority(1)), pod("b", preferred)}, Settings: backSoon}, "the master has a higher priority"},
		"the pod's priority is higher":     {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", priority(1))}}, "the Service asks for no failback (qoqo.dev/failback)"},
		"it has not been so for long":      {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", higherFor(1, time.Minute))}, Settings: backSoon}, "a higher priority must last for 10m0s without a break, as the controller has seen it (qoqo.dev/failback)"},
		"it has been so for long":          {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", priority(1))}, Settings: backSoon}, ""},
		"the time of another pod has come": {View{Now: now, Lease: held("a", 4), Candidates: []Candidate{pod("a"), pod("b", preferred, readyFor(time.Hour)), pod("c", preferred)}, Settings: backSoon}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, v := range Explain(test.view) {
				if v.Name == "b" && v.NoFailback != test.want {
					t.Errorf("%q, want %q", v.NoFailback, test.want)
				}
			}
			// It says nothing if, and only if, the master moves there, or could.
			if d := Decide(test.view); d.Reason == PreferredEligible && test.want != "" {
				t.Errorf("the master moves to %s", d.Holder)
			}
		})
	}
}

func TestReasonOf(t *testing.T) {
	for reason, want := range map[Reason]string{
		HolderNotReady: "web-0 is not Ready",
		FirstEligible:  "FirstEligible",
	} {
		if got := reason.Of("web-0"); got != want {
			t.Errorf("%s of web-0 is %q, want %q", reason, got, want)
		}
	}
}
