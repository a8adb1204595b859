package routing

import (
	"strconv"

	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// The objects that the tests of this package are written with: pods and
// Services by name, whose UID is "uid-" and the name, in version 7.

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7",
		Labels: map[string]string{}, Annotations: map[string]string{},
	}
}

func pod(name string, change ...func(*Pod)) Pod {
	p := Pod{Pod: &corev1.Pod{ObjectMeta: meta(name)}}
	p.Labels["app"] = "web"
	for _, f := range change {
		f(&p)
	}
	return p
}

func labelled(key, value string) func(*Pod)  { return func(p *Pod) { p.Labels[key] = value } }
func annotated(key, value string) func(*Pod) { return func(p *Pod) { p.Annotations[key] = value } }

func stamped(epoch string) func(*Pod)          { return annotated(api.AnnotationLeaseTransitions, epoch) }
func elsewhere(p *Pod)                         { p.Elsewhere = true }
func unselected(p *Pod)                        { p.Unselected = true }
func identified(p *Pod)                        { p.Labels[api.LabelPodUID] = string(p.UID) }
func designated(designation string) func(*Pod) { return labelled(api.LabelDesignation, designation) }

// active is how Next leaves the holder of an epoch.
func active(epoch string) func(*Pod) {
	return func(p *Pod) {
		identified(p)
		designated(api.DesignationActive)(p)
		stamped(epoch)(p)
		annotated(api.AnnotationDeletionCost, api.MasterDeletionCost)(p)
	}
}

// standby is how Next leaves a pod that became a standby in an epoch.
func standby(epoch string) func(*Pod) {
	return func(p *Pod) {
		identified(p)
		designated(api.DesignationStandby)(p)
		stamped(epoch)(p)
	}
}

// member is a Service of the given routing; selected is the value of the
// controller's key in its selector and epoch its stamp, none if empty.
func member(routing api.Routing, selected, epoch string) Member {
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
	return Member{Service: s, Settings: api.Settings{Routing: routing}}
}

// running gives a pod what makes Kubernetes list it, as ready.
func running(p *Pod) {
	p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0." + strconv.Itoa(int(p.Name[0]-'a'+1))}}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

// selecting adds to the Service's selector.
func (m Member) selecting(key, value string) Member {
	m.Spec.Selector[key] = value
	return m
}

// detached is how Next leaves a Service with slices of its own.
func (m Member) detached() Member {
	return m.selecting(api.LabelRouting, string(api.RoutingEndpointSlice))
}

// with gives the member slices of its own.
func (m Member) with(own ...*discoveryv1.EndpointSlice) Member {
	m.Slices = own
	return m
}

// listing is what Kubernetes' controller lists of the member's pods, all ready.
func (m Member) listing(pods ...types.UID) Member {
	m.Listed = map[types.UID]bool{}
	for _, uid := range pods {
		m.Listed[uid] = true
	}
	return m
}

// ownSlice is how Next leaves the slice of a Service in an epoch of the holder; with
// the routing that it goes over to, if it does.
func ownSlice(holder, epoch string, to ...api.Routing) *discoveryv1.EndpointSlice {
	stamp, err := strconv.ParseInt(epoch, 10, 32)
	if err != nil {
		panic(err)
	}
	m := member(api.RoutingEndpointSlice, "", "")
	if len(to) > 0 {
		m.Settings.Routing = to[0]
	}
	var listed *Pod
	if holder != "" {
		p := pod(holder, running)
		listed = &p
	}
	s := ownSlices(Assignment{HolderUID: types.UID("uid-" + holder), Epoch: int32(stamp)}, m, listed, len(to) > 0)[0]
	s.UID, s.ResourceVersion = "uid-slice", "7"
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

// A patch that changes none of a kind of keys is the same with and without
// the empty map.
var emptyIsNil = cmpopts.EquateEmpty()
