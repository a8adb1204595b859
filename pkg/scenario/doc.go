// Package scenario is test support. It tells scenarios as text, in transcripts that say what
// happens to a cluster and what the cluster looks like afterwards. The transcripts in
// testdata are played in a simulated cluster by the tests of pkg/controller, and on a real
// API server by those of e2e/integration:
//
//	# The master becomes not Ready: the standby takes over.
//	service web
//	pod web-0
//	pod web-1
//	----
//	Lease web: web-0 @1 FirstEligible, of web
//	...
//
//	unready web-0
//	----
//	...
//
// A step ends at a blank line. Its commands come first, each on a line. They are written as
// kubectl's are where there is such a command:
//
//	service NAME [selector=LABELS] [type=TYPE] [port=NAME] [plain] [ANNOTATION=VALUE]...
//	    creates an active-standby Service of the pods labelled app=web; with "plain", one
//	    that is not annotated so. TYPE is also "headless". LABELS can be "none".
//	    The port is 8080, or the container port of that name.
//	pod NAME [unready] [stubborn] [bare] [node=NODE] [port=NAME] [LABEL=VALUE]...
//	    creates a pod labelled app=web that is Ready. A stubborn one, when it is deleted,
//	    stays until it exits. A bare one belongs to no workload that would create it anew.
//	ready POD, unready POD, fail POD, exit POD
//	    what kubelet reports: readiness, the end of all containers, the end of a pod
//	    that is being deleted
//	lease NAME HOLDER, slice NAME SERVICE MANAGER
//	    creates a Lease or an EndpointSlice that is not the controller's
//	hold LEASE POD
//	    edits the Lease's holder, which is the command for a switchover
//	epoch LEASE NUMBER
//	    edits the Lease's epoch
//	contend LEASE IDENTITY
//	    acquires or renews the Lease as an application's own leader election does
//	annotate KIND NAME KEY=VALUE|KEY-..., label KIND NAME KEY=VALUE|KEY-...
//	select SERVICE KEY=VALUE|KEY-...
//	    edits the Service's selector
//	replace SERVICE
//	    takes from the Service all that the controller wrote to it, as kubectl replace does
//	cordon NODE, uncordon NODE, taint NODE KEY, untaint NODE
//	    of node-1, node-2 or node-3
//	delete KIND NAME
//	stop, start
//	    ends and starts the controller, which runs at the beginning
//	wait DURATION
//	    as the last command, lets so much time pass before the look
//	traffic, requests, writes
//	    asks for a line in the output, of this step alone: which pods EndpointSlices list
//	    as ready, one state after the other; what the controller has asked the API server
//	    for; and what of that were writes
//
// After "----" comes what the cluster looks like once it has settled: State, what was asked
// for, and the events since the last step, sorted. Only the simulated cluster has the lines
// of requests and writes, because on the real one replicas compete.
//
// A comment "# only: simulated" or "# only: real" keeps a scenario to one kind of cluster,
// and the flag -update of both tests writes what is seen into the transcripts.
//
// The package may import api, and is imported by tests alone.
package scenario
