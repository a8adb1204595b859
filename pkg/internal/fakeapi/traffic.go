package fakeapi

import "qoqo.dev/active-standby-controller/pkg/scenario"

// Traffic notes which pods any EndpointSlice lists as ready, from now on and until it is
// asked. See scenario.Traffic.
func (c *Cluster) Traffic() (asked func() []string) {
	c.Helper()
	traffic, err := scenario.Hands{Client: c.Users, Namespace: Namespace}.Follow(c.Context())
	if err != nil {
		c.Fatal(err)
	}
	return func() []string {
		traffic.Stop()
		return traffic.Noted()
	}
}
