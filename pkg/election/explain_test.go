package election

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
