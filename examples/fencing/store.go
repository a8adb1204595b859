package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	"k8s.io/klog/v2"
)

// maxValue is how many bytes a value may have.
const maxValue = 1024

// entry is a value, and the epoch in which it was written.
type entry struct {
	Value string `json:"value"`
	Epoch int32  `json:"epoch"`
}

// store keeps values in memory. It refuses a write in an epoch that is lower than the
// highest one that it has seen, because that is a former master's. The highest epoch must
// last as long as what it protects. Here both are lost with the process.
type store struct {
	lock    sync.Mutex
	highest int32
	values  map[string]entry
}

func newStore() *store { return &store{values: map[string]entry{}} }

// put stores an entry, and reports whether it is the first one of a new epoch. It compares
// and writes under one lock, so that no former master's write can come between.
func (s *store) put(key string, e entry) (first bool, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if e.Epoch < s.highest {
		return false, fmt.Errorf("epoch %d is over, because there was a write in epoch %d; you are no longer the master", e.Epoch, s.highest)
	}
	first = e.Epoch > s.highest
	s.highest = e.Epoch
	s.values[key] = e
	return first, nil
}

func (s *store) get(key string) (e entry, found bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	e, found = s.values[key]
	return e, found
}

// handler serves PUT /KEY?epoch=N with the value as the body, and GET /KEY.
func (s *store) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {}) // for the readiness probe
	mux.HandleFunc("GET /{key}", func(w http.ResponseWriter, r *http.Request) {
		e, found := s.get(r.PathValue("key"))
		if !found {
			http.Error(w, "there is no such key", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(e) // fails if the client is gone
	})
	mux.HandleFunc("PUT /{key}", func(w http.ResponseWriter, r *http.Request) {
		key := r.PathValue("key")
		logger := klog.FromContext(r.Context()).WithValues("key", key)
		e, err := parse(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		first, err := s.put(key, e)
		switch {
		case err != nil:
			logger.Info("Refused a write", "epoch", e.Epoch, "value", e.Value, "reason", err.Error())
			http.Error(w, err.Error(), http.StatusConflict)
			return
		case first:
			logger.Info("New epoch began", "epoch", e.Epoch, "value", e.Value)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// parse reads the entry of a PUT request.
func parse(r *http.Request) (entry, error) {
	text := r.URL.Query().Get("epoch")
	if text == "" {
		return entry{}, fmt.Errorf("there is no epoch; write to %s?epoch=N, with the Lease's spec.leaseTransitions for N", r.URL.Path)
	}
	epoch, err := strconv.ParseInt(text, 10, 32)
	if err != nil || epoch < 1 {
		return entry{}, fmt.Errorf("the epoch %q is not a whole number from 1 to 2147483647", text)
	}
	value, err := io.ReadAll(io.LimitReader(r.Body, maxValue+1))
	switch {
	case err != nil:
		return entry{}, fmt.Errorf("reading the value: %w", err)
	case len(value) > maxValue:
		return entry{}, fmt.Errorf("the value is longer than %d bytes", maxValue)
	}
	return entry{Value: string(value), Epoch: int32(epoch)}, nil
}
