package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Of returns how the pod is asked. It is the probe itself, unless that is ProbeReadiness: then it is
// what the pod's own readiness probe asks. If that cannot be asked, it returns the zero value, and
// why, as a clause about "its readiness probe" or the pod.
func (p Probe) Of(pod *corev1.Pod) (asked Probe, why string) {
	if p.Scheme != ProbeReadiness {
		return p, ""
	}
	container := asks(pod)
	if container == nil {
		return Probe{}, "it has no readiness probe"
	}
	asked, why = ask(pod, container)
	if why != "" {
		return Probe{}, fmt.Sprintf("the readiness probe of its container %s %s", container.Name, why)
	}
	asked.Interval, asked.Timeout, asked.Failures = p.Interval, p.Timeout, p.Failures
	if asked.Timeout == 0 {
		// A timeout above Kubernetes' default says that the pod may be slow.
		asked.Timeout = defaultProbeTime
		if own := time.Duration(container.ReadinessProbe.TimeoutSeconds) * time.Second; own > time.Second {
			asked.Timeout = min(own, MaxProbeTimeout)
		}
	}
	return asked, ""
}

// asks returns the container whose readiness probe is asked: the first whose probe can be; if none
// can, the first that has one; else nil. A pod is Ready only if all of its containers are, so none
// of them alone can raise a false alarm. Init containers come last: those that have such a probe
// are sidecars.
func asks(pod *corev1.Pod) (first *corev1.Container) {
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			c := &containers[i]
			if c.ReadinessProbe == nil {
				continue
			}
			if _, why := ask(pod, c); why == "" {
				return c
			}
			if first == nil {
				first = c
			}
		}
	}
	return first
}

// ask follows kubelet, which returns what the readiness probe of a container asks. why is a
// predicate of a probe that cannot be asked.
func ask(pod *corev1.Pod, container *corev1.Container) (asked Probe, why string) {
	handler := container.ReadinessProbe.ProbeHandler
	if len(readinessText(handler)) > MaxValue {
		return Probe{}, tooLong
	}
	var port intstr.IntOrString
	var host string
	switch {
	case handler.HTTPGet != nil:
		get := handler.HTTPGet
		port, host = get.Port, get.Host
		asked = Probe{Scheme: ProbeHTTP, Path: requestPath(get.Path)}
		if get.Scheme == corev1.URISchemeHTTPS {
			asked.Scheme = ProbeHTTPS
		}
		for _, h := range get.HTTPHeaders {
			if strings.ContainsAny(h.Name+h.Value, "\r\n") {
				return Probe{}, "has a header of several lines"
			}
			asked.Headers += h.Name + ":" + h.Value + "\n"
		}
	case handler.TCPSocket != nil:
		port, host = handler.TCPSocket.Port, handler.TCPSocket.Host
		asked = Probe{Scheme: ProbeTCP}
	case handler.GRPC != nil:
		port = intstr.FromInt32(handler.GRPC.Port)
		asked = Probe{Scheme: ProbeGRPC, Path: ptr.Deref(handler.GRPC.Service, "")}
	default:
		return Probe{}, "is a command (exec), which the controller cannot run"
	}
	if host != "" && host != pod.Status.PodIP {
		return Probe{}, fmt.Sprintf("asks the host %q, and pods are asked at their own address alone", cut(host))
	}
	number, found := portOf(port, container.Ports)
	if !found {
		return Probe{}, fmt.Sprintf("asks the port %q, which the container does not have", cut(port.String()))
	}
	asked.Port = number
	return asked, ""
}

// portOf returns the number of a port, which may be one's name or, as with kubelet, a number
// that is written as a string.
func portOf(port intstr.IntOrString, ports []corev1.ContainerPort) (number uint16, found bool) {
	n := int(port.IntVal)
	if port.Type == intstr.String {
		n, _ = strconv.Atoi(port.StrVal)
		if i := slices.IndexFunc(ports, func(p corev1.ContainerPort) bool { return p.Name == port.StrVal }); i >= 0 {
			n = int(ports[i].ContainerPort)
		}
	}
	if n < 1 || n > 65535 {
		return 0, false
	}
	return uint16(n), true
}

// requestPath returns the path and the query of a request, as kubelet sends them. What does not
// parse is a path as it is. Only the path and the query of a URL count.
func requestPath(path string) string {
	u, err := url.Parse(path)
	if err != nil || u.Opaque != "" {
		u = &url.URL{Path: path}
	}
	u = &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	return "/" + strings.TrimPrefix(u.RequestURI(), "/")
}

// readinessText returns what a readiness probe has of texts, to bound them together.
func readinessText(h corev1.ProbeHandler) string {
	switch {
	case h.HTTPGet != nil:
		var text strings.Builder
		text.WriteString(h.HTTPGet.Path + h.HTTPGet.Host + h.HTTPGet.Port.StrVal)
		for _, header := range h.HTTPGet.HTTPHeaders {
			text.WriteString(header.Name + header.Value + ":\n")
		}
		return text.String()
	case h.TCPSocket != nil:
		return h.TCPSocket.Host + h.TCPSocket.Port.StrVal
	case h.GRPC != nil:
		return ptr.Deref(h.GRPC.Service, "")
	}
	return ""
}

// KeptContainers returns of the containers of a pod that is watched what the project reads: those
// with ports, and the one whose readiness probe is asked, with what that asks. Probe.Of returns of
// what is kept what it returns of the whole.
func KeptContainers(pod *corev1.Pod) (containers, init []corev1.Container) {
	asks := asks(pod)
	kept := func(containers []corev1.Container) (kept []corev1.Container) {
		for i := range containers {
			c := &containers[i]
			if len(c.Ports) == 0 && c != asks {
				continue
			}
			k := corev1.Container{Name: c.Name, Ports: c.Ports, RestartPolicy: c.RestartPolicy}
			if c == asks {
				k.ReadinessProbe = keptReadiness(c.ReadinessProbe)
			}
			kept = append(kept, k)
		}
		return kept
	}
	return kept(pod.Spec.Containers), kept(pod.Spec.InitContainers)
}

func keptReadiness(p *corev1.Probe) *corev1.Probe {
	kept := &corev1.Probe{TimeoutSeconds: p.TimeoutSeconds, ProbeHandler: p.ProbeHandler}
	if text := readinessText(p.ProbeHandler); len(text) > MaxValue {
		kept.ProbeHandler = corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: strings.Clone(text[:MaxValue+1])}}
	}
	if kept.Exec != nil {
		kept.Exec = &corev1.ExecAction{}
	}
	return kept
}

// Shown returns the probe for users. A query may hold what is not for everyone who reads events.
func (p Probe) Shown() string {
	if p.Scheme != ProbeGRPC {
		p.Path, _, _ = strings.Cut(p.Path, "?")
	}
	return p.String()
}
