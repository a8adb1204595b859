package election

import (
	"fmt"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// ineligible has a sentence for each reason why a pod is not eligible, or would not stay
// master; %s stands for the pod.
var ineligible = map[Reason]string{
	HolderGone:         "%s does not exist",
	HolderUnselected:   "the Service no longer selects %s",
	HolderExcluded:     "%s is kept from being master by the annotation qoqo.dev/candidate",
	HolderFinished:     "%s has ended",
	HolderTerminating:  "%s is terminating",
	PortMissing:        "%s has none of the Service's ports, which another pod has",
	NodeGone:           "%s is on a node that no longer exists",
	HolderNotReady:     "%s is not Ready",
	AddressMissing:     "%s has no address",
	NodeSilent:         "%s is on a node that no longer gives signs of life",
	HolderUnresponsive: "%s has stopped answering the controller's probe, which another pod answers",
	HolderRefused:      "the API server refuses to label %s",
	HolderInactive:     "another election has made %s a standby, and the Service routes by label",
	NodeUnschedulable:  "%s is on a node that is unschedulable",
}

// Message returns the decision as a sentence, for events, logs and the plugin.
func (d Decision) Message() string {
	switch d.Action {
	case Refuse:
		return "the Lease is not the controller's"
	case Restore:
		switch d.Reason {
		case LeaseLost:
			return fmt.Sprintf("%s stays master in epoch %d: the Lease or its holder had been removed", d.Holder, d.Epoch)
		case EpochRestored:
			return fmt.Sprintf("%s is master in epoch %d: the Lease's epoch had been edited", d.Holder, d.Epoch)
		default:
			return fmt.Sprintf("%s stays master in epoch %d", d.Holder, d.Epoch)
		}
	case Adopt:
		return fmt.Sprintf("%s stays master, now in epoch %d: it was already labelled active", d.Holder, d.Epoch)
	case Elect:
		return fmt.Sprintf("%s is the first master, in epoch %d", d.Holder, d.Epoch)
	case Failover, Switchover:
		from, former := "", "the former master"
		// A pod of the holder's own name was another pod, or a user had edited the Lease.
		if d.Previous != "" && d.Previous != d.Holder {
			from, former = " from "+d.Previous, d.Previous
		}
		return fmt.Sprintf("master moved%s to %s in epoch %d: %s", from, d.Holder, d.Epoch, d.because(former, "the Lease's holder was edited"))
	case Stop:
		return fmt.Sprintf("deleting %s: it must stop before another pod can become master (qoqo.dev/handover); reason: %s",
			d.Holder, d.because(d.Holder, "a switchover to "+d.Next+" was requested"))
	}
	if d.Reason == EpochsExhausted {
		return fmt.Sprintf("no other pod can become master, because there is no epoch after %d; opt the Service out and in again, and clear what applications remember of epochs", d.Epoch)
	}
	if d.Holder == "" {
		if d.Reason == ElectionPaused {
			return "no first master is elected while the election is paused (qoqo.dev/paused)"
		}
		return "no pod is eligible yet, so there is no master"
	}
	if d.Ineligible == "" {
		return fmt.Sprintf("%s is master in epoch %d", d.Holder, d.Epoch)
	}
	why := fmt.Sprintf(ineligible[d.Ineligible], d.Holder)
	switch d.Reason {
	case ElectionPaused:
		if d.Ineligible == HolderGone {
			// A user may have edited the name in the Lease.
			why = "the master's pod does not exist"
		}
		return why + "; no other pod becomes master while the election is paused (qoqo.dev/paused)"
	case AwaitingHolder:
		return why + "; waiting for it to recover (qoqo.dev/failover-delay)"
	case AwaitingExpiry:
		return why + "; no other pod can become master until the Lease has expired (qoqo.dev/lease-duration)"
	case AwaitingTermination:
		why += "; no other pod can become master until the master has stopped (qoqo.dev/handover)"
		switch d.Ineligible {
		case HolderTerminating:
		case NodeSilent:
			why += "; if the node is off, delete the master's pod by force, or taint the node out of service"
		default:
			why += "; delete the master's pod to let another pod take over"
		}
		return why
	}
	return fmt.Sprintf("no pod is eligible, so %s stays master in epoch %d", d.Holder, d.Epoch)
}

// because returns a sentence that says why the pod is replaced; edited is that sentence if
// a user asked for it.
func (d Decision) because(pod, edited string) string {
	switch why, known := ineligible[d.Reason]; {
	case known:
		return fmt.Sprintf(why, pod)
	case d.Reason == PreferredEligible:
		return "a preferred pod has been eligible for as long as qoqo.dev/failback says"
	case d.Reason == HigherPriority:
		return "the priority of an eligible pod has been higher for as long as qoqo.dev/failback says"
	}
	return edited
}

// Message returns the refusal as a sentence.
func (r Refusal) Message() string {
	switch r.Why {
	case HolderGone:
		return r.Holder + " cannot become master: it is not a pod that the Service selects"
	case EpochsExhausted:
		return fmt.Sprintf("%s cannot become master: there is no epoch after %d", r.Holder, api.MaxEpoch)
	case ElectionPaused:
		return r.Holder + " cannot become master: the election is paused; remove the annotation qoqo.dev/paused first"
	case PreferredEligible:
		return r.Holder + " cannot become master: the master would move back to a preferred pod at once (qoqo.dev/failback)"
	case AwaitingTermination:
		return r.Holder + " cannot become master: the master must stop first (qoqo.dev/handover); delete its pod, or let the controller delete it (qoqo.dev/on-demote)"
	}
	return fmt.Sprintf("%s cannot become master: "+ineligible[r.Why], r.Holder, "it")
}
