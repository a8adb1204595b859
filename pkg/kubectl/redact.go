package kubectl

import (
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// removed stands where the report holds something back.
const removed = "<removed>"

// What of a pod goes into a report is listed here, and all else is left out. So a field that is new, or that
// was not thought of, cannot give a secret away.

// publicMeta returns the metadata without the values of annotations of others, into which tools copy
// whole objects. Of managedFields it keeps who has written, and not what.
func publicMeta(m metav1.ObjectMeta) metav1.ObjectMeta {
	annotations := map[string]string{}
	for key, value := range m.Annotations {
		switch {
		case strings.HasPrefix(key, api.Domain+"/"), key == api.AnnotationDeletionCost:
			annotations[key] = value
		default:
			annotations[key] = removed
		}
	}
	m.Annotations = annotations
	m.ManagedFields = slices.Clone(m.ManagedFields)
	for i := range m.ManagedFields {
		m.ManagedFields[i].FieldsV1 = nil
	}
	return m
}

// publicLease keeps all of managedFields: they tell of other programs that hold the Lease.
func publicLease(l *coordinationv1.Lease) *coordinationv1.Lease {
	public := &coordinationv1.Lease{ObjectMeta: publicMeta(l.ObjectMeta), Spec: l.Spec}
	public.ManagedFields = l.ManagedFields
	return public
}

func publicService(s *corev1.Service) *corev1.Service {
	return &corev1.Service{ObjectMeta: publicMeta(s.ObjectMeta), Spec: s.Spec, Status: s.Status}
}

func publicPod(p *corev1.Pod) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: publicMeta(p.ObjectMeta), Spec: publicPodSpec(p.Spec), Status: *p.Status.DeepCopy()}
	for _, of := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for i := range of {
			of[i].VolumeMounts = nil
			// It may hold the whole command.
			if w := of[i].State.Waiting; w != nil && w.Message != "" {
				w.Message = removed
			}
			// What an application wrote as it ended.
			for _, state := range []*corev1.ContainerStateTerminated{of[i].State.Terminated, of[i].LastTerminationState.Terminated} {
				if state != nil && state.Message != "" {
					state.Message = removed
				}
			}
		}
	}
	return pod
}

func publicPodSpec(spec corev1.PodSpec) corev1.PodSpec {
	public := corev1.PodSpec{
		NodeName: spec.NodeName, NodeSelector: spec.NodeSelector, Tolerations: spec.Tolerations,
		Hostname: spec.Hostname, Subdomain: spec.Subdomain, HostNetwork: spec.HostNetwork,
		RestartPolicy: spec.RestartPolicy, TerminationGracePeriodSeconds: spec.TerminationGracePeriodSeconds,
		PriorityClassName: spec.PriorityClassName, ReadinessGates: spec.ReadinessGates, ServiceAccountName: spec.ServiceAccountName,
	}
	for _, c := range spec.Containers {
		public.Containers = append(public.Containers, corev1.Container{
			Name: c.Name, Image: c.Image, Ports: c.Ports, Resources: c.Resources,
			ReadinessProbe: publicProbe(c.ReadinessProbe), LivenessProbe: publicProbe(c.LivenessProbe),
		})
	}
	return public
}

// publicProbe returns the probe without its command, its headers, and what its path has as a query.
func publicProbe(p *corev1.Probe) *corev1.Probe {
	if p == nil {
		return nil
	}
	p = p.DeepCopy()
	if p.Exec != nil {
		p.Exec.Command = []string{removed}
	}
	if p.HTTPGet != nil {
		if path, _, has := strings.Cut(p.HTTPGet.Path, "?"); has {
			p.HTTPGet.Path = path + "?" + removed
		}
		for i := range p.HTTPGet.HTTPHeaders {
			p.HTTPGet.HTTPHeaders[i].Value = removed
		}
	}
	return p
}

var (
	query = regexp.MustCompile(`(https?://[^\s"?]*\?)[^\s"]+`)
	// What a probe that runs no command may say, and what a pull of an image may.
	probed = regexp.MustCompile(`^\w+ probe (failed|errored[^:]*): (Get "|HTTP probe failed|dial tcp|service unhealthy|timeout)`)
	pulled = regexp.MustCompile(`^(Failed to pull image |Error: ErrImagePull$|Error: ImagePullBackOff$)`)
	failed = regexp.MustCompile(`^\w+ probe (failed|errored[^:]*): `)
)

// publicEvent returns the event without what publicPod holds back: kubelet's events quote the query that a
// probe asks, commands that could not be run, and what probes and hooks have written.
func publicEvent(e *eventsv1.Event) *eventsv1.Event {
	e = e.DeepCopy()
	e.ObjectMeta = publicMeta(e.ObjectMeta)
	e.Note = query.ReplaceAllString(e.Note, "${1}"+removed)
	if e.Regarding.Kind != "Pod" {
		return e
	}
	switch e.Reason {
	case "Unhealthy":
		if !probed.MatchString(e.Note) {
			e.Note = failed.FindString(e.Note) + removed
		}
	case "Failed":
		if !pulled.MatchString(e.Note) {
			e.Note = removed
		}
	case "FailedPostStartHook", "FailedPreStopHook":
		e.Note = removed
	}
	return e
}

// publicDeployment returns a Deployment of the controller. Its flags, which hold no secrets, are kept, and
// those of a sidecar are not.
func publicDeployment(d *appsv1.Deployment) *appsv1.Deployment {
	public := &appsv1.Deployment{ObjectMeta: publicMeta(d.ObjectMeta), Spec: *d.Spec.DeepCopy(), Status: d.Status}
	template := &public.Spec.Template
	template.ObjectMeta, template.Spec = publicMeta(template.ObjectMeta), publicPodSpec(template.Spec)
	for i, c := range d.Spec.Template.Spec.Containers {
		if c.Name == controllerName {
			template.Spec.Containers[i].Args = c.Args
		}
	}
	return public
}

func publicNode(n *corev1.Node) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: publicMeta(n.ObjectMeta),
		Spec:       corev1.NodeSpec{Unschedulable: n.Spec.Unschedulable, Taints: n.Spec.Taints},
		Status:     corev1.NodeStatus{Conditions: n.Status.Conditions, NodeInfo: n.Status.NodeInfo},
	}
}
