package api

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ProbeScheme says how a probe asks.
type ProbeScheme string

const (
	// ProbeTCP asks for a connection.
	ProbeTCP ProbeScheme = "tcp"
	// ProbeHTTP asks for a response with a status from 200 to 399, like kubelet.
	ProbeHTTP ProbeScheme = "http"
	// ProbeHTTPS is ProbeHTTP over TLS. Like kubelet, it does not verify the
	// certificate.
	ProbeHTTPS ProbeScheme = "https"
	// ProbeGRPC asks for the status SERVING of grpc.health.v1.Health.
	ProbeGRPC ProbeScheme = "grpc"
	// ProbeReadiness asks each pod what its own readiness probe asks: see Probe.Of.
	ProbeReadiness ProbeScheme = "readiness"
)

// Probe is how the controller itself asks the pods whether they serve. The zero value
// asks nothing.
type Probe struct {
	Scheme ProbeScheme
	Port   uint16
	// Path is, for HTTP, the path and query of the request, beginning with a slash;
	// for gRPC, the name of the service, or empty for the server itself.
	Path string
	// Headers are for HTTP, each as "Name:value" and a line feed. They are a pod's readiness
	// probe's, and may be secret.
	Headers string
	// Interval is the time from one probe of the master to the next.
	Interval time.Duration
	// Timeout is after how long a missing answer is a failure, connecting included. With
	// ProbeReadiness, 0 leaves it to the pod: see Probe.Of.
	Timeout time.Duration
	// Failures is how many failed probes in a row make a pod suspected.
	Failures int
}

// String returns the probe as AnnotationProbe has it.
func (p Probe) String() string {
	if p.Scheme == ProbeReadiness {
		return string(p.Scheme)
	}
	path := p.Path
	if p.Scheme == ProbeGRPC && path != "" {
		path = "/" + path
	}
	return fmt.Sprintf("%s://:%d%s", p.Scheme, p.Port, path)
}

// Limits of a probe's settings. A shorter interval would measure the controller's own
// scheduling. An interval above kubelet's default of 10 s is of no use, but does no
// harm. A question takes a worker for as long as its timeout.
const (
	MinProbeTime     = 50 * time.Millisecond
	MaxProbeTime     = time.Minute
	MaxProbeTimeout  = 10 * time.Second
	MinProbeFailures = 1
	MaxProbeFailures = 100
)

// Defaults of a probe's settings.
const (
	defaultProbeTime     = 250 * time.Millisecond
	defaultProbeFailures = 2
)

// defaultProbe has the defaults of a probe's settings.
func defaultProbe() Probe {
	return Probe{Interval: defaultProbeTime, Timeout: defaultProbeTime, Failures: defaultProbeFailures}
}

// ParseProbe returns the probe of a Service that has the value in AnnotationProbe, and sets no more.
func ParseProbe(value string) (Probe, error) {
	p := parser{Settings: Settings{Election: Election{Probe: defaultProbe()}}}
	if err := p.setProbe(value); err != nil {
		return Probe{}, err
	}
	p.combineProbe(false)
	return p.Probe, nil
}

// AllowedProbes says which values of AnnotationProbe are valid.
const AllowedProbes = `"readiness", "none", or "tcp", "http", "https" or "grpc" with a port, such as "tcp://:5432", "http://:8080/healthz", "https://:8443/healthz" or "grpc://:9000"`

// setProbe reads the value of AnnotationProbe.
func (p *parser) setProbe(value string) error {
	switch value {
	case ProbeNone:
		return nil
	case string(ProbeReadiness):
		p.Probe.Scheme = ProbeReadiness
		return nil
	}
	probe, err := parseProbe(value)
	if err == nil {
		p.Probe.Scheme, p.Probe.Port, p.Probe.Path = probe.Scheme, probe.Port, probe.Path
	}
	return err
}

// combineProbe settles what depends on several annotations of a probe. timed: the Service sets the
// timeout.
func (p *parser) combineProbe(timed bool) {
	switch {
	case p.Probe.Scheme == "":
		p.Probe = Probe{}
	case p.Probe.Scheme == ProbeReadiness && !timed:
		p.Probe.Timeout = 0
	}
}

// parseProbe reads a probe that names the scheme, the port and the path.
func parseProbe(value string) (Probe, error) {
	u, err := url.Parse(value)
	if err != nil {
		// The error of package url repeats the value, and the caller names it already.
		var parsing *url.Error
		if errors.As(err, &parsing) {
			err = parsing.Err
		}
		return Probe{}, err
	}
	p := Probe{Scheme: ProbeScheme(u.Scheme)}
	host, port, _ := net.SplitHostPort(u.Host)
	number, err := strconv.ParseUint(port, 10, 16)
	path := u.RequestURI()
	if u.Path == "" && u.RawQuery == "" {
		path = ""
	}
	switch p.Scheme {
	case ProbeTCP:
		if path != "" {
			return Probe{}, errors.New("tcp has no path")
		}
	case ProbeHTTP, ProbeHTTPS:
		p.Path = u.RequestURI()
	case ProbeGRPC:
		p.Path = strings.TrimPrefix(path, "/")
	default:
		return Probe{}, fmt.Errorf("the scheme %q is not known", u.Scheme)
	}
	switch {
	case u.Opaque != "" && u.Host == "":
		return Probe{}, fmt.Errorf("two slashes must come before the port, such as %s://:8080", u.Scheme)
	case err != nil || number == 0:
		return Probe{}, errors.New("the port must be from 1 to 65535")
	case host != "" || u.User != nil:
		return Probe{}, errors.New("each pod is probed at its own address, so there must be none before the port")
	case u.Fragment != "":
		return Probe{}, errors.New("a fragment is not sent to a server")
	}
	p.Port = uint16(number)
	return p, nil
}
