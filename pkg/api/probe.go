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
	// ProbeHTTP asks for a response with a status from 200 to 399, as kubelet does.
	ProbeHTTP ProbeScheme = "http"
	// ProbeHTTPS is ProbeHTTP over TLS; the certificate is not verified, as with
	// kubelet.
	ProbeHTTPS ProbeScheme = "https"
	// ProbeGRPC asks for the status SERVING of grpc.health.v1.Health.
	ProbeGRPC ProbeScheme = "grpc"
)

// Probe is how the controller itself asks the pods whether they serve; the zero
// value is not to ask.
type Probe struct {
	Scheme ProbeScheme
	Port   uint16
	// Path is what is requested by HTTP, with the query and beginning with a
	// slash; and by gRPC the name of the service, or empty for the server itself.
	Path string
	// Interval is from one question to the master to the next, Timeout how long its
	// answer may take, and Failures how many in a row make it suspected.
	Interval, Timeout time.Duration
	Failures          int
}

// String is the probe as AnnotationProbe has it.
func (p Probe) String() string {
	path := p.Path
	if p.Scheme == ProbeGRPC && path != "" {
		path = "/" + path
	}
	return fmt.Sprintf("%s://:%d%s", p.Scheme, p.Port, path)
}

// Limits of a probe's settings. A shorter interval would measure the controller's
// own scheduling; a longer one than kubelet's default of 10 s has no use, but
// no harm either.
const (
	MinProbeTime     = 50 * time.Millisecond
	MaxProbeTime     = time.Minute
	MinProbeFailures = 1
	MaxProbeFailures = 100
)

// What a probe's settings are by default.
const (
	defaultProbeTime     = 250 * time.Millisecond
	defaultProbeFailures = 2
)

// probe reads the annotations of the probe. One whose own does not parse is not
// sent, and for another the default stands in.
func (p *parser) probe() {
	value, found := p.service.Annotations[AnnotationProbe]
	if !found {
		for _, key := range []string{AnnotationProbeFailures, AnnotationProbeInterval, AnnotationProbeTimeout} {
			if _, found := p.service.Annotations[key]; found {
				p.invalid(key, "says nothing without the annotation %s", AnnotationProbe)
			}
		}
		return
	}
	probe, err := parseProbe(value)
	if err != nil {
		p.invalid(AnnotationProbe, "is not a probe, such as \"tcp://:5432\", \"http://:8080/healthz\", \"https://:8443/healthz\" or \"grpc://:9000\": %v; the pods are not asked", err)
		return
	}
	probe.Interval = p.probeTime(AnnotationProbeInterval)
	probe.Timeout = p.probeTime(AnnotationProbeTimeout)
	probe.Failures = defaultProbeFailures
	if value, found := p.service.Annotations[AnnotationProbeFailures]; found {
		n, err := strconv.Atoi(value)
		if err != nil || n < MinProbeFailures || n > MaxProbeFailures {
			p.invalid(AnnotationProbeFailures, "is not a number from %d to %d; %d is used", MinProbeFailures, MaxProbeFailures, probe.Failures)
		} else {
			probe.Failures = n
		}
	}
	p.Probe = probe
}

func (p *parser) probeTime(key string) time.Duration {
	value, found := p.service.Annotations[key]
	if !found {
		return defaultProbeTime
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < MinProbeTime || d > MaxProbeTime {
		p.invalid(key, "is not a duration from %s to %s, such as \"250ms\"; %s is used", MinProbeTime, MaxProbeTime, defaultProbeTime)
		return defaultProbeTime
	}
	return d
}

// parseProbe reads the value of AnnotationProbe into what that says: how to ask.
func parseProbe(value string) (Probe, error) {
	u, err := url.Parse(value)
	if err != nil {
		// The error of package url names the whole value, which is named already.
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
	case err != nil || number == 0:
		return Probe{}, errors.New("it needs a port from 1 to 65535")
	case host != "" || u.User != nil:
		return Probe{}, errors.New("each pod is asked at its own address, so there is none to be given before the port")
	case u.Fragment != "":
		return Probe{}, errors.New("a fragment is not sent to a server")
	}
	p.Port = uint16(number)
	return p, nil
}
