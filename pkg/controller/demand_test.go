package controller

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// From some number of namespaces on, all share a watch. It ends those that there were before.
func TestManyNamespacesShareAWatch(t *testing.T) {
	tests := map[string]struct {
		namespaces, others int // others are pods that no Service selects
		refused            bool
		uncounted          bool // the API server does not say how many pods follow
		late               bool // the controller starts after the Services were created
		want               int
	}{
		"a few":                          {namespaces: separateNamespaces, want: separateNamespaces},
		"one more":                       {namespaces: separateNamespaces + 1, want: 1},
		"that were there before":         {namespaces: separateNamespaces + 1, late: true, want: 1},
		"of a cluster with many pods":    {namespaces: separateNamespaces + 1, others: podsOfANamespace * (separateNamespaces + 1), want: separateNamespaces + 1},
		"whose pods are not counted":     {namespaces: separateNamespaces + 1, uncounted: true, want: separateNamespaces + 1},
		"without the right to watch all": {namespaces: separateNamespaces + 2, refused: true, want: separateNamespaces + 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inCluster(t, func(c *cluster) {
				// They watch the pods too.
				c.stopKubernetes()
				for i := range test.others {
					c.Create(fakeapi.NewPod(fmt.Sprint("other-", i), fakeapi.In[*corev1.Pod]("others")))
				}
				s := c.prepare()
				if test.refused {
					s.client.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
						return a.GetNamespace() == "", nil, apierrors.NewForbidden(corev1.Resource("pods"), "", nil)
					})
				}
				if test.uncounted {
					s.client.PrependReactor("list", "pods", func(a clienttesting.Action) (bool, runtime.Object, error) {
						page := &corev1.PodList{ListMeta: metav1.ListMeta{Continue: "more"}, Items: make([]corev1.Pod, 1)}
						return a.(clienttesting.ListActionImpl).ListOptions.Limit == 1, page, nil
					})
				}
				if !test.late {
					c.run(s)
				}
				for i := range test.namespaces {
					namespace := fmt.Sprint("shop-", i)
					c.Create(fakeapi.NewService("web", fakeapi.In[*corev1.Service](namespace)))
					for n := range 2 {
						c.Create(fakeapi.NewPod(fmt.Sprint("web-", n), fakeapi.In[*corev1.Pod](namespace)))
					}
				}
				if test.late {
					c.run(s)
				}
				c.Settle()
				if n := c.Server.Watches("pods"); n != test.want {
					t.Errorf("%d watches of pods, want %d", n, test.want)
				}
				for i := range test.namespaces {
					namespace := fmt.Sprint("shop-", i)
					fakeapi.Edit(c.Cluster, c.Users.CoreV1().Pods(namespace), "web-0", fakeapi.SetNotReady)
				}
				c.Settle()
				if state := strings.Join(c.State(), "\n"); strings.Count(state, "web: web-1 @2 HolderNotReady") != test.namespaces {
					t.Errorf("not all masters have moved:\n%s", state)
				}
			})
		})
	}
}
