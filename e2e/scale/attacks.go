package scale

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"qoqo.dev/active-standby-controller/e2e/scale/results"
	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// attacker is the namespace of the attacks, and forbidden one whose pods the controller may
	// not read.
	attacker  = "attacker"
	forbidden = "forbidden"
	// long is the length of an annotation that the API server still accepts.
	long = 250_000
)

// Attack is what a neighbour does.
type Attack struct {
	Name string
	Does string // in words, beginning with a noun
}

type attack struct {
	Attack
	// begin returns once the attack is under way. It goes on until ctx is done.
	begin func(ctx context.Context, s *stage, t *target) error
}

// Attacks are all attacks, in the order in which they are measured.
func Attacks() (all []Attack) {
	for _, a := range attacks {
		all = append(all, a.Attack)
	}
	return all
}

var attacks = []attack{
	{Attack{"probe-answers", "74 Services whose pods answer probes with a header of 900 kB"}, func(ctx context.Context, s *stage, t *target) error {
		answer := strings.Repeat("x", 900_000)
		t.mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Large", answer) })
		return s.herd(ctx, t.ip, attacker, 74, 1, func(service *corev1.Service) { t.probe(service, "/large", asking) }, nil)
	}},
	{Attack{"long-selector", "10 Services with a selector of 250 kB, and 200 pods"}, func(ctx context.Context, s *stage, t *target) error {
		var values strings.Builder
		for i := 0; values.Len() < long; i++ {
			fmt.Fprintf(&values, "value-%d,", i)
		}
		return s.herd(ctx, t.ip, attacker, 10, 20, func(service *corev1.Service) {
			service.Annotations[api.AnnotationSelector] = "app in (" + values.String() + service.Name + ")"
		}, nil)
	}},
	{Attack{"slow-probes", "128 Services with 4 pods each that take a minute to answer a probe"}, func(ctx context.Context, s *stage, t *target) error {
		t.mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
			}
		})
		return s.herd(ctx, t.ip, attacker, 128, 4, func(service *corev1.Service) {
			t.probe(service, "/slow", api.MinProbeTime)
			service.Annotations[api.AnnotationProbeTimeout] = api.MaxProbeTime.String()
		}, nil)
	}},
	{Attack{"long-annotations", "200 pods with an annotation of 250 kB that is not allowed"}, func(ctx context.Context, s *stage, t *target) error {
		return s.herd(ctx, t.ip, attacker, 1, 200, nil, func(pod *corev1.Pod) {
			pod.Annotations = map[string]string{api.AnnotationCandidate: strings.Repeat("x", long)}
		})
	}},
	{Attack{"forbidden-namespace", "200 Services in a namespace whose pods the controller may not read"}, func(ctx context.Context, s *stage, t *target) error {
		if err := createNamespace(ctx, s.client, forbidden); err != nil {
			return err
		}
		return s.herd(ctx, t.ip, forbidden, 200, 1, nil, nil)
	}},
	{Attack{"idle-scrapers", "70 connections to each replica's /metrics that read nothing"}, func(ctx context.Context, s *stage, _ *target) error {
		for _, r := range s.replicas {
			for range 70 {
				connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.Address)
				if err != nil {
					return err
				}
				context.AfterFunc(ctx, func() { _ = connection.Close() })
				// Refused after some of them, it may be. Many answers at once fill the buffers.
				_, _ = io.WriteString(connection, strings.Repeat("GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n", 100))
			}
		}
		return nil
	}},
	{Attack{"flapping", "20 Services with two pods that are Ready in turns, ten times in a second"}, func(ctx context.Context, s *stage, t *target) error {
		const services = 20
		if err := s.herd(ctx, t.ip, attacker, services, 2, nil, nil); err != nil {
			return err
		}
		s.repeat(ctx, 5*time.Millisecond, func(n int) error {
			one, turn := herdName(n%services), n/services%4
			return setReady(ctx, s.client, attacker, podName(one, turn%2), turn < 2)
		})
		return nil
	}},
	{Attack{"invented-nodes", "a Service of 300 pods, each on a node that does not exist"}, func(ctx context.Context, s *stage, t *target) error {
		return s.herd(ctx, t.ip, attacker, 1, 300, nil, func(pod *corev1.Pod) { pod.Spec.NodeName = "invented-" + pod.Name })
	}},
	{Attack{"fast-probes", "50 Services with 4 pods each, with the shortest interval of probes"}, func(ctx context.Context, s *stage, t *target) error {
		return s.herd(ctx, t.ip, attacker, 50, 4, func(service *corev1.Service) {
			t.probe(service, "/fast", api.MinProbeTime)
			service.Annotations[api.AnnotationProbe] = fmt.Sprintf("tcp://:%d", t.port)
		}, nil)
	}},
	{Attack{"long-words", "20 Services whose pods refuse every other probe with 90 kB of words and escape sequences"}, func(ctx context.Context, s *stage, t *target) error {
		words := strings.Repeat("\x1b[31mwords ", 9000)
		server, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", net.JoinHostPort(t.ip, "0"))
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		go func() {
			for n := 0; ; n++ {
				connection, err := server.Accept()
				if err != nil {
					return
				}
				go func() {
					defer func() { _ = connection.Close() }()
					_ = connection.SetDeadline(time.Now().Add(time.Second))
					_, _ = connection.Read(make([]byte, 4096))
					answer := "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
					if n/40%2 == 1 {
						answer = "HTTP/1.1 500 " + words + "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
					}
					_, _ = io.WriteString(connection, answer)
				}()
			}
		}()
		return s.herd(ctx, t.ip, attacker, 20, 2, func(service *corev1.Service) {
			t.probe(service, "/words", api.MinProbeTime)
			service.Annotations[api.AnnotationProbe] = fmt.Sprintf("http://:%d/words", server.Addr().(*net.TCPAddr).Port)
			service.Annotations[api.AnnotationProbeFailures] = "1"
		}, nil)
	}},
	{Attack{"special-addresses", "40 Services whose pods have addresses of this machine and of metadata services, with probes"}, func(ctx context.Context, s *stage, t *target) error {
		probed := func(service *corev1.Service) { t.probe(service, "/special", api.MinProbeTime) }
		if err := s.herd(ctx, "127.0.0.1", attacker, 20, 2, probed, nil); err != nil {
			return err
		}
		if err := createNamespace(ctx, s.client, attacker+"-2"); err != nil {
			return err
		}
		return s.herd(ctx, "169.254.169.254", attacker+"-2", 20, 2, probed, nil)
	}},
	{Attack{"burst", "100 Services all of whose masters fail every two seconds"}, func(ctx context.Context, s *stage, t *target) error {
		const services = 100
		if err := s.herd(ctx, t.ip, attacker, services, 2, nil, nil); err != nil {
			return err
		}
		s.repeat(ctx, 2*time.Second, func(n int) error {
			return each(ctx, services, func(ctx context.Context, i int) error {
				if err := setReady(ctx, s.client, attacker, podName(herdName(i), n%2), false); err != nil {
					return err
				}
				return setReady(ctx, s.client, attacker, podName(herdName(i), (n+1)%2), true)
			})
		})
		return nil
	}},
}

func herdName(i int) string { return fmt.Sprintf("herd-%03d", i) }

// herd creates Services with pods, with routing endpointslice. The changes may be nil.
func (s *stage) herd(ctx context.Context, ip, namespace string, services, pods int, changeService func(*corev1.Service), changePod func(*corev1.Pod)) error {
	err := each(ctx, services*pods, func(ctx context.Context, i int) error {
		name := herdName(i / pods)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: podName(name, i%pods), Labels: map[string]string{"app": name}}}
		pod.Spec.NodeName = nodeName(i % neighbourNodes)
		if changePod != nil {
			changePod(pod)
		}
		return createPod(ctx, s.client, pod, ip)
	})
	if err != nil {
		return err
	}
	return each(ctx, services, func(ctx context.Context, i int) error {
		one := service(election{Namespace: namespace, Name: herdName(i)}, results.EndpointSlice)
		if changeService != nil {
			changeService(one)
		}
		return createService(ctx, s.client, one)
	})
}

// repeat does something in the background, again and again until ctx is done. An error is
// the attacker's own problem.
func (s *stage) repeat(ctx context.Context, pause time.Duration, do func(n int) error) {
	go func() {
		for n := 0; ; n++ {
			_ = do(n)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}()
}
