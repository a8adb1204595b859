package observation

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// BenchmarkLook is of one election of a namespace that has so many, of three pods each. What
// is given to Look is what the controller gives to it: all of the namespace.
func BenchmarkLook(b *testing.B) {
	for _, elections := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("elections=%d", elections), func(b *testing.B) {
			in := Inputs{Key: web, Now: now, Lease: heldBy("uid-web-0")}
			for i := range elections {
				name := fmt.Sprintf("web-%d", i)
				if i == 0 {
					name = web.Name
				}
				in.Services = append(in.Services, service(name, asking(api.AnnotationLeaseName, name), selecting("app", name)))
				for n := range 3 {
					in.Pods = append(in.Pods, pod(fmt.Sprintf("%s-%d", name, n), labelled("app", name)))
				}
			}
			in.Nodes.Find = func(name string) *corev1.Node { return &corev1.Node{} }
			if o := Look(in); len(o.Pods) != 3 || o.Pods[0].UID != types.UID("uid-web-0") {
				b.Fatalf("it sees %d pods", len(o.Pods))
			}
			b.ReportAllocs()
			for b.Loop() {
				Look(in)
			}
		})
	}
}
