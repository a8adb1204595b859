package observation

import "k8s.io/apimachinery/pkg/util/sets"

// NodeStates say of a node whether it is unschedulable, as far as is known, and
// whether its heartbeat has stopped.
type NodeStates struct {
	Draining, Silent func(node string) bool
}

// Nodes are those with pods that are, or could become, eligible.
func (o *Observation) Nodes() sets.Set[string] {
	nodes := sets.New[string]()
	for _, p := range o.Pods {
		if p.Spec.NodeName != "" && p.DeletionTimestamp == nil && !Finished(p.Pod) {
			nodes.Insert(p.Spec.NodeName)
		}
	}
	return nodes
}
