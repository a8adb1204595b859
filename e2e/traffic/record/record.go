// Package record has the types that the target's client writes and tests read, a
// line of JSON for each request, and the analysis that tests share.
package record

import "time"

// Answer is how the target's server identifies itself.
type Answer struct {
	Pod string `json:"pod"`
	// Boot is when the process started. It tells incarnations of a pod apart.
	Boot time.Time `json:"boot"`
}

// Request is a request or a lookup, and its outcome.
type Request struct {
	// Number counts a client's requests from 1 as they are sent. A number without a
	// line belongs to a request that is not done yet.
	Number int       `json:"number"`
	Sent   time.Time `json:"sent"`
	Done   time.Time `json:"done"`
	// Answer identifies the server that answered. A lookup has none.
	Answer
	// Addresses are what the name of a lookup resolved to, sorted.
	Addresses []string `json:"addresses,omitempty"`
	// Connection is the client's address and port, which identify a connection. Only
	// a client that keeps its connection sets it.
	Connection string `json:"connection,omitempty"`
	// Error says why there was no good answer. It is empty if there was one.
	Error string `json:"error,omitempty"`
}
