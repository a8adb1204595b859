package main

import (
	"bufio"
	"cmp"
	"context"
	"net"
	"net/http"
	"time"

	"qoqo.dev/active-standby-controller/e2e/traffic/record"
)

// kept is a connection that is used until it breaks, the server closes it, or an answer
// is late. It is not a connection of http.Transport, because that gives up connections
// merely because the machine is busy.
type kept struct {
	url        string
	connection net.Conn // nil before the first request, and after the end
	answers    *bufio.Reader
}

// request uses the existing connection. If that turns out to be broken, it tries once
// more over a new one, so that the request is not lost.
func (k *kept) request(ctx context.Context, r *record.Request) error {
	used := k.connection != nil
	err := k.ask(ctx, r)
	if err != nil && used && ctx.Err() == nil {
		err = k.ask(ctx, r)
	}
	return err
}

func (k *kept) ask(ctx context.Context, r *record.Request) error {
	query, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return err
	}
	if k.connection == nil {
		address := net.JoinHostPort(query.URL.Hostname(), cmp.Or(query.URL.Port(), "80"))
		if k.connection, err = (&net.Dialer{}).DialContext(ctx, "tcp", address); err != nil {
			return err
		}
		k.answers = bufio.NewReader(k.connection)
	}
	connection := k.connection
	r.Connection = connection.LocalAddr().String()
	inTime := context.AfterFunc(ctx, func() { _ = connection.SetDeadline(time.Unix(1, 0)) })
	status, body, err := k.exchange(query)
	if !inTime() || err != nil {
		_ = connection.Close()
		k.connection = nil
	}
	if err != nil {
		return err
	}
	return answer(status, body, r)
}

// exchange sends the request and reads the answer.
func (k *kept) exchange(query *http.Request) (status int, body []byte, err error) {
	if err := query.Write(k.connection); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(k.answers, query)
	if err != nil {
		return 0, nil, err
	}
	return read(response)
}
