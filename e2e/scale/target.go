package scale

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// target answers the probes of all pods that have its address.
type target struct {
	ip   string
	port int
	mux  *http.ServeMux
	// asked counts the requests for the victim.
	asked atomic.Int64
}

// listen answers until ctx is done. The address is one of this machine that other machines
// use, if there is one: it is the least likely to be refused as an address of pods.
func listen(ctx context.Context) (*target, error) {
	t := &target{ip: address(), mux: http.NewServeMux()}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(t.ip, "0"))
	if err != nil {
		return nil, err
	}
	t.port = listener.Addr().(*net.TCPAddr).Port
	t.mux.HandleFunc("/victim", func(http.ResponseWriter, *http.Request) { t.asked.Add(1) })
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: t.mux}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return t, nil
}

func address() string {
	all, err := net.InterfaceAddrs()
	if err == nil {
		for _, a := range all {
			if network, is := a.(*net.IPNet); is && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
				return network.IP.String()
			}
		}
	}
	return "127.1.0.1"
}

// probe lets the controller probe the pods of a Service.
func (t *target) probe(s *corev1.Service, path string, interval time.Duration) {
	s.Annotations[api.AnnotationProbe] = fmt.Sprintf("http://:%d%s", t.port, path)
	s.Annotations[api.AnnotationProbeInterval] = interval.String()
}
