package live

import (
	"maps"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/observation"
)

// A holder that no Service selects is read, by whatever it can be found.
func formerMaster(lease string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Annotations[api.AnnotationLeaseTransitions], p.Annotations[api.AnnotationWitness] = "7", string(p.UID)+"@7/"+lease
	}
}

func aFormerMaster(lease string) *corev1.Pod {
	p := aPod("shop", "job")
	formerMaster(lease)(p)
	return p
}

func TestHolderThatNoServiceSelects(t *testing.T) {
	const holder = types.UID("uid-of-job")
	inLease := func(name string, uid types.UID) func(*coordinationv1.Lease) {
		return func(l *coordinationv1.Lease) {
			l.Spec.HolderIdentity, l.Annotations[api.AnnotationHolderUID] = ptr.To(name), string(uid)
		}
	}
	waits := map[string]string{api.AnnotationHandover: api.HandoverAfterTermination}
	identified := func(p *corev1.Pod) { p.Labels[api.LabelPodUID] = string(holder) }
	tests := map[string]struct {
		lease     func(*coordinationv1.Lease)
		asks      map[string]string
		pod       func(*corev1.Pod)
		known     []*corev1.Pod
		found     bool
		listsMore bool
	}{
		"by the name that the caller knows":               {lease: inLease("another", holder), known: []*corev1.Pod{aPod("shop", "job")}, found: true},
		"by its identity label, because it may still run": {lease: inLease("another", holder), asks: waits, pod: identified, found: true, listsMore: true},
		"by its name in the Lease":                        {lease: inLease("job", holder), asks: waits, found: true},
		"by its name in the last move": {lease: func(l *coordinationv1.Lease) {
			inLease("another", holder)(l)
			l.Annotations[api.AnnotationRecord], l.Annotations[api.AnnotationHistory] = "7/"+string(holder), `[{"epoch":7,"to":"job"}]`
		}, asks: waits, found: true},
		"because the holder may rely on the Lease":    {lease: inLease("job", holder), asks: map[string]string{api.AnnotationLeaseDuration: "15s"}, found: true},
		"by what it says itself, where no Lease does": {lease: inLease("", ""), known: []*corev1.Pod{aFormerMaster(shop.Name)}, pod: formerMaster(shop.Name), asks: waits, found: true},
		"it was the master of another election":       {lease: inLease("", ""), known: []*corev1.Pod{aFormerMaster("db")}, pod: formerMaster("db"), asks: waits},
		"by nothing, because it makes no difference":  {lease: inLease("job", holder), pod: identified},
		"it is gone": {lease: inLease("another", "uid-of-another"), asks: waits, listsMore: true},
		"the name that the caller knows is another pod's now":     {lease: inLease("job", "uid-of-a-former"), known: []*corev1.Pod{func() *corev1.Pod { p := aPod("shop", "job"); p.UID = "uid-of-a-former"; return p }()}},
		"the UID begins a selector of its own, which asks others": {lease: inLease("another", "a),app in (job"), asks: waits},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, r := inCluster()
			l := aLease("shop", "web", api.ManagedBy)
			test.lease(l)
			if _, err := client.CoordinationV1().Leases("shop").Update(t.Context(), l, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			if test.pod != nil {
				pod := aPod("shop", "job")
				test.pod(pod)
				if _, err := client.CoreV1().Pods("shop").Update(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			service := aService("shop", "web", "web")
			maps.Copy(service.Annotations, test.asks)
			if _, err := client.CoreV1().Services("shop").Update(t.Context(), service, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			client.ClearActions()
			in, err := r.Election(t.Context(), observation.Inputs{Key: shop, Pods: test.known})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"shop/web-0"}
			if test.found {
				want = []string{"shop/job", "shop/web-0"}
			}
			expect(t, "pods", want, names(in.Pods))
			lists := 0
			for _, action := range client.Actions() {
				if action.GetVerb() == "list" && action.GetResource().Resource == "pods" {
					lists++
				}
			}
			if lists != map[bool]int{false: 1, true: 2}[test.listsMore] {
				t.Errorf("%d lists of pods; it asks once more: want %t", lists, test.listsMore)
			}
		})
	}
}

// One election costs the same in a large namespace as in a small one: of the pods only those
// are asked for that its Services select.
func TestElectionAsksForItsOwnPods(t *testing.T) {
	client, r := inCluster()
	if _, err := r.Election(t.Context(), observation.Inputs{Key: shop}); err != nil {
		t.Fatal(err)
	}
	for _, action := range client.Actions() {
		if list, is := action.(clienttesting.ListAction); is && action.GetResource().Resource == "pods" {
			if got, want := list.GetListRestrictions().Labels.String(), "app=web"; got != want {
				t.Errorf("pods are listed with the selector %q, want %q", got, want)
			}
		}
	}
}

// What is read page by page is all there, and trimmed.
func TestPages(t *testing.T) {
	client, _ := inCluster()
	r := NewReader(client, func(p *corev1.Pod) { p.Annotations = nil })
	pages := map[string]*corev1.PodList{
		"": {
			ListMeta: metav1.ListMeta{Continue: "second"},
			Items:    []corev1.Pod{*aPod("shop", "a"), *aPod("shop", "b")},
		},
		"second": {Items: []corev1.Pod{*aPod("shop", "c")}},
	}
	client.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		options := action.(clienttesting.ListActionImpl).ListOptions
		if options.Limit != pageSize {
			t.Errorf("asks for %d at a time, want %d", options.Limit, pageSize)
		}
		return true, pages[options.Continue], nil
	})
	pods, err := r.Pods(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "pods", []string{"shop/a", "shop/b", "shop/c"}, names(pods))
	for _, pod := range pods {
		if pod.Annotations != nil {
			t.Errorf("%s is not trimmed", pod.Name)
		}
	}
}
