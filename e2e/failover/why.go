package failover

// Why explains the figures of each scenario, in Markdown.
var Why = map[string]string{
	"not-ready": `From the cause on the application answers 503, and so fails its readiness probe. That comes once a second,
which is the time until *noticed*. The EndpointSlice controller then removes the old master. kube-proxy follows
at once, and then waits out its ` + "`minSyncPeriod`" + ` before it looks again. The new master's endpoint comes
50-100 ms after the first update, and waits for the second. The plain Service needs no second update. Neither does
` + "`endpointslice`" + `: Kubernetes publishes nothing there, so that the switch is the first change that kube-proxy sees.
With probes the controller notices after two missed answers, mostly before the kubelet does. Then the switch of
` + "`selector`" + `, too, is the first change. In runs in which the kubelet was faster, ` + "`selector`" + ` also waits for the
second update, unless its endpoint comes in time for the first. Established
connections stay with the old master, with any Service: kube-proxy does not cut them.`,

	"killed": `The kubelet looks at its containers once a second. When it finds one dead, it marks the pod NotReady and
starts it again. The rest is as above. A dead process refuses connections, so that a probe fails at once, without
a timeout. The kernel resets the connections of a dead process, so that clients with a kept-alive connection come
back at once.`,

	"hung": `The process is stopped: its kernel still accepts connections, but no answer comes. The readiness probe
gives up after its timeout of 1 s, so that this is noticed a second later than a failure that shows at once. The
controller's probe gives up after its own timeout of 200 ms, twice. A client that waits longer than 1 s for an
answer loses more.`,

	"deleted": `A deleted pod is terminating from that moment on, so that nothing has to be noticed. Its process ends at
SIGTERM, some 0.1 s later. By then the plain Service has dropped it, and ` + "`endpointslice`" + ` has moved. With the
other routings kube-proxy's second remains. In some runs the new master's endpoint came in time for
kube-proxy's first update, and the switch took 0.1-0.2 s.`,

	"not-ready-shared": `Like the first scenario, with a second, plain Service over the same pods. Its EndpointSlices change when the
first Service's do. With ` + "`selector`" + ` and ` + "`label`" + ` it takes as long as without it, because kube-proxy is busy
with the old master's removal in either case. With ` + "`endpointslice`" + ` it depends on which of the two slices is
written first. That is the disadvantage of another Service over the same pods. A probe acts before both.`,

	"switchover": "With `selector`" + ` one value in the Service's selector changes, and the EndpointSlice controller replaces the
endpoint in one write. That is the first change that kube-proxy sees, and nothing is lost. With ` + "`endpointslice`" + `
the controller makes that write itself. With ` + "`label`" + ` two pods must be written to. The old master's endpoint goes
first, so that there are never two, and the new master's waits for kube-proxy's second. The time from the edit to
*decided* is 100 ms. Most of it is probably spent on two lists (it was not profiled): the API server answers a
consistent list from its cache, and has etcd confirm the cache ten times a second.`,

	"deleted-prestop": "The pod's `preStop`" + ` hook sleeps for 2 s. While no endpoint is ready, kube-proxy sends traffic to endpoints that
terminate and still serve. The old master thus bridges the second until the new master is routed to. A pod
without such a sleep loses what the fourth scenario says. With ` + "`label`" + ` the bridge may break: in the worst run
kube-proxy looked between the two writes, when the old master was out and the new master not yet in.`,

	"rolling-restart": `A rolling update of a Deployment, with the same ` + "`preStop`" + ` sleep. Each move of the master is like the one above.
The order of candidates prefers pods of the newest revision, so that a rollout moves the master no more often
than it must.`,

	"drained": "The node is cordoned, and then its pods are evicted. With `selector`" + ` the master moves at the cordon, as in a
planned switchover. With ` + "`label`" + ` that would lose a second's requests. The master therefore stays until it is
evicted, and the ` + "`preStop`" + ` sleep bridges the switch.`,

	"node-off": `The node's container is killed. Kubernetes marks its pods NotReady after its ` + "`node-monitor-grace-period`" + `, 40-55 s
later. A plain Service has nothing else: until then it loses the requests that go to the dead pod, a third of
them. The controller does not wait for *noticed*. It suspects the node when its kernel has not answered for 5 s, or its
heartbeats have been missing for 25 s, which is 15-26 s after its death. The figures are from when it knew heartbeats
alone. With probes of the pods it takes two unanswered probes, half a second. In either case
the switch is the first change that kube-proxy hears of, so that it follows both routings at once.`,

	"node-off-with-controller": `The replicas have no leader. The replica that is left does what the other one would have done, and the time
is the same as above.`,

	"node-frozen": `The node's container is paused: nothing on it runs any longer, but its kernel still accepts connections, and
established ones are not reset. Its missing heartbeats alone tell that it is dead. A probe of the pods that asks for
an answer, and not only for a connection, notices it as fast as a dead node.`,

	"starved": `Ten processes on each worker use all CPU time they get, for 30 s. The pods ask for none, so the kernel gives
them next to none. No master fails, and each transition is a false move. Most of them are the kubelet's: a readiness
probe of a second with one failure allowed is not answered in time, and Kubernetes takes the pod from every
Service, so that the plain Service loses its pods as well. On nodes like these a
longer ` + "`timeoutSeconds`" + ` or ` + "`failureThreshold`" + `, and a CPU request, spare most. The controller's own probes wait for a pod
that was slow lately ([how](../probes.md#false-alarms)), and add the moves that are marked ` + "`HolderUnresponsive`" + `. However
late the nodes heard of a move, they never sent connections to two masters. The outage is from the first lost request to
the last, with many good answers in between.`,
}
