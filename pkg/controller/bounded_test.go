package controller

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// What the watches keep of objects that their owners have made as large as they can be.
func TestLargeObjectsAreKeptSmall(t *testing.T) {
	large := strings.Repeat("a", 250<<10)
	meta := metav1.ObjectMeta{
		Namespace: "default", Name: "web", UID: "uid", Labels: map[string]string{"app": "web"},
		Annotations:   map[string]string{api.AnnotationServiceMode: api.ModeActiveStandby, api.AnnotationCandidate: large, "example.com/config": large},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:selector":{}},"` + large + `":{}}`)}},
	}
	service := &corev1.Service{ObjectMeta: *meta.DeepCopy()}
	trimService(service)
	pod := &corev1.Pod{ObjectMeta: *meta.DeepCopy(), Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "web", ReadinessProbe: &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{HTTPHeaders: []corev1.HTTPHeader{{Name: "a", Value: large}}}},
	}}}}, Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodReady, Status: corev1.ConditionTrue, Message: large}, {Type: "example.com/gate", Message: large},
	}}}
	trimPod(pod)
	node := &corev1.Node{ObjectMeta: *meta.DeepCopy(), Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: "example.com/drained", Value: large}}}}
	trimNode(node)
	foreign := &discoveryv1.EndpointSlice{ObjectMeta: *meta.DeepCopy(), Endpoints: []discoveryv1.Endpoint{{Hostname: &large}}}
	trimSlice(foreign)
	published := &discoveryv1.EndpointSlice{ObjectMeta: *meta.DeepCopy(), Endpoints: []discoveryv1.Endpoint{{TargetRef: &corev1.ObjectReference{Name: "web-0", FieldPath: large}}}}
	trimPublished(published)
	for _, o := range []any{service, pod, node, foreign, published} {
		encoded, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		if len(encoded) > 3000 {
			t.Errorf("%d bytes are kept of a %T", len(encoded), o)
		}
	}
	if !observation.Ready(pod) {
		t.Error("the pod is no longer Ready")
	}
	if nodes := (observation.Nodes{Find: func(string) *corev1.Node { return node }, DrainTaints: sets.New("example.com/drained")}); !nodes.Of("web").Draining {
		t.Error("the node is no longer drained")
	}
}

func TestWhatWasWrittenIsKeptSmall(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"example.com/config": strings.Repeat("a", 250<<10)}
		}))
		s := c.start()
		c.Wait(time.Second)
		pods, _ := s.pods.in(fakeapi.Namespace)
		pod, found := pods.get(key{Namespace: fakeapi.Namespace, Name: "web-0"})
		if _, kept := pod.Annotations["example.com/config"]; !found || kept || pod.Annotations[api.AnnotationWitness] == "" {
			t.Errorf("found %v, annotations %.200v", found, pod.Annotations)
		}
	})
}

// Two pods that fail in turn as soon as they are master.
func TestMasterThatFlaps(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		s := c.start()
		c.Settle()
		s.client.ClearActions()
		s.events.Take()
		// moved lets each master fail at once, and recover once another follows.
		moved := func(times int) (took time.Duration) {
			began := time.Now()
			for range times {
				master := *c.Lease("web").Spec.HolderIdentity
				c.EditPod(master, fakeapi.SetNotReady)
				for *c.Lease("web").Spec.HolderIdentity == master {
					c.Wait(100 * time.Millisecond)
				}
				c.EditPod(master, fakeapi.SetReady)
				c.Wait(100 * time.Millisecond)
			}
			return time.Since(began)
		}
		if took := moved(9); took > 3*time.Second {
			t.Errorf("the first moves have taken %s", took)
		}
		if took := moved(5); took < 29*time.Second || took > 33*time.Second {
			t.Errorf("five more moves have taken %s", took)
		}
		if events := strings.Join(s.events.Take(), "\n"); !strings.Contains(events, "Warning MovesPaused Check on web: the master has moved 10 times within a minute") {
			t.Errorf("no event says that the master moves less often:\n%s", events)
		}
		// A master that is gone is followed soon.
		c.DeletePod(*c.Lease("web").Spec.HolderIdentity)
		before := *c.Lease("web").Spec.LeaseTransitions
		c.Wait(6100 * time.Millisecond)
		if *c.Lease("web").Spec.LeaseTransitions == before {
			t.Error("no master follows the one that is gone")
		}
	})
}

func TestManyServicesOfOneLeaseGetFewEvents(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
		for i := range 20 {
			c.Create(fakeapi.NewService(fmt.Sprint("web-", i), fakeapi.WithAnnotation(api.AnnotationLeaseName, "web")))
		}
		s := c.start()
		c.Settle()
		s.events.Take()
		c.SwitchTo("web", "web-1")
		c.Settle()
		if events := s.events.Take(); len(events) != announcedMax {
			t.Errorf("%d events of one transition", len(events))
		}
		c.SwitchTo("web", "no-pod")
		c.Settle()
		if events := s.events.Take(); len(events) != announcedMax {
			t.Errorf("%d events of one edit that is refused", len(events))
		}
	})
}

func TestLogged(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a name is logged as it is":       {"web-0", "web-0"},
		"quotes and other scripts remain": {`a "b" ä`, `a "b" ä`},
		"control characters are escaped":  {"web\x1b]0;owned\x07", `web\x1b]0;owned\a`},
		"a text of several lines is one":  {"web\nI0101 Decided", `web\nI0101 Decided`},
		"a long text is cut":              {strings.Repeat("a", 90<<10), strings.Repeat("a", noteMax-3) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := logged(test.text); got != test.want {
				t.Errorf("%.200q, want %.200q", got, test.want)
			}
		})
	}
}
