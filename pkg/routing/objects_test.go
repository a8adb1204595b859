package routing

import (
	"strconv"

	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// The objects that the tests of this package are written with: pods and
// Services by name, whose UID is "uid-" and the name, in version 7.

type (
	services = []observation.Member
	pods     = []observation.Pod
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
		Labels: map[string]string{}, Annotations: map[string]string{},
	}
}

func pod(name string, change ...func(*observation.Pod)) observation.Pod {
	p := observation.Pod{Pod: &corev1.Pod{ObjectMeta: meta(name)}}
	p.Labels["app"] = "web"
	for _, f := range change {
		f(&p)
	}
	return p
}

func labelled(key, value string) func(*observation.Pod) {
	return func(p *observation.Pod) { p.Labels[key] = value }
}

func annotated(key, value string) func(*observation.Pod) {
	return func(p *observation.Pod) { p.Annotations[key] = value }
}

func stamped(epoch string) func(*observation.Pod) {
	return func(p *observation.Pod) {
		annotated(api.AnnotationLeaseTransitions, epoch)(p)
		witness(p)
	}
}

// witness makes a stamp the pod's own, and an active pod the master of that epoch.
func witness(p *observation.Pod) {
	p.Annotations[api.AnnotationWitness] = string(p.UID)
	if p.Labels[api.LabelDesignation] == api.DesignationActive {
		p.Annotations[api.AnnotationWitness] += "@" + p.Annotations[api.AnnotationLeaseTransitions]
	}
}
func elsewhere(p *observation.Pod)  { p.Elsewhere = true }
func unselected(p *observation.Pod) { p.Unselected = true }
func identified(p *observation.Pod) { p.Labels[api.LabelPodUID] = string(p.UID) }
func designated(designation string) func(*observation.Pod) {
	return func(p *observation.Pod) {
		labelled(api.LabelDesignation, designation)(p)
		witness(p)
	}
}

// active is how a Plan leaves the holder of an epoch.
func active(epoch string) func(*observation.Pod) {
	return func(p *observation.Pod) {
		identified(p)
		designated(api.DesignationActive)(p)
		stamped(epoch)(p)
		annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)(p)
	}
}

// standby is how a Plan leaves a pod that became a standby in an epoch.
func standby(epoch string) func(*observation.Pod) {
	return func(p *observation.Pod) {
		identified(p)
		designated(api.DesignationStandby)(p)
		stamped(epoch)(p)
	}
}

// service is a Service of the given routing; selected is the value of the
// controller's key in its selector and epoch its stamp, none if empty.
func service(routing api.Routing, selected, epoch string, change ...func(*observation.Member)) observation.Member {
	s := &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{ClusterIP: "10.1.0.1", Selector: map[string]string{"app": "web"}}}
	if routing == api.RoutingLabel {
		s.Spec.Selector[api.LabelDesignation] = api.DesignationActive
	}
	if selected != "" {
		s.Spec.Selector[api.LabelPodUID] = selected
	}
	if epoch != "" {
		s.Annotations[api.AnnotationLeaseTransitions] = epoch
	}
	m := observation.Member{Service: s, Settings: api.Settings{Routing: routing}}
	for _, f := range change {
		f(&m)
	}
	return m
}

// running gives a pod what makes Kubernetes list it, as ready.
func running(p *observation.Pod) {
	p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0." + strconv.Itoa(int(p.Name[0]-'a'+1))}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

// selecting adds to the Service's selector.
func selecting(key, value string) func(*observation.Member) {
	return func(m *observation.Member) { m.Spec.Selector[key] = value }
}

// detached is how a Plan leaves a Service with slices of its own.
func detached(m *observation.Member) {
	m.Spec.Selector[api.LabelRouting] = string(api.RoutingEndpointSlice)
}

// selectorless takes the Service's selector away.
func selectorless(m *observation.Member) {
	m.Spec.Selector, m.Settings.Selectorless = nil, true
}

// contested makes a Service one whose selector asks for the designation of another election's
// pod.
func contested(m *observation.Member) {
	m.Spec.Selector[api.LabelDesignation], m.Contested = api.DesignationActive, true
}

// wanting is the Service after its user has chosen another routing.
func wanting(routing api.Routing) func(*observation.Member) {
	return func(m *observation.Member) { m.Settings.Routing = routing }
}

// with gives the Service slices of its own.
func with(own ...*discoveryv1.EndpointSlice) func(*observation.Member) {
	return func(m *observation.Member) { m.Slices = own }
}

// listing is what Kubernetes' controller lists of the Service's pods, all ready.
func listing(pods ...types.UID) func(*observation.Member) {
	return func(m *observation.Member) {
		m.Listed = map[types.UID]bool{}
		for _, uid := range pods {
			m.Listed[uid] = true
		}
	}
}

// followed is that Kubernetes' controller works with the Service of the epoch.
func followed(epoch string) func(*observation.Member) {
	return func(m *observation.Member) { m.Labels[api.LabelMigrating], m.Followed = epoch, epoch }
}

// ownSlice is how a Plan leaves the slice of a Service in an epoch of the holder; with
// the routing that it migrates to, if it does.
func ownSlice(holder, epoch string, to ...api.Routing) *discoveryv1.EndpointSlice {
	stamp, err := strconv.ParseInt(epoch, 10, 32)
	if err != nil {
		panic(err)
	}
	m := service(api.RoutingEndpointSlice, "", "")
	if len(to) > 0 {
		wanting(to[0])(&m)
	}
	var listed *observation.Pod
	a := Assignment{Epoch: int32(stamp)}
	if holder != "" {
		p := pod(holder, running)
		listed, a.HolderUID = &p, p.UID
	}
	s := ownSlices(a, member{Member: m}, listed, len(to) > 0)[0]
	s.UID, s.ResourceVersion = "uid-slice", "7"
	return s
}

// knowing makes a slice, which lists no pod, one that tells of the holder.
func knowing(holder string, s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
	s.Annotations[api.AnnotationHolderUID] = "uid-" + holder
	return s
}

// keys are changes of labels, annotations or a selector.
type keys = map[string]*string

func to(value string) *string { return &value }

func podPatch(name string, labels, annotations keys) Change {
	return Change{Kind: KindPod, Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7", Labels: labels, Annotations: annotations}
}

func servicePatch(selector, annotations keys) Change {
	return Change{Kind: KindService, Namespace: "default", Name: "web", UID: "uid-web", ResourceVersion: "7", Selector: selector, Annotations: annotations}
}

// migratingPatch also labels the Service with the epoch, or takes that label away.
func migratingPatch(epoch *string, selector, annotations keys) Change {
	c := servicePatch(selector, annotations)
	c.Labels = keys{api.LabelMigrating: epoch}
	return c
}

// A patch that changes no keys of a kind is the same with and without the empty map.
var emptyIsNil = cmpopts.EquateEmpty()
