package controller

import (
	"testing"

	"qoqo.dev/active-standby-controller/pkg/election"
	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What is written carries the time of the look, also of one that had nobody to ask about.
func TestHolderThatCannotBeReadLeavesTheTime(t *testing.T) {
	inCluster(t, func(c *cluster) {
		c.Create(fakeapi.NewService("web"))
		s := c.start()
		c.Settle()
		in, err := s.gather(c.Context(), key{Namespace: fakeapi.Namespace, Name: "web"}, election.PodRead)
		if err != nil || in.Now.IsZero() || in.Evidence != election.Cached {
			t.Errorf("gathered at %v with the evidence %v, error %v; want a time and %v", in.Now, in.Evidence, err, election.Cached)
		}
	})
}
