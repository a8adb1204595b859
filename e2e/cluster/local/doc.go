// Package local runs a local control plane for tests and demos: the real etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler as processes, with
// kwok playing the nodes. It needs neither containers nor root, and listens on
// loopback only. There is no network between the pods: they become Ready without
// running anything.
//
// [Build] makes the programs, once, from the modules in e2e/tools. [Start] gives
// a test a control plane of its own. [Up] and [Down] keep one that outlives the
// command that started it. All of them must run inside the e2e module, because
// that is where they find the programs' modules.
//
// Only tests and commands of the e2e module may import this package. An importing
// program is also its own supervisor: see supervisor.go for why it has an init
// function.
package local
