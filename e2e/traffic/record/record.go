// Package record is what the target's client writes and tests read: a line of
// JSON for each request.
package record

import "time"

// Answer is what the target's server says of itself.
type Answer struct {
	Pod string `json:"pod"`
	// Boot is when the process began, to tell incarnations of a pod apart.
	Boot time.Time `json:"boot"`
}

// Request is a request or a lookup, and what came of it.
type Request struct {
	// Number counts a client's requests from 1 as they are sent. One that is missing is
	// not yet done.
	Number int       `json:"number"`
	Sent   time.Time `json:"sent"`
	Done   time.Time `json:"done"`
	// Answer is who answered; of a lookup it is empty.
	Answer
	// Addresses are what the name resolved to, in order; of a lookup only.
	Addresses []string `json:"addresses,omitempty"`
	// Connection is the client's end of the connection, which no other one has; of a
	// client that keeps its connection only.
	Connection string `json:"connection,omitempty"`
	// Error is why there was no answer.
	Error string `json:"error,omitempty"`
}
