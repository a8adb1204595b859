package scenario

import (
	"fmt"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// NewService returns the Service of the command "service".
func NewService(c Command) (*corev1.Service, error) {
	words, err := c.args(1, true)
	if err != nil {
		return nil, err
	}
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: words[0], Annotations: map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby}},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromInt32(8080)}},
		},
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == "plain":
			delete(s.Annotations, api.AnnotationServiceMode)
		case key == "selector" && value == "none":
			s.Spec.Selector = nil
		case key == "selector":
			if s.Spec.Selector, err = labels.ConvertSelectorToLabelsMap(value); err != nil {
				return nil, err
			}
		case key == "port":
			s.Spec.Ports[0].TargetPort = intstr.FromString(value)
		case key == "type" && value == "headless":
			s.Spec.ClusterIP = corev1.ClusterIPNone
		case key == "type" && value == string(corev1.ServiceTypeExternalName):
			s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"}
		case key == "type":
			s.Spec.Type = corev1.ServiceType(value)
		case strings.Contains(key, "/"):
			s.Annotations[key] = value
		default:
			return nil, fmt.Errorf("%q is nothing that a Service can have", word)
		}
	}
	return s, nil
}

// Pod is what the command "pod" asks for.
type Pod struct {
	*corev1.Pod
	// Unready means that the pod is not Ready from its first moment.
	Unready bool
	// Bare means that the pod belongs to no workload.
	Bare bool
	// Port is the name that the port of the container has; empty for a container without ports.
	Port string
}

// Ports are those of the pod's container.
func (p Pod) Ports() []corev1.ContainerPort {
	if p.Port == "" {
		return nil
	}
	return []corev1.ContainerPort{{Name: p.Port, ContainerPort: 8080, Protocol: corev1.ProtocolTCP}}
}

// NewPod returns the pod of the command "pod", without containers and status.
func NewPod(c Command) (Pod, error) {
	words, err := c.args(1, true)
	if err != nil {
		return Pod{}, err
	}
	p := Pod{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: words[0], Labels: map[string]string{"app": "web"}}}}
	for _, word := range words[1:] {
		key, value, isLabel := strings.Cut(word, "=")
		switch {
		case word == "bare":
			p.Bare = true
		case word == "unready":
			p.Unready = true
		case word == "stubborn":
			p.Finalizers = []string{"example.com/does-not-stop"}
		case key == "node":
			p.Spec.NodeName = value
		case key == "port":
			p.Port = value
		case isLabel:
			p.Labels[key] = value
		default:
			return Pod{}, fmt.Errorf("%q is nothing that a pod can have", word)
		}
	}
	return p, nil
}

func foreignLease(name, holder string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder}}
}

func foreignSlice(name, service, manager string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.9.9.9"}}},
	}
	if manager != "nobody" {
		s.Labels[discoveryv1.LabelManagedBy] = manager
	}
	return s
}
