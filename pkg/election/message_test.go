package election

import (
	"testing"
	"time"
)

func TestDecisionMessage(t *testing.T) {
	tests := map[string]struct {
		decision Decision
		want     string
	}{
		"a foreign Lease": {
			Decision{Action: Refuse, Reason: LeaseForeign},
			"the Lease is not the controller's",
		},
		"a Lease that was deleted": {
			to(Restore, LeaseLost, "a", 4),
			"a stays master in epoch 4: the Lease or its holder had been removed",
		},
		"an epoch that was lowered": {
			to(Restore, EpochRestored, "a", 4),
			"a is master in epoch 4: the Lease's epoch had been edited",
		},
		"an edit that is taken back, of which the refusal says why": {
			to(Restore, EditRefused, "a", 4).refusing("b", HolderNotReady),
			"a stays master in epoch 4",
		},
		"the predecessor's master": {
			to(Adopt, AlreadyDesignated, "a", 1),
			"a stays master, now in epoch 1: it was already labelled active",
		},
		"a first master": {
			to(Elect, FirstEligible, "a", 1),
			"a is the first master, in epoch 1",
		},
		"a failover to a pod of the former master's name": {
			to(Failover, HolderGone, "b", 5).from("b"),
			"master moved to b in epoch 5: the former master does not exist",
		},
		"a failover": {
			to(Failover, HolderNotReady, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a is not Ready",
		},
		"a failover from a pod that the Service no longer selects": {
			to(Failover, HolderUnselected, "b", 5).from("a"),
			"master moved from a to b in epoch 5: the Service no longer selects a",
		},
		"a failover from a pod whose name is not known": {
			to(Failover, HolderGone, "b", 5),
			"master moved to b in epoch 5: the former master does not exist",
		},
		"an edit": {
			to(Switchover, HolderEdited, "b", 5).from("a"),
			"master moved from a to b in epoch 5: the Lease's holder was edited",
		},
		"an edit of a Lease that had no holder": {
			to(Switchover, HolderEdited, "b", 1),
			"master moved to b in epoch 1: the Lease's holder was edited",
		},
		"a master whose node is dead": {
			to(Failover, NodeSilent, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a is on a node that no longer gives signs of life",
		},
		"a master that has stopped answering": {
			to(Failover, HolderUnresponsive, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a has stopped answering the controller's probe, which another pod answers",
		},
		"a master whose node is cordoned": {
			to(Switchover, NodeUnschedulable, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a is on a node that is unschedulable",
		},
		"a master that stays": {
			to(Hold, HolderEligible, "a", 4),
			"a is master in epoch 4",
		},
		"a master that cannot be replaced": {
			to(Hold, NobodyEligible, "a", 4).though(HolderNotReady),
			"no pod is eligible, so a stays master in epoch 4",
		},
		"a master that must no longer be master": {
			to(Failover, HolderExcluded, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a is kept from being master by the annotation qoqo.dev/candidate",
		},
		"a master that terminates": {
			to(Failover, HolderTerminating, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a is terminating",
		},
		"a master that has ended": {
			to(Failover, HolderFinished, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a has ended",
		},
		"a failback": {
			to(Switchover, PreferredEligible, "b", 5).from("a"),
			"master moved from a to b in epoch 5: a preferred pod has been eligible for as long as qoqo.dev/failback says",
		},
		"a failback by priority": {
			to(Switchover, HigherPriority, "b", 5).from("a"),
			"master moved from a to b in epoch 5: the priority of an eligible pod has been higher for as long as qoqo.dev/failback says",
		},
		"a pause": {
			to(Hold, ElectionPaused, "a", 4),
			"a is master in epoch 4",
		},
		"a pause in which the master fails": {
			to(Hold, ElectionPaused, "a", 4).though(HolderNotReady),
			"a is not Ready; no other pod becomes master while the election is paused (qoqo.dev/paused)",
		},
		"a pause in which the master's pod goes": {
			to(Hold, ElectionPaused, "a", 4).though(HolderGone),
			"the master's pod does not exist; no other pod becomes master while the election is paused (qoqo.dev/paused)",
		},
		"a pause before there is a master": {
			Decision{Action: Hold, Reason: ElectionPaused},
			"no first master is elected while the election is paused (qoqo.dev/paused)",
		},
		"a master that is waited for": {
			to(Hold, AwaitingHolder, "a", 4).though(HolderUnresponsive).again(10 * time.Second),
			"a has stopped answering the controller's probe, which another pod answers; waiting for it to recover (qoqo.dev/failover-delay)",
		},
		"a Lease that has to expire": {
			to(Hold, AwaitingExpiry, "a", 4).though(NodeSilent).again(10 * time.Second),
			"a is on a node that no longer gives signs of life; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration)",
		},
		"a master that terminates and has to stop first": {
			to(Hold, AwaitingTermination, "a", 4).though(HolderTerminating),
			"a is terminating; no other pod can become master until the master has stopped (qoqo.dev/handover)",
		},
		"a master that cannot tell when it has stopped": {
			to(Hold, AwaitingTermination, "a", 4).though(NodeSilent),
			"a is on a node that no longer gives signs of life; no other pod can become master until the master has stopped (qoqo.dev/handover); if the node is off, delete the master's pod by force, or taint the node out of service",
		},
		"a failed master that has to stop first": {
			to(Hold, AwaitingTermination, "a", 4).though(HolderNotReady),
			"a is not Ready; no other pod can become master until the master has stopped (qoqo.dev/handover); delete the master's pod to let another pod take over",
		},
		"a failed master that is deleted": {
			to(Stop, HolderNotReady, "a", 4).though(HolderNotReady),
			"deleting a: it must stop before another pod can become master (qoqo.dev/handover); reason: a is not Ready",
		},
		"a master that is deleted for another that was asked for": {
			to(Stop, HolderEdited, "a", 4).promising("b"),
			"deleting a: it must stop before another pod can become master (qoqo.dev/handover); reason: a switchover to b was requested",
		},
		"a master that is deleted for a failback": {
			to(Stop, PreferredEligible, "a", 4),
			"deleting a: it must stop before another pod can become master (qoqo.dev/handover); reason: a preferred pod has been eligible for as long as qoqo.dev/failback says",
		},
		"a master that is awaited": {
			Decision{Action: Hold, Reason: AwaitingEligible},
			"no pod is eligible yet, so there is no master",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.decision.Message(); got != test.want {
				t.Errorf("message\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestRefusalMessage(t *testing.T) {
	for why, want := range map[Reason]string{
		HolderGone:          "b cannot become master: it is not a pod that the Service selects",
		HolderUnselected:    "b cannot become master: the Service no longer selects it",
		HolderFinished:      "b cannot become master: it has ended",
		HolderTerminating:   "b cannot become master: it is terminating",
		HolderNotReady:      "b cannot become master: it is not Ready",
		HolderExcluded:      "b cannot become master: it is kept from being master by the annotation qoqo.dev/candidate",
		HolderUnresponsive:  "b cannot become master: it has stopped answering the controller's probe, which another pod answers",
		NodeSilent:          "b cannot become master: it is on a node that no longer gives signs of life",
		NodeUnschedulable:   "b cannot become master: it is on a node that is unschedulable",
		ElectionPaused:      "b cannot become master: the election is paused; remove the annotation qoqo.dev/paused first",
		PreferredEligible:   "b cannot become master: the master would move back to a preferred pod at once (qoqo.dev/failback)",
		AwaitingTermination: "b cannot become master: the master must stop first (qoqo.dev/handover); delete its pod, or let the controller delete it (qoqo.dev/on-demote)",
	} {
		t.Run(string(why), func(t *testing.T) {
			if got := (Refusal{Holder: "b", Why: why}).Message(); got != want {
				t.Errorf("message %q, want %q", got, want)
			}
		})
	}
}
