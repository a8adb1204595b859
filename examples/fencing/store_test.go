package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ask sends a request, such as "PUT /a?epoch=1" with its body, and returns the answer.
func ask(t *testing.T, h http.Handler, request, body string) string {
	t.Helper()
	method, url, _ := strings.Cut(request, " ")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body)))
	return strings.TrimSpace(fmt.Sprintf("%d %s", w.Code, w.Body))
}

func TestStore(t *testing.T) {
	number := `400 the epoch "%s" is not a whole number from 1 to 2147483647`
	for name, c := range map[string]struct {
		// requests are sent in order with body, and want is the answer to the last one.
		requests []string
		body     string
		want     string
	}{
		"a first write is stored":                              {requests: []string{"PUT /a?epoch=1"}, want: "204"},
		"a write in the same epoch is stored":                  {requests: []string{"PUT /a?epoch=1", "PUT /a?epoch=1"}, want: "204"},
		"a write in a higher epoch is stored":                  {requests: []string{"PUT /a?epoch=1", "PUT /a?epoch=3"}, want: "204"},
		"a write of a former master is refused":                {requests: []string{"PUT /a?epoch=3", "PUT /a?epoch=2"}, want: "409 epoch 2 is over, because there was a write in epoch 3; you are no longer the master"},
		"a write of a former master to another key is refused": {requests: []string{"PUT /a?epoch=3", "PUT /b?epoch=2"}, want: "409 epoch 2 is over, because there was a write in epoch 3; you are no longer the master"},
		"a write of the master after a refusal is stored":      {requests: []string{"PUT /a?epoch=3", "PUT /a?epoch=2", "PUT /a?epoch=3"}, want: "204"},
		"what is written can be read":                          {requests: []string{"PUT /a?epoch=1", "GET /a"}, body: "x", want: `200 {"value":"x","epoch":1}`},
		"a refused write is not kept":                          {requests: []string{"PUT /a?epoch=3", "PUT /b?epoch=2", "GET /b"}, want: "404 there is no such key"},
		"a refused write replaces nothing":                     {requests: []string{"PUT /a?epoch=3", "PUT /a?epoch=2", "GET /a"}, body: "x", want: `200 {"value":"x","epoch":3}`},
		"a bad epoch begins no epoch":                          {requests: []string{"PUT /a?epoch=1", "PUT /a?epoch=2147483648", "PUT /a?epoch=1"}, want: "204"},
		"a write needs an epoch":                               {requests: []string{"PUT /a"}, want: "400 there is no epoch; write to /a?epoch=N, with the Lease's spec.leaseTransitions for N"},
		"an epoch must be a number":                            {requests: []string{"PUT /a?epoch=one"}, want: fmt.Sprintf(number, "one")},
		"an epoch must be 1 or more":                           {requests: []string{"PUT /a?epoch=0"}, want: fmt.Sprintf(number, "0")},
		"an epoch must be 2147483647 or less":                  {requests: []string{"PUT /a?epoch=2147483648"}, want: fmt.Sprintf(number, "2147483648")},
		"a value may have 1024 bytes":                          {requests: []string{"PUT /a?epoch=1"}, body: strings.Repeat("x", maxValue), want: "204"},
		"a value must have no more than 1024 bytes":            {requests: []string{"PUT /a?epoch=1"}, body: strings.Repeat("x", maxValue+1), want: "400 the value is longer than 1024 bytes"},
		"a request must be a GET or a PUT":                     {requests: []string{"POST /a?epoch=1"}, want: "405 Method Not Allowed"},
		"the readiness probe is answered":                      {requests: []string{"GET /"}, want: "200"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newStore().handler()
			got := ""
			for _, request := range c.requests {
				got = ask(t, h, request, c.body)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// However the writes of several masters meet, the value of the highest epoch is kept.
func TestStoreIsNotRacedBy(t *testing.T) {
	for range 100 {
		h := newStore().handler()
		var writing sync.WaitGroup
		for epoch := range 4 {
			writing.Go(func() { ask(t, h, fmt.Sprintf("PUT /a?epoch=%d", 1+epoch), "x") })
		}
		writing.Wait()
		if got := ask(t, h, "GET /a", ""); got != `200 {"value":"x","epoch":4}` {
			t.Fatalf("the store has %s at the end", got)
		}
	}
}
