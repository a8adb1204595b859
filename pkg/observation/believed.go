package observation

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/lease"
)

// aheadAtMost is how many epochs a stamp may be ahead of the Lease, as it is after the Lease was
// restored from a backup: a move every minute for two years. A stamp that is further ahead was
// forged. If it counted, no epoch might be left for the next master.
const aheadAtMost = 1 << 20

// highestBelieved returns the highest epoch with which an object can be stamped. Without a Lease
// that the controller has written, that is any.
func (o *Observation) highestBelieved() int32 {
	held := lease.Decode(o.Lease)
	recorded, _, found := lease.Recorded(o.Lease)
	if !found || held.Foreign {
		return api.MaxEpoch
	}
	return min(max(held.Epoch, recorded), api.MaxEpoch-aheadAtMost) + aheadAtMost
}

// believed returns the object as it is, or without its stamp and its witness if they are of an
// epoch that the election cannot have reached. The controller then writes them anew.
func believed[T interface {
	metav1.Object
	runtime.Object
}](o *Observation, object T) T {
	stamp, held := Stamp(object), heldBefore(object)
	if max(stamp, held) <= o.highestBelieved() {
		return object
	}
	o.unbelieved = append(o.unbelieved, fmt.Sprintf("%s (%d)", object.GetName(), max(stamp, held)))
	object = object.DeepCopyObject().(T)
	annotations := object.GetAnnotations()
	delete(annotations, api.AnnotationLeaseTransitions)
	delete(annotations, api.AnnotationWitness)
	object.SetAnnotations(annotations)
	return object
}

// findUnbelieved adds a problem if stamps do not count.
func (o *Observation) findUnbelieved() {
	if len(o.unbelieved) > 0 {
		o.problem(api.ReasonInvalidAnnotation, fmt.Sprintf(
			"the stamp %s does not count, and is written anew, because it is far ahead of the Lease's epoch %d: %s",
			api.AnnotationLeaseTransitions, lease.Decode(o.Lease).Epoch, few(o.unbelieved)))
	}
}
