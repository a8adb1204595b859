package election

import "fmt"

// ineligible says in a sentence why a pod is not eligible, or would not stay
// master; %s stands for the pod.
var ineligible = map[Reason]string{
	HolderGone:         "%s does not exist",
	HolderUnselected:   "the Service no longer selects %s",
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
		if why, known := ineligible[d.Reason]; known {
			return fmt.Sprintf("master moved from %s to %s in epoch %d: "+why, d.previous(), d.Holder, d.Epoch, d.previous())
		}
		return fmt.Sprintf("master moved from %s to %s in epoch %d: the Lease's holder was edited", d.previous(), d.Holder, d.Epoch)
	}
	switch d.Reason {
	case NobodyEligible:
		return fmt.Sprintf("no pod is eligible, so %s stays master in epoch %d", d.Holder, d.Epoch)
	case AwaitingEligible:
		return "no pod has been eligible yet"
	}
	return fmt.Sprintf("%s is master in epoch %d", d.Holder, d.Epoch)
}

func (d Decision) previous() string {
	if d.Previous == "" {
		return "a former pod"
	}
	return d.Previous
}

// Message says the refusal in a sentence.
func (r Refusal) Message() string {
	if r.Why == HolderGone {
		return r.Holder + " cannot become master: it is not a pod that the Service selects"
	}
	return fmt.Sprintf("%s cannot become master: "+ineligible[r.Why], r.Holder, "it")
}
