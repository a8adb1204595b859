package election

import "fmt"

// ineligible says in a sentence why a pod is not eligible, or would not stay
// master; %s stands for the pod.
var ineligible = map[Reason]string{
	HolderGone:         "%s does not exist",
	HolderUnselected:   "the Service no longer selects %s",
	HolderExcluded:     "%s is kept from being master by the annotation qoqo.dev/candidate",
	HolderFinished:     "%s has ended",
	HolderTerminating:  "%s is terminating",
	HolderNotReady:     "%s is not Ready",
	NodeSilent:         "%s is on a node that has sent no heartbeat",
	HolderUnresponsive: "%s has stopped answering the controller's probe, which others answer",
	NodeUnschedulable:  "%s is on a node that is unschedulable",
}

// Message says the decision in a sentence, for events and logs.
func (d Decision) Message() string {
	switch d.Action {
	case Refuse:
		return "the Lease of that name is not the controller's; delete it, or name another in the annotation qoqo.dev/lease-name"
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
		return fmt.Sprintf("%s stays master, now in epoch %d: it was designated active already", d.Holder, d.Epoch)
	case Elect:
		return fmt.Sprintf("%s is the first master, in epoch %d", d.Holder, d.Epoch)
	case Failover, Switchover:
		return fmt.Sprintf("master moved from %s to %s in epoch %d: %s", d.previous(), d.Holder, d.Epoch, d.because(d.previous(), "the Lease's holder was edited"))
	case Stop:
		return fmt.Sprintf("%s is deleted, as it has to stop before another becomes master (qoqo.dev/handover): %s", d.Holder, d.because(d.Holder, d.Next+" was asked for"))
	}
	if d.Holder == "" {
		if d.Reason == ElectionPaused {
			return "no pod becomes the first master, as the election is paused (qoqo.dev/paused)"
		}
		return "no pod has been eligible yet"
	}
	if d.Ineligible == "" {
		return fmt.Sprintf("%s is master in epoch %d", d.Holder, d.Epoch)
	}
	why := fmt.Sprintf(ineligible[d.Ineligible], d.Holder)
	switch d.Reason {
	case ElectionPaused:
		if d.Ineligible == HolderGone {
			return "the master's pod does not exist, and nobody follows it, as the election is paused (qoqo.dev/paused)"
		}
		return why + ", but stays master, as the election is paused (qoqo.dev/paused)"
	case AwaitingHolder:
		return why + ", but is waited for (qoqo.dev/failover-delay)"
	case AwaitingExpiry:
		return why + ", but nobody else becomes master before its Lease has expired (qoqo.dev/lease-duration)"
	case AwaitingTermination:
		why += ", but nobody else becomes master before it has stopped (qoqo.dev/handover)"
		switch d.Ineligible {
		case HolderTerminating:
		case NodeSilent:
			why += "; if the node is off, delete its pod by force, or taint the node out of service"
		default:
			why += "; delete it if it should"
		}
		return why
	}
	return fmt.Sprintf("no pod is eligible, so %s stays master in epoch %d", d.Holder, d.Epoch)
}

// because says in a sentence why the pod is replaced; edited is what somebody did, if
// that is why.
func (d Decision) because(pod, edited string) string {
	switch why, known := ineligible[d.Reason]; {
	case known:
		return fmt.Sprintf(why, pod)
	case d.Reason == PreferredEligible:
		return "a preferred pod has been eligible for as long as qoqo.dev/failback says"
	}
	return edited
}

func (d Decision) previous() string {
	if d.Previous == "" {
		return "a former pod"
	}
	return d.Previous
}

// Message says the refusal in a sentence.
func (r Refusal) Message() string {
	switch r.Why {
	case HolderGone:
		return r.Holder + " cannot become master: it is not a pod that the Service selects"
	case ElectionPaused:
		return r.Holder + " cannot become master: the election is paused; remove the annotation qoqo.dev/paused first"
	case PreferredEligible:
		return r.Holder + " cannot become master: a preferred pod is eligible, to which the master would move back at once (qoqo.dev/failback)"
	case AwaitingTermination:
		return r.Holder + " cannot become master: the master has to stop first (qoqo.dev/handover); delete its pod, or let the controller do so (qoqo.dev/on-demote)"
	}
	return fmt.Sprintf("%s cannot become master: "+ineligible[r.Why], r.Holder, "it")
}
