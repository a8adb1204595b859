package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"qoqo.dev/active-standby-controller/pkg/api"
)

// The protocol is that of
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, and the question is
// https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto. net/http
// asks it, because google.golang.org/grpc is a large dependency for two messages of
// a few bytes.
const (
	healthCheck = "/grpc.health.v1.Health/Check"
	contentType = "application/grpc"
	// frameHeader is how many bytes are before each message: whether it is compressed,
	// and its length.
	frameHeader = 5
	// maxMessage is more bytes than an answer will ever have: today's has two.
	maxMessage = 1 << 10
	// serviceField is a field of HealthCheckRequest, and statusField is one of
	// HealthCheckResponse.
	serviceField, statusField = protowire.Number(1), protowire.Number(1)
	// serving is the ServingStatus that is good.
	serving = 1
)

// servingStatus are the names of each ServingStatus.
var servingStatus = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

var errNoMessage = errors.New("the answer is not a gRPC message")

// overGRPC makes connections for one request each, with HTTP/2 without TLS.
var overGRPC = &http.Transport{
	DialContext:            dial,
	DisableCompression:     true,
	MaxResponseHeaderBytes: maxHeader,
	Protocols:              protocols((*http.Protocols).SetUnencryptedHTTP2),
}

// askGRPC asks whether the service that the probe names is SERVING. If it names none,
// the question is about the server itself.
func askGRPC(ctx context.Context, to netip.AddrPort, probe api.Probe) (claim string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+to.String()+healthCheck, bytes.NewReader(healthRequest(probe.Path)))
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("TE", "trailers")
	conn, err := overGRPC.NewClientConn(ctx, "http", to.String())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	response, err := conn.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d", response.StatusCode)
	}
	if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, contentType) {
		return "", fmt.Errorf("it does not speak gRPC, but %q", got)
	}
	// The trailer can be read only after the body.
	body, err := io.ReadAll(io.LimitReader(response.Body, frameHeader+maxMessage+1))
	if err != nil {
		return "", err
	}
	if len(body) > frameHeader+maxMessage {
		return "", errNoMessage
	}
	if err := grpcStatus(response); err != nil {
		return "", err
	}
	return claimOf(response.Trailer), healthy(body)
}

// healthRequest returns the message that asks about a service, in its frame.
func healthRequest(service string) []byte {
	var message []byte
	if service != "" {
		message = protowire.AppendTag(message, serviceField, protowire.BytesType)
		message = protowire.AppendString(message, service)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))) //nolint:gosec // an annotation's length
	return append(frame, message...)
}

// grpcStatus returns an error unless the gRPC status of the response is OK. The status
// is in the trailer, or in the header if the server answers with an error and no message.
func grpcStatus(response *http.Response) error {
	from := response.Trailer
	if from.Get("Grpc-Status") == "" {
		from = response.Header
	}
	status, reason := from.Get("Grpc-Status"), from.Get("Grpc-Message")
	if unescaped, err := url.PathUnescape(reason); err == nil {
		reason = unescaped
	}
	code, err := strconv.ParseUint(status, 10, 8)
	switch {
	case err != nil:
		return errors.New("there is no gRPC status")
	case code == 0:
		return nil
	case reason == "":
		return fmt.Errorf("gRPC status %d", code)
	}
	return fmt.Errorf("gRPC status %d: %.100q", code, reason)
}

// healthy returns nil if the answer, in its frame, is SERVING.
func healthy(frame []byte) error {
	if len(frame) < frameHeader || frame[0] != 0 || int64(binary.BigEndian.Uint32(frame[1:])) != int64(len(frame)-frameHeader) {
		return errNoMessage
	}
	// UNKNOWN is zero, which protobuf does not send.
	status := uint64(0)
	for message := frame[frameHeader:]; len(message) > 0; {
		field, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
		if field == statusField && wire == protowire.VarintType {
			status, n = protowire.ConsumeVarint(message)
		} else {
			n = protowire.ConsumeFieldValue(field, wire, message)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		message = message[n:]
	}
	if status == serving {
		return nil
	}
	if status < uint64(len(servingStatus)) {
		return errors.New("it is " + servingStatus[status])
	}
	return fmt.Errorf("it is %d, which is not SERVING", status)
}
