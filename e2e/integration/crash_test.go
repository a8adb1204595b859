//go:build integration

package integration

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	"qoqo.dev/active-standby-controller/e2e/cluster/install"
	"qoqo.dev/active-standby-controller/pkg/api"
	"qoqo.dev/active-standby-controller/pkg/election"
)

// A replica that is killed after its write to the Lease and before the one to
// the Service leaves the switch to the next.
func TestKilledBetweenLeaseAndRouting(t *testing.T) {
	s := settled(t)
	var victim atomic.Pointer[install.Replica]
	proxy := httptest.NewServer(killer(t, s.namespace, &victim))
	t.Cleanup(proxy.Close)

	without(t, func() {
		r, err := installation.Start(t.Context(), "victim", proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Kill)
		victim.Store(r)
		s.setReady("web-0", false)
		select {
		case <-r.Exited():
		case <-time.After(patience):
			t.Fatalf("the replica did not write to the Service within %s", patience)
		}

		lease := s.lease("web")
		if holder := ptr.Deref(lease.Spec.HolderIdentity, ""); holder != "web-1" || *lease.Spec.LeaseTransitions != 2 {
			t.Errorf("the Lease's holder is %s in epoch %d, want web-1 in 2", holder, *lease.Spec.LeaseTransitions)
		}
		service := s.getService("web")
		if uid := service.Spec.Selector[api.LabelPodUID]; uid != string(s.getPod("web-0").UID) || service.Annotations[api.AnnotationLeaseTransitions] != "1" {
			t.Errorf("the Service was written to: %v", service)
		}
	})
	s.reason(s.awaitMaster("web", "web-1", 2), election.HolderNotReady)
}

// killer is a proxy in front of the API server, which kills the victim at its
// first write to a Service of the namespace, and does not let that pass.
func killer(t *testing.T, namespace string, victim *atomic.Pointer[install.Replica]) http.Handler {
	t.Helper()
	target, err := url.Parse(plane.Admin.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(installation.User.Config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if victim := victim.Load(); victim != nil && r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/namespaces/"+namespace+"/services/") {
			victim.Kill()
			return
		}
		proxy.ServeHTTP(w, r)
	})
}
