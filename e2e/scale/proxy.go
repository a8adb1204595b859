package scale

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"

	"k8s.io/client-go/rest"
)

// newProxy starts a proxy in front of the API server, with the user's credentials. It
// forbids the pods of the namespace, because RBAC can allow all namespaces or name some, but
// not leave one out.
func newProxy(user *rest.Config, namespace string) (*httptest.Server, error) {
	target, err := url.Parse(user.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(user)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		// A replica that is killed leaves requests behind.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/v1/namespaces/"+namespace+"/pods") {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"forbidden by the instrument"}`))
			return
		}
		proxy.ServeHTTP(w, r)
	})), nil
}
