package election

import "testing"

func TestServedAndProblem(t *testing.T) {
	tests := map[string]struct {
		decision Decision
		// served: there is a master that is eligible. problem: users must hear that nothing
		// is done.
		served, problem bool
	}{
		"a foreign Lease":                                  {Decision{Action: Refuse, Reason: LeaseForeign}, false, true},
		"a master that is eligible":                        {to(Hold, HolderEligible, "a", 4), true, false},
		"a failover":                                       {to(Failover, HolderNotReady, "b", 5).from("a"), true, false},
		"a first master":                                   {to(Elect, FirstEligible, "a", 1), true, false},
		"the predecessor's master":                         {to(Adopt, AlreadyDesignated, "a", 1), true, false},
		"a Lease that was deleted":                         {to(Restore, LeaseLost, "a", 4), true, false},
		"a Lease that was deleted, of a failed master":     {to(Restore, LeaseLost, "a", 4).though(HolderNotReady), false, false},
		"no pod is eligible yet":                           {Decision{Action: Hold, Reason: AwaitingEligible}, false, false},
		"no pod is eligible any longer":                    {to(Hold, NobodyEligible, "a", 4).though(HolderNotReady), false, true},
		"an election that is paused":                       {to(Hold, ElectionPaused, "a", 4), true, false},
		"an election that is paused, with a failed master": {to(Hold, ElectionPaused, "a", 4).though(HolderGone), false, true},
		"an election that is paused, without a master":     {Decision{Action: Hold, Reason: ElectionPaused}, false, true},
		"a master that may be back":                        {to(Hold, AwaitingHolder, "a", 4).though(HolderNotReady), false, true},
		"a Lease that has to expire":                       {to(Hold, AwaitingExpiry, "a", 4).though(HolderNotReady), false, true},
		"a master that cannot tell":                        {to(Hold, AwaitingTermination, "a", 4).though(NodeSilent), false, true},
		"a master that has to stop":                        {to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady), false, true},
		"a master that is deleted for another":             {to(Stop, HolderEdited, "a", 4).promising("b"), true, false},
		"a failed master that is deleted":                  {to(Stop, HolderNotReady, "a", 4).though(HolderNotReady), false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.decision.Served(); got != test.served {
				t.Errorf("served: %v, want %v", got, test.served)
			}
			if got := test.decision.Problem(); got != test.problem {
				t.Errorf("problem: %v, want %v", got, test.problem)
			}
		})
	}
}

func TestReasonFails(t *testing.T) {
	for reason, want := range map[Reason]bool{
		HolderGone: true, HolderUnselected: true, HolderExcluded: true, HolderFinished: true, HolderTerminating: true,
		HolderNotReady: true, NodeSilent: true, HolderUnresponsive: true, HolderRefused: true,
		NodeUnschedulable: false, HolderEdited: false, PreferredEligible: false, HigherPriority: false, HolderEligible: false, AwaitingTermination: false,
	} {
		if got := reason.Fails(); got != want {
			t.Errorf("%s is why a pod is not eligible: %v, want %v", reason, got, want)
		}
	}
}
