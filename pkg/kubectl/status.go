package kubectl

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/lease"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// Words of the column STATUS, which also shows the reasons of problems and decisions.
const (
	statusOk     = "Ok"
	statusPaused = "Paused"
	// statusObserved: traffic does not follow the master, because the Service only observes.
	statusObserved = "Observed"
	// statusNoLease: the controller has not made a Lease.
	statusNoLease = "NoLease"
	// statusPending: the controller has yet to act.
	statusPending = "Pending"
	// statusGone: the Service was deleted or is no longer annotated.
	statusGone = "Gone"
)

// status is what is shown of an annotated Service. Nodes and probes are not looked at, because
// that takes more rights and requests. `check` looks at what it may.
type status struct {
	Lease   string      `json:"lease"`
	Routing api.Routing `json:"routing,omitempty"`
	Master  *master     `json:"master,omitempty"`
	Epoch   int32       `json:"epoch"`
	// AcquireTime is when the pod became master, and Reason is why.
	AcquireTime *metav1.MicroTime `json:"acquireTime,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Standbys    standbys          `json:"standbys"`
	Paused      bool              `json:"paused"`
	// Observed: traffic does not follow the master.
	Observed bool      `json:"observed,omitempty"`
	OK       bool      `json:"ok"`
	Problems []problem `json:"problems,omitempty"`
}

type master struct {
	Name string    `json:"name"`
	UID  types.UID `json:"uid"`
	Node string    `json:"node,omitempty"`
	// Priority is what the pod's annotation says.
	Priority int64 `json:"priority,omitempty"`
}

// standbys counts the other pods that are not about to go.
type standbys struct {
	Eligible int `json:"eligible"`
	Total    int `json:"total"`
}

type problem struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

func statusOf(s *corev1.Service, o *observation.Observation) status {
	st := status{Lease: o.Key.Name, Observed: api.Observes(s)}
	st.Problems = standing(o, s)
	settings, _, served := api.Parse(s)
	if !served {
		return st
	}
	if len(o.Members) == 0 {
		// It observes Services that are refused.
		p := o.Unserved()
		st.add(p.Reason, p.Message)
		return st
	}
	st.Routing = o.Routing(s, settings.Routing)
	st.Paused = o.Settings().Paused
	view := o.View()
	st.lease(s, o, view)
	for _, v := range election.Explain(view) {
		if v.UID == view.Lease.HolderUID || v.Unselected || v.Finished || v.Terminating {
			continue
		}
		st.Standbys.Total++
		if v.Why == "" {
			st.Standbys.Eligible++
		}
	}
	st.OK = len(st.Problems) == 0
	return st
}

// lease adds what the Lease says, and what the controller would decide now.
func (st *status) lease(s *corev1.Service, o *observation.Observation, view election.View) {
	if !view.Lease.Exists {
		st.add(statusNoLease, noLease(o.Key))
		return
	}
	d := election.Decide(view)
	if d.Action == election.Refuse {
		st.add(string(d.Reason), o.Says(d, s))
		return
	}
	st.Epoch = view.Lease.Epoch
	if acquired := lease.Decode(o.Lease).Acquired; !acquired.IsZero() {
		st.AcquireTime = ptr.To(metav1.NewMicroTime(acquired))
	}
	st.Reason = o.Lease.Annotations[api.AnnotationReason]
	if uid := view.Lease.HolderUID; uid != "" {
		st.Master = &master{Name: o.MasterName(), UID: uid}
		for _, p := range o.Pods {
			if p.UID == uid {
				st.Master.Node = p.Spec.NodeName
				st.Master.Priority, _ = api.Priority(p.Pod)
			}
		}
	}
	switch {
	case d.Ineligible != "":
		st.add(string(d.Ineligible), d.Ineligible.Of(d.Holder))
	case d.Action == election.Failover:
		st.add(string(d.Reason), d.Reason.Of(d.Previous))
	}
	if d.Action == election.Hold && d.Reason != election.HolderEligible && d.Reason != election.ElectionPaused {
		st.add(string(d.Reason), o.Says(d, s))
	}
	if d.Action == election.Stop && !o.Observed() || d.Writes(view.Lease) {
		st.add(statusPending, fmt.Sprintf("the controller has yet to act: %s (%s)", d.Action, d.Reason))
	}
}

func (st *status) add(reason, message string) {
	if p := (problem{reason, message}); !slices.Contains(st.Problems, p) {
		st.Problems = append(st.Problems, p)
	}
}

// word returns the column STATUS.
func (st status) word() string {
	var words []string
	if st.Observed {
		words = append(words, statusObserved)
	}
	if st.Paused {
		words = append(words, statusPaused)
	}
	for _, p := range st.Problems {
		if !slices.Contains(words, p.Reason) {
			words = append(words, p.Reason)
		}
	}
	if len(words) == 0 {
		return statusOk
	}
	return strings.Join(words, ",")
}

// row is a Service and its status.
type row struct {
	key    types.NamespacedName
	status status
}

var statusColumns = []string{"Service", "(Lease)", "Routing", "Master", "Node", "(Priority)", "Since", "Epoch", "Reason", "Standbys", "Status"}

func (r row) cells(withNamespace bool) (cells []any) {
	if withNamespace {
		cells = append(cells, r.key.Namespace)
	}
	st := r.status
	name, node, age := none, none, none
	var priority any = none
	var epoch any = none
	if st.Epoch > 0 {
		epoch = st.Epoch
	}
	if st.Master != nil {
		name, node, priority = st.Master.Name, cmp.Or(st.Master.Node, none), st.Master.Priority
		age = unknown
		if st.AcquireTime != nil {
			age = since(st.AcquireTime.Time)
		}
	}
	return append(cells, r.key.Name, st.Lease, cmp.Or(string(st.Routing), none), name, node, priority, age, epoch, cmp.Or(st.Reason, none),
		fmt.Sprintf("%d/%d", st.Standbys.Eligible, st.Standbys.Total), st.word())
}

func (r row) object() (*unstructured.Unstructured, error) {
	return object("ElectionStatus", r.key.Namespace, r.key.Name, "status", &r.status)
}

func rowOf(w *world, s *corev1.Service) row {
	return row{types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, statusOf(s, w.look(s))}
}

func byKey(a, b row) int {
	return cmp.Or(cmp.Compare(a.key.Namespace, b.key.Namespace), cmp.Compare(a.key.Name, b.key.Name))
}
