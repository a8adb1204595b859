package failover

// Why says of each scenario why its figures are what they are, in Markdown.
var Why = map[string]string{
	"not-ready": `From the cause on the application answers 503 and fails its readiness probe, which comes once a second:
that is the time until *noticed*. The EndpointSlice controller then takes the old master out, kube-proxy
follows at once, and waits out its ` + "`minSyncPeriod`" + ` before it looks again. The new master's endpoint comes
50-100 ms after the first update, and waits for the second. The plain Service needs no second one, nor does
` + "`endpointslice`" + `: Kubernetes publishes nothing there, so that the switch is the first that kube-proxy sees. With
probes the controller notices after two missed answers, mostly before the kubelet does; then ` + "`selector`" + `, too, is
the first. In the runs in which the kubelet was faster it pays the second; and where its endpoint comes in time for
kube-proxy's first update, it is saved. Established
connections stay with the old master, with any Service: kube-proxy does not cut them.`,

	"killed": `The kubelet looks at its containers once a second, marks the pod NotReady when it finds one dead, and
starts it again. The rest is as above. A dead process refuses connections, so that a probe needs no timeout. The kernel resets the connections of a dead process, so that
clients with a kept-alive connection come back at once.`,

	"hung": `The process is stopped: its kernel goes on accepting connections, and nobody answers. The readiness probe
gives up after its timeout of 1 s, so that this is noticed a second later than a failure that shows; a probe
gives up after its own, of 200 ms, twice. A client that waits longer than 1 s for an answer loses more.`,

	"deleted": `A pod that is deleted is terminating from that moment on, so that nothing has to be noticed, and its process
ends at SIGTERM some 0.1 s later. The plain Service has dropped it by then, and ` + "`endpointslice`" + ` has moved.
What remains with the other routings is kube-proxy's second. Where the new master's endpoint came in time for kube-proxy's first update, in some of the runs, the
switch took 0.1-0.2 s.`,

	"not-ready-shared": `As the first scenario, with a second, plain Service over the same pods, whose EndpointSlices change when the
first Service's do. With ` + "`selector`" + ` and ` + "`label`" + ` it takes as long as without it: kube-proxy is busy with the old
master's removal in either case. With ` + "`endpointslice`" + ` it depends on which of the two slices is written first:
that is the disadvantage of another Service over the same pods. A probe is before both.`,

	"switchover": "With `selector`" + ` one value in the Service's selector changes, the EndpointSlice controller replaces the endpoint in
one write, and that is the first thing that kube-proxy sees: nothing is lost. With ` + "`endpointslice`" + ` the controller
makes that write itself. With ` + "`label`" + ` two pods have to be
written to. The old master's endpoint goes first, so that there are never two, and the new one waits for
kube-proxy's second. Of the 100 ms from the edit to *decided* most are probably two lists' (it was not
profiled): the API server answers a consistent list from its cache, which it lets etcd confirm ten times a
second.`,

	"deleted-prestop": "The pod's `preStop`" + ` hook sleeps for 2 s. While no endpoint is ready, kube-proxy sends traffic to those that
terminate and still serve, so that the old master bridges the second until the new one is routed to. A pod
without such a sleep loses what the fourth scenario says. With ` + "`label`" + ` the bridge may break: in the worst run
kube-proxy looked between the two writes, when the old master was out and the new one not yet in.`,

	"rolling-restart": `A Deployment's rolling update, with the same ` + "`preStop`" + ` sleep: each move of the master is like the one above.
The order of candidates prefers pods of the newest revision, so that a rollout moves the master no more than
it has to.`,

	"drained": "The node is cordoned, and then its pods are evicted. With `selector`" + ` the master moves off at the cordon,
as in a planned switchover. With ` + "`label`" + `, where that would lose a second's requests, it stays until it is
evicted, and the ` + "`preStop`" + ` sleep bridges the switch.`,

	"node-off": `The node's container is killed. Kubernetes marks its pods NotReady after its ` + "`node-monitor-grace-period`" + `, 40-55 s
later, which is all that a plain Service has: until then it loses the requests that go to the dead pod, a third
of them. The controller misses the node's heartbeats after 25 s, 15-26 s after its death, and does not wait for
*noticed*. With probes it takes two unanswered questions: half a second. In either case the switch is the first
that kube-proxy hears of it, so that both routings are followed at once.`,

	"node-off-with-controller": `The replicas have no leader, and the one that is left does what the other would have done: the time is the
same as above.`,

	"node-frozen": `The node's container is paused: nothing on it runs any more, but its kernel goes on accepting connections,
and established ones are not reset. It is noticed as a dead node is. A probe that asks for an answer, and not
only for a connection, notices it as fast as a dead one.`,
}
