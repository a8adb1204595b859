package controller

import (
	corev1 "k8s.io/api/core/v1"

	"qoqo.dev/active-standby-controller/pkg/internal/fakeapi"
)

// What tests begin with, and what they have in common afterwards.

// serving is a cluster whose web-0 is master in epoch 1 and has a standby; the
// events of that are taken.
func serving(c *cluster) *started {
	c.Helper()
	c.Create(fakeapi.NewService("web"), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
	s := c.start()
	c.Settle()
	c.Expect(
		"Lease web: web-0 @1 FirstEligible, of web",
		"Service web: app=web -> web-0 @1",
		"Pod web-0: identified active @1 spared",
		"Pod web-1: identified standby @1",
	)
	s.events.Take()
	return s
}

// asked is serving, where the Service has these annotations, in pairs.
func asked(c *cluster, annotations ...string) *started {
	c.Helper()
	s := serving(c)
	c.EditService("web", func(service *corev1.Service) {
		for i := 0; i < len(annotations); i += 2 {
			service.Annotations[annotations[i]] = annotations[i+1]
		}
	})
	c.Settle()
	s.client.ClearActions()
	return s
}

// failedOver is what serving is after web-0 was not Ready.
var failedOver = []string{
	"Lease web: web-1 @2 HolderNotReady, of web",
	"Service web: app=web -> web-1 @2",
	"Pod web-0: identified standby @2",
	"Pod web-1: identified active @2 spared",
}

// bySlices is what servingBySlices has.
var bySlices = []string{
	"Lease web: web-0 @1 FirstEligible, of web",
	"Service web: app=web detached @1",
	"EndpointSlice web-master-ipv4: web-0 @1, of web-0",
	"Pod web-0: active @1 spared",
	"Pod web-1: standby @1",
}

// servingBySlices is a cluster with Kubernetes' controllers whose web-0 is master in
// epoch 1 and has a standby; the events of that are taken, the requests forgotten.
func servingBySlices(c *cluster, change ...func(*corev1.Service)) *started {
	c.Helper()
	c.Create(fakeapi.NewService("web", append([]func(*corev1.Service){fakeapi.BySlice}, change...)...), fakeapi.NewPod("web-0"), fakeapi.NewPod("web-1"))
	s := c.start()
	c.Settle()
	s.events.Take()
	s.client.ClearActions()
	return s
}

// failedOverBySlices is what servingBySlices is after web-0 was not Ready.
var failedOverBySlices = []string{
	"Lease web: web-1 @2 HolderNotReady, of web",
	"Service web: app=web detached @2",
	"EndpointSlice web-master-ipv4: web-1 @2, of web-1",
	"Pod web-0: standby @2",
	"Pod web-1: active @2 spared",
}
