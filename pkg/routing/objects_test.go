package routing

import (
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
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
	s := &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "web"}}}
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

// keys are changes of labels, annotations or a selector.
type keys = map[string]*string

func to(value string) *string { return &value }

func podPatch(name string, labels, annotations keys) Patch {
	return Patch{Kind: KindPod, Namespace: "default", Name: name, UID: types.UID("uid-" + name), ResourceVersion: "7", Labels: labels, Annotations: annotations}
}

func servicePatch(selector, annotations keys) Patch {
	return Patch{Kind: KindService, Namespace: "default", Name: "web", UID: "uid-web", ResourceVersion: "7", Selector: selector, Annotations: annotations}
}

// A patch that changes none of a kind of keys is the same with and without
// the empty map.
var emptyIsNil = cmpopts.EquateEmpty()
