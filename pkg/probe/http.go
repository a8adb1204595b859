package probe

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"qoqo.dev/active-standby-controller/pkg/api"
)

const (
	// maxBody is how many bytes of a response's body are read. Kubelet reads as many.
	maxBody = 10 << 10
	// maxHeader bounds the bytes of memory that the headers of a response may take.
	maxHeader = 16 << 10
)

// overHTTP makes connections for one request each, with HTTP/1.1. It does not use the
// proxies of the environment.
var overHTTP = &http.Transport{
	DialContext: dial,
	// The question is whether the pod answers, not whether its certificate is right.
	// What is secret of a readiness probe's headers, kubelet sends as openly.
	TLSClientConfig:        &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as kubelet does
	DisableKeepAlives:      true,
	DisableCompression:     true,
	MaxResponseHeaderBytes: maxHeader,
	Protocols:              protocols((*http.Protocols).SetHTTP1),
}

// protocols returns the set of the one protocol that set turns on.
func protocols(set func(*http.Protocols, bool)) *http.Protocols {
	p := &http.Protocols{}
	set(p, true)
	return p
}

// addHeaders adds the probe's headers as kubelet does: they count before those that are sent
// anyway, and Host names the host that is asked for.
func addHeaders(request *http.Request, headers string) {
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		request.Header.Add(name, value)
	}
	request.Host = request.Header.Get("Host")
	for name, value := range map[string]string{"User-Agent": userAgent, "Accept": "*/*"} {
		if _, set := request.Header[name]; !set {
			request.Header.Set(name, value)
		}
	}
}

// askHTTP asks for a response. It is a good answer if its status is from 200 to 399 and
// its body can be read to the end, or to maxBody if it is longer. A redirect is a good
// answer too, and is not followed.
func askHTTP(ctx context.Context, to netip.AddrPort, probe api.Probe) (claim string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, string(probe.Scheme)+"://"+to.String()+probe.Path, http.NoBody)
	if err != nil {
		return "", err
	}
	addHeaders(request, probe.Headers)
	conn, err := overHTTP.NewClientConn(ctx, string(probe.Scheme), to.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	response, err := conn.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode < http.StatusOK || response.StatusCode >= http.StatusBadRequest {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
	return claimOf(response.Header), err
}
